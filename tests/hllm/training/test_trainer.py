"""Training: it learns, resumes exactly, equals itself, and says what is wrong."""

import json

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from hllm.commands import evaluate
from hllm.errors import CheckpointError, DataError, TrainingError
from hllm.recommend import load_hllm
from hllm.splits import is_held_out
from hllm.training.trainer import Trainer
from tests.hllm.training.runs import NUM_ITEMS, losses, small_trainer, train_ring, trainer

KINDS = ["sasrec", "esasrec", "hstu", "id-llama"]
LEARNS = {"epochs": 6, "eval_every": 48, "dropout": 0}

MODELS = [{"item_training": "lora"}, {"item_training": "full"}, {"model_kind": "id-llama"}]


def evaluated(ring, run):
    """Validation ndcg@10 of the saved model by the command that users give."""
    report = run / "report.json"
    argv = ["--interactions", ring / "interactions.csv", "--items", ring / "items.csv"]
    argv += ["--model", run, "--phase", "valid", "--output", report]
    assert evaluate.main([str(part) for part in argv]) == 0
    return json.loads(report.read_text())["models"]["run"]["metrics"]["ndcg@10"]


@pytest.mark.parametrize("item_training", ["frozen", "lora", "full"])
def test_learns_the_ring_and_serves_what_it_learnt(ring, tmp_path, item_training):
    rates = {"item_learning_rate": 1e-3} if item_training == "lora" else {}
    _, result = train_ring(ring, tmp_path / "run", item_training=item_training, **LEARNS | rates)
    assert result["ndcg@10"] > 0.9
    found = load_hllm(tmp_path / "run").recommend(["i3", "i4", "i5"], top_k=3)
    assert found.items[0].item_id == "i6"
    assert evaluated(ring, tmp_path / "run") == pytest.approx(result["ndcg@10"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["early_fusion", "late_fusion"])
def test_click_models_learn_the_ring_and_evaluate_as_they_validated(ring, tmp_path, objective):
    longer = {"user_layers": 2, "epochs": 25, "eval_every": 200}
    _, result = train_ring(ring, tmp_path / "run", objective=objective, **LEARNS | longer)
    assert result["ndcg@10"] > 0.9
    assert evaluated(ring, tmp_path / "run") == pytest.approx(result["ndcg@10"], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_id_models_learn_the_ring_and_evaluate_as_they_validated(ring, tmp_path, kind):
    _, result = train_ring(ring, tmp_path / "run", model_kind=kind, **LEARNS)
    assert result["ndcg@10"] > 0.9
    assert evaluated(ring, tmp_path / "run") == pytest.approx(result["ndcg@10"], abs=1e-6)


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
def test_killed_run_continues_with_the_same_losses(ring, tmp_path, monkeypatch, model):
    changes = {"max_steps": 9, "eval_every": 3} | model
    train_ring(ring, tmp_path / "whole", **changes)
    whole = losses(tmp_path / "whole")
    steps = iter(range(1000))
    real = Trainer._train_step

    def dies(self, rows):
        if next(steps) == 7:  # one step behind the last saved state
            raise KeyboardInterrupt
        return real(self, rows)

    monkeypatch.setattr(Trainer, "_train_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train_ring(ring, tmp_path / "killed", **changes)
    monkeypatch.setattr(Trainer, "_train_step", real)
    train_ring(ring, tmp_path / "killed", **changes)
    assert losses(tmp_path / "killed") == whole
    assert len(whole) == 9


def test_equal_seeds_give_equal_runs_and_others_do_not(ring, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_ring(ring, tmp_path / name, max_steps=3, seed=seed)
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_negatives_are_items_that_somebody_has_in_training(write_data, tmp_path):
    """All readers go from the first item to the fifth; the last two steps are held out."""
    data = write_data(tmp_path, [(0, 5)] * 8, num_items=12)
    made = trainer(data, tmp_path / "run", num_negatives=500)
    drawn = made._batch(np.arange(8)).negatives
    assert {made.interactions.item_ids[row] for row in drawn.unique()} == {"i0", "i1", "i2"}


@pytest.mark.parametrize("kind", ["hllm", "sasrec"])
def test_a_run_is_evaluated_on_the_items_that_it_held_out(ring, tmp_path, kind):
    options = {"held_out_items": 0.2, "split_seed": 2, "model_kind": kind}
    made, _ = train_ring(ring, tmp_path / "run", **options)
    kept = [f"i{n}" for n in range(NUM_ITEMS) if not is_held_out(f"i{n}", 0.2, 2)]
    assert 1 < len(kept) < NUM_ITEMS
    assert sorted(made.interactions.item_ids[1:]) == sorted(kept)
    for batch in (made._batch(rows) for rows in made._batches(0)):
        assert max(batch.items.max(), batch.negatives.max()) <= len(kept)
    if kind == "hllm":  # the adapter's whitening is fitted to so many
        assert made.trainee.texts.num_trained == len(kept) + 1
    arguments = [f"--{name}={ring / name}.csv" for name in ("interactions", "items")]
    arguments += [f"--model={tmp_path / 'run'}", f"--output={tmp_path / 'out.json'}"]
    assert evaluate.main(arguments) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["split"]["held_out_items"] == 0.2
    assert 0 < report["held_out"]["num_cases"] < report["num_cases"]
    assert evaluate.main([*arguments, "--held_out_items", "0.3"]) == 2


def with_times(ring, folder):
    """The same walks, by the clock: later readers come later."""
    lines = (ring / "interactions.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    timed = [
        f"{i},{u},{1_500_000_000 + 3_600 * (5 * int(u[1:]) + 20 * int(t))}" for i, u, t in rows
    ]
    path = folder / "timed.csv"
    path.write_text("\n".join([lines[0], *timed]) + "\n")
    return path


@pytest.mark.parametrize("target", ["last", "random"])
def test_a_temporal_run_is_evaluated_by_its_own_cut(ring, tmp_path, target, capsys):
    timed = with_times(ring, tmp_path)
    options = {"split": "temporal", "split_target": target, "split_quantile": 0.8}
    made, _ = train_ring(ring, tmp_path / "run", interactions=timed, **options)
    arguments = [f"--items={ring / 'items.csv'}", f"--model={tmp_path / 'run'}"]
    arguments += [f"--output={tmp_path / 'out.json'}", "--baselines=popularity"]
    assert evaluate.main([*arguments, f"--interactions={timed}"]) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["split"]["split_target"] == target
    assert report["split"]["description"] == made.interactions.parts.description
    assert made.interactions.parts.description in capsys.readouterr().out
    assert 0 < report["models"]["run"]["slices"]["user new"]["num_cases"] < report["num_cases"]
    assert report["models"]["run"]["metrics"]["ndcg@10"] > 0.5


def test_a_temporal_run_is_evaluated_on_no_other_file_and_by_no_other_split(ring, tmp_path, caplog):
    timed = with_times(ring, tmp_path)
    train_ring(ring, tmp_path / "run", interactions=timed, split="temporal", max_steps=1)
    arguments = [f"--items={ring / 'items.csv'}", f"--model={tmp_path / 'run'}"]
    other = tmp_path / "other.csv"
    other.write_text(timed.read_text() + "i1,u0,1600000000\n")
    assert evaluate.main([*arguments, f"--interactions={other}"]) == 2
    assert "run was not trained on" in caplog.text
    arguments.append(f"--interactions={timed}")
    assert evaluate.main([*arguments, "--split=leave-one-out"]) == 2
    assert "--split temporal against leave-one-out" in caplog.text
    more = {"start_from": tmp_path / "run", "split": "temporal", "interactions": other}
    with pytest.raises(DataError, match="run was not trained on"):
        train_ring(ring, tmp_path / "more", **more)


def test_a_published_split_is_trained_and_evaluated_as_it_is(ring, tmp_path, caplog):
    lines = (ring / "interactions.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    last = {user: int(time) for _, user, time in rows}
    for name, place in (("train", 2), ("valid", 1), ("test", 0)):
        chosen = [
            ",".join(row) for row in rows if min(last[row[1]] - int(row[2]), 2) == place
        ]  # leave-one-out, as three files
        (tmp_path / f"{name}.csv").write_text("\n".join([lines[0], *chosen]) + "\n")
    files = {"interactions": tmp_path / "train.csv", "split": "files"}
    files |= {f"{part}_interactions": tmp_path / f"{part}.csv" for part in ("valid", "test")}
    _, result = train_ring(ring, tmp_path / "run", **files)
    assert result["ndcg@10"] == train_ring(ring, tmp_path / "plain")[1]["ndcg@10"]
    arguments = [f"--items={ring / 'items.csv'}", f"--model={tmp_path / 'run'}"]
    arguments.append(f"--output={tmp_path / 'out.json'}")
    assert evaluate.main([*arguments, f"--interactions={tmp_path / 'train.csv'}"]) == 2
    assert "give --valid_interactions and --test_interactions, too" in caplog.text
    del files["split"]
    arguments += [f"--{name}={path}" for name, path in files.items()]
    assert evaluate.main(arguments) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["num_cases"] == 120 and "Published split" in report["split"]["description"]
    (tmp_path / "test.csv").write_text(lines[0] + "\ni1,u0,99\n")
    assert evaluate.main(arguments) == 2
    assert "run was not trained on" in caplog.text


def test_positions_cannot_be_cut_by_time(ring, tmp_path):
    with pytest.raises(DataError, match="--split temporal needs clock times"):
        train_ring(ring, tmp_path / "run", split="temporal")


def test_a_run_that_holds_items_out_starts_from_none_that_has_seen_them(ring, tmp_path):
    train_ring(ring, tmp_path / "all", max_steps=1)
    with pytest.raises(DataError, match="all was trained with another split"):
        train_ring(ring, tmp_path / "run", held_out_items=0.2, start_from=tmp_path / "all")
    assert not (tmp_path / "run").exists()


def test_stops_early_and_keeps_the_best_model(ring, tmp_path):
    _, result = train_ring(
        ring, tmp_path / "run", epochs=50, eval_every=2, patience=2, learning_rate=0.3
    )
    log = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    values = {r["step"]: r["ndcg@10"] for r in log if r["kind"] == "valid"}
    assert values[result["step"]] == pytest.approx(max(values.values()), abs=1e-6)
    assert max(values) == result["step"] + 4


def test_resuming_with_other_widths_is_one_clear_error(ring, tmp_path):
    train_ring(ring, tmp_path / "run", epochs=1)
    with pytest.raises(DataError, match="user_size was 16, is 32"):
        train_ring(ring, tmp_path / "run", epochs=1, user_size=32)


def test_collapse_of_the_item_embeddings_is_said(ring, tmp_path, caplog):
    items = tmp_path / "items.csv"  # nothing tells them apart
    items.write_text("item_id,title\n" + "".join(f"i{n},same\n" for n in range(NUM_ITEMS)))
    with pytest.raises(TrainingError, match="step 1: the loss is nan"):  # no negative is left
        train_ring(ring, tmp_path / "run", item_training="full", items=items, max_steps=1)
    assert "embeddings collapse: lower --learning_rate or --item_learning_rate" in caplog.text


def poison(trainer):
    """As a diverging step leaves the weights."""
    with torch.no_grad():
        for parameter in trainer.trainee.step.parameters():
            parameter.fill_(float("nan"))


def test_a_loss_that_is_nan_stops_and_leaves_the_last_state(small, tmp_path, monkeypatch):
    changes = {"model_kind": "sasrec", "max_steps": 6}
    real = Trainer._train_step

    def poisoned(self, rows):
        if self.progress.step == 3:
            poison(self)
        return real(self, rows)

    run, weights = tmp_path / "run", tmp_path / "run" / "model.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", poisoned)
        with pytest.raises(TrainingError, match=r"step 4: the loss is nan; .* lower --learning"):
            small_trainer(small, run, **changes).run()
    assert all(tensor.isfinite().all() for tensor in load_file(weights).values())
    assert [path.name for path in (run / "state").iterdir()] == ["step-00000002"]
    small_trainer(small, run, **changes).run()
    assert len(losses(run)) == 6


def test_a_validation_with_scores_that_are_nan_saves_nothing(small, tmp_path, monkeypatch):
    real = Trainer._train_step

    def poisoned(self, rows):
        stats = real(self, rows)
        poison(self)
        return stats

    monkeypatch.setattr(Trainer, "_train_step", poisoned)
    with pytest.raises(CheckpointError, match="scores with NaN or infinity"):
        small_trainer(small, tmp_path / "run", model_kind="sasrec", max_steps=1).run()
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "state").exists()


def test_nobody_to_validate_on_is_said_before_training(small, tmp_path):
    with pytest.raises(DataError, match="--eval_users 0: must be a whole number from 1"):
        small_trainer(small, tmp_path / "run", model_kind="sasrec", eval_users=0)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: "-".join(model.values()))
def test_gradient_checkpointing_runs_layers_twice_and_changes_no_loss(small, tmp_path, model):
    found = {}
    for on in (False, True):
        run = small_trainer(small, tmp_path / str(on), gradient_checkpointing=on, **model)
        layers = [m for m in run.trainee.step.modules() if type(m).__name__ == "LlamaDecoderLayer"]
        calls = [0] * len(layers)
        for number, layer in enumerate(layers):

            def count(*_, number=number, calls=calls):
                calls[number] += 1

            # Inside of the layer: what lies around it is not run again.
            layer.mlp.register_forward_pre_hook(count)
        rows = run._batches(0)
        found[on] = calls, [run._train_step(rows[0])["loss"], run._train_step(rows[1])["loss"]]
    assert len(calls) == (1 if "model_kind" in model else 3)
    assert found[True][0] == [2 * number for number in found[False][0]]
    assert found[True][1] == pytest.approx(found[False][1], abs=1e-5)  # the gradients agreed


@pytest.mark.parametrize("model", MODELS[1:], ids=lambda model: "-".join(model.values()))
def test_bf16_stays_close_to_fp32(small, tmp_path, model):
    for precision in ("fp32", "bf16"):
        AcceleratorState._reset_state(reset_partial_state=True)
        run = small_trainer(small, tmp_path / precision, precision=precision, **model)
        assert run.accelerator.mixed_precision == ("bf16" if precision == "bf16" else "no")
        run.run()
    full, half = losses(tmp_path / "fp32"), losses(tmp_path / "bf16")
    assert half != full
    assert half == pytest.approx(full, rel=0.05, abs=0.05)


def test_tensorboard_throughput_and_clipping(small, tmp_path, capsys):
    run = small_trainer(
        small, tmp_path / "run", model_kind="sasrec", tensorboard=True, clip_norm=1e-3
    )
    norms = []
    real = run.optimizer.step

    def step():
        gradients = [p.grad for p in run.trainee.step.parameters() if p.grad is not None]
        norms.append(nn.utils.get_total_norm(gradients).item())
        real()

    run.optimizer.step = step
    run.run()
    assert max(norms) <= 1.01e-3
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
    assert events.Scalars("valid/ndcg@10")
    assert events.Scalars("train/sequences_per_s")[0].value > 0
    assert " sequences/s, " in (shown := capsys.readouterr().err) and " items/s" in shown


def test_reference_compatible_run_shares_out_negatives_and_does_not_clip(
    small, tmp_path, monkeypatch
):
    run = small_trainer(small, tmp_path / "run", model_kind="hstu", reference_compatible=True)
    monkeypatch.setattr(run.accelerator, "clip_grad_norm_", None)  # calling it would fail
    assert min(map(len, run.chunks)) == 2
    assert len(run._batch(np.arange(8)).negatives) == 8
    assert len(run._batch(np.arange(3)).negatives) == 3  # one each, however many there are
    run.run()
    assert len(losses(tmp_path / "run")) == 2
    every = small_trainer(
        small, tmp_path / "all", model_kind="hstu", reference_compatible=True, num_negatives=0
    )
    assert len(every._batch(np.arange(8)).negatives) == 8 * 7
