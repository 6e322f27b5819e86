// What a visitor can take along: a link, files, and lines of Python.

import { copyText, makeCopyBox } from "./copybox.js";
import { node } from "./dom.js";
import { marked, tr } from "./language.js";

const TOO_LONG = marked("This history is too long for a link.");
const TOO_LONG_TO_LINK = marked("This history is too long for a link: download it as JSON.");

/**
 * @param {object} menu to which the entries are added
 * @param {HTMLDialogElement} dialog
 * @param {object} page
 * @param {function(import("./contract.js").KeepQuery):
 *   Promise<import("./contract.js").KeepPayload>} [page.fetch] without it there is the link alone
 * @param {function(): import("./contract.js").KeepQuery} page.query about what is shown
 * @param {function(): string} page.link address of what is shown, "" where it is too long
 * @param {function(): string} page.refusal why both lists may not be told now, mostly ""
 * @param {function(string): void} page.say
 */
export function makeKeep(menu, dialog, page) {
  const box = makeCopyBox(dialog);

  async function copyLink() {
    const link = page.link();
    if (!page.query().history.length)
      page.say(tr("There is no history yet that a link could hold."));
    else if (!link) page.say(page.fetch ? tr(TOO_LONG_TO_LINK) : tr(TOO_LONG));
    else if (await copyText(link))
      page.say(tr("The link is copied: it shows this history to others."));
    else box.open(tr("Link"), tr("It shows this history to others."), link);
  }

  /** @param {function(import("./contract.js").KeepPayload): void} use is given what the server made */
  const fetched = (use) => async () => {
    const refusal = page.refusal();
    if (refusal) {
      page.say(refusal);
      return;
    }
    const found = await page.fetch(page.query()).catch(() => null);
    if (found === null) page.say(tr("The app does not answer."));
    else if (found.message) page.say(found.message);
    else use(found);
  };

  menu.add({ label: tr("Copy link"), act: copyLink });
  if (!page.fetch) return;
  menu.add({
    label: tr("Download as JSON"),
    act: fetched(({ json }) => download("hllm-live.json", "application/json", json)),
  });
  menu.add({
    label: tr("Download as CSV"),
    act: fetched(({ csv }) => download("hllm-live.csv", "text/csv", csv)),
  });
  menu.add({
    label: tr("Python snippet"),
    act: fetched(({ snippet, hint }) => box.open("Python", hint, snippet)),
  });
}

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  node("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000); // the browser has taken it by then
}
