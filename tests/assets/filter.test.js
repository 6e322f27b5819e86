import assert from "node:assert/strict";
import { test } from "node:test";

import { EVERYTHING, restoredFilter, sameFilter } from "../../assets/page/filter.js";

test("filters are the same if category and both prices are", () => {
  const filter = { category: "War", min_price: 1, max_price: null };
  assert.ok(sameFilter(filter, { ...filter }));
  for (const other of [{ category: "" }, { min_price: 0 }, { max_price: 9 }]) {
    assert.ok(!sameFilter(filter, { ...filter, ...other }));
  }
});

test("a stored filter comes back", () => {
  const filter = { category: "War", min_price: 0, max_price: 12.5 };
  assert.deepEqual(restoredFilter({ filter }), filter);
});

test("anything may have been stored", () => {
  for (const stored of [null, 7, "x", [], {}, { filter: null }, { filter: "War" }]) {
    assert.deepEqual(restoredFilter(stored), EVERYTHING);
  }
  const filter = { category: ["War"], min_price: "1", max_price: Number.NaN, extra: 1 };
  assert.deepEqual(restoredFilter({ filter }), EVERYTHING);
});
