// Entries of a list that can be dragged to the place of another: by a mouse, and by a finger that
// rests on one first.

const HOLD_MS = 300; // a finger that moves before scrolls the list
const STILL_PX = 8;
const EDGE_PX = 44; // near an end of the list it scrolls
const EDGE_STEP_PX = 10;

/**
 * @param {Element} list of li with an id in their data
 * @param {function(string, ?string): void} drop is given what was dragged and where it was dropped,
 *   null beside all entries
 */
export function makeDraggable(list, drop) {
  let dragged = null;

  const drag = {
    isOn: () => dragged !== null,

    start(entry) {
      dragged = entry.dataset.id;
      entry.classList.add("dragged");
    },

    over(entry) {
      for (const child of list.children) child.classList.toggle("drop-here", child === entry);
    },

    drop(entry) {
      drop(dragged, entry?.dataset.id ?? null);
    },

    end() {
      dragged = null;
      for (const child of list.children) child.classList.remove("dragged", "drop-here");
    },
  };

  list.addEventListener("dragstart", (event) => {
    const entry = event.target.closest("li");
    if (!entry) return;
    drag.start(entry);
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
  });
  list.addEventListener("dragover", (event) => {
    if (!drag.isOn()) return;
    event.preventDefault();
    drag.over(event.target.closest("li"));
  });
  list.addEventListener("drop", (event) => {
    if (!drag.isOn()) return;
    event.preventDefault();
    drag.drop(event.target.closest("li"));
  });
  list.addEventListener("dragend", drag.end);
  dragByFinger(list, drag);
}

/** Browsers drag by touch in different ways, or not at all. */
function dragByFinger(list, drag) {
  let hold = 0;
  let from = null; // where the finger came down, null while there is none
  let entry = null; // below the finger

  function leave() {
    clearTimeout(hold);
    from = null;
    if (drag.isOn()) drag.end();
  }

  list.addEventListener(
    "touchstart",
    (event) => {
      leave();
      entry = event.target.closest("li");
      if (event.touches.length > 1 || entry?.getAttribute("draggable") !== "true") return;
      from = event.touches[0];
      hold = setTimeout(drag.start, HOLD_MS, entry);
    },
    { passive: true },
  );
  list.addEventListener(
    "touchmove",
    (event) => {
      if (from === null) return;
      const finger = event.touches[0];
      if (!drag.isOn()) {
        const moved = Math.hypot(finger.clientX - from.clientX, finger.clientY - from.clientY);
        if (moved > STILL_PX) leave();
        return;
      }
      event.preventDefault(); // or the list would scroll
      const below = document.elementFromPoint(finger.clientX, finger.clientY)?.closest("li");
      entry = list.contains(below) ? below : null;
      drag.over(entry);
      list.scrollLeft += scrollStep(list.getBoundingClientRect(), finger.clientX);
    },
    { passive: false },
  );
  list.addEventListener("touchend", (event) => {
    if (from === null) return;
    if (drag.isOn()) {
      event.preventDefault(); // no click follows
      if (entry?.classList.contains("drop-here")) drag.drop(entry);
    }
    leave();
  });
  list.addEventListener("touchcancel", leave);
  // A finger that rests would open the menu of a link, or begin the browser's own drag.
  for (const kind of ["contextmenu", "dragstart"])
    list.addEventListener(
      kind,
      (event) => {
        if (from === null) return;
        event.preventDefault();
        event.stopImmediatePropagation();
      },
      true,
    );
}

/** How far a list scrolls while something is dragged to one of its ends. */
function scrollStep({ left, right }, x) {
  if (x < left + EDGE_PX) return -EDGE_STEP_PX;
  return x > right - EDGE_PX ? EDGE_STEP_PX : 0;
}
