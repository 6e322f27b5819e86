// The items that the visitor has written: they stay in this browser, and are listed behind the
// catalogue's.

import { node } from "./dom.js";
import { tr } from "./language.js";
import { linkOf } from "./links.js";
import { readStored, store } from "./storage.js";

const MAX_YOURS = 20;

/**
 * @typedef {import("./contract.js").ItemPayload & {written: import("./contract.js").WrittenPayload}}
 *   OwnItem
 */

/** The items that were stored: anything may be in the storage. */
export function restoredYours(stored) {
  if (!Array.isArray(stored)) return [];
  return stored.filter((item) => isOwn(item)).slice(-MAX_YOURS);
}

/** Whether an item is one that the visitor has written. */
export function isOwn(item) {
  const texts = [item?.id, item?.title, item?.creator, item?.cover, item?.written?.title];
  return texts.every((text) => typeof text === "string");
}

/**
 * @param {Element} section
 * @param {object} page
 * @param {string} page.storageKey
 * @param {function(): OwnItem[]} page.history whose items may be known here no longer
 * @param {function()} page.onDraw
 */
export function makeYours(section, page) {
  const list = section.querySelector(".yours-list");
  let items = restoredYours(readStored(page.storageKey));

  /** Another tab may have written, too. */
  function change(next) {
    items = next(restoredYours(readStored(page.storageKey))).slice(-MAX_YOURS);
    store(page.storageKey, items);
    draw();
  }

  /**
   * @param {OwnItem} item
   * @param {?string} instead id of the one in whose place it comes
   */
  function keep(item, instead = null) {
    change((known) => [...known.filter(({ id }) => id !== item.id && id !== instead), item]);
  }

  function remove(id) {
    change((known) => known.filter((item) => item.id !== id));
  }

  function draw() {
    section.hidden = !items.length;
    list.replaceChildren(...items.map(entryOf));
    page.onDraw();
  }

  /** @returns {?OwnItem} */
  function find(id) {
    return (
      items.find((item) => item.id === id) ?? page.history().find((i) => i.id === id && isOwn(i))
    );
  }

  /** A history as the server is asked about it: it knows no item of the visitor's. */
  function sent(ids) {
    return ids.map((id) => find(id)?.written ?? id);
  }

  /** The history of an answer, with what the server does not know of the visitor's items. */
  function filled(history) {
    return history.map((item) => find(item.id) ?? item);
  }

  return { keep, remove, draw, find, sent, filled };
}

/** As app/render.py draws a card. */
function entryOf({ id, title, creator, cover }) {
  const face = node(
    "a",
    {
      role: "button",
      class: "card item",
      href: linkOf(id),
      draggable: "false",
      title,
      "data-id": id,
      "data-title": title,
      "data-creator": creator,
      "data-source": "yours",
    },
    [
      node("img", {
        class: "cover",
        src: cover,
        alt: "",
        width: 200,
        height: 300,
        draggable: "false",
      }),
      node("span", { class: "unseen" }, [`${tr("Add")} `]),
      node("span", { class: "card-title", lang: "", dir: "auto" }, [title]),
      node("span", { class: "card-by", dir: "auto" }, [creator]),
    ],
  );
  const button = (attributes, name, label, sign) =>
    node("button", { type: "button", title: name, "aria-label": label, ...attributes }, [sign]);
  return node("li", {}, [
    face,
    button(
      { class: "info", "data-info": id },
      tr("Details"),
      tr("Details of {title}", { title }),
      "i",
    ),
    button(
      { class: "info remove", "data-remove": id },
      tr("Remove"),
      tr("Remove {title}", { title }),
      "\u00d7",
    ),
  ]);
}
