// Making elements. Text is only ever set as text or as an attribute, never as markup.

import { tr } from "./language.js";

export function node(tag, attributes, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Set attributes that are not so yet: even an equal one makes the browser work. */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes))
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function retryButton(action) {
  const attributes = { type: "button", class: "button", "data-action": action };
  return node("button", attributes, [tr("Try again")]);
}
