import assert from "node:assert/strict";
import { test } from "node:test";

import {
  closerOf,
  rankText,
  restoredPicks,
  scoresOf,
  standingText,
  verdictText,
  withPick,
} from "../../assets/page/scores.js";

const pick = (hllm, baseline, title = "Solaris") => ({
  item: "a",
  title,
  ranks: { hllm, baseline },
  num_ranked: { hllm: 1393, baseline: 1393 },
});

test("the model that had it further up is closer, also where the other did not look so far", () => {
  assert.equal(closerOf(pick(2, 68)), "hllm");
  assert.equal(closerOf(pick(68, 2)), "baseline");
  assert.equal(closerOf(pick(5, 5)), "");
  assert.equal(closerOf(pick(null, 900)), "baseline");
  assert.equal(closerOf(pick(null, null)), "");
});

test("closer, hit@10 and MRR are those of all picks", () => {
  const { hllm, baseline } = scoresOf([pick(2, 68), pick(10, 1), pick(11, 11), pick(null, 4)]);
  assert.deepEqual([hllm.closer, baseline.closer], [1, 2]);
  assert.deepEqual([hllm.hit, baseline.hit], [0.5, 0.5]);
  assert.ok(Math.abs(hllm.mrr - (1 / 2 + 1 / 10 + 1 / 11) / 4) < 1e-12);
  assert.ok(Math.abs(baseline.mrr - (1 / 68 + 1 + 1 / 11 + 1 / 4) / 4) < 1e-12);
});

test("a verdict is said in words, also where HLLM loses", () => {
  assert.equal(verdictText(pick(2, 1068)), ": HLLM #2, baseline #1,068");
  assert.equal(verdictText(pick(null, 1)), ": HLLM far behind, baseline #1");
  assert.equal(standingText([pick(9, 1), pick(3, 2)]), "closer so far: HLLM 0, baseline 2");
  assert.equal(rankText(pick(2, 3), "hllm"), "#2 of 1,393");
  assert.equal(rankText(pick(null, 3), "hllm"), "far behind");
});

test("what is stored comes back, and nothing else", () => {
  const good = [pick(1, 2), pick(null, 7)];
  assert.deepEqual(restoredPicks(JSON.parse(JSON.stringify(good))), good);
  const bad = [
    null,
    5,
    {},
    { ...pick(1, 2), title: 5 },
    { ...pick(1, 2), ranks: null },
    { ...pick(1, 2), ranks: { hllm: 1 } },
    { ...pick(1, 2), num_ranked: {} },
    pick(0, 1),
    pick("1", 1),
    pick(1.5, 1),
  ];
  assert.deepEqual(restoredPicks([...bad, good[0]]), [good[0]]);
  for (const strange of [null, {}, "x", 7]) assert.deepEqual(restoredPicks(strange), []);
});

test("no more picks are kept than fit", () => {
  let picks = [];
  for (let rank = 1; rank <= 510; rank += 1) picks = withPick(picks, pick(rank, 1));
  assert.equal(picks.length, 500);
  assert.equal(picks.at(-1).ranks.hllm, 510);
});
