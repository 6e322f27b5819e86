"""Embed a catalogue: our batches, sentence-transformers' and batches padded to the maximum length.

    python benchmarks/bench_embed.py --items data/games/items.csv --encoder SmolLM2-135M-Instruct

The encoder is a packaged one (all-MiniLM-L6-v2 or SmolLM2-135M) with mean pooling in fp32, the same
weights for all three. "sentence-transformers" is SentenceTransformer.encode with its own batch
size; "padded" is what a collator that pads every text to the maximum length does, as the
reference's path without FlashAttention. In turns, so that a busy machine slows all; embeddings must
agree. "of the matrices" is the share of the speed at which the model's own matrices are multiplied
with 2,048 tokens at once and nothing else is done; padding and attention count as time, not work.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from benchmarks.measure import machine_line, median_ms, timed
from hllm.checkpoint import build_model
from hllm.data import read_items
from hllm.embed import encode_catalog
from hllm.model import HLLM
from hllm.schema.tokenizers import read_tokenizer
from hllm.text import item_text, tokenize
from hllm.training.model_config import make_config
from hllm.training.options import ModelOptions
from hllm.weights.packaged import MINILM, SMOLLM2, language_model_folder

TEXT_KEYS = ["title", "creator", "description"]
BATCH = 32
TOKENS = 2048
ENCODERS = {MINILM: 384, SMOLLM2: 576}  # and how wide they are
TOLERANCE = 1e-4


def our_model(encoder: str, text_keys: list[str], max_tokens: int) -> HLLM:
    """A packaged encoder as the Item LLM of an HLLM."""
    options = ModelOptions(
        item_llm=encoder,
        text_keys=text_keys,
        item_prompt="",
        max_text_tokens=max_tokens,
        item_adapter="none",
        user_size=ENCODERS[encoder],
        user_layers=1,
        user_heads=1,
    )
    return build_model(make_config(options), item_weights=options.item_folder).eval()


def peer_model(
    model: HLLM, tokenizer: PreTrainedTokenizerBase, folder: str, max_tokens: int
) -> SentenceTransformer:
    """The same encoder as sentence-transformers opens it, from a folder of transformers' files."""
    model.item_llm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    encoder = Transformer(folder, max_seq_length=max_tokens)
    pooling = Pooling(encoder.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[encoder, pooling], device="cpu", trust_remote_code=False)


def matrices_flops(model: HLLM) -> tuple[float, float]:
    """Operations for one token in the matrices, and operations a second if nothing else is done."""
    weights = [m.weight for m in model.item_llm.modules() if isinstance(m, torch.nn.Linear)]
    per_token = 2.0 * sum(weight.numel() for weight in weights)
    inputs = {width: torch.randn(TOKENS, width) for width in {w.shape[1] for w in weights}}

    def multiply() -> None:
        for weight in weights:
            torch.nn.functional.linear(inputs[weight.shape[1]], weight)

    return per_token, TOKENS * per_token / (median_ms(multiply, 3) / 1e3)


def padded_states(model: HLLM, token_ids: Sequence[Sequence[int]], width: int) -> Tensor:
    """Mean states (N, H) of texts that are all padded to the maximum length."""
    ids = torch.zeros(len(token_ids), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(token_ids):
        ids[row, : len(tokens)] = torch.as_tensor(tokens)
        mask[row, : len(tokens)] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    states = model.item_llm(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp_min(1)


@torch.inference_mode()
def padded(
    model: HLLM, tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int
) -> Tensor:
    """Batches in the order given, every text padded to the maximum length."""
    parts = [
        padded_states(model, tokenize(tokenizer, texts[i : i + BATCH], max_tokens), max_tokens)
        for i in range(0, len(texts), BATCH)
    ]
    return torch.cat(parts)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True, help="items.csv")
    parser.add_argument("--encoder", choices=list(ENCODERS), default=MINILM, help="%(default)s")
    parser.add_argument("--num-items", type=int, default=2000, help="%(default)s")
    parser.add_argument("--max-tokens", type=int, default=256, help="of a text; %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="%(default)s")
    options = parser.parse_args()
    fields = list(read_items(options.items).values())
    step = max(1, len(fields) // options.num_items)
    texts = [item_text(item, TEXT_KEYS, "") for item in fields[::step]]
    model = our_model(options.encoder, TEXT_KEYS, options.max_tokens)
    folder = language_model_folder(options.encoder)
    tokenizer = read_tokenizer(folder, model.config.item_config.vocab_size)
    # Texts that are cut end differently: sentence-transformers keeps the last special token.
    fitting = [len(t) <= options.max_tokens for t in tokenize(tokenizer, texts, 1 << 20)]
    texts = [text for text, fits in zip(texts, fitting, strict=True) if fits][: options.num_items]
    with TemporaryDirectory() as place:
        peer = peer_model(model, tokenizer, place, options.max_tokens)
    runs: dict[str, Callable[[], Tensor]] = {
        "HLLM Live": lambda: encode_catalog(model, tokenizer, texts, progress=False),
        "sentence-transformers": lambda: peer.encode(texts, convert_to_tensor=True),
        "padded": lambda: padded(model, tokenizer, texts, options.max_tokens),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    vectors = {}
    for _ in range(options.repeats):
        for name, call in runs.items():
            taken, vectors[name] = timed(call)
            seconds[name].append(taken)
    lengths = [len(tokens) for tokens in tokenize(tokenizer, texts, options.max_tokens)]
    print(machine_line())
    print(
        f"{len(texts)} texts of {options.items}, {statistics.mean(lengths):.0f} tokens on average, "
        f"at most {options.max_tokens}"
    )
    work, speed = matrices_flops(model)
    print(f"matrices alone: {speed / 1e9:.0f} GFLOP/s, {speed / work:.0f} tokens/s")
    print(
        f"{'':24}{'items/s':>9}{'tokens/s':>10}{'of the matrices':>17}{'HLLM Live is':>14}"
        f"{'difference':>12}"
    )
    ours = statistics.median(seconds["HLLM Live"])
    unit = torch.nn.functional.normalize(vectors["HLLM Live"], dim=-1)
    for name, times in seconds.items():
        median = statistics.median(times)
        other = torch.nn.functional.normalize(vectors[name], dim=-1)
        difference = (unit - other).abs().max().item()
        print(
            f"{name:24}{len(texts) / median:9.1f}{sum(lengths) / median:10.0f}"
            f"{sum(lengths) * work / median / speed:17.0%}"
            f"{median / ours:13.2f}x{difference:12.1e}"
        )
        if difference > TOLERANCE:
            raise SystemExit(f"{name} computes something else")


if __name__ == "__main__":
    main()
