"""Every command with odd values and damaged files: one sentence and exit code 2, or success."""

import gzip
import importlib
import random
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "assets" / "books" / "model"
NUMBERS = ["", "0", "-1", "3", "1e400", "nan", "9" * 30, "\u0663", "x"]
TEXTS = ["", ",", "title", "no such", "\u00e9\U0001f600", "a" * 5000, "=", "\udcff"]
FILE, FOLDER, NUMBER, TEXT, OUT, FLAG = "file", "folder", "number", "text", "out", "flag"
CSV = {"--delimiter": TEXT, "--quote": TEXT, "--encoding": TEXT}
# Program -> positional arguments, options that are always given, options that may be.
COMMANDS = {
    "hllm.commands.embed": ([], {"--model": FOLDER, "--items": FILE, "--output": OUT}, CSV),
    "hllm.commands.sentence": (
        [], {"--items": FILE, "--output": OUT}, CSV | {"--model": FOLDER, "--text-keys": TEXT},
    ),
    "hllm.commands.exchange": (["import", FILE, OUT], {}, {}),
    "hllm.commands.checkpoint": (
        ["convert", FILE, OUT], {"--item-base": FOLDER, "--text-keys": TEXT},
        {"--shard-gb": NUMBER, "--max-history": NUMBER, "--max-text-tokens": NUMBER},
    ),
    "hllm.commands.recommend": (
        [], {"--model": FOLDER, "--histories": FILE, "--output": OUT},
        CSV | {"--top-k": NUMBER, "--embeddings": FILE},
    ),
    "hllm.commands.evaluate": (
        [], {"--interactions": FILE, "--items": FILE, "--baselines": TEXT},
        CSV | {"--model": FOLDER, "--max-users": NUMBER, "--seed": NUMBER, "--device": TEXT},
    ),
    "hllm.train": (
        [], {"--interactions": FILE, "--items": FILE, "--output": OUT},
        {"--user_heads": NUMBER, "--epochs": NUMBER, "--dropout": NUMBER, "--config": FILE,
         "--model_kind": TEXT, "--item_llm": FOLDER, "--start_from": FOLDER},
    ),
    "app.ingest.__main__": (
        ["table"], {"--catalog": OUT, "--items": FILE},
        CSV | {"--map": TEXT, "--k-core": NUMBER, "--interactions": FILE},
    ),
    "app.books.simulate": ([], {"--output": OUT, "--books": FILE, "--readers": NUMBER}, {}),
}  # fmt: skip


def make_files(folder):
    """Files that are no use to any command, and the name of one that is not there."""
    noise = random.Random(0).randbytes(3000)
    weights = (MODEL / "embeddings.safetensors").read_bytes()
    contents = {
        "empty": b"", "noise.csv": noise, "noise.parquet": b"PAR1" + noise,
        "header.csv": b"item_id,user_id,timestamp\n", "torn.csv.gz": gzip.compress(noise)[:-700],
        "torn.zip": b"PK\x03\x04" + noise[:50], "torn.safetensors": weights[: len(weights) // 2],
        "list.json": b"[1, 2", "odd.json": b'{"user_size": "big", "items": 5}',
        "open.csv": b'item_id,title\n1,"never closed\n', "nul.csv": b"a,b\n\0,\0\n",
    }  # fmt: skip
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    broken = folder / "broken model"
    shutil.copytree(MODEL, broken)
    (broken / "model.safetensors").write_bytes(noise)
    return [folder / name for name in contents], [folder, broken, folder / "list.json"]


def arguments(rng, command, files, folders, out):
    positional, given, possible = COMMANDS[command]
    makers = {
        FILE: lambda: str(rng.choice([*files, *folders, out.parent / "missing"])),
        FOLDER: lambda: str(rng.choice([*folders, *files[:2], out.parent / "missing"])),
        NUMBER: lambda: rng.choice(NUMBERS),
        TEXT: lambda: rng.choice(TEXTS),
        OUT: lambda: str(rng.choice([out, files[0].parent, files[0] / "below a file"])),
    }
    some = rng.sample(sorted(possible), rng.randint(0, min(2, len(possible))))
    argv = [makers[part]() if part in makers else part for part in positional]
    for name, kind in (given | {name: possible[name] for name in some}).items():
        argv += [f"{name}={makers[kind]()}"]
    return argv


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("tries", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_no_odd_value_or_damaged_file_is_a_traceback(command, tries, tmp_path, capsys):
    main = importlib.import_module(command).main
    files, folders = make_files(tmp_path / "files")
    rng = random.Random(f"{command} {tries}")
    for number in range(tries):
        argv = arguments(rng, command, files, folders, tmp_path / f"out {number}")
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code
        except Exception as error:
            raise AssertionError(f"{command} {argv}") from error
        said = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert code == 2, f"{command} {argv}"
        assert said and "Traceback" not in "\n".join(said), f"{command} {argv}: {said}"
