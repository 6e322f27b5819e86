// The half of the page with the recommendations: one line about them, and the lists.

import { makeColumns } from "./columns.js";

/** @param {Element} section */
export function makeAnswers(section) {
  const status = section.querySelector(".status");
  const columns = makeColumns(section.querySelector(".start"), section.querySelector(".columns"));
  let examples = {};

  function setBusy(busy) {
    section.setAttribute("aria-busy", String(busy));
  }

  /** Texts and elements; what is already there is not said again. */
  function say(...parts) {
    if (parts.length > 1 || status.textContent !== parts[0]) status.replaceChildren(...parts);
  }

  /**
   * @param {import("./contract.js").AnswerPayload} answer
   * @param {string[]} ids of its history
   */
  function show(answer, ids) {
    if (answer.start !== null) {
      columns.showStart(answer.start);
      examples = Object.fromEntries(answer.examples.map(({ name, items }) => [name, items]));
    } else {
      columns.showLists(answer.columns, ids, answer.filter);
    }
    section.querySelector(".agreement").textContent = answer.agreement;
    say(answer.live);
  }

  /** The history of an example by its name. */
  function example(name) {
    return examples[name] || [];
  }

  return { setBusy, say, show, example };
}
