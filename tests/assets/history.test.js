import assert from "node:assert/strict";
import { test } from "node:test";

import {
  addItem,
  changed,
  cutNotices,
  forgetItem,
  moveItem,
  positionOf,
  redo,
  removeItem,
  restoredHistory,
  undo,
} from "../../assets/page/history.js";

const LIMIT = 5;
const items = (...ids) => ids.map((id) => ({ id, title: `Title ${id}`, creator: "", cover: "" }));
const historyOf = (...ids) => restoredHistory({ history: items(...ids) }, LIMIT);
const idsOf = (history) => history.items.map((item) => item.id).join("");

test("an item joins at the end, once", () => {
  const history = addItem(historyOf("a"), items("b")[0]);
  assert.equal(idsOf(history), "ab");
  assert.equal(addItem(history, items("a")[0]), history);
  assert.equal(positionOf(history, "b"), 1);
  assert.equal(positionOf(history, "c"), -1);
});

test("the oldest items leave a long history, however it grows", () => {
  assert.equal(idsOf(historyOf(..."abcdefg")), "cdefg");
  assert.equal(idsOf(addItem(historyOf(..."abcde"), items("f")[0])), "bcdef");
  assert.equal(idsOf(changed(historyOf("a"), items(..."bcdefgh"))), "defgh");
});

test("what a limit cuts off is said, once", () => {
  const full = historyOf(..."abcde");
  assert.deepEqual(cutNotices(full), []);
  const added = addItem(full, items("f")[0]);
  assert.deepEqual(cutNotices(added), ["Only the 5 most recent items count: the oldest one left."]);
  assert.deepEqual(cutNotices(undo(added)), []);
  assert.deepEqual(cutNotices(redo(undo(added))), []);
  assert.deepEqual(cutNotices(historyOf(..."abcdefg")), [
    "Only the 5 most recent items count: 2 older ones left.",
  ]);
});

test("an item moves to a place, no further than the ends", () => {
  const history = historyOf(..."abcd");
  assert.equal(idsOf(moveItem(history, "a", 2)), "bcad");
  assert.equal(idsOf(moveItem(history, "d", 1)), "adbc");
  assert.equal(idsOf(moveItem(history, "b", 99)), "acdb");
  assert.equal(idsOf(moveItem(history, "c", -5)), "cabd");
});

test("a forgotten item is gone from every step, too", () => {
  let history = addItem(addItem(historyOf("a"), items("b")[0]), items("c")[0]);
  history = undo(history);
  const left = forgetItem(history, "b");
  assert.equal(idsOf(left), "a");
  assert.equal(JSON.stringify(left).includes("Title b"), false);
  assert.equal(idsOf(redo(left)), "ac");
  assert.equal(forgetItem(history, "gone"), history);
});

test("what changes nothing is the same history, so that nobody asks anew", () => {
  const history = historyOf(..."abc");
  assert.equal(moveItem(history, "b", 1), history);
  assert.equal(moveItem(history, "a", -1), history);
  assert.equal(moveItem(history, "gone", 0), history);
  assert.equal(undo(history), history);
  assert.equal(redo(history), history);
});

test("undo and redo go through all changes and back", () => {
  const steps = [historyOf("a")];
  steps.push(addItem(steps[0], items("b")[0]));
  steps.push(moveItem(steps[1], "b", 0));
  steps.push(removeItem(steps[2], "a"));
  assert.deepEqual(steps.map(idsOf), ["a", "ab", "ba", "b"]);
  let history = steps[3];
  for (const expected of ["ba", "ab", "a", "a"]) {
    history = undo(history);
    assert.equal(idsOf(history), expected);
  }
  for (const expected of ["ab", "ba", "b", "b"]) {
    history = redo(history);
    assert.equal(idsOf(history), expected);
  }
});

test("a change after undo forgets what was undone", () => {
  const history = addItem(undo(addItem(historyOf("a"), items("b")[0])), items("c")[0]);
  assert.equal(idsOf(redo(history)), "ac");
});

test("a hundred changes can be undone, not more", () => {
  let history = historyOf();
  for (let count = 0; count < 150; count += 1) history = addItem(history, { id: String(count) });
  assert.equal(history.past.length, 100);
});

test("anything may have been stored", () => {
  for (const stored of [null, 7, "x", [], {}, { history: "abc" }, { history: null }]) {
    assert.deepEqual(restoredHistory(stored, LIMIT), {
      items: [],
      past: [],
      future: [],
      limit: LIMIT,
      cut: 0,
    });
  }
  const stored = { history: [null, 3, { id: 4 }, { title: "no id" }, ...items("a")] };
  assert.equal(idsOf(restoredHistory(stored, LIMIT)), "a");
});
