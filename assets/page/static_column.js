// One column of recommendations without a server: a model, and the items that its rows are.

import { best, reranked } from "./static_math.js";
import { changes, standing } from "./static_models.js";

const RERANKED_OF = 100; // the best by score, as in hllm/serving/rerank.py

/**
 * @param {object} stored the column in data/catalog.json.gz; items that a model knows and the
 *   catalogue has not have numbers below 0
 * @param {Promise<import("./static_models.js").Model>} opening
 * @param {number} depth how many items of the two columns are compared
 */
export function makeColumn(stored, opening, depth) {
  const { key, title, numbers } = stored;
  const rowOf = new Map(numbers.map((number, row) => [number, row]));
  const rowsOf = (history) => history.map((number) => rowOf.get(number));
  let model = null;
  let failure = "";
  const loaded = opening.then(
    (opened) => {
      model = opened;
    },
    (error) => {
      failure = `${title} could not be loaded (${error.message}). Reload the page to try again.`;
    },
  );

  /** The model, once it is loaded. */
  async function ready() {
    await loaded;
    if (!model) throw new Error(failure);
    return model;
  }

  /**
   * @param {number[]} history numbers of items, oldest first
   * @param {?function(number): boolean} allows an item; null: all
   * @param {?object} wish how the list is re-ranked, and popularityOf a number, from 0 to 1
   * @returns {Promise<?object>} null while there is no model
   */
  async function recommend(history, allows, wish) {
    if (!model) return null;
    const rows = rowsOf(history);
    const { scores, encodeMs } = await model.scores(rows);
    const start = performance.now();
    const allowed = allows && [...numbers.keys()].filter((row) => allows(numbers[row]));
    const wanted = wish ? Math.max(depth, RERANKED_OF) : depth;
    const byScore = best(scores, wanted, new Set(rows), allowed);
    const popularityOf = (row) => wish.popularityOf(numbers[row]);
    const all = wish ? reranked(byScore, model.unitOf, depth, wish, popularityOf) : byScore;
    return {
      all,
      byScore: wish ? byScore : null,
      rows: all
        .map(({ row, score }, at) => ({ number: numbers[row], score, rank: at + 1 }))
        .filter(({ number }) => number >= 0),
      numCandidates: allowed ? allowed.length : model.numItems,
      numItems: model.numItems,
      numRead: Math.min(rows.length, stored.maxHistory ?? rows.length),
      encodeMs,
      searchMs: performance.now() - start,
    };
  }

  /** The nearest items of an item. */
  async function similar(number, count) {
    const near = (await ready()).similar(rowOf.get(number), count);
    return near
      .map(({ row, score }) => ({ number: numbers[row], score }))
      .filter((found) => found.number >= 0);
  }

  return {
    key,
    loaded,
    isLoading: () => !model && !failure,
    failure: () => failure,
    recommend,
    similar,
    standing: async (history, number) =>
      standing(await ready(), rowsOf(history), rowOf.get(number)),
    changes: async (history, asked) => changes(await ready(), rowsOf(history), rowsOf(asked)),
  };
}
