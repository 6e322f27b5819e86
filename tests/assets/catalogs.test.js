import assert from "node:assert/strict";
import { test } from "node:test";
import { installedCatalogs, wantedCatalog } from "../../assets/page/catalogs.js";

const INSTALLED = installedCatalogs("books:aaa games:bbb office.v2:ccc");
const PAGE = "https://x.org/live/";

test("the catalogues that a page is told of", () => {
  assert.deepEqual(INSTALLED[2], { name: "office.v2", key: "ccc" });
  assert.equal(installedCatalogs("books:aaa").length, 1);
});

test("an address names a catalogue; without a name it is the first one", () => {
  const shown = (address) => wantedCatalog(address, INSTALLED);
  assert.deepEqual(shown(PAGE), { name: "books", address: PAGE, lost: "" });
  const games = `${PAGE}?stage&catalog=games#item=1`;
  assert.deepEqual(shown(games), { name: "games", address: games, lost: "" });
});

test("what is not installed is named, and leaves the address", () => {
  for (const wrong of ["gone", "GAMES", "__proto__", "", "books:aaa"])
    assert.deepEqual(wantedCatalog(`${PAGE}?catalog=${wrong}&lang=zh`, INSTALLED), {
      name: "books",
      address: `${PAGE}?lang=zh`,
      lost: wrong,
    });
});

test("a shared history brings its catalogue along, whatever else the address names", () => {
  const link = "#v=1&c=bbb&h=1";
  const found = wantedCatalog(`${PAGE}?catalog=gone${link}`, INSTALLED);
  assert.deepEqual(found, { name: "games", address: `${PAGE}?catalog=games${link}`, lost: "" });
  const first = wantedCatalog(`${PAGE}?catalog=games#v=1&c=aaa&h=1`, INSTALLED);
  assert.deepEqual(first, { name: "books", address: `${PAGE}#v=1&c=aaa&h=1`, lost: "" });
});

test("a link of a catalogue that is not here leaves the page where it is", () => {
  const address = `${PAGE}?catalog=games#v=1&c=zzz&h=1`;
  assert.deepEqual(wantedCatalog(address, INSTALLED), { name: "games", address, lost: "" });
});
