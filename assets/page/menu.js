// The menu behind "⋯": what is needed now and then. Other modules add their entries.

import { node } from "./dom.js";

/**
 * @typedef {object} MenuEntry
 * @property {string} label says what it does
 * @property {function(): void} act does it; the menu is closed by then, the keyboard on its button
 * @property {function(): boolean} [checked] whether it is switched on; left out where that says nothing
 * @property {string} [lang] of the label, where it is not that of the page
 */

/** @param {Element} section with a button, and an empty list that it opens */
export function makeMenu(section) {
  const button = section.querySelector("button");
  const list = section.querySelector('[role="menu"]');
  const entries = [];

  /** @param {MenuEntry} entry goes to the end of the menu */
  function add(entry) {
    entries.push(entry);
  }

  const isOpen = () => !list.hidden;

  /** @param {number} at which entry the keyboard goes to; -1 is the last one */
  function open(at = 0) {
    list.replaceChildren(...entries.map(drawn)); // what is switched on may have changed
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    list.children[at < 0 ? list.children.length - 1 : at]?.focus();
    document.addEventListener("pointerdown", closeBeside, true);
  }

  function drawn({ label, act, checked, lang }) {
    const role = checked ? "menuitemcheckbox" : "menuitem";
    const item = node("button", { type: "button", role, tabindex: "-1" }, [label]);
    if (lang) item.lang = lang;
    if (checked) item.setAttribute("aria-checked", String(checked()));
    item.addEventListener("click", () => {
      close();
      act();
    });
    return item;
  }

  function close() {
    if (!isOpen()) return;
    const hadFocus = list.contains(document.activeElement);
    list.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", closeBeside, true);
    if (hadFocus) button.focus({ preventScroll: true });
  }

  function closeBeside(event) {
    if (!section.contains(event.target)) close();
  }

  button.addEventListener("click", () => (isOpen() ? close() : open()));
  button.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    open(event.key === "ArrowUp" ? -1 : 0);
  });
  section.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !isOpen()) return;
    event.stopPropagation(); // or it would close the drawer, too
    close();
  });
  list.addEventListener("keydown", (event) => {
    const items = [...list.children];
    const to = entryAt(event.key, items.indexOf(event.target), items.length);
    if (event.key === "Tab") close(); // and on from the button
    if (to === undefined) return;
    event.preventDefault();
    items[to].focus();
  });

  return { add };
}

/** Where a key moves the keyboard, in a list that has no end. */
function entryAt(key, from, count) {
  if (key === "ArrowDown") return (from + 1) % count;
  if (key === "ArrowUp") return (from - 1 + count) % count;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  return undefined;
}
