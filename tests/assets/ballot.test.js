import assert from "node:assert/strict";
import { test } from "node:test";

import {
  afterChange,
  afterVerdict,
  counted,
  isComplete,
  NUM_PICKS,
  restoredTest,
  winsOf,
  withVote,
} from "../../assets/page/ballot.js";
import { EVERYTHING } from "../../assets/page/filter.js";

const vote = (item, history) => ({
  ...{ seed: "5eed", history, filter: EVERYTHING, item, title: `Title of ${item}` },
  ...{ position: 1, session: "5e55" },
});

/** Picks of so many lists, told and credited in turn. */
function some(count) {
  let votes = [];
  for (let at = 0; at < count; at += 1) {
    votes = withVote(votes, vote(`i${at}`, [`h${at}`]));
    votes = afterVerdict(votes, votes.at(-1), at % 2 ? "hllm" : "baseline");
  }
  return votes;
}

test("undo takes a pick back, redo gives it back, and the server is told of both", () => {
  const votes = some(2);
  const undone = afterChange(votes, ["i0"], true);
  assert.deepEqual(
    undone.map(({ counts, isTold }) => [counts, isTold]),
    [
      [true, true],
      [false, false],
    ],
  );
  assert.deepEqual(winsOf(undone), { hllm: 0, baseline: 1 });
  const told = afterVerdict(undone, undone[1], "");
  assert.ok(told[1].isTold && told[1].team === "hllm");
  const redone = afterChange(told, ["i0", "i1"], true);
  assert.deepEqual(winsOf(redone), { hllm: 1, baseline: 1 });
  assert.equal(redone[1].isTold, false);
});

test("clearing the history takes all picks back, undoing that gives them back", () => {
  const cleared = afterChange(some(3), [], false);
  assert.equal(counted(cleared).length, 0);
  assert.equal(counted(afterChange(cleared, ["i0", "i1", "i2"], true)).length, 3);
});

test("what was taken back and comes again from the catalogue is no pick", () => {
  let votes = afterChange(some(1), [], true);
  votes = afterVerdict(votes, votes[0], "");
  assert.equal(counted(afterChange(votes, ["i0"], false)).length, 0);
  // Also where the server was not told yet: it still must be.
  votes = afterChange(afterChange(some(1), [], true), ["i0"], false);
  assert.deepEqual(
    votes.map(({ counts, isTold }) => [counts, isTold]),
    [[false, false]],
  );
});

test("a list gives one pick: the last one", () => {
  let votes = withVote([], vote("a", ["h"]));
  votes = afterChange(votes, ["h"], true);
  votes = withVote(votes, vote("b", ["h"]));
  assert.deepEqual(
    votes.map(({ item }) => item),
    ["b"],
  );
  assert.equal(
    withVote(votes, { ...vote("b", ["h"]), filter: { ...EVERYTHING, category: "x" } }).length,
    2,
  );
});

test("a pick that the server cannot credit counts for nobody", () => {
  const votes = withVote(some(1), vote("x", ["h"]));
  assert.equal(afterVerdict(votes, votes[1], "").length, 1);
});

test("a verdict that comes after the pick was taken back leaves that to be told", () => {
  const votes = withVote([], vote("x", ["h"]));
  const undone = afterChange(votes, ["h"], true);
  const [late] = afterVerdict(undone, votes[0], "hllm");
  assert.deepEqual([late.team, late.counts, late.isTold], ["hllm", false, false]);
});

test("a test is over when ten picks are made and credited", () => {
  assert.equal(isComplete(some(NUM_PICKS - 1)), false);
  assert.equal(isComplete(some(NUM_PICKS)), true);
  const open = withVote(some(NUM_PICKS - 1), vote("x", ["h"]));
  assert.equal(counted(open).length, NUM_PICKS);
  assert.equal(isComplete(open), false);
});

test("what is stored comes back, and nothing else does", () => {
  const kept = { seed: "5eed", votes: some(3) };
  assert.deepEqual(restoredTest(JSON.parse(JSON.stringify(kept))), kept);
  for (const odd of [null, 1, [], {}, { seed: "5eed" }, { seed: 1, votes: [] }])
    assert.equal(restoredTest(odd), null);
  const votes = [null, 1, {}, { ...kept.votes[0], filter: null }, { ...kept.votes[0], title: 1 }];
  assert.deepEqual(restoredTest({ seed: "5eed", votes }), { seed: "5eed", votes: [] });
});
