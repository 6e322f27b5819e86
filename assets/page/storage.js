// What stays in the browser. Storage can be forbidden (private windows, embedded pages): the page
// then works without it.

export function readStored(key) {
  try {
    return parsed(localStorage.getItem(key));
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

/** What this tab stored: it lasts as long as the tab, through reloads. */
export function readTab(key) {
  try {
    return parsed(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

export function storeTab(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // As above.
  }
}

function parsed(text) {
  return JSON.parse(text || "null");
}
