"""The registry of the project is whole, and slips of the pen in any are found."""

from urllib.parse import quote

import pytest

from app.errors import CatalogError
from app.get.registry import FORMATS, Remote, open_registry
from app.ingest.__main__ import build_parser
from app.ingest.formats import FORMATS as IMPORTED
from hllm.published.sources import PUBLISHED
from tests.app.get.small_registry import data_files, registry_text


def test_the_projects_registry_has_all_that_is_promised():
    registry = open_registry()
    names = set(registry.data)
    assert {"amazon-books-2014", "amazon-games-2018", "amazon-games-2023", "hllm-books"} <= names
    assert {f"pixelrec-{size}" for size in ("50k", "200k", "1m", "8m")} <= names
    assert {model.preset for model in registry.models.values() if model.preset} == set(PUBLISHED)
    assert {"smollm2-135m-base", "tinyllama-1.1b", "qwen3-0.6b", "baichuan2-7b"} <= set(
        registry.models
    )
    assert not names & set(registry.models)


def test_every_entry_can_be_imported_and_says_where_it_is_from():
    registry = open_registry()
    assert set(FORMATS) <= set(IMPORTED)
    for data in registry.data.values():
        options = build_parser().parse_args(
            [data.format, "--catalog", "c", "--items", "i", "--interactions", "x", *data.options]
        )
        assert options.command == data.format
        assert bool(data.by_hand) != bool(data.items and data.interactions), data.name
        assert (
            data.by_hand.count("{items}")
            == data.by_hand.count("{interactions}")
            == bool(data.by_hand)
        )
    for entry in (*registry.data.values(), *registry.models.values()):
        assert entry.title and entry.licence and entry.page.startswith("https://")
    unsure = [e for e in registry.models.values() if any(not f.sha256 for f in e.files + e.weights)]
    assert all("checksum" in " ".join(entry.unconfirmed) for entry in unsure)


def test_every_file_has_an_address_of_https_and_a_plausible_size():
    registry = open_registry()
    remotes = [
        remote
        for data in registry.data.values()
        for remote in (data.items, data.interactions, *data.splits)
        if remote
    ]
    remotes += [f for model in registry.models.values() for f in (*model.files, *model.weights)]
    assert len(remotes) > 200
    for remote in remotes:
        assert remote.url.startswith("https://") and remote.file_name, remote
        assert 100 <= remote.size <= 200 * 10**9, remote
    for data in registry.data.values():
        assert 1 <= data.kept <= data.num_items <= 10**8, data.name
        assert data.num_interactions <= 10**9, data.name
    names = [*registry.data, *registry.models]
    assert len(names) == len(set(names)) and all(quote(name) == name for name in names)


def test_models_on_the_hub_are_pinned_to_a_revision():
    for model in open_registry().models.values():
        for remote in (*model.files, *model.weights):
            revision = remote.url.split("/resolve/")[1].split("/")[0]
            assert len(revision) == 40 and set(revision) <= set("0123456789abcdef"), remote.url


def test_a_file_may_have_as_many_bytes_as_the_registry_allows():
    assert Remote(url="https://x/y", size=7, is_exact=True).most_bytes == 7
    assert Remote(url="https://x/y", size=10**9).most_bytes == 4 * 10**9 + 64 * 10**6


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("licence =", "license =", "data.small-amazon.license is not known"),
        ('"amazon2023"', '"amazon2099"', "data.small-amazon.format must be one of"),
        ("https://data.example/meta", "http://data.example/meta", "must be an address"),
        ("https://data.example/meta", "https://me@data.example/meta", "must be an address"),
        ("https://data.example/meta", "file:///etc", "must be an address"),
        ('"Small_Games.gz"', '"../x"', "members.games.file must be the name of a file"),
        ("items = 30", "items = 0", "members.games.items must be a whole number"),
        ('name = "hand-{name}"', 'name = "Hand {name}"', "is no name"),
        ("llama/config.json", "llama/..", "names no file"),
        ('base = "llama-small"', 'base = "other"', "starts from other, which is not in it"),
        ("[data.hand]", "[datasets.hand]", "datasets is not known"),
        ('licence = "none stated"\nformat = "hllm"', 'format = "hllm"', "licence is missing"),
        ("[data.hand]", "[data.hand", "is not TOML"),
    ],
)
def test_slips_of_the_pen_are_found(use_registry, before, after, sentence):
    text = registry_text(data_files())
    assert before in text
    with pytest.raises(CatalogError, match=sentence.replace(".", r"\.")):
        open_registry(use_registry(text.replace(before, after)))
