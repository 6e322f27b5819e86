"""Converting takes no more memory for a larger model."""

import json
import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from hllm.checkpoint import load_user_llm
from tests.hllm.reference_layout import LLAMA, TINYLLAMA, make_state


def test_memory_does_not_grow_with_the_checkpoint(tmp_path, tokenizer):
    """A fresh process, since the peak is a process's; 170 MB of weights in shards of 10 MB."""
    config = LLAMA | {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6,
                      "num_attention_heads": 8}  # fmt: skip
    measure_conversion(tmp_path, tokenizer, config, torch.float32, shard_mb=10, limit_mb=80)


@pytest.mark.slow
def test_full_size_tinyllama(tmp_path, tokenizer):
    """The published 1B layout with random weights; needs 9 GB of disk."""
    measure_conversion(tmp_path, tokenizer, TINYLLAMA, torch.bfloat16, shard_mb=2000,
                       limit_mb=3000)  # fmt: skip


def measure_conversion(tmp_path, tokenizer, config, dtype, shard_mb, limit_mb):
    base = tmp_path / "base"
    tokenizer.save_pretrained(base)
    (base / "config.json").write_text(json.dumps(config))
    weights = tmp_path / "pytorch_model.bin"
    torch.save(make_state(config, config, dtype), weights)
    program = f"""
        import resource, time
        from pathlib import Path
        from hllm.convert import PRESETS, convert
        def peak():
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if "VmHWM" in line).split()[1])
        before, start = peak(), time.perf_counter()
        convert({str(weights)!r}, {str(tmp_path / "model")!r}, PRESETS["HLLM-1B-Books"],
                item_base={str(base)!r}, shard_bytes={shard_mb} * 10**6)
        print((peak() - before) // 1000, round(time.perf_counter() - start, 1))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    megabytes, seconds = map(float, done.stdout.split())
    size = weights.stat().st_size / 1e6
    print(f"{size:.0f} MB converted in {seconds} s, {megabytes:.0f} MB on top of the start")
    assert megabytes < limit_mb < size
    start = time.perf_counter()
    user_llm, _ = load_user_llm(tmp_path / "model")
    print(f"User LLM loaded in {time.perf_counter() - start:.1f} s, "
          f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")  # fmt: skip
    state = torch.load(weights, weights_only=True, mmap=True)
    last = f"layers.{config['num_hidden_layers'] - 1}.mlp.down_proj.weight"
    stored = state[f"user_llm.model.{last}"].float()
    assert torch.equal(user_llm.state_dict()[last], stored)
