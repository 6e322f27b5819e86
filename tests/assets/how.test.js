import assert from "node:assert/strict";
import { test } from "node:test";

import { difference, lineOf } from "../../assets/page/how.js";

const how = {
  num_read: 1,
  num_known: 4,
  encode_ms: 2.06,
  search_ms: 0.4,
  num_candidates: 1397,
};

test("an answer is told in one line of its own numbers", () => {
  assert.equal(
    lineOf(how),
    "Item LLM ahead \u2192 User LLM 1 read, 4 cached, 2.1 ms \u2192 nearest of 1,397, 0.4 ms",
  );
});

test("what the cache saves is told as it is, also where it saves nothing", () => {
  const found = { num_read: 5, encode_ms: 6.06, cosine: 1, message: "" };
  assert.equal(
    difference(how, found),
    "Without the cache: 5 read, 6.1 ms, 4.0 ms more. The same prediction: cosine 1.00000.",
  );
  assert.match(difference(how, { ...found, encode_ms: 1.06 }), /1\.1 ms, 1\.0 ms less\./);
  assert.equal(difference(how, { ...found, message: "Too many." }), "Too many.");
});
