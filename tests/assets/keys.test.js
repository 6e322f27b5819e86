import assert from "node:assert/strict";
import { test } from "node:test";

import { actOf } from "../../assets/page/keys.js";

test("keys and what they do", () => {
  const press = (key, held = {}) =>
    actOf({ key, ctrlKey: false, metaKey: false, shiftKey: false, ...held });
  assert.equal(press("/"), "search");
  assert.equal(press("/", { ctrlKey: true }), null);
  assert.equal(press("Escape"), "close");
  assert.equal(press("z"), null);
  assert.equal(press("z", { ctrlKey: true }), "undo");
  assert.equal(press("z", { metaKey: true }), "undo");
  assert.equal(press("Z", { ctrlKey: true, shiftKey: true }), "redo");
  assert.equal(press("y", { ctrlKey: true }), null);
});
