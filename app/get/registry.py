"""What assets/registry.toml says: the data sets and models that are known by name.

It is read as a closed list of keys, so that a slip of the pen is found when it is opened, not when
something is downloaded.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.errors import CatalogError
from app.settings import ROOT
from hllm.errors import did_you_mean
from hllm.published.sources import PUBLISHED
from hllm.schema.rules import Rule, choice, integer, items, text

FILE = ROOT / "assets" / "registry.toml"
FORMATS = ("amazon2014", "amazon2018", "amazon2023", "hllm", "pixelrec")
DTYPES = ("bfloat16", "float32", "nf4")
SLACK, SLACK_BYTES = 4, 64 * 10**6  # how far an approximate size may be off
FEWEST_PART = 100  # of an estimated size
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,60}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SAFE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file at an address.

    Attributes:
        url: begins with https://.
        size: bytes, exactly if is_exact.
        sha256: 64 hex digits; "": learned at the first download.
    """

    url: str
    size: int
    is_exact: bool = False
    sha256: str = ""

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return urlsplit(self.url).path.rpartition("/")[2]

    @property
    def fewest_bytes(self) -> int:
        """With fewer it is something else, such as the page of a Wi-Fi's login."""
        return self.size if self.is_exact else max(0, self.size - SLACK_BYTES) // FEWEST_PART

    @property
    def most_bytes(self) -> int:
        """What the file may have at most."""
        return self.size if self.is_exact else SLACK * self.size + SLACK_BYTES


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set that becomes a catalogue.

    Attributes:
        format: of app.ingest.
        options: further ones of the import.
        text_keys: what a model may read.
        items, interactions: its two files; None if they are got by hand.
        splits: the published split, as three files: training, validation, test.
        num_items, num_interactions: in the files.
        kept: items that have interactions after the import; an estimate where nobody has counted.
        by_hand: where a person gets it, if not from an address.
        unconfirmed: what is not known for certain.
    """

    name: str
    title: str
    page: str
    licence: str
    format: str
    options: tuple[str, ...]
    text_keys: tuple[str, ...]
    items: Remote | None
    interactions: Remote | None
    splits: tuple[Remote, ...]
    num_items: int
    num_interactions: int
    kept: int
    by_hand: str
    unconfirmed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A published HLLM, or a language model to train with.

    Attributes:
        files: small ones: config.json, tokenizer.
        weights: the large ones; none of a model that is only a base.
        preset: of hllm.published.sources; "" of a language model.
        base: name of the language model that both language models of an HLLM started from.
        dtype: of the converted weights.
        parameters: of one language model.
        unconfirmed: what is not known for certain.
    """

    name: str
    title: str
    page: str
    licence: str
    files: tuple[Remote, ...]
    weights: tuple[Remote, ...]
    preset: str
    base: str
    dtype: str
    parameters: int
    unconfirmed: tuple[str, ...]


@dataclass(frozen=True)
class Registry:
    """All that is known by name."""

    data: Mapping[str, DataSet]
    models: Mapping[str, Model]


_URL = Rule("an address that begins with https://", lambda v: _is_address(v))
_COUNT = integer(1, 10**12)
_MEGABYTES = integer(1, 10**7)
_HASH = Rule("64 hex digits", lambda v: type(v) is str and bool(_SHA256.fullmatch(v)))
_REMOTE = {"url": _URL, "mb": _MEGABYTES, "bytes": _COUNT, "sha256": _HASH}
_TABLES = Rule(
    "tables", lambda v: type(v) is dict and all(type(table) is dict for table in v.values())
)
_COMMON = {
    "title": text(300),
    "page": _URL,
    "licence": text(300),
    "unconfirmed": items(text(300), 0, 20),
}
_FAMILY = _COMMON | {
    "name": text(100),
    "format": choice(*FORMATS),
    "options": items(text(100), 0, 20),
    "text_keys": items(text(100), 1, 20),
    "items": _URL,
    "interactions": _URL,
    "splits": items(_URL, 3, 3),
    "by_hand": text(1000),
    "members": _TABLES,
}
_MEMBER = {
    "file": Rule("the name of a file", lambda v: type(v) is str and bool(_SAFE_FILE.fullmatch(v))),
    "items": _COUNT,
    "interactions": _COUNT,
    "kept": _COUNT,
    "items_mb": _MEGABYTES,
    "interactions_mb": _MEGABYTES,
    "items_sha256": _HASH,
    "sha256": _HASH,
}
_NEEDED = ("title", "page", "licence")
_NEEDED_OF_MEMBER = ("file", "items", "interactions", "items_mb", "interactions_mb")
_FILES = Rule("a list of tables", lambda v: type(v) is list and all(type(x) is dict for x in v))
_MODEL = _COMMON | {
    "preset": choice(*PUBLISHED),
    "base": text(100),
    "dtype": choice(*DTYPES),
    "parameters": _COUNT,
    "files": _FILES,
    "weights": _FILES,
}
_KEPT = 0.2  # of the items of a raw data set have interactions after a 5-core: a rough guess


