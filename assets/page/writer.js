// The form for an item that does not exist, or a wish in words: what both models make of it, live. HTML
// comes escaped from app/render_writing.py.

import { marked, tr } from "./language.js";

const RETRY_MS = 1500;
const LEADS = {
  item: marked(
    "An Item LLM reads texts, so it can place an item that nobody has ever seen. Make one up.",
  ),
  wish: marked(
    "Say in your own words what you would like. The Item LLM reads it as the text of an item.",
  ),
};
const EMPTY = { title: "", creator: "", category: "", description: "" };

/**
 * @param {HTMLFormElement} form is taken out of the page, and shown in the drawer
 * @param {object} page
 * @param {function(import("./contract.js").WriteRequest):
 *   Promise<import("./contract.js").WritePayload>} page.write
 * @param {function(): Array<string|import("./contract.js").WrittenPayload>} page.history that is shown
 * @param {function(object, ?Element): void} page.show in the drawer
 * @param {function(): void} page.close the drawer
 * @param {function(import("./yours.js").OwnItem, ?string): void} page.keep an item, in the place of another
 * @param {function(string): boolean} page.isUsed whether an item is in the history
 */
export function makeWriter(form, page) {
  form.remove();
  form.hidden = false;
  const state = form.querySelector(".writer-state");
  const result = form.querySelector(".writer-result");
  const submit = form.querySelector('[type="submit"]');
  const view = { title: tr("Write an item that does not exist"), body: form, refresh };
  let mode = "item";
  let asked = null; // what the result is of
  let kept = null; // id of the item that was made of the form
  let version = 0;
  let timer = 0;

  const field = (name) => form.elements.namedItem(name);

  /**
   * @param {import("./contract.js").WrittenPayload} texts
   * @param {?Element} pressed
   */
  function open(texts, pressed = null) {
    for (const name of Object.keys(EMPTY)) field(name).value = texts[name];
    asked = null;
    kept = null;
    result.replaceChildren();
    setMode("item");
    page.show(view, pressed);
    field("title").focus({ preventScroll: true });
    prepare();
  }

  /** One that was written before. */
  function reopen(item, pressed = null) {
    open(item.written, pressed);
    kept = item.id;
    encode();
  }

  function setMode(next) {
    mode = next;
    for (const button of form.querySelectorAll("[data-mode]"))
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    form.querySelector(".for-item").hidden = mode !== "item";
    form.querySelector(".for-wish").hidden = mode !== "wish";
    form.querySelector(".writer-lead").textContent = tr(LEADS[mode]);
    submit.textContent = mode === "item" ? tr("Encode") : tr("Find");
  }

  function say(text) {
    if (state.textContent !== text) state.textContent = text;
  }

  function setBusy(busy) {
    form.setAttribute("aria-busy", String(busy));
    submit.setAttribute("aria-disabled", String(busy));
  }

  /** Load the model while the visitor types; where there is none, say so. */
  async function prepare() {
    clearTimeout(timer);
    version += 1;
    const mine = version;
    say(tr("Loading the Item LLM \u2026"));
    const found = await page.write({ item: null, history: [], wish: false }).catch(() => null);
    if (mine !== version) return;
    if (!found) say(tr("The app does not answer."));
    else say(found.message);
    const failed = found?.state === "failed";
    for (const input of form.elements) input.disabled = failed;
    if (found?.state === "later") timer = setTimeout(() => form.isConnected && prepare(), RETRY_MS);
  }

  async function encode() {
    const text = field("wish").value;
    const texts = mode === "wish" ? { ...EMPTY, title: text } : {};
    if (mode === "item") for (const name of Object.keys(EMPTY)) texts[name] = field(name).value;
    if (!texts.title.trim()) {
      say(mode === "item" ? tr("It needs a title.") : tr("Describe what you would like."));
      field(mode === "item" ? "title" : "wish").focus();
      return;
    }
    await ask({ item: texts, wish: mode === "wish" });
  }

  async function ask(question, isNew = true) {
    clearTimeout(timer);
    version += 1;
    const mine = version;
    setBusy(true);
    if (isNew) say(tr("Encoding \u2026"));
    const found = await page.write({ ...question, history: page.history() }).catch(() => null);
    if (mine !== version) return; // overtaken
    setBusy(false);
    if (found?.state !== "ready") {
      say(found ? found.message : tr("The app does not answer: try again."));
      if (isNew) forgetResult(); // it is of another text
      return;
    }
    asked = question;
    if (isNew) say(question.wish ? tr("Found.") : tr("Encoded."));
    if (!question.wish && isNew) keep(found);
    const hadFocus = result.contains(document.activeElement);
    result.innerHTML = found.html;
    if (hadFocus) submit.focus({ preventScroll: true });
  }

  function forgetResult() {
    asked = null;
    result.replaceChildren();
  }

  function keep({ item, written }) {
    page.keep({ ...item, written }, kept && !page.isUsed(kept) ? kept : null);
    kept = item.id;
  }

  /** The same for another history: ranks change. */
  function refresh() {
    if (asked) ask(asked, false);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (submit.getAttribute("aria-disabled") !== "true") encode();
  });
  form.addEventListener("keydown", (event) => {
    // Where something is typed, keys do nothing else (keys.js).
    if (event.key === "Escape" && event.target.matches("input, textarea")) page.close();
  });
  form.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-mode]")?.dataset.mode;
    if (!chosen || chosen === mode) return;
    version += 1; // an answer for the other mode is wanted no longer
    setBusy(false);
    forgetResult();
    say("");
    setMode(chosen);
  });

  return { open: (title, pressed) => open({ ...EMPTY, title }, pressed), reopen };
}
