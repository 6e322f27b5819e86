// The history of one visitor: pure functions, each of which gives the next history.

import { tr } from "./language.js";

const MAX_UNDO = 100;
const MAX_KEPT_UNDO = 10; // what is stored is written at every click

/**
 * @typedef {object} History
 * @property {import("./contract.js").ItemPayload[]} items oldest first
 * @property {import("./contract.js").ItemPayload[][]} past earlier lists, for undo
 * @property {import("./contract.js").ItemPayload[][]} future undone lists, for redo
 * @property {number} limit how many items count; the oldest leave
 * @property {number} cut how many have just left for this reason
 */

/** What is stored of a history. */
export function storedHistory({ items, past, future }) {
  return {
    history: items,
    past: past.slice(-MAX_KEPT_UNDO),
    future: future.slice(-MAX_KEPT_UNDO),
  };
}

/** The history that was stored, with its last steps: anything may be in the storage. */
export function restoredHistory(stored, limit) {
  const items = (list) =>
    Array.isArray(list) ? list.filter((item) => item && typeof item.id === "string") : [];
  const steps = (lists) =>
    Array.isArray(lists) ? lists.map((list) => items(list).slice(-limit)) : [];
  const valid = items(stored?.history);
  const cut = Math.max(0, valid.length - limit);
  return {
    items: valid.slice(-limit),
    past: steps(stored?.past),
    future: steps(stored?.future),
    limit,
    cut,
  };
}

export function changed(history, items) {
  if (!items.length && !history.items.length) return history;
  return {
    ...history,
    items: items.slice(-history.limit),
    cut: Math.max(0, items.length - history.limit),
    past: [...history.past, history.items].slice(-MAX_UNDO),
    future: [],
  };
}

/** What is said where items had to leave: a sentence, or none. */
export function cutNotices({ cut, limit }) {
  if (!cut) return [];
  return [
    cut === 1
      ? tr("Only the {limit} most recent items count: the oldest one left.", { limit })
      : tr("Only the {limit} most recent items count: {cut} older ones left.", { limit, cut }),
  ];
}

/** Where an item is, from 0; -1 if it is not there. */
export function positionOf(history, id) {
  return history.items.findIndex((item) => item.id === id);
}

export function addItem(history, item) {
  return positionOf(history, item.id) >= 0 ? history : changed(history, [...history.items, item]);
}

export function removeItem(history, id) {
  return changed(
    history,
    history.items.filter((item) => item.id !== id),
  );
}

/** Without an item, also in what can be undone. */
export function forgetItem(history, id) {
  const rest = (items) => items.filter((item) => item.id !== id);
  const { items, past, future } = history;
  if (![items, ...past, ...future].flat().some((item) => item.id === id)) return history;
  return { ...history, items: rest(items), past: past.map(rest), future: future.map(rest), cut: 0 };
}

export function moveItem(history, id, position) {
  const items = movedTo(history.items, id, position);
  return items === history.items ? history : changed(history, items);
}

/** Items with one of them at another place; the same ones if it is there, or not among them. */
export function movedTo(items, id, position) {
  const from = items.findIndex((item) => item.id === id);
  const to = Math.max(0, Math.min(position, items.length - 1));
  if (from < 0 || from === to) return items;
  const others = items.filter((item) => item.id !== id);
  return others.toSpliced(to, 0, items[from]);
}

export function undo(history) {
  if (!history.past.length) return history;
  return {
    ...history,
    items: history.past[history.past.length - 1],
    cut: 0,
    past: history.past.slice(0, -1),
    future: [...history.future, history.items],
  };
}

export function redo(history) {
  if (!history.future.length) return history;
  return {
    ...history,
    items: history.future[history.future.length - 1],
    cut: 0,
    past: [...history.past, history.items],
    future: history.future.slice(0, -1),
  };
}
