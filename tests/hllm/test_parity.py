"""The project against numbers that the official reference implementation computed.

Fixture folders are found under PARITY_DIR by what they hold, whatever they are called; nothing in
here knows their sizes, seeds or shapes. Floats within 1e-4, everything else exactly.
"""

import copy
import functools
import glob
import json
import math
import os
import random
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.optim.lr_scheduler import LambdaLR

from hllm import data, text
from hllm.checkpoint import load_model
from hllm.embed import encode_catalog
from hllm.evaluation.metrics import summarise
from hllm.evaluation.ranking import rank_cases
from hllm.evaluation.scorers import HLLMScorer
from hllm.published import reference_layout
from hllm.published.convert import convert
from hllm.published.sources import SourceSettings
from hllm.training.batches import TrainBatch, reference_sample
from hllm.training.item_encoder import WholeItems
from hllm.training.loss import clamp_logit_scale, contrastive_logits, contrastive_stats, info_nce
from hllm.training.optimizer import lr_multiplier, make_optimizer
from hllm.training.step import HLLMStep

PARITY = Path(
    os.environ.get("PARITY_DIR") or Path(__file__).parents[2].parent / "shared" / "parity"
)
SCHEDULE = re.compile(r"(cosine|linear) total=(\d+) warmup_rate=([\d.]+)")


def find(accept, pattern="expected.json"):
    """Parameters: the files under PARITY_DIR that `accept` likes, or one that skips visibly."""
    # rglob would not look into folders that are links.
    names = glob.glob(f"**/{pattern}", root_dir=PARITY, recursive=True) if PARITY.is_dir() else []
    paths = [PARITY / name for name in sorted(names)]
    found = [path for path in paths if accept(path, json.loads(path.read_text(encoding="utf-8")))]
    if not found:
        skip = pytest.mark.skip(reason=f"no such fixture under {PARITY} (PARITY_DIR)")
        return [pytest.param(None, marks=skip)]
    return [pytest.param(path, id=str(path.relative_to(PARITY))) for path in found]


def is_model(path, expected):
    return (path.parent / "pytorch_model.bin").is_file()


def is_quirks(path, expected):
    return any(key.startswith("text_keys_") for key in expected)


def is_split(path, expected):
    return any(key.startswith("train_chunks") for key in expected)


def is_schedule(path, expected):
    return isinstance(expected, dict) and any(SCHEDULE.fullmatch(key) for key in expected)


def close(actual, expected, tolerance=1e-4):
    torch.testing.assert_close(
        torch.as_tensor(actual), torch.as_tensor(expected), atol=tolerance, rtol=0
    )


@functools.cache
def load(path):
    """What the tests of one model fixture share, from its files through our functions."""
    folder = path.parent
    expected = json.loads(path.read_text(encoding="utf-8"))
    options = expected["config"]
    settings = SourceSettings(
        text_keys=tuple(options["text_keys"]),
        item_prompt=options["item_prompt"],
        max_text_tokens=options["MAX_TEXT_LENGTH"],
        max_history=options["MAX_ITEM_LIST_LENGTH_TEST"] or options["MAX_ITEM_LIST_LENGTH"],
        item_pooling="item_token" if options["item_emb_token_n"] else "mean",
    )
    with tempfile.TemporaryDirectory() as temporary:
        converted = Path(temporary) / "model"
        convert(
            folder / "pytorch_model.bin",
            converted,
            settings,
            item_base=folder / "item_llm",
            user_base=folder / "user_llm",
        )
        model, tokenizer = load_model(converted)
        config = model.config
    interactions = data.read_interactions(folder / "interactions.csv", reference_compatible=True)
    items = data.read_items(folder / "items.csv", reference_compatible=True)
    texts = [
        text.item_text(fields, config.text_keys, config.item_prompt)
        for fields in data.item_fields(interactions, items)
    ]
    return SimpleNamespace(
        expected=expected,
        tensors=load_file(folder / "expected.safetensors"),
        model=model,
        interactions=interactions,
        texts=texts,
        token_ids=text.tokenize(tokenizer, texts, config.max_text_tokens),
        item_embeddings=encode_catalog(model, tokenizer, texts, progress=False),
        max_history=options["MAX_ITEM_LIST_LENGTH"],
        data_split=options["data_split"] is not False,
    )


