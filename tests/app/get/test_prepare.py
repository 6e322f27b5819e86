"""By name, from nothing to a page: asked, fetched from a real server, made, opened."""

import io
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.errors import CatalogError, DownloadError
from app.get import prepare as prepare_module
from app.get.names import wanted
from app.get.prepare import How, get, prepared
from app.get.registry import open_registry
from app.option_values import Chosen
from app.settings import Settings
from tests.app.get.file_server import serving
from tests.app.get.small_registry import data_files, model_files, registry_text

ROOT = Path(__file__).parents[3]
GAMES, SMALL = Path("amazon-games-2023"), Path("hllm-small")


def get_games(library, server, **how):
    registry = open_registry()
    found = wanted(GAMES, None, library, registry)
    get(found, (), library, registry, How(mirror=server.url, **how))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_nothing_is_asked_of_the_network_without_a_yes(data_server, library, monkeypatch, capsys):
    for stdin in (
        io.StringIO("y\n"),
        Terminal("n\n"),
        Terminal("\n"),
        Terminal(""),
        Terminal("what\n"),
    ):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(DownloadError, match="Nothing was downloaded"):
            get_games(library, data_server)
    assert data_server.asked == []
    said = capsys.readouterr().out
    assert "https://data.example/meta/Small_Games.gz" in said
    assert "licence none stated; see https://data.example/about" in said
    assert "not confirmed: checksum of the items" in said


@pytest.mark.parametrize("how", [{"yes": True}, {}])
def test_with_a_yes_it_is_fetched_and_imported_and_not_asked_again(
    data_server, library, monkeypatch, capsys, how
):
    monkeypatch.setattr(sys, "stdin", Terminal("" if how else "Yes\n"))
    get_games(library, data_server, **how)
    assert library.catalog(str(GAMES)).exists() and len(data_server.asked) == 2
    capsys.readouterr()
    get_games(library, data_server)
    assert capsys.readouterr().out == "" and len(data_server.asked) == 2
    get_games(library, data_server, yes=True, splits=True)
    assert len(data_server.asked) == 5


def test_a_disk_without_room_is_said_before_anything_is_asked(data_server, library, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 10**6))
    with pytest.raises(DownloadError, match="There is not enough disk"):
        get_games(library, data_server, yes=True)
    assert data_server.asked == []


def test_a_mistake_beside_a_name_is_said_before_anything_is_asked(data_server, tmp_path, capsys):
    gone = tmp_path / "gone"
    for settings in (
        Settings(catalog=GAMES, others=(Chosen(gone),)),
        Settings(catalog=GAMES, model=gone),
        Settings(catalog=GAMES, baseline=gone),
        Settings(others=(Chosen(GAMES, gone),)),
    ):
        with pytest.raises(DownloadError, match=f"no {gone}: check --"):
            prepared(settings)
    assert data_server.asked == [] and capsys.readouterr().out == ""


def test_a_name_that_may_be_misspelt_is_refused_beside_any_others():
    for settings, sentence in (
        (Settings(catalog=Path("Amazon Games 2023")), "mean amazon-games-2023.*check --catalog"),
        (Settings(others=(Chosen(Path("bookss")),)), r"mean books or hllm-books\?"),
        (Settings(model=Path("hllm-1b-boks")), r"mean hllm-1b-books, hllm-7b-books or .*--model"),
    ):
        with pytest.raises(CatalogError, match=sentence):
            prepared(settings)


def test_settings_without_names_import_no_network(monkeypatch):
    settings = Settings(catalog=Path("some.db"))
    monkeypatch.setattr(prepare_module, "get", None)  # would fail if it were called
    assert prepared(settings) == settings


def test_app_py_asks_before_it_downloads_what_its_options_name(tmp_path):
    """The real registry, no terminal: it says what it would take, and ends."""
    done = subprocess.run(
        [sys.executable, "app.py", "--catalog", GAMES, "--model", "hllm-1b-books",
         "--data-dir", tmp_path],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "meta_Video_Games.jsonl.gz" in done.stdout and "Together: 8.9 GB" in done.stdout
    assert "Nothing was downloaded: to go on" in done.stderr
    assert not list(tmp_path.rglob("*.download"))


@pytest.mark.slow
def test_from_two_names_to_a_page(use_registry, tmp_path, library, monkeypatch, caplog):
    """The command app.get, then what app.py does with the same names, without a network."""
    from app.get.__main__ import main
    from app.opening import open_service
    from tests.served import page_of, served

    (tmp_path / "tokenizer").mkdir()
    files = data_files() | model_files(tmp_path / "tokenizer")
    use_registry(registry_text(files))
    arguments = [str(GAMES), str(SMALL), "--yes", "--data-dir", str(tmp_path / "data")]
    with serving(files) as server:
        server.drops["/models.example/small/pytorch_model.bin"] = [50_000]
        assert main([*arguments, "--mirror", server.url]) == 0, caplog.text
        assert len(server.asked) == 7  # two of data, three of the base, the weights twice
    assert main(arguments) == 0  # nothing is left to ask for
    settings = prepared(Settings(catalog=GAMES, model=SMALL, data_dir=tmp_path / "data"))
    service = open_service(settings)
    for column in service.columns:
        column.load_or_raise()
    assert service.num_items == 24
    result = service.columns[0].ask(["B001"], top_k=3).result
    assert len({item.item_id for item in result.items} - {"B001"}) == 3
    with served(page_of(service, settings)) as (_, address), urlopen(address) as page:
        assert "Amazon Reviews 2023, Small Games" in page.read().decode()


@pytest.mark.slow
def test_a_language_model_is_checked_before_it_is_offered(use_registry, tmp_path, library, caplog):
    from safetensors.torch import save_file

    from app.get.__main__ import main
    from tests.hllm.published.reference_states import LLAMA, make_state

    (tmp_path / "tokenizer").mkdir()
    state = make_state(LLAMA, LLAMA)
    names = [name for name in state if name.startswith("item_llm.")]
    save_file({n.removeprefix("item_llm."): state[n] for n in names}, tmp_path / "w")
    files = data_files() | model_files(tmp_path / "tokenizer")
    files["/models.example/llama/model.safetensors"] = (tmp_path / "w").read_bytes()
    weights = 'weights = [{ url = "https://models.example/llama/model.safetensors", mb = 1 }]\n'
    use_registry(registry_text(files) + weights)
    arguments = ["llama-small", "--yes", "--data-dir", str(tmp_path / "data")]
    with serving(files) as server:
        assert main([*arguments, "--mirror", server.url]) == 0, caplog.text
    config = library.home("llama-small") / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"evil"'))
    assert main(arguments) == 2
    assert "evil" in caplog.text
