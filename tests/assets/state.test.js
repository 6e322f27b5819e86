import assert from "node:assert/strict";
import { test } from "node:test";

import { EVERYTHING } from "../../assets/page/filter.js";
import { addItem, undo } from "../../assets/page/history.js";
import { makeState } from "../../assets/page/state.js";

const item = (id) => ({ id, title: `Title ${id}`, creator: "", cover: `${id}.png` });

function open(stored = null) {
  const saved = [];
  return { state: makeState(stored, 50, (kept) => saved.push(kept)), saved };
}

test("every change is saved, and what is saved opens again", () => {
  const { state, saved } = open();
  assert.ok(state.setHistory(addItem(state.history, item("a"))));
  assert.ok(state.setFilter({ ...EVERYTHING, category: "War" }));
  assert.equal(saved.length, 2);
  const again = open(JSON.parse(JSON.stringify(saved[1]))).state;
  assert.deepEqual(again.history.items, [item("a")]);
  assert.equal(again.filter.category, "War");
});

test("what is no change is not saved and not told", () => {
  const { state, saved } = open({ history: [item("a")], filter: EVERYTHING });
  assert.ok(!state.setHistory(addItem(state.history, item("a"))));
  assert.ok(!state.setFilter({ ...EVERYTHING }));
  assert.ok(!state.adopt([item("a")], { ...EVERYTHING }));
  assert.deepEqual(saved, []);
});

test("the server corrects items, titles, covers and filter", () => {
  const answers = [
    [[], EVERYTHING],
    [[{ ...item("a"), title: "New" }], EVERYTHING],
    [[{ ...item("a"), cover: "new.png" }], EVERYTHING],
    [[item("b")], EVERYTHING],
    [[item("a")], { ...EVERYTHING, max_price: 3 }],
  ];
  for (const [items, filter] of answers) {
    const { state, saved } = open({ history: [item("a")] });
    assert.ok(state.adopt(items, filter));
    assert.deepEqual(saved, [{ history: items, past: [], future: [], filter, own: true }]);
    assert.deepEqual(state.history.items, items);
    assert.deepEqual(state.filter, filter);
  }
});

test("a history is the visitor's own from the first item or the wish for an empty one on", () => {
  const { state, saved } = open();
  assert.ok(!state.isOwn);
  state.setFilter({ ...EVERYTHING, category: "War" });
  state.adopt([], EVERYTHING);
  assert.ok(!state.isOwn && !open(saved[0]).state.isOwn);
  state.begin();
  assert.ok(open(saved.at(-1)).state.isOwn);
  const other = open().state;
  other.setHistory(addItem(other.history, item("a")));
  assert.ok(other.isOwn);
  assert.ok(open({ history: [], past: [[item("a")], []] }).state.isOwn); // of an earlier version
});

test("a correction by the server is no step of undo", () => {
  const { state } = open();
  state.setHistory(addItem(state.history, item("a")));
  state.setHistory(addItem(state.history, item("gone")));
  state.adopt([item("a")], EVERYTHING);
  assert.deepEqual(undo(state.history).items, [item("a")]);
});