@pytest.fixture
def fixture(request):
    return load(request.param)


for_models = pytest.mark.parametrize("fixture", find(is_model), indirect=True)
for_phases = pytest.mark.parametrize("phase", ["valid", "test"])


@for_models
def test_ids_and_texts(fixture):
    expected, interactions = fixture.expected, fixture.interactions
    assert interactions.item_ids == expected["item_ids"]
    named = dict(zip(interactions.user_indices.tolist(), interactions.user_ids, strict=True))
    assert named == dict(list(enumerate(expected["user_ids"]))[1:])
    assert fixture.texts == expected["item_text"]
    assert fixture.token_ids == expected["item_token_ids"]


@for_models
def test_positions(fixture):
    batch = fixture.model.pad_items(fixture.token_ids)
    rows = [
        row[keep.bool()].tolist()
        for row, keep in zip(batch["position_ids"], batch["attention_mask"], strict=True)
    ]
    assert rows == fixture.expected["item_position_ids"]


@for_models
def test_item_embeddings(fixture):
    close(fixture.item_embeddings, fixture.tensors["item_emb"])


@for_models
@for_phases
def test_evaluation(fixture, phase):
    expected, tensors = fixture.expected["eval"][phase], fixture.tensors
    cases = data.eval_cases(fixture.interactions, phase)
    users = fixture.interactions.user_indices
    assert [int(users[case.user]) for case in cases] == expected["user_index"]
    assert [case.history.tolist() for case in cases] == expected["history"]
    assert [case.target for case in cases] == expected["target"]
    scorer = HLLMScorer(fixture.model, fixture.item_embeddings)
    histories = [case.history for case in cases]
    close(scorer.users(histories), tensors[f"user_emb_{phase}"])
    close(scorer.score(histories), tensors[f"scores_{phase}"])
    ranks = rank_cases(scorer, cases, reference_compatible=True, batch_size=7, progress=False)
    assert [None if math.isinf(r) else int(r) for r in ranks] == expected["target_rank"]
    published = fixture.expected["metrics"][phase]
    computed = summarise(ranks, fixture.expected["config"]["topk"])
    assert {name: round(computed[name], 7) for name in published} == published


@for_models
def test_user_cases(fixture):
    histories = [np.array(case["history"]) for case in fixture.expected["user_cases"].values()]
    scorer = HLLMScorer(fixture.model, fixture.item_embeddings)
    close(scorer.users(histories), fixture.tensors["user_emb_cases"])
    close(scorer.score(histories), fixture.tensors["scores_cases"])


@for_models
def test_empty_history_with_flash_attention(fixture):
    """There, a history without items attends to nothing: attention adds 0 to the padding item."""
    if "scores_empty_history_flash_semantics" not in fixture.tensors:
        pytest.skip("the fixture does not store it")
    model = copy.deepcopy(fixture.model)
    for layer in model.user_llm.layers:
        layer.self_attn.register_forward_hook(
            lambda module, inputs, output: (torch.zeros_like(output[0]), *output[1:])
        )
    scores = HLLMScorer(model, fixture.item_embeddings).score([np.array([], dtype=np.int64)])
    close(scores[0], fixture.tensors["scores_empty_history_flash_semantics"])


@for_models
def test_training_sequences(fixture):
    interactions, size = fixture.interactions, fixture.max_history
    users = interactions.user_indices
    pairs = [
        (int(user), chunk.tolist())
        for user, sequence in zip(users, interactions.sequences, strict=True)
        for chunk in data.train_chunks(sequence[:-2], size, data_split=fixture.data_split)
    ]
    # Without data_split the reference keeps whole sequences and cuts when it draws a sample.
    window = -(size + 1)
    assert pairs == [
        (entry["user_index"], entry["items"][window:])
        for entry in fixture.expected["train_sequences"]
    ]
    for name, sequences in fixture.expected["train_sequences_by_data_split"].items():
        chunks = [
            chunk.tolist()
            for sequence in interactions.sequences
            for chunk in data.train_chunks(sequence[:-2], size, data_split=name != "false")
        ]
        assert chunks == [sequence[window:] for sequence in sequences]


