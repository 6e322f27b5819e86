// What stands behind "#" in the address of the page: an item, or a history that somebody shares. It
// can be anything: whoever makes a link need not be a friend.

import { restoredFilter } from "./filter.js";
import { tr } from "./language.js";
import { restoredPair } from "./models.js";

const LINK_VERSION = "1";
const MAX_LINK_CHARS = 100_000;
const MAX_ITEM_CHARS = 500; // as in app/catalog/items.py
const MAX_NAME_CHARS = 80;
const PARTS = ["v", "c", "name", "h", "category", "min", "max", "m"];

/**
 * The address of an item; of the same form as in app/render.py.
 * @param {string} id
 */
export function linkOf(id) {
  return `#item=${encodeURIComponent(id)}`;
}

/**
 * The item that an address names, "" if none.
 * @param {string} hash
 */
export function linkedItem(hash) {
  if (isShared(hash) || hash.length > MAX_LINK_CHARS) return "";
  return (partsOf(hash).get("item") || "").slice(0, MAX_ITEM_CHARS);
}

/**
 * The key of the catalogue whose history an address holds, "" if none.
 * @param {string} hash
 */
export function linkedCatalog(hash) {
  if (!isShared(hash) || hash.length > MAX_LINK_CHARS) return "";
  return partsOf(hash).get("c") ?? "";
}

/** The address of the page alone, if it names an item or a history. */
export function leaveLink() {
  if (!linkedItem(location.hash) && !isShared(location.hash)) return;
  window.history.replaceState(window.history.state, "", location.pathname + location.search);
}

/**
 * The address of a history, "" where it would be too long for one.
 * @param {{catalog: string, name: string}} place key and name of the catalogue
 * @param {string[]} ids oldest first
 * @param {import("./contract.js").FilterPayload} filter
 * @param {?string[]} models left and right, null for those that any visitor sees
 */
export function sharedLink({ catalog, name }, ids, filter, models = null) {
  const parts = new URLSearchParams({ v: LINK_VERSION, c: catalog, name });
  for (const id of ids) parts.append("h", id);
  if (filter.category) parts.set("category", filter.category);
  if (filter.min_price !== null) parts.set("min", filter.min_price);
  if (filter.max_price !== null) parts.set("max", filter.max_price);
  for (const model of models ?? []) parts.append("m", model);
  const link = `#${parts}`;
  return link.length > MAX_LINK_CHARS ? "" : link;
}

/**
 * @typedef {object} Shared
 * @property {string} problem why it cannot be shown, as a sentence; mostly empty
 * @property {string[]} ids oldest first; which of them exist, the server says
 * @property {import("./contract.js").FilterPayload} filter
 * @property {?string[]} models that are to answer, null where it names none
 * @property {string[]} notices what was left out, as sentences
 */

/**
 * The history that an address holds, null if none.
 * @param {string} hash
 * @param {{catalog: string, name: string, limit: number}} place key and name of the catalogue, and
 *   how many items of a history count
 * @returns {?Shared}
 */
export function sharedHistory(hash, { catalog, name, limit }) {
  if (!isShared(hash)) return null;
  const refused = (problem) => ({
    ...{ problem, ids: [], filter: restoredFilter(null) },
    ...{ models: null, notices: [] },
  });
  if (hash.length > MAX_LINK_CHARS) return refused(tr("This link is too long to be read."));
  const parts = partsOf(hash);
  if (parts.get("v") !== LINK_VERSION)
    return refused(tr("This link is of another version of the page, which this one cannot read."));
  if (parts.get("c") !== catalog) {
    const other = (parts.get("name") || tr("another one")).slice(0, MAX_NAME_CHARS);
    return refused(
      tr("This link is for the catalogue \u201c{other}\u201d; here is \u201c{name}\u201d.", {
        other,
        name,
      }),
    );
  }
  const ids = parts.getAll("h");
  if (!ids.length) return refused(tr("There is no history in this link."));
  const { filter, unread } = filterOf(parts);
  const unknown = [...new Set(parts.keys())].filter((part) => !PARTS.includes(part));
  const cut = ids.length - limit;
  const notices = [
    cut > 0
      ? tr("Only the {limit} most recent items of the link count: {cut} left.", { limit, cut })
      : "",
    leftOut([...unread, ...unknown]),
  ];
  const models = restoredPair(parts.getAll("m"));
  return { problem: "", ids: ids.slice(-limit), filter, models, notices: notices.filter(Boolean) };
}

function filterOf(parts) {
  const prices = { min: priceOf(parts.get("min")), max: priceOf(parts.get("max")) };
  const unread = Object.keys(prices).filter((part) => Number.isNaN(prices[part]));
  const category = parts.get("category") ?? "";
  const raw = { category, min_price: prices.min, max_price: prices.max };
  return { filter: restoredFilter({ filter: raw }), unread };
}

/** A price as it is written in a link; null for none, NaN for what is no price. */
function priceOf(text) {
  if (text === null) return null;
  const price = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(price) && price >= 0 ? price : Number.NaN;
}

function leftOut(parts) {
  if (!parts.length) return "";
  const said = parts.slice(0, 3).map((name) => `\u201c${name.slice(0, 20)}\u201d`);
  const names = said.join(tr(", "));
  return tr("What this page cannot read of the link was left out: {names}.", { names });
}

function isShared(hash) {
  return /^#(?:.*&)?v=/s.test(hash);
}

function partsOf(hash) {
  return new URLSearchParams(hash.slice(1)); // takes anything: bad percent signs stay as they are
}
