import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromHalves, readJoined, readJson, unpacked } from "../../assets/page/static_files.js";
import {
  best,
  decayed,
  products,
  rankOf,
  reranked,
  unitRows,
} from "../../assets/page/static_math.js";
import { changes, openBaseline, standing } from "../../assets/page/static_models.js";
import { amountOf, escaped, filled, linkPart, priceText } from "../../assets/page/static_render.js";
import { fold, found, queryTokens } from "../../assets/page/static_search.js";

const LIMITS = { search: 200, words: 12, word: 40 };
const bytes = (...values) => new Uint8Array(values).buffer;

test("half precision is read as it is written", () => {
  const bits = [0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x3555, 0x7c00, 0x8000];
  const values = [0, 1, -2, 65504, 2 ** -24, 0.333251953125, Number.POSITIVE_INFINITY, -0];
  assert.deepEqual([...fromHalves(Uint16Array.from(bits))], values);
  assert.ok(Number.isNaN(fromHalves(Uint16Array.of(0x7e00))[0]));
});

test("a host may have unpacked a file already", async () => {
  const text = JSON.stringify({ a: "\u00e9mile" });
  for (const contents of [gzipSync(text), Buffer.from(text)]) {
    const buffer = contents.buffer.slice(
      contents.byteOffset,
      contents.byteOffset + contents.length,
    );
    assert.deepEqual(await readJson(async () => buffer, "x"), { a: "\u00e9mile" });
  }
  await assert.rejects(unpacked(bytes(0x1f, 0x8b, 1, 2)));
});

test("pieces come together in order", async () => {
  const parts = { a: bytes(1, 2), b: bytes(3) };
  const joined = await readJoined(async (name) => parts[name], ["a", "b"]);
  assert.deepEqual([...new Uint8Array(joined)], [1, 2, 3]);
});

test("case, width and accents do not count", () => {
  assert.equal(fold("\u00c9mile \uff21 Stra\u00dfe \u03c3\u03c2"), "emile a strasse \u03c3\u03c3");
  assert.equal(fold("\u304c\uac00"), "\u304c\uac00");
});

test("the last word may be incomplete, characters of CJK become pairs", () => {
  assert.deepEqual(queryTokens("The ring", LIMITS), { tokens: ["the"], prefix: "ring" });
  assert.deepEqual(queryTokens("a_b  \u4e09\u4f53\u554f", LIMITS), {
    tokens: ["a", "b", "\u4e09\u4f53", "\u4f53\u554f"],
    prefix: "",
  });
  assert.deepEqual(queryTokens("\u4e09", LIMITS), { tokens: ["\u4e09"], prefix: "" });
  assert.deepEqual(queryTokens("...", LIMITS), { tokens: [], prefix: "" });
  assert.equal(queryTokens("x ".repeat(50), LIMITS).prefix, "x");
});

test("items with all words in the headline come first", () => {
  const words = [" the dune sea !sea ", " dune the !dune !the ", " other "];
  const query = queryTokens("the dun", LIMITS);
  assert.deepEqual(found(words, [0, 1, 2], query, "!", true), [1, 0]);
  assert.deepEqual(found(words, [2, 0, 1], query, "!", false), [0, 1]);
  assert.deepEqual(found(words, [0, 1, 2], queryTokens("!", LIMITS), "!", true), []);
});

test("texts are escaped as Python escapes them", () => {
  assert.equal(escaped(`<a href="x">&'`), "&lt;a href=&quot;x&quot;&gt;&amp;&#x27;");
  const html = filled("<p>\u27e6title\u27e7</p>\u27e6=rows\u27e7", { title: "$&<", rows: "<b>$1" });
  assert.equal(html, "<p>$&amp;&lt;</p><b>$1");
  assert.throws(() => filled("\u27e6title\u27e7", {}), /gap title/);
  assert.equal(linkPart("a/b 'c'(*)!\u00e9~"), "a%2Fb%20%27c%27%28%2A%29%21%C3%A9~");
  assert.deepEqual([amountOf(1, "item"), amountOf(1024, "item")], ["1 item", "1,024 items"]);
  assert.deepEqual([5, 12.5, 1234].map(priceText), ["5", "12.50", "1,234"]);
});

test("the best rows, without those of the history", () => {
  const scores = Float32Array.of(0.5, 0.9, 0.5, Number.NaN, 0.7, 0.1);
  const rows = (found) => found.map(({ row }) => row);
  assert.deepEqual(rows(best(scores, 3, new Set([1]))), [4, 0, 2]);
  assert.deepEqual(rows(best(scores, 9, new Set(), [0, 2, 5])), [0, 2, 5]);
  assert.equal(rankOf(scores, 2, new Set([1])), 3);
});

test("a list is chosen for diversity and against popularity", () => {
  const candidates = [0.9, 0.8, 0.7].map((score, row) => ({ row, score }));
  const vectors = [Float32Array.of(1, 0), Float32Array.of(1, 0), Float32Array.of(0, 1)];
  const chosen = (diversity, lessPopular) =>
    reranked(
      candidates,
      (row) => vectors[row],
      3,
      { diversity, lessPopular },
      (row) => [1, 0, 0][row],
    ).map(({ row }) => row);
  assert.deepEqual(chosen(0, 0), [0, 1, 2]);
  assert.deepEqual(chosen(0.9, 0), [0, 2, 1]);
  assert.deepEqual(chosen(0, 1), [1, 0, 2]);
});

test("the baseline takes the weighted mean of the history", async () => {
  const halves = Uint16Array.of(0x3c00, 0, 0, 0x3c00, 0x3c00, 0x3c00); // (1, 0), (0, 1), (1, 1)
  const data = { width: 2, decay: 0.5, vectors: { files: ["v"], type: "float16" } };
  const model = await openBaseline(async () => halves.buffer, data);
  const { scores } = await model.scores([0, 1]);
  const length = Math.hypot(0.5, 1);
  assert.deepEqual(
    [...scores].map((score) => score.toFixed(5)),
    [0.5 / length, 1 / length, 1.5 / length / Math.SQRT2].map((score) => score.toFixed(5)),
  );
  assert.deepEqual((await standing(model, [0, 1], 2)).rank, 1);
  const [withoutFirst, withoutSecond] = await changes(model, [0, 1], [2]);
  assert.ok(withoutFirst[0] < 0 && withoutSecond[0] < 0);
  const rows = unitRows(Float32Array.of(3, 4, 0, 2), 2);
  assert.deepEqual([...decayed(rows, 2, [0, 1], 0)], [0, 1]);
  assert.ok(Math.abs(products(rows, 2, [1, 1])[0] - 1.4) < 1e-6);
});
