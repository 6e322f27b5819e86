import assert from "node:assert/strict";
import { test } from "node:test";

import { EVERYTHING } from "../../assets/page/filter.js";
import { linkedItem, linkOf, sharedHistory, sharedLink } from "../../assets/page/links.js";

const ODD_IDS = [
  "dune",
  "a/b?c=d&e#f",
  "1+1 = 2",
  "%41",
  "\u00e4\u{1F600}\"'<",
  "__proto__",
  "a,b",
];
const HERE = { catalog: "0123456789ab", name: "Books", limit: 50 };
const linked = (parts) => `#${new URLSearchParams([["v", "1"], ["c", HERE.catalog], ...parts])}`;

test("a link leads back to its item, whatever the id is", () => {
  for (const id of ODD_IDS) assert.equal(linkedItem(linkOf(id)), id);
  for (const hash of ["", "#", "#top", "#item=", "#%"]) assert.equal(linkedItem(hash), "");
});

test("a link leads back to its history and filter, whatever they are", () => {
  const filter = { category: "War & <b>\u202e", min_price: 0, max_price: 12.5 };
  const found = sharedHistory(sharedLink(HERE, ODD_IDS, filter), HERE);
  assert.deepEqual(found, { problem: "", ids: ODD_IDS, filter, models: null, notices: [] });
  const plain = sharedHistory(sharedLink(HERE, ["a"], EVERYTHING), HERE);
  assert.deepEqual(plain.filter, EVERYTHING);
});

test("a link leads back to its two models, and to none where it names anything else", () => {
  const models = (pair) => sharedHistory(sharedLink(HERE, ["a"], EVERYTHING, pair), HERE).models;
  assert.deepEqual(models(["hllm", "item-knn"]), ["hllm", "item-knn"]);
  for (const pair of [null, [], ["hllm"], ["hllm", "hllm"], ["", "b"], ["a", "b", "c"]])
    assert.equal(models(pair), null);
  assert.equal(models(["a", "x".repeat(65)]), null);
});

test("an address holds an item, a history, or neither", () => {
  assert.equal(linkedItem(linked([["item", "dune"]])), "");
  for (const hash of ["", "#", "#item=a", "#item=v=1", "#%", "#h=a&c=b"])
    assert.equal(sharedHistory(hash, HERE), null);
});

test("a link that cannot be shown says why, and nothing of it is taken", () => {
  const other = sharedLink({ catalog: "ffffffffffff", name: "G".repeat(500) }, ["a"], EVERYTHING);
  const cases = [
    [other, `\u201c${"G".repeat(80)}\u201d; here is \u201cBooks\u201d`],
    [linked([["h", "a"]]).replace("v=1", "v=2"), "another version"],
    [linked([]), "no history"],
    [`#v=1&c=${HERE.catalog}&h=${"x".repeat(1_000_000)}`, "too long"],
    ["#v=1", "another one"],
  ];
  for (const [hash, reason] of cases) {
    const found = sharedHistory(hash, HERE);
    assert.ok(found.problem.includes(reason), found.problem);
    assert.ok(found.problem.length < 200);
    assert.deepEqual([found.ids, found.filter], [[], EVERYTHING]);
  }
});

test("too many items are cut, the oldest first", () => {
  const ids = Array.from({ length: 53 }, (_, number) => `i${number}`);
  const found = sharedHistory(sharedLink(HERE, ids, EVERYTHING), HERE);
  assert.deepEqual(found.ids, ids.slice(3));
  assert.deepEqual(found.notices, ["Only the 50 most recent items of the link count: 3 left."]);
});

test("parts that are not known or not readable are left out and named", () => {
  const odd = [
    ["h", "a"],
    ["__proto__", "x"],
    ["min", "5e999"],
    ["max", "-1"],
    ["constructor", "y"],
  ];
  const found = sharedHistory(linked(odd), HERE);
  assert.deepEqual([found.ids, found.filter], [["a"], EVERYTHING]);
  assert.equal(
    found.notices.join(),
    "What this page cannot read of the link was left out: \u201cmin\u201d, \u201cmax\u201d, \u201c__proto__\u201d.",
  );
  const bad = sharedHistory(`${linked([["h", "a"]])}&h=%E0%A4%A&h=%&${"p".repeat(999)}=1`, HERE);
  assert.equal(bad.ids.length, 3);
  assert.ok(bad.notices[0].length < 100);
});

test("a history too long for an address gives none", () => {
  const ids = Array.from({ length: 50 }, (_, number) => `${number}${"\u00e4".repeat(499)}`);
  assert.equal(sharedLink(HERE, ids, EVERYTHING), "");
});
