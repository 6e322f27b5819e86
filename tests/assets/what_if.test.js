import assert from "node:assert/strict";
import { test } from "node:test";

import {
  countingItems,
  isOther,
  scrubbedTo,
  startedFrom,
  strengthText,
  turnedRound,
  whatIfText,
  withItem,
  withMoved,
  withoutItem,
} from "../../assets/page/what_if.js";

const items = (letters) => [...letters].map((id) => ({ id, title: `Title ${id}` }));
const letters = (list) => list.map(({ id }) => id).join("");
const start = (ids = "abcde") => startedFrom(items(ids));
const all = (whatIf) => letters(whatIf.items);
const counted = (whatIf) => letters(countingItems(whatIf));

test("it starts as the history is", () => {
  assert.equal(counted(start()), "abcde");
  assert.ok(!isOther(start(), items("abcde")));
  assert.equal(whatIfText(start(), items("abcde")), "What if: 5 items");
});

test("the first items are replayed, one at least", () => {
  assert.equal(counted(scrubbedTo(start(), 3)), "abc");
  assert.equal(counted(scrubbedTo(start(), 0)), "a");
  assert.equal(counted(scrubbedTo(start(), 99)), "abcde");
  assert.equal(all(scrubbedTo(start(), 2)), "abcde");
});

test("turned round twice it is as before", () => {
  const turned = turnedRound(scrubbedTo(start(), 2));
  assert.equal(counted(turned), "ed");
  assert.deepEqual(turnedRound(turned), scrubbedTo(start(), 2));
});

test("an item moves, and as many count as before", () => {
  assert.equal(counted(withMoved(scrubbedTo(start(), 2), "e", 0)), "ea");
  assert.equal(all(withMoved(start(), "a", 99)), "bcdea");
  assert.deepEqual(withMoved(start(), "a", 0), start());
});

test("an item that leaves counts no more, the last one stays", () => {
  const three = scrubbedTo(start(), 3);
  assert.equal(counted(withoutItem(three, "b")), "ac");
  assert.equal(counted(withoutItem(three, "e")), "abc");
  assert.equal(all(withoutItem(three, "e")), "abcd");
  assert.equal(counted(withoutItem(scrubbedTo(start(), 1), "a")), "b");
  assert.equal(counted(withoutItem(start("a"), "a")), "a");
});

test("an item joins behind those that count, also one that did not count", () => {
  const two = scrubbedTo(start(), 2);
  const [x, e] = items("xe");
  assert.equal(counted(withItem(two, x, 50)), "abx");
  assert.equal(all(withItem(two, x, 50)), "abxcde");
  assert.equal(counted(withItem(two, e, 50)), "abe");
  assert.equal(all(withItem(two, e, 50)), "abecd");
  assert.equal(counted(withItem(start(), x, 5)), "bcdex");
});

test("what is tried is said in words", () => {
  const before = items("abcde");
  const said = (whatIf) => whatIfText(whatIf, before).replace("What if: ", "");
  assert.equal(said(scrubbedTo(start(), 3)), "first 3 of 5 items");
  assert.equal(said(turnedRound(start())), "5 items, reversed");
  assert.equal(said(turnedRound(scrubbedTo(start(), 2))), "first 2 of 5 items, reversed");
  assert.equal(said(withMoved(start(), "e", 0)), "5 items, reordered");
  assert.equal(said(withItem(start(), items("x")[0], 50)), "6 items, 1 added");
  assert.equal(said(withoutItem(start(), "c")), "4 items, 1 removed");
});

test("another history is one of other items or in another order, whatever the sliders", () => {
  const before = items("abcde");
  assert.ok(!isOther({ ...start(), diversity: 1, lessPopular: 1 }, before));
  assert.ok(isOther(scrubbedTo(start(), 4), before));
  assert.ok(isOther(turnedRound(start()), before));
  assert.equal(strengthText(0), "off");
  assert.equal(strengthText(0.35), "0.35");
});
