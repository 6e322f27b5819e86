import assert from "node:assert/strict";
import test from "node:test";
import { decodePoints, pointSize } from "../../assets/page/map_points.js";

test("points are read as they are sent", () => {
  const bytes = Uint8Array.from([0, 0, 255, 255, 255, 127, 0, 0, 3, 8]); // x: 0, 65535; y: 32767, 0
  const { x, y, valueA } = decodePoints(bytes.buffer, 2);
  assert.deepEqual([...x], [-1, 1]);
  assert.ok(Math.abs(y[0]) < 1e-4 && y[1] === -1);
  assert.deepEqual([...valueA], [3, 8]);
});

test("points that are cut off are an error", () => {
  assert.throws(() => decodePoints(new ArrayBuffer(9), 2), RangeError);
});

test("many points are smaller", () => {
  assert.equal(pointSize(1), 6);
  assert.equal(pointSize(100_000), 1.5);
  assert.ok(pointSize(5000) < 6);
});
