// HTML of lists without a server: the server's own, drawn by app/static_space/templates.py with gaps.
// Texts come into gaps escaped, as app/render.py escapes them.

const GAP = /\u27e6(=?)([\w ]+)\u27e7/g;
const SIGNS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;" };

/** A text for HTML, between tags and in quoted attributes. */
export function escaped(text) {
  return String(text).replace(/[&<>"']/g, (sign) => SIGNS[sign]);
}

/**
 * @param {string} template
 * @param {Object<string, string|number>} values by name of the gap; those with "=" are HTML already
 */
export function filled(template, values) {
  return template.replace(GAP, (_gap, isHtml, name) => {
    if (!(name in values)) throw new Error(`there is nothing for the gap ${name}`);
    return isHtml ? values[name] : escaped(values[name]);
  });
}

/** "1 item", "1,024 items". */
export function amountOf(count, noun) {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A price as app/render.py writes it: "5", "12.50". */
export function priceText(value) {
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return value.toLocaleString("en-US", digits).replace(/\.00$/, "");
}

/** An item id as the part of an address, as Python quotes it. */
export function linkPart(id) {
  const code = (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(id).replace(/[!'()*]/g, code);
}

/**
 * @param {object} catalog data/catalog.json.gz
 */
export function makeRendering(catalog) {
  const { templates, items, limits } = catalog;
  const titles = Object.fromEntries(catalog.columns.map(({ key, title }) => [key, title]));

  /** Texts of an item, by the names of their gaps. */
  function textsOf(number) {
    return {
      id: items.id[number],
      link: linkPart(items.id[number]),
      title: items.title[number],
      creator: items.creator[number],
      byline: items.byline[number],
      tooltip: items.tooltip[number],
      cover: items.cover[number],
    };
  }

  function cards(numbers) {
    return numbers.map((number) => filled(templates.card, textsOf(number))).join("");
  }

  function nothingFound(text, category) {
    const name = `nothing found${text ? " text" : ""}${category ? " category" : ""}`;
    return filled(templates[name], { text, category });
  }

  /** @param {import("./contract.js").FilterPayload} filter */
  function nothingLeft(filter, numCandidates) {
    const named = [
      ["category", filter.category],
      ["low", filter.min_price !== null],
      ["high", filter.max_price !== null],
    ].filter(([, value]) => value);
    if (named.length && numCandidates) named.push(["candidates"]);
    const name = ["nothing left", ...named.map(([word]) => word)].join(" ");
    const price = (value) => (value === null ? "" : priceText(value));
    const { category, min_price: low, max_price: high } = filter;
    return filled(templates[name], { category, low: price(low), high: price(high) });
  }

  /**
   * One column.
   * @param {string} key
   * @param {object} found rows (number, score) best first, numCandidates, and byScore, what they
   *   would be without re-ranking, or null
   * @param {?Map<number, number>} ranks of the other column, by number; null: it has no answer
   * @param {import("./contract.js").FilterPayload} filter
   */
  function column(key, found, ranks, filter) {
    const shown = found.rows.slice(0, limits.list);
    const candidates = amountOf(found.numCandidates, "item");
    const cost = found.byScore?.length ? costOf(found) : null;
    const head = filled(templates[`${key} head${cost ? " reranked" : ""}`], {
      candidates,
      ...cost,
    });
    if (!shown.length) return head + nothingLeft(filter, found.numCandidates);
    const highest = Math.max(1e-6, ...shown.map(({ score }) => score));
    const rows = shown.map(({ number, score, rank }) => {
      const other = ranks?.get(number);
      const kind = kindOf(ranks, other);
      const width = Math.min(Math.max(score / highest, 0), 1) * 100;
      return filled(templates[`${key} row ${kind}`], {
        ...textsOf(number),
        ...{ rank, other, score: score.toFixed(3), width: width.toFixed(1) },
      });
    });
    return head + filled(templates[`${key} list`], { rows: rows.join("") });
  }

  /** Which of the rows is drawn: it says where the item stands in the other column. */
  function kindOf(ranks, other) {
    if (!ranks) return "alone";
    if (other === undefined) return "none";
    return other <= limits.list ? "both" : "one";
  }

  /** What re-ranking costs the first of a list. */
  function costOf(found) {
    const chosen = found.all.slice(0, limits.list);
    const best = found.byScore.slice(0, limits.list);
    const sum = (rows) => rows.reduce((total, { score }) => total + score, 0);
    const before = new Set(best.map(({ row }) => row));
    const replaced = chosen.filter(({ row }) => !before.has(row)).length;
    const cost = Math.max(sum(best) - sum(chosen), 0) / chosen.length;
    return { cost: cost.toFixed(3), replaced, listed: amountOf(chosen.length, "item") };
  }

  /** A column that does not answer; message: why, "" while it is loading. */
  function silent(key, message) {
    return message ? filled(templates[`${key} failed`], { message }) : templates[`${key} loading`];
  }

  /**
   * The drawer about an item.
   * @param {number} number
   * @param {object} known history (numbers), standings by key of the column, or null; similar by key
   * @param {string[]} written of the item: before and behind what is similar
   */
  function detail(number, known, [before, behind]) {
    const place = known.history.indexOf(number) + 1;
    const head = filled(templates[place ? "head known" : "head"], { ...textsOf(number), place });
    return head + standings(known, place) + why(known, place) + before + similar(known) + behind;
  }

  function standings({ history, standings: found }, place) {
    if (!history.length) return templates["standing empty"];
    if (place) return templates["standing known"];
    const values = {};
    for (const [key, { rank, numRanked, score }] of Object.entries(found)) {
      values[`${key} rank`] = rank.toLocaleString("en-US");
      values[`${key} ranked`] = numRanked.toLocaleString("en-US");
      values[`${key} score`] = score.toFixed(3);
    }
    return filled(templates.standing, values);
  }

  function why({ history }, place) {
    if (place || !history.length) return "";
    return history.length === 1 ? templates["why one"] : templates.why;
  }

  function similar({ similar: lists }) {
    const rows = Object.entries(lists).map(([key, rows]) => [
      key,
      rows
        .map(({ number, score }) =>
          filled(templates.near, { ...textsOf(number), cosine: score.toFixed(3) }),
        )
        .join(""),
    ]);
    return filled(templates.similar, Object.fromEntries(rows));
  }

  /**
   * The table of what each item of the history does to a score.
   * @param {number[]} history
   * @param {Object<string, number[]>} found changes by key of the column, in the history's order
   */
  function explanation(history, found) {
    const keys = Object.keys(titles);
    const largest = Object.fromEntries(
      keys.map((key) => [key, Math.max(...found[key].map(Math.abs)) || 1]),
    );
    const rows = history.map((number, at) => {
      const cells = keys.map((key) => {
        const change = found[key][at];
        const width = Math.min(Math.abs(change) / largest[key], 1) * 50;
        const values = { width: width.toFixed(1), change: Math.abs(change).toFixed(3) };
        return [key, filled(templates[`change ${key} ${change < 0 ? "less" : "more"}`], values)];
      });
      const values = { ...Object.fromEntries(cells), place: at + 1, title: items.title[number] };
      return filled(templates["why row"], values);
    });
    return filled(templates["why table"], { rows: rows.join("") });
  }

  return { cards, nothingFound, column, silent, detail, explanation };
}
