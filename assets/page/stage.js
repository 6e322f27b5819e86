// Stage mode: few rows in large type, for a projector. The address says whether it is on ("?stage"),
// so that it survives a reload and can be bookmarked.

import { withParameter } from "./address.js";
import { CATALOG } from "./catalogs.js";

const STAGE = "stage";

/** @param {HTMLElement} root of the page, whose data the styles go by */
export function makeStage(root) {
  const isOn = () => root.dataset.stage === "on";

  function draw(on) {
    root.dataset.stage = on ? "on" : "";
  }

  function toggle() {
    const address = withParameter(location.href, STAGE, isOn() ? null : "");
    window.history.replaceState(window.history.state, "", address);
    draw(!isOn());
    window.scrollTo({ top: 0 });
  }

  /**
   * The address of the page with another part behind "#", for somebody else: in the same mode, of
   * the same catalogue.
   * @param {string} hash "" gives ""
   */
  function address(hash) {
    const catalog = new URLSearchParams(location.search).get(CATALOG);
    const page = withParameter(location.origin + location.pathname, CATALOG, catalog);
    return hash && withParameter(page, STAGE, isOn() ? "" : null) + hash;
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
