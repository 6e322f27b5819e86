// Search without a server, by the rules of app/catalog/search.py and search_text.py: all words must
// occur, the last one may be incomplete, case and accents do not count, Chinese, Japanese and Korean
// are found by any part. What an item's words are was written down when the page was exported.
//
// It differs in two ways: the server takes only the 200 most frequent words that begin with a long
// last word, and letters that another script folds in a way of its own may be told apart.

// Kana, Han (with extensions) and Hangul, as in search_text.py.
const CJK =
  "\\u1100-\\u11ff\\u2e80-\\u2fdf\\u3005-\\u3007\\u3040-\\u30ff\\u3130-\\u318f\\u31f0-\\u31ff" +
  "\\u3400-\\u4dbf\\u4e00-\\u9fff\\ua960-\\ua97f\\uac00-\\ud7ff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const IS_CJK = new RegExp(`^[${CJK}]`, "u");
const RUNS = new RegExp(`[${CJK}]+|(?:(?![${CJK}])[\\p{L}\\p{N}])+`, "gu");
const PRIVATE = /[\ue000-\uf8ff\u{f0000}-\u{10ffff}]/gu;

/** Without case, width and accents. */
export function fold(text) {
  const lower = text
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll("\u00df", "ss")
    .replaceAll("\u03c2", "\u03c3") // as Python's casefold: two forms of one letter
    .replace(PRIVATE, " ");
  return Array.from(lower, (char) =>
    char < "\x80" || IS_CJK.test(char) ? char : char.normalize("NFKD").replace(/\p{M}/gu, ""),
  ).join("");
}

/**
 * What was typed, as words that must occur and the beginning of the last one, "" for none.
 * @param {string} search
 * @param {{search: number, words: number, word: number}} limits
 */
export function queryTokens(search, limits) {
  const words = (fold(search.slice(0, limits.search)).match(RUNS) ?? []).slice(0, limits.words);
  const tokens = new Set();
  let prefix = "";
  words.forEach((word, at) => {
    const letters = Array.from(word);
    if (IS_CJK.test(word)) {
      if (letters.length === 1) tokens.add(word);
      for (let start = 0; start + 1 < letters.length; start += 1)
        tokens.add(letters[start] + letters[start + 1]);
    } else if (at === words.length - 1) prefix = letters.slice(0, limits.word).join("");
    else tokens.add(letters.slice(0, limits.word).join(""));
  });
  return { tokens: [...tokens], prefix };
}

/**
 * Whether an item has all words of a search.
 * @param {string} words of the item, blanks between and around them
 * @param {{tokens: string[], prefix: string}} query
 * @param {string} mark before words that stand in title or creator; "": anywhere
 */
export function hasAll(words, query, mark = "") {
  return (
    query.tokens.every((token) => words.includes(` ${mark}${token} `)) &&
    (!query.prefix || words.includes(` ${mark}${query.prefix}`))
  );
}

/**
 * Numbers of the items that a search finds, those with all words in title or creator first where
 * they are ranked by relevance.
 * @param {string[]} words of every item, see hasAll
 * @param {Iterable<number>} order in which they come
 * @param {{tokens: string[], prefix: string}} query
 * @param {string} mark see hasAll
 * @param {boolean} byRelevance
 */
export function found(words, order, query, mark, byRelevance) {
  if (!query.tokens.length && !query.prefix) return []; // nothing but signs was typed
  const all = [...order].filter((number) => hasAll(words[number], query));
  if (!byRelevance) return all;
  const isHeadline = (number) => hasAll(words[number], query, mark);
  return [...all.filter(isHeadline), ...all.filter((number) => !isHeadline(number))];
}