@cache
def open_registry(path: Path | None = None) -> Registry:
    """Read a registry.

    Args:
        path: None for the project's own.

    Raises:
        CatalogError: a key or a value is not what this module allows; names it.
    """
    path = path or FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path} is not TOML ({error}): correct it.") from error
    reader = _Reader(path)
    reader.check(values, {"data": _TABLES, "models": _TABLES}, "")
    data = [
        one for key, family in values.get("data", {}).items() for one in reader.family(key, family)
    ]
    models = [reader.model(key, model) for key, model in values.get("models", {}).items()]
    found = Registry({one.name: one for one in data}, {one.name: one for one in models})
    for one in models:
        if one.base and one.base not in found.models:
            raise CatalogError(f"{path}: {one.name} starts from {one.base}, which is not in it.")
    return found


def _is_address(value: Any) -> bool:
    # Of a family the name of the file is still to be filled in.
    return type(value) is str and len(value) <= 500 and _is_https(value.replace("{file}", "x"))


def _is_https(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname) and not parts.username


class _Reader:
    """Turns the tables of one file into entries."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(
        self,
        values: Mapping[str, Any],
        rules: Mapping[str, Rule],
        place: str,
        needed: Collection[str] = (),
    ) -> None:
        """Refuse a key or a value that no rule allows, and a table that lacks one."""
        for key, value in values.items():
            if key not in rules:
                raise CatalogError(
                    f"{self._path}: {place}{key} is not known{did_you_mean(key, rules)}: choose "
                    f"from {', '.join(rules)}."
                )
            if not rules[key].accepts(value):
                raise CatalogError(f"{self._path}: {place}{key} must be {rules[key].allowed}.")
        for key in needed:
            if key not in values:
                raise CatalogError(f"{self._path}: {place}{key} is missing.")

    def family(self, key: str, values: Mapping[str, Any]) -> Iterator[DataSet]:
        place = f"data.{key}."
        files = ("by_hand",) if "by_hand" in values else ("items", "interactions")
        self.check(
            values, _FAMILY, place, (*_NEEDED, "name", "format", "text_keys", "members", *files)
        )
        for name, member in values["members"].items():
            self.check(member, _MEMBER, f"{place}members.{name}.", _NEEDED_OF_MEMBER)
            yield self._data_set(values, name, member)

    def _data_set(self, family: Mapping[str, Any], name: str, member: Mapping[str, Any]) -> DataSet:
        file = member["file"]

        def fill(text: str) -> str:
            return text.replace("{file}", file)

        name = self._name(family["name"].replace("{name}", name))
        by_hand = family.get("by_hand", "")
        sizes = {kind: member[f"{kind}_mb"] * 10**6 for kind in ("items", "interactions")}
        sums = {"items": member.get("items_sha256", ""), "interactions": member.get("sha256", "")}
        remotes = {
            kind: Remote(url=fill(family[kind]), size=sizes[kind], sha256=sums[kind])
            for kind in sizes
            if not by_hand
        }
        share = 1.0 if by_hand else _KEPT
        return DataSet(
            name=name,
            title=family["title"].replace("{file}", file.replace("_", " ")),
            page=family["page"],
            licence=family["licence"],
            format=family["format"],
            options=tuple(family.get("options", ())),
            text_keys=tuple(family["text_keys"]),
            items=remotes.get("items"),
            interactions=remotes.get("interactions"),
            splits=tuple(
                Remote(url=fill(url), size=sizes["interactions"])
                for url in family.get("splits", ())
            ),
            num_items=member["items"],
            num_interactions=member["interactions"],
            kept=member.get("kept", int(member["items"] * share)),
            by_hand=fill(by_hand).replace("{page}", family["page"]),
            unconfirmed=tuple(family.get("unconfirmed", ())),
        )

    def model(self, key: str, values: Mapping[str, Any]) -> Model:
        place = f"models.{key}."
        self.check(values, _MODEL, place, (*_NEEDED, "parameters"))
        if ("preset" in values) != ("base" in values):
            raise CatalogError(f"{self._path}: {place}preset and base belong together.")
        kinds = {kind: tuple(self._remotes(values, kind, place)) for kind in ("files", "weights")}
        return Model(
            name=self._name(key),
            title=values["title"],
            page=values["page"],
            licence=values["licence"],
            files=kinds["files"],
            weights=kinds["weights"],
            preset=values.get("preset", ""),
            base=values.get("base", ""),
            dtype=values.get("dtype", DTYPES[0]),
            parameters=values["parameters"],
            unconfirmed=tuple(values.get("unconfirmed", ())),
        )

    def _remotes(self, values: Mapping[str, Any], kind: str, place: str) -> Iterator[Remote]:
        for number, table in enumerate(values.get(kind, ())):
            size = "bytes" if "bytes" in table else "mb"
            self.check(table, _REMOTE, f"{place}{kind}[{number}].", ("url", size))
            remote = Remote(
                url=table["url"],
                size=table.get("bytes") or table["mb"] * 10**6,
                is_exact="bytes" in table,
                sha256=table.get("sha256", ""),
            )
            if not _SAFE_FILE.fullmatch(remote.file_name):
                raise CatalogError(f"{self._path}: {place}{kind}: {remote.url} names no file.")
            yield remote

    def _name(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise CatalogError(
                f"{self._path}: {name!r} is no name: small letters, digits, dots and hyphens."
            )
        return name
