import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";

import { EVERYTHING } from "../../assets/page/filter.js";
import { makeProtocol, randomId } from "../../assets/page/protocol.js";

globalThis.crypto ??= webcrypto; // node 18 has it under this name only

const real = { setTimeout, clearTimeout };
let timers;

// Timers that go off when a test says so.
beforeEach(() => {
  timers = new Map();
  globalThis.setTimeout = (act, ms, ...given) => {
    const id = timers.size + 1;
    timers.set(id, { act: () => act(...given), ms });
    return id;
  };
  globalThis.clearTimeout = (id) => timers.set(id, null);
});
afterEach(() => Object.assign(globalThis, real));

const pending = () => [...timers.values()].filter(Boolean);

const questionOf = (history) => ({
  history,
  filter: EVERYTHING,
  example: true,
  blind: "5eed",
  what_if: null,
});

function open(alive = true) {
  const log = [];
  const asked = new Map(); // what was sent, by version
  const told = (name) => (value) => log.push([name, value]);
  const { ask, overtake } = makeProtocol("session", {
    fetch: ({ version }) => {
      log.push(["send", version]);
      return new Promise((resolve, reject) => asked.set(version, { resolve, reject }));
    },
    setBusy: told("busy"),
    isAlive: async () => alive,
    onSilence: () => log.push(["silence"]),
    onError: told("error"),
    onLastAnswer: ({ version }) => log.push(["last", version]),
    onAnswer: ({ version }) => log.push(["answer", version]),
    askAgain: told("again"),
  });
  const quiet = () => new Promise((resolve) => real.setTimeout(resolve));
  return {
    ask: (...ids) => ask(questionOf(ids)),
    overtake,
    since: () => log.splice(0),
    answer: (version, payload) => {
      asked.get(version).resolve(payload && { version, ...payload });
      return quiet();
    },
    fail: (version) => {
      asked.get(version).reject(new Error("no connection"));
      return quiet();
    },
  };
}

test("a request carries all that the server needs", () => {
  const sent = [];
  const fetch = (request) => {
    sent.push(request);
    return new Promise(() => {});
  };
  const page = { fetch, setBusy: () => {} };
  const question = questionOf(["a", "b"]);
  makeProtocol("session", page).ask(question);
  assert.deepEqual(sent, [{ ...question, version: 1, session: "session" }]);
});

test("one question is under way; of those asked meanwhile the last one follows", async () => {
  const { ask, since, answer } = open();
  for (const id of "abcd") ask(id);
  assert.deepEqual(
    since().filter(([name]) => name === "send"),
    [["send", 1]],
  );
  await answer(1, {});
  assert.deepEqual(since(), [
    ["answer", 1],
    ["send", 4],
  ]);
  assert.equal(pending().length, 2);
  await answer(4, {});
  assert.deepEqual(since(), [
    ["busy", false],
    ["last", 4],
    ["answer", 4],
  ]);
  assert.equal(pending().length, 0);
});

test("what was asked before something else was begun is not shown", async () => {
  const { ask, overtake, since, answer } = open();
  ask("a");
  overtake();
  ask("b");
  since();
  await answer(1, {});
  assert.deepEqual(since(), [["send", 2]]);
  await answer(2, {});
  assert.deepEqual(since(), [
    ["busy", false],
    ["last", 2],
    ["answer", 2],
  ]);
});

test("silence is said after 15 seconds, counted from the last question", () => {
  const { ask, since } = open();
  ask();
  ask();
  since();
  const [watchdog, doubt, ...others] = pending();
  assert.deepEqual(others, []);
  assert.equal(doubt.ms, 2000);
  assert.equal(watchdog.ms, 15000);
  watchdog.act();
  assert.deepEqual(since(), [["silence"]]);
});

