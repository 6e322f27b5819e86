import assert from "node:assert/strict";
import { test } from "node:test";

import { EVERYTHING } from "../../assets/page/filter.js";
import { makeGuests } from "../../assets/page/guest.js";
import { addItem } from "../../assets/page/history.js";
import { makeState } from "../../assets/page/state.js";

const item = (id) => ({ id, title: `Title ${id}`, creator: "", cover: `${id}.png` });
const WAR = { ...EVERYTHING, category: "War" };

function visitor(...ids) {
  const saved = [];
  const state = makeState(null, 50, (kept) => saved.push(kept));
  for (const id of ids) state.setHistory(addItem(state.history, item(id)));
  saved.length = 0;
  return { state, saved, guests: makeGuests(state, !state.isOwn) };
}

test("a shared history is shown and asked for; the visitor's own is neither read nor changed", () => {
  const { state, saved, guests } = visitor("own");
  const before = state.history;
  guests.open({ ids: ["a", "gone"], filter: WAR });
  assert.deepEqual(guests.question, {
    history: ["a", "gone"],
    filter: WAR,
    example: false,
  });
  assert.ok(guests.meet([item("a")], WAR));
  assert.ok(!guests.meet([item("a")], WAR)); // as while a model loads
  assert.deepEqual(guests.question, {
    history: ["a"],
    filter: WAR,
    example: false,
  }); // what is gone is not asked for again
  assert.deepEqual(guests.items, [item("a")]);
  assert.ok(guests.setFilter(EVERYTHING));
  assert.ok(!guests.setFilter({ ...EVERYTHING }));
  assert.equal(state.history, before);
  assert.deepEqual(state.filter, EVERYTHING);
  assert.deepEqual(saved, []);
  assert.ok(guests.leave());
  assert.deepEqual(guests.question, {
    history: ["own"],
    filter: state.filter,
    example: false,
  });
  assert.equal(guests.guest, null);
});

test("who has no history yet sees the example again when the shared one goes", () => {
  const { guests } = visitor();
  assert.ok(guests.wantsExample);
  guests.open({ ids: ["a"], filter: EVERYTHING });
  assert.ok(!guests.wantsExample);
  guests.close();
  assert.ok(guests.wantsExample);
  guests.meetExample("Space", [item("b")]);
  assert.equal(guests.guest.title, "Example: Space");
  assert.ok(guests.leave());
  assert.ok(!guests.wantsExample && !guests.leave());
});
