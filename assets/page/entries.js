// The entries of the menu.

import { makeKeep } from "./keep.js";
import { marked, switchLanguage, tr } from "./language.js";
import { sharedLink } from "./links.js";

const NEEDS_SERVER = marked(
  "Writing items, the map, the blind test, downloads and the picks of all visits need a server, which this page has not.",
);

/**
 * @param {object} menu
 * @param {HTMLDialogElement} dialog for what is to be copied
 * @param {object} page its parts by name: guests, place, stage, blind, yours, models, catalogs
 * @param {?string} page.lang in which the page is; null where it cannot be chosen
 * @param {function} [page.keep] asks the server for what a visitor can take along
 * @param {boolean} page.hasServer without one, an entry says what there is with one
 * @param {function(string): void} page.write opens the form for an item, with a title
 * @param {function(string): void} page.say
 */
export function addEntries(menu, dialog, page) {
  const { guests, place, stage, blind, yours, models, catalogs } = page;
  const history = () => guests.items.map(({ id }) => id);

  makeKeep(menu, dialog, {
    fetch: page.keep,
    query: () => ({ history: history(), filter: guests.filter }),
    // What the visitor has written stays in this browser.
    link: () => {
      const known = history().filter((id) => !yours.find(id));
      return stage.address(sharedLink(place, known, guests.filter, models.pairOf()));
    },
    refusal: () =>
      blind.isOn() ? tr("That would tell whose list is whose: leave the blind test first.") : "",
    say: page.say,
  });
  if (page.hasServer) {
    menu.add({ label: tr("Write an item or a wish \u2026"), act: () => page.write("") });
    menu.add({
      label: tr("Blind test"),
      act: () => {
        if (blind.leave()) return;
        if (models.counts()) blind.begin();
        else
          page.say(tr("The blind test counts for HLLM and the baseline: choose these two first."));
      },
      checked: blind.isOn,
    });
    menu.add({ label: tr("Models \u2026"), act: models.open });
    if (catalogs.isChoice()) menu.add({ label: tr("Catalogues \u2026"), act: catalogs.open });
  }
  menu.add({ label: tr("Stage mode"), act: stage.toggle, checked: stage.isOn });
  if (page.lang !== null) {
    const [other, name] = page.lang === "en" ? ["zh", "中文"] : ["en", "English"];
    menu.add({ label: name, lang: other, act: () => switchLanguage(other) });
  }
  if (!page.hasServer) {
    menu.add({ label: tr("What needs a server \u2026"), act: () => page.say(tr(NEEDS_SERVER)) });
  }
}
