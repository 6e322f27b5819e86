// One tab stop for a list of many: within it, arrow keys, Home and End move the focus. The info
// button beside the item that has the focus is the stop that follows.

/**
 * Gives a function that is called whenever the list was drawn.
 * @param {Element} container
 * @param {string} selector of what takes the focus in it
 */
export function makeRoving(container, selector) {
  let current = 0;

  const all = () => [...container.querySelectorAll(selector)];

  function refresh() {
    const items = all();
    current = Math.max(0, Math.min(current, items.length - 1));
    items.forEach((item, index) => {
      setStop(item, index === current);
    });
  }

  container.addEventListener("focusin", (event) => {
    const focused = event.target.closest(selector);
    if (!focused) return;
    const items = all();
    if (items[current]) setStop(items[current], false);
    setStop(focused, true);
    current = items.indexOf(focused);
  });
  container.addEventListener("keydown", (event) => {
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = all();
    const from = items.indexOf(event.target);
    const to = from < 0 ? undefined : target(event.key, from, items);
    if (to === undefined) return;
    event.preventDefault();
    items[Math.max(0, Math.min(to, items.length - 1))].focus();
  });
  return refresh;
}

function setStop(item, isStop) {
  const info = item.parentElement.querySelector(":scope > .info");
  for (const stop of info ? [item, info] : [item]) stop.tabIndex = isStop ? 0 : -1;
}

function target(key, from, items) {
  if (key === "Home") return 0;
  if (key === "End") return items.length - 1;
  if (key === "ArrowRight") return from + 1;
  if (key === "ArrowLeft") return from - 1;
  if (key === "ArrowDown") return from + perRow(items);
  if (key === "ArrowUp") return from - perRow(items);
  return undefined;
}

/** How many items stand beside each other. */
function perRow(items) {
  const top = (item) => Math.round(item.getBoundingClientRect().top);
  const first = top(items[0]);
  const next = items.findIndex((item) => top(item) !== first);
  return next < 0 ? items.length : next;
}
