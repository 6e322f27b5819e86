// The language of the page. English sentences in the scripts are the keys of their translations:
// `tr` translates one, `marked` is for one that it is given later. Translations into another language
// come from the server (app/languages.py), with the page's frame in it, only if it is chosen.

import { readStored, store } from "./storage.js";

const LANGUAGE_KEY = "hllm-live/language";
const TAGS = { en: "en", zh: "zh-CN" };
const PARAMETER = "lang";
let texts = {};

/**
 * A sentence in the language of the page.
 * @param {string} sentence English, with {names} for values
 * @param {Object<string, *>} values by name; what a value contains is not looked at
 */
export function tr(sentence, values = {}) {
  const found = Object.hasOwn(texts, sentence) ? texts[sentence] : sentence;
  return found.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** A sentence that tr will be given, where the language is known. */
export function marked(sentence) {
  return sentence;
}

/**
 * The language that the address names, that was chosen here, or that the browser prefers.
 * @param {string} search of the address
 * @param {*} stored anything may be in the storage
 * @param {readonly string[]} preferred
 */
export function languageOf(search, stored, preferred) {
  const spoken = preferred.map((tag) => tag.toLowerCase().split("-")[0]);
  const wanted = [new URLSearchParams(search).get(PARAMETER), stored, ...spoken];
  const isOurs = (language) => typeof language === "string" && Object.hasOwn(TAGS, language);
  return wanted.find(isOurs) ?? "en";
}

/** The address of the page, with a language in it or with none. */
export function addressWith(address, language) {
  const url = new URL(address);
  url.searchParams.delete(PARAMETER);
  if (language) url.searchParams.set(PARAMETER, language);
  url.search = url.search.replace(/\bstage=(?=&|$)/, "stage"); // as people write it
  return url.href;
}

/**
 * Gives the server whose answers are in the language of the page, which is made to be in it. The
 * language is null where it cannot be chosen: without what has the translations, all is English.
 * @param {Element} element with the page's frame in English
 * @param {object} server
 */
export async function speakLanguage(element, server) {
  if (server.language === undefined) return { server, lang: null };
  const lang = languageOf(location.search, readStored(LANGUAGE_KEY), navigator.languages);
  const spoken = inLanguage(server, lang);
  if (lang === "en") return { server, lang };
  element.style.visibility = "hidden"; // the frame that is not meant to be read
  const found = await spoken.language({}).catch(() => null);
  element.style.visibility = "";
  if (!found) return { server, lang: "en" }; // all of it English, rather than half of it
  ({ texts } = found);
  element.innerHTML = found.shell;
  document.documentElement.lang = TAGS[lang];
  document.title = tr("HLLM Live");
  return { server: spoken, lang };
}

/** A server that is told with every question in which language to answer. */
function inLanguage(server, lang) {
  return new Proxy(server, {
    get: (all, name) => all[name] && ((question) => all[name]({ ...question, lang })),
  });
}

/** Open the page anew in another language: everything that is kept is there again. */
export function switchLanguage(lang) {
  store(LANGUAGE_KEY, lang);
  const isKept = readStored(LANGUAGE_KEY) === lang;
  const address = addressWith(location.href, isKept ? "" : lang);
  window.history.replaceState(window.history.state, "", address);
  location.reload();
}
