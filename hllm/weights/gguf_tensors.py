"""The weights of a Llama in a GGUF file, under transformers' names and in float32.

llama.cpp's converter swaps the rows of the query and key matrices, because its RoPE turns
neighbouring numbers where transformers turns numbers half a head apart; here they are swapped back.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hllm.errors import CheckpointError
from hllm.schema.gguf_header import GgufHeader, TensorPlace, read_gguf

_WHOLE = {
    "token_embd.weight": "embed_tokens.weight",
    "output_norm.weight": "norm.weight",
    "output.weight": "lm_head.weight",
}
_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# Which matrices have swapped rows, and where it says how many heads they are of.
_HEADS = {"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"}
_LAYER = re.compile(r"blk\.(\d{1,4})\.(\w+)\.weight")


class GgufTensors:
    """The tensors of a GGUF file, read and dequantized when they are asked for.

    Has the methods of an open safetensors file that hllm.weights.files uses.

    Args:
        path: of the file.

    Raises:
        CheckpointError: damaged, or it holds a tensor that no Llama has.
    """

    def __init__(self, path: Path) -> None:
        self._header = read_gguf(path)
        self._places = {_name(self._header, n): (n, p) for n, p in self._header.tensors.items()}

    def keys(self) -> list[str]:
        """Names of the tensors, as in transformers' LlamaModel."""
        return list(self._places)

    def get_slice(self, name: str) -> "_Slice":
        """Shape of a tensor, without reading it."""
        return _Slice(self._places[name][1].shape)

    def get_tensor(self, name: str) -> Tensor:
        """A tensor's values, float32."""
        own_name, place = self._places[name]
        values = _dequantize(self._header.path, place)
        for part, key in _HEADS.items():
            if f".{part}." in own_name:
                return _unswapped(values, self._header.metadata.get(key), self._header.path)
        return values


class _Slice:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def get_shape(self) -> list[int]:
        return list(self._shape)


def _name(header: GgufHeader, name: str) -> str:
    if name in _WHOLE:
        return _WHOLE[name]
    layer = _LAYER.fullmatch(name)
    if layer is None or layer[2] not in _PARTS:
        raise CheckpointError(
            f"{header.path} holds {name[:80]!r}, which is not read here: give a folder with "
            "config.json and safetensors instead."
        )
    return f"layers.{int(layer[1])}.{_PARTS[layer[2]]}.weight"


def _dequantize(path: Path, place: TensorPlace) -> Tensor:
    with path.open("rb") as file:
        file.seek(place.start)
        data = np.fromfile(file, np.uint8, place.num_bytes)
    kind = place.kind.name
    if kind in ("F32", "F16"):
        values: Any = data.view("<f4" if kind == "F32" else "<f2").astype(np.float32)
    else:
        blocks = data.reshape(-1, place.kind.num_bytes)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32)  # (blocks, 1)
        if kind == "Q8_0":
            values = scales * blocks[:, 2:].view(np.int8)
        else:  # Q4_1: the low halves of the bytes are the first 16 numbers
            least = blocks[:, 2:4].copy().view("<f2").astype(np.float32)
            codes = blocks[:, 4:]
            values = scales * np.concatenate([codes & 15, codes >> 4], axis=1) + least
    return torch.from_numpy(values.reshape(place.shape))


def _unswapped(values: Tensor, heads: Any, path: Path) -> Tensor:
    """Rows (heads, half a head, 2) in the order (heads, 2, half a head)."""
    if type(heads) is not int or heads < 1 or len(values) % (2 * heads):
        raise CheckpointError(f"{path}: its heads do not fit its weights: copy the original file.")
    return values.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(values.shape)
