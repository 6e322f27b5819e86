// What is asked of a server is asked once more if no answer comes: a server closes connections that
// nobody uses, another one stands in for it, and the question that meets that is lost. Not every
// browser sends a POST again by itself.

const PAUSE_MS = 300;
// Those look after that themselves: an answer may be overtaken, and what is told waits until it is
// stored.
const OWN = ["answer", "record", "judge", "blind"];

/**
 * @param {object} server answers by the names of contract.js; nothing, or an error, where none came
 * @returns {object} the same, of which the other questions are asked twice at most
 */
export function askingOnceMore(server) {
  return new Proxy(server, {
    get: (all, name) => (all[name] && !OWN.includes(name) ? twice(all[name]) : all[name]),
  });
}

const twice = (ask) => async (question) => {
  const found = await ask(question).catch(() => undefined);
  if (found !== undefined) return found;
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  return ask(question);
};
