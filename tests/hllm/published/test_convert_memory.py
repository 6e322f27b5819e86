"""Converting takes no more memory for a larger model."""

import json
import resource
import time

import pytest
import torch

from hllm.checkpoint import load_user_llm
from hllm.weights.files import iter_packed
from tests.fresh_process import printed_by
from tests.hllm.published.reference_states import LLAMA, TINYLLAMA, make_state


@pytest.mark.slow
def test_memory_does_not_grow_with_the_checkpoint(tmp_path, tokenizer):
    """A fresh process, since the peak is a process's; 170 MB of weights in shards of 10 MB."""
    config = LLAMA | {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6,
                      "num_attention_heads": 8}  # fmt: skip
    make_checkpoint(tmp_path, tokenizer, config, torch.float32)
    convert(tmp_path, "", shard_mb=10, limit_mb=80)
    # Most of it is what bitsandbytes' first call takes; a model of 12 layers takes no more.
    model = convert(tmp_path, "nf4=True", shard_mb=10, limit_mb=160)
    assert size_of(model) < 0.15 * size_of(tmp_path / "pytorch_model.bin")


@pytest.mark.slow
def test_full_size_tinyllama(tmp_path, tokenizer):
    """The published 1B layout with random weights; needs 10 GB of disk."""
    make_checkpoint(tmp_path, tokenizer, TINYLLAMA, torch.bfloat16)
    model = convert(tmp_path, "nf4=True", shard_mb=2000, limit_mb=1000)
    assert size_of(model) < 2e9
    last = "user_llm.layers.21.mlp.down_proj.weight"
    rounded = dict(iter_packed(model, last))[last].dequantize()
    model = convert(tmp_path, "", shard_mb=2000, limit_mb=1000)
    start = time.perf_counter()
    user_llm = load_user_llm(model)
    print(f"User LLM loaded in {time.perf_counter() - start:.1f} s, "
          f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")  # fmt: skip
    state = torch.load(tmp_path / "pytorch_model.bin", weights_only=True, mmap=True)
    stored = state[last.replace("user_llm", "user_llm.model")].float()
    assert torch.equal(user_llm.state_dict()[last.removeprefix("user_llm.")], stored)
    assert torch.cosine_similarity(rounded.float().flatten(), stored.flatten(), dim=0) > 0.99


def make_checkpoint(folder, tokenizer, config, dtype):
    tokenizer.save_pretrained(folder / "base")
    (folder / "base" / "config.json").write_text(json.dumps(config))
    torch.save(make_state(config, config, dtype), folder / "pytorch_model.bin")


def convert(folder, options, shard_mb, limit_mb):
    """Convert in a process of its own and check what it took."""
    weights, model = folder / "pytorch_model.bin", folder / f"model {options}"
    program = f"""
        import time
        from pathlib import Path
        import bitsandbytes
        from hllm.published.convert import convert
        from hllm.published.sources import PUBLISHED
        def peak():
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if "VmHWM" in line).split()[1])
        before, start = peak(), time.perf_counter()
        convert({str(weights)!r}, {str(model)!r}, PUBLISHED["HLLM-1B-Books"],
                item_base={str(folder / "base")!r}, shard_bytes={shard_mb} * 10**6, {options})
        print((peak() - before) // 1000, round(time.perf_counter() - start, 1))
    """
    megabytes, seconds = map(float, printed_by(program).split())
    print(f"{size_of(weights) / 1e6:.0f} MB converted to {size_of(model) / 1e6:.0f} MB in "
          f"{seconds} s, {megabytes:.0f} MB on top of the start")  # fmt: skip
    assert megabytes < limit_mb < size_of(weights) / 1e6
    return model


def size_of(path):
    """Bytes of a file, or of a folder's weights."""
    files = path.glob("*.safetensors") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
