// Which catalogue is shown: one of those that are installed, by its name in the address, so that it
// is this tab's own, survives a reload and can be linked to. Choosing another one opens the page
// anew: what a visitor keeps is kept for each catalogue, and nothing of two is ever in one page.

import { withParameter } from "./address.js";
import { node } from "./dom.js";
import { tr } from "./language.js";
import { linkedCatalog } from "./links.js";

export const CATALOG = "catalog"; // parameter of the address

/**
 * @typedef {object} InstalledCatalog
 * @property {string} name in addresses and questions
 * @property {string} key under which its history is kept, and links name it
 */

/**
 * @param {string} listed as app/render.py writes it
 * @returns {InstalledCatalog[]} the first one first
 */
export function installedCatalogs(listed) {
  const pairs = listed.split(" ").map((pair) => pair.split(":"));
  return pairs.map(([name, key]) => ({ name, key }));
}

/**
 * The catalogue that an address wants: that of a shared history in it, or the one that it names.
 * @param {string} address
 * @param {InstalledCatalog[]} installed
 * @returns {{name: string, address: string, lost: string}} what is shown, the address that says so,
 *   and the name of what is not installed, mostly ""
 */
export function wantedCatalog(address, installed) {
  const url = new URL(address);
  const named = url.searchParams.get(CATALOG);
  const key = linkedCatalog(url.hash);
  const isNamed = ({ name }) => name === named;
  const found = installed.find((one) => one.key === key) ?? installed.find(isNamed);
  const { name } = found ?? installed[0];
  const wanted =
    named === null && name === installed[0].name ? address : addressOf(address, name, installed);
  return { name, address: wanted, lost: found ? "" : (named ?? "") };
}

/** The page of a catalogue; the first one needs no name. */
function addressOf(address, name, installed) {
  return withParameter(address, CATALOG, name === installed[0].name ? null : name);
}

/**
 * @param {HTMLElement} root of the page
 * @param {object} page
 * @param {function(): Promise<import("./contract.js").CatalogsPayload>} page.fetch
 * @param {function(object): void} page.open in the drawer
 */
export function makeCatalogs(root, page) {
  const installed = installedCatalogs(root.dataset.catalogs);
  const shown = installed.find(({ key }) => key === root.dataset.catalog)?.name;
  let version = 0;

  /** Whether there is anything to choose. */
  const isChoice = () => installed.length > 1;

  /** Open the page anew if its address has come to want another catalogue; gives whether it does. */
  function follow() {
    const { name, address } = wantedCatalog(location.href, installed);
    if (!isChoice() || name === shown) return false;
    location.replace(address);
    return true;
  }

  async function open() {
    version += 1;
    const mine = version;
    const body = node("div", { class: "catalogs" }, [
      node("p", { class: "hint" }, [tr("Looking at what is installed \u2026")]),
    ]);
    page.open({ title: tr("Catalogues"), body, refresh: () => {} });
    root.querySelector('.drawer [data-action="close"]').focus({ preventScroll: true });
    const found = await page.fetch().catch(() => null);
    if (mine !== version) return;
    if (found) body.replaceChildren(...drawn(found.catalogs));
    else
      body.replaceChildren(
        node("p", { class: "hint", role: "note" }, [tr("The app does not answer.")]),
      );
  }

  function drawn(catalogs) {
    return [
      node("p", { class: "hint" }, [
        tr(
          "For you alone, in this tab. Each catalogue keeps its own history, and its models load when somebody chooses it.",
        ),
      ]),
      node("ul", {}, catalogs.map(entryOf)),
    ];
  }

  function entryOf({ name, title, size, models }) {
    const here = location.href.split("#")[0];
    const link = node("a", { href: addressOf(here, name, installed), dir: "auto", lang: "" }, [
      title,
    ]);
    const words = [
      link,
      node("span", {}, [name === shown ? `${size} \u00b7 ${tr("shown now")}` : size]),
    ];
    if (name === shown) link.setAttribute("aria-current", "true");
    for (const { title: model, problem, remedy } of models) {
      if (problem) words.push(node("span", { class: "misfit" }, [`${model}: ${problem}`]));
      if (remedy) words.push(node("code", {}, [remedy]));
    }
    return node("li", { class: "offer" }, words);
  }

  return { isChoice, follow, open };
}
