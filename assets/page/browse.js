// The catalogue: search, category, order, and covers page by page. HTML comes escaped from
// app/render.py.

import { makeSettling } from "./clicks.js";
import { retryButton } from "./dom.js";
import { tr } from "./language.js";
import { makeRoving } from "./roving.js";
import { readTab, storeTab } from "./storage.js";

const SEARCH_DELAY_MS = 120;

/**
 * @param {Element} section
 * @param {object} page
 * @param {function(import("./contract.js").BrowseQuery):
 *   Promise<import("./contract.js").BrowsePayload>} page.fetch
 * @param {function(string): number} page.positionOf where an item is in the history, from 0; or -1
 * @param {function(string): void} page.announce
 * @param {string} page.storageKey under which the search is kept for this tab
 * @param {function(string): void} page.onCategory another category is browsed
 */
export function makeBrowse(section, page) {
  const search = section.querySelector(".search");
  const category = section.querySelector(".category");
  const sort = section.querySelector(".sort");
  const count = section.querySelector(".browse-count");
  const grid = section.querySelector(".grid");
  const moreButton = section.querySelector('[data-action="more"]');
  let version = 0;
  let nextCursor = null;
  let searchTimer = 0;
  const settle = makeSettling((item) => item.dataset.id);
  const rove = makeRoving(grid, ".item");
  const roveMore = makeRoving(moreButton.parentElement, ".button:not([hidden])");

  async function load(more = false) {
    version += 1;
    storeTab(page.storageKey, { text: search.value, category: category.value, sort: sort.value });
    const mine = version;
    grid.setAttribute("aria-busy", "true");
    try {
      const found = await page.fetch({
        text: search.value,
        category: category.value,
        sort: sort.value,
        cursor: more ? nextCursor : null,
      });
      if (mine !== version) return; // a later request was made meanwhile
      show(found, more);
      if (grid.dataset.version !== "0")
        page.announce(more ? tr("More items are shown.") : found.count);
      grid.dataset.version = String(mine);
    } catch {
      if (mine !== version) return;
      count.replaceChildren(
        `${tr("The catalogue does not answer.")} `,
        retryButton("reload-browse"),
      );
      page.announce(count.textContent);
    } finally {
      if (mine === version) grid.setAttribute("aria-busy", "false");
    }
  }

  function show(found, more) {
    const shownBefore = grid.children.length;
    const lost = [moreButton, count.firstElementChild].includes(document.activeElement);
    if (more) grid.insertAdjacentHTML("beforeend", found.html);
    else grid.innerHTML = found.html;
    nextCursor = found.cursor;
    moreButton.hidden = !nextCursor;
    roveMore();
    count.textContent = found.count;
    settle([...grid.querySelectorAll(".item")]);
    rove();
    markItems();
    if (!lost || document.activeElement === moreButton) return;
    // What was pressed is gone.
    const next = more ? grid.children[shownBefore]?.querySelector(".item") : null;
    (next || search).focus({ preventScroll: true });
  }

  /** Number the items that are in the history. */
  function markItems() {
    for (const item of section.querySelectorAll(".item")) {
      const position = page.positionOf(item.dataset.id);
      if (position < 0) item.removeAttribute("data-position");
      else item.setAttribute("data-position", String(position + 1));
    }
  }

  function focus() {
    search.focus();
  }

  function focusFirst() {
    (grid.querySelector('.item[tabindex="0"]') || search).focus({ preventScroll: true });
  }

  /** Show everything again. */
  function reset() {
    search.value = "";
    category.value = "";
    load();
    focus();
  }

  /** What was searched for in vain; "" otherwise. */
  function missing() {
    return grid.querySelector(".nothing") ? search.value.trim() : "";
  }

  function restore() {
    const kept = readTab(page.storageKey);
    if (typeof kept?.text === "string") search.value = kept.text.slice(0, search.maxLength);
    for (const [select, value] of [
      [category, kept?.category],
      [sort, kept?.sort],
    ]) {
      if ([...select.options].some((option) => option.value === value)) select.value = value;
    }
  }

  restore();
  search.addEventListener("input", () => {
    clearTimeout(searchTimer);
    searchTimer = setTimeout(() => load(), SEARCH_DELAY_MS);
  });
  category.addEventListener("change", () => {
    page.onCategory(category.value);
    load();
  });
  sort.addEventListener("change", () => load());

  return { load, markItems, focus, focusFirst, reset, missing };
}
