// The language of the page. English sentences in the scripts are the keys of their translations:
// `tr` translates one, `marked` is for one that it is given later. Translations into another language
// come from the server (app/languages.py), with the page's frame in it, only if it is chosen.

import { withParameter } from "./address.js";
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

/** The language of the page, see languageOf. */
export function preferredLanguage() {
  return languageOf(location.search, readStored(LANGUAGE_KEY), navigator.languages);
}

/**
 * From now on the page is in a language.
 * @param {string} lang
 * @param {Object<string, string>} translations of what the scripts say
 */
export function speak(lang, translations) {
  texts = translations;
  document.documentElement.lang = TAGS[lang];
  document.title = tr("HLLM Live");
}

/** Open the page anew in another language: everything that is kept is there again. */
export function switchLanguage(lang) {
  store(LANGUAGE_KEY, lang);
  const isKept = readStored(LANGUAGE_KEY) === lang;
  const address = withParameter(location.href, PARAMETER, isKept ? null : lang);
  window.history.replaceState(window.history.state, "", address);
  location.reload();
}
