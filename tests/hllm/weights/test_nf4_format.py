"""Folders with matrices in NF4: what is stored, who opens it, what is refused."""

import json
import shutil

import bitsandbytes as bnb
import pytest
import torch
from bitsandbytes.functional import QuantState, dequantize_4bit, quantize_4bit
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from hllm.checkpoint import load_model, load_user_llm, save_model
from hllm.config import HLLMConfig
from hllm.embed import CPU, embed_items, encode_catalog, load_encoder
from hllm.errors import CheckpointError
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
from hllm.published.convert import convert, empty_model
from hllm.published.reference_layout import language_model_config
from hllm.serving import nf4_model
from hllm.serving.nf4_model import load_nf4, load_nf4_items
from hllm.serving.quantize import quantize_blocks
from hllm.serving.user_model import load_user_model
from hllm.weights.files import holds_nf4, iter_stored, iter_tensors, read_shapes
from hllm.weights.nf4_format import QUANTIZATION_CONFIG, Nf4Spec, PackedMatrix, TensorSpec
from tests.hllm.published.reference_states import (
    BAICHUAN2_7B,
    BERT,
    LLAMA,
    TINYLLAMA,
    write_checkpoint,
)

# Sizes that the kernel for AVX512-BF16 can take, too.
WIDE = {"hidden_size": 64, "intermediate_size": 128}
LLAMAS = LLAMA | WIDE | {"num_key_value_heads": 2}
MATRIX = "user_llm.layers.1.mlp.down_proj.weight"
SHARDS = {"one file": 10**9, "shards": 20_000}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, tokenizer):
    """Files of the reference and arguments of convert(), by the Item LLM's kind."""

    def make(item):
        folder = tmp_path_factory.mktemp(item["model_type"])
        return write_checkpoint(folder, tokenizer, item, LLAMAS)

    return {"llama": make(LLAMAS), "bert": make(BERT | WIDE)}


@pytest.fixture(scope="module")
def _folders(checkpoints, tmp_path_factory):
    made = {}
    for kind, options in checkpoints.items():
        made[kind] = tmp_path_factory.mktemp("models") / kind
        convert(**options, output=made[kind], dtype=torch.bfloat16, nf4=True)
    return made


@pytest.fixture
def folder(_folders):
    """Two Llamas in NF4; not to be changed."""
    return _folders["llama"]


@pytest.fixture
def copy(folder, tmp_path):
    """The same, for the test alone."""
    return shutil.copytree(folder, tmp_path / "copy")


def change(folder, changes):
    """Replace stored tensors; None takes them away."""
    state = load_file(folder / "model.safetensors") | changes
    state = {name: value for name, value in state.items() if value is not None}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("shard_bytes", SHARDS.values(), ids=SHARDS)
@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_what_is_stored_is_what_bitsandbytes_makes(checkpoints, tmp_path, kind, shard_bytes):
    options = checkpoints[kind] | {"shard_bytes": shard_bytes}
    convert(**options, output=tmp_path / "plain", dtype=torch.bfloat16)
    convert(**options, output=tmp_path / "nf4", dtype=torch.bfloat16, nf4=True)
    plain, stored = dict(iter_stored(tmp_path / "plain")), dict(iter_stored(tmp_path / "nf4"))
    matrices = set(load_model(tmp_path / "plain")[0].matrices())
    assert len(matrices) == {"llama": 28, "bert": 26}[kind]
    for name, value in plain.items():
        if name not in matrices:
            assert stored.pop(name).equal(value)
            continue
        codes, state = quantize_4bit(
            value, blocksize=64, compress_statistics=True, quant_type="nf4"
        )
        assert stored.pop(name).equal(codes)
        for part, expected in state.as_dict(packed=True).items():
            found = stored.pop(f"{name}.{part}")
            if part.startswith("quant_state"):
                assert json.loads(bytes(found.numpy())) == json.loads(bytes(expected.numpy()))
            else:
                assert found.dtype == expected.dtype
                assert found.equal(expected)
    assert not stored
    assert read_shapes(tmp_path / "nf4") == read_shapes(tmp_path / "plain")
    assert (holds_nf4(tmp_path / "plain"), holds_nf4(tmp_path / "nf4")) == (False, True)


