// What the page tells the server is kept here until the server has stored it: a server may be gone
// before it has written, or the answer on its way be lost. What is told again has the same key, by
// which it is kept once.

import { randomId } from "./protocol.js";
import { readTab, storeTab } from "./storage.js";

const MOST_UNTOLD = 100;
const FIRST_WAIT_MS = 1000; // before it is told again; then twice as long, and so on
const LONGEST_WAIT_MS = 60000;

/**
 * @param {object} page
 * @param {function(object): Promise<boolean>} page.tell tells an entry; whether it is settled
 * @param {string} page.storageKey a reload of the tab goes on with what waits
 */
export function makeOutbox({ tell, storageKey }) {
  let waiting = restoredUntold(readTab(storageKey));
  let isTelling = false;
  let timer = 0;
  let delay = FIRST_WAIT_MS;

  function keep(next) {
    waiting = next.slice(-MOST_UNTOLD);
    storeTab(storageKey, waiting);
  }

  /** @param {object} entry without its key */
  function put(entry) {
    keep([...waiting, { ...entry, key: randomId() }]);
  }

  /** Tell what waits, one after the other; what is not settled is told again later. */
  async function flush() {
    if (isTelling) return;
    isTelling = true;
    clearTimeout(timer);
    for (let entry = waiting[0]; entry; entry = waiting[0]) {
      const isSettled = await tell(entry).catch(() => false);
      if (!isSettled) break;
      delay = FIRST_WAIT_MS;
      keep(waiting.filter(({ key }) => key !== entry.key));
    }
    isTelling = false;
    if (!waiting.length) return;
    timer = setTimeout(flush, delay * (1 + Math.random())); // not all tabs at the same moment
    delay = Math.min(2 * delay, LONGEST_WAIT_MS);
  }

  /** Nothing of it is to be told any more. */
  function clear() {
    clearTimeout(timer);
    keep([]);
  }

  return { put, flush, clear };
}

/** Anything may be in the storage. */
function restoredUntold(stored) {
  return Array.isArray(stored) ? stored.filter((entry) => typeof entry?.key === "string") : [];
}
