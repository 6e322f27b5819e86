import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";

import { makeOutbox } from "../../assets/page/outbox.js";

globalThis.crypto ??= webcrypto; // node 18 has it under this name only

const real = { setTimeout, clearTimeout };
let timers;
let stored;

beforeEach(() => {
  timers = [];
  stored = {};
  globalThis.sessionStorage = {
    getItem: (key) => stored[key] ?? null,
    setItem: (key, value) => {
      stored[key] = value;
    },
  };
  globalThis.setTimeout = (act, ms) => timers.push({ act, ms });
  globalThis.clearTimeout = () => {};
});
afterEach(() => {
  Object.assign(globalThis, real);
  delete globalThis.sessionStorage;
});

/** An outbox, and what was told of it; `answers` are what comes of each. */
function open(...answers) {
  const told = [];
  const box = makeOutbox({
    tell: async (entry) => {
      told.push(entry);
      const answer = answers.shift();
      if (answer === "lost") throw new Error("no connection");
      return answer;
    },
    storageKey: "box",
  });
  return { ...box, told };
}

test("what is settled is told once, in its order", async () => {
  const { put, flush, told } = open(true, true);
  put({ item: "a" });
  put({ item: "b" });
  await flush();
  await flush();
  assert.deepEqual(
    told.map(({ item }) => item),
    ["a", "b"],
  );
  assert.equal(timers.length, 0);
  assert.equal(stored.box, "[]");
});

test("what is not, or gets lost, is told again later with the same key", async () => {
  const { put, flush, told } = open("lost", false, true);
  put({ item: "a" });
  await flush();
  assert.ok(timers[0].ms >= 1000 && timers[0].ms < 2000);
  await timers[0].act();
  assert.ok(timers[1].ms >= 2000 && timers[1].ms < 4000);
  await timers[1].act();
  assert.equal(timers.length, 2);
  assert.equal(told.length, 3);
  assert.match(told[0].key, /^[0-9a-f]{32}$/);
  assert.equal(new Set(told.map(({ key }) => key)).size, 1);
});

test("the waiting grows to a minute or two, and begins anew when something is settled", async () => {
  const { put, flush } = open(...Array(12).fill(false), true, false);
  put({ item: "a" });
  put({ item: "b" });
  await flush();
  for (let at = 0; at < 11; at += 1) await timers[at].act();
  assert.ok(timers[11].ms >= 60000 && timers[11].ms < 120000);
  await timers[11].act();
  assert.ok(timers[12].ms < 2000);
});

test("a reload goes on with what waits, and with nothing that is none of it", async () => {
  const first = open(false);
  first.put({ item: "a" });
  await first.flush();
  const second = open(true);
  await second.flush();
  assert.deepEqual(second.told, first.told);
  for (const odd of ['"text"', "{}", '[null, 5, {"item": "a"}]', "no json"]) {
    stored.box = odd;
    const { flush, told } = open();
    await flush();
    assert.deepEqual(told, []);
  }
});

test("only so much is kept, the latest", async () => {
  const { put, flush, told } = open(...Array(200).fill(true));
  for (let n = 0; n < 150; n += 1) put({ n });
  await flush();
  assert.equal(told.length, 100);
  assert.equal(told[0].n, 50);
});

test("what is forgotten is not told any more", async () => {
  const { put, flush, clear, told } = open(false, true);
  put({ item: "a" });
  await flush();
  clear();
  await flush();
  assert.equal(told.length, 1);
  assert.equal(stored.box, "[]");
});
