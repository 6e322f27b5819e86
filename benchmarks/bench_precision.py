"""A click in every precision that this machine runs, at 1.1 billion parameters: time and memory.

    python benchmarks/bench_precision.py [--repeats 15]

A User LLM of TinyLlama-1.1B's shape with random weights; each precision in a process of its own.
"append" is a click on the 50th item with the 49 before it known, "full" the whole history again;
the peer is fp32's full pass, which is what the reference does on every click. "read" is the time to
read as many bytes as the weights have from memory, once; "private" is memory that is not a mapped
file, "peak" includes mapped files.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from transformers import LlamaConfig

from hllm.checkpoint import save_model
from hllm.config import HLLMConfig
from hllm.model import HLLM
from hllm.precision import UserModel, load_user_model

HISTORY = 50
WIDTH = 2048
BITS_OF_WEIGHTS = {"fp32": 32, "bf16": 16, "int8": 9, "int4": 5, "nf4": 4.13}  # with their scales
TINYLLAMA = LlamaConfig(
    vocab_size=1,
    hidden_size=WIDTH,
    intermediate_size=5632,
    num_hidden_layers=22,
    num_attention_heads=32,
    num_key_value_heads=4,
    bos_token_id=None,
    eos_token_id=None,
)
ITEM_LLM = LlamaConfig(
    vocab_size=8,
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=1,
    bos_token_id=None,
    eos_token_id=None,
)


def precisions() -> tuple[str, ...]:
    """What runs here."""
    return (
        ("fp32", "bf16", "nf4") if torch.cuda.is_available() else ("fp32", "bf16", "int8", "int4")
    )


def make_folder(folder: Path) -> None:
    """A model folder of TinyLlama's shape with random weights, in bfloat16."""
    config = HLLMConfig(
        ITEM_LLM, TINYLLAMA, item_adapter="linear", text_keys=["title"], max_history=HISTORY
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    save_model(HLLM(config), folder)
    torch.set_default_dtype(torch.float32)


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call, the first one left out."""
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def status_mib(name: str) -> float:
    """A line of Linux's /proc/self/status."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(x for x in text.splitlines() if x.startswith(name)).split()[1]) / 1024


def speed_of(folder: Path, cache: Path, precision: str, repeats: int) -> None:
    """One line of the table, measured in this process."""
    load_user_model(folder, precision, cache=cache)  # a graph is made once, not at every start
    if precision.startswith("int"):
        sys.stdout.flush()
        if os.environ.get("BENCH_WARM") != "1":  # again, so that making it is not in the memory
            os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"BENCH_WARM": "1"})
    started = time.perf_counter()
    user, _ = load_user_model(folder, precision, cache=cache)
    load_s = time.perf_counter() - started
    items = torch.randn(HISTORY, WIDTH, generator=torch.Generator().manual_seed(1))
    memory, _ = user.steps.extend(None, items)
    append = median_ms(lambda: user.steps.extend(memory[:-1], items[-1:]), repeats)
    full = median_ms(lambda: user.steps.extend(None, items), max(3, repeats // 3))
    private, peak = status_mib("RssAnon"), status_mib("VmHWM")  # before there is a probe
    read = read_ms(user, precision)
    print(
        f"{precision:10}{append:11.1f}{full:10.1f}{read:9.1f}{append / read:13.2f}{load_s:8.1f}"
        f"{private:13,.0f}{peak:10,.0f}",
        flush=True,
    )


def read_ms(user: UserModel, precision: str) -> float:
    """Time to read the weights' bytes once from memory, with all threads: the best of several."""
    count = int(user.num_parameters * BITS_OF_WEIGHTS[precision] / 8)
    block = torch.ones(min(count, 1 << 29) // 4)
    best = min(median_ms(block.sum, 3) for _ in range(3))
    return best * count / (4 * len(block))


def speed(repeats: int) -> None:
    """Print the table of speeds."""
    print(
        f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads,"
        f" load {os.getloadavg()[0]:.1f}, torch {torch.__version__}; history {HISTORY}"
    )
    print(
        f"{'precision':10}{'append ms':>11}{'full ms':>10}{'read ms':>9}{'append/read':>13}"
        f"{'load s':>8}{'private MiB':>13}{'peak MiB':>10}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        make_folder(folder)
        for precision in precisions():
            command = [sys.executable, __file__, "line", str(folder), name, precision]
            subprocess.run([*command, str(repeats)], check=True)


def main() -> None:
    """Command line: see --help."""
    if sys.argv[1:2] == ["line"]:
        folder, cache, precision, repeats = sys.argv[2:]
        speed_of(Path(folder), Path(cache), precision, int(repeats))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="clicks that are timed")
    speed(parser.parse_args().repeats)


if __name__ == "__main__":
    main()
