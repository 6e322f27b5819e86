// Opening a link that holds a history: it is shown as a guest's, until the visitor keeps it as their
// own or goes back to theirs.

import { tr } from "./language.js";
import { leaveLink, sharedHistory } from "./links.js";

/**
 * @param {object} guests
 * @param {{catalog: string, name: string, limit: number}} place see sharedHistory
 * @param {object} page
 * @param {function(): void} page.draw draws history and filter
 * @param {function(): void} page.forget the lists that follow are not compared with those before
 * @param {function(): void} page.ask asks for what is shown now
 * @param {function(string[]): void} page.notice shows sentences
 * @param {function(?string[]): void} page.follow takes over the models that a link names
 * @param {function(string): void} page.say shows one that belongs to no answer
 */
export function makeSharing(guests, place, page) {
  let notices = []; // of the link

  /** Show the history that the address holds; gives whether it does. */
  function open() {
    const shared = sharedHistory(location.hash, place);
    if (shared?.problem) {
      leaveLink();
      page.say(shared.problem);
    }
    if (!shared || shared.problem) return false;
    guests.open(shared);
    page.follow(shared.models);
    notices = shared.notices;
    page.forget();
    page.draw();
    return true;
  }

  /** Show the visitor's own history again; gives whether another one was shown. */
  function close() {
    if (!guests.isShared) return false;
    guests.close();
    page.follow(null);
    page.forget();
    page.draw();
    return true;
  }

  /** Take over what the server knows of the shared history. */
  function meet(answer) {
    if (!answer.history.length) {
      leaveLink();
      close();
      page.say(tr("Nothing of the shared history is in this catalogue."));
      page.ask();
    } else if (guests.meet(answer.history, answer.filter)) {
      page.notice([...notices, ...answer.notices]);
      notices = [];
      page.draw();
    }
  }

  return { open, close, meet };
}
