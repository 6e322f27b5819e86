import assert from "node:assert/strict";
import { test } from "node:test";

import { linkedItem, linkOf } from "../../assets/page/links.js";

test("a link leads back to its item, whatever the id is", () => {
  for (const id of ["dune", "a/b?c=d&e#f", "1+1 = 2", "%41", "\u00e4\u{1F600}\"'<"]) {
    assert.equal(linkedItem(linkOf(id)), id);
  }
  for (const hash of ["", "#", "#top", "#item=", "#%"]) assert.equal(linkedItem(hash), "");
});
