import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { newSession, ownSessions } from "../../assets/page/traces.js";

beforeEach(() => {
  const stored = new Map();
  globalThis.localStorage = {
    getItem: (key) => stored.get(key) ?? null,
    setItem: (key, value) => stored.set(key, value),
  };
});

test("every tab has an id of its own, and the browser knows all of them", () => {
  const first = newSession();
  const second = newSession();
  assert.match(first, /^[0-9a-f]{32}$/);
  assert.notEqual(first, second);
  assert.deepEqual(ownSessions(second), [first, second]);
});

test("no more ids are kept than the server takes at once, the latest ones", () => {
  const all = Array.from({ length: 130 }, newSession);
  assert.deepEqual(ownSessions(all.at(-1)), all.slice(-100));
});

test("without storage a tab knows its own id, and strange contents do no harm", () => {
  localStorage.setItem("hllm-live/tabs", '{"a": 1}');
  const session = newSession();
  assert.deepEqual(ownSessions(session), [session]);
  delete globalThis.localStorage;
  assert.deepEqual(ownSessions(session), [session]);
});
