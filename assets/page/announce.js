// What a screen reader is told: changes of the history in words, and the region that speaks.

import { tr } from "./language.js";

/**
 * Gives a function that speaks a text, also if it is the same one as before.
 * @param {Element} region a live region that nobody sees
 */
export function makeAnnouncer(region) {
  let again = false;
  return (text) => {
    // An equal text would be no change of the page, and not be read.
    again = !again;
    region.textContent = again ? text : `${text}\u00a0`;
  };
}

/**
 * What happened to a history, in a sentence.
 * @param {import("./contract.js").ItemPayload[]} before
 * @param {import("./contract.js").ItemPayload[]} after
 * @param {?string} movedId the item that was moved, if that is known
 */
export function describeChange(before, after, movedId = null) {
  const added = without(after, before);
  const removed = without(before, after);
  const said = [];
  if (removed.length) said.push(tr("{items} removed.", { items: named(removed) }));
  if (added.length) said.push(tr("{items} added.", { items: named(added) }));
  if (!said.length) {
    const moved = after.find(({ id }) => id === movedId) ?? movedOf(before, after);
    if (!moved) return "";
    const place = { title: moved.title, place: after.indexOf(moved) + 1, count: after.length };
    return tr("{title} moved to number {place} of {count}.", place);
  }
  const { length: count } = after;
  said.push(count ? tr("{count} in the history.", { count }) : tr("The history is empty."));
  return said.join(" ");
}

function without(items, others) {
  const ids = new Set(others.map(({ id }) => id));
  return items.filter(({ id }) => !ids.has(id));
}

function named(items) {
  return items.length === 1 ? items[0].title : tr("{count} items", { count: items.length });
}

/** The item that makes the difference between two orders. */
function movedOf(before, after) {
  const order = (items, left) =>
    items
      .map(({ id }) => id)
      .filter((id) => id !== left.id)
      .join(" ");
  return after.find(
    (item, at) => before[at]?.id !== item.id && order(before, item) === order(after, item),
  );
}
