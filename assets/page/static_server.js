// What the page asks a server, answered in the browser from files: the same questions and answers
// (contract.js), without those that need a server. See docs/static.md.

import { makeColumn } from "./static_column.js";
import { readJson } from "./static_files.js";
import { openBaseline, openHllm } from "./static_models.js";
import { amountOf, makeRendering } from "./static_render.js";
import { makeShelf } from "./static_shelf.js";

const PATIENCE_MS = 1500; // for the models; then the page says that they are loading, and asks again
const QUESTIONS = ["answer", "browse", "detail", "why", "pushes", "judge", "scores"];

/**
 * @param {function(string): Promise<ArrayBuffer>} read gives a file of the page by its name
 * @param {function} openUserLLM see openHllm
 */
export function makeStaticServer(read, openUserLLM) {
  const opened = readJson(read, "data/catalog.json.gz").then((data) =>
    openCatalog(read, data, openUserLLM),
  );
  const ask =
    (name) =>
    async (...values) =>
      (await opened)[name](...values);
  return Object.fromEntries(QUESTIONS.map((name) => [name, ask(name)]));
}

function openCatalog(read, data, openUserLLM) {
  const { items, limits, columns: stored } = data;
  const numberOf = new Map(items.id.map((id, number) => [id, number]));
  const drawn = makeRendering(data);
  const shelf = makeShelf(read, data, drawn);
  const columns = [openHllm(read, stored[0], openUserLLM), openBaseline(read, stored[1])].map(
    (opening, at) => makeColumn(stored[at], opening, limits.compare),
  );
  const areLoaded = Promise.all(columns.map(({ loaded }) => loaded));
  const mostPopular = items.popularity.reduce((one, other) => Math.max(one, other), 0);

  const itemPayload = (number) => ({
    id: items.id[number],
    title: items.title[number],
    creator: items.creator[number],
    cover: items.cover[number],
  });

  /** The numbers of a history's items, and what was left out of it, as app/session.py says it. */
  function cleanHistory(raw) {
    const ids = (Array.isArray(raw) ? raw : []).filter((id) => typeof id === "string" && id);
    const distinct = [...new Set([...ids].reverse())].reverse();
    const recent = distinct.slice(-limits.history);
    const kept = recent.filter((id) => numberOf.has(id));
    const notices = [];
    const lost = recent.length - kept.length;
    if (lost) {
      const things = lost === 1 ? "1 item is" : `${lost} items are`;
      notices.push(`${things} not in this catalogue and left the history.`);
    }
    if (distinct.length > limits.history)
      notices.push(`Only the ${limits.history} most recent items count; older ones left.`);
    return { numbers: kept.map((id) => numberOf.get(id)), notices };
  }

  /** A filter that makes sense, and what was left out of it. */
  function cleanFilter(raw) {
    const price = (value) =>
      typeof value === "number" && value >= 0 && value <= limits.price ? value : null;
    let [low, high] = [price(raw?.min_price), price(raw?.max_price)];
    if (low !== null && high !== null && low > high) [low, high] = [high, low];
    const category = typeof raw?.category === "string" ? raw.category : "";
    const isKnown = !category || data.categoryNames.includes(category);
    return {
      filter: { category: isKnown ? category : "", min_price: low, max_price: high },
      gone: isKnown
        ? []
        : [`The category \u201c${category}\u201d is not in this catalogue and left the filter.`],
    };
  }

  /** Whether a filter allows an item; null where it leaves nothing out. */
  function allowing({ category, min_price: low, max_price: high }) {
    if (!category && low === null && high === null) return null;
    const wanted = data.categoryNames.indexOf(category);
    return (number) => {
      if (number < 0) return false; // a model may know items that the catalogue has not
      if (category && !items.categories[number].includes(wanted)) return false;
      if (low === null && high === null) return true;
      const price = items.price[number];
      return price !== null && (low === null || price >= low) && (high === null || price <= high);
    };
  }

  /** @param {import("./contract.js").AnswerRequest} question */
  async function answer(question) {
    const { filter, gone } = cleanFilter(question.filter);
    let { numbers, notices } = cleanHistory(question.history);
    let example = "";
    if (question.example && !numbers.length && data.examples.length) {
      [{ name: example, items: numbers }] = data.examples;
    }
    const answered = {
      version: question.version,
      history: numbers.map(itemPayload),
      filter,
      notices: [...notices, ...gone],
      example,
      examples: [],
      shown: data.shown,
      ...{ warming: false, agreement: "", start: null, columns: {}, how: null },
    };
    if (!numbers.length) {
      const examples = data.examples.map(({ name, items: shown }) => ({
        name,
        items: shown.map(itemPayload),
      }));
      return { ...answered, live: "Nothing clicked yet", start: data.popular, examples };
    }
    await Promise.race([areLoaded, pause(PATIENCE_MS)]);
    const wish = wishOf(question.what_if);
    const allowed = allowing(filter);
    const lists = [];
    for (const column of columns) lists.push(await column.recommend(numbers, allowed, wish));
    return { ...answered, ...shownLists(lists, filter, example) };
  }

  /** How the lists of a what-if are re-ranked; null: by their scores. */
  function wishOf(whatIf) {
    const part = (value) => (typeof value === "number" ? Math.min(Math.max(value, 0), 1) : 0);
    const diversity = part(whatIf?.diversity);
    const lessPopular = data.hasPopularity ? part(whatIf?.less_popular) : 0;
    if (!diversity && !lessPopular) return null;
    const popularityOf = (number) =>
      number < 0 ? 0 : Math.log1p(items.popularity[number]) / (Math.log1p(mostPopular) || 1);
    return { diversity, lessPopular, popularityOf };
  }

  const isFirst = ({ rank }) => rank <= limits.list;

  /** What of the lists goes into an answer: as the server, it draws the first of either. */
  function shownLists(lists, filter, example) {
    const [hllm, baseline] = lists;
    const warming = columns.some(({ isLoading }) => isLoading());
    const ranks = lists.map(
      (list) => list && new Map(list.rows.map(({ number, rank }) => [number, rank])),
    );
    const firsts = lists.filter(Boolean).flatMap(({ rows }) => rows.filter(isFirst));
    const known = new Set(firsts.map(({ number }) => number));
    const shown = (list) => ({
      ...list,
      rows: list.rows.filter(({ number }) => known.has(number)),
    });
    const htmls = columns.map(({ key, failure }, at) =>
      lists[at]
        ? drawn.column(key, shown(lists[at]), ranks[1 - at], filter)
        : drawn.silent(key, failure()),
    );
    const counts = lists.filter(Boolean).map(({ all }) => Math.min(all.length, limits.list));
    const how = hllm && {
      stages: stored[0].stages,
      width: stored[0].width,
      num_items: hllm.numItems,
      ...{ num_read: hllm.numRead, num_known: 0, num_candidates: hllm.numCandidates },
      ...{ encode_ms: hllm.encodeMs, search_ms: hllm.searchMs },
      beside: baseline ? stored[1].beside : "",
      baseline_ms: baseline ? baseline.encodeMs + baseline.searchMs : null,
      server_ms: Number.NaN, // there is none
    };
    return {
      warming,
      agreement: agreementOf(lists),
      live: liveLine(counts, warming, example),
      columns: Object.fromEntries(columns.map(({ key }, at) => [key, htmls[at]])),
      how: how || null,
    };
  }

  function agreementOf(lists) {
    const firsts = lists.filter(Boolean).map(({ all }) => all.slice(0, limits.list));
    if (firsts.length < 2 || firsts.some((list) => !list.length)) return "";
    const ids = firsts.map((list, at) => new Set(list.map(({ row }) => stored[at].numbers[row])));
    const both = [...ids[0]].filter((number) => ids[1].has(number)).length;
    return `${both} of ${Math.max(...firsts.map((list) => list.length))} in both lists`;
  }

  /** @param {import("./contract.js").DetailQuery} query */
  async function detail(query) {
    const number = numberOf.get(query.item);
    if (number === undefined)
      return {
        title: "Not found",
        html: data.templates["no detail"],
        explains: "no",
        inside: "",
      };
    const { numbers } = cleanHistory(query.history);
    const isRanked = numbers.length > 0 && !numbers.includes(number);
    const file = `data/details-${Math.floor(number / data.details)}.json.gz`;
    const written = (await readJson(read, file))[number % data.details];
    const standings = {};
    const similar = {};
    for (const column of columns) {
      similar[column.key] = await column.similar(number, limits.similar);
      if (isRanked) standings[column.key] = await column.standing(numbers, number);
    }
    return {
      title: items.title[number],
      html: drawn.detail(number, { history: numbers, standings, similar }, written),
      explains: isRanked && numbers.length > 1 ? "now" : "no",
      inside: written[2],
    };
  }

  /** @param {import("./contract.js").DetailQuery} query */
  async function why(query) {
    const number = numberOf.get(query.item);
    const { numbers } = cleanHistory(query.history);
    if (number === undefined || numbers.length < 2 || numbers.includes(number))
      return { html: "", changes: {} };
    const found = {};
    for (const column of columns)
      found[column.key] = (await column.changes(numbers, [number])).map(([change]) => change);
    const [first] = Object.values(found);
    const largest = Math.max(...first.map(Math.abs)) || 1;
    return {
      html: drawn.explanation(numbers, found),
      changes: Object.fromEntries(numbers.map((n, at) => [items.id[n], first[at] / largest])),
    };
  }

  /** @param {import("./contract.js").PushesQuery} query */
  async function pushes(query) {
    const { numbers } = cleanHistory(query.history);
    const pushed = {};
    if (numbers.length < 2) return { pushes: pushed };
    for (const column of columns) {
      const asked = [...new Set(query.rows?.[column.key] ?? [])]
        .slice(0, limits.rows)
        .map((id) => numberOf.get(id))
        .filter((number) => number !== undefined && !numbers.includes(number));
      if (asked.length)
        pushed[column.key] = fallsOf(numbers, asked, await column.changes(numbers, asked));
    }
    return { pushes: pushed };
  }

  /** How far rows would fall, the largest fall as 1, by item of the history and row. */
  function fallsOf(numbers, asked, found) {
    const largest = Math.max(0, ...found.flat().map((change) => -change));
    const entries = numbers.map((number, at) => [
      items.id[number],
      Object.fromEntries(
        asked
          .map((row, place) => [items.id[row], found[at][place]])
          .filter(([, change]) => change < 0)
          .map(([id, change]) => [id, Math.round((-change / largest) * 1000) / 1000]),
      ),
    ]);
    return Object.fromEntries(entries);
  }

  /** @param {import("./contract.js").PickRequest} pick */
  async function judge(pick) {
    const number = numberOf.get(pick.item);
    const { numbers } = cleanHistory(pick.history);
    if (number === undefined || !numbers.length || numbers.includes(number)) return null;
    const ranks = {};
    const ranked = {};
    for (const column of columns) {
      const found = await column.standing(numbers, number);
      ranks[column.key] = found.rank;
      ranked[column.key] = found.numRanked;
    }
    return {
      item: pick.item,
      title: items.title[number],
      ranks,
      num_ranked: ranked,
      is_stored: true,
    };
  }

  async function scores() {
    const message = "Picks of all visits need a server to keep them: those of this visit count.";
    return { picks: 0, visits: 0, models: {}, message };
  }

  return { answer, browse: shelf.browse, detail, why, pushes, judge, scores };
}

/** What is said above the lists, as app/payloads.py says it. */
function liveLine(counts, warming, example) {
  if (warming) return "Warming up";
  const most = Math.max(0, ...counts);
  if (!most) return "No recommendations";
  return example ? "Recommended for the example" : `${amountOf(most, "recommendation")} updated`;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
