// The two lists of recommendations, or what stands in their place. HTML comes escaped from
// app/render_recommendations.py.

import { makeSettling } from "./clicks.js";
import { sameFilter } from "./filter.js";
import { tr } from "./language.js";
import { isComparable, moveOf } from "./moves.js";
import { makeRoving } from "./roving.js";

/**
 * @param {Element} start shown while the history is empty
 * @param {Element} columns shown otherwise
 */
export function makeColumns(start, columns) {
  // History and filter of the lists that are shown, and the ranks in them by column and item id.
  let shown = null;
  // While something is tried, moves are against these, which were shown before it: as `shown`.
  let held = null;
  let isHeld = false;
  // The start and the lists stand in one place.
  const settle = makeSettling(
    ({ dataset }) => dataset.example || `${dataset.source} ${dataset.id}`,
  );

  const roveStart = makeRoving(start, ".item, .example");
  const rove = Object.fromEntries(
    [...columns.querySelectorAll(".column")].map((column) => [
      column.dataset.column,
      makeRoving(column, ".rec"),
    ]),
  );

  function showStart(html) {
    start.innerHTML = html;
    roveStart();
    settle([...start.querySelectorAll(".item, .example")]);
    start.hidden = false;
    columns.hidden = true;
    shown = null;
  }

  /**
   * @param {Object<string, string>} htmls of each column, or of "blind"
   * @param {string[]} ids of the history
   */
  function showLists(htmls, ids, filter) {
    const before = ranksBefore(ids, filter);
    const ranks = {};
    for (const column of columns.querySelectorAll(".column")) {
      const key = column.dataset.column;
      const rows = fill(column, htmls[key] ?? ""); // two columns, or the one of a blind test
      ranks[key] = Object.fromEntries(
        rows.map((row) => [row.dataset.id, Number(row.dataset.rank)]),
      );
      rove[key]();
      // The order of a blind list is half a coin's: nothing in it has moved.
      if (before[key] && key !== "blind") for (const row of rows) markMove(row, before[key]);
    }
    settle([...columns.querySelectorAll(".rec")]);
    start.hidden = true;
    start.replaceChildren();
    columns.hidden = false;
    shown = { ids, filter, ranks };
  }

  function ranksBefore(ids, filter) {
    if (isHeld) return held !== null && sameFilter(held.filter, filter) ? held.ranks : {};
    return isComparable(shown, ids, filter) ? shown.ranks : {};
  }

  /** Hold on to the lists, as what others are compared with, if they are those of a history. */
  function hold(ids) {
    held = shown !== null && shown.ids.join(" ") === ids.join(" ") ? shown : null;
    isHeld = true;
  }

  /** The next lists follow those that were held. */
  function release() {
    if (isHeld) shown = held;
    isHeld = false;
  }

  /** The first of each list, in words. */
  function firsts() {
    return [...columns.querySelectorAll(".column")]
      .map((column) => [column.getAttribute("aria-label"), column.querySelector(".rec")])
      .map(([name, first]) =>
        first ? ` ${tr("First in {name}: {title}.", { name, title: first.dataset.title })}` : "",
      )
      .join("");
  }

  /** Ids of the rows that are shown, by column. */
  function rows() {
    return Object.fromEntries(
      [...columns.querySelectorAll(".column")].map((column) => [
        column.dataset.column,
        [...column.querySelectorAll(".rec")].map((row) => row.dataset.id),
      ]),
    );
  }

  /** Where an item stands in the list of a blind test, and what that list is for; null: not there. */
  function blindPlace(id) {
    const row = [...columns.querySelectorAll(".blind-column .rec")].find(
      ({ dataset }) => dataset.id === id,
    );
    if (!row) return null;
    const { seed } = row.closest("ol").dataset;
    return { seed, position: Number(row.dataset.rank), history: shown.ids, filter: shown.filter };
  }

  /** Mark rows by how far they would fall, 0 to 1 by column and id; gives how many do. */
  function markPushed(falls) {
    const marked = [...columns.querySelectorAll(".rec")].filter((row) => {
      const fall = falls[row.dataset.source]?.[row.dataset.id] ?? 0;
      row.classList.toggle("pushed", fall > 0);
      row.style.setProperty("--push", String(fall));
      return fall > 0;
    });
    return marked.length;
  }

  /** What follows has nothing to do with what is shown, so that nothing has moved. */
  function forget() {
    shown = null;
  }

  return { showStart, showLists, firsts, rows, blindPlace, markPushed, forget, hold, release };
}

/** Put a list into a column; the keyboard stays at the row where it was. Gives the rows. */
function fill(column, html) {
  const focusedAt = [...column.querySelectorAll(".rec")].indexOf(document.activeElement);
  column.innerHTML = html;
  const rows = [...column.querySelectorAll(".rec")];
  if (focusedAt >= 0 && rows.length) {
    rows[Math.min(focusedAt, rows.length - 1)].focus({ preventScroll: true });
  }
  return rows;
}

function markMove(row, before) {
  const move = moveOf(before, row.dataset.id, Number(row.dataset.rank));
  if (move === null) return;
  const mark = row.querySelector(".move");
  mark.textContent = move.text;
  mark.className = `move ${move.kind}`;
  if (move.kind === "new") row.classList.add("arrived");
}
