import assert from "node:assert/strict";
import { test } from "node:test";

// Linking fails if a module imports a name that another one does not export.
test("all modules of the page fit together, and do nothing before the page starts", async () => {
  const { startPage } = await import("../../assets/page/page.js");
  assert.equal(typeof startPage, "function");
});
