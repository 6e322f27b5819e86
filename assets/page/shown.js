// Which history the lists on the page are for.

/** @param {function(): Array<{id: string}>} current items of the history in the strip */
export function makeShown(current) {
  const shown = {
    /** @type {string[]} ids of the history */
    ids: [],
    /** Whether both models have answered for the visitor's own history. */
    isStanding: false,
    isCurrent: () =>
      current()
        .map(({ id }) => id)
        .join(" ") === shown.ids.join(" "),
  };
  return shown;
}
