// A plot of the session's latencies: lines in milliseconds over clicks, as SVG.

import { node } from "./dom.js";
import { marked, tr } from "./language.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 72;
const LOWEST = 0.1; // milliseconds
const NAMES = { browser: marked("browser"), server: marked("server"), model: marked("model") };

/** Where a value stands on a logarithmic scale up to a power of ten, from 0 at the bottom to 1. */
export function heightOf(value, top) {
  const share = Math.log10(Math.max(value, LOWEST) / LOWEST) / Math.log10(top / LOWEST);
  return Math.min(share, 1);
}

/** The next power of ten, one above the lowest at least. */
export function ceiling(value) {
  return 10 ** Math.max(Math.ceil(Math.log10(value)), Math.log10(LOWEST) + 1);
}

/** Points of a line, for the attribute of that name; values that are missing leave a gap. */
export function pointsOf(values, top) {
  const step = WIDTH / Math.max(values.length - 1, 1);
  return values
    .map((value, at) => [at * step, value])
    .filter(([, value]) => Number.isFinite(value))
    .map(([x, value]) => `${x.toFixed(1)},${(HEIGHT * (1 - heightOf(value, top))).toFixed(1)}`)
    .join(" ");
}

/** The middle value; NaN without any. */
export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((one, other) => one - other);
  const half = sorted.length / 2;
  if (!sorted.length) return Number.NaN;
  return sorted.length % 2 ? sorted[half - 0.5] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * @param {Object<string, number[]>} series milliseconds of every click, by name, oldest first; one
 *   that is never known is left out
 * @returns {Element[]} a picture and its legend
 */
export function drawPlot(series) {
  const lines = Object.entries(series).filter(([, values]) => values.some(Number.isFinite));
  const all = Object.values(series).flat().filter(Number.isFinite);
  const top = ceiling(Math.max(...all));
  const shape = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const picture = shape("svg", {
    viewBox: `-2 -4 ${WIDTH + 4} ${HEIGHT + 8}`,
    "aria-hidden": "true",
  });
  const decades = Math.round(Math.log10(top / LOWEST));
  for (let decade = 0; decade <= decades; decade += 1) {
    const y = (HEIGHT * decade) / decades;
    picture.append(shape("line", { x1: 0, x2: WIDTH, y1: y, y2: y, class: "axis" }));
  }
  for (const [name, values] of lines) {
    const points = pointsOf(values, top);
    picture.append(shape("polyline", { points, class: `line-${name}` }));
    const last = points.split(" ").at(-1).split(",");
    if (last.length === 2)
      picture.append(shape("circle", { cx: last[0], cy: last[1], r: 3, class: `line-${name}` }));
  }
  const legend = lines.map(([name, values]) =>
    node("li", { class: `legend-${name}` }, [
      tr("{name} {last}, median {median}", {
        name: tr(NAMES[name]),
        last: milliseconds(values.at(-1)),
        median: milliseconds(median(values)),
      }),
    ]),
  );
  return [
    picture,
    node("p", { class: "scale" }, [
      tr("{low} to {high} ms, each line ten times the one below", {
        low: LOWEST,
        high: top.toLocaleString("en"),
      }),
    ]),
    node("ul", { class: "legend" }, legend),
  ];
}

/** Milliseconds for people: one decimal below ten. */
export function milliseconds(value) {
  if (!Number.isFinite(value)) return "\u2013";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
