// The page of HLLM Live. Runs once in a gr.HTML (element, trigger, props, server, watch), after
// history.js, strip.js and filter.js in the same function. HTML strings come escaped from app/render*.py.

const root = element.querySelector(".hllm");
const one = (selector) => root.querySelector(selector);
const all = (selector) => [...root.querySelectorAll(selector)];
const storageKey = `hllm-live/${root.dataset.catalog}`;
const session = randomId();
const SEARCH_DELAY_MS = 120;
const WARM_UP_POLL_MS = 1000;
const ANSWER_LIMIT_MS = 15000;

let history = storedHistory(storageKey);
let filter = storedFilter(storageKey);
let version = 0;
let examples = {};
let shown = { ids: null, filter, ranks: {} };
let watchdog = 0;
let warmUp = 0;

const strip = makeStrip(one(".history"), (verb, id, position) => {
  change(verb === "remove" ? removeItem(history, id) : moveItem(history, id, position));
});

const filterControl = makeFilter(one(".filter"), changeFilter);

// ---- history and filter -> server -> columns ----

function change(next) {
  if (next === history) return;
  history = next;
  one(".notices").textContent = "";
  drawHistory();
  save();
  ask();
}

function changeFilter(next) {
  if (sameFilter(next, filter)) return;
  filter = next;
  one(".notices").textContent = "";
  filterControl.draw(filter);
  save();
  ask();
}

function save() {
  store(storageKey, { history: history.items, filter });
}

function ask() {
  version += 1;
  clearTimeout(warmUp);
  clearTimeout(watchdog);
  watchdog = setTimeout(noAnswer, ANSWER_LIMIT_MS);
  one(".answers").setAttribute("aria-busy", "true");
  props.value = { version, history: history.items.map((item) => item.id), filter, session };
  trigger("recompute");
}

function noAnswer() {
  say("The app does not answer. ", node("button", { type: "button", class: "button", "data-action": "retry" }, ["Try again"]));
}

function receive(answer) {
  if (!answer || typeof answer.version !== "number") return;
  const last = answer.version === version;
  if (answer.error) {
    clearTimeout(watchdog);
    one(".answers").setAttribute("aria-busy", "false");
    return say(answer.error);
  }
  const ids = answer.history.map((item) => item.id);
  if (last) {
    clearTimeout(watchdog);
    one(".answers").setAttribute("aria-busy", "false");
    adopt(answer.history, answer.filter, answer.notices);
    if (answer.warming) warmUp = setTimeout(ask, WARM_UP_POLL_MS);
  }
  if (answer.start !== null) showStart(answer);
  else showColumns(answer, ids);
  one(".agreement").textContent = answer.agreement;
  say(answer.live);
  root.dataset.version = String(answer.version);
  root.dataset.history = ids.join(" ");
  markItems();
}

// The server knows which items and categories exist, and titles and covers after a reload.
function adopt(items, known, notices) {
  const same = sameFilter(known, filter) && items.length === history.items.length
    && items.every((item, index) => item.id === history.items[index].id
      && item.title === history.items[index].title && item.cover === history.items[index].cover);
  if (same) return;
  history = { ...history, items };
  filter = known;
  one(".notices").textContent = notices.join(" ");
  drawHistory();
  filterControl.draw(filter);
  save();
}

function showStart(answer) {
  one(".start").innerHTML = answer.start;
  one(".start").hidden = false;
  one(".columns").hidden = true;
  filterControl.show(false);
  examples = Object.fromEntries(answer.examples.map((example) => [example.name, example.items]));
  shown = { ids: null, filter, ranks: {} };
}

function showColumns(answer, ids) {
  // Moves are against the list before, unless another filter made that.
  const compare = shown.ids !== null && shown.ids.join(" ") !== ids.join(" ")
    && sameFilter(shown.filter, answer.filter);
  const ranks = {};
  for (const column of all(".column")) {
    const key = column.dataset.column;
    const focusedAt = [...column.querySelectorAll(".rec")].indexOf(document.activeElement);
    column.innerHTML = answer.columns[key];
    const rows = [...column.querySelectorAll(".rec")];
    ranks[key] = Object.fromEntries(rows.map((row) => [row.dataset.id, Number(row.dataset.rank)]));
    if (compare && shown.ranks[key]) rows.forEach((row) => markMove(row, shown.ranks[key]));
    if (focusedAt >= 0 && rows.length) rows[Math.min(focusedAt, rows.length - 1)].focus({ preventScroll: true });
  }
  one(".start").hidden = true;
  one(".start").replaceChildren();
  one(".columns").hidden = false;
  filterControl.show(true);
  shown = { ids, filter: answer.filter, ranks };
  all(".tabs [data-tab]").forEach((tab) => {
    if (tab.dataset.tab !== root.dataset.pane && tab.dataset.tab !== "browse") tab.classList.add("fresh");
  });
}

