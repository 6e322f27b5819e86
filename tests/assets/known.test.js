import assert from "node:assert/strict";
import { test } from "node:test";

import { makeKnown } from "../../assets/page/known.js";

const dune = { id: "dune", title: "Dune", creator: "Frank Herbert", cover: "covers?item=dune&v=1" };
const emma = { id: "emma", title: "Emma", creator: "Jane Austen", cover: "covers?item=emma&v=1" };

test("a history is known when each of its items is", () => {
  const known = makeKnown();
  known.learn([dune]);
  assert.deepEqual(known.itemsOf(["dune"]), [dune]);
  assert.equal(known.itemsOf(["emma", "dune"]), null);
  known.learn([emma]);
  assert.deepEqual(known.itemsOf(["emma", "dune"]), [emma, dune]);
  assert.deepEqual(known.itemsOf([]), []);
});

test("an item that the visitor has written is not", () => {
  const known = makeKnown();
  known.learn([dune]);
  assert.equal(known.itemsOf(["dune", { title: "A heist on Mars" }]), null);
});

test("what the server says later counts", () => {
  const known = makeKnown();
  known.learn([dune]);
  known.learn([{ ...dune, cover: "covers?item=dune&v=2" }]);
  assert.equal(known.itemsOf(["dune"])[0].cover, "covers?item=dune&v=2");
});

test("a long visit does not fill the memory, and loses nothing of the last answer", () => {
  const known = makeKnown();
  for (let n = 0; n < 5000; n += 1) known.learn([{ ...dune, id: `item-${n}` }]);
  assert.equal(known.itemsOf(["item-0"]), null);
  assert.equal(known.itemsOf(["item-4999"]).length, 1);
});
