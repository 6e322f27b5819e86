// The history strip: numbered covers that can be removed, dragged, and moved by button or key.

import { makeSettling } from "./clicks.js";
import { node, setAttributes } from "./dom.js";
import { makeDraggable } from "./drag.js";
import { tr } from "./language.js";
import { linkOf } from "./links.js";
import { makeRoving } from "./roving.js";

function toolButton(action, sign) {
  const attributes = {
    type: "button",
    class: "tool",
    tabindex: "-1", // keys of the cover do the same
    "data-tool": action,
  };
  return node("button", attributes, [sign]);
}

function makeEntry() {
  const face = node("a", { role: "button", draggable: "false", class: "history-face" }, [
    node("img", { alt: "", width: 200, height: 300, draggable: "false", class: "cover" }),
    node("span", { class: "history-number" }),
  ]);
  const tools = node("span", { class: "tools" }, [
    toolButton("earlier", "\u2039"),
    toolButton("remove", "\u00d7"),
    toolButton("later", "\u203a"),
  ]);
  const title = node("span", {
    class: "history-title",
    lang: "",
    dir: "auto",
    "aria-hidden": "true",
  });
  const info = node(
    "button",
    { type: "button", class: "info", tabindex: "-1", title: tr("Details") },
    ["i"],
  );
  const push = node("span", { class: "push", "aria-hidden": "true", hidden: "" });
  return node("li", { draggable: "true" }, [face, title, tools, info, push]);
}

const TOOL_LABELS = {
  earlier: (title) => tr("Move {title} earlier", { title }),
  remove: (title) => tr("Remove {title}", { title }),
  later: (title) => tr("Move {title} later", { title }),
};

/** What a cover of the strip is and what its keys do, for those who hear it. */
function labelOf(title, index, count, guest, isBeyond) {
  const values = { title, place: index + 1, count };
  const place = isBeyond
    ? tr("{title}, number {place} of {count}, which does not count", values)
    : tr("{title}, number {place} of {count}", values);
  if (guest === null)
    return tr("{place}. Delete removes it, Shift with an arrow key moves it.", { place });
  return guest.isShared
    ? tr("{place} of the shared history. Add it to your own.", { place })
    : tr("{place} of the example. Begin your own history with it.", { place });
}

/** An entry stays as long as its item does: making pictures anew is most of what a click costs. */
function fillEntry(entry, item, index, count, guest, isBeyond) {
  const face = entry.querySelector(".history-face");
  setAttributes(entry, { "data-id": item.id, draggable: String(guest === null) });
  entry.classList.toggle("beyond", isBeyond);
  setAttributes(face, {
    "data-id": item.id,
    href: linkOf(item.id),
    title: item.title,
    "aria-label": labelOf(item.title, index, count, guest, isBeyond),
  });
  setAttributes(face.querySelector("img"), { src: item.cover });
  entry.querySelector(".history-title").textContent = item.title;
  const number = face.querySelector(".history-number");
  if (number.textContent !== String(index + 1)) number.textContent = String(index + 1);
  setAttributes(entry.querySelector(".info"), {
    "data-info": item.id,
    "aria-label": tr("Details of {title}", { title: item.title }),
  });
  for (const tool of entry.querySelectorAll(".tool")) {
    const label = TOOL_LABELS[tool.dataset.tool](item.title);
    setAttributes(tool, { "aria-label": label, title: label });
  }
}

/**
 * @param {Element} section
 * @param {object} acts change the history
 * @param {function(string): void} acts.remove is given an item id
 * @param {function(string, number): void} acts.move is given an item id, and where it goes
 * @param {function(import("./contract.js").ItemPayload): void} acts.begin with an item of a guest
 */
