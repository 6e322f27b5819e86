// The catalogue without a server: what app/service.py answers to a search, a category and an order.

import { readJson } from "./static_files.js";
import { amountOf } from "./static_render.js";
import { found, queryTokens } from "./static_search.js";

/**
 * @param {function(string): Promise<ArrayBuffer>} read
 * @param {object} data data/catalog.json.gz
 * @param {object} drawn see makeRendering
 */
export function makeShelf(read, data, drawn) {
  const { items, limits, categoryNames } = data;
  const byPopularity = items.id.map((_, number) => number);
  let words = null; // of all items, loaded for the first search

  async function loadWords() {
    const parts = await Promise.all(data.words.map((name) => readJson(read, name)));
    return parts.flat().map((text) => ` ${text} `);
  }

  /** Numbers of the items that are asked for, in order. */
  async function numbersOf(text, category, sort) {
    const order = data.orders[sort] ?? byPopularity;
    const wanted = categoryNames.indexOf(category);
    if (category && wanted < 0) return [];
    let numbers = order;
    if (text) {
      words ??= loadWords();
      words.catch(() => {
        words = null; // the next search tries again
      });
      const query = queryTokens(text, limits);
      numbers = found(await words, order, query, data.mark, order === byPopularity);
    }
    return category ? numbers.filter((n) => items.categories[n].includes(wanted)) : numbers;
  }

  /** @param {import("./contract.js").BrowseQuery} query */
  async function browse(query) {
    const text = query.text.slice(0, limits.search).split(/\s+/).filter(Boolean).join(" ");
    const numbers = await numbersOf(text, query.category, query.sort);
    if (!numbers.length) {
      const html = drawn.nothingFound(text, query.category);
      return { html, cursor: null, count: "No items" };
    }
    const start = Number(query.cursor) || 0;
    const end = start + limits.page;
    const isCounted = numbers.length <= limits.count || (!text && !query.category);
    return {
      html: drawn.cards(numbers.slice(start, end)),
      cursor: end < numbers.length ? String(end) : null,
      count: isCounted ? amountOf(numbers.length, "item") : "Many items",
    };
  }

  return { browse };
}
