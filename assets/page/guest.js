// Whose history is shown: the visitor's own, or that of a guest, which is never mixed with it: an
// example for those who have none yet, or the one that a link brought.

import { sameFilter } from "./filter.js";
import { tr } from "./language.js";

/**
 * @typedef {object} Guest
 * @property {string} title of its history
 * @property {import("./contract.js").ItemPayload[]} items empty until the server has told them
 * @property {boolean} isShared whether a link brought it
 */

/**
 * @param {object} state of the visitor
 * @param {boolean} wantsExample whether an example is shown while there is nothing else
 */
export function makeGuests(state, wantsExample) {
  let guest = null;
  let asked = null; // of the link: ids and filter

  const idsOf = (items) => items.map(({ id }) => id);

  return {
    /** @returns {?Guest} null while the visitor's own history is shown */
    get guest() {
      return guest;
    },

    get isShared() {
      return asked !== null;
    },

    get wantsExample() {
      return wantsExample && asked === null;
    },

    /** Of what is shown. */
    get items() {
      return (guest ?? state.history).items;
    },

    /** Of what is shown. */
    get filter() {
      return (asked ?? state).filter;
    },

    /** What is asked of the server: parts of an AnswerRequest. */
    get question() {
      const history = asked?.ids ?? idsOf(state.history.items);
      return { history, filter: this.filter, example: this.wantsExample };
    },

    /** @param {import("./links.js").Shared} shared */
    open({ ids, filter }) {
      asked = { ids, filter };
      guest = { title: tr("A shared history"), items: [], isShared: true };
    },

    /** Take over what the server knows of the shared history; gives whether anything is new. */
    meet(items, filter) {
      const ids = idsOf(items);
      const isNew = ids.join(" ") !== idsOf(guest.items).join(" ");
      asked = { ids, filter };
      guest = { ...guest, items };
      return isNew;
    },

    meetExample(name, items) {
      guest = { title: tr("Example: {name}", { name }), items, isShared: false };
    },

    /** Whether this is a change. */
    setFilter(filter) {
      if (asked === null) return state.setFilter(filter);
      if (sameFilter(filter, asked.filter)) return false;
      asked = { ...asked, filter };
      return true;
    },

    /** The shared history goes. */
    close() {
      asked = null;
      guest = null;
    },

    /** The visitor has begun a history: no guest comes by itself any more; gives whether one goes. */
    leave() {
      const wasGuest = guest !== null || wantsExample;
      wantsExample = false;
      this.close();
      return wasGuest;
    },
  };
}
