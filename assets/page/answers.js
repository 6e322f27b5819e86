// The half of the page with the recommendations: one line about them, and the lists.

import { makeColumns } from "./columns.js";

/** @param {Element} section */
export function makeAnswers(section) {
  const status = section.querySelector(".status");
  const pushing = section.querySelector(".pushing");
  const columns = makeColumns(section.querySelector(".start"), section.querySelector(".columns"));
  let examples = {};

  /** The keyboard goes to the first item that can be seen, or to the section itself. */
  function focus() {
    const items = [...section.querySelectorAll(".item")];
    (items.find((item) => item.offsetParent) || section).focus({ preventScroll: true });
  }

  /** Before what has the keyboard goes away. */
  function keepFocus() {
    if (section.contains(document.activeElement)) focus();
  }

  function setBusy(busy) {
    section.setAttribute("aria-busy", String(busy));
  }

  /** Texts and elements in the one line. */
  function say(...parts) {
    status.replaceChildren(...parts);
  }

  /** Where the lists stand, in words. */
  function standing() {
    return `${status.textContent}.${section.querySelector(".columns").hidden ? "" : columns.firsts()}`;
  }

  /**
   * @param {import("./contract.js").AnswerPayload} answer
   * @param {string[]} ids of its history
   */
  function show(answer, ids) {
    const hadFocus = section.contains(document.activeElement);
    if (answer.start !== null) {
      columns.showStart(answer.start);
      examples = Object.fromEntries(answer.examples.map(({ name, items }) => [name, items]));
    } else {
      columns.showLists(answer.columns, ids, answer.filter);
    }
    section.querySelector(".agreement").textContent = answer.agreement;
    say(answer.live);
    if (hadFocus && !section.contains(document.activeElement)) focus(); // what had it is gone
  }

  /**
   * Mark rows that an item of the history pushes.
   * @param {?Object<string, Object<string, number>>} falls 0 to 1 by column and row; null: none
   * @param {string} title of the item
   */
  function markPushed(falls, title) {
    const count = columns.markPushed(falls ?? {});
    pushing.hidden = falls === null;
    const rows = count === 1 ? "1 row" : `${count} rows`;
    pushing.textContent = `${rows} would fall without ${title}`;
  }

  /** The history of an example by its name. */
  function example(name) {
    return examples[name] || [];
  }

  return {
    setBusy,
    say,
    show,
    standing,
    focus,
    keepFocus,
    example,
    markPushed,
    rows: columns.rows,
    blindPlace: columns.blindPlace,
    forget: columns.forget,
    hold: columns.hold,
    release: columns.release,
  };
}
