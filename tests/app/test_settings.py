import logging
import os
from pathlib import Path

import pytest

from app import settings as settings_module
from app.catalog.address import Address
from app.errors import CatalogError
from app.settings import Settings, parse_settings, writable_dir

HOSTS = "postgres://h,i/db"


@pytest.mark.parametrize(
    ("argv", "environ", "files"),
    [
        (["--catalog", "books"], {}, [(None, None)]),
        (["--catalog", "a.db=m"], {}, [("a.db", "m")]),
        (["--catalog", "a.db", "--model", "m"], {}, [("a.db", "m")]),
        (
            ["--catalog", "books", "--catalog", "a.db=m/1", "--catalog", "b.db"],
            {"HLLM_CATALOG": "not.db"},
            [(None, None), ("a.db", "m/1"), ("b.db", None)],
        ),
        ([], {"HLLM_CATALOG": "a.db, books=m,"}, [("a.db", None), (None, "m")]),
        (
            [],
            {"HLLM_CATALOG": f"a.db,{HOSTS}=m"},
            [("a.db", None), (HOSTS, "m")],
        ),
        ([], {"HLLM_CATALOG": ",", "HLLM_MODEL": "m"}, [(None, "m")]),
        (
            ["--model", "m", "--catalog", "a.db", "--catalog=b.db"],
            {},
            [("a.db", "m"), ("b.db", None)],
        ),
    ],
)
def test_several_catalogues_and_their_models(argv, environ, files):
    each = parse_settings(argv, environ).of_each()
    shown = [tuple(path and str(path) for path in (one.catalog, one.model)) for one in each]
    assert shown == files
    assert all(one.others == () for one in each)


def test_what_is_said_of_one_catalogue_is_of_the_first(tmp_path):
    options = ["--left=a", "--right=b", "--model=m", "--embeddings=e", "--baseline=s", "--covers=c"]
    first, other = parse_settings(
        ["--catalog=books", "--catalog=g.db", "--models=runs", "--precision=int8", *options], {}
    ).of_each()
    assert (first.left, first.covers, first.model) == ("a", Path("c"), Path("m"))
    assert (other.left, other.right, other.model) == (None, None, None)
    assert (other.embeddings, other.baseline, other.covers) == (None, None, None)
    assert (other.models, other.precision) == (first.models, first.precision) != ((), None)


def test_files_that_are_named_are_told_with_what_named_them():
    argv = ["--catalog", "a.db", "--model", "m", "--baseline", "b", "--catalog", "c.db=n"]
    found = dict(parse_settings(argv, {}).named_files())
    assert found == {
        "--model": Path("m"), "--baseline": Path("b"), "--catalog c.db=n": Path("n")
    }  # fmt: skip


def test_a_file_whose_name_has_an_equals_sign_is_a_file(tmp_path):
    file = tmp_path / "a=b.db"
    file.touch()
    assert parse_settings([f"--catalog={file}"], {}).catalog == file


@pytest.mark.parametrize(
    ("argv", "environ", "sentence"),
    [
        (["--catalog", "a.db", "--catalog", "a.db=m"], {}, "a.db is given twice"),
        (["--catalog", "books", "--catalog", "books"], {}, "books is given twice"),
        (["--catalog", "a.db="], {}, "must be a catalogue, or CATALOGUE=MODEL"),
        ([], {"HLLM_CATALOG": "=m"}, "HLLM_CATALOG: '=m' must be"),
        (["--catalog", "a.db=m", "--model", "n"], {}, "has two models"),
        ([f"--catalog={n}.db" for n in range(21)], {}, "20 times, not 21"),
    ],
)
def test_catalogues_that_cannot_be_told_apart_are_an_error(argv, environ, sentence, capsys):
    with pytest.raises(SystemExit):
        parse_settings(argv, environ)
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_nothing_said_means_the_built_in_choices():
    assert parse_settings([], {}) == Settings()


def test_command_line_wins_over_environment():
    environ = {"HLLM_CATALOG": "env.db", "HLLM_PORT": "8001", "HLLM_DATA_DIR": "/env"}
    settings = parse_settings(["--catalog", "flag.db"], environ)
    assert settings.catalog == Path("flag.db")
    assert settings.port == 8001
    assert settings.data_dir == Path("/env")


def test_mcp_tools_are_off_unless_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(settings_module, "find_spec", lambda name: name)
    assert not parse_settings([], {}).mcp and not parse_settings([], {"HLLM_MCP": "0"}).mcp
    assert parse_settings(["--mcp"], {}).mcp and parse_settings([], {"HLLM_MCP": "1"}).mcp


