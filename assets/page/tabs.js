// A phone shows one part of the page at a time; the tabs choose it.

/** @param {HTMLElement} root of the page, which knows its pane for the styles */
export function makeTabs(root) {
  const tabs = [...root.querySelectorAll(".tabs [data-tab]")];

  function show(pane) {
    root.dataset.pane = pane;
    for (const tab of tabs) {
      tab.setAttribute("aria-pressed", String(tab.dataset.tab === pane));
      if (tab.dataset.tab === pane) tab.classList.remove("fresh");
    }
    // On a low screen, zoomed in for example, the top and the strip would leave no room for a list.
    const isLow = matchMedia("(max-width: 820px) and (max-height: 560px)").matches;
    if (isLow && pane !== "browse") root.querySelector(".panes").scrollIntoView();
    else window.scrollTo({ top: 0 });
  }

  /** There are new recommendations in the parts that are not seen. */
  function markFresh() {
    for (const tab of tabs) {
      const { tab: name } = tab.dataset;
      if (name !== root.dataset.pane && name !== "browse") tab.classList.add("fresh");
    }
  }

  return { show, markFresh };
}
