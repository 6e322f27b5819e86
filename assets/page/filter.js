// Which items are recommended, as a value: a category and prices.

/** @type {import("./contract.js").FilterPayload} */
export const EVERYTHING = { category: "", min_price: null, max_price: null };

export function sameFilter(one, other) {
  return Object.keys(EVERYTHING).every((key) => one[key] === other[key]);
}

/**
 * The filter that was stored. Anything may be in the storage; what the catalogue does not know, the
 * server's answer corrects.
 */
export function restoredFilter(stored) {
  const raw = stored?.filter || {};
  const price = (value) => (Number.isFinite(value) ? value : null);
  return {
    category: typeof raw.category === "string" ? raw.category : "",
    min_price: price(raw.min_price),
    max_price: price(raw.max_price),
  };
}
