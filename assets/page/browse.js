// The catalogue: search, category, order, and covers page by page. HTML comes escaped from
// app/render.py.

import { retryButton } from "./dom.js";

const SEARCH_DELAY_MS = 120;

/**
 * @param {Element} section
 * @param {object} page
 * @param {function(import("./contract.js").BrowseQuery):
 *   Promise<import("./contract.js").BrowsePayload>} page.fetch
 * @param {function(string): number} page.positionOf where an item is in the history, from 0; or -1
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

  async function load(more = false) {
    version += 1;
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
      grid.dataset.version = String(mine);
    } catch {
      if (mine !== version) return;
      count.replaceChildren("The catalogue does not answer. ", retryButton("reload-browse"));
    } finally {
      if (mine === version) grid.setAttribute("aria-busy", "false");
    }
  }

  function show(found, more) {
    if (more) grid.insertAdjacentHTML("beforeend", found.html);
    else grid.innerHTML = found.html;
    nextCursor = found.cursor;
    moreButton.hidden = !nextCursor;
    count.textContent = found.count;
    markItems();
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

  /** Show everything again. */
  function reset() {
    search.value = "";
    category.value = "";
    load();
    focus();
  }

  search.addEventListener("input", () => {
    clearTimeout(searchTimer);
    searchTimer = setTimeout(() => load(), SEARCH_DELAY_MS);
  });
  category.addEventListener("change", () => {
    page.onCategory(category.value);
    load();
  });
  sort.addEventListener("change", () => load());

  return { load, markItems, focus, reset };
}
