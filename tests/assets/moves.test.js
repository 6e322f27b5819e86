import assert from "node:assert/strict";
import { test } from "node:test";

import { EVERYTHING } from "../../assets/page/filter.js";
import { isComparable, moveOf } from "../../assets/page/moves.js";

test("a move is up, down, new, or nothing", () => {
  const before = { a: 1, b: 2, c: 7 };
  assert.deepEqual(moveOf(before, "c", 3), { text: "▲4", kind: "up" });
  assert.deepEqual(moveOf(before, "a", 2), { text: "▼1", kind: "down" });
  assert.deepEqual(moveOf(before, "d", 9), { text: "new", kind: "new" });
  assert.equal(moveOf(before, "b", 2), null);
});

test("lists are compared over another history and the same filter", () => {
  const shown = { ids: ["a", "b"], filter: EVERYTHING };
  assert.ok(isComparable(shown, ["a", "b", "c"], { ...EVERYTHING }));
  assert.ok(isComparable(shown, ["b", "a"], EVERYTHING));
  assert.ok(!isComparable(shown, ["a", "b"], EVERYTHING));
  assert.ok(!isComparable(shown, ["a"], { ...EVERYTHING, category: "War" }));
  assert.ok(!isComparable(null, ["a"], EVERYTHING));
});