@for_models
def test_negatives_are_drawn_alike(fixture):
    expected = fixture.expected
    for batch in expected["train_batches"]:
        total = batch["num_negatives_config"]
        sequences = batch["world_size"] * batch["train_batch_size"]
        rng = random.Random(batch["python_random_seed"])
        drawn = [
            reference_sample(
                rng,
                expected["train_sequences"][row]["items"],
                expected["counts"]["item_num_including_pad"],
                fixture.max_history,
                None if total is None else math.ceil(total / sequences),
            )
            for row in batch["dataset_index"]
        ]
        names = ("pos_item_ids", "neg_item_ids", "mask")
        for name, values in zip(names, zip(*drawn, strict=True), strict=True):
            assert [list(row) for row in values] == batch[name]


def to_batch(batch):
    """The reference's left-padded batch as ours: random padding dropped, padded on the right."""
    mask = torch.tensor(batch["mask"]).bool()
    items = torch.zeros_like(torch.tensor(batch["pos_item_ids"]))
    for row, (valid, source) in enumerate(zip(mask, batch["pos_item_ids"], strict=True)):
        count = int(valid.sum()) + 1
        items[row, :count] = torch.tensor(source[-count:])
    negatives = torch.tensor(batch["neg_item_ids"]).flatten()
    return TrainBatch(items, items[:, 1:] != 0, negatives)


@for_models
def test_logits(fixture):
    model = copy.deepcopy(fixture.model)
    clamp_logit_scale(model.logit_scale)
    for number, batch in enumerate(fixture.expected["train_batches"]):
        tensors = {
            name.removeprefix(f"batch{number}_"): tensor for name, tensor in fixture.tensors.items()
        }
        ours = to_batch(batch)
        with torch.no_grad():
            embeddings = model.encode_items(fixture.token_ids)
            states = model.encode_users(embeddings[ours.items[:, :-1]]).last_hidden_state
            logits = contrastive_logits(
                states[ours.mask],
                embeddings[ours.items[:, 1:][ours.mask]],
                embeddings[ours.negatives],
                model.logit_scale,
            )
        close(embeddings[torch.tensor(batch["pos_item_ids"])][:, 1:], tensors["target_pos_emb"])
        close(embeddings[torch.tensor(batch["neg_item_ids"])], tensors["neg_emb"])
        close(states[ours.mask], tensors["user_emb_valid_positions"])
        assert torch.equal(torch.isinf(logits), torch.isinf(tensors["logits"]))
        close(logits, tensors["logits"])
        close(info_nce(logits).item(), batch["loss"])
        stats = contrastive_stats(logits)
        close(stats["nce_samples"], batch["nce_samples"])
        accuracy = {name: stats[re.sub(r"^nce_(top\d+)_acc$", r"\1_accuracy", name)]
                    for name in batch["topk_acc"]}  # fmt: skip
        assert accuracy == pytest.approx(batch["topk_acc"], abs=1e-6)


@for_models
def test_gradients(fixture):
    for number, batch in enumerate(fixture.expected["train_batches"]):
        model = copy.deepcopy(fixture.model)
        loss, _ = HLLMStep(WholeItems(model, fixture.token_ids))(to_batch(batch))
        close(loss.item(), batch["loss"])
        loss.backward()
        gradients = {name: value.grad for name, value in model.named_parameters()}
        stored = fixture.tensors[f"batch{number}_grad_item_emb_tokens"]
        close(gradients["item_emb_tokens"], stored)
        stored = fixture.tensors[f"batch{number}_grad_logit_scale"]
        close(gradients["logit_scale"].reshape(()), stored.reshape(()))
        norms = defaultdict(float)
        for key, shape in fixture.expected["state_dict"].items():
            for name, _ in reference_layout.translate(key, torch.empty(shape, device="meta")):
                if gradients.get(name) is not None:
                    norms[key] += gradients[name].double().square().sum().item()
        norms = {key: math.sqrt(value) for key, value in norms.items()}
        assert norms == pytest.approx(batch["grad_norms"], abs=1e-4, rel=1e-4)
        without = set(fixture.expected["state_dict"]) - set(norms)
        assert without == set(batch["params_without_grad"])


