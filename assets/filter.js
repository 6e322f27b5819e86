// Which items are recommended: a category and prices, set beside the recommendations. Like the
// history it lives in the browser only. Loaded after history.js and strip.js, before page.js.

const EVERYTHING = { category: "", min_price: null, max_price: null };

function sameFilter(one, other) {
  return Object.keys(EVERYTHING).every((key) => one[key] === other[key]);
}

// Anything may be in the storage; what the catalogue does not know, the server's answer corrects.
function storedFilter(key) {
  const stored = readStored(key);
  const raw = (stored && stored.filter) || {};
  const price = (value) => (Number.isFinite(value) ? value : null);
  return {
    category: typeof raw.category === "string" ? raw.category : "",
    min_price: price(raw.min_price),
    max_price: price(raw.max_price),
  };
}

// act(filter) is told what the visitor has chosen.
function makeFilter(group, act) {
  const category = group.querySelector(".filter-category");
  const prices = { min_price: group.querySelector(".min-price"), max_price: group.querySelector(".max-price") };
  let filter = EVERYTHING;

  function draw(newFilter) {
    filter = newFilter;
    category.querySelector("[data-unlisted]")?.remove();
    const listed = [...category.options].some((option) => option.value === filter.category);
    if (!listed) category.append(node("option", { value: filter.category, "data-unlisted": "" }, [filter.category]));
    category.value = filter.category;
    category.classList.toggle("on", filter.category !== "");
    for (const [key, input] of Object.entries(prices)) {
      input.value = filter[key] === null ? "" : String(filter[key]);
      input.classList.toggle("on", filter[key] !== null);
    }
  }

  // The category that is being browsed stands first, so that it is one step away.
  function browsing(name) {
    category.querySelector("optgroup")?.remove();
    if (name) {
      const option = node("option", { value: name }, [name]);
      category.options[0].after(node("optgroup", { label: "What you browse" }, [option]));
    }
    category.value = filter.category;
  }

  // A catalogue without categories and prices has nothing to choose here.
  function show(visible) {
    group.hidden = !visible || !group.querySelector(":scope > :not([hidden])");
  }

  function focus() {
    const first = category.offsetParent ? category : prices.min_price;
    first.focus();
  }

  category.addEventListener("change", () => act({ ...filter, category: category.value }));
  for (const [key, input] of Object.entries(prices)) {
    // The value is empty where what was typed is no number.
    input.addEventListener("change", () => act({ ...filter, [key]: input.value === "" ? null : Number(input.value) }));
  }

  return { draw, browsing, show, focus };
}
