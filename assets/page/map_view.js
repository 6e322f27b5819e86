// Draws the map: points by a library (WebGL), marks over them, the title of what is pointed at, and
// buttons to zoom. Loaded when the map is opened; the page gives everything that it asks.

import { node } from "./dom.js";
import { makeMarks } from "./map_marks.js";
import { decodePoints, pointSize } from "./map_points.js";
import { listenToFingers } from "./map_touch.js";
import { makeRoving } from "./roving.js";

const HOVER_MS = 60;
const ZOOM = 1.6;
const MARGIN = 1.06;
// Told apart in light and in dark; the last one is for all other categories.
const COLOURS = [
  "#3b76c4",
  "#d9772b",
  "#2f9e62",
  "#c94f5d",
  "#8a6bc4",
  "#8f7d22",
  "#2499a8",
  "#c061a6",
];
const OTHERS = "#8c8c8c";

/**
 * @param {Element} host what is in it goes away with destroy
 * @param {import("./contract.js").MapPayload} map
 * @param {ArrayBuffer} data its points
 * @param {object} page
 * @param {function(string, object=): string} page.tr translates a sentence
 * @param {function(number): Promise<?import("./contract.js").ItemPayload>} page.item of a point
 * @param {function(import("./contract.js").ItemPayload): void} page.pick
 * @param {function(): void} page.onStale the server has other points now
 */
export function makeMapView(host, map, data, page) {
  const { tr } = page;
  const canvas = node("canvas", { role: "img", "aria-label": described(map, tr) });
  const tip = node("p", { class: "map-tip", dir: "auto", hidden: "" });
  const tools = node("div", { class: "map-tools", role: "toolbar", "aria-label": tr("Zoom") });
  const marks = makeMarks();
  const frame = node("div", { class: "map-frame" }, [canvas, marks.layer, tip, tools]);
  const hint = node("p", { class: "hint" }, [explained(map, tr)]);
  host.replaceChildren(frame, key(map.categories, tr), hint);

  const colours = map.categories.map((_, number) =>
    number === map.categories.length - 1 ? OTHERS : COLOURS[number],
  );
  const size = pointSize(map.count);
  const box = frame.getBoundingClientRect();
  const isFinger = matchMedia("(pointer: coarse)").matches;
  const plot = globalThis.reglScatterplot.default({
    canvas,
    width: "auto",
    height: "auto",
    backgroundColor: hex(getComputedStyle(frame).backgroundColor),
    colorBy: "valueA",
    pointColor: colours,
    pointSize: size,
    pointSizeMouseDetection: isFinger ? 18 : Math.max(size, 6),
    pointColorHover: colours.map(() => hex(getComputedStyle(frame).color)),
    pointColorActive: colours,
    opacity: map.count > 20_000 ? 0.5 : 0.8,
    cameraDistance: MARGIN * Math.max(1, box.height / box.width),
    actionKeyMap: {}, // neither lasso nor rotation
    lassoOnLongPress: false,
    spatialIndexUseWorker: false, // it would be a script from nowhere, which the policy forbids
  });
  const camera = () => plot.get("camera");
  /** The library looks at what it is told itself, and draws again only when asked. */
  function move(change) {
    change(camera());
    plot.redraw();
  }
  const items = new Map(); // by point, as promises
  let pointed = -1;
  let timer = 0;

  function toScreen([x, y]) {
    const { width, height } = canvas.getBoundingClientRect();
    const { view } = camera();
    const across = (view[0] * x + view[12]) * (height / width);
    const up = view[5] * y + view[13];
    return [((across + 1) / 2) * width, ((1 - up) / 2) * height];
  }

  function itemOf(point) {
    if (!items.has(point)) {
      const asked = page.item(point);
      items.set(point, asked);
      asked.catch(() => items.delete(point)); // asked again next time
    }
    return items.get(point);
  }

  function moved() {
    if (canvas.clientWidth === 0) return; // hidden: there are no places on it
    marks.move(toScreen);
    if (pointed < 0 || tip.hidden) return;
    const [x, y] = plot.getScreenPosition(pointed);
    tip.style.left = `${x}px`;
    tip.style.top = `${y}px`;
    tip.classList.toggle("left", x > canvas.clientWidth / 2);
  }

  function pointAt(point) {
    leave();
    pointed = point;
    timer = setTimeout(async () => {
      try {
        const item = await itemOf(point);
        if (pointed !== point || item === null) return;
        tip.replaceChildren(node("b", {}, [item.title]), item.creator && ` ${item.creator}`);
        tip.hidden = false;
        moved();
      } catch {
        // No title then: the lists say that the app does not answer.
      }
    }, HOVER_MS);
  }

  function leave() {
    clearTimeout(timer);
    pointed = -1;
    tip.hidden = true;
  }

  async function choose({ points }) {
    plot.deselect({ preventEvent: true });
    if (points.length !== 1) return;
    try {
      const item = await itemOf(points[0]);
      if (item === null) page.onStale();
      else page.pick(item);
    } catch {
      // As above; a click on the point asks again.
    }
  }

  function button(label, title, press) {
    const made = node("button", {
      type: "button",
      class: "button icon",
      "aria-label": title,
      title,
    });
    made.textContent = label;
    made.addEventListener("click", press);
    return made;
  }

  function zoomToMarks() {
    const area = marks.area();
    if (area !== null) plot.zoomToArea(area);
  }

  function paint() {
    const { backgroundColor, color } = getComputedStyle(frame);
    plot.set({
      backgroundColor: hex(backgroundColor),
      pointColorHover: colours.map(() => hex(color)),
    });
  }

  tools.append(
    button("+", tr("Zoom in"), () => move((of) => of.scale(ZOOM))),
    button("−", tr("Zoom out"), () => move((of) => of.scale(1 / ZOOM))),
    button("⤢", tr("Whole map"), () => plot.reset()),
    button("◎", tr("Zoom to what is marked"), zoomToMarks),
  );
  makeRoving(tools, "button")();
  listenToFingers(canvas, move);
  plot.subscribe("view", moved);
  plot.subscribe("pointOver", pointAt);
  plot.subscribe("pointOut", leave);
  plot.subscribe("select", choose);
  const themes = new MutationObserver(paint);
  themes.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  const sizes = new ResizeObserver(moved);
  sizes.observe(canvas);
  plot.draw(decodePoints(data, map.count)).then(() => {
    host.dataset.points = String(map.count);
    moved();
  });

  return {
    sentence: sentenceOf(map, tr),
    mark: (found) => {
      marks.show(found);
      moved();
      host.dataset.marked = String(found.history.length);
    },
    destroy: () => {
      themes.disconnect();
      sizes.disconnect();
      plot.destroy();
      host.replaceChildren();
    },
  };
}

