import assert from "node:assert/strict";
import { test } from "node:test";
import { openFrame } from "../../assets/page/frame.js";

test("without what has other frames neither language nor catalogue can be chosen", async () => {
  const server = { answer: () => {} };
  assert.deepEqual(await openFrame(null, server), { server, lang: null, lost: "" });
});
