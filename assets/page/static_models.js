// Both models in the browser: HLLM's User LLM by ONNX Runtime Web, and the text baseline. Each gives
// scores of all items for a history; app/static_space/models.py has written what they need.

import { readJoined, readNumbers } from "./static_files.js";
import { best, decayed, products, rankOf, unit, unitRows } from "./static_math.js";

/**
 * @typedef {object} Model
 * @property {number} numItems that it ranks
 * @property {function(number[]): Promise<{scores: Float32Array, encodeMs: number}>} scores of every
 *   row, for a history of rows, oldest first
 * @property {function(number[], number[]): Promise<number[]>} scoresOf some rows, for a history
 * @property {function(number[], number): {row: number, score: number}[]} similar nearest rows
 * @property {function(number): Float32Array} unitOf embedding of a row, of length 1
 */

/**
 * @param {function(string): Promise<ArrayBuffer>} read
 * @param {object} data of the column, from data/catalog.json.gz
 * @param {function} openUserLLM see openRuntime
 * @returns {Promise<Model>}
 */
export async function openHllm(read, data, openUserLLM) {
  const [vectors, user, blend] = await Promise.all([
    readNumbers(read, data.vectors),
    readJoined(read, data.model).then((model) => openUserLLM(model, data.input, data.output)),
    data.blend ? openBlend(read, data.blend) : null,
  ]);
  const { width } = data;
  const encode = (rows) => {
    const window = rows.slice(-data.maxHistory);
    const inputs = new Float32Array(window.length * width);
    window.forEach((row, at) => {
      inputs.set(vectors.subarray(row * width, (row + 1) * width), at * width);
    });
    return user(inputs, window.length);
  };
  return makeModel(unitRows(vectors, width), width, encode, blend);
}

/** @returns {Promise<Model>} */
export async function openBaseline(read, data) {
  const { width, decay } = data;
  const units = unitRows(await readNumbers(read, data.vectors), width);
  return makeModel(units, width, async (rows) => decayed(units, width, rows, decay), null);
}

/**
 * @param {Float32Array} units embeddings of length 1, row after row
 * @param {number} width
 * @param {function(number[]): Promise<Float32Array>} encode a history into a user embedding
 * @param {?function(Float32Array, number[]): Float32Array} blend from cosines to scores
 * @returns {Model}
 */
function makeModel(units, width, encode, blend) {
  const unitOf = (row) => units.subarray(row * width, (row + 1) * width);

  async function read(rows) {
    const user = unit(await encode(rows));
    if (!user.every(Number.isFinite)) throw new Error("The model answered with NaN.");
    return user;
  }

  async function scores(rows) {
    const start = performance.now();
    const user = await read(rows);
    const encodeMs = performance.now() - start;
    const cosines = products(units, width, user);
    return { scores: blend ? blend(cosines, rows) : cosines, encodeMs };
  }

  async function scoresOf(rows, asked) {
    if (blend) {
      const { scores: all } = await scores(rows);
      return asked.map((row) => all[row]);
    }
    const user = await read(rows);
    return asked.map((row) => products(unitOf(row), width, user)[0]);
  }

  const similar = (row, count) => best(products(units, width, unitOf(row)), count, new Set([row]));
  return { numItems: units.length / width, scores, scoresOf, similar, unitOf };
}

/** Where a row stands for a history. */
export async function standing(model, rows, row) {
  const { scores } = await model.scores(rows);
  const excluded = new Set(rows);
  const rank = rankOf(scores, row, excluded);
  return { score: scores[row], rank, numRanked: scores.length - excluded.size };
}

/**
 * By how much scores of some rows change if one item of the history is removed.
 * @param {Model} model
 * @param {number[]} rows the history, two at least
 * @param {number[]} asked
 * @returns {Promise<number[][]>} by item of the history and row that was asked for
 */
export async function changes(model, rows, asked) {
  const whole = await model.scoresOf(rows, asked);
  const found = [];
  for (const left of rows.keys()) {
    await new Promise((resolve) => setTimeout(resolve)); // a click need not wait for all of them
    const rest = await model.scoresOf(
      rows.filter((_, at) => at !== left),
      asked,
    );
    found.push(rest.map((score, at) => score - whole[at]));
  }
  return found;
}

/** A blend of HLLM's cosines with text and neighbours, as hllm/serving/blend.py computes it. */
async function openBlend(read, data) {
  const { width, weights } = data;
  const [stored, starts, neighbours, similarities, counts] = await Promise.all(
    ["texts", "starts", "neighbours", "similarities", "counts"].map((name) =>
      readNumbers(read, data[name]),
    ),
  );
  const factors = Float32Array.from(
    counts,
    (count) => weights.text + weights.rare_text / Math.sqrt(1 + count),
  );
  return (cosines, rows) => {
    const text = products(stored, width, unit(decayed(stored, width, rows, weights.decay)));
    const near = new Float32Array(cosines.length);
    rows.forEach((row, at) => {
      const weight = weights.decay ** (rows.length - 1 - at);
      for (let pair = starts[row]; pair < starts[row + 1]; pair += 1)
        near[neighbours[pair]] += similarities[pair] * weight;
    });
    const most = near.reduce((one, other) => Math.max(one, other), 0) || 1;
    return cosines.map(
      (cosine, row) => cosine + factors[row] * text[row] + (weights.neighbours * near[row]) / most,
    );
  };
}
