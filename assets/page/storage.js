// What stays in the browser. Storage can be forbidden (private windows, embedded pages): the page
// then works without it.

export function readStored(key) {
  try {
    return JSON.parse(localStorage.getItem(key) || "null");
  } catch {
    return null;
  }
}

export function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Nothing to do: what was to be stored lasts as long as the tab.
  }
}
