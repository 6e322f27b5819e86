// The page's frame, when it is another one than the page came with: in another language, of another
// catalogue. With it, every question that follows names both.

import { withParameter } from "./address.js";
import { CATALOG, installedCatalogs, wantedCatalog } from "./catalogs.js";
import { preferredLanguage, speak } from "./language.js";

/**
 * Makes the page to be in the language and of the catalogue that are wanted.
 * @param {Element} element with the page's frame in English, of the first catalogue
 * @param {object} server
 * @returns {Promise<{server: object, lang: ?string, lost: string}>} the server that is told both;
 *   the language, null where it cannot be chosen: without what has the translations, all is
 *   English; and the name of a catalogue that was wanted and is not shown, mostly ""
 */
export async function openFrame(element, server) {
  if (server.frame === undefined) return { server, lang: null, lost: "" };
  const lang = preferredLanguage();
  const installed = installedCatalogs(element.querySelector(".hllm").dataset.catalogs);
  const { name, address, lost } = wantedCatalog(location.href, installed);
  setAddress(address);
  const told = {};
  if (lang !== "en") told.lang = lang;
  if (name !== installed[0].name) told.catalog = name;
  if (!Object.keys(told).length) return { server, lang, lost };
  const informed = inform(server, told);
  element.style.visibility = "hidden"; // the frame that is not meant to be read
  const found = await informed.frame({}).catch(() => null);
  element.style.visibility = "";
  if (!found) {
    // All of it English and of the first catalogue, rather than half of it.
    setAddress(withParameter(location.href, CATALOG, null));
    return { server, lang: "en", lost: told.catalog ?? lost };
  }
  element.innerHTML = found.shell;
  speak(lang, found.texts);
  return { server: informed, lang, lost };
}

/** A server that is told something with every question. */
function inform(server, told) {
  return new Proxy(server, {
    get: (all, name) => all[name] && ((question) => all[name]({ ...question, ...told })),
  });
}

function setAddress(address) {
  if (address !== location.href) window.history.replaceState(window.history.state, "", address);
}
