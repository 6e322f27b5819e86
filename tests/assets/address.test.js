import assert from "node:assert/strict";
import { test } from "node:test";
import { withParameter } from "../../assets/page/address.js";

test("a parameter is set, taken away, or stands alone; the rest stays", () => {
  const page = "https://x.org/live/?stage&lang=zh#item=a%20b";
  assert.equal(withParameter(page, "lang", null), "https://x.org/live/?stage#item=a%20b");
  assert.equal(withParameter(page, "lang", "en"), "https://x.org/live/?stage&lang=en#item=a%20b");
  assert.equal(withParameter("https://x.org/?lang=zh", "lang", null), "https://x.org/");
  assert.equal(
    withParameter("https://x.org/?catalog=a", "stage", ""),
    "https://x.org/?catalog=a&stage",
  );
  assert.equal(
    withParameter("https://x.org/", "catalog", "a b&c"),
    "https://x.org/?catalog=a+b%26c",
  );
});
