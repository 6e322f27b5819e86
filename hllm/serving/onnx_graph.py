"""A Llama-shaped language model as an ONNX graph with 4-bit or 8-bit weights and a KV cache.

Built node by node instead of traced: the fast kernels (com.microsoft's MatMulNBits and
GroupQueryAttention) are not torch operators. Written tensor by tensor, so that a model that does
not fit into memory in fp32 can be exported.

B histories, P_b known items of history b, P the largest P_b, S new items, D width.
Inputs: embeddings (B, S, D) float32, last (B,) int32 = P_b + S - 1, total () int32 = P + S, and for
each layer i key_i, value_i (B, heads, P, width) float32; those of history b fill the first P_b
places. Outputs: states (B, S, D) and new_key_i, new_value_i (B, heads, P + S, width), in which the
new items follow the P_b known ones. B > 1 works with S = 1 only.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor
from transformers import LlamaConfig, PretrainedConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from hllm.errors import CheckpointError
from hllm.serving.quantize import block_size, quantize_blocks

FAST = "com.microsoft"
WEIGHTS_FILE = "weights.bin"
WORDS_FILE = "words.npy"
_WORDS = "embed_tokens.weight"
_REMEDY = "restore its weights or convert it again"
_ALIGNMENT = 4096  # external data is mapped page by page
_INT8_ACTIVATIONS = 4  # accuracy_level of MatMulNBits: products of integers, several times faster
_TYPES = {torch.float32: TensorProto.FLOAT, torch.uint8: TensorProto.UINT8}


def export_llama(
    tensors: Iterable[tuple[str, Tensor]],
    config: PretrainedConfig,
    folder: Path,
    *,
    bits: int,
    max_length: int,
    with_words: bool = False,
) -> Path:
    """Write the graph and its weights.

    Args:
        tensors: names as in transformers' LlamaModel, and values; read once, one at a time.
        config: of the model; see hllm.serving.precision.fits_few_bits.
        folder: an existing, empty one.
        bits: of the weights of all matrices: 4 or 8.
        max_length: most items or tokens that will be read.
        with_words: also write the word embeddings (V, D) float32, as WORDS_FILE.

    Returns:
        The path of the graph.

    Raises:
        CheckpointError: a tensor that the model needs is not among them.
    """
    with (folder / WEIGHTS_FILE).open("wb") as file:
        graph = _Graph(file)
        for name, tensor in tensors:
            if tensor.ndim == 1:  # norms, which take next to no room
                graph.constant(name, tensor.float())
            elif name != _WORDS:  # the graph reads embeddings, no words
                graph.matrix(name, tensor, bits)
            elif with_words:
                _save_words(folder / WORDS_FILE, tensor.float().contiguous().numpy())
                with_words = False
        _rope_tables(graph, config, max_length)
        nodes = list(_nodes(config, bits))
    _check_complete(graph, nodes, config)
    if with_words:
        raise CheckpointError(f"the language model lacks {_WORDS}: {_REMEDY}")
    model = helper.make_model(
        helper.make_graph(nodes, "user_llm", _inputs(config), _outputs(config), graph.initializers),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(FAST, 1)],
        ir_version=10,  # the newest that onnx writes may be too new for onnxruntime
    )
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def _save_words(path: Path, words: np.ndarray) -> None:
    # Not np.save, whose error on a full disk does not say that it is full.
    with path.open("wb") as file:
        layout = np.lib.format.header_data_from_array_1_0(words)
        np.lib.format.write_array_header_1_0(file, layout)
        file.write(words.data)


def _check_complete(
    graph: "_Graph", nodes: Iterable[onnx.NodeProto], config: PretrainedConfig
) -> None:
    # ONNX Runtime would name a missing input only when the graph is loaded, long after the export.
    known = {value.name for value in graph.initializers} | {value.name for value in _inputs(config)}
    known |= {name for node in nodes for name in node.output}
    missing = sorted({name for node in nodes for name in node.input} - known)
    if missing:
        name = missing[0].removesuffix(".codes").removesuffix(".scales")
        raise CheckpointError(f"the language model lacks {name}: {_REMEDY}")


class _Graph:
    """Constants of the graph, in one file beside it: a protobuf holds 2 GB at most."""

    def __init__(self, file: BinaryIO) -> None:
        self.initializers: list[TensorProto] = []
        self._file = file

    def constant(self, name: str, tensor: Tensor) -> None:
        data = tensor.contiguous().numpy()
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
        proto = TensorProto(
            name=name,
            dims=tensor.shape,
            data_type=_TYPES[tensor.dtype],
            data_location=TensorProto.EXTERNAL,
        )
        place = {"location": WEIGHTS_FILE, "offset": self._file.tell(), "length": data.nbytes}
        for key, value in place.items():
            proto.external_data.add(key=key, value=str(value))
        self._file.write(data.data)
        self.initializers.append(proto)

    def matrix(self, name: str, weight: Tensor, bits: int) -> None:
        codes, scales = quantize_blocks(weight, bits)
        self.constant(f"{name}.codes", codes)
        self.constant(f"{name}.scales", scales.flatten())


def _rope_tables(graph: _Graph, config: PretrainedConfig, max_length: int) -> None:
    """Cosines and sines (max_length, width / 2), by transformers' own definition."""
    # The kernel takes tables, so that scaled RoPE (config.rope_parameters) needs no code here.
    rope = LlamaRotaryEmbedding(cast(LlamaConfig, config))
    cos, sin = rope(torch.zeros(1), torch.arange(max_length).unsqueeze(0))
    half = cos.shape[-1] // 2  # transformers repeats each angle; the kernel wants it once
    graph.constant("cos", cos[0, :, :half].float())
    graph.constant("sin", sin[0, :, :half].float())


