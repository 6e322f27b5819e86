// The address of an item: what stands behind "#" in the address of the page. Of the same form as in
// app/render.py.

/** @param {string} id of an item */
export function linkOf(id) {
  return `#item=${encodeURIComponent(id)}`;
}

/** The address of the page alone, if it names an item. */
export function leaveLink() {
  if (!linkedItem(location.hash)) return;
  window.history.replaceState(window.history.state, "", location.pathname + location.search);
}

/**
 * The item that an address names, "" if none.
 * @param {string} hash
 */
export function linkedItem(hash) {
  return new URLSearchParams(hash.slice(1)).get("item") || "";
}
