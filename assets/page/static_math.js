// Nearest neighbours and lists in the browser: as hllm/serving/index.py and rerank.py compute them.

/** Rows of length 1. */
export function unitRows(vectors, width) {
  const units = new Float32Array(vectors.length);
  for (let start = 0; start < vectors.length; start += width) {
    units.set(unit(vectors.subarray(start, start + width)), start);
  }
  return units;
}

/** A vector of length 1; one without a direction stays 0. */
export function unit(vector) {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return Float32Array.from(vector, (value) => value / Math.max(length, 1e-12));
}

/** Products of every row and a vector. */
export function products(rows, width, vector) {
  const found = new Float32Array(rows.length / width);
  for (let row = 0, at = 0; row < found.length; row += 1) {
    let sum = 0;
    for (let place = 0; place < width; place += 1, at += 1) sum += rows[at] * vector[place];
    found[row] = sum;
  }
  return found;
}

/** Sum of some rows, each weighed `decay` times the one after it; the last counts 1. */
export function decayed(vectors, width, rows, decay) {
  const sum = new Float32Array(width);
  rows.forEach((row, at) => {
    const weight = decay ** (rows.length - 1 - at);
    for (let place = 0; place < width; place += 1)
      sum[place] += weight * vectors[row * width + place];
  });
  return sum;
}

/**
 * The best rows, the smaller one first among equals.
 * @param {Float32Array} scores
 * @param {number} count
 * @param {Set<number>} excluded rows that must not be found
 * @param {?number[]} allowed the only rows that may be found, ascending; null: all
 * @returns {{row: number, score: number}[]}
 */
export function best(scores, count, excluded, allowed = null) {
  const chosen = [];
  const consider = (row) => {
    const score = scores[row];
    if (excluded.has(row) || !Number.isFinite(score)) return;
    if (chosen.length === count && !(score > chosen[count - 1].score)) return;
    let at = chosen.length;
    while (at > 0 && chosen[at - 1].score < score) at -= 1;
    chosen.splice(at, 0, { row, score });
    if (chosen.length > count) chosen.pop();
  };
  if (allowed) for (const row of allowed) consider(row);
  else for (let row = 0; row < scores.length; row += 1) consider(row);
  return chosen;
}

/** Where a row stands in the order of `best`, from 1. */
export function rankOf(scores, row, excluded) {
  let rank = 1;
  for (let other = 0; other < scores.length; other += 1) {
    if (excluded.has(other)) continue;
    if (scores[other] > scores[row] || (scores[other] === scores[row] && other < row)) rank += 1;
  }
  return rank;
}

/**
 * A list chosen from the best, for diversity and against popularity: see hllm/serving/rerank.py.
 * @param {{row: number, score: number}[]} candidates best first
 * @param {function(number): Float32Array} vectorOf a row, of length 1
 * @param {number} count
 * @param {{diversity: number, lessPopular: number}} wish each from 0 to 1
 * @param {function(number): number} popularityOf a row, from 0 to 1
 */
export function reranked(candidates, vectorOf, count, wish, popularityOf) {
  if (!candidates.length) return [];
  const lowest = candidates.at(-1).score;
  const span = candidates[0].score - lowest;
  const relevance = candidates.map(({ row, score }) => {
    const scaled = span > 0 ? (score - lowest) / span : 0;
    return scaled - (wish.lessPopular ? wish.lessPopular * popularityOf(row) : 0);
  });
  const vectors = candidates.map(({ row }) => vectorOf(row));
  const likeness = new Array(candidates.length).fill(Number.NEGATIVE_INFINITY);
  const worth = [...relevance];
  const chosen = [];
  while (chosen.length < Math.min(count, candidates.length)) {
    const place = worth.indexOf(Math.max(...worth));
    chosen.push(candidates[place]);
    worth[place] = Number.NEGATIVE_INFINITY;
    relevance[place] = Number.NEGATIVE_INFINITY;
    vectors.forEach((vector, at) => {
      const cosine = vector.reduce((sum, value, n) => sum + value * vectors[place][n], 0);
      likeness[at] = Math.max(likeness[at], cosine);
      if (relevance[at] !== Number.NEGATIVE_INFINITY)
        worth[at] = (1 - wish.diversity) * relevance[at] - wish.diversity * likeness[at];
    });
  }
  return chosen;
}
