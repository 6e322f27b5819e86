"""What a training run can be asked for: precision, memory, speed, the reference's ways."""

import json
import random

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from hllm.baselines.id_models import SequentialConfig, load_sequential, make_sequential
from hllm.baselines.id_presets import ID_PRESETS
from hllm.checkpoint import load_model
from hllm.embed import encode_catalog
from hllm.errors import CheckpointError, DataError
from hllm.train import Trainer, parse_options
from hllm.training import trainee
from hllm.training.batches import make_batch, make_reference_batch, reference_sample
from hllm.training.loss import contrastive_logits
from hllm.training.qlora import Base4bit
from hllm.training.step import SequentialStep

NUM_ITEMS = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory, tokenizer, _tiny):
    folder = tmp_path_factory.mktemp("data")
    _tiny.item_llm.save_pretrained(folder / "item_llm")
    tokenizer.save_pretrained(folder / "item_llm")
    rows = "".join(f"i{n},{chr(97 + n) * 3}\n" for n in range(NUM_ITEMS))
    (folder / "items.csv").write_text(f"item_id,title\n{rows}")
    lines = ["item_id,user_id,timestamp"]
    for user in range(16):
        lines += [f"i{(user + n) % NUM_ITEMS},u{user},{n}" for n in range(4 + user % 4)]
    (folder / "interactions.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(autouse=True)
def fresh_accelerate():
    """One process has one precision, unless it forgets it between two runs."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def trainer(data, output, **changes):
    values = {
        "interactions": data / "interactions.csv",
        "items": data / "items.csv",
        "item_llm": data / "item_llm",
        "output": output,
        "item_prompt": "",
        "user_size": 16,
        "user_layers": 1,
        "user_heads": 2,
        "item_adapter": "linear",
        "batch_size": 8,
        "num_negatives": 8,
        "max_history": 6,
        "max_steps": 2,
        "eval_every": 2,
        "warmup": 0,
        "dropout": 0,
    } | changes
    return Trainer(*parse_options([f"--{name}={value}" for name, value in values.items()]))


def losses(output):
    records = map(json.loads, (output / "log.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["kind"] == "train"]


MODELS = [{"item_training": "lora"}, {"item_training": "full"}, {"model_kind": "id-llama"}]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: "-".join(model.values()))
def test_gradient_checkpointing_runs_layers_twice_and_changes_no_loss(data, tmp_path, model):
    found = {}
    for on in (False, True):
        run = trainer(data, tmp_path / str(on), gradient_checkpointing=on, **model)
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


def test_gradient_checkpointing_of_small_models_is_one_clear_error(data, tmp_path):
    with pytest.raises(DataError, match="too small"):
        trainer(data, tmp_path / "run", model_kind="sasrec", gradient_checkpointing=True)


@pytest.mark.parametrize("model", MODELS[1:], ids=lambda model: "-".join(model.values()))
def test_bf16_stays_close_to_fp32(data, tmp_path, model):
    for precision in ("fp32", "bf16"):
        AcceleratorState._reset_state(reset_partial_state=True)
        run = trainer(data, tmp_path / precision, precision=precision, **model)
        assert run.accelerator.mixed_precision == ("bf16" if precision == "bf16" else "no")
        run.run()
    full, half = losses(tmp_path / "fp32"), losses(tmp_path / "bf16")
    assert half != full
    assert half == pytest.approx(full, rel=0.05, abs=0.05)


def test_unknown_precision_is_one_clear_error(data, tmp_path):
    with pytest.raises(DataError, match="--precision fp8: choose one of fp32, bf16"):
        trainer(data, tmp_path / "run", precision="fp8")


def test_tensorboard_throughput_and_clipping(data, tmp_path, capsys):
    run = trainer(data, tmp_path / "run", model_kind="sasrec", tensorboard=True, clip_norm=1e-3)
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


def test_per_position_negatives_equal_a_loop():
    torch.manual_seed(0)
    model = make_sequential(SequentialConfig(kind="sasrec", num_items=30, hidden_size=16)).eval()
    chunks = [np.array([1, 2, 3, 4]), np.array([7, 8])]
    batch = make_batch(chunks, 30, 40, seed=(1,), per_position=True)
    assert batch.negatives.shape == (4, 40)
    loss, stats = SequentialStep(model)(batch, with_stats=True)
    states = model.encode_users(model.item_embeddings(batch.items[:, :-1]), torch.tensor([3, 1]))
    expected = []
    for n, (row, column) in enumerate(batch.mask.nonzero().tolist()):
        logits = contrastive_logits(
            states[row, column][None],
            model.item_embeddings(batch.items[row, column + 1][None]),
            model.item_embeddings(batch.negatives[n]),
            model.logit_scale,
        )
        expected.append(-logits.log_softmax(dim=-1)[0, 0])
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), abs=1e-5)
    loss.backward()
    assert torch.isfinite(model.item_table.weight.grad).all()
    assert stats["negatives"] == 40


def test_reference_batches_draw_what_the_reference_draws():
    chunks = [np.array([1, 2, 3]), np.array([4, 5])]
    for per_sequence in (None, 4):
        batch = make_reference_batch(chunks, 20, per_sequence, max_history=5, seed=(1, 2))
        rng, expected = random.Random(repr((1, 2))), []
        for chunk in chunks:
            expected += reference_sample(rng, chunk.tolist(), 20, 5, per_sequence)[1]
        assert batch.negatives.tolist() == expected
        assert len(expected) == 2 * (per_sequence or 6)
        assert batch.items.tolist() == [[1, 2, 3], [4, 5, 0]]


def test_reference_compatible_run_shares_out_negatives_and_does_not_clip(
    data, tmp_path, monkeypatch
):
    run = trainer(data, tmp_path / "run", model_kind="hstu", reference_compatible=True)
    monkeypatch.setattr(run.accelerator, "clip_grad_norm_", None)  # calling it would fail
    assert min(map(len, run.chunks)) == 2
    assert len(run._batch(np.arange(8)).negatives) == 8
    assert len(run._batch(np.arange(3)).negatives) == 3  # one each, however many there are
    run.run()
    assert len(losses(tmp_path / "run")) == 2
    every = trainer(
        data, tmp_path / "all", model_kind="hstu", reference_compatible=True, num_negatives=0
    )
    assert len(every._batch(np.arange(8)).negatives) == 8 * 7


@pytest.mark.parametrize("name", ID_PRESETS)
def test_presets_of_the_reference_are_options(name):
    argv = ["--config", name, "--interactions", "i", "--items", "x", "--output", "o"]
    model, run = parse_options(argv)
    preset = ID_PRESETS[name]
    assert model.to_sequential(9, run.dropout) == SequentialConfig(num_items=9, **preset.model)
    assert run.negatives_per_position == preset.negatives_per_position
    assert (run.learning_rate, run.num_negatives) == (preset.learning_rate, preset.num_negatives)
    assert (run.lr_schedule, run.warmup, run.clip_norm) == (preset.lr_schedule, 0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_kind": "gru"}, "--model_kind gru: choose one of hllm, sasrec, hstu, id-llama"),
        ({"model_kind": "sasrec", "user_heads": 3}, "16 is not divisible by num_heads 3"),
        ({"objective": "both"}, "--objective both: choose one of generative, early_fusion"),
        ({"objective": "late_fusion", "model_kind": "hstu"}, "needs --model_kind hllm"),
        ({"objective": "late_fusion", "negatives_per_position": True}, "share negatives"),
        ({"click_candidates": 0}, "--click_candidates 0: at least 1"),
        ({"num_negatives": 0}, "at least 1 is needed"),
        ({"shard": True}, "--shard needs several processes: start them with  torchrun"),
        ({"item_training": "qlora", "item_pretrained": False}, "qlora rounds pretrained weights"),
        ({"item_training": "qlora"}, "needs a CUDA device, and there is none: use lora"),
    ],
)
def test_impossible_options_are_one_clear_error(data, tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match=message):
        trainer(data, tmp_path / "run", **changes)


def test_id_model_goes_on_from_another_run_on_the_same_items_only(data, tmp_path):
    trainer(data, tmp_path / "first", model_kind="hstu").run()
    again = trainer(data, tmp_path / "second", model_kind="hstu", start_from=tmp_path / "first")
    saved = load_sequential(tmp_path / "first")[0].state_dict()
    assert all(v.equal(saved[k]) for k, v in again.trainee.step.model.state_dict().items())
    other = tmp_path / "other.csv"
    other.write_text((data / "interactions.csv").read_text().replace("i3,", "new,"))
    with pytest.raises(CheckpointError, match="another data set"):
        trainer(
            data, tmp_path / "third", model_kind="hstu", start_from=tmp_path / "first",
            interactions=other,
        )  # fmt: skip
    with pytest.raises(CheckpointError, match="does not fit these options"):
        trainer(
            data, tmp_path / "third", model_kind="hstu", start_from=tmp_path / "first",
            user_size=32,
        )  # fmt: skip


@pytest.mark.parametrize("pretrained", [True, False])
def test_user_llm_of_a_folder_with_its_weights_or_random_ones(data, tmp_path, pretrained):
    made = trainer(
        data, tmp_path / "run", user_llm=data / "item_llm", user_pretrained=pretrained, user_size=0
    ).trainee.step.model
    stored = load_file(data / "item_llm" / "model.safetensors")
    own = made.user_llm.state_dict()
    assert {name: value.shape for name, value in own.items()} == {
        name: value.shape for name, value in stored.items() if "embed_tokens" not in name
    }
    assert all(value.equal(stored[name]) for name, value in own.items()) == pretrained


def test_qlora_trains_resumes_and_saves_what_it_trained(data, tmp_path, monkeypatch):
    """On the CPU, where bitsandbytes is slow but computes the same."""
    monkeypatch.setattr(trainee, "_require_cuda", lambda: None)
    options = {"item_training": "qlora", "learning_rate": 0.01, "item_learning_rate": 0.01}
    run = trainer(data, tmp_path / "run", **options)
    step = run.trainee.step
    quantised = [module for module in step.modules() if isinstance(module, Base4bit)]
    assert len(quantised) == 14  # all linear layers of two Llama layers
    before = [module.rounded().clone() for module in quantised]
    run.run()
    assert all(m.rounded().equal(b) for m, b in zip(quantised, before, strict=True))
    trained = encode_catalog(step.model.eval(), run.trainee._tokenizer, ["abc", "d"])
    again = trainer(data, tmp_path / "run", **options)
    again._resume()
    state = again.trainee.step.state_dict()
    assert again.progress.step == 2
    assert all(value.equal(state[name]) for name, value in step.state_dict().items())
    assert any("lora_B" in name and value.abs().sum() > 0 for name, value in state.items())
    if run.progress.best_step == 2:
        model, tokenizer = load_model(tmp_path / "run")
        torch.testing.assert_close(encode_catalog(model, tokenizer, ["abc", "d"]), trained)