test("after a silence the next question waits for nothing, and a late answer is shown", async () => {
  const { ask, since, answer } = open();
  ask("a");
  pending()[0].act();
  since();
  await answer(1, {});
  assert.deepEqual(since(), [
    ["busy", false],
    ["last", 1],
    ["answer", 1],
  ]);
  ask("b");
  pending()[0].act();
  ask("c");
  assert.deepEqual(since().at(-1), ["send", 3]);
  await answer(3, {});
  since();
  await answer(2, {}); // overtaken
  assert.deepEqual(since(), []);
});

test("a question that waited behind one that hung follows when that one ends", async () => {
  const { ask, since, fail } = open();
  ask("a");
  ask("b");
  pending()[0].act();
  since();
  await fail(1);
  assert.deepEqual(since(), [["send", 2]]);
});

test("a connection that breaks is tried once more, unless another question follows", async () => {
  const { ask, since, fail } = open();
  ask("a");
  ask("b");
  since();
  await fail(1);
  assert.deepEqual(since(), [["send", 2]]);
  await fail(2);
  assert.deepEqual(since(), []);
  const retry = pending().at(-1);
  assert.equal(retry.ms, 300);
  retry.act();
  assert.deepEqual(since(), [["send", 2]]);
  await fail(2);
  assert.deepEqual(since(), [["silence"]]);
});

test("the answer to a question that was asked again is shown; it is overtaken by the next", async () => {
  const { ask, since, fail, answer } = open();
  ask("a");
  await fail(1);
  pending().at(-1).act();
  since();
  await answer(1, {});
  assert.deepEqual(since(), [
    ["busy", false],
    ["last", 1],
    ["answer", 1],
  ]);
  ask("b");
  await fail(2);
  const retry = pending().at(-1);
  ask("c");
  since();
  retry.act();
  assert.deepEqual(since(), []); // the last one is under way
});

test("a server that is gone is noticed before that, one that computes is not", async () => {
  for (const alive of [true, false]) {
    const { ask, since } = open(alive);
    ask();
    since();
    await pending()[1].act();
    assert.equal(since().length, alive ? 0 : 1);
    timers.clear();
  }
});

test("an error ends the waiting and is said", async () => {
  const { ask, since, answer } = open();
  ask();
  since();
  await answer(1, { error: "The catalogue is gone." });
  assert.deepEqual(since(), [
    ["busy", false],
    ["error", "The catalogue is gone."],
  ]);
  assert.equal(pending().length, 0);
});

test("where too many ask it is said, and asked again later, unless another question is", async () => {
  const { ask, since, answer } = open();
  ask();
  since();
  await answer(1, { error: "Too many visitors.", busy: true });
  assert.deepEqual(since(), [
    ["busy", false],
    ["error", "Too many visitors."],
  ]);
  const [poll] = pending();
  assert.ok(poll.ms >= 3000 && poll.ms < 6000);
  poll.act();
  assert.equal(since()[0][0], "again");
  ask("a");
  ask("b");
  since();
  await answer(2, { error: "Too many visitors.", busy: true });
  assert.deepEqual(since(), [["send", 3]]);
});

test("while a model warms up the question is asked again, unless another one is", async () => {
  const { ask, since, answer } = open();
  ask();
  await answer(1, { warming: true });
  since();
  const [poll] = pending();
  assert.equal(poll.ms, 1000);
  poll.act();
  assert.equal(since()[0][0], "again");
  ask("a");
  assert.ok(!pending().includes(poll));
});

test("what is no answer is as good as none", async () => {
  for (const nothing of [null, { version: "1" }, { version: undefined }]) {
    const { ask, since, answer } = open();
    ask();
    since();
    await answer(1, nothing);
    pending().at(-1).act(); // once more
    assert.deepEqual(since(), [["send", 1]]);
    await answer(1, nothing);
    assert.deepEqual(since(), [["silence"]]);
    timers.clear();
  }
});

test("ids of tabs are such as the server takes, and differ", () => {
  const ids = new Set(Array.from({ length: 50 }, randomId));
  assert.equal(ids.size, 50);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});
