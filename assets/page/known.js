// The items whose title and cover the page has from the server: an answer need not bring them again.

const MAX_KNOWN = 1000;

/** @typedef {import("./contract.js").ItemPayload} Item */

export function makeKnown() {
  /** @type {Map<string, Item>} */
  const items = new Map();

  /** @param {Item[]} found as the server has given them */
  function learn(found) {
    if (items.size > MAX_KNOWN) items.clear(); // they are learnt again with the next answer
    for (const item of found) items.set(item.id, item);
  }

  /**
   * The items of a history as it is sent.
   * @param {Array<string|object>} history
   * @returns {?Item[]} null where one of them is not known, or is one of the visitor's own
   */
  function itemsOf(history) {
    const found = history.map((id) => items.get(id));
    return found.includes(undefined) ? null : found;
  }

  return { learn, itemsOf };
}
