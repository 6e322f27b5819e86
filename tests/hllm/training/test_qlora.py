"""The base in 4 bits under LoRA matrices: read and rounded tensor by tensor."""

import copy

import bitsandbytes as bnb
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel

from hllm.checkpoint import build_model, save_model
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.training.qlora import Base4bit, load_base, start_from
from hllm.weights.files import iter_packed, write_shards
from hllm.weights.nf4_format import Nf4Spec, TensorSpec
from hllm.weights.packaged import MINILM, pretrained_folder
from tests.fresh_process import printed_by

CPU = torch.device("cpu")
LORA = {"r": 2, "lora_alpha": 4, "target_modules": "all-linear"}
NAME = "layers.1.mlp.up_proj"


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A pretrained Item LLM, stored in bfloat16."""
    # A copy: .to() would round the positions (inv_freq) of the model that tests compare with.
    copy.deepcopy(tiny_model.item_llm).to(torch.bfloat16).save_pretrained(tmp_path / "item")
    return tmp_path / "item"


def with_lora(model, folder):
    """An HLLM with LoRA matrices over the base in a folder."""
    config = HLLMConfig.from_dict(model.config.to_dict() | {"item_lora": LORA})
    item_llm = load_base(folder, config.item_config, CPU, torch.float32)
    return build_model(config, item_llm=item_llm)


def test_four_bit_layer_computes_with_the_weight_that_it_saves():
    torch.manual_seed(0)
    linear = bnb.nn.Linear4bit(64, 32, compute_dtype=torch.float32, quant_type="nf4")
    exact, x = linear.weight.detach().clone(), torch.randn(4, 64, requires_grad=True)
    layer = Base4bit(linear.to("cpu"))
    saved = layer.state_dict()
    assert 0 < (saved["weight"] - exact).abs().max() < 0.2 * exact.abs().max()
    output = layer(x)
    torch.testing.assert_close(output, x @ saved["weight"].T + saved["bias"])
    output.sum().backward()
    torch.testing.assert_close(x.grad[0], saved["weight"].sum(dim=0))
    layer.load_state_dict(saved)
    assert layer.rounded().equal(saved["weight"])


def test_the_base_is_the_stored_one_rounded_once(tiny_model, folder):
    config = tiny_model.config.item_config
    base = load_base(folder, config, CPU, torch.float32)
    stored = load_file(folder / "model.safetensors")
    modules = dict(base.named_modules())
    layers = {name for name, module in modules.items() if isinstance(module, Base4bit)}
    assert len(layers) == 14
    for name, value in base.state_dict().items():
        path = name.rpartition(".")[0]
        if path in layers:
            codes, state = quantize_4bit(
                stored[name].float(), compress_statistics=True, quant_type="nf4"
            )
            assert modules[path].weight.data.equal(codes)
            torch.testing.assert_close(value, dequantize_4bit(codes, state), rtol=0.01, atol=1e-6)
        else:
            assert value.equal(stored[name].float())
    assert not hasattr(config, "quantization_config")  # it is the caller's


def test_it_computes_what_an_ordinary_model_with_its_weights_computes(tiny_model, folder):
    base = load_base(folder, tiny_model.config.item_config, CPU, torch.float32)
    plain = tiny_model.item_llm.float()
    plain.load_state_dict(base.state_dict())
    ids = torch.tensor([[1, 7, 9, 30]])
    with torch.inference_mode():
        states, expected = (m(input_ids=ids).last_hidden_state for m in (base, plain))
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-4)


def test_an_encoder_has_no_pooler():
    folder = pretrained_folder(MINILM)
    config = AutoConfig.from_pretrained(folder)
    base = load_base(folder, config, CPU, torch.float32)
    assert base.pooler is None
    assert sum(isinstance(module, Base4bit) for module in base.modules()) == 36
    plain = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    plain.load_state_dict(base.state_dict())
    ids = torch.tensor([[101, 2009, 102]])
    with torch.inference_mode():
        states, expected = (m.eval()(input_ids=ids).last_hidden_state for m in (base, plain))
    torch.testing.assert_close(states, expected, rtol=1e-3, atol=1e-3)


def test_building_the_whole_model_leaves_the_base_alone(tiny_model, folder):
    base = load_base(folder, tiny_model.config.item_config, CPU, torch.float32)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    model = with_lora(tiny_model, folder)
    after = {n.replace(".base_layer", ""): v for n, v in model.item_llm.state_dict().items()}
    assert all(after[name].equal(value) for name, value in before.items())
    trainable = {n for n, p in model.item_llm.named_parameters() if p.requires_grad}
    assert len(trainable) == 28
    assert all("lora_" in name for name in trainable)


def test_a_folder_without_weights_is_one_clear_error(tiny_model, tmp_path):
    tiny_model.config.item_config.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="does not hold the weights of this language model"):
        load_base(tmp_path, tiny_model.config.item_config, CPU, torch.float32)


@pytest.mark.parametrize("nf4", [True, False], ids=["nf4", "bf16"])
def test_start_from_a_model_without_lora_takes_its_base(make_model, folder, tmp_path, nf4):
    other = make_model(seed=3)
    matrices = other.matrices()
    specs = {
        name: Nf4Spec(tuple(value.shape))
        if nf4 and name in matrices
        else TensorSpec(tuple(value.shape), torch.bfloat16)
        for name, value in other.state_dict().items()
    }
    state = other.state_dict()
    save_model(other, tmp_path / "other")  # config.json
    write_shards(tmp_path / "other", specs, lambda names: (state[name] for name in names))
    model = with_lora(other, folder)
    start_from(model, tmp_path / "other")
    layer = model.item_llm.get_submodule(f"{NAME}.base_layer")
    stored = dict(iter_packed(tmp_path / "other"))[f"item_llm.{NAME}.weight"]
    if nf4:  # as it is
        assert layer.weight.data.equal(stored.codes)
        assert layer.weight.quant_state.absmax.equal(stored.statistics["absmax"])
        assert layer.rounded().equal(stored.dequantize())
    else:
        codes, _ = quantize_4bit(stored, compress_statistics=True, quant_type="nf4")
        assert layer.weight.data.equal(codes)
    norm = model.item_llm.norm.weight
    assert norm.equal(state["item_llm.norm.weight"].bfloat16().to(norm.dtype))
    user = model.user_llm.state_dict()["norm.weight"]
    assert user.equal(state["user_llm.norm.weight"].bfloat16().to(user.dtype))


def test_start_from_a_model_with_lora_takes_both(tiny_model, folder, tmp_path):
    trained = with_lora(tiny_model, folder)
    with torch.no_grad():
        for name, value in trained.named_parameters():
            if "lora_" in name:
                value.normal_()
    save_model(trained, tmp_path / "trained")
    model = with_lora(tiny_model, folder)
    start_from(model, tmp_path / "trained")
    expected = trained.state_dict()
    for name, value in model.state_dict().items():
        if "lora_" in name:
            assert value.equal(expected[name])
        else:  # the values are rounded anew: the scales may move by one step of theirs
            torch.testing.assert_close(value, expected[name], rtol=0.02, atol=1e-5)


def test_start_from_another_size_is_one_clear_error(make_model, folder, tmp_path):
    other = make_model(item_adapter="linear")
    save_model(other, tmp_path / "other")
    state = {**other.state_dict(), "item_adapter.weight": torch.ones(3, 3)}
    specs = {name: TensorSpec(tuple(value.shape), value.dtype) for name, value in state.items()}
    write_shards(tmp_path / "other", specs, lambda names: (state[name] for name in names))
    with pytest.raises(CheckpointError, match=r"item_adapter\.weight is \(3, 3\), not \(32, 32\)"):
        start_from(with_lora(other, folder), tmp_path / "other")


@pytest.mark.slow
def test_the_base_is_never_whole_in_more_bits(tmp_path):
    """400 MB in float32; what a process holds beside mapped files, watched all the time."""
    config = AutoConfig.for_model(
        "llama", vocab_size=259, hidden_size=512, intermediate_size=2048, num_hidden_layers=24,
        num_attention_heads=8,
    )  # fmt: skip
    model = AutoModel.from_config(config)
    size = sum(value.nbytes for value in model.parameters())
    model.save_pretrained(tmp_path)
    program = f"""
        import threading, time
        import torch
        from bitsandbytes.functional import quantize_4bit
        from transformers import AutoConfig
        from hllm.training.qlora import load_base
        config = AutoConfig.from_pretrained({str(tmp_path)!r})
        def held():
            lines = open("/proc/self/status").read().splitlines()
            return int(next(line for line in lines if "RssAnon" in line).split()[1]) * 1024
        quantize_4bit(torch.ones(2048, 512), compress_statistics=True, quant_type="nf4")
        peak, before, done = 0, held(), False
        def watch():
            global peak
            while not done:
                peak = max(peak, held())
                time.sleep(0.002)
        thread = threading.Thread(target=watch)
        thread.start()
        load_base({str(tmp_path)!r}, config, torch.device("cpu"), torch.float32)
        done = True
        thread.join()
        print(peak - before)
    """
    peak = int(printed_by(program))
    print(f"{size / 1e6:.0f} MB in float32, at most {peak / 1e6:.0f} MB held")
    assert peak < 0.3 * size
