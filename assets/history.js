// The history of one visitor: pure state, no page. It lives in the browser and nowhere else.
// Loaded before page.js into the same function, so that what is declared here is known there.

const MAX_HISTORY = 50;
const MAX_UNDO = 100;

// items: [{id, title, creator, cover}], oldest first; past and future: earlier and undone lists.
function emptyHistory() {
  return { items: [], past: [], future: [] };
}

function changed(history, items) {
  return {
    items: items.slice(-MAX_HISTORY),
    past: [...history.past, history.items].slice(-MAX_UNDO),
    future: [],
  };
}

function positionOf(history, id) {
  return history.items.findIndex((item) => item.id === id);
}

function addItem(history, item) {
  return positionOf(history, item.id) >= 0 ? history : changed(history, [...history.items, item]);
}

function removeItem(history, id) {
  return changed(history, history.items.filter((item) => item.id !== id));
}

function moveItem(history, id, position) {
  const from = positionOf(history, id);
  const to = Math.max(0, Math.min(position, history.items.length - 1));
  if (from < 0 || from === to) return history;
  const items = history.items.filter((item) => item.id !== id);
  items.splice(to, 0, history.items[from]);
  return changed(history, items);
}

function undo(history) {
  if (!history.past.length) return history;
  return {
    items: history.past[history.past.length - 1],
    past: history.past.slice(0, -1),
    future: [...history.future, history.items],
  };
}

function redo(history) {
  if (!history.future.length) return history;
  return {
    items: history.future[history.future.length - 1],
    past: [...history.past, history.items],
    future: history.future.slice(0, -1),
  };
}

// Storage can be forbidden (private windows, embedded pages): the page then works without it.
function readStored(key) {
  try {
    return JSON.parse(localStorage.getItem(key) || "null");
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Nothing to do: the history lasts as long as the tab.
  }
}

// What was stored is shown at once; the server's answer then corrects titles and covers.
function storedHistory(key) {
  const stored = readStored(key);
  const items = stored && Array.isArray(stored.history) ? stored.history : [];
  const valid = items.filter((item) => item && typeof item.id === "string");
  return { ...emptyHistory(), items: valid.slice(-MAX_HISTORY) };
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
