// Which clicks count: not those that end a drag, nor those on what has changed under the pointer.

const SETTLE_MS = 400;
const DRAG_PX = 5;
const PRESSABLE = "button, a[data-id]";

/**
 * Gives a function that is told the rows of a list whenever they are drawn. A row that was not
 * there before takes no click for a moment: the click was meant for what stood in its place.
 * @param {function(Element): string} keyOf tells rows apart
 */
export function makeSettling(keyOf) {
  const timers = new WeakMap(); // by row
  let before = null; // nothing has been drawn yet, so nothing else can have been meant
  return (rows) => {
    const now = performance.now();
    const drawn = rows.map((row, index) => {
      const key = keyOf(row);
      const known = before === null || before[index]?.key === key;
      return { key, at: known ? (before?.[index].at ?? -SETTLE_MS) : now };
    });
    rows.forEach((row, index) => {
      const left = drawn[index].at + SETTLE_MS - now;
      if (left <= 0) return;
      row.classList.add("settling");
      clearTimeout(timers.get(row));
      timers.set(
        row,
        setTimeout(() => row.classList.remove("settling"), left),
      );
    });
    before = drawn;
  };
}

/**
 * Listens to buttons, and to links that do something here and open an item in a tab of their own.
 * @param {Element} root
 * @param {function(Element): void} act is given what was clicked
 */
export function listenToClicks(root, act) {
  let down = null;

  function ends(event) {
    if (!event.detail || down === null) return false; // by keyboard or script
    return Math.hypot(event.clientX - down.x, event.clientY - down.y) > DRAG_PX;
  }

  root.addEventListener(
    "pointerdown",
    (event) => {
      down = { x: event.clientX, y: event.clientY };
    },
    true,
  );
  // On its way down, so that no other listener sees a click that does not count.
  root.addEventListener(
    "click",
    (event) => {
      const pressed = event.target.closest(PRESSABLE);
      if (!pressed) return;
      const isLink = pressed.matches("a");
      if (isLink && (event.ctrlKey || event.metaKey || event.shiftKey)) {
        event.stopPropagation(); // the browser opens the item
        return;
      }
      if (isLink) event.preventDefault();
      if (ends(event) || pressed.closest(".settling")) event.stopPropagation();
    },
    true,
  );
  root.addEventListener("click", (event) => {
    const pressed = event.target.closest(PRESSABLE);
    if (pressed) act(pressed);
  });
  root.addEventListener("keydown", (event) => {
    // Links are pressed by Enter alone, buttons by the space bar, too.
    if (event.key !== " " || !event.target.matches("a[data-id]")) return;
    event.preventDefault();
    event.target.click();
  });
}
