// How a list of recommendations differs from the one before.

import { sameFilter } from "./filter.js";
import { tr } from "./language.js";

/**
 * Moves are against the list before, unless another filter made that.
 * @param {?{ids: string[], filter: import("./contract.js").FilterPayload}} shown history and filter
 *   of the lists before, null if there are none
 * @param {string[]} ids of the history now
 */
export function isComparable(shown, ids, filter) {
  if (shown === null) return false;
  return shown.ids.join(" ") !== ids.join(" ") && sameFilter(shown.filter, filter);
}

/**
 * How an item has moved: what is written and its kind, null if it stayed.
 * @param {Object<string, number>} before ranks by item id
 */
export function moveOf(before, id, rank) {
  const from = before[id];
  if (from === undefined) return { text: tr("new"), kind: "new" };
  if (from > rank) return { text: `\u25b2${from - rank}`, kind: "up" };
  if (from < rank) return { text: `\u25bc${rank - from}`, kind: "down" };
  return null;
}
