// The scoreboard: what is picked from the catalogue was predicted by both models before.

import { node } from "./dom.js";
import { tr } from "./language.js";
import { linkOf } from "./links.js";
import { makeOutbox } from "./outbox.js";
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
 * @param {string} page.outboxKey
 */
export function makeScoreboard(section, page) {
  const line = section.querySelector(".score-line");
  const short = section.querySelector(".score-short");
  const panel = section.querySelector(".score-panel");
  let picks = restoredPicks(readTab(page.storageKey));
  let version = 0;
  let all = null; // picks of all visits, as they were last asked for
  let isCounted = true; // whether the models that are shown are those that picks count for
  let isRanked = true; // whether both of them recommend anything, as far as is known
  // Judged when the click is answered, so as not to slow it.
  const waiting = makeOutbox({ tell: judge, storageKey: page.outboxKey });

  async function judge(pick) {
    const verdict = await page.judge(pick);
    if (!verdict) return true; // one of the models had no answer
    if (!verdict.is_stored) return false;
    picks = withPick(picks, verdict);
    storeTab(page.storageKey, picks);
    drawLine();
    if (!panel.hidden) draw();
    return true;
  }

  /**
   * @param {boolean} counted whether picks count for the models that are shown
   * @param {boolean} ranked whether both of them recommend anything, or may yet
   */
  function count(counted, ranked) {
    if (counted === isCounted && ranked === isRanked) return;
    isCounted = counted;
    isRanked = ranked;
    drawLine();
  }

  function drawLine() {
    if (!isCounted) {
      line.textContent = tr("Picks count for HLLM and the baseline alone, not for these models.");
      short.textContent = "";
      return;
    }
    if (!picks.length) {
      line.textContent = isRanked
        ? tr("Pick from the catalogue: both models have already ranked it.")
        : tr("Picks count where both models recommend: here one does not.");
      short.textContent = "";
      return;
    }
    const { hllm, baseline } = scoresOf(picks);
    const last = picks.at(-1);
    line.replaceChildren(
      node("span", { class: "score-title" }, [tr("You chose {title}", { title: last.title })]),
      node("span", { class: "score-rest" }, [`${verdictText(last)} \u00b7 ${standingText(picks)}`]),
    );
    short.textContent = `${hllm.closer} : ${baseline.closer}`;
  }

  /** The panel: this visit, all visits, past picks. */
  async function draw() {
    version += 1;
    const mine = version;
    drawPast();
    if (!table.isConnected) panel.querySelector(".score-table").append(table);
    drawTable(); // with what was last known of all visits
    const found = await page.scores({}).catch(() => null);
    if (mine !== version) return;
    all = found ?? all;
    drawTable();
    if (!found) panel.querySelector(".score-note").textContent = tr("The app does not answer.");
  }

  const table = node("table", { class: "scores" });

  function drawTable() {
    const head = ["", tr("Model"), tr("Closer"), tr("Hit@10"), "MRR"];
    const rows = [];
    const fixed = (value) => ({ value, low: null, high: null });
    if (picks.length) {
      const own = scoresOf(picks);
      for (const score of Object.values(own)) {
        score.hit = fixed(score.hit);
        score.mrr = fixed(score.mrr);
      }
      rows.push(
        ...modelRows(tr("This visit, {picks}", { picks: plural(picks.length, "pick") }), own),
      );
    }
    if (all?.picks) {
      const found = { visits: plural(all.visits, "visit"), picks: plural(all.picks, "pick") };
      rows.push(...modelRows(tr("All {visits}, {picks}", found), all.models));
    }
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
    panel.querySelector(".score-note").textContent = noteOf();
  }

  function noteOf() {
    if (all === null) return "";
    if (all.message) return all.message;
    return Object.values(all.models)[0].hit.low === null
      ? tr(
          "Intervals are given from five visits on. Hit@10: how often it was among the first ten. MRR: mean of 1 / rank.",
        )
      : tr(
          "In brackets: 95% intervals, visits drawn again at random. Hit@10: how often it was among the first ten. MRR: mean of 1 / rank.",
        );
  }

  function drawPast() {
    const rows = [...picks].reverse().map((pick) => {
      const closer = closerOf(pick);
      return node("li", {}, [
        node("a", { href: linkOf(pick.item), lang: "", dir: "auto" }, [pick.title]),
        ...Object.entries(MODELS).map(([key, name]) =>
          node("span", { class: closer === key ? `won ${key}-tone` : "" }, [
            `${tr(name)} ${rankText(pick, key)}`,
          ]),
        ),
      ]);
    });
    panel.querySelector(".past").replaceChildren(...rows);
    panel.querySelector(".past-title").hidden = !rows.length;
  }

  drawLine();
  return { wait: waiting.put, settle: waiting.flush, forget: waiting.clear, draw, count };
}

/**
 * One row for each model.
 * @param {string} name of what they are about
 * @param {Object<string, import("./contract.js").ModelScorePayload>} models
 */
function modelRows(name, models) {
  return Object.entries(MODELS).map(([key, model], at) => {
    const { closer, hit, mrr } = models[key];
    const cells = [tr(model), String(closer), estimateText(hit), estimateText(mrr)];
    const first = at ? [] : [node("th", { scope: "rowgroup", rowspan: "2" }, [name])];
    return node("tr", {}, [
      ...first,
      ...cells.map((cell, place) => node("td", { class: place ? "" : `${key}-tone` }, [cell])),
    ]);
  });
}

function estimateText({ value, low, high }) {
  const range = low === null ? "" : ` (${low.toFixed(3)}\u2060\u2013\u2060${high.toFixed(3)})`;
  return value.toFixed(3) + range;
}

/** A count with its noun; translations have one form, that of several. */
function plural(count, noun) {
  const [one, more] = [`{count} ${noun}`, `{count} ${noun}s`];
  const isOne = count === 1 && tr(more) === more;
  return tr(isOne ? one : more, { count: count.toLocaleString("en") });
}