@for_models
def test_adamw_steps(fixture):
    expected = fixture.expected["optimizer_trajectory"]
    batch = to_batch(fixture.expected["train_batches"][expected["batch"]])
    model = copy.deepcopy(fixture.model)
    step = HLLMStep(WholeItems(model, fixture.token_ids))
    rate, total = expected["lr"], expected["total_steps"]
    warmup = expected["warmup_steps"] / total
    optimizer = make_optimizer(
        model.named_parameters(),
        learning_rate=rate,
        item_learning_rate=rate,
        weight_decay=expected["weight_decay"],
    )
    schedule = LambdaLR(optimizer, lambda number: lr_multiplier(number, total, warmup))
    losses, rates, scales = [], [], []
    for _ in expected["loss_before_step"]:
        loss, _ = step(batch)
        optimizer.zero_grad()
        loss.backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        scales.append(model.logit_scale.item())
    assert rates == pytest.approx(expected["lr_used"], rel=1e-9, abs=1e-15)
    close(losses, expected["loss_before_step"])
    close(scales, expected["logit_scale_parameter_after_step"])
    with torch.no_grad():
        final = model.encode_items(fixture.token_ids)
    close(final, fixture.tensors["optimizer_trajectory_final_item_emb"])
    stored = fixture.tensors["optimizer_trajectory_final_item_emb_tokens"]
    close(model.item_emb_tokens.detach(), stored)


@pytest.mark.parametrize("path", find(is_quirks))
def test_text_quirks(path):
    expected = json.loads(path.read_text(encoding="utf-8"))
    items = data.read_items(path.parent / "items.csv", reference_compatible=True)
    prompt = expected.get("item_prompt", text.DEFAULT_PROMPT)
    for name in [key for key in expected if key.startswith("text_keys_")]:
        wanted = expected[name.replace("text_keys_", "text_")]
        keys = expected[name]
        made = {item_id: text.item_text(items.get(item_id), keys, prompt) for item_id in wanted}
        assert made == wanted, name


@pytest.mark.parametrize("path", find(is_split))
def test_split_cases(path):
    expected = json.loads(path.read_text(encoding="utf-8"))
    size = expected["MAX_ITEM_LIST_LENGTH"]
    interactions = data.read_interactions(
        path.parent / "interactions.csv", reference_compatible=True
    )
    item_ids = interactions.item_ids
    by_user = dict(zip(interactions.user_ids, interactions.sequences, strict=True))
    for key in [key for key in expected if key.startswith("train_chunks")]:
        split = not key.endswith("=False")
        for user, wanted in expected[key].items():
            chunks = data.train_chunks(by_user[user][:-2], size, data_split=split)
            named = [[item_ids[item] for item in chunk] for chunk in chunks]
            assert named == [chunk[-(size + 1) :] for chunk in wanted], (key, user)
    for phase in ("valid", "test"):
        cases = {
            interactions.user_ids[case.user]: case for case in data.eval_cases(interactions, phase)
        }
        for user, wanted in expected[f"eval {phase}"].items():
            case = cases[user]
            window = case.history[-size:].tolist()
            assert [0] * (size - len(window)) + window == wanted["padded"], (phase, user)
            assert item_ids[case.target] == wanted["target"]
            assert len(case.history) == wanted["full_history_len"]


@pytest.mark.parametrize("path", find(is_schedule, "*.json"))
def test_learning_rate_schedules(path):
    for key, wanted in json.loads(path.read_text(encoding="utf-8")).items():
        match = SCHEDULE.fullmatch(key)
        if match is None:
            continue
        kind, total, warmup = match[1], int(match[2]), float(match[3])
        made = [lr_multiplier(step, total, warmup, kind) for step in range(len(wanted))]
        assert made == pytest.approx(wanted, rel=1e-12, abs=1e-15), key
