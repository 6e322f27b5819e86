import assert from "node:assert/strict";
import { test } from "node:test";

import { askingOnceMore } from "../../assets/page/once_more.js";

/** A server whose first answers are lost, as undefined or as an error. */
function losing(count, loss) {
  const asked = [];
  const ask = (name) => async (question) => {
    asked.push([name, question]);
    if (asked.length > count) return { name };
    return loss();
  };
  const server = Object.fromEntries(
    ["browse", "answer", "record", "judge"].map((n) => [n, ask(n)]),
  );
  return { asked, server: askingOnceMore(server) };
}

const nothing = () => undefined;
const broken = () => {
  throw new TypeError("Failed to fetch");
};

test("a lost answer is asked for once more, with the same question", async () => {
  for (const loss of [nothing, broken]) {
    const { server, asked } = losing(1, loss);
    assert.deepEqual(await server.browse({ text: "a" }), { name: "browse" });
    assert.deepEqual(asked, Array(2).fill(["browse", { text: "a" }]));
  }
});

test("and not a third time", async () => {
  const { server, asked } = losing(9, nothing);
  assert.equal(await server.browse({}), undefined);
  assert.equal(asked.length, 2);
  await assert.rejects(losing(9, broken).server.browse({}), TypeError);
});

test("an answer is not asked for again", async () => {
  const { server, asked } = losing(0, nothing);
  await server.browse({});
  assert.equal(asked.length, 1);
});

test("what looks after itself is asked once", async () => {
  for (const name of ["answer", "record", "judge"]) {
    const { server, asked } = losing(1, nothing);
    assert.equal(await server[name]({}), undefined);
    assert.equal(asked.length, 1);
  }
});

test("what a server does not offer stays missing", () => {
  assert.equal(losing(0, nothing).server.frame, undefined);
});
