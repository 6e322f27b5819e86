// The two lines above the lists, each of which opens into a panel: how it works, and the scoreboard.

import { makeRoving } from "./roving.js";

/**
 * @param {Element} section
 * @param {function(string): void} onOpen is given the name of a panel that opens
 */
export function makeBands(section, onOpen) {
  const heads = [...section.querySelectorAll("[data-band]")];

  /** Open or close a panel; at most one is open. */
  function toggle(name) {
    for (const head of heads) {
      const opens = head.dataset.band === name && head.getAttribute("aria-expanded") !== "true";
      head.setAttribute("aria-expanded", String(opens));
      document.getElementById(head.getAttribute("aria-controls")).hidden = !opens;
      if (opens) onOpen(name);
    }
  }

  makeRoving(section.querySelector(".band-heads"), "[data-band]")();
  return { toggle };
}
