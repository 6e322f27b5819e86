// The page: makes its parts and says what happens when something is clicked, typed or answered.

import { isAlive } from "./alive.js";
import { makeAnswers } from "./answers.js";
import { makeBands } from "./bands.js";
import { makeBlind } from "./blind.js";
import { makeBrowse } from "./browse.js";
import { makeCaptions } from "./captions.js";
import { makeCatalogs } from "./catalogs.js";
import { listenToClicks } from "./clicks.js";
import { makeDesk } from "./desk.js";
import { retryButton } from "./dom.js";
import { makeDrawer } from "./drawer.js";
import { addEntries } from "./entries.js";
import { EVERYTHING } from "./filter.js";
import { makeFilterControl } from "./filter_control.js";
import { openFrame } from "./frame.js";
import { makeGuests } from "./guest.js";
import {
  changed,
  cutNotices,
  forgetItem,
  moveItem,
  positionOf,
  redo,
  removeItem,
  undo,
} from "./history.js";
import { makeHow } from "./how.js";
import { listenToKeys } from "./keys.js";
import { makeKnown } from "./known.js";
import { tr } from "./language.js";
import { leaveLink, linkedItem } from "./links.js";
import { makeMap } from "./map.js";
import { makeMenu } from "./menu.js";
import { makeModels } from "./models.js";
import { askingOnceMore } from "./once_more.js";
import { makeOutbox } from "./outbox.js";
import { makePicking } from "./picking.js";
import { replaceLostPictures } from "./pictures.js";
import { makeProtocol } from "./protocol.js";
import { makePushes } from "./pushes.js";
import { makeScoreboard } from "./scoreboard.js";
import { makeSharing } from "./sharing.js";
import { makeShown } from "./shown.js";
import { makeSpeech } from "./speech.js";
import { makeStage } from "./stage.js";
import { makeState } from "./state.js";
import { readStored, readTab, store, storeTab } from "./storage.js";
import { makeStrip } from "./strip.js";
import { makeTabs } from "./tabs.js";
import { restoreTheme, switchTheme } from "./theme.js";
import { newSession, ownSessions } from "./traces.js";
import { makeWhatIf } from "./what_if_bar.js";
import { makeWriter } from "./writer.js";
import { makeYours } from "./yours.js";

const MAX_LOST_CHARS = 80; // of a catalogue in an address

/**
 * Runs once in a gr.HTML with what Gradio gives to its script, or by static.js without a server.
 * @param {object} page
 * @param {Element} page.element that holds the page
 * @param {object} page.server answers by the names of contract.js; what it has not is not offered
 * @param {function(): Promise<boolean>} [page.alive] whether it answers at all
 */
