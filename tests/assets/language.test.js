import assert from "node:assert/strict";
import { test } from "node:test";
import { languageOf, marked, tr } from "../../assets/page/language.js";

test("a sentence without a translation stays as it is, with its values", () => {
  assert.equal(tr("{a} and {b}", { a: "{b}", b: "$&" }), "{b} and $&");
  assert.equal(tr(marked("constructor")), "constructor");
});

test("the address comes before what was chosen, and that before what the browser prefers", () => {
  assert.equal(languageOf("?lang=en", "zh", ["zh-CN"]), "en");
  assert.equal(languageOf("?stage&lang=zh", "en", ["en"]), "zh");
  assert.equal(languageOf("", "zh", ["en-GB"]), "zh");
  assert.equal(languageOf("", null, ["zh-CN", "en"]), "zh");
  assert.equal(languageOf("", null, ["zh"]), "zh");
  assert.equal(languageOf("", null, ["en-US", "zh-CN"]), "en");
  assert.equal(languageOf("", null, ["de-DE", "zh-TW", "en"]), "zh");
});

test("what is no language of the page says nothing", () => {
  for (const wrong of ["constructor", "de", "", 7, null, {}, ["zh"]])
    assert.equal(languageOf("?lang=toString", wrong, ["ja"]), "en");
  assert.equal(languageOf("?lang=fr", { zh: 1 }, ["zh-HK"]), "zh");
});
