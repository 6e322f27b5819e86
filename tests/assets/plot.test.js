import assert from "node:assert/strict";
import { test } from "node:test";

import { ceiling, heightOf, median, milliseconds, pointsOf } from "../../assets/page/plot.js";

test("the scale is logarithmic and ends at a power of ten that is large enough", () => {
  assert.deepEqual([0.02, 0.1, 0.9, 7, 10, 11, 621].map(ceiling), [1, 1, 1, 10, 10, 100, 1000]);
  assert.equal(heightOf(0.1, 1000), 0);
  assert.equal(heightOf(0.0001, 1000), 0);
  assert.equal(heightOf(1000, 1000), 1);
  assert.ok(Math.abs(heightOf(10, 1000) - 0.5) < 1e-12);
});

test("a point stands where its click and its time are, and what is missing has none", () => {
  assert.equal(pointsOf([0.1, 1000, 10], 1000), "0.0,72.0 160.0,0.0 320.0,36.0");
  assert.equal(pointsOf([0.1, Number.NaN, 1000], 1000), "0.0,72.0 320.0,0.0");
  assert.equal(pointsOf([10], 1000), "0.0,36.0");
});

test("the median is the middle, times are short", () => {
  assert.equal(median([5, 1, 100]), 5);
  assert.equal(median([4, 1, 100, 2]), 3);
  assert.ok(Number.isNaN(median([])));
  assert.equal(milliseconds(0.04), "0.0 ms");
  assert.equal(milliseconds(9.46), "9.5 ms");
  assert.equal(milliseconds(123.4), "123 ms");
  assert.equal(milliseconds(Number.NaN), "\u2013");
});
