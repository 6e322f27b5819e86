// Which two models stand in the columns: chosen by each visitor from what is installed. Nothing but
// their names goes to the server, with every question.

import { node } from "./dom.js";
import { marked, tr } from "./language.js";
import { readTab, storeTab } from "./storage.js";

const MAX_MODEL_CHARS = 64;
const SIDES = ["left", "right"];
const SIDE_NAMES = { left: marked("Left"), right: marked("Right") };
const IN_COLUMN = {
  left: marked("{model} in the left column"),
  right: marked("{model} in the right column"),
};
const COLUMNS = { left: "hllm", right: "baseline" };

/** Two names, or null for anything else. */
export function restoredPair(stored) {
  const isName = (name) =>
    typeof name === "string" && name.length <= MAX_MODEL_CHARS && name !== "";
  const isPair = Array.isArray(stored) && stored.length === 2 && stored.every(isName);
  return isPair && stored[0] !== stored[1] ? stored : null;
}

/**
 * @param {HTMLElement} root of the page
 * @param {object} page
 * @param {function(): Promise<import("./contract.js").OffersPayload>} page.fetch
 * @param {function(object): void} page.open in the drawer
 * @param {function(): void} page.close the drawer
 * @param {function(): boolean} page.isBlind whether the models of the start must answer
 * @param {function(string): void} page.onChoice others are to answer
 * @param {function(string): void} page.say
 * @param {function(string[]): void} page.notice shows sentences that stay
 * @param {string} page.storageKey
 */
export function makeModels(root, page) {
  const usualWords = new Map(); // of elements that name the models of the start
  let own = restoredPair(readTab(page.storageKey)); // null: those of the start
  let linked = null; // of a link, while its history is shown
  let shown = null; // of the last answer
  let version = 0;

  /** What to send with a question. */
  const chosen = () => (page.isBlind() ? null : (linked ?? own));

  /** Whether picks count: those of other models than HLLM and the baseline do not. */
  const counts = () => shown?.counts !== false;

  /** For a link; null where the models of the start are shown. */
  const pairOf = () => (shown && !shown.usual ? [shown.left, shown.right] : null);

  function choose(pair, titles) {
    const [left, right] = pair;
    own = pair;
    linked = null;
    storeTab(page.storageKey, own);
    version += 1; // a list that is on its way is of before
    page.close();
    if (left !== shown?.left || right !== shown?.right)
      page.onChoice(tr("Loading {left} and {right}.", { left: titles[0], right: titles[1] }));
  }

  /** @param {?string[]} pair of a link, null where it names none */
  function follow(pair) {
    linked = restoredPair(pair);
  }

  /** @param {import("./contract.js").ShownPayload} next models that have answered */
  function show(next) {
    const asked = chosen();
    shown = next;
    if (asked && next.usual && asked.join() !== [next.left, next.right].join()) {
      own = null;
      linked = null;
      storeTab(page.storageKey, null);
      page.notice([
        tr("The models that were chosen are not installed here: the usual ones answer."),
      ]);
    }
    const titles = { left: next.left_title, right: next.right_title };
    for (const side of SIDES) {
      root.querySelector(`.${COLUMNS[side]}-column`).setAttribute("aria-label", titles[side]);
      for (const element of root.querySelectorAll(`[data-model="${side}"]`)) {
        if (!usualWords.has(element)) usualWords.set(element, element.textContent);
        element.textContent = next.counts ? usualWords.get(element) : titles[side];
      }
    }
  }

  async function open() {
    if (page.isBlind()) {
      page.say(tr("The blind test is of the usual models: leave it first."));
      return;
    }
    version += 1;
    const mine = version;
    const body = node("form", { class: "models", novalidate: "" }, [
      node("p", { class: "hint" }, [tr("Looking at what is installed \u2026")]),
    ]);
    page.open({ title: tr("Models"), body, refresh: () => {} });
    root.querySelector('.drawer [data-action="close"]').focus({ preventScroll: true });
    const found = await page.fetch().catch(() => null);
    if (mine !== version) return;
    const problem = found ? found.message : tr("The app does not answer.");
    if (problem) body.replaceChildren(node("p", { class: "hint", role: "note" }, [problem]));
    else draw(body, found.offers);
  }

  function draw(body, offers) {
    const state = node("span", { class: "models-state", role: "status" });
    const button = node("button", { type: "submit", class: "button" }, [tr("Show these two")]);
    body.replaceChildren(
      node("p", { class: "hint" }, [
        tr(
          "For you alone, in this tab. Numbers are of one evaluation each: compare those of the same split and users.",
        ),
      ]),
      node("p", { class: "sides", "aria-hidden": "true" }, [
        ...SIDES.map((side) =>
          node("span", { class: `${COLUMNS[side]}-tone` }, [tr(SIDE_NAMES[side])]),
        ),
      ]),
      ...offers.map(drawn),
      node("p", { class: "models-act" }, [button, " ", state]),
    );
    body.addEventListener("submit", (event) => {
      event.preventDefault();
      const data = new FormData(body);
      const pair = SIDES.map((side) => data.get(side));
      const titleOf = (name) => offers.find((offer) => offer.name === name)?.title ?? "";
      if (pair.includes(null)) state.textContent = tr("Choose a model for each column.");
      else if (pair[0] === pair[1]) state.textContent = tr("Choose two different models.");
      else choose(pair, pair.map(titleOf));
    });
  }

  function drawn(offer) {
    const radios = SIDES.map((side) => {
      const label = tr(IN_COLUMN[side], { model: offer.title });
      const attributes = { type: "radio", name: side, value: offer.name, "aria-label": label };
      const radio = node("input", attributes);
      radio.disabled = offer.problem !== "";
      radio.checked = !radio.disabled && shown?.[side] === offer.name;
      return node("label", {}, [radio]); // a larger target
    });
    const words = [
      node("b", {}, [offer.title]),
      node("span", {}, [offer.does]),
      node("span", { class: "numbers-of" }, [offer.numbers]),
    ];
    if (offer.problem) words.push(node("span", { class: "misfit" }, [offer.problem]));
    if (offer.remedy) words.push(node("code", {}, [offer.remedy]));
    const attributes = { class: offer.problem ? "model-row unfit" : "model-row" };
    return node("div", attributes, [...radios, node("p", { class: "offer" }, words)]);
  }

  return { chosen, counts, pairOf, follow, show, open };
}
