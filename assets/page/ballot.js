// The picks of a blind test and whom they count for: pure functions.

export const NUM_PICKS = 10;

/**
 * A pick of a list; it counts while its item stays in the history.
 * @typedef {object} Vote
 * @property {string} seed of the test
 * @property {string[]} history that the list was for
 * @property {import("./contract.js").FilterPayload} filter that the list was for
 * @property {string} item
 * @property {string} title
 * @property {number} position in the list, from 1
 * @property {string} team key of the column whose model drafted it; "" until the server has said it
 * @property {string} session id of the tab that made it, before a reload perhaps
 * @property {boolean} counts false: it was taken back
 * @property {boolean} isTold whether the server knows of the last change of `counts`
 */

/** Whether two picks are from the same list of a test. */
export function isSameList(one, other) {
  const key = ({ history, filter }) => JSON.stringify([history, filter]);
  return key(one) === key(other);
}

/** @returns {Vote[]} with a pick more, in place of one that was taken back from the same list */
export function withVote(votes, vote) {
  const others = votes.filter((known) => !isSameList(known, vote));
  return [...others, { ...vote, team: "", counts: true, isTold: false }];
}

/**
 * The picks after a change of the history: undo takes back what leaves it, redo gives it back.
 * @param {Vote[]} votes
 * @param {string[]} ids of the history
 * @param {boolean} isStep whether that was undo or redo; any other change makes what was taken back
 *   final
 */
export function afterChange(votes, ids, isStep) {
  const kept = isStep ? votes : votes.filter(({ counts, isTold }) => counts || !isTold);
  return kept.map((vote) => {
    const counts = isStep || vote.counts ? ids.includes(vote.item) : false;
    return counts === vote.counts ? vote : { ...vote, counts, isTold: false };
  });
}

/** The picks that count. */
export function counted(votes) {
  return votes.filter(({ counts }) => counts);
}

/** How many of them each model has drafted, by key. */
export function winsOf(votes) {
  const wins = { hllm: 0, baseline: 0 };
  for (const { team } of counted(votes)) if (team in wins) wins[team] += 1;
  return wins;
}

/** Whether all picks are made, and the server has said whose they are. */
export function isComplete(votes) {
  const made = counted(votes);
  return made.length >= NUM_PICKS && made.every(({ team }) => team !== "");
}

/**
 * The picks after the server has answered for one.
 * @param {Vote[]} votes
 * @param {Vote} asked as it was when the server was asked
 * @param {string} team what it said
 */
export function afterVerdict(votes, asked, team) {
  return votes.flatMap((vote) => {
    if (vote.item !== asked.item || !isSameList(vote, asked)) return [vote];
    if (asked.counts && !team) return []; // it counts for nobody
    const told = { ...vote, isTold: vote.counts === asked.counts };
    return [asked.counts ? { ...told, team } : told];
  });
}

/** The test that was stored: anything may be in the storage. */
export function restoredTest(stored) {
  if (typeof stored?.seed !== "string" || !Array.isArray(stored.votes)) return null;
  const isVote = (vote) =>
    ["seed", "item", "title", "team", "session"].every((key) => typeof vote?.[key] === "string") &&
    Array.isArray(vote.history) &&
    Number.isInteger(vote.position) &&
    vote.filter !== null &&
    typeof vote.filter === "object";
  const votes = stored.votes.filter(isVote).slice(0, 2 * NUM_PICKS);
  return { seed: stored.seed, votes };
}
