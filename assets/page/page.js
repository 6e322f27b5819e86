// The page: makes its parts and says what happens when something is clicked, typed or answered.

import { makeAnswers } from "./answers.js";
import { makeBrowse } from "./browse.js";
import { listenToClicks } from "./clicks.js";
import { retryButton } from "./dom.js";
import { EVERYTHING } from "./filter.js";
import { makeFilterControl } from "./filter_control.js";
import { addItem, changed, moveItem, positionOf, redo, removeItem, undo } from "./history.js";
import { listenToKeys } from "./keys.js";
import { makeProtocol, randomId } from "./protocol.js";
import { makeState } from "./state.js";
import { readStored, store } from "./storage.js";
import { makeStrip } from "./strip.js";
import { makeTabs } from "./tabs.js";
import { restoreTheme, switchTheme } from "./theme.js";

const NO_PICTURE =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 300'/%3E";

/** Runs once in a gr.HTML with what Gradio gives to its script. */
export function startPage({ element, trigger, props, server, watch }) {
  const root = element.querySelector(".hllm");
  const notices = root.querySelector(".notices");
  const session = randomId();
  const storageKey = `hllm-live/${root.dataset.catalog}`;
  const state = makeState(readStored(storageKey), Number(root.dataset.maxHistory), (kept) =>
    store(storageKey, kept),
  );

  const tabs = makeTabs(root);
  const answers = makeAnswers(root.querySelector(".answers"));
  const strip = makeStrip(root.querySelector(".strip"), {
    remove: (id) => change(removeItem(state.history, id)),
    move: (id, position) => change(moveItem(state.history, id, position)),
  });
  const filterControl = makeFilterControl(root.querySelector(".filter"), changeFilter);
  const browse = makeBrowse(root.querySelector(".browse"), {
    fetch: (query) => server.browse(query),
    positionOf: (id) => positionOf(state.history, id),
    onCategory: filterControl.browsing,
  });
  const protocol = makeProtocol(session, {
    send: (request) => {
      props.value = request;
      trigger("recompute");
    },
    setBusy: answers.setBusy,
    onSilence: () => answers.say("The app does not answer. ", retryButton("retry")),
    onError: answers.say,
    onLastAnswer: adopt,
    onAnswer: show,
    askAgain: ask,
  });

  function ask() {
    protocol.ask(
      state.history.items.map((item) => item.id),
      state.filter,
    );
  }

  function change(history) {
    if (!state.setHistory(history)) return;
    notices.textContent = "";
    drawHistory();
    ask();
  }

  function changeFilter(filter) {
    if (!state.setFilter(filter)) return;
    notices.textContent = "";
    filterControl.draw(filter);
    ask();
  }

  function drawHistory() {
    strip.draw(state.history);
    browse.markItems();
  }

  function adopt(answer) {
    if (!state.adopt(answer.history, answer.filter)) return;
    notices.textContent = answer.notices.join(" ");
    drawHistory();
    filterControl.draw(state.filter);
  }

  function show(answer) {
    const ids = answer.history.map((item) => item.id);
    const hasLists = answer.start === null;
    filterControl.show(hasLists);
    if (hasLists) tabs.markFresh();
    answers.show(answer, ids);
    root.dataset.version = String(answer.version);
    root.dataset.history = ids.join(" ");
  }

  function pick(row) {
    const { id, title, creator, source, rank } = row.dataset;
    const position = positionOf(state.history, id);
    if (position >= 0) {
      strip.flash(id);
      answers.say(`${title} is already number ${position + 1} of your history.`);
      return;
    }
    const cover = row.querySelector("img").src;
    change(addItem(state.history, { id, title, creator, cover }));
    const click = { item_id: id, source, rank: Number(rank) || null, session };
    server.record(click).catch(() => {}); // a click that is not counted does no harm
  }

  const actions = {
    undo: () => change(undo(state.history)),
    redo: () => change(redo(state.history)),
    clear: () => change(changed(state.history, [])),
    more: () => browse.load(true),
    retry: ask,
    "reload-browse": () => browse.load(),
    "reset-search": browse.reset,
    everything: () => {
      changeFilter(EVERYTHING);
      filterControl.focus();
    },
    theme: switchTheme,
  };

  listenToClicks(root, (pressed) => {
    const { action, tab, example } = pressed.dataset;
    if (action) actions[action]();
    else if (tab) tabs.show(tab);
    else if (example) change(changed(state.history, answers.example(example)));
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
  listenToKeys(root, { search: browse.focus, undo: actions.undo, redo: actions.redo });
  watch("answer", () => protocol.receive(props.answer));

  restoreTheme();
  drawHistory();
  filterControl.draw(state.filter);
  browse.load();
  ask();
}
