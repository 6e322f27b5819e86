// A few sentences where a first visitor looks; each can be dismissed, for good in this browser.

import { readStored, store } from "./storage.js";

const CAPTIONS_KEY = "hllm-live/captions";

/** @param {Element} root of the page */
export function makeCaptions(root) {
  const captions = [...root.querySelectorAll(".caption")];
  const stored = readStored(CAPTIONS_KEY);
  const dismissed = new Set(Array.isArray(stored) ? stored : []);

  function draw() {
    for (const caption of captions) caption.hidden = dismissed.has(caption.dataset.caption);
  }

  /** @param {string} name of the caption */
  function dismiss(name) {
    const caption = captions.find(({ dataset }) => dataset.caption === name);
    dismissed.add(name);
    store(CAPTIONS_KEY, [...dismissed]);
    draw();
    // The keyboard was on it.
    const section = caption.closest("section");
    const next = section.querySelector(".caption:not([hidden]) button");
    (next || section.querySelector('.item[tabindex="0"]'))?.focus({ preventScroll: true });
  }

  draw();
  return { dismiss };
}
