// What if: a history that is only tried, beside the one that stands. Pure functions, each of which
// gives the next state.

import { movedTo } from "./history.js";
import { tr } from "./language.js";

/**
 * @typedef {object} WhatIf
 * @property {import("./contract.js").ItemPayload[]} items oldest first
 * @property {number} counting how many of them count, from the first on; one at least
 * @property {number} diversity 0 to 1
 * @property {number} lessPopular 0 to 1
 */

const idsOf = (items) => items.map(({ id }) => id);

/** @returns {WhatIf} of a history, as it is */
export function startedFrom(items) {
  return { items, counting: items.length, diversity: 0, lessPopular: 0 };
}

/** The items that count. */
export function countingItems({ items, counting }) {
  return items.slice(0, counting);
}

/** Only the first `count` items count. */
export function scrubbedTo(whatIf, count) {
  return { ...whatIf, counting: Math.max(1, Math.min(count, whatIf.items.length)) };
}

/** All items in the other order, those that do not count included. */
export function turnedRound(whatIf) {
  return { ...whatIf, items: whatIf.items.toReversed() };
}

/** An item at another place. */
export function withMoved(whatIf, id, position) {
  return { ...whatIf, items: movedTo(whatIf.items, id, position) };
}

/** Without an item, but for the last one: nothing can be predicted from nothing. */
export function withoutItem(whatIf, id) {
  const left = whatIf.items.filter((item) => item.id !== id);
  const counted = countingItems(whatIf).filter((item) => item.id !== id);
  if (!left.length) return whatIf;
  return { ...whatIf, items: left, counting: Math.max(1, counted.length) };
}

/**
 * With an item behind those that count; it counts, too.
 * @param {number} limit how many items of a history count; the oldest leave
 */
export function withItem(whatIf, item, limit) {
  const others = (items) => items.filter(({ id }) => id !== item.id);
  const counted = [...others(countingItems(whatIf)), item].slice(-limit);
  const beyond = others(whatIf.items.slice(whatIf.counting));
  return { ...whatIf, items: [...counted, ...beyond], counting: counted.length };
}

/** Whether the items that count are not those of a history, in its order. */
export function isOther(whatIf, items) {
  return idsOf(countingItems(whatIf)).join(" ") !== idsOf(items).join(" ");
}

/** What is tried, in words; `items` are those of the history that stands. */
export function whatIfText(whatIf, items) {
  const { counting } = whatIf;
  const total = whatIf.items.length;
  const words = [
    counting < total
      ? tr("first {counting} of {total} items", { counting, total })
      : tr("{count} items", { count: total }),
  ];
  const [before, now] = [idsOf(items), idsOf(whatIf.items)];
  const added = now.filter((id) => !before.includes(id)).length;
  const removed = before.filter((id) => !now.includes(id)).length;
  const [kept, order] = [both(before, now), both(now, before)].map((ids) => ids.join(" "));
  if (order !== kept) {
    const isReversed = order === both(before, now).toReversed().join(" ");
    words.push(isReversed ? tr("reversed") : tr("reordered"));
  }
  if (added) words.push(tr("{added} added", { added }));
  if (removed) words.push(tr("{removed} removed", { removed }));
  return tr("What if: {words}", { words: words.join(tr(", ")) });
}

/** Those of some ids that are among others, too. */
function both(ids, others) {
  return ids.filter((id) => others.includes(id));
}

/** Where a slider stands, in words. */
export function strengthText(value) {
  return value ? value.toFixed(2) : tr("off");
}
