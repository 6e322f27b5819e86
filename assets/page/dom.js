// Making elements. Text is only ever set as text or as an attribute, never as markup.

export function node(tag, attributes, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function retryButton(action) {
  const attributes = { type: "button", class: "button", "data-action": action };
  return node("button", attributes, ["Try again"]);
}