@pytest.mark.parametrize(("argv", "environ"), [(["--mcp"], {}), ([], {"HLLM_MCP": "1"})])
def test_mcp_tools_without_their_package_name_what_to_install(argv, environ, monkeypatch, capsys):
    monkeypatch.setattr(settings_module, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        parse_settings(argv, environ)
    assert stopped.value.code == 2
    assert "pip install -r requirements-mcp.txt -c constraints.txt" in capsys.readouterr().err


def test_empty_variable_counts_as_absent():
    assert parse_settings([], {"HLLM_MODEL": ""}).model is None


def test_allowed_hosts_are_names_with_commas_between():
    names = ("a.example", "mybox")
    assert parse_settings(["--allowed-hosts", "A.example, mybox,"], {}).allowed_hosts == names
    assert parse_settings([], {"HLLM_ALLOWED_HOSTS": "a.example,mybox"}).allowed_hosts == names


@pytest.mark.parametrize(
    ("argv", "environ", "message"),
    [
        (["--port", "0"], {}, "between 1 and 65535, not 0"),
        (["--port", "70000"], {}, "not 70000"),
        ([], {"HLLM_PORT": "eighty"}, "error: HLLM_PORT: invalid int value: 'eighty'"),
        (["--embeddings", "e.safetensors"], {}, "give the model's folder with --model"),
        (["--precision", "int3"], {}, "choose from auto, fp32"),
        (["--precision", "fp23"], {}, "--precision fp23 (did you mean fp32?): choose from"),
        (["--catlog", "x"], {}, "(did you mean --catalog, not --catlog?)"),
        ([], {"HLLM_PRECISION": "int3"}, "error: HLLM_PRECISION int3"),
        (["--index", "faiss"], {}, "choose from auto, lancedb"),
        ([], {"HLLM_INDEX": "disk"}, "error: HLLM_INDEX disk"),
        ([], {"HLLM_MCP": "maybe"}, "'maybe' is neither yes nor no"),
        (["--port", "x"], {"HLLM_PORT": "1"}, "error: argument --port: invalid int"),
        (["--no-such-flag"], {}, "unrecognized arguments"),
        (["--allowed-hosts", "a.example,http://b.example"], {}, "'http://b.example' is not"),
        ([], {"HLLM_ALLOWED_HOSTS": "a.example:80"}, "without http://, port and path"),
    ],
)
def test_wrong_options_end_with_code_2_and_a_reason(argv, environ, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse_settings(argv, environ)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_database_that_is_not_installed_is_named_with_its_remedy(capsys, monkeypatch):
    monkeypatch.setattr("app.settings.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        parse_settings(["--index", "lancedb"], {})
    assert "pip install -r requirements-scale.txt" in capsys.readouterr().err
    assert parse_settings(["--index", "auto"], {}).index == "auto"


def test_help_teaches_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse_settings(["--help"], {})
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for name in Settings.__dataclass_fields__.keys() - {"others"}:  # --catalog, once more
        assert "--" + name.replace("_", "-") in text
    assert "python app.py --catalog" in text


def test_chosen_data_dir_is_made(tmp_path):
    folder = writable_dir(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert folder.is_dir()


def test_chosen_data_dir_that_cannot_be_written_is_an_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CatalogError, match="cannot be written; choose another with --data-dir"):
        writable_dir(blocked)


def test_default_data_dir_that_cannot_be_written_is_replaced_and_said(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(settings_module.tempfile, "gettempdir", lambda: str(tmp_path))
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with caplog.at_level(logging.INFO):
        folder = writable_dir(None, default=blocked)
    assert folder == tmp_path / f"hllm-live-{os.getuid()}"
    assert str(folder) in caplog.text


def test_temporary_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(settings_module.tempfile, "tempdir", str(tmp_path))
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    theirs = tmp_path / f"hllm-live-{os.getuid()}"
    theirs.write_text("taken")
    folder = writable_dir(None, default=blocked)
    assert folder != theirs
    assert folder.is_dir()


@pytest.mark.parametrize(("text", "days"), [("0", 0), ("7", 7), (None, 90)])
def test_days_of_events(text, days):
    assert parse_settings([], {"HLLM_EVENTS_DAYS": text} if text else {}).events_days == days


def test_strange_days_of_events_are_refused(capsys):
    with pytest.raises(SystemExit):
        parse_settings(["--events-days=-1"], {})
    assert "--events-days must be between 0 and" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "word", "wanted"),
    [
        ([], "", False),
        (["--metrics"], "", True),
        ([], "yes", True),
        ([], "0", False),
        (["--metrics", "no"], "1", False),
    ],
)
def test_metrics_are_off_until_wanted(argv, word, wanted):
    assert parse_settings(argv, {"HLLM_METRICS": word}).metrics is wanted


def test_word_that_says_neither_yes_nor_no(capsys):
    with pytest.raises(SystemExit):
        parse_settings([], {"HLLM_METRICS": "perhaps"})
    assert "'perhaps' is neither yes nor no" in capsys.readouterr().err


def test_a_catalogue_is_a_file_or_an_address_without_a_password(capsys):
    url = "postgresql://me@db.example.org/games"
    assert parse_settings(["--catalog", url], {}).catalog == Address(url)
    assert parse_settings([], {"HLLM_CATALOG": url}).catalog == Address(url)
    assert parse_settings(["--catalog", "games.db"], {}).catalog == Path("games.db")
    with pytest.raises(SystemExit):
        parse_settings(["--catalog", "postgresql://me:geheim@db/games"], {})
    said = capsys.readouterr().err
    assert "PGPASSFILE" in said and "geheim" not in said
