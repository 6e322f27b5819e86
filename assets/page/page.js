// The page: makes its parts and says what happens when something is clicked, typed or answered.

import { describeChange, makeAnnouncer } from "./announce.js";
import { makeAnswers } from "./answers.js";
import { makeBands } from "./bands.js";
import { makeBrowse } from "./browse.js";
import { makeCaptions } from "./captions.js";
import { listenToClicks } from "./clicks.js";
import { retryButton } from "./dom.js";
import { makeDrawer } from "./drawer.js";
import { EVERYTHING } from "./filter.js";
import { makeFilterControl } from "./filter_control.js";
import {
  addItem,
  changed,
  cutNotices,
  moveItem,
  positionOf,
  redo,
  removeItem,
  undo,
} from "./history.js";
import { makeHow } from "./how.js";
import { listenToKeys } from "./keys.js";
import { leaveLink, linkedItem } from "./links.js";
import { makeProtocol } from "./protocol.js";
import { makePushes } from "./pushes.js";
import { makeScoreboard } from "./scoreboard.js";
import { makeState } from "./state.js";
import { readStored, readTab, store, storeTab } from "./storage.js";
import { makeStrip } from "./strip.js";
import { makeTabs } from "./tabs.js";
import { restoreTheme, switchTheme } from "./theme.js";
import { newSession, ownSessions } from "./traces.js";

const NO_PICTURE =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 300'/%3E";

