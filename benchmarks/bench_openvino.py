"""A click at 1.1 billion parameters in 4 bits: OpenVINO beside ONNX Runtime, in turns.

    pip install openvino nncf
    python benchmarks/bench_openvino.py [--repeats 15] [--rounds 3]

The same random weights (benchmarks.bench_precision), symmetric 4-bit codes in blocks of 128 in
both; OpenVINO's by nncf.compress_weights. "cosine" is of the states of a whole history to the
model's in fp32.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nncf
import openvino
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from benchmarks.measure import machine_line, median_ms
from benchmarks.shapes import TINYLLAMA, make_folder
from hllm.checkpoint import load_user_llm
from hllm.model_folder import ModelFolder
from hllm.serving.incremental import TransformersIncremental
from hllm.serving.quantize import ONNX_BLOCK
from hllm.serving.user_model import load_user_model

HISTORY = 50
WIDTH = TINYLLAMA.hidden_size
NAMES = ("ONNX Runtime", "OpenVINO")


class ExplicitPast(nn.Module):
    """A Llama whose past is an input and not a cache object, which OpenVINO's tracer needs.

    P items of the past, S new ones, D width.
    """

    def __init__(self, llama: PreTrainedModel) -> None:
        super().__init__()
        self.llama = llama
        config = llama.config
        self.shape = (config.num_key_value_heads, config.head_dim)
        self.shared = config.num_attention_heads // config.num_key_value_heads
        cos, sin = llama.rotary_emb(torch.zeros(1), torch.arange(2 * HISTORY).unsqueeze(0))
        self.register_buffer("cos", cos[0])
        self.register_buffer("sin", sin[0])

    def forward(self, items: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(1, S, D), (2 layers, heads, P, width) -> states (1, S, D), keys and values of the new.

        The items' keys and values are (2 layers, heads, S, width).
        """
        before = past.shape[2]
        places = torch.arange(before, before + items.shape[1])
        visible = torch.arange(before + items.shape[1]).unsqueeze(0) <= places.unsqueeze(1)
        turns = (self.cos[places].unsqueeze(0), self.sin[places].unsqueeze(0))
        new: list[Tensor] = []
        for number, layer in enumerate(self.llama.layers):
            attention, normed = layer.self_attn, layer.input_layernorm(items)
            query, key, value = (
                project(normed).unflatten(2, (-1, self.shape[1])).transpose(1, 2)
                for project in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            query, key = apply_rotary_pos_emb(query, key, *turns)
            new += [key[0], value[0]]
            keys, values = (
                torch.cat([past[row].unsqueeze(0), own], 2).repeat_interleave(self.shared, 1)
                for row, own in ((2 * number, key), (2 * number + 1, value))
            )
            mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=visible)
            items = items + attention.o_proj(mixed.transpose(1, 2).flatten(2))
            items = items + layer.mlp(layer.post_attention_layernorm(items))
        return self.llama.norm(items), torch.stack(new)


def compile_openvino(llama: PreTrainedModel, folder: Path) -> Any:
    """Convert, compress, write, and open from the file, as a server would."""
    config = llama.config
    shape = [2 * config.num_hidden_layers, config.num_key_value_heads, -1, config.head_dim]
    example = (torch.zeros(1, 3, WIDTH), torch.zeros(shape[0], shape[1], 2, shape[3]))
    with torch.no_grad():
        model = openvino.convert_model(ExplicitPast(llama), example_input=example)
    model.reshape({0: [1, -1, WIDTH], 1: shape})
    small = nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode.INT4_SYM,
        group_size=ONNX_BLOCK,
        ratio=1.0,
        all_layers=True,
        ignored_scope=nncf.IgnoredScope(types=["Gather"]),  # the tables of cosines and sines
    )
    openvino.save_model(small, folder / "model.xml")
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    return openvino.Core().compile_model(folder / "model.xml", "CPU", options)


def compare(repeats: int, rounds: int) -> None:
    """Print a line for each runtime and round."""
    items = torch.randn(HISTORY, WIDTH, generator=torch.Generator().manual_seed(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_folder(folder / "model")
        llama = load_user_llm(folder / "model")
        llama.eval()
        memory, expected = TransformersIncremental(
            llama, ModelFolder(folder / "model").config.max_history
        ).extend(None, items)
        layers = (2 * llama.config.num_hidden_layers, llama.config.num_key_value_heads, -1)
        past = memory[:-1].unflatten(1, (*layers[:2], llama.config.head_dim))
        past = past.permute(1, 2, 0, 3).contiguous()
        started = time.perf_counter()
        request = compile_openvino(llama, folder).create_infer_request()
        print(f"converting to OpenVINO took {time.perf_counter() - started:.0f} s")
        del llama
        steps = load_user_model(folder / "model", "int4", cache=folder).steps

        def click(new: Tensor, before: Tensor) -> Tensor:
            inputs = [new.unsqueeze(0).numpy(), before.numpy()]
            return torch.from_numpy(request.infer(inputs, share_inputs=True)[0][0])

        calls = {
            NAMES[0]: (
                lambda: steps.extend(memory[:-1], items[-1:])[1],
                lambda: steps.extend(None, items)[1],
            ),
            NAMES[1]: (lambda: click(items[-1:], past), lambda: click(items, past[:, :, :0])),
        }
        print(f"{'':14}{'append ms':>11}{'full ms':>9}{'cosine':>8}")
        for _ in range(rounds):
            for runtime, (append, full) in calls.items():
                cosine = torch.cosine_similarity(full(), expected).mean().item()
                times = median_ms(append, repeats), median_ms(full, max(3, repeats // 3))
                print(f"{runtime:14}{times[0]:11.1f}{times[1]:9.1f}{cosine:8.3f}", flush=True)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="clicks that are timed")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each runtime")
    options = parser.parse_args()
    print(machine_line())
    compare(options.repeats, options.rounds)


if __name__ == "__main__":
    main()
