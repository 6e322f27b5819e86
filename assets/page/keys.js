// Keys that work everywhere on the page, except while something is typed.

const TYPING = 'input:not([type="range"]), select, textarea';

/**
 * @param {Element} root of the page; when it is gone, so are the keys
 * @param {{search: function(), undo: function(), redo: function(), close: function()}} acts
 */
export function listenToKeys(root, acts) {
  function onKey(event) {
    if (!root.isConnected) {
      document.removeEventListener("keydown", onKey);
      return;
    }
    if (event.target.closest?.(TYPING)) return;
    const act = actOf(event);
    if (act === null) return;
    acts[act]();
    event.preventDefault();
  }
  document.addEventListener("keydown", onKey);
}

/** What a key does: search, undo, redo, close or null. */
export function actOf(event) {
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (key === "escape") return "close";
  if (key === "/" && !command) return "search";
  if (key === "z" && command) return event.shiftKey ? "redo" : "undo";
  return null;
}
