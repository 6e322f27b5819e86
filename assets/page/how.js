// How it works: three boxes that the data of every answer run through, with the numbers of that
// answer. HTML of an opened item comes escaped from app/render_detail.py.

import { tr } from "./language.js";
import { drawPlot, milliseconds } from "./plot.js";

const MAX_POINTS = 60; // answers in the plot

/**
 * @param {Element} section
 * @param {object} page
 * @param {function(import("./contract.js").WholeQuery):
 *   Promise<import("./contract.js").WholePayload>} page.readWhole
 * @param {function(): string[]} page.history ids of the history that is shown
 */
export function makeHow(section, page) {
  const line = section.querySelector(".how-line");
  const panel = section.querySelector(".how-panel");
  const without = panel.querySelector(".without");
  const whole = panel.querySelector(".whole");
  const latencies = { browser: [], server: [], model: [] };
  let how = null; // of the answer that is shown
  let version = 0;

  const count = (number) => number.toLocaleString("en");
  const say = (selector, text) => {
    panel.querySelector(selector).textContent = text;
  };

  /**
   * @param {?import("./contract.js").HowPayload} shown
   * @param {boolean} isFinal both columns have answered, or never will for this history
   */
  function show(shown, isFinal) {
    how = shown;
    version += 1;
    if (how) line.textContent = lineOf(how);
    else if (isFinal) line.textContent = tr("No HLLM answers here: its steps have no numbers.");
    else line.textContent = tr("Numbers follow when HLLM has answered.");
    section.querySelector(".how-short").textContent = how ? milliseconds(how.encode_ms) : "";
    if (isOpen()) draw();
  }

  /** How long the visitor waited for the answer that is shown, from the click to the painted list. */
  function painted(browser) {
    if (!how) return;
    const model = how.encode_ms + how.search_ms;
    for (const [name, value] of Object.entries({ browser, server: how.server_ms, model })) {
      latencies[name] = [...latencies[name], value].slice(-MAX_POINTS);
    }
    if (isOpen()) drawLatencies();
  }

  function isOpen() {
    return !panel.hidden;
  }

  function draw() {
    panel.querySelector(".boxes").hidden = how === null;
    panel.querySelector(".how-empty").hidden = how !== null;
    if (!how) return;
    how.stages.forEach((stage, at) => {
      say(`[data-stage="${at}"] .stage-name`, stage.name);
      say(`[data-stage="${at}"] .stage-facts`, stage.facts);
    });
    const items = how.num_read + how.num_known;
    const total = count(how.num_items);
    say(".item-did", tr("0 ms now: all {count} texts were read ahead", { count: total }));
    say(
      ".item-gives",
      tr("{count} embeddings of {width} numbers", { count: total, width: how.width }),
    );
    say(
      ".user-did",
      tr("{time}: {read} read now, {known} from the cache", {
        time: milliseconds(how.encode_ms),
        read: how.num_read,
        known: how.num_known,
      }),
    );
    say(
      ".user-gives",
      items === 1
        ? tr("1 embedding in, one prediction out")
        : tr("{items} embeddings in, one prediction out", { items }),
    );
    say(
      ".search-did",
      tr("{time}: compared with {count} items", {
        time: milliseconds(how.search_ms),
        count: count(how.num_candidates),
      }),
    );
    const other = how.baseline_ms;
    say(
      ".baseline-did",
      other === null
        ? ""
        : tr("The other column, {model}: {time}.", {
            model: how.beside,
            time: milliseconds(other),
          }),
    );
    drawLatencies();
    compare();
  }

  function drawLatencies() {
    if (latencies.browser.length)
      panel.querySelector(".plot").replaceChildren(...drawPlot(latencies));
  }

  /** Read the same history without the cache, if that is switched on. */
  async function compare() {
    version += 1;
    const mine = version;
    whole.textContent = "";
    if (!without.checked || !how) return;
    const before = how;
    whole.textContent = tr("Reading all of it \u2026");
    const found = await page.readWhole({ history: page.history() }).catch(() => null);
    if (mine !== version) return;
    whole.textContent = found ? difference(before, found) : tr("The app does not answer.");
  }

  /** @param {string} html of the item that was opened last; "" if it has no embedding */
  function showItem(html) {
    panel.querySelector(".inside").innerHTML = html;
    panel.querySelector(".inside-hint").hidden = html !== "";
  }

  without.addEventListener("change", compare);
  return { show, painted, draw, showItem };
}

/** One line about an answer. */
export function lineOf(how) {
  const { num_read: read, num_known: known } = how;
  return tr(
    "Item LLM ahead \u2192 User LLM {read} read, {known} cached, {time} \u2192 nearest of {count}, {searched}",
    {
      ...{ read, known },
      time: milliseconds(how.encode_ms),
      count: how.num_candidates.toLocaleString("en"),
      searched: milliseconds(how.search_ms),
    },
  );
}

/**
 * What the cache saves, in a sentence.
 * @param {import("./contract.js").HowPayload} how with it
 * @param {import("./contract.js").WholePayload} found without it
 */
export function difference(how, found) {
  if (found.message) return found.message;
  const saved = found.encode_ms - how.encode_ms;
  const values = {
    read: found.num_read,
    time: milliseconds(found.encode_ms),
    saved: milliseconds(Math.abs(saved)),
    cosine: found.cosine.toFixed(5),
  };
  return saved >= 0
    ? tr(
        "Without the cache: {read} read, {time}, {saved} more. The same prediction: cosine {cosine}.",
        values,
      )
    : tr(
        "Without the cache: {read} read, {time}, {saved} less. The same prediction: cosine {cosine}.",
        values,
      );
}
