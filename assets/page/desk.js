// Every change of the visitor's history and of the filter, whoever asks for it: what is drawn, said
// and asked then.

import { describeChange } from "./announce.js";
import { changed, cutNotices } from "./history.js";
import { marked, tr } from "./language.js";
import { leaveLink } from "./links.js";

const LEFT_SHARED = marked("This is your own history; the shared one is behind its link.");

/**
 * @param {object} page its parts by name: state, guests, whatIf, blind, speech, answers, strip,
 *   filterControl, tabs, browse
 * @param {function(): void} page.drawHistory
 * @param {function(): void} page.ask asks for what is shown now
 */
export function makeDesk(page) {
  const { state, guests, whatIf, blind, speech, answers, strip, filterControl } = page;

  /**
   * @param {import("./history.js").History} history
   * @param {?string} movedId of the item that was moved
   * @param {string[]} told sentences about it
   * @param {boolean} isStep whether undo or redo has changed it
   */
  function change(
    history,
    movedId = null,
    told = guests.isShared ? [tr(LEFT_SHARED)] : [],
    isStep = false,
  ) {
    const before = state.history.items;
    if (whatIf.isOpen() && history !== state.history) {
      speech.tell(tr("Keep what you try, or go back, before the history changes."));
      return;
    }
    if (!state.setHistory(history)) return;
    leaveGuest();
    speech.did(describeChange(before, history.items, movedId));
    speech.notice([...cutNotices(history), ...told]);
    blind.changed(
      history.items.map((item) => item.id),
      isStep,
    );
    page.ask(); // is under way while the strip is drawn
    page.drawHistory();
  }

  function leaveGuest() {
    const wasShared = guests.isShared;
    if (guests.leave()) answers.forget();
    if (!wasShared) return;
    leaveLink();
    filterControl.draw(state.filter);
  }

  /** From a guest's history to the visitor's own, or to an empty one. */
  function begin() {
    const isBack = guests.isShared && state.history.items.length > 0;
    leaveGuest();
    if (!isBack) state.begin();
    speech.notice([]);
    page.drawHistory();
    page.ask();
    if (isBack) {
      strip.focus();
      return;
    }
    page.tabs.show("browse");
    page.browse.focusFirst();
  }

  /** The shared history becomes the visitor's own, which can be undone. */
  function keepShared() {
    const { items, filter } = guests;
    if (!items.length) return; // they are still on their way
    const told = state.history.items.length ? [tr("Undo brings the history before back.")] : [];
    state.setFilter(filter);
    change(changed(state.history, items), null, told);
    strip.focus();
  }

  /** Undo and redo are of the visitor's own history. */
  function step(take) {
    if (guests.isShared) speech.say(tr("Undo is for your own history: go back to it first."));
    else change(take(state.history), null, [], true);
  }

  function changeFilter(filter) {
    if (!guests.setFilter(filter)) return;
    speech.did(tr("Other items are recommended."));
    speech.notice([]);
    filterControl.draw(filter);
    page.ask();
  }

  return { change, begin, keepShared, step, changeFilter };
}
