// Where the filter is chosen: a category and two prices beside the recommendations.

import { node } from "./dom.js";
import { EVERYTHING } from "./filter.js";
import { tr } from "./language.js";

/**
 * @param {HTMLElement} group
 * @param {function(import("./contract.js").FilterPayload): void} act is told what is chosen
 * @param {function(string): void} tell says why nothing is
 */
export function makeFilterControl(group, act, tell) {
  const category = group.querySelector(".filter-category");
  const prices = {
    min_price: group.querySelector(".min-price"),
    max_price: group.querySelector(".max-price"),
  };
  let filter = EVERYTHING;

  function draw(newFilter) {
    filter = newFilter;
    category.querySelector("[data-unlisted]")?.remove();
    const listed = [...category.options].some((option) => option.value === filter.category);
    if (!listed) {
      const attributes = { value: filter.category, "data-unlisted": "" };
      category.append(node("option", attributes, [filter.category]));
    }
    category.value = filter.category;
    category.classList.toggle("on", filter.category !== "");
    for (const [key, input] of Object.entries(prices)) {
      input.value = filter[key] === null ? "" : String(filter[key]);
      input.classList.toggle("on", filter[key] !== null);
      input.removeAttribute("aria-invalid");
    }
  }

  /** The category that is browsed stands first, so that it is one step away. */
  function browsing(name) {
    category.querySelector("optgroup")?.remove();
    if (name) {
      const option = node("option", { value: name }, [name]);
      category.options[0].after(node("optgroup", { label: tr("What you browse") }, [option]));
    }
    category.value = filter.category;
  }

  /** A catalogue without categories and prices has nothing to choose here. */
  function show(visible) {
    group.hidden = !visible || !group.querySelector(":scope > :not([hidden])");
  }

  function focus() {
    const first = category.offsetParent ? category : prices.min_price;
    first.focus();
  }

  category.addEventListener("change", () => act({ ...filter, category: category.value }));
  // The value is empty where what was typed is not a number.
  const priceOf = (input) => (input.value === "" ? null : Number(input.value));

  function changePrices() {
    const low = priceOf(prices.min_price);
    const high = priceOf(prices.max_price);
    const crossed = low !== null && high !== null && low > high;
    for (const input of Object.values(prices)) input.setAttribute("aria-invalid", String(crossed));
    if (crossed)
      tell(
        tr("The lowest price, {low}, is above the highest, {high}: change one of them.", {
          low,
          high,
        }),
      );
    else act({ ...filter, min_price: low, max_price: high });
  }

  for (const input of Object.values(prices)) input.addEventListener("change", changePrices);

  return { draw, browsing, show, focus };
}
