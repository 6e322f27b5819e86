// The drawer about one item, or with a form: over the catalogue, or from below on a phone. HTML comes
// escaped from app/render_detail.py.

import { tr } from "./language.js";
import { makeRoving } from "./roving.js";

/**
 * @param {HTMLElement} section
 * @param {object} page
 * @param {function(import("./contract.js").DetailQuery):
 *   Promise<import("./contract.js").DetailPayload>} page.fetch
 * @param {function(import("./contract.js").DetailQuery):
 *   Promise<import("./contract.js").WhyPayload>} page.explain
 * @param {function(): string[]} page.history ids of the history that is shown, oldest first
 * @param {function(): boolean} page.isBlind whether no rank may be told
 * @param {function(Object<string, number>): void} page.mark shows in the history what pushes the item
 * @param {function(string): void} page.announce
 * @param {function(): void} page.onOpen
 * @param {function(string): void} page.onInside is given HTML of the item's tokens and embedding
 * @param {function(): void} page.onClose
 * @param {function(): void} page.onLost the keyboard has no button to go back to
 */
export function makeDrawer(section, page) {
  const title = section.querySelector(".drawer-title");
  const body = section.querySelector(".drawer-body");
  const close = section.querySelector('[data-action="close"]');
  const rove = makeRoving(body, ".near");
  let item = null; // id of the one that is open
  let form = null; // what else is open
  let opener = null; // what was pressed
  let version = 0;

  const query = () => ({ item, history: page.history(), blind: page.isBlind() });

  /**
   * @param {string} id
   * @param {?Element} pressed the button that asks for it, if any
   */
  function open(id, pressed = null) {
    item = id;
    form = null;
    reveal(pressed);
    section.setAttribute("aria-busy", "true");
    close.focus({ preventScroll: true });
    load();
  }

  /**
   * @param {{title: string, body: Element, refresh: function()}} shown refresh: for another history
   * @param {?Element} pressed
   */
  function openForm(shown, pressed = null) {
    version += 1;
    item = null;
    form = shown;
    reveal(pressed);
    section.setAttribute("aria-busy", "false");
    page.mark({});
    delete title.dataset.item;
    title.textContent = form.title;
    title.removeAttribute("lang");
    body.replaceChildren(form.body);
  }

  function reveal(pressed) {
    if (!section.contains(pressed)) opener = pressed;
    section.hidden = false;
    section.scrollTop = 0;
    page.onOpen();
  }

  /** The same for another history. */
  function refresh() {
    if (item !== null) load();
    else form?.refresh();
  }

  async function load() {
    version += 1;
    const mine = version;
    page.mark({});
    try {
      const found = await page.fetch(query());
      if (mine !== version) return; // overtaken, or closed
      show(found);
      if (found.explains === "now") await explain();
    } catch {
      if (mine !== version) return;
      title.textContent = tr("The app does not answer.");
      body.replaceChildren();
      page.announce(title.textContent);
    } finally {
      if (mine === version) section.setAttribute("aria-busy", "false");
    }
  }

  /** @param {import("./contract.js").DetailPayload} found */
  function show(found) {
    const isNew = title.dataset.item !== item;
    const hadFocus = body.contains(document.activeElement);
    const focused = document.activeElement.dataset?.id;
    title.dataset.item = item;
    title.textContent = found.title;
    body.innerHTML = found.html;
    // In which language the texts of a catalogue are, nobody knows.
    title.toggleAttribute("lang", body.querySelector(".detail-head") !== null);
    rove();
    page.onInside(found.inside);
    if (isNew) page.announce(tr("Details of {title}.", { title: found.title }));
    if (!hadFocus) return;
    const same = [...body.querySelectorAll(".item")].find(({ dataset }) => dataset.id === focused);
    (same || close).focus({ preventScroll: true });
  }

  /** Why the item is ranked where it is. */
  async function explain() {
    const mine = version;
    const place = body.querySelector(".why-body");
    const button = place.querySelector("button");
    if (button?.getAttribute("aria-disabled") === "true") return;
    button?.setAttribute("aria-disabled", "true");
    if (button) button.textContent = tr("Computing \u2026");
    const found = await page.explain(query()).catch(() => null);
    if (mine !== version) return;
    const hadFocus = place.contains(document.activeElement);
    if (found) place.innerHTML = found.html;
    else place.textContent = tr("The app does not answer.");
    if (hadFocus) close.focus({ preventScroll: true });
    page.mark(found?.changes ?? {});
  }

  /** Whether there was anything to close. */
  function hide() {
    if (item === null && form === null) return false;
    version += 1;
    const id = item;
    item = null;
    form = null;
    section.hidden = true;
    page.mark({});
    const again = opener?.isConnected ? opener : findOpener(opener, id);
    opener = null;
    page.onClose();
    if (again?.offsetParent) again.focus({ preventScroll: true });
    else page.onLost();
    return true;
  }

  return { open, openForm, refresh, explain, close: hide };
}

/** The button in the place of one that was drawn anew. */
function findOpener(opener, id) {
  if (id === null) return null;
  const selector = `.info[data-info="${CSS.escape(id)}"]`;
  return opener && [...document.querySelectorAll(selector)].find((button) => button.offsetParent);
}
