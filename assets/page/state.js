// What the visitor has chosen: a history and a filter, saved with every change.

import { restoredFilter, sameFilter } from "./filter.js";
import { restoredHistory, storedHistory } from "./history.js";

/**
 * @param {?object} stored what `save` was given last time
 * @param {number} limit how many items of a history count
 * @param {function(object): void} save keeps what it is given
 */
export function makeState(stored, limit, save) {
  let history = restoredHistory(stored, limit);
  let filter = restoredFilter(stored);
  const { items, past, future } = history;
  let isOwn = stored?.own === true || items.length + past.length + future.length > 0;

  const keep = () => save({ ...storedHistory(history), filter, own: isOwn });

  return {
    get history() {
      return history;
    },

    get filter() {
      return filter;
    },

    /** Whether the visitor has begun a history, also if it is empty again. */
    get isOwn() {
      return isOwn;
    },

    /** Begin with an empty history. */
    begin() {
      isOwn = true;
      keep();
    },

    /** Whether this is a change. */
    setHistory(next) {
      if (next === history) return false;
      history = next;
      isOwn = true;
      keep();
      return true;
    },

    /** Whether this is a change. */
    setFilter(next) {
      if (sameFilter(next, filter)) return false;
      filter = next;
      keep();
      return true;
    },

    /**
     * Take over what the server knows: which items and categories exist, and titles and covers
     * after a reload. Gives whether anything is new.
     */
    adopt(items, known) {
      if (sameFilter(known, filter) && sameItems(items, history.items)) return false;
      history = { ...history, items };
      filter = known;
      keep();
      return true;
    },
  };
}

function sameItems(items, others) {
  const same = (one, other) =>
    one.id === other.id && one.title === other.title && one.cover === other.cover;
  return items.length === others.length && items.every((item, at) => same(item, others[at]));
}
