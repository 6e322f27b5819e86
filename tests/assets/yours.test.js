import assert from "node:assert/strict";
import { test } from "node:test";

import { isOwn, restoredYours } from "../../assets/page/yours.js";

const own = (id) => ({
  id,
  title: "Mars",
  creator: "",
  cover: "data:,",
  written: { title: "Mars", creator: "", category: "", description: "" },
});

test("what the visitor has written is told from an item of the catalogue", () => {
  assert.equal(isOwn(own("a")), true);
  assert.equal(isOwn({ ...own("a"), written: undefined }), false);
  assert.equal(isOwn(null), false);
});

test("strange contents of the storage do no harm, and no more than a few are kept", () => {
  for (const stored of [null, "x", 3, {}, [null, 7, { id: 3 }, { ...own("a"), cover: 1 }]])
    assert.deepEqual(restoredYours(stored), []);
  const many = Array.from({ length: 30 }, (_, at) => own(String(at)));
  assert.deepEqual(
    restoredYours(many).map(({ id }) => id),
    many.slice(-20).map(({ id }) => id),
  );
});