function sentenceOf({ count, message }, tr) {
  const values = { count: count.toLocaleString("en"), note: message };
  return message ? tr("{count} items. {note}", values) : tr("{count} items", values);
}

function described({ count }, tr) {
  return tr("Map of {count} items by their embeddings. The covers show the same items.", {
    count: count.toLocaleString("en"),
  });
}

function explained({ method }, tr) {
  const [way, user] =
    method === "UMAP"
      ? [
          tr("UMAP, which keeps neighbours together"),
          tr("the middle of the ten items nearest to it"),
        ]
      : [tr("PCA, two directions"), tr("where it is projected to")];
  return tr(
    "HLLM's item embeddings in two dimensions ({way}). Distances distort: near each other here need not be near in the model, and the other way round. The star is the user embedding, at {user}.",
    { way, user },
  );
}

/** What the colours and the marks mean. */
function key(categories, tr) {
  const entries = categories.map((name, number) => {
    const colour = number === categories.length - 1 ? OTHERS : COLOURS[number];
    const dot = node("i", { style: `background:${colour}` });
    return node("li", { dir: "auto" }, [dot, name]);
  });
  const marks = [
    ["chosen", tr("your history, in order")],
    ["of-hllm", "HLLM"],
    ["of-baseline", tr("baseline")],
    ["user", tr("user embedding")],
  ].map(([kind, text]) => node("li", {}, [node("i", { class: kind }), text]));
  return node("ul", { class: "map-key" }, [...marks, ...entries]);
}

/** A colour as the library reads it. */
function hex(colour) {
  const parts = colour.match(/\d+/g).slice(0, 3).map(Number);
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}
