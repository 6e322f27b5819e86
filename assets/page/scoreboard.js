// The scoreboard: what is picked from the catalogue was predicted by both models before.

import { node } from "./dom.js";
import { linkOf } from "./links.js";
import {
  closerOf,
  MODELS,
  rankText,
  restoredPicks,
  scoresOf,
  standingText,
  verdictText,
  withPick,
} from "./scores.js";
import { readTab, storeTab } from "./storage.js";

/**
 * @param {Element} section
 * @param {object} page
 * @param {function(import("./contract.js").PickRequest):
 *   Promise<?import("./contract.js").VerdictPayload>} page.judge
 * @param {function(object): Promise<import("./contract.js").ScoresPayload>} page.scores
 * @param {string} page.storageKey
 */
export function makeScoreboard(section, page) {
  const line = section.querySelector(".score-line");
  const short = section.querySelector(".score-short");
  const panel = section.querySelector(".score-panel");
  let picks = restoredPicks(readTab(page.storageKey));
  let version = 0;
  const waiting = []; // picks that are judged when the click is answered, so as not to slow it

  /** @param {import("./contract.js").PickRequest} pick */
  function wait(pick) {
    waiting.push(pick);
  }

  /** Have the picks judged that wait for it. */
  async function settle() {
    for (const pick of waiting.splice(0)) {
      const verdict = await page.judge(pick).catch(() => null);
      if (!verdict) continue; // one of the models had no answer
      picks = withPick(picks, verdict);
      storeTab(page.storageKey, picks);
      drawLine();
      if (!panel.hidden) draw();
    }
  }

  function drawLine() {
    if (!picks.length) {
      line.textContent = "Pick from the catalogue: both models have already ranked it.";
      short.textContent = "";
      return;
    }
    const { hllm, baseline } = scoresOf(picks);
    line.textContent = `${verdictText(picks.at(-1))} \u00b7 ${standingText(picks)}`;
    short.textContent = `${hllm.closer} : ${baseline.closer}`;
  }

  /** The panel: this visit, all visits, past picks. */
  async function draw() {
    version += 1;
    const mine = version;
    drawPast();
    if (!table.isConnected) panel.querySelector(".score-table").append(table);
    drawTable(null);
    const all = await page.scores({}).catch(() => null);
    if (mine === version) drawTable(all);
  }

  const table = node("table", { class: "scores" });

  function drawTable(all) {
    const head = ["", "Picks", "Closer: HLLM", "Closer: baseline"];
    for (const metric of ["Hit@10", "MRR"])
      for (const name of Object.values(MODELS)) head.push(`${metric} ${name}`);
    const rows = [];
    if (picks.length)
      rows.push(row("This visit", picks.length, scoresOf(picks), (value) => value.toFixed(2)));
    if (all?.picks)
      rows.push(row(`All ${plural(all.visits, "visit")}`, all.picks, all.models, estimateText));
    table.replaceChildren(
      node("thead", {}, [
        node(
          "tr",
          {},
          head.map((name) => node("th", { scope: "col" }, [name])),
        ),
      ]),
      node("tbody", {}, rows),
    );
    table.hidden = !rows.length;
    panel.querySelector(".score-note").textContent = noteOf(all);
  }

  function noteOf(all) {
    if (all === null) return "";
    if (all.message) return all.message;
    return Object.values(all.models)[0].hit.low === null
      ? "Intervals are given from five visits on."
      : "In brackets: 95% interval, visits drawn again at random.";
  }

  function row(name, count, scores, format) {
    const cells = [count, scores.hllm.closer, scores.baseline.closer];
    for (const metric of ["hit", "mrr"])
      for (const key of Object.keys(MODELS)) cells.push(format(scores[key][metric]));
    return node("tr", {}, [
      node("th", { scope: "row" }, [name]),
      ...cells.map((cell) => node("td", {}, [String(cell)])),
    ]);
  }

  function drawPast() {
    const rows = [...picks].reverse().map((pick) => {
      const closer = closerOf(pick);
      return node("li", {}, [
        node("a", { href: linkOf(pick.item), dir: "auto" }, [pick.title]),
        ...Object.entries(MODELS).map(([key, name]) =>
          node("span", { class: closer === key ? `won ${key}-tone` : "" }, [
            `${name} ${rankText(pick, key)}`,
          ]),
        ),
      ]);
    });
    panel.querySelector(".past").replaceChildren(...rows);
    panel.querySelector(".past-title").hidden = !rows.length;
  }

  drawLine();
  return { wait, settle, draw };
}

function estimateText({ value, low, high }) {
  const range = low === null ? "" : ` (${low.toFixed(2)}\u2013${high.toFixed(2)})`;
  return value.toFixed(2) + range;
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
