import assert from "node:assert/strict";
import { test } from "node:test";

import { describeChange, makeAnnouncer } from "../../assets/page/announce.js";

const items = (ids) => [...ids].map((id) => ({ id, title: id.toUpperCase() }));

test("every change of a history has its words", () => {
  for (const [before, after, said] of [
    ["", "a", "A added. 1 in the history."],
    ["ab", "abc", "C added. 3 in the history."],
    ["abc", "ac", "B removed. 2 in the history."],
    ["a", "", "A removed. The history is empty."],
    ["abc", "", "3 items removed. The history is empty."],
    ["", "abc", "3 items added. 3 in the history."],
    ["ab", "bc", "A removed. C added. 2 in the history."],
    ["abcd", "dabc", "D moved to number 1 of 4."],
    ["abcd", "bcad", "A moved to number 3 of 4."],
    ["ab", "ab", ""],
  ]) {
    assert.equal(describeChange(items(before), items(after)), said);
  }
});

test("of two neighbours the one that was moved is named", () => {
  assert.equal(describeChange(items("ab"), items("ba"), "a"), "A moved to number 2 of 2.");
  assert.equal(describeChange(items("ab"), items("ba"), "b"), "B moved to number 1 of 2.");
});

test("the same text twice is a change", () => {
  const region = { textContent: "" };
  const announce = makeAnnouncer(region);
  const shown = ["x", "x", "x"].map((text) => {
    announce(text);
    return region.textContent;
  });
  assert.notEqual(shown[0], shown[1]);
  assert.notEqual(shown[1], shown[2]);
});
