"""From files to a page: order and skipping of the steps, errors, and once for real."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import build as build_module
from app.build import main
from app.ingest.__main__ import build_parser
from app.opening import open_service
from app.settings import parse_settings

ROOT = Path(__file__).parents[2]
SHORT = {"text_keys": ["title"], "item_prompt": "", "max_steps": 2, "user_size": 32,
         "batch_size": 8, "num_negatives": 8, "item_adapter_hidden_size": 32}  # fmt: skip


@pytest.fixture
def files(tmp_path):
    items, interactions = tmp_path / "items.csv", tmp_path / "interactions.csv"
    rows = [f"i{n},Item number {n},{'Some words' if n < 2 else ''}" for n in range(24)]
    items.write_text("\n".join(["item_id,title,description", *rows]) + "\n")
    rows = [f"i{(7 * u + t) % 24},u{u},{t}" for u in range(20) for t in range(6)]
    interactions.write_text("\n".join(["item_id,user_id,timestamp", *rows]) + "\n")
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps(SHORT))
    return tmp_path


def arguments(files, *more):
    names = ["--items", files / "items.csv", "--interactions", files / "interactions.csv"]
    return [str(part) for part in [*names, "--output", files / "run", *more]]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--map", "titel=x"], "--map 'titel=x' is not understood"),
        (["--preset", "none.json"], "none.json cannot be read (No such file"),
        (["--preset", __file__], "is not JSON"),
    ],
)
def test_mistakes_are_one_sentence(files, capsys, caplog, more, sentence):
    assert main(arguments(files, *more)) == 2
    errors = capsys.readouterr().err + caplog.text
    assert sentence in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--nosuchoption", "3"], "unrecognized arguments: --nosuchoption 3"),
        (["--format", "hllm", "--map", "title=name"], "unrecognized arguments: --map title=name"),
        (["--format", "amazon2018", "--covers", "x"], "unrecognized arguments: --covers x"),
        (["--catalog", "other.db"], "--catalog is not for the build"),
        (["--catal", "other.db"], "--catalog is not for the build"),
        (["--item", "more.csv"], "write --items and --interactions in full"),
        (["--dry-run"], "--dry-run is the import's alone"),
        (["--k-core", "many"], "argument --k-core: invalid int value"),
    ],
)
def test_options_that_the_import_would_ignore_stop_before_anything_is_made(
    files, capsys, more, sentence
):
    with pytest.raises(SystemExit) as stop:
        main(arguments(files, *more))
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (files / "run").exists()


def test_every_option_of_the_import_reaches_it(files, monkeypatch):
    """The build has a parser of its own; an option that it took for itself would be lost."""
    given = ["--delimiter", ";", "--quote", "'", "--encoding", "cp1252", "--map", "title=name",
             "--map-interactions", "user_id=who", "--covers", str(files), "--list-separator", "|",
             "--k-core", "2", "--replace", "--used-items", "--name", "mine"]  # fmt: skip
    ran = []
    monkeypatch.setattr(build_module, "run_step", lambda step: ran.append(step.command) or 1)
    assert main(arguments(files, *given)) == 1
    found = vars(build_parser().parse_args(ran[0][1:]))
    default = vars(build_parser().parse_args(["table", "--catalog", "x"]))
    assert {name for name in default if found[name] == default[name]} == {"command", "dry_run"}


def test_a_missing_file_stops_before_anything_is_made(files, caplog):
    (files / "items.csv").unlink()
    assert main(arguments(files)) == 2
    assert "items.csv cannot be read" in caplog.text
    assert not (files / "run").exists()


def build(files, *more):
    return subprocess.run(
        [sys.executable, "-m", "app.build", *arguments(files, *more)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_from_files_to_answers(files):
    done = build(files)
    assert done.returncode == 0, done.stderr
    assert "description: filled for 8% of items only: left out" in done.stdout
    assert "| run " in done.stdout and "| MiniLM decay " in done.stdout  # the table
    last = done.stdout.splitlines()[-1].split()
    assert last[:2] == ["python", "app.py"]
    service = open_service(parse_settings(last[2:], {}))
    deadline = time.monotonic() + 120
    while not all(column.is_loaded for column in service.columns):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for column in service.columns:
        assert len(column.ask(["i1"], top_k=5).result.items) == 5
    again = build(files)
    assert again.returncode == 0
    assert again.stdout.count(": done before") == 7
    (files / "items.csv").write_text("item_id,title\nx,y\n")
    other = build(files)
    assert other.returncode == 2
    assert "was made with other items (items.csv)" in other.stderr


@pytest.mark.slow
def test_goes_on_after_a_kill(files):
    more = ["--preset", str(files / "preset.json")]
    process = subprocess.Popen(
        [sys.executable, "-m", "app.build", *arguments(files, *more)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("[4/7] training"):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    done = build(files, *more)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": done before") == 3
    assert json.loads((files / "run" / "train.json").read_text())["max_steps"] == 2
    assert (files / "run" / "results.json").exists()