export async function startPage({ element, server: plain, alive = isAlive }) {
  const { server, lang, lost } = await openFrame(element, askingOnceMore(plain));
  const root = element.querySelector(".hllm");
  const session = newSession();
  const storageKey = `hllm-live/${root.dataset.catalog}`;
  // A tab goes on with what it had, a new one with what any tab had last.
  const stored = readTab(storageKey) ?? readStored(storageKey);
  const state = makeState(stored, Number(root.dataset.maxHistory), (kept) => {
    storeTab(storageKey, kept);
    store(storageKey, kept);
  });

  // Until the visitor begins a history, an example is shown; but whoever follows a link wants that.
  const guests = makeGuests(state, !state.isOwn && !linkedItem(location.hash));
  const place = {
    catalog: root.dataset.catalog,
    name: root.querySelector(".catalog-name strong").textContent,
    limit: Number(root.dataset.maxHistory),
  };
  const tabs = makeTabs(root);
  const stage = makeStage(root);
  const menu = makeMenu(root.querySelector(".menu"));
  const answers = makeAnswers(root.querySelector(".answers"));
  const speech = makeSpeech(root, answers);
  const { announce, notice, say, tell } = speech;
  const strip = makeStrip(root.querySelector(".strip"), {
    remove: (id) => whatIf.remove(id) || desk.change(removeItem(state.history, id)),
    move: (id, position) =>
      whatIf.move(id, position) || desk.change(moveItem(state.history, id, position), id),
    begin: (item) => picking.add(item, guests.isShared ? "shared" : "example"),
  });
  const whatIf = makeWhatIf(root, {
    history: () => state.history,
    onOpen: drawHistory,
    onFirst: () => {
      protocol.overtake();
      answers.hold(state.history.items.map(({ id }) => id));
    },
    onChange: (text) => {
      speech.didOnly(`${text}.`);
      drawHistory();
      ask();
    },
    onKeep: (items) => {
      leaveWhatIf();
      desk.change(changed(state.history, items));
    },
    onBack: (hasTried) => {
      drawHistory();
      if (!hasTried) return;
      leaveWhatIf();
      speech.did(tr("Back at your history."));
      ask();
    },
    tell,
  });
  const captions = makeCaptions(root);
  const shown = makeShown(() => whatIf.items() ?? guests.items);
  let askedAt = 0;
  // Told when the click is answered: the server answers what is waited for first.
  const clicks = makeOutbox({
    tell: async (click) => (await server.record(click))?.is_settled === true,
    storageKey: `${storageKey}/clicks`,
  });
  const bandSection = root.querySelector(".bands");
  const yours = makeYours(root.querySelector(".yours"), {
    storageKey: `${storageKey}/yours`,
    history: () => state.history.items,
    onDraw: () => browse.markItems(),
  });
  /** What the page asks beside its clicks about a history, by the name of the function. */
  const about = (name) =>
    server[name] &&
    ((query) =>
      server[name]({ ...query, history: yours.sent(query.history), models: models.chosen() }));
  const how = makeHow(bandSection, {
    readWhole: about("whole"),
    history: () => shown.ids,
  });
  const scoreboard = makeScoreboard(bandSection, {
    judge: about("judge"),
    scores: (query) => server.scores(query),
    storageKey: `${storageKey}/picks`,
    outboxKey: `${storageKey}/untold`,
  });
  const bands = makeBands(bandSection, (name) => ({ how, score: scoreboard })[name].draw());
  const blind = makeBlind(root, {
    judge: (pick) => server.blind(pick),
    reveal: (query) => server.reveal(query),
    announce,
    onSwitch: (sentence) => {
      whatIf.back(); // what is tried is not what is chosen
      speech.did(sentence);
      shown.isStanding = false; // what is shown is not what will be
      answers.keepFocus();
      if (blind.isOn()) tabs.show("hllm");
      if (blind.isOn() && (guests.guest !== null || guests.wantsExample)) desk.begin();
      else ask();
      drawer.refresh();
    },
    storageKey: `${storageKey}/blind`,
  });
  const pushes = makePushes(root.querySelector(".strip"), {
    fetch: about("pushes"),
    query: () =>
      shown.isCurrent() && !blind.isOn() ? { history: shown.ids, rows: answers.rows() } : null,
    mark: answers.markPushed,
  });
  const drawer = makeDrawer(root.querySelector(".drawer"), {
    fetch: about("detail"),
    explain: about("why"),
    history: () => shown.ids,
    isBlind: blind.isOn,
    mark: strip.mark,
    announce,
    onOpen: () => {
      // What the drawer covers takes neither keyboard nor clicks.
      browseSection.inert = matchMedia("(min-width: 821px)").matches;
    },
    onInside: how.showItem,
    onClose: () => {
      browseSection.inert = false;
      leaveLink();
    },
    onLost: () => (root.dataset.pane === "browse" ? browse.focusFirst() : answers.focus()),
  });
  const writer = makeWriter(root.querySelector(".writer"), {
    write: about("write"),
    history: () => shown.ids,
    show: drawer.openForm,
    close: drawer.close,
    keep: yours.keep,
    isUsed: (id) => positionOf(state.history, id) >= 0,
  });
  const models = makeModels(root, {
    fetch: () => server.models({}),
    open: drawer.openForm,
    close: drawer.close,
    isBlind: blind.isOn,
    onChoice: (sentence) => {
      whatIf.back(); // its moves are against the lists of other models
      answers.forget();
      speech.did(sentence);
      shown.isStanding = false; // what is shown is not what will be
      ask();
    },
    ...{ say, notice },
    storageKey: `${storageKey}/models`,
  });
  const catalogs = makeCatalogs(root, {
    fetch: () => server.catalogs({}),
    open: drawer.openForm,
  });
  const filterControl = makeFilterControl(
    root.querySelector(".filter"),
    (filter) => desk.changeFilter(filter),
    tell,
  );
  const browseSection = root.querySelector(".browse");
  const browse = makeBrowse(browseSection, {
    fetch: (query) => server.browse(query),
    positionOf: (id) => (guests.isShared ? -1 : placeOf(id)),
    announce,
    storageKey: `${storageKey}/browse`,
    onCategory: filterControl.browsing,
  });
  const map = makeMap(browseSection, {
    open: (query) => server.open_map(query),
    marks: about("map_marks"),
    item: (query) => server.map_item(query),
    query: () =>
      shown.isCurrent() ? { history: shown.ids, rows: blind.isOn() ? {} : answers.rows() } : null,
    isBlind: blind.isOn,
    pick: (item) => picking.pickPoint(item),
    announce,
  });
  const known = makeKnown();
  const protocol = makeProtocol(session, {
    fetch: async (request) => {
      const items = known.itemsOf(request.history);
      const found = await server.answer({ ...request, known: items !== null });
      if (found?.history === undefined) return found; // no answer, and why
      if (found.history) known.learn(found.history);
      return { ...found, history: yours.filled(found.history ?? items) };
    },
    setBusy: answers.setBusy,
    isAlive: alive,
    onSilence: () => {
      tell(`${tr("The app does not answer.")} `, retryButton("retry"));
      clicks.flush();
    },
    onError: (...sentence) => {
      tell(...sentence);
      clicks.flush();
    },
    onLastAnswer: adopt,
    onAnswer: show,
    askAgain: ask,
  });
  const { forget } = answers;
  const desk = makeDesk({
    ...{ state, guests, whatIf, blind, speech, answers, strip, filterControl, tabs, browse },
    drawHistory,
    ask,
  });
  const picking = makePicking({
    ...{ state, strip, whatIf, desk, yours, models, blind, scoreboard, answers, known },
    ...{ shown, placeOf, session, tell },
    record: (click) => server.record && clicks.put(click),
  });
  const sharing = makeSharing(guests, place, {
    draw,
    forget,
    ask,
    notice,
    say,
    follow: models.follow,
  });

  /** Where an item is in the visitor's history, or in what is tried; -1 if it is not there. */
  function placeOf(id) {
    return positionOf({ items: whatIf.items() ?? state.history.items }, id);
  }

  function leaveWhatIf() {
    protocol.overtake();
    answers.release();
    notice([]);
  }

  function ask() {
    askedAt = performance.now();
    const question = {
      ...{ ...guests.question, blind: blind.seed() },
      ...{ what_if: whatIf.request(), models: models.chosen() },
    };
    const tried = whatIf.items()?.map(({ id }) => id);
    protocol.ask({ ...question, history: yours.sent(tried ?? question.history) });
  }

  function drawHistory() {
    strip.draw(state.history, guests.guest, whatIf.shown());
    browse.markItems();
  }

  function draw() {
    drawHistory();
    filterControl.draw(guests.filter);
  }

  function adopt(answer) {
    if (guests.isShared) {
      sharing.meet(answer);
      return;
    }
    if (answer.example) return; // it is never the visitor's
    if (whatIf.isOpen()) {
      notice(answer.notices);
      return;
    }
    if (!state.adopt(answer.history, answer.filter)) return;
    notice([...cutNotices(state.history), ...answer.notices]);
    draw();
  }

  function show(answer, isLast) {
    if (answer.example && !guests.wantsExample) return; // overtaken by the visitor's own history
    // Overtaken, too: a blind test was begun or left meanwhile.
    if (answer.start === null && "blind" in answer.columns !== blind.isOn()) return;
    const ids = answer.history.map((item) => item.id);
    if (answer.example) {
      guests.meetExample(answer.example, answer.history);
      drawHistory();
    }
    const hasLists = answer.start === null;
    filterControl.show(hasLists);
    if (hasLists) tabs.markFresh();
    const isNew = shown.ids.join(" ") !== ids.join(" ");
    shown.ids = ids;
    pushes.leave();
    answers.show(answer, ids);
    const isFinal = hasLists && !answer.warming && !blind.isOn();
    how.show(answer.how, isFinal);
    if (answer.shown) models.show(answer.shown);
    const { hllm = [], baseline = [] } = answers.rows();
    scoreboard.count(models.counts(), !isFinal || (hllm.length > 0 && baseline.length > 0));
    map.mark();
    if (isLast) {
      shown.isStanding = hasLists && guests.guest === null && !answer.warming;
      speech.tellAnswer();
      scoreboard.settle();
      blind.settle();
      whenPainted(askedAt, how.painted);
      setTimeout(clicks.flush);
    }
    if (isNew) drawer.refresh();
    root.dataset.version = String(answer.version);
    root.dataset.history = answer.example ? "" : ids.join(" ");
    root.dataset.example = answer.example;
  }

  /** Tells how long it took until what has just been drawn is seen. */
  function whenPainted(since, tell) {
    requestAnimationFrame(() => setTimeout(() => tell(performance.now() - since)));
  }

  /** Details of an item, or the form in which it was written. */
  function openItem(id, pressed = null) {
    const own = yours.find(id);
    if (own) writer.reopen(own, pressed);
    else drawer.open(id, pressed);
  }

  function write(title, pressed = null) {
    if (blind.isOn()) say(tr("Both models would be named: leave the blind test first."));
    else writer.open(title, pressed);
  }

  /** Nothing is left of an item that the visitor has written. */
  function removeOwn(id) {
    desk.change(forgetItem(state.history, id));
    yours.remove(id);
    announce(tr("Removed from this browser."));
    browse.focusFirst();
  }

  const actions = {
    write: (pressed) => write(browse.missing(), pressed),
    forget: () => {
      clicks.clear();
      scoreboard.forget();
      server
        .forget({ sessions: ownSessions(session) })
        .then(({ message }) => speech.tellForgotten(message))
        .catch(() =>
          speech.tellForgotten(tr("Nothing could be deleted: the app does not answer.")),
        );
    },
    undo: () => desk.step(undo),
    redo: () => desk.step(redo),
    clear: () => desk.change(changed(state.history, [])),
    "what-if": whatIf.toggle,
    "what-if-reverse": whatIf.reverse,
    "what-if-keep": whatIf.keep,
    "what-if-back": whatIf.back,
    own: desk.begin,
    keep: () => desk.keepShared(),
    close: drawer.close,
    why: drawer.explain,
    more: () => browse.load(true),
    retry: ask,
    "reload-browse": () => browse.load(),
    "reset-search": browse.reset,
    everything: () => {
      desk.changeFilter(EVERYTHING);
      filterControl.focus();
    },
    theme: switchTheme,
    "blind-again": blind.begin,
    "leave-blind": blind.leave,
    "to-answers": () => {
      tabs.show("hllm");
      answers.focus();
    },
  };

  listenToClicks(root, (pressed) => {
    const { action, band, tab, example: name, dismiss, info, remove, view } = pressed.dataset;
    if (action) actions[action](pressed);
    else if (band) bands.toggle(band);
    else if (tab) tabs.show(tab);
    else if (name) desk.change(changed(state.history, answers.example(name)));
    else if (dismiss) captions.dismiss(dismiss);
    else if (info) openItem(info, pressed);
    else if (remove) removeOwn(remove);
    else if (view) map.choose(view);
    else if (pressed.classList.contains("item")) picking.pick(pressed);
  });
  replaceLostPictures(root);
  const search = () => {
    drawer.close();
    browse.focus();
  };
  const close = () => drawer.close() || whatIf.back() || blind.leave() || stage.leave();
  listenToKeys(root, { search, undo: actions.undo, redo: actions.redo, close });
  addEntries(menu, root.querySelector("dialog.copy"), {
    ...{ guests, place, stage, blind, yours, models, catalogs, lang },
    keep: about("keep"),
    hasServer: server.write !== undefined,
    write,
    say,
  });
  const openLinked = () => {
    const linked = linkedItem(location.hash);
    if (linked) openItem(linked);
  };
  // Pasted into the address of the open page, or gone back from.
  window.addEventListener("hashchange", () => {
    if (catalogs.follow()) return;
    if (sharing.open() || sharing.close()) {
      whatIf.back();
      ask();
    }
    openLinked();
  });

  restoreTheme();
  notice(cutNotices(state.history));
  yours.draw();
  if (!sharing.open()) draw();
  browse.load();
  ask();
  openLinked();
  if (lost)
    say(
      tr("The catalogue \u201c{lost}\u201d cannot be shown here: \u201c{name}\u201d is.", {
        lost: lost.slice(0, MAX_LOST_CHARS),
        name: place.name,
      }),
    );
}
