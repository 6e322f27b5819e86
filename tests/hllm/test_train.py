"""Training: it learns, resumes exactly, equals itself, and says what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hllm import evaluate
from hllm.checkpoint import load_model
from hllm.embed import encode_catalog
from hllm.errors import CheckpointError, DataError
from hllm.recommend import load_hllm
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.train import Trainer, main, parse_options

ROOT = Path(__file__).parents[2]
NUM_ITEMS = 24


@pytest.fixture(scope="module")
def data(tmp_path_factory, tokenizer, _tiny):
    """Readers who walk along a ring of items, and a tiny random Llama as Item LLM."""
    folder = tmp_path_factory.mktemp("data")
    _tiny.item_llm.save_pretrained(folder / "item_llm")
    tokenizer.save_pretrained(folder / "item_llm")
    titles = [f"{chr(97 + n) * 3} {n * 7919 % 997}" for n in range(NUM_ITEMS)]
    rows = "".join(f"i{n},{title}\n" for n, title in enumerate(titles))
    (folder / "items.csv").write_text(f"item_id,title\n{rows}")
    rng = np.random.default_rng(0)
    lines = ["item_id,user_id,timestamp"]
    for user in range(120):
        start, length = rng.integers(NUM_ITEMS), rng.integers(5, 14)
        lines += [f"i{(start + step) % NUM_ITEMS},u{user},{step}" for step in range(length)]
    (folder / "interactions.csv").write_text("\n".join(lines) + "\n")
    return folder


def options(data, output, **changes):
    values = {
        "interactions": data / "interactions.csv",
        "items": data / "items.csv",
        "item_llm": data / "item_llm",
        "output": output,
        "text_keys": ["title"],
        "item_prompt": "",  # short texts: the tests' Item LLM reads bytes
        "user_size": 16,
        "user_layers": 1,
        "user_heads": 2,
        "item_adapter_hidden_size": 32,
        "epochs": 2,
        "batch_size": 16,
        "num_negatives": 16,
        "max_history": 8,
        "learning_rate": 0.01,
    } | changes
    argv = []
    for name, value in values.items():
        argv += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return argv


def train(argv):
    trainer = Trainer(*parse_options(argv))
    return trainer, trainer.run()


def losses(output):
    records = map(json.loads, (output / "log.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["kind"] == "train"]


def evaluated(data, run):
    """Validation ndcg@10 of the saved model by the command that users give."""
    report = run / "report.json"
    argv = ["--interactions", data / "interactions.csv", "--items", data / "items.csv"]
    argv += ["--model", run, "--phase", "valid", "--output", report]
    assert evaluate.main([str(part) for part in argv]) == 0
    return json.loads(report.read_text())["models"]["run"]["metrics"]["ndcg@10"]


KINDS = ["sasrec", "hstu", "id-llama"]
LEARNS = {"dropout": 0, "epochs": 6, "eval_every": 48}


@pytest.mark.parametrize("item_training", ["frozen", "lora", "full"])
def test_learns_the_ring_and_serves_what_it_learnt(data, tmp_path, item_training):
    rates = {"item_learning_rate": 1e-3} if item_training == "lora" else {}
    _, result = train(
        options(data, tmp_path / "run", item_training=item_training, **LEARNS | rates)
    )
    assert result["ndcg@10"] > 0.9
    found = load_hllm(tmp_path / "run").recommend(["i3", "i4", "i5"], top_k=3)
    assert found.items[0].item_id == "i6"
    assert evaluated(data, tmp_path / "run") == pytest.approx(result["ndcg@10"], abs=1e-3)


@pytest.mark.parametrize("objective", ["early_fusion", "late_fusion"])
def test_click_models_learn_the_ring_and_evaluate_as_they_validated(data, tmp_path, objective):
    longer = {"user_layers": 2, "epochs": 25, "eval_every": 200}
    _, result = train(options(data, tmp_path / "run", objective=objective, **LEARNS | longer))
    assert result["ndcg@10"] > 0.9
    assert evaluated(data, tmp_path / "run") == pytest.approx(result["ndcg@10"], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_id_models_learn_the_ring_and_evaluate_as_they_validated(data, tmp_path, kind):
    _, result = train(options(data, tmp_path / "run", model_kind=kind, **LEARNS))
    assert result["ndcg@10"] > 0.9
    assert evaluated(data, tmp_path / "run") == pytest.approx(result["ndcg@10"], abs=1e-6)


def test_frozen_cache_trains_as_running_the_item_llm_would(data, tmp_path):
    """The cached states are those that the model gives at every step."""
    trainer, _ = train(options(data, tmp_path / "run", epochs=1))
    step = trainer.trainee.step.eval()
    items = torch.tensor([1, 5, 24, 5])
    with torch.inference_mode():
        cached = step.item_embeddings(items)
        run = step.model.encode_items([step._token_ids[i] for i in items.tolist()])
    assert torch.allclose(cached, run, atol=1e-4)


def test_frozen_embeddings_equal_those_of_the_saved_model(data, tmp_path):
    train(options(data, tmp_path / "run"))
    stored = ItemEmbeddings.load(tmp_path / "run" / EMBEDDINGS)
    model, tokenizer = load_model(tmp_path / "run")
    rows = (data / "items.csv").read_text().splitlines()[1:]
    prompt = model.config.item_prompt
    texts = {i: f"{prompt}title: {title}" for i, title in (row.split(",") for row in rows)}
    expected = encode_catalog(
        model, tokenizer, [texts[item_id] for item_id in stored.item_ids], progress=False
    )
    assert torch.allclose(stored.vectors.float(), expected, atol=2e-2, rtol=2e-3)


@pytest.mark.parametrize(
    "model",
    [
        {"item_training": "frozen"},
        {"item_training": "lora"},
        {"item_training": "top"},
        *({"model_kind": kind} for kind in KINDS),
    ],
    ids=lambda model: "-".join(model.values()),
)
def test_killed_run_continues_with_the_same_losses(data, tmp_path, monkeypatch, model):
    changes = {"max_steps": 9, "eval_every": 3} | model
    train(options(data, tmp_path / "whole", **changes))
    whole = losses(tmp_path / "whole")
    steps = iter(range(1000))
    real = Trainer._train_step

    def dies(self, rows):
        if next(steps) == 7:  # one step behind the last saved state
            raise KeyboardInterrupt
        return real(self, rows)

    monkeypatch.setattr(Trainer, "_train_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train(options(data, tmp_path / "killed", **changes))
    monkeypatch.setattr(Trainer, "_train_step", real)
    train(options(data, tmp_path / "killed", **changes))
    assert losses(tmp_path / "killed") == whole
    assert len(whole) == 9


def test_equal_seeds_give_equal_runs_and_others_do_not(data, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(options(data, tmp_path / name, max_steps=3, seed=seed))
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_stops_early_and_keeps_the_best_model(data, tmp_path):
    _, result = train(
        options(data, tmp_path / "run", epochs=50, eval_every=2, patience=2, learning_rate=0.3)
    )
    log = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    values = {r["step"]: r["ndcg@10"] for r in log if r["kind"] == "valid"}
    assert values[result["step"]] == pytest.approx(max(values.values()), abs=1e-6)
    assert max(values) == result["step"] + 4


@pytest.mark.parametrize("first", ["lora", "full"])
@pytest.mark.parametrize("second", ["frozen", "top", "lora", "full"])
def test_any_way_of_training_starts_from_any_other(data, tmp_path, first, second):
    # Large steps, so that the Item LLM is far from its pretrained weights.
    common = {"item_adapter": "linear", "max_steps": 2, "item_learning_rate": 0.05}
    train(options(data, tmp_path / "first", item_training=first, **common))
    start = tmp_path / "first"
    argv = options(data, tmp_path / "second", item_training=second, start_from=start, **common)
    run = Trainer(*parse_options(argv))
    old, tokenizer = load_model(start)
    texts = ["title: Dune", "title: Emma", ""]
    new = run.trainee.model.cpu().eval()
    expected = encode_catalog(old, tokenizer, texts, progress=False)
    torch.testing.assert_close(
        encode_catalog(new, tokenizer, texts, progress=False), expected, atol=1e-4, rtol=1e-4
    )


def test_starting_from_another_kind_of_model_is_one_clear_error(data, tmp_path):
    train(options(data, tmp_path / "first", user_size=16, max_steps=1))
    with pytest.raises(CheckpointError, match=r"--start_from .*first does not fit|lacks"):
        train(options(data, tmp_path / "second", user_size=8, start_from=tmp_path / "first"))


def test_starting_from_a_model_keeps_what_it_knows(data, tmp_path):
    _, first = train(options(data, tmp_path / "first", **LEARNS))
    _, second = train(
        options(
            data,
            tmp_path / "second",
            start_from=tmp_path / "first",
            item_training="lora",
            max_steps=2,
            learning_rate=1e-6,
            item_learning_rate=1e-6,
        )
    )
    assert second["ndcg@10"] == pytest.approx(first["ndcg@10"], abs=0.02)


def test_config_file_gives_defaults_that_flags_override(data, tmp_path):
    path = tmp_path / "preset.json"
    path.write_text(json.dumps({"epochs": 7, "user_layers": 3, "items": "x.csv"}))
    argv = ["--config", str(path), "--interactions", "i.csv", "--output", "o", "--epochs", "4"]
    model, run = parse_options(argv)
    assert (run.epochs, model.user_layers, run.items) == (4, 3, Path("x.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"epoch": 3}', "unknown option 'epoch'"), ("{", "cannot be read as JSON")],
)
def test_wrong_config_file_is_one_clear_error(tmp_path, content, message):
    path = tmp_path / "preset.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        parse_options(
            ["--config", str(path), "--interactions", "i", "--items", "x", "--output", "o"]
        )


def test_presets_that_ship_are_understood():
    for path in sorted((ROOT / "assets" / "presets").glob("*.json")):
        parse_options(
            ["--config", str(path), "--interactions", "i", "--items", "x", "--output", "o"]
        )


def test_resuming_with_other_widths_is_one_clear_error(data, tmp_path):
    train(options(data, tmp_path / "run", epochs=1))
    with pytest.raises(CheckpointError, match="does not fit these options"):
        train(options(data, tmp_path / "run", epochs=1, user_size=32))


def test_too_short_histories_are_one_clear_error(data, tmp_path, caplog):
    short = tmp_path / "short.csv"
    short.write_text("item_id,user_id,timestamp\ni1,u,1\ni2,u,2\ni3,u,3\n")
    assert main(options(data, tmp_path / "run", interactions=short)) == 2
    assert "four interactions" in caplog.text


def test_collapse_of_the_item_embeddings_is_said(data, tmp_path, caplog):
    items = tmp_path / "items.csv"  # nothing tells them apart
    items.write_text("item_id,title\n" + "".join(f"i{n},same\n" for n in range(NUM_ITEMS)))
    train(options(data, tmp_path / "run", item_training="full", items=items, max_steps=1))
    assert "the item embeddings collapse: lower --item_learning_rate" in caplog.text


@pytest.mark.slow
def test_two_processes_train_as_one_on_the_same_global_batch(data, tmp_path):
    """gloo: loss and gradients; histories of unequal length, negatives shared by both ranks."""
    script = ROOT / "tests" / "hllm" / "training" / "two_process_loss.py"
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(data)]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert printed.returncode == 0, printed.stderr[-2000:]
    one, two = json.loads(printed.stdout.splitlines()[-1])
    assert two == pytest.approx(one, abs=1e-5)
