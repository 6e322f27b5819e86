// The blind test: one list of both models in place of two, ten picks, then whose they were.

import {
  afterChange,
  afterVerdict,
  counted,
  isComplete,
  NUM_PICKS,
  restoredTest,
  winsOf,
  withVote,
} from "./ballot.js";
import { node } from "./dom.js";
import { tr } from "./language.js";
import { randomId } from "./protocol.js";
import { MODELS } from "./scores.js";
import { readTab, storeTab } from "./storage.js";

const TELL_AGAIN_MS = 5000; // before a pick that is not stored yet is told again

/**
 * @param {HTMLElement} root of the page, whose data the styles go by
 * @param {object} page
 * @param {function(import("./contract.js").BlindPickRequest):
 *   Promise<import("./contract.js").BlindPickPayload>} page.judge
 * @param {function(import("./contract.js").RevealQuery):
 *   Promise<import("./contract.js").RevealPayload>} page.reveal
 * @param {function(string): void} page.announce
 * @param {function(string): void} page.onSwitch is told, to say it, that other lists are to be shown
 * @param {string} page.storageKey
 */
export function makeBlind(root, page) {
  const section = root.querySelector(".blind");
  const problem = section.querySelector(".blind-problem");
  const panel = section.querySelector(".reveal");
  let test = restoredTest(readTab(page.storageKey)); // null: there is none
  let isSettling = false;

  const isOn = () => test !== null;
  const isOver = () => isOn() && isComplete(test.votes);

  /** Of the test; "" without one. */
  const seed = () => test?.seed ?? "";

  function keep(next) {
    test = next;
    storeTab(page.storageKey, test);
    draw();
  }

  function begin() {
    problem.textContent = "";
    keep({ seed: randomId(), votes: [] });
    page.onSwitch(tr("Blind test: one list of both models, {count} picks.", { count: NUM_PICKS }));
  }

  /** Whether there was a test to leave. */
  function leave() {
    if (!isOn()) return false;
    keep(null);
    page.onSwitch(tr("The blind test is left, both lists are back."));
    return true;
  }

  /**
   * An item of the list was picked; the change of the history follows.
   * @param {object} vote as in ballot.js, without what comes of it
   */
  function pick(vote) {
    if (vote.seed !== seed() || counted(test.votes).length >= NUM_PICKS) return;
    problem.textContent = "";
    keep({ ...test, votes: withVote(test.votes, vote) });
  }

  /**
   * @param {string[]} ids of the history
   * @param {boolean} isStep whether undo or redo has changed it
   */
  function changed(ids, isStep) {
    if (!isOn() || isOver()) return;
    keep({ ...test, votes: afterChange(test.votes, ids, isStep) });
  }

  /** Tell the server of the picks when the click is answered, so as not to slow it. */
  async function settle() {
    if (isSettling) return;
    isSettling = true;
    for (;;) {
      const vote = test?.votes.find(({ isTold }) => !isTold);
      if (!vote) break;
      const { history, filter, item, position, session } = vote;
      const asked = { seed: vote.seed, history, filter, item, position, session };
      const found = await page.judge({ ...asked, withdrawn: !vote.counts }).catch(() => null);
      if (seed() !== vote.seed) continue; // another test, or none
      if (!found?.is_stored) {
        say(found?.message || tr("The app does not answer: your last pick is counted later."));
        setTimeout(settle, TELL_AGAIN_MS);
        break;
      }
      keep({ ...test, votes: afterVerdict(test.votes, vote, found.team) });
      say(found.message);
    }
    isSettling = false;
  }

  function say(sentence) {
    problem.textContent = sentence;
    if (sentence) page.announce(sentence);
  }

  function draw() {
    const before = root.dataset.blind;
    root.dataset.blind = isOn() ? (isOver() ? "reveal" : "on") : "off";
    section.hidden = !isOn();
    section.querySelector(".blind-how").hidden = isOver();
    panel.hidden = !isOver();
    if (!isOn()) return;
    const count = tr("{count} of {total} picks", {
      count: counted(test.votes).length,
      total: NUM_PICKS,
    });
    section.querySelector(".blind-count").textContent = isOver() ? "" : count;
    if (isOver() && before !== "reveal") reveal();
  }

  async function reveal() {
    const mine = test.seed;
    const result = panel.querySelector(".reveal-result");
    const chance = panel.querySelector(".reveal-chance");
    const wins = winsOf(test.votes);
    panel.querySelector(".reveal-picks").replaceChildren(...counted(test.votes).map(drawPick));
    result.textContent = Object.entries(MODELS)
      .map(([key, name]) => `${tr(name)} ${wins[key]}`)
      .join(tr(", "));
    chance.textContent = "";
    panel.focus({ preventScroll: true }); // the list that had the keyboard is gone
    const found = await page.reveal({ wins }).catch(() => null);
    if (seed() !== mine) return;
    if (found) result.textContent = found.result;
    chance.textContent =
      found?.chance ?? tr("The app does not answer: whether that is chance is open.");
    page.announce(`${result.textContent} ${chance.textContent}`);
  }

  draw();
  return { isOn, isOver, seed, begin, leave, pick, changed, settle };
}

/** @param {import("./ballot.js").Vote} vote */
function drawPick(vote, at) {
  return node("li", {}, [
    node("span", {}, [String(at + 1)]),
    node("span", { lang: "", dir: "auto" }, [vote.title]),
    node("span", { class: `${vote.team}-tone` }, [tr(MODELS[vote.team] ?? "")]),
  ]);
}
