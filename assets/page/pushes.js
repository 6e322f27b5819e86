// What an item of the history pushes: rows of the lists that would fall without it are marked while
// the pointer or the keyboard is on it.

const DELAY_MS = 120;

/**
 * @param {Element} strip
 * @param {object} page
 * @param {function(import("./contract.js").PushesQuery):
 *   Promise<import("./contract.js").PushesPayload>} page.fetch
 * @param {function(): ?import("./contract.js").PushesQuery} page.query history and rows that are shown;
 *   null while they are not those of the strip
 * @param {function(?Object<string, Object<string, number>>, string): void} page.mark shows rows by
 *   column, and the title of the item; null: none
 */
export function makePushes(strip, page) {
  let timer = 0;
  let version = 0;
  let known = { key: "", answer: null }; // of one history

  function leave() {
    clearTimeout(timer);
    version += 1;
    page.mark(null, "");
  }

  function enter(entry) {
    leave();
    const mine = version;
    timer = setTimeout(async () => {
      const query = page.query();
      if (query === null || query.history.length < 2) return;
      const key = JSON.stringify(query);
      if (known.key !== key) known = { key, answer: page.fetch(query) };
      const { answer } = known;
      try {
        const { pushes } = await answer;
        if (mine !== version || !entry.isConnected) return;
        const { id } = entry.dataset;
        const rows = Object.entries(pushes).map(([column, items]) => [column, items[id] ?? {}]);
        const title = entry.querySelector(".history-title").textContent;
        if (rows.length) page.mark(Object.fromEntries(rows), title);
      } catch {
        known = { key: "", answer: null }; // asked again next time
      }
    }, DELAY_MS);
  }

  const entryOf = (target) => target.closest?.(".history li");
  strip.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse") return;
    const entry = entryOf(event.target);
    if (entry && !entry.contains(event.relatedTarget)) enter(entry);
  });
  strip.addEventListener("pointerout", (event) => {
    const entry = entryOf(event.target);
    if (event.pointerType === "mouse" && entry && !entry.contains(event.relatedTarget)) leave();
  });
  strip.addEventListener("focusin", (event) => {
    const entry = entryOf(event.target);
    if (entry && event.target.matches(":focus-visible")) enter(entry);
  });
  strip.addEventListener("focusout", (event) => {
    if (entryOf(event.target)) leave();
  });

  return { leave };
}
