"""Embed a catalogue: our batches, sentence-transformers' and batches padded to the maximum length.

    python benchmarks/bench_embed.py --items data/games/items.csv [--num-items 2000]

The encoder is the packaged all-MiniLM-L6-v2 with mean pooling in fp32, the same weights for all
three. "sentence-transformers" is SentenceTransformer.encode with its own batch size; "padded" is
what a collator that pads every text to the maximum length does, as the reference's path without
FlashAttention. In turns, so that a busy machine slows all; embeddings must agree.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase

from benchmarks.measure import machine_line, timed
from hllm.config import HLLMConfig
from hllm.data import read_items
from hllm.embed import encode_catalog
from hllm.model import HLLM
from hllm.text import item_text, tokenize
from hllm.weights.packaged import MINILM, pretrained_folder

TEXT_KEYS = ["title", "creator", "description"]
BATCH = 32
TOLERANCE = 1e-4


def our_model(text_keys: list[str], max_tokens: int) -> HLLM:
    """MiniLM as the Item LLM of an HLLM."""
    folder = pretrained_folder(MINILM)
    item_config = AutoConfig.from_pretrained(folder, local_files_only=True)
    width = item_config.hidden_size
    user_config = LlamaConfig(
        vocab_size=1, hidden_size=width, num_hidden_layers=1, num_attention_heads=1
    )
    model = HLLM(
        HLLMConfig(
            item_config,
            user_config,
            item_pooling="mean",
            text_keys=text_keys,
            max_text_tokens=max_tokens,
        )
    )
    weights = AutoModel.from_pretrained(folder, local_files_only=True).state_dict()
    model.item_llm.load_state_dict(weights, strict=False)
    return model.eval()


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
    parser.add_argument("--num-items", type=int, default=2000, help="%(default)s")
    parser.add_argument("--max-tokens", type=int, default=256, help="of a text; %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="%(default)s")
    options = parser.parse_args()
    fields = list(read_items(options.items).values())
    step = max(1, len(fields) // options.num_items)
    texts = [item_text(item, TEXT_KEYS, "") for item in fields[::step]]
    folder = pretrained_folder(MINILM)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # Texts that are cut end differently: sentence-transformers keeps the last special token.
    fitting = [len(t) <= options.max_tokens for t in tokenize(tokenizer, texts, 1 << 20)]
    texts = [text for text, fits in zip(texts, fitting, strict=True) if fits][: options.num_items]
    model = our_model(TEXT_KEYS, options.max_tokens)
    peer = SentenceTransformer(str(folder), local_files_only=True, device="cpu")
    peer.max_seq_length = options.max_tokens
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
    print(f"{'':24}{'items/s':>9}{'tokens/s':>10}{'HLLM Live is':>14}{'difference':>12}")
    ours = statistics.median(seconds["HLLM Live"])
    unit = torch.nn.functional.normalize(vectors["HLLM Live"], dim=-1)
    for name, times in seconds.items():
        median = statistics.median(times)
        other = torch.nn.functional.normalize(vectors[name], dim=-1)
        difference = (unit - other).abs().max().item()
        print(
            f"{name:24}{len(texts) / median:9.1f}{sum(lengths) / median:10.0f}"
            f"{median / ours:13.2f}x{difference:12.1e}"
        )
        if difference > TOLERANCE:
            raise SystemExit(f"{name} computes something else")


if __name__ == "__main__":
    main()
