import assert from "node:assert/strict";
import { test } from "node:test";

import { makePushes } from "../../assets/page/pushes.js";

class Entry {
  isConnected = true;
  dataset = { id: "a" };
  contains = () => false;
  querySelector = () => ({ textContent: "Title of a" });
  closest = (selector) => (selector === ".history li" ? this : null);
  matches = () => true;
}

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A strip whose events are sent by hand, and what came of them. */
function strip(answers) {
  const listeners = {};
  const asked = [];
  const marked = [];
  let query = { history: ["a", "b"], rows: { hllm: ["x"] } };
  makePushes(
    { addEventListener: (name, listener) => (listeners[name] = listener) },
    {
      fetch: (question) => {
        asked.push(question);
        return answers();
      },
      query: () => query,
      mark: (rows, title) => marked.push([rows, title]),
    },
  );
  const send = (name, more = {}) =>
    listeners[name]({ target: new Entry(), pointerType: "mouse", relatedTarget: null, ...more });
  const last = () => marked.at(-1);
  return { asked, last, send, set: (next) => (query = next) };
}

const pushes = { pushes: { hllm: { a: { x: 1 } } } };

test("resting on an item marks what it pushes, leaving it marks nothing, one question a history", async () => {
  const { asked, last, send } = strip(async () => pushes);
  send("pointerover");
  await later(180);
  assert.deepEqual(last(), [{ hllm: { x: 1 } }, "Title of a"]);
  send("pointerout");
  assert.deepEqual(last(), [null, ""]);
  send("focusin");
  await later(180);
  assert.deepEqual(last(), [{ hllm: { x: 1 } }, "Title of a"]);
  assert.equal(asked.length, 1);
});

test("passing over an item, touching it, or one item alone asks nothing", async () => {
  const { asked, send, set } = strip(async () => pushes);
  send("pointerover");
  send("pointerout");
  send("pointerover", { pointerType: "touch" });
  await later(180);
  set(null);
  send("pointerover");
  await later(180);
  set({ history: ["a"], rows: {} });
  send("pointerover");
  await later(180);
  assert.deepEqual(asked, []);
});

test("another history is asked for anew, and a failure is not kept", async () => {
  const answers = [
    Promise.reject(new Error("gone")),
    Promise.resolve(pushes),
    Promise.resolve(pushes),
  ];
  answers[0].catch(() => {});
  const { asked, last, send, set } = strip(() => answers[asked.length - 1]);
  send("pointerover");
  await later(180);
  assert.deepEqual(last(), [null, ""]);
  send("pointerover");
  await later(180);
  assert.deepEqual(last(), [{ hllm: { x: 1 } }, "Title of a"]);
  set({ history: ["b", "a"], rows: { hllm: ["x"] } });
  send("pointerover");
  await later(180);
  assert.equal(asked.length, 3);
});
