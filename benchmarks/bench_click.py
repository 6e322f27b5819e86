"""Time a click, with the cache of history prefixes and by reading the whole history again.

    python benchmarks/bench_click.py [--shape books|tinyllama] [--repeats 5] [--clock wall|cpu]

Random weights in fp32: the time does not depend on them. At each history length one item is
appended to a history whose beginning is known ("append"), and the same history is encoded in one
pass without a cache ("full"), in turns, so that a busy machine slows both. The last lines are
sessions that go on beyond max_history: with the next window read while the visitor reads ("read
time" between clicks), without it, and with a stride.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.measure import CLOCKS, machine_line, timed
from benchmarks.shapes import USER_LLMS, new_user_llm
from hllm.serving.history_encoder import CACHE_BYTES, HistoryEncoder
from hllm.serving.incremental import TransformersIncremental

MAX_HISTORY = 50
LENGTHS = (1, 2, 5, 10, 20, 30, 40, 50)
NUM_ITEMS = 2_000
TOLERANCE = 1e-4


class Clicks:
    """Histories that nobody had before, encoded in both ways."""

    def __init__(self, user_llm: PreTrainedModel, clock: str, seed: int = 3) -> None:
        self._clock = clock
        self.steps = TransformersIncremental(user_llm, MAX_HISTORY)
        self._user_llm = user_llm
        self._random = torch.Generator().manual_seed(seed)
        width = user_llm.config.hidden_size
        self.items = torch.randn(NUM_ITEMS, width, generator=self._random)
        self.worst = 0.0

    def history(self, length: int) -> list[int]:
        """Random rows."""
        return torch.randint(NUM_ITEMS, (length,), generator=self._random).tolist()

    def encoder(self, *, stride: int = 1, prepare: bool = False) -> HistoryEncoder:
        """One with an empty cache."""
        return HistoryEncoder(
            self.steps, self.items, max_history=MAX_HISTORY, stride=stride, prepare=prepare
        )

    @torch.inference_mode()
    def full(self, rows: list[int]) -> Tensor:
        """What the reference does on every click."""
        recent = self.items[rows[-MAX_HISTORY:]].unsqueeze(0)
        return self._user_llm(inputs_embeds=recent, use_cache=False).last_hidden_state[0, -1]

    def pair(self, encoder: HistoryEncoder, length: int) -> tuple[float, float]:
        """Milliseconds of an append and of a full pass, for one new history."""
        rows = self.history(length)
        if length > 1:
            encoder.encode(rows[:-1])
        append, found = timed(partial(encoder.encode, rows), self._clock)
        full, expected = timed(partial(self.full, rows), self._clock)
        self.worst = max(self.worst, (found - expected).abs().max().item())
        return append * 1e3, full * 1e3

    def session(self, encoder: HistoryEncoder, clicks: int, think_s: float | None) -> list[float]:
        """Milliseconds of each click beyond max_history; None: as long as it takes to prepare."""
        rows, times = self.history(MAX_HISTORY), []
        encoder.encode(rows)
        for _ in range(clicks):
            if think_s is None:
                encoder.wait_until_prepared()
            else:
                time.sleep(think_s)
            rows = rows + self.history(1)
            times.append(timed(partial(encoder.encode, rows), self._clock)[0] * 1e3)
        encoder.wait_until_prepared()
        return times


def lengths_table(clicks: Clicks, lengths: Sequence[int], repeats: int) -> Iterator[str]:
    """Lines of the first table."""
    yield f"{'history':>8}{'append ms':>12}{'full ms':>10}{'ratio':>8}"
    encoder = clicks.encoder()
    for length in lengths:
        clicks.pair(encoder, length)  # warm
        pairs = [clicks.pair(encoder, length) for _ in range(repeats)]
        append, full = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(full / append for append, full in pairs)
        yield f"{length:8}{append:12.2f}{full:10.2f}{ratio:8.1f}"


def sessions_table(clicks: Clicks, num_clicks: int) -> Iterator[str]:
    """Lines of the second table."""
    yield f"{num_clicks} clicks beyond {MAX_HISTORY} items{'median ms':>24}{'mean':>9}{'worst':>9}"
    kinds = (
        ("prepared, any read time", clicks.encoder(prepare=True), None),
        ("prepared, 0.5 s read time", clicks.encoder(prepare=True), 0.5),
        ("prepared, no read time", clicks.encoder(prepare=True), 0.0),
        ("not prepared", clicks.encoder(), 0.0),
        ("not prepared, stride 10", clicks.encoder(stride=10), 0.0),
    )
    for name, encoder, think_s in kinds:
        times = clicks.session(encoder, num_clicks, think_s)
        yield (
            f"{name:40}{statistics.median(times):10.2f}{statistics.mean(times):9.2f}"
            f"{max(times):9.2f}"
        )


def main(argv: list[str] | None = None) -> int:
    """Time, print; 1 if an answer is not the full pass's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=USER_LLMS, default="books", help="of the User LLM")
    parser.add_argument("--repeats", type=int, default=5, help="pairs per history length")
    parser.add_argument("--clicks", type=int, default=20, help="of each long session; 0: none")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="of histories")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: on a machine that does other things; sets one thread",
    )
    args = parser.parse_args(argv)
    if args.clock == "cpu":
        torch.set_num_threads(1)
    print(machine_line(f"{args.clock} clock"), flush=True)
    clicks = Clicks(new_user_llm(USER_LLMS[args.shape]), args.clock)
    for line in lengths_table(clicks, args.lengths, args.repeats):
        print(line, flush=True)
    if args.clicks:
        for line in sessions_table(clicks, args.clicks):
            print(line, flush=True)
    memory = psutil.Process().memory_info().rss / 2**20
    print(
        f"largest difference to the full pass {clicks.worst:.1e}; {memory:,.0f} MiB resident; "
        f"cache bounded to {CACHE_BYTES / 2**20:.0f} MiB"
    )
    return 1 if clicks.worst > TOLERANCE else 0


if __name__ == "__main__":
    sys.exit(main())
