// A box with a text to copy, over the page.

import { tr } from "./language.js";

/** Whether a text is in the clipboard now: browsers forbid it at times, and without https. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** @param {HTMLDialogElement} dialog */
export function makeCopyBox(dialog) {
  const title = dialog.querySelector("h2");
  const hint = dialog.querySelector(".hint");
  const field = dialog.querySelector("textarea");
  const copy = dialog.querySelector(".copy-do");
  const said = dialog.querySelector('[role="status"]');

  /**
   * @param {string} name of what is shown
   * @param {string} about it, as sentences
   * @param {string} text to copy; where it is empty, `about` says why
   */
  function open(name, about, text) {
    title.textContent = name;
    hint.textContent = about;
    field.value = text;
    field.rows = Math.min(text.split("\n").length + 1, 18);
    field.hidden = text === "";
    copy.hidden = text === "";
    said.textContent = "";
    dialog.showModal(); // takes the keyboard, and gives it back
  }

  async function take() {
    if (await copyText(field.value)) {
      said.textContent = tr("Copied.");
      return;
    }
    field.focus();
    field.select();
    const done = document.execCommand("copy"); // the only way without https
    said.textContent = done ? tr("Copied.") : tr("Copy what is selected by Ctrl+C.");
  }

  copy.addEventListener("click", take);
  dialog.querySelector(".copy-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the box
  });
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // not the page's keys

  return { open };
}
