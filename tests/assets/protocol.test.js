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

function open(alive = true) {
  const log = [];
  const told = (name) => (value) => log.push([name, value]);
  const protocol = makeProtocol("session", {
    send: (request) => log.push(["send", request.version]),
    setBusy: told("busy"),
    isAlive: async () => alive,
    onSilence: told("silence"),
    onError: told("error"),
    onLastAnswer: ({ version }) => log.push(["last", version]),
    onAnswer: ({ version }) => log.push(["answer", version]),
    askAgain: told("again"),
  });
  const since = () => log.splice(0);
  return { protocol, since };
}

test("a request carries all that the server needs", () => {
  const sent = [];
  const page = { send: (request) => sent.push(request), setBusy: () => {} };
  makeProtocol("session", page).ask(["a", "b"], EVERYTHING, true);
  assert.deepEqual(sent, [
    {
      version: 1,
      history: ["a", "b"],
      filter: EVERYTHING,
      session: "session",
      example: true,
      what_if: null,
    },
  ]);
  const whatIf = { diversity: 0.5, less_popular: 0 };
  makeProtocol("session", page).ask(["a"], EVERYTHING, false, whatIf);
  assert.deepEqual(sent[1].what_if, whatIf);
});

test("only the answer to the last question ends the waiting, earlier ones are shown", () => {
  const { protocol, since } = open();
  protocol.ask(["a"], EVERYTHING);
  protocol.ask(["a", "b"], EVERYTHING);
  since();
  protocol.receive({ version: 1 });
  assert.deepEqual(since(), [["answer", 1]]);
  assert.equal(pending().length, 2);
  protocol.receive({ version: 2 });
  assert.deepEqual(since(), [
    ["busy", false],
    ["last", 2],
    ["answer", 2],
  ]);
  assert.equal(pending().length, 0);
});

test("what was asked before something else was begun is not shown", () => {
  const { protocol, since } = open();
  protocol.ask(["a"], EVERYTHING);
  protocol.overtake();
  since();
  protocol.receive({ version: 1 });
  protocol.receive({ version: 1, error: "It failed." });
  assert.deepEqual(since(), []);
  protocol.ask(["b"], EVERYTHING);
  since();
  protocol.receive({ version: 1 });
  assert.deepEqual(since(), []);
  protocol.receive({ version: 2 });
  assert.deepEqual(since(), [
    ["busy", false],
    ["last", 2],
    ["answer", 2],
  ]);
});

test("an answer that a later one has overtaken is not shown", () => {
  const { protocol, since } = open();
  protocol.ask(["a"], EVERYTHING);
  protocol.ask(["a", "b"], EVERYTHING);
  protocol.receive({ version: 2 });
  since();
  protocol.receive({ version: 1 });
  protocol.receive({ version: 1, error: "Late." });
  assert.deepEqual(since(), []);
  protocol.receive({ version: 2 }); // as while a model loads
  assert.equal(since().length, 3);
});

test("silence is said after 15 seconds, counted from the last question", () => {
  const { protocol, since } = open();
  protocol.ask([], EVERYTHING);
  protocol.ask([], EVERYTHING);
  since();
  const [watchdog, doubt, ...others] = pending();
  assert.deepEqual(others, []);
  assert.equal(doubt.ms, 2000);
  assert.equal(watchdog.ms, 15000);
  watchdog.act();
  assert.equal(since()[0][0], "silence");
});

test("a server that is gone is noticed before that, one that computes is not", async () => {
  for (const alive of [true, false]) {
    const { protocol, since } = open(alive);
    protocol.ask([], EVERYTHING);
    since();
    await pending()[1].act();
    assert.equal(since().length, alive ? 0 : 1);
    timers.clear();
  }
});

test("an error ends the waiting and is said", () => {
  const { protocol, since } = open();
  protocol.ask([], EVERYTHING);
  since();
  protocol.receive({ version: 1, error: "The catalogue is gone." });
  assert.deepEqual(since(), [
    ["busy", false],
    ["error", "The catalogue is gone."],
  ]);
  assert.equal(pending().length, 0);
});

test("where too many ask it is said, and asked again later, unless another question is", () => {
  const { protocol, since } = open();
  protocol.ask([], EVERYTHING);
  since();
  protocol.receive({ version: 1, error: "Too many visitors.", busy: true });
  assert.deepEqual(since(), [
    ["busy", false],
    ["error", "Too many visitors."],
  ]);
  const [poll] = pending();
  assert.ok(poll.ms >= 3000 && poll.ms < 6000);
  poll.act();
  assert.equal(since()[0][0], "again");
  protocol.ask(["a"], EVERYTHING);
  protocol.ask(["a", "b"], EVERYTHING);
  since();
  protocol.receive({ version: 2, error: "Too many visitors.", busy: true });
  assert.deepEqual(since(), []);
});

test("while a model warms up the question is asked again, unless another one is", () => {
  const { protocol, since } = open();
  protocol.ask([], EVERYTHING);
  protocol.receive({ version: 1, warming: true });
  since();
  const [poll] = pending();
  assert.equal(poll.ms, 1000);
  poll.act();
  assert.equal(since()[0][0], "again");
  protocol.ask(["a"], EVERYTHING);
  assert.ok(!pending().includes(poll));
});

test("what is no answer is left out", () => {
  const { protocol, since } = open();
  for (const answer of [null, undefined, {}, { version: "1" }]) protocol.receive(answer);
  assert.deepEqual(since(), []);
});

test("ids of tabs are such as the server takes, and differ", () => {
  const ids = new Set(Array.from({ length: 50 }, randomId));
  assert.equal(ids.size, 50);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});
