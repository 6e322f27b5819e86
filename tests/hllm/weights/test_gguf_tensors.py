"""Weights of a GGUF: the numbers of llama.cpp's package, the logits of transformers."""

import gguf
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from hllm.errors import CheckpointError, MissingWeightsError
from hllm.schema.gguf_header import gguf_in
from hllm.schema.language_model import read_language_model
from hllm.schema.tokenizers import read_tokenizer
from hllm.weights.files import iter_tensors, read_shapes
from hllm.weights.gguf_tensors import GgufTensors
from hllm.weights.packaged import SMOLLM2, pretrained_folder
from tests.hllm.gguf_files import SIZES, tiny_llama, write_gguf

TEXT = (
    "Foundation is a series of science fiction books by the American author Isaac Asimov. It tells "
    "of the mathematician Hari Seldon, who predicts the fall of the Galactic Empire."
)


@torch.no_grad()
def loaded(folder):
    """A causal language model with the weights of a folder, read by our own code."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**read_language_model(folder)))
    own = model.state_dict()
    for name, value in iter_tensors(folder):
        own[f"model.{name}"].copy_(value)
    return model.eval()


def oracle_of(folder):
    """The same by transformers' own code."""
    name = gguf_in(folder).name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    return model.eval()


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1"])
def test_every_kind_of_numbers_is_read_as_llama_cpp_reads_it(tmp_path, kind):
    path = write_gguf(tmp_path / "tiny.gguf", kind=kind)
    own = GgufTensors(path)
    for tensor in gguf.GGUFReader(path).tensors:
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            continue  # their rows are in another order: see the logits
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        (name,) = [n for n, (stored, _) in own._places.items() if stored == tensor.name]
        assert torch.equal(own.get_tensor(name), torch.from_numpy(expected.copy()).float())


def test_float32_gives_the_very_weights_back(tmp_path):
    model = tiny_llama()
    write_gguf(tmp_path / "tiny.gguf", model, kind="F32")
    found = dict(iter_tensors(tmp_path))
    expected = model.model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert read_shapes(tmp_path) == {name: tuple(v.shape) for name, v in expected.items()}


def test_logits_are_those_of_transformers(tmp_path):
    write_gguf(tmp_path / "tiny.gguf")
    oracle = oracle_of(tmp_path)
    ids = torch.arange(3, 40).unsqueeze(0)
    with torch.inference_mode():
        torch.testing.assert_close(
            loaded(tmp_path)(ids).logits, oracle(ids).logits, atol=1e-5, rtol=1e-5
        )


def smollm2():
    try:
        return pretrained_folder(SMOLLM2)
    except MissingWeightsError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_the_real_weights_are_those_of_transformers_and_know_english():
    folder = smollm2()
    model, tokenizer = loaded(folder), read_tokenizer(folder, 49_152)
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    with torch.inference_mode():
        own = model(ids, labels=ids)
        assert own.loss.exp() < 40  # 49,152 of a model that knows nothing
        logits = oracle_of(folder)(ids).logits
    torch.testing.assert_close(own.logits, logits, atol=1e-4, rtol=1e-4)


def test_the_real_file_has_the_layout_that_is_read():
    shapes = read_shapes(smollm2())
    assert len(shapes) == 272
    assert shapes["embed_tokens.weight"] == (49_152, 576)
    assert shapes["layers.29.self_attn.k_proj.weight"] == (192, 576)


@pytest.mark.parametrize("heads", [0, 7, 10**6])
def test_heads_that_do_not_fit_are_one_clear_error(tmp_path, heads):
    path = write_gguf(tmp_path / "tiny.gguf", metadata={"llama.attention.head_count": heads})
    with pytest.raises(CheckpointError, match="heads do not fit"):
        GgufTensors(path).get_tensor("layers.0.self_attn.q_proj.weight")


def test_a_tensor_that_no_llama_has_is_refused(tmp_path):
    path = write_gguf(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes().replace(b"blk.1.attn_q.weight", b"blk.1.ssm_in.weight"))
    with pytest.raises(CheckpointError, match=r"holds 'blk.1.ssm_in.weight', which is not read"):
        GgufTensors(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    model = tiny_llama()
    with torch.no_grad():
        model.model.norm.weight[3] = float("nan")
    write_gguf(tmp_path / "tiny.gguf", model)
    with pytest.raises(CheckpointError, match="not finite"):
        list(iter_tensors(tmp_path))
    assert SIZES["num_hidden_layers"] == 3
