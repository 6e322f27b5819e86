// The entries of the menu.

import { makeKeep } from "./keep.js";
import { switchLanguage, tr } from "./language.js";
import { sharedLink } from "./links.js";

/**
 * @param {object} menu
 * @param {HTMLDialogElement} dialog for what is to be copied
 * @param {object} page its parts by name: guests, place, stage, blind, yours, lang
 * @param {function} page.keep asks the server for what a visitor can take along
 * @param {function(string): void} page.write opens the form for an item, with a title
 * @param {function(string): void} page.say
 */
export function addEntries(menu, dialog, page) {
  const { guests, place, stage, blind, yours } = page;
  const history = () => guests.items.map(({ id }) => id);

  makeKeep(menu, dialog, {
    fetch: page.keep,
    query: () => ({ history: history(), filter: guests.filter }),
    // What the visitor has written stays in this browser.
    link: () => {
      const known = history().filter((id) => !yours.find(id));
      return stage.address(sharedLink(place, known, guests.filter));
    },
    refusal: () =>
      blind.isOn() ? tr("That would tell whose list is whose: leave the blind test first.") : "",
    say: page.say,
  });
  menu.add({ label: tr("Write an item or a wish \u2026"), act: () => page.write("") });
  menu.add({
    label: tr("Blind test"),
    act: () => blind.leave() || blind.begin(),
    checked: blind.isOn,
  });
  menu.add({ label: tr("Stage mode"), act: stage.toggle, checked: stage.isOn });
  const [other, name] = page.lang === "en" ? ["zh", "中文"] : ["en", "English"];
  menu.add({ label: name, lang: other, act: () => switchLanguage(other) });
}