/** Whether the server answers at all, whatever its models do. */
async function isAlive() {
  try {
    await fetch("robots.txt", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    return true;
  } catch {
    return false;
  }
}

/** Runs once in a gr.HTML with what Gradio gives to its script. */
export function startPage({ element, server }) {
  const root = element.querySelector(".hllm");
  const notices = root.querySelector(".notices");
  const session = newSession();
  const storageKey = `hllm-live/${root.dataset.catalog}`;
  // A tab goes on with what it had, a new one with what any tab had last.
  const stored = readTab(storageKey) ?? readStored(storageKey);
  const state = makeState(stored, Number(root.dataset.maxHistory), (kept) => {
    storeTab(storageKey, kept);
    store(storageKey, kept);
  });

  const announce = makeAnnouncer(root.querySelector(".spoken"));
  // Until the visitor begins a history, an example is shown; but whoever follows a link wants that.
  let wantsExample = !state.isOwn && !linkedItem(location.hash);
  let example = null; // what is shown of it
  const changes = []; // what has been done since the last answer, in words
  let standing = ""; // of the recommendations, as it was last told
  const tabs = makeTabs(root);
  const answers = makeAnswers(root.querySelector(".answers"));
  const strip = makeStrip(root.querySelector(".strip"), {
    remove: (id) => change(removeItem(state.history, id)),
    move: (id, position) => change(moveItem(state.history, id, position), id),
    begin: (item) => add(item, "example"),
  });
  const captions = makeCaptions(root);
  let shownIds = []; // of the history that the lists are for
  let isStanding = false; // whether both models have answered for the visitor's history
  let askedAt = 0;
  const bandSection = root.querySelector(".bands");
  const how = makeHow(bandSection, {
    readWhole: (query) => server.whole(query),
    history: () => shownIds,
  });
  const scoreboard = makeScoreboard(bandSection, {
    judge: (pick) => server.judge(pick),
    scores: (query) => server.scores(query),
    storageKey: `${storageKey}/picks`,
  });
  const bands = makeBands(bandSection, (name) => ({ how, score: scoreboard })[name].draw());
  const pushes = makePushes(root.querySelector(".strip"), {
    fetch: (query) => server.pushes(query),
    query: () => (isShown() ? { history: shownIds, rows: answers.rows() } : null),
    mark: answers.markPushed,
  });
  const drawer = makeDrawer(root.querySelector(".drawer"), {
    fetch: (query) => server.detail(query),
    explain: (query) => server.why(query),
    history: () => shownIds,
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
  const filterControl = makeFilterControl(root.querySelector(".filter"), changeFilter, tell);
  const browseSection = root.querySelector(".browse");
  const browse = makeBrowse(browseSection, {
    fetch: (query) => server.browse(query),
    positionOf: (id) => positionOf(state.history, id),
    announce,
    storageKey: `${storageKey}/browse`,
    onCategory: filterControl.browsing,
  });
  const protocol = makeProtocol(session, {
    fetch: (request) => server.answer(request),
    setBusy: answers.setBusy,
    isAlive,
    onSilence: () => tell("The app does not answer. ", retryButton("retry")),
    onError: tell,
    onLastAnswer: adopt,
    onAnswer: show,
    askAgain: ask,
  });

  /** Whether the lists are those of the history in the strip. */
  function isShown() {
    const { items } = example ?? state.history;
    return items.map(({ id }) => id).join(" ") === shownIds.join(" ");
  }

  function ask() {
    askedAt = performance.now();
    protocol.ask(
      state.history.items.map((item) => item.id),
      state.filter,
      wantsExample,
    );
  }

  /** Say something above the recommendations, and aloud. */
  function tell(text, ...elements) {
    answers.say(text, ...elements);
    announce([...changes.splice(0), text].join(" "));
  }

  function notice(sentences) {
    notices.textContent = sentences.join(" ");
    changes.push(...sentences);
  }

  function change(history, movedId = null) {
    const before = state.history.items;
    if (!state.setHistory(history)) return;
    leaveExample();
    changes.push(describeChange(before, history.items, movedId));
    notice(cutNotices(history));
    drawHistory();
    ask();
  }

  function leaveExample() {
    if (!wantsExample) return;
    wantsExample = false;
    example = null;
    answers.forget();
  }

  /** An empty history of the visitor's own. */
  function begin() {
    leaveExample();
    state.begin();
    drawHistory();
    ask();
    tabs.show("browse");
    browse.focusFirst();
  }

  function changeFilter(filter) {
    if (!state.setFilter(filter)) return;
    changes.push("Other items are recommended.");
    notice([]);
    filterControl.draw(filter);
    ask();
  }

  function drawHistory() {
    strip.draw(state.history, example);
    browse.markItems();
  }

  function adopt(answer) {
    if (answer.example) return; // it is never the visitor's
    if (!state.adopt(answer.history, answer.filter)) return;
    notice([...cutNotices(state.history), ...answer.notices]);
    drawHistory();
    filterControl.draw(state.filter);
  }

  function show(answer, isLast) {
    if (answer.example && !wantsExample) return; // overtaken by the visitor's own history
    const ids = answer.history.map((item) => item.id);
    if (answer.example) {
      example = { name: answer.example, items: answer.history };
      drawHistory();
    }
    const hasLists = answer.start === null;
    filterControl.show(hasLists);
    if (hasLists) tabs.markFresh();
    const isNew = shownIds.join(" ") !== ids.join(" ");
    shownIds = ids;
    pushes.leave();
    answers.show(answer, ids);
    how.show(answer.how);
    if (isLast) {
      isStanding = hasLists && !answer.example && !answer.warming;
      tellChanges();
      scoreboard.settle();
      whenPainted(askedAt, how.painted);
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

  /** Beside the button, at the foot of the page, where the other line is out of sight. */
  function tellForgotten(text) {
    root.querySelector(".forgotten").textContent = text;
    announce(text);
  }

  /** An answer to the same question again, as while a model loads, is told only if it is news. */
  function tellChanges() {
    const before = standing;
    standing = answers.standing();
    if (changes.length || standing !== before) announce([...changes.splice(0), standing].join(" "));
  }

  function pick(row) {
    const { id, title, creator, source, rank } = row.dataset;
    const position = positionOf(state.history, id);
    if (position >= 0) {
      strip.flash(id);
      tell(`${title} is already number ${position + 1} of your history.`);
      return;
    }
    // The button in the drawer stands beside the cover.
    const cover = (row.querySelector("img") ?? row.closest("header").querySelector("img")).src;
    if (source === "browse" && isStanding && isShown())
      scoreboard.wait({ item: id, history: shownIds, session });
    add({ id, title, creator, cover }, source, Number(rank) || null);
  }

  /** Put an item into the history, and tell where it was found. */
  function add(item, source, rank = null) {
    change(addItem(state.history, item));
    const click = { item_id: item.id, source, rank, session };
    server.record(click).catch(() => {}); // a click that is not counted does no harm
  }

  const actions = {
    forget: () =>
      server
        .forget({ sessions: ownSessions(session) })
        .then(({ message }) => tellForgotten(message))
        .catch(() => tellForgotten("Nothing could be deleted: the app does not answer.")),
    undo: () => change(undo(state.history)),
    redo: () => change(redo(state.history)),
    clear: () => change(changed(state.history, [])),
    own: begin,
    close: drawer.close,
    why: drawer.explain,
    more: () => browse.load(true),
    retry: ask,
    "reload-browse": () => browse.load(),
    "reset-search": browse.reset,
    everything: () => {
      changeFilter(EVERYTHING);
      filterControl.focus();
    },
    theme: switchTheme,
    "to-answers": () => {
      tabs.show("hllm");
      answers.focus();
    },
  };

  listenToClicks(root, (pressed) => {
    const { action, band, tab, example: name, dismiss, info } = pressed.dataset;
    if (action) actions[action]();
    else if (band) bands.toggle(band);
    else if (tab) tabs.show(tab);
    else if (name) change(changed(state.history, answers.example(name)));
    else if (dismiss) captions.dismiss(dismiss);
    else if (info) drawer.open(info, pressed);
    else if (pressed.classList.contains("item")) pick(pressed);
  });
  // The server draws what it cannot show; this is for pictures that do not arrive at all. Errors of
  // pictures do not bubble, so they are caught on their way down.
  root.addEventListener(
    "error",
    (event) => {
      if (event.target.matches("img.cover") && event.target.src !== NO_PICTURE)
        event.target.src = NO_PICTURE;
    },
    true,
  );
  const search = () => {
    drawer.close();
    browse.focus();
  };
  const { undo: undoChange, redo: redoChange, close } = actions;
  listenToKeys(root, { search, undo: undoChange, redo: redoChange, close });
  const openLinked = () => {
    const linked = linkedItem(location.hash);
    if (linked) drawer.open(linked);
  };
  window.addEventListener("hashchange", openLinked); // pasted into the address of the open page

  restoreTheme();
  notice(cutNotices(state.history));
  drawHistory();
  filterControl.draw(state.filter);
  browse.load();
  ask();
  openLinked();
}
