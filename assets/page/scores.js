// The picks of this visit and what they say of the models: pure functions.

import { marked, tr } from "./language.js";

const HIT_RANK = 10;
const MAX_PICKS = 500;
export const MODELS = { hllm: "HLLM", baseline: marked("Baseline") };

const far = (rank) => rank ?? Number.POSITIVE_INFINITY;

/** Which model had the item further up: its key, or "" for neither. */
export function closerOf({ ranks }) {
  const [hllm, baseline] = [far(ranks.hllm), far(ranks.baseline)];
  if (hllm === baseline) return "";
  return hllm < baseline ? "hllm" : "baseline";
}

/**
 * @param {import("./contract.js").VerdictPayload[]} picks
 * @returns {Object<string, {closer: number, hit: number, mrr: number}>} by model; of one pick or more
 */
export function scoresOf(picks) {
  return Object.fromEntries(
    Object.keys(MODELS).map((key) => {
      const ranks = picks.map((pick) => far(pick.ranks[key]));
      const sum = (values) => values.reduce((total, value) => total + value, 0);
      return [
        key,
        {
          closer: picks.filter((pick) => closerOf(pick) === key).length,
          hit: ranks.filter((rank) => rank <= HIT_RANK).length / picks.length,
          mrr: sum(ranks.map((rank) => 1 / rank)) / picks.length,
        },
      ];
    }),
  );
}

/** Where a model had an item, in words. */
export function rankText({ ranks, num_ranked: of }, key) {
  const rank = ranks[key];
  return rank === null
    ? tr("far behind")
    : tr("#{rank} of {total}", {
        rank: rank.toLocaleString("en"),
        total: of[key].toLocaleString("en"),
      });
}

/** Where both models had the last pick, in words that follow its title. */
export function verdictText(pick) {
  const place = (key) =>
    pick.ranks[key] === null ? tr("far behind") : `#${pick.ranks[key].toLocaleString("en")}`;
  const places = { hllm: place("hllm"), baseline: place("baseline") };
  return tr(": HLLM {hllm}, baseline {baseline}", places);
}

/** Which model is ahead so far, in words. */
export function standingText(picks) {
  const { hllm, baseline } = scoresOf(picks);
  const closer = { hllm: hllm.closer, baseline: baseline.closer };
  return tr("closer so far: HLLM {hllm}, baseline {baseline}", closer);
}

/** The picks that were stored: anything may be in the storage. */
export function restoredPicks(stored) {
  const isRank = (rank) => rank === null || (Number.isInteger(rank) && rank > 0);
  const isPick = (pick) =>
    typeof pick?.item === "string" &&
    typeof pick.title === "string" &&
    Object.keys(MODELS).every((key) => isRank(pick.ranks?.[key]) && pick.num_ranked?.[key] > 0);
  return Array.isArray(stored) ? stored.filter(isPick).slice(-MAX_PICKS) : [];
}

export function withPick(picks, pick) {
  return [...picks, pick].slice(-MAX_PICKS);
}
