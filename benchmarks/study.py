"""The paper's questions, answered by our own runs: small, but every number is a training run.

    python benchmarks/study.py --games data/games --office data/office [--only scale-depth]

The folders hold the csv pair that `python -m app.ingest export` writes (docs/results.md). Every
point is `python -m hllm.train` and `python -m hllm.evaluate` with the options listed in RUNS; all
users are evaluated, over all items. A killed study is continued: a run that is finished is not
done again, one that is not continues at its last validation. Results: docs/study.json, which
`python benchmarks/study_plots.py` draws; what stands there is not run again (--results elsewhere
begins anew).
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from tqdm import tqdm
from transformers import AutoModel, AutoTokenizer

from hllm.atomic import atomic_text
from hllm.checkpoint import load_user_llm
from hllm.weights.packaged import MINILM, pretrained_folder

ROOT = Path(__file__).resolve().parents[1]
SEED = 2020
SEEDS = (SEED, 2021, 2022)  # where a point is cheap enough to see what chance does
# Scaling: Amazon Games, titles through a frozen MiniLM; the same number of steps for every point.
GAMES = (
    "--item_training frozen --item_pooling mean --item_adapter mlp --item_adapter_hidden_size 1024"
    " --text_keys title --max_text_tokens 64 --max_history 50 --batch_size 256"
    " --num_negatives 2048 --epochs 100 --max_steps 396 --eval_every 132"
)
# Questions about the Item LLM: Amazon Office, a data set small enough to tune it on a CPU.
OFFICE = (
    "--item_pooling mean --item_adapter mlp --item_adapter_hidden_size 512"
    " --text_keys title creator --max_text_tokens 32 --max_history 50 --user_size 128"
    " --epochs 100"
)
FROZEN = f"{OFFICE} --item_training frozen --batch_size 128 --num_negatives 1024 --max_steps 200"
FROZEN += " --eval_every 40"
# Where the Item LLM is tuned, and what is compared with that: small batches, few negatives.
TUNED = f"{OFFICE} --batch_size 32 --num_negatives 128 --max_steps 150 --eval_every 50"
TUNED += " --item_learning_rate 1e-4"
# A model trained on Games (--games-model) gives the widths.
TRANSFER = f"{FROZEN} --user_size 256 --item_adapter_hidden_size 1024"
# A pre-trained decoder as Item LLM: SmolLM2, frozen, cut to its first layers.
SMOLLM2 = f"{FROZEN} --item_llm smollm2-135m"
SMOLLM2_GAMES = f"{GAMES} --user_layers 2 --item_llm smollm2-135m"
# SmolLM2's first layers as User LLM, or random ones of the same shape, behind the same items.
USER = f"{FROZEN} --user_llm smollm2-135m --user_llm_layers 4"
# Pre-trained layers learn from large embeddings only (docs/decisions.md).
USER_PRETRAINED = f"{USER} --item_embedding_rms 6 --user_learning_rate 2e-4"


@dataclass(frozen=True)
class Run:
    """One point of a question.

    Attributes:
        question: what the point is part of.
        label: its value.
        data: games or office.
        options: of hllm.train.
        users: share of the users that are trained on.
        item_layers: MiniLM cut to its first layers; 0 = whole.
        seed: of the run.
    """

    question: str
    label: str
    data: str
    options: str
    users: float = 1.0
    item_layers: int = 0
    seed: int = SEED

    @property
    def name(self) -> str:
        """Folder of the run."""
        name = f"{self.question}-{self.label}".replace(" ", "-")
        return name if self.seed == SEED else f"{name}-seed-{self.seed}"


def _seeds(question: str, label: str, options: str, item_layers: int = 0) -> tuple[Run, ...]:
    """A point on Office, once a seed."""
    return tuple(
        Run(question, label, "office", options, item_layers=item_layers, seed=seed)
        for seed in SEEDS
    )


RUNS = (
    *(Run("scale-data", f"{share:.0%}", "games", GAMES, users=share) for share in (0.1, 0.25, 0.5)),
    Run("scale-data", "100%", "games", f"{GAMES} --user_layers 2"),
    *(Run("scale-depth", str(n), "games", f"{GAMES} --user_layers {n}") for n in (1, 2, 4, 8)),
    *(Run("scale-width", str(n), "games", f"{GAMES} --user_size {n}") for n in (64, 128)),
    Run("scale-width", "256", "games", f"{GAMES} --user_layers 2"),
    Run("scale-width", "512", "games", f"{GAMES} --user_size 512"),
    *(
        run
        for n in (1, 2, 3)
        for run in _seeds("item-size", str(n), f"{FROZEN} --item_llm {{item_llm}}", n)
    ),
    *_seeds("item-size", "6", FROZEN),
    *_seeds("pretrained", "item MiniLM", FROZEN),
    *_seeds("pretrained", "item random", f"{FROZEN} --item_pretrained no"),
    Run("pretrained-games", "item MiniLM", "games", f"{GAMES} --user_layers 2"),
    Run(
        "pretrained-games",
        "item random",
        "games",
        f"{GAMES} --user_layers 2 --item_pretrained no",
    ),
    *_seeds("transfer", "user random", TRANSFER),
    *_seeds("transfer", "user from Games", f"{TRANSFER} --user_llm {{user_llm}}"),
    *_seeds("transfer", "user and adapter from Games", f"{TRANSFER} --start_from {{games_model}}"),
    *_seeds("pooling", "mean frozen", FROZEN),
    *_seeds("pooling", "item_token frozen", f"{FROZEN} --item_pooling item_token"),
    *(
        Run("text-fields", keys, "office", f"{FROZEN} --max_text_tokens 64 --text_keys {keys}")
        for keys in ("title", "title creator", "title creator description")
    ),
    *(
        Run(
            "text-length",
            str(n),
            "office",
            f"{FROZEN} --text_keys title creator description --max_text_tokens {n}",
        )
        for n in (16, 32, 64, 128)
    ),
    *(
        Run("item-tuning", kind, "office", f"{TUNED} --item_training {kind}")
        for kind in ("frozen", "top", "lora", "full")
    ),
    Run(
        "item-tuning",
        "full, from random",
        "office",
        f"{TUNED} --item_training full --item_pretrained no",
    ),
    *(
        run
        for n in (6, 12, 18, 30)
        for run in _seeds("smollm2-depth", str(n), f"{SMOLLM2} --item_llm_layers {n}")
    ),
    *_seeds("smollm2-pretrained", "item SmolLM2", f"{SMOLLM2} --item_llm_layers 30"),
    *_seeds(
        "smollm2-pretrained",
        "item random",
        f"{SMOLLM2} --item_llm_layers 30 --item_pretrained no",
    ),
    *_seeds("smollm2-pooling", "mean", f"{SMOLLM2} --item_llm_layers 30"),
    *_seeds(
        "smollm2-pooling",
        "item_token",
        f"{SMOLLM2} --item_llm_layers 30 --item_pooling item_token",
    ),
    Run("smollm2-user", "pre-trained", "office", USER_PRETRAINED),
    Run("smollm2-user", "pre-trained, LoRA", "office", f"{USER_PRETRAINED} --user_training lora"),
    Run("smollm2-user", "random", "office", f"{USER} --user_pretrained no"),
    Run("smollm2-games", "MiniLM", "games", f"{GAMES} --user_layers 2"),
    Run("smollm2-games", "SmolLM2", "games", SMOLLM2_GAMES),
    Run("smollm2-games", "random", "games", f"{SMOLLM2_GAMES} --item_pretrained no"),
    Run(
        "pooling",
        "item_token lora",
        "office",
        f"{TUNED} --item_training lora --item_pooling item_token",
    ),
)


def some_users(interactions: Path, share: float, output: Path) -> Path:
    """A copy of the interactions of a share of the users, chosen by SEED."""
    table = pd.read_csv(interactions, dtype=str, keep_default_na=False)
    users = table["user_id"].drop_duplicates().sample(frac=share, random_state=SEED)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "interactions.csv"
    table[table["user_id"].isin(set(users))].to_csv(path, index=False)
    return path


def _first_layers(count: int, output: Path) -> Path:
    """A folder with the first layers of the packaged MiniLM."""
    source = pretrained_folder(MINILM)
    model = AutoModel.from_pretrained(source, local_files_only=True)
    model.encoder.layer = model.encoder.layer[:count]
    model.config.num_hidden_layers = count
    model.save_pretrained(output)
    AutoTokenizer.from_pretrained(source, local_files_only=True).save_pretrained(output)
    return output


def _user_llm(model: Path, output: Path) -> Path:
    """A folder with the User LLM of a trained model, as transformers loads it."""
    load_user_llm(model).save_pretrained(output)
    return output


def _program(module: str, options: list[str], log: Path) -> None:
    """Run a command of the project; its output goes to a log."""
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", module, *options],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{module} failed: the last lines of {log} say why")


def execute(run: Run, data: Path, output: Path, games_model: Path) -> dict[str, object]:
    """Train and evaluate one point.

    Args:
        run: the point.
        data: folder with the csv pair.
        output: folder of all runs.
        games_model: folder of the model that "transfer" starts from.

    Returns:
        What docs/study.json keeps of it.
    """
    folder, log = output / run.name, output / f"{run.name}.log"
    interactions = data / "interactions.csv"
    trained_on = interactions
    if run.users < 1:
        trained_on = some_users(interactions, run.users, output / f"{run.name}.data")
    given = {"games_model": games_model}
    if run.item_layers:
        given["item_llm"] = _first_layers(run.item_layers, output / f"minilm-{run.item_layers}")
    if "{user_llm}" in run.options:
        given["user_llm"] = _user_llm(games_model, output / "user-llm")
    options = run.options.format_map(given)
    items = ["--items", str(data / "items.csv")]
    arguments = [*options.split(), "--seed", str(run.seed), "--output", str(folder), *items]
    _program("hllm.train", [*arguments, "--interactions", str(trained_on)], log)
    report = folder / "test.json"
    arguments = ["--model", str(folder), "--output", str(report), *items]
    _program("hllm.evaluate", [*arguments, "--interactions", str(interactions)], log)
    return _summary(run, folder, json.loads(report.read_text(encoding="utf-8")))


def _summary(run: Run, folder: Path, report: dict) -> dict[str, object]:
    (result,) = report["models"].values()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    valid = [line for line in lines if line["kind"] == "valid"]
    train = [line for line in lines if line["kind"] == "train"]
    speeds = sorted(line["sequences_per_s"] for line in train)
    return {
        "question": run.question,
        "label": run.label,
        "data": run.data,
        "options": run.options,
        "users": run.users,
        "seed": run.seed,
        "recall@10": result["metrics"]["recall@10"],
        "ndcg@10": result["metrics"]["ndcg@10"],
        "intervals": result["intervals"],
        "valid_ndcg@10": [[line["step"], line["ndcg@10"]] for line in valid],
        "seconds": round(valid[-1]["seconds"]),
        "sequences_per_s": speeds[len(speeds) // 2],
    }


def _finished(run: Run, points: list[dict]) -> dict | None:
    """The result of a run, also where another question has asked for the very same."""
    for other in RUNS:
        if replace(other, question=run.question, label=run.label) != run:
            continue
        for point in points:
            named = {"question": other.question, "label": other.label, "seed": other.seed}
            if point | named | {"options": other.options} == point:
                return point | {"question": run.question, "label": run.label}
    return None


def _write(path: Path, points: list[dict]) -> None:
    found = [point for run in RUNS if (point := _finished(run, points))]
    text = json.dumps({"points": found}, indent=1)
    with atomic_text(path) as file:
        file.write(text + "\n")


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--games", type=Path, required=True, help="folder with Amazon Games' csvs")
    parser.add_argument("--office", type=Path, required=True, help="the same of Amazon Office")
    parser.add_argument(
        "--games-model",
        type=Path,
        default=Path("runs/games10"),
        help="a model of Games (docs/results.md), for 'transfer'; default: %(default)s",
    )
    parser.add_argument("--output", type=Path, default=Path("runs/study"), help="%(default)s")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "docs/study.json", help="%(default)s"
    )
    parser.add_argument("--only", default="", help="questions, comma-separated; default: all")
    options = parser.parse_args()
    chosen = set(filter(None, options.only.split(",")))
    unknown = chosen - {run.question for run in RUNS}
    if unknown:
        parser.error(f"no question {unknown.pop()!r}: see RUNS in this file")
    runs = [run for run in RUNS if not chosen or run.question in chosen]
    folders = {"games": options.games.resolve(), "office": options.office.resolve()}
    options.output.mkdir(parents=True, exist_ok=True)
    points: list[dict] = []
    machine = f"{platform.platform()}, {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads"
    if options.results.is_file():
        points = json.loads(options.results.read_text(encoding="utf-8"))["points"]
    for run in (bar := tqdm(runs, unit=" runs")):
        bar.set_postfix_str(run.name)
        if _finished(run, points):
            continue
        started = time.strftime("%Y-%m-%d")
        result = execute(
            run, folders[run.data], options.output.resolve(), options.games_model.resolve()
        )
        points.append(result | {"machine": machine, "date": started})
        _write(options.results, points)
        shutil.rmtree(options.output / run.name / "state", ignore_errors=True)
    _write(options.results, points)


if __name__ == "__main__":
    main()
