// The bar under the history in which something is tried. While it is open, whatever changes the
// history changes only what is tried, until it is kept.

import { setAttributes } from "./dom.js";
import { tr } from "./language.js";
import {
  countingItems,
  isOther,
  scrubbedTo,
  startedFrom,
  strengthText,
  turnedRound,
  whatIfText,
  withItem,
  withMoved,
  withoutItem,
} from "./what_if.js";

const FEWEST = 2; // items with which there is something to try

/**
 * @param {Element} root of the page, which is told how high the bar is
 * @param {object} page
 * @param {function(): import("./history.js").History} page.history of the visitor
 * @param {function(): void} page.onOpen
 * @param {function(): void} page.onFirst before something is tried for the first time
 * @param {function(string): void} page.onChange something else is tried, in words
 * @param {function(import("./contract.js").ItemPayload[]): void} page.onKeep what was tried is to be
 *   the history; the bar is closed
 * @param {function(boolean): void} page.onBack the bar is closed; whether anything had been tried
 * @param {function(string): void} page.tell
 */
export function makeWhatIf(root, page) {
  const bar = root.querySelector(".what-if");
  const button = root.querySelector('[data-action="what-if"]');
  const keepButton = bar.querySelector('[data-action="what-if-keep"]');
  const scrubber = bar.querySelector(".scrubber");
  const sliders = [...bar.querySelectorAll("[data-slider]")];
  /** @type {?import("./what_if.js").WhatIf} */
  let tried = null; // null while the bar is closed
  let hasBegun = false;

  const isOpen = () => tried !== null;
  const items = () => page.history().items;

  function open() {
    if (items().length < FEWEST) {
      page.tell(tr("Two items are needed, at least: then there is something to try."));
      return;
    }
    tried = startedFrom(items());
    hasBegun = false;
    bar.hidden = false;
    draw();
    page.onOpen();
    scrubber.focus({ preventScroll: true });
  }

  function close() {
    const hadFocus = bar.contains(document.activeElement);
    tried = null;
    bar.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (hadFocus) button.focus({ preventScroll: true });
  }

  /** Whether there was anything to leave. */
  function back() {
    if (!isOpen()) return false;
    close();
    page.onBack(hasBegun);
    return true;
  }

  function keep() {
    if (!isOther(tried, items())) {
      page.tell(tr("The history is as it was: there is nothing to keep."));
      return;
    }
    const kept = countingItems(tried);
    close();
    page.onKeep(kept);
  }

  /** @param {import("./what_if.js").WhatIf} next */
  function tryOut(next) {
    if (JSON.stringify(next) === JSON.stringify(tried)) return;
    if (!hasBegun) page.onFirst();
    hasBegun = true;
    tried = next;
    draw();
    page.onChange(text());
  }

  /** The same for a change of the history, which is none while the bar is open; gives whether it is. */
  function instead(next) {
    if (!isOpen()) return false;
    tryOut(next());
    return true;
  }

  const text = () => whatIfText(tried, items());

  function draw() {
    const { counting } = tried;
    const total = tried.items.length;
    button.setAttribute("aria-expanded", "true");
    setAttributes(scrubber, {
      max: String(total),
      "aria-valuetext": tr("the first {counting} of {total}", { counting, total }),
    });
    scrubber.value = String(counting);
    bar.querySelector(".scrubbed").textContent = tr("{counting} of {total}", { counting, total });
    for (const slider of sliders) {
      const strength = strengthText(tried[slider.dataset.slider]);
      slider.value = String(tried[slider.dataset.slider]);
      slider.setAttribute("aria-valuetext", strength);
      slider.nextElementSibling.textContent = strength;
    }
    keepButton.setAttribute("aria-disabled", String(!isOther(tried, items())));
  }

  scrubber.addEventListener("input", () => tryOut(scrubbedTo(tried, Number(scrubber.value))));
  for (const slider of sliders)
    slider.addEventListener("input", () =>
      tryOut({ ...tried, [slider.dataset.slider]: Number(slider.value) }),
    );
  // Other parts of the page stick to the window below the bar, whose height depends on the width.
  new ResizeObserver(() => {
    root.style.setProperty("--bar", `${bar.offsetHeight}px`);
  }).observe(bar);

  return {
    isOpen,
    back,
    keep,
    toggle: () => back() || open(),
    reverse: () => tryOut(turnedRound(tried)),
    remove: (id) => instead(() => withoutItem(tried, id)),
    move: (id, position) => instead(() => withMoved(tried, id, position)),
    add: (item) => instead(() => withItem(tried, item, page.history().limit)),

    /** What the strip shows; null while the bar is closed. */
    shown: () => tried && { title: text(), items: tried.items, counting: tried.counting },

    /** The items that count; null while the bar is closed. */
    items: () => tried && countingItems(tried),

    /** @returns {?import("./contract.js").WhatIfPayload} */
    request: () => tried && { diversity: tried.diversity, less_popular: tried.lessPopular },
  };
}