function markMove(row, before) {
  const mark = row.querySelector(".move");
  const from = before[row.dataset.id];
  const step = from - Number(row.dataset.rank);
  if (from === undefined) {
    mark.textContent = "new";
    row.classList.add("arrived");
  } else if (step > 0) mark.textContent = `\u25b2${step}`;
  else if (step < 0) mark.textContent = `\u25bc${-step}`;
  else return;
  mark.className = `move ${from === undefined ? "new" : step > 0 ? "up" : "down"}`;
}

function say(...parts) {
  const status = one(".status");
  if (parts.length > 1 || status.textContent !== parts[0]) status.replaceChildren(...parts);
}

function drawHistory() {
  const count = history.items.length;
  strip.draw(history.items);
  one(".strip-count").textContent = count ? String(count) : "";
  one(".strip-empty").hidden = count > 0;
  one('[data-action="undo"]').disabled = !history.past.length;
  one('[data-action="redo"]').disabled = !history.future.length;
  one('[data-action="clear"]').disabled = !count;
  markItems();
}

function markItems() {
  for (const item of all(".browse .item")) {
    const position = positionOf(history, item.dataset.id);
    if (position < 0) item.removeAttribute("data-position");
    else item.setAttribute("data-position", String(position + 1));
  }
}

function pick(button) {
  const id = button.dataset.id;
  const position = positionOf(history, id);
  if (position >= 0) {
    strip.flash(id);
    say(`${button.dataset.title} is already number ${position + 1} of your history.`);
    return;
  }
  change(addItem(history, {
    id,
    title: button.dataset.title,
    creator: button.dataset.creator,
    cover: button.querySelector("img").src,
  }));
  const rank = Number(button.dataset.rank) || null;
  server.record({ item_id: id, source: button.dataset.source, rank, session }).catch(() => {});
}

// ---- catalogue ----

let browseVersion = 0;
let nextCursor = null;
let searchTimer = 0;

async function browse(more = false) {
  browseVersion += 1;
  const mine = browseVersion;
  const grid = one(".grid");
  grid.setAttribute("aria-busy", "true");
  try {
    const page = await server.browse({
      text: one(".search").value,
      category: one(".category").value,
      sort: one(".sort").value,
      cursor: more ? nextCursor : null,
    });
    if (mine !== browseVersion) return; // a later request was made meanwhile
    if (more) grid.insertAdjacentHTML("beforeend", page.html);
    else grid.innerHTML = page.html;
    nextCursor = page.cursor;
    one('[data-action="more"]').hidden = !nextCursor;
    one(".browse-count").textContent = page.count;
    grid.dataset.version = String(mine);
    markItems();
  } catch {
    if (mine !== browseVersion) return;
    one(".browse-count").replaceChildren("The catalogue does not answer. ",
      node("button", { type: "button", class: "button", "data-action": "reload-browse" }, ["Try again"]));
  } finally {
    if (mine === browseVersion) grid.setAttribute("aria-busy", "false");
  }
}

// ---- events ----

const actions = {
  undo: () => change(undo(history)),
  redo: () => change(redo(history)),
  clear: () => change(changed(history, [])),
  more: () => browse(true),
  retry: ask,
  "reload-browse": () => browse(),
  "reset-search": () => {
    one(".search").value = "";
    one(".category").value = "";
    browse();
    one(".search").focus();
  },
  everything: () => {
    changeFilter(EVERYTHING);
    filterControl.focus();
  },
  theme: () => {
    const dark = document.body.classList.toggle("dark");
    store("hllm-live/theme", dark ? "dark" : "light");
  },
};

function showPane(pane) {
  root.dataset.pane = pane;
  for (const tab of all(".tabs [data-tab]")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.tab === pane));
    if (tab.dataset.tab === pane) tab.classList.remove("fresh");
  }
  window.scrollTo({ top: 0 });
}

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.action) actions[button.dataset.action]();
  else if (button.dataset.tab) showPane(button.dataset.tab);
  else if (button.dataset.example) change(changed(history, examples[button.dataset.example] || []));
  else if (button.classList.contains("item")) pick(button);
});

one(".search").addEventListener("input", () => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(() => browse(), SEARCH_DELAY_MS);
});
one(".category").addEventListener("change", () => {
  filterControl.browsing(one(".category").value);
  browse();
});
one(".sort").addEventListener("change", () => browse());

function onKey(event) {
  if (!root.isConnected) return document.removeEventListener("keydown", onKey);
  if (event.target.closest?.("input, select, textarea")) return;
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (key === "/" && !command) one(".search").focus();
  else if (command && key === "z") actions[event.shiftKey ? "redo" : "undo"]();
  else return;
  event.preventDefault();
}
document.addEventListener("keydown", onKey);

watch("answer", () => receive(props.answer));

const theme = readStored("hllm-live/theme");
if (theme) document.body.classList.toggle("dark", theme === "dark");
drawHistory();
filterControl.draw(filter);
browse();
ask();
