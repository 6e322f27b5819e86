// What is marked on the map, over its points: the history as a path in its order, what both models
// recommend, and where the user embedding is.

const ROOM = 0.02; // beside what is marked, of a map from -1 to 1
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

/** A mark that is moved as a whole: drawn around 0, 0. */
function mark(kind, children) {
  const made = shape("g", { class: `mark ${kind}` });
  made.append(...children);
  return made;
}

const star = () =>
  shape("path", { d: "M0-11 3-4 10-3.5 4.8 1.2 6.5 9 0 4.8-6.5 9-4.8 1.2-10-3.5-3-4Z" });
const circle = (r) => shape("circle", { r });
const square = (half) => shape("rect", { x: -half, y: -half, width: 2 * half, height: 2 * half });

/** The layer, and what draws into it. */
export function makeMarks() {
  const layer = shape("svg", { class: "map-marks", "aria-hidden": "true" });
  let path = null;
  let pathPlaces = [];
  let placed = []; // [mark, place]

  /** @param {import("./contract.js").MapMarksPayload} found */
  function show(found) {
    const chosen = found.history
      .map((place, index) => ({ place, number: index + 1 }))
      .filter(({ place }) => place !== null);
    pathPlaces = chosen.map(({ place }) => place);
    path = shape("polyline", { class: "way" });
    placed = [];
    for (const [column, places] of Object.entries(found.rows)) {
      const make = column === "hllm" ? () => circle(8) : () => square(6);
      for (const place of places)
        if (place !== null) placed.push([mark(`of-${column}`, [make()]), place]);
    }
    for (const { place, number } of chosen) {
      const parts = [circle(9), shape("text", { y: "3.5" }, String(number))];
      placed.push([mark("chosen", parts), place]);
    }
    if (found.user !== null) placed.push([mark("user", [star()]), found.user]);
    layer.replaceChildren(path, ...placed.map(([made]) => made));
  }

  /** @param {function(number[]): number[]} toScreen from a place to pixels of the layer */
  function move(toScreen) {
    if (path === null) return;
    path.setAttribute("points", pathPlaces.map((place) => toScreen(place).join(",")).join(" "));
    for (const [made, place] of placed)
      made.setAttribute("transform", `translate(${toScreen(place).join(" ")})`);
  }

  /** What holds all marks, with a margin; null where there are none. */
  function area() {
    if (placed.length === 0) return null;
    const [xs, ys] = [0, 1].map((axis) => placed.map(([, place]) => place[axis]));
    const [x, y] = [Math.min(...xs) - ROOM, Math.min(...ys) - ROOM];
    return { x, y, width: Math.max(...xs) + ROOM - x, height: Math.max(...ys) + ROOM - y };
  }

  return { layer, show, move, area };
}
