// Choosing an item, wherever it stands: it joins the history once, and what choosing it says of the
// models is counted.

import { addItem } from "./history.js";
import { tr } from "./language.js";
import { isOwn } from "./yours.js";

/**
 * @param {object} page its parts by name: state, strip, whatIf, desk, yours, models, blind,
 *   scoreboard, answers, known
 * @param {{ids: string[], isStanding: boolean, isCurrent: function(): boolean}} page.shown what the
 *   lists are for
 * @param {function(string): number} page.placeOf where an item is in what the strip shows, or -1
 * @param {function(object): void} page.record tells the server of a click
 * @param {string} page.session
 * @param {function(string): void} page.tell
 */
export function makePicking(page) {
  const { state, strip, whatIf, desk, yours, models, blind, scoreboard, answers } = page;
  const { known, shown, session } = page;

  /** Whether an item is in the history already, which is then said. */
  function isChosen(id, title) {
    const position = page.placeOf(id);
    if (position < 0) return false;
    strip.flash(id);
    const place = { title, place: position + 1 };
    page.tell(tr("{title} is already number {place} of your history.", place));
    return true;
  }

  /** From the map. It marks what the models recommend, so the scoreboard does not count it. */
  function pickPoint(item) {
    if (!isChosen(item.id, item.title)) add(item, "map");
  }

  /** From a row of a list, a cover, or the drawer about one. */
  function pick(row) {
    const { id, title, creator, source, rank } = row.dataset;
    const own = yours.find(id);
    if (isChosen(id, title)) return;
    if (own || source === "yours") {
      if (own) add(own, source); // otherwise it has been removed
      return;
    }
    // The button in the drawer stands beside the cover.
    const picture = row.querySelector("img") ?? row.closest("header").querySelector("img");
    const cover = picture.getAttribute("src"); // as the server writes it: it is compared
    const isStanding = shown.isStanding && shown.isCurrent();
    if (source === "browse" && isStanding && models.counts() && !whatIf.isOpen())
      scoreboard.wait({ item: id, history: shown.ids, session });
    const place = answers.blindPlace(id);
    // From the list itself, or from the drawer about an item of it.
    if (place && ["blind", "detail"].includes(source) && isStanding)
      blind.pick({ item: id, title, session, ...place });
    const item = { id, title, creator, cover };
    known.learn([item]);
    add(item, source, Number(rank) || null);
  }

  /** Put an item into the history, and tell where it was found. */
  function add(item, source, rank = null) {
    if (whatIf.add(item)) return; // nobody has chosen it
    desk.change(addItem(state.history, item));
    if (isOwn(item)) return; // the server keeps nothing of it
    const isColumn = source === "hllm" || source === "baseline";
    if (isColumn && !models.counts()) return; // it would be counted for another model
    page.record({ item_id: item.id, source, rank, session });
  }

  return { add, pick, pickPoint };
}