export function makeStrip(section, acts) {
  const list = section.querySelector(".history");
  const count = section.querySelector(".strip-count");
  const empty = section.querySelector(".strip-empty");
  const title = section.querySelector(".strip-title");
  const own = section.querySelector('[data-action="own"]');
  let items = [];
  let guest = null;
  let entries = new Map(); // by item id
  let selected = null;
  const settle = makeSettling((entry) => entry.dataset.id);
  const rove = makeRoving(list, ".history-face");

  /**
   * @param {import("./history.js").History} history of the visitor
   * @param {?import("./guest.js").Guest} shown in its place
   * @param {?{title: string, items: import("./contract.js").ItemPayload[], counting: number}} tried
   *   shown in its place; only the first `counting` items count
   */
  function draw(history, shown = null, tried = null) {
    guest = shown;
    const drawn = tried ?? guest ?? history;
    drawItems(drawn.items, tried?.counting ?? drawn.items.length);
    title.textContent = (tried ?? guest)?.title ?? tr("Your history");
    section.setAttribute("aria-label", title.textContent);
    section.classList.toggle("is-guest", guest !== null);
    section.classList.toggle("is-shared", guest?.isShared === true);
    section.classList.toggle("is-what-if", tried !== null);
    const isBack = guest?.isShared && history.items.length > 0;
    own.textContent = isBack ? tr("Back to yours") : tr("Start your own");
    count.textContent = items.length && drawn === history ? String(items.length) : "";
    empty.hidden = items.length > 0 || guest !== null;
    setEnabled("undo", history.past.length > 0);
    setEnabled("redo", history.future.length > 0);
    setEnabled("clear", history.items.length > 0);
    setEnabled("what-if", tried !== null || history.items.length > 1);
  }

  function setEnabled(action, enabled) {
    // Not disabled: a button that was just pressed keeps the keyboard.
    const button = section.querySelector(`[data-action="${action}"]`);
    button.setAttribute("aria-disabled", String(!enabled));
    button.tabIndex = enabled ? 0 : -1; // no stop on the way, as if it were disabled
  }

  function drawItems(newItems, counting) {
    const grew = newItems.length > items.length;
    const focused = list.contains(document.activeElement)
      ? document.activeElement.closest("li")
      : null;
    const focusedAt = focused ? [...list.children].indexOf(focused) : -1;
    items = newItems;
    entries = new Map(items.map(({ id }) => [id, entries.get(id) ?? makeEntry()]));
    items.forEach((item, index) => {
      const isBeyond = index >= counting;
      fillEntry(entries.get(item.id), item, index, items.length, guest, isBeyond);
    });
    list.replaceChildren(...entries.values());
    select(items.some((item) => item.id === selected) ? selected : null);
    settle([...list.children]);
    rove();
    if (counting < items.length) show(entries.get(items[counting - 1].id));
    else if (grew) list.scrollLeft = list.scrollWidth;
    if (focusedAt < 0) return;
    if (!items.length) {
      section.querySelector('[data-action="undo"]').focus();
      return;
    }
    // Keep the keyboard where it was: on the moved item, or on the one that took its place.
    const same = find(focused.dataset.id);
    const next = same || list.children[Math.min(focusedAt, items.length - 1)];
    next.querySelector(".history-face").focus({ preventScroll: true });
  }

  /** Scroll an entry into sight. */
  function show(entry) {
    entry.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function find(id) {
    return entries.get(id);
  }

  function select(id) {
    selected = id;
    for (const child of list.children) child.classList.toggle("selected", child.dataset.id === id);
  }

  function position(id) {
    return items.findIndex((item) => item.id === id);
  }

  list.addEventListener("click", (event) => {
    const entry = event.target.closest("li");
    if (!entry || event.target.closest(".info")) return;
    const id = entry.dataset.id;
    const tool = event.target.closest(".tool");
    if (guest !== null) acts.begin(items[position(id)]);
    else if (!tool) select(selected === id ? null : id);
    else if (tool.dataset.tool === "remove") acts.remove(id);
    else acts.move(id, position(id) + (tool.dataset.tool === "later" ? 1 : -1));
  });

  list.addEventListener("keydown", (event) => {
    const entry = event.target.closest("li");
    if (guest !== null || !entry || !event.target.closest(".history-face")) return;
    const id = entry.dataset.id;
    if (event.shiftKey && event.key === "ArrowLeft") acts.move(id, position(id) - 1);
    else if (event.shiftKey && event.key === "ArrowRight") acts.move(id, position(id) + 1);
    else if (event.key === "Delete" || event.key === "Backspace") acts.remove(id);
    else return;
    event.preventDefault();
  });

  makeDraggable(list, (id, over) =>
    acts.move(id, over === null ? items.length - 1 : position(over)),
  );

  function flash(id) {
    const entry = find(id);
    if (!entry) return;
    show(entry);
    entry.classList.remove("flash");
    void entry.offsetWidth; // restarts the animation
    entry.classList.add("flash");
  }

  /**
   * Show which items push another one up or down, as bars on their covers.
   * @param {Object<string, number>} changes -1 to 1 by item id: its score change if removed
   */
  function mark(changes) {
    for (const [id, entry] of entries) {
      const change = changes[id] ?? 0;
      const push = entry.querySelector(".push");
      push.hidden = change === 0;
      push.style.width = `${Math.abs(change) * 100}%`;
      push.classList.toggle("against", change > 0);
    }
  }

  function focus() {
    const stop = list.querySelector('.history-face[tabindex="0"]');
    (stop ?? section.querySelector('[data-action="undo"]')).focus({ preventScroll: true });
  }

  return { draw, flash, mark, focus };
}
