// Entries of a list that can be dragged to the place of another.

/**
 * @param {Element} list of li with an id in their data
 * @param {function(string, ?string): void} drop is given what was dragged and where it was dropped,
 *   null beside all entries
 */
export function makeDraggable(list, drop) {
  let dragged = null;

  list.addEventListener("dragstart", (event) => {
    const entry = event.target.closest("li");
    if (!entry) return;
    dragged = entry.dataset.id;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
    entry.classList.add("dragged");
  });
  list.addEventListener("dragover", (event) => {
    if (dragged === null) return;
    event.preventDefault();
    const over = event.target.closest("li");
    for (const child of list.children) child.classList.toggle("drop-here", child === over);
  });
  list.addEventListener("drop", (event) => {
    if (dragged === null) return;
    event.preventDefault();
    drop(dragged, event.target.closest("li")?.dataset.id ?? null);
  });
  list.addEventListener("dragend", () => {
    dragged = null;
    for (const child of list.children) child.classList.remove("dragged", "drop-here");
  });
}
