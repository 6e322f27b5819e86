// Stage mode: few rows in large type, for a projector. The address says whether it is on ("?stage"),
// so that it survives a reload and can be bookmarked.

const STAGE = "stage";

/** @param {HTMLElement} root of the page, whose data the styles go by */
export function makeStage(root) {
  const isOn = () => root.dataset.stage === "on";

  function draw(on) {
    root.dataset.stage = on ? "on" : "";
  }

  function toggle() {
    const url = new URL(location.href);
    if (isOn()) url.searchParams.delete(STAGE);
    else url.searchParams.set(STAGE, "");
    url.search = url.search.replace(/\bstage=(?=&|$)/, STAGE); // as people write it
    window.history.replaceState(window.history.state, "", url);
    draw(!isOn());
    window.scrollTo({ top: 0 });
  }

  /**
   * The address of the page with another part behind "#", for somebody else: in the same mode.
   * @param {string} hash "" gives ""
   */
  function address(hash) {
    const mode = isOn() ? `?${STAGE}` : "";
    return hash && location.origin + location.pathname + mode + hash;
  }

  /** Whether there was anything to leave. */
  function leave() {
    if (!isOn()) return false;
    toggle();
    return true;
  }

  draw(new URLSearchParams(location.search).has(STAGE));
  return { isOn, toggle, leave, address };
}
