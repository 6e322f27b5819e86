// The map beside the covers: the same items as points. What draws it (map_view.js) and the points are
// loaded when it is opened for the first time. The covers are what keyboard and screen reader use.

import { node } from "./dom.js";
import { marked, tr } from "./language.js";
import { makeRoving } from "./roving.js";

const ASK_AGAIN_MS = 1000;
const COVERS_HOLD_ALL = marked("The covers show the same items.");

/**
 * @param {Element} section the half of the page with the catalogue
 * @param {object} page
 * @param {function(object): Promise<import("./contract.js").MapPayload>} page.open
 * @param {function(import("./contract.js").MapMarksQuery):
 *   Promise<import("./contract.js").MapMarksPayload>} page.marks
 * @param {function(import("./contract.js").MapItemQuery):
 *   Promise<?import("./contract.js").ItemPayload>} page.item
 * @param {function(): ?import("./contract.js").MapMarksQuery} page.query what is to be marked; null
 *   while the lists are not those of the strip
 * @param {function(): boolean} page.isBlind where a model would have its items is not shown
 * @param {function(import("./contract.js").ItemPayload): void} page.pick
 * @param {function(string): void} page.announce
 */
export function makeMap(section, page) {
  const views = section.querySelector(".views");
  const line = section.querySelector(".map-line");
  const host = section.querySelector(".map");
  let drawn = null; // by map_view.js
  let openings = 0;
  let marking = 0;

  const isOpen = () => section.dataset.view === "map";

  function show(view, sentence) {
    section.dataset.view = view;
    for (const button of views.children)
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    line.textContent = sentence;
    if (sentence) page.announce(sentence);
  }

  /** "covers" or "map" */
  function choose(view) {
    openings += 1;
    if (view === "map") open(openings);
    else show("covers", "");
  }

  async function open(mine) {
    show("map", drawn ? drawn.sentence : tr("Opening the map …"));
    try {
      drawn ??= await draw(mine);
      if (mine !== openings) return;
      line.textContent = drawn.sentence;
      mark();
    } catch (error) {
      if (mine === openings) show("covers", `${error.message} ${tr(COVERS_HOLD_ALL)}`);
    }
  }

  /** The error of whatever fails is a sentence. */
  async function draw(mine) {
    if (!document.createElement("canvas").getContext("webgl"))
      throw new Error(tr("This browser has no WebGL, which the map is drawn with."));
    const found = await ready(mine);
    const [data] = await Promise.all([fetchPoints(found.points), loadScript(found.script)]);
    host.replaceChildren();
    return globalThis.hllmMap(host, found, data, {
      tr, // its script is one of its own, which has no translations
      item: (point) => page.item({ version: found.version, point }),
      pick: page.pick,
      onStale: () => {
        drawn.destroy();
        drawn = null;
        choose("map");
      },
    });
  }

  async function ready(mine) {
    for (;;) {
      const found = await answered(page.open({}));
      if (found.state === "ready") return found;
      if (found.state === "none" || mine !== openings) throw new Error(found.message);
      line.textContent = found.message;
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  /** Mark the history and the lists that are shown now. */
  async function mark() {
    const query = isOpen() && drawn ? page.query() : null;
    if (query === null) return;
    marking += 1;
    const mine = marking;
    try {
      const found = await page.marks(query);
      if (mine !== marking || !drawn) return; // a later one has been asked for
      drawn.mark(page.isBlind() ? { ...found, user: null } : found);
    } catch {
      // The lists say that the app does not answer; what is marked stays.
    }
  }

  // Who searches wants to see what is found.
  for (const kind of ["input", "change"])
    section.querySelector(".browse-bar").addEventListener(kind, () => {
      if (isOpen()) choose("covers");
    });
  makeRoving(views, "button")();
  return { choose, mark };
}

async function answered(question) {
  try {
    return await question;
  } catch {
    throw new Error(tr("The map does not answer: try again."));
  }
}

async function fetchPoints(address) {
  const found = await answered(fetch(address));
  if (!found.ok) throw new Error(tr("The points of the map are not there: open it again."));
  return answered(found.arrayBuffer());
}

function loadScript(address) {
  return new Promise((resolve, reject) => {
    const script = node("script", { src: address });
    script.addEventListener("load", resolve);
    script.addEventListener("error", () =>
      reject(new Error(tr("What draws the map could not be loaded: try again."))),
    );
    document.head.append(script);
  });
}