def _cache_names(config: PretrainedConfig) -> Iterator[str]:
    for layer in range(config.num_hidden_layers):
        yield f"key_{layer}"
        yield f"value_{layer}"


def _tensor_info(
    name: str, shape: list[int | str], kind: int = TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _cache_shape(config: PretrainedConfig, length: str) -> list[int | str]:
    return ["batch", config.num_key_value_heads, length, config.head_dim]


def _inputs(config: PretrainedConfig) -> list[onnx.ValueInfoProto]:
    cache = [_tensor_info(name, _cache_shape(config, "past")) for name in _cache_names(config)]
    return [
        _tensor_info("embeddings", ["batch", "new", config.hidden_size]),
        # The kernel's seqlens_k, which are lengths less one, and its total_sequence_length.
        _tensor_info("last", ["batch"], TensorProto.INT32),
        _tensor_info("total", [], TensorProto.INT32),
        *cache,
    ]


def _outputs(config: PretrainedConfig) -> list[onnx.ValueInfoProto]:
    names = _cache_names(config)
    cache = [_tensor_info(f"new_{name}", _cache_shape(config, "whole")) for name in names]
    return [_tensor_info("states", ["batch", "new", config.hidden_size]), *cache]


def _nodes(config: PretrainedConfig, bits: int) -> Iterator[onnx.NodeProto]:
    # Each later norm is fused with the sum before it (_add_norm), so only the first stands alone.
    # ONNX Runtime's own, too, but registered under the domain of ONNX.
    yield helper.make_node(
        "SimplifiedLayerNormalization",
        ["embeddings", "layers.0.input_layernorm.weight"],
        ["normed_0"],
        axis=-1,
        epsilon=config.rms_norm_eps,
        stash_type=TensorProto.FLOAT,
    )
    residual = "embeddings"
    last = config.num_hidden_layers - 1
    for layer in range(config.num_hidden_layers):
        following = "norm" if layer == last else f"layers.{layer + 1}.input_layernorm"
        result = "states" if layer == last else f"normed_{layer + 1}"
        yield from _attention(config, layer, bits)
        name = f"layers.{layer}.post_attention_layernorm"
        yield _add_norm(config, residual, f"attended_{layer}", name, f"middle_{layer}")
        yield from _feed_forward(config, layer, bits)
        residual = f"middle_{layer}.sum"
        yield _add_norm(config, residual, f"fed_{layer}", following, result)
        residual = f"{result}.sum"


def _attention(config: PretrainedConfig, layer: int, bits: int) -> Iterator[onnx.NodeProto]:
    width, heads = config.head_dim, config.num_attention_heads
    shared = config.num_key_value_heads
    size, prefix = config.hidden_size, f"layers.{layer}.self_attn"
    projections = (("q", heads), ("k", shared), ("v", shared))
    for name, count in projections:
        weight = f"{prefix}.{name}_proj.weight"
        yield _matmul(f"normed_{layer}", weight, f"{name}_{layer}", size, count * width, bits)
    cache = [f"key_{layer}", f"value_{layer}"]
    yield helper.make_node(
        "GroupQueryAttention",
        [*(f"{name}_{layer}" for name, _ in projections), *cache, "last", "total", "cos", "sin"],
        [f"mixed_{layer}", *(f"new_{name}" for name in cache)],
        domain=FAST,
        num_heads=heads,
        kv_num_heads=shared,
        do_rotary=1,  # RoPE in the kernel: cached keys are turned already
    )
    weight = f"{prefix}.o_proj.weight"
    yield _matmul(f"mixed_{layer}", weight, f"attended_{layer}", heads * width, size, bits)


def _feed_forward(config: PretrainedConfig, layer: int, bits: int) -> Iterator[onnx.NodeProto]:
    size, inner, prefix = config.hidden_size, config.intermediate_size, f"layers.{layer}.mlp"
    gate, up, down = (f"{prefix}.{name}_proj.weight" for name in ("gate", "up", "down"))
    source = f"middle_{layer}"
    yield _matmul(source, gate, f"gate_{layer}", size, inner, bits)
    yield _matmul(source, up, f"up_{layer}", size, inner, bits)
    # ONNX has no SiLU: x * sigmoid(x).
    yield helper.make_node("Sigmoid", [f"gate_{layer}"], [f"sigmoid_{layer}"])
    yield helper.make_node("Mul", [f"gate_{layer}", f"sigmoid_{layer}"], [f"silu_{layer}"])
    yield helper.make_node("Mul", [f"silu_{layer}", f"up_{layer}"], [f"gated_{layer}"])
    yield _matmul(f"gated_{layer}", down, f"fed_{layer}", inner, size, bits)


def _matmul(
    source: str, weight: str, result: str, size_in: int, size_out: int, bits: int
) -> onnx.NodeProto:
    return helper.make_node(
        "MatMulNBits",
        [source, f"{weight}.codes", f"{weight}.scales"],
        [result],
        domain=FAST,
        K=size_in,
        N=size_out,
        bits=bits,
        block_size=block_size(size_in),
        accuracy_level=_INT8_ACTIVATIONS,
    )


def _add_norm(
    config: PretrainedConfig, residual: str, added: str, norm: str, result: str
) -> onnx.NodeProto:
    """RMSNorm(residual + added) as `result`; the sum itself as `result`.sum."""
    # The two unnamed outputs are statistics for training.
    return helper.make_node(
        "SkipSimplifiedLayerNormalization",
        [residual, added, f"{norm}.weight"],
        [result, "", "", f"{result}.sum"],
        domain=FAST,
        epsilon=config.rms_norm_eps,
    )