def test_sizes_are_known_before_the_numbers():
    for shape in ((64, 128), (3, 5), (1, 1), (300, 257)):
        spec = Nf4Spec(shape)
        parts = dict(spec.encode("w", torch.randn(shape)))
        assert {name: (tuple(p.shape), p.dtype) for name, p in parts.items()} == {
            name: (part.shape, part.dtype) for name, part in spec.parts("w").items()
        }
        assert spec.num_bytes == sum(part.nbytes for part in parts.values())
        packed = PackedMatrix(
            parts.pop("w"), {name.removeprefix("w."): part for name, part in parts.items()}
        )
        assert (packed.shape, tuple(packed.dequantize().shape)) == (shape, shape)


@pytest.mark.parametrize(
    ("config", "gigabytes"), [(TINYLLAMA, 1.131), (BAICHUAN2_7B, 7.713)], ids=["1b", "7b"]
)
def test_sizes_of_the_published_models(config, gigabytes, tmp_path):
    """Computed from their shapes, without weights."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    language_model = language_model_config(tmp_path)
    model = empty_model(HLLMConfig(language_model, language_model, text_keys=["title"]))
    specs = {
        name: Nf4Spec(tuple(value.shape))
        if name in model.matrices()
        else TensorSpec(tuple(value.shape), torch.bfloat16)
        for name, value in model.named_parameters()
    }
    size = sum(spec.num_bytes for spec in specs.values())
    assert size / 1e9 == pytest.approx(gigabytes, abs=0.001)


@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_transformers_opens_it_and_computes_what_our_loaders_compute(_folders, kind, token_ids):
    folder = _folders[kind]
    model = HLLM.from_pretrained(folder).eval()
    assert isinstance(AutoModel.from_pretrained(folder), HLLM)
    layers = [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]
    assert len(layers) == len(model.matrices()) == {"llama": 28, "bert": 26}[kind]
    for layer in layers:
        state = layer.weight.quant_state
        assert (state.quant_type, state.nested, state.blocksize) == ("nf4", True, 64)
        assert layer.compute_dtype == torch.bfloat16
    assert {p.dtype for p in model.parameters()} == {torch.uint8, torch.bfloat16}
    users = torch.randn(2, 3, 64).bfloat16()
    with torch.inference_mode():
        expected = model.encode_users(users).last_hidden_state
        user_llm = load_nf4(ModelFolder(folder), CPU)
        assert user_llm(inputs_embeds=users).last_hidden_state.equal(expected)
        items = load_nf4_items(ModelFolder(folder), CPU)
        assert items.encode_items(token_ids).equal(model.encode_items(token_ids))
        exact, _ = load_model(folder)
        cosines = torch.cosine_similarity(
            exact.encode_items(token_ids), model.encode_items(token_ids).float()
        )
    assert cosines.min() > 0.999
    assert not [name for name, _ in items.user_llm.named_parameters() if "layers" in name]


def test_packed_weights_are_not_rounded_again(folder):
    """Rounding the values anew gives other scales: about one value in a hundred would change."""
    stored = dict(iter_stored(folder))
    user_llm = load_nf4(ModelFolder(folder), CPU)
    for name, layer in user_llm.named_modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            assert layer.weight.data.equal(stored[f"user_llm.{name}.weight"])
            scales = layer.weight.quant_state.absmax
            assert scales.equal(stored[f"user_llm.{name}.weight.absmax"])
    values = dict(iter_tensors(folder))[MATRIX]
    again = dequantize_4bit(*quantize_4bit(values, compress_statistics=True, quant_type="nf4"))
    assert not again.equal(values)


def test_every_other_precision_starts_from_the_stored_values(folder, tmp_path):
    stored = dict(iter_stored(folder))
    state = {
        name.removeprefix(f"{MATRIX}."): value
        for name, value in stored.items()
        if name.startswith(f"{MATRIX}.")
    }
    expected = dequantize_4bit(stored[MATRIX], QuantState.from_dict(dict(state), CPU))
    name = MATRIX.removeprefix("user_llm.")
    assert load_model(folder)[0].state_dict()[MATRIX].equal(expected.float())
    assert load_user_llm(folder).state_dict()[name].equal(expected.float())
    bf16 = load_user_model(folder, "bf16")
    assert bf16.steps._user_llm.state_dict()[name].equal(expected)
    load_user_model(folder, "int4", cache=tmp_path)
    codes, scales = quantize_blocks(expected, 4)
    weights = next(tmp_path.glob("*/weights.bin")).read_bytes()
    assert bytes(codes.numpy().data) in weights
    assert bytes(scales.numpy().data) in weights
    assert bf16.num_parameters == sum(value.numel() for value in load_user_llm(folder).parameters())


def test_items_are_embedded_on_a_cpu_from_the_values(folder, tmp_path):
    texts = [("a", "title: Dune"), ("b", "title: Emma")]
    made = embed_items(folder, texts, tmp_path / "items.safetensors", half=False, progress=False)
    model, tokenizer = load_encoder(folder, CPU)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    expected = encode_catalog(model, tokenizer, [text for _, text in texts], progress=False)
    assert made.vectors.equal(expected)
    assert made.fingerprint == ModelFolder(folder).fingerprint


def test_for_a_gpu_the_item_llm_is_loaded_in_four_bits(folder, monkeypatch):
    """The choice alone: what is chosen computes on the CPU here."""
    monkeypatch.setattr(nf4_model, "load_nf4_items", lambda opened, _: load_nf4_items(opened, CPU))
    packed, tokenizer = load_encoder(folder, torch.device("cuda"))
    assert len([m for m in packed.modules() if isinstance(m, bnb.nn.Linear4bit)]) == 14
    exact, _ = load_encoder(folder, CPU)
    texts = ["title: Dune", "title: Emma"]
    made, expected = (
        encode_catalog(model, tokenizer, texts, progress=False) for model in (packed, exact)
    )
    assert made.dtype == torch.float32
    assert torch.cosine_similarity(made, expected).min() > 0.999


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_item_llm_stays_in_four_bits(folder):
    texts = ["title: Dune", "title: Emma"]
    packed, tokenizer = load_encoder(folder, torch.device("cuda"))
    assert len([m for m in packed.modules() if isinstance(m, bnb.nn.Linear4bit)]) == 14
    exact, _ = load_encoder(folder, CPU)
    made, expected = (
        encode_catalog(model, tokenizer, texts, progress=False) for model in (packed, exact)
    )
    assert torch.cosine_similarity(made, expected).min() > 0.999


def test_fingerprint_follows_the_item_llms_codes_and_scales(copy):
    before = ModelFolder(copy).fingerprint
    stored = load_file(copy / "model.safetensors")
    change(copy, {MATRIX: stored[MATRIX].flip(0)})
    assert ModelFolder(copy).fingerprint == before
    name = MATRIX.replace("user_llm", "item_llm")
    for part in (name, f"{name}.absmax"):
        change(copy, {part: stored[part].flip(0)})
        assert ModelFolder(copy).fingerprint != before
        change(copy, {part: stored[part]})
        assert ModelFolder(copy).fingerprint == before


def test_saved_again_it_is_an_ordinary_folder(folder, tmp_path, token_ids):
    model, tokenizer = load_model(folder)
    save_model(model, tmp_path / "again", tokenizer)
    assert not holds_nf4(tmp_path / "again")
    assert not hasattr(ModelFolder(tmp_path / "again").config, "quantization_config")
    loaded = HLLM.from_pretrained(tmp_path / "again", dtype=torch.float32).eval()
    with torch.inference_mode():
        assert loaded.encode_items(token_ids).equal(model.encode_items(token_ids))


QUANT_STATE = f"{MATRIX}.quant_state.bitsandbytes__nf4"


def state_with(**changes):
    def make(stored):
        values = json.loads(bytes(stored[QUANT_STATE].numpy())) | changes
        return torch.frombuffer(bytearray(json.dumps(values).encode()), dtype=torch.uint8)

    return make


@pytest.mark.parametrize(
    ("part", "make", "message"),
    [
        (f"{MATRIX}.absmax", lambda stored: None, "it lacks absmax"),
        (f"{MATRIX}.nested_absmax", lambda stored: torch.ones(0), "holds 0 numbers, not 1"),
        (f"{MATRIX}.absmax", lambda stored: stored[f"{MATRIX}.absmax"][:-1], "127 numbers, not 12"),
        (f"{MATRIX}.quant_map", lambda stored: torch.ones(3), "quant_map holds 3 numbers, not 16"),
        (MATRIX, lambda stored: stored[MATRIX][:-1].clone(), "holds 4095 bytes, not 4096"),
        (QUANT_STATE, lambda stored: torch.full((9,), 255, dtype=torch.uint8), "cannot be read"),
        (QUANT_STATE, lambda stored: torch.tensor([91, 93], dtype=torch.uint8), "cannot be read"),
        (QUANT_STATE, state_with(blocksize=0), "a size is not a positive number"),
        (QUANT_STATE, state_with(shape=[64, "128"]), "a size is not a positive number"),
        (QUANT_STATE, state_with(quant_type="fp4"), "not an NF4 matrix with double quantization"),
        (QUANT_STATE, state_with(dtype="load"), "dtype load"),
    ],
)  # fmt: skip
def test_damaged_matrices_are_one_clear_error(copy, part, make, message):
    change(copy, {part: make(load_file(copy / "model.safetensors"))})
    for load in (load_model, load_user_llm, lambda path: load_nf4(ModelFolder(path), CPU)):
        with pytest.raises(CheckpointError, match=message) as error:
            load(copy)
        assert "\n" not in str(error.value)
        assert MATRIX in str(error.value)


def test_a_matrix_of_another_shape_or_without_codes_is_refused(copy):
    stored = load_file(copy / "model.safetensors")
    change(copy, {QUANT_STATE: state_with(shape=[128, 64])(stored)})
    for load in (load_model, lambda path: load_nf4(ModelFolder(path), CPU)):
        with pytest.raises(CheckpointError, match=r"do not fit config\.json"):
            load(copy)
    change(copy, {QUANT_STATE: stored[QUANT_STATE], MATRIX: None})
    with pytest.raises(CheckpointError, match=rf"missing {MATRIX}"):
        load_model(copy)


def test_transformers_is_checked_where_it_does_not_check(copy, _folders, checkpoints, tmp_path):
    convert(**checkpoints["llama"], output=tmp_path / "plain", dtype=torch.bfloat16)
    values = json.loads((copy / "config.json").read_text())
    plain = json.loads((tmp_path / "plain" / "config.json").read_text())
    skipping = QUANTIZATION_CONFIG | {"llm_int8_skip_modules": ["proj"]}  # a suffix of all
    (copy / "config.json").write_text(json.dumps(values | {"quantization_config": skipping}))
    with pytest.raises((CheckpointError, RuntimeError)):
        HLLM.from_pretrained(copy)
    stored = load_file(copy / "model.safetensors")
    (copy / "config.json").write_text(json.dumps(values))
    change(copy, {f"{MATRIX}.absmax": stored[f"{MATRIX}.absmax"][:-1]})
    with pytest.raises(CheckpointError, match="absmax holds 127 numbers, not 128"):
        HLLM.from_pretrained(copy)
    note = {"quantization_config": QUANTIZATION_CONFIG}
    (tmp_path / "plain" / "config.json").write_text(json.dumps(plain | note))
    with pytest.raises(CheckpointError, match="it is not in 4 bits; convert the model again"):
        HLLM.from_pretrained(tmp_path / "plain")


def test_items_in_four_bits_from_a_damaged_folder(copy):
    sound = (copy / "config.json").read_text()
    values = json.loads(sound)
    values["quantization_config"]["load_in_4bit"] = "yes"
    (copy / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match='load_in_4bit is "yes"') as error:
        load_nf4_items(ModelFolder(copy), CPU)
    assert "\n" not in str(error.value)
    (copy / "config.json").write_text(sound)
    change(copy, {QUANT_STATE: torch.tensor([91, 93], dtype=torch.uint8)})
    with pytest.raises(CheckpointError, match="in NF4 is damaged"):
        load_nf4_items(ModelFolder(copy), CPU)
