"""A Llama-shaped User LLM as one plain ONNX file: standard operators only.

For runtimes that have no others, such as a browser's. The weights are stored in float16, half of
what a visitor would otherwise load, and computed with in float32. There is no cache: a whole
history is read at once, which a small model does in milliseconds.

S items, at most M, D width, K heads of keys and values, G query heads to each, W numbers of a head.
Input: embeddings (S, D) float32, oldest first. Output: user (D,), the state at the last of them.
"""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from transformers import LlamaConfig, PretrainedConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from hllm.errors import CheckpointError
from hllm.serving.precision import fits_few_bits

INPUT, OUTPUT = "embeddings", "user"
_HIDDEN = -1e9  # what may not be read: its share after the softmax is exactly 0


def plain_onnx(
    tensors: Mapping[str, Tensor], config: PretrainedConfig, *, max_length: int
) -> bytes:
    """The model as a file's contents.

    Args:
        tensors: names as in transformers' LlamaModel, and values.
        config: of the model.
        max_length: most items that will be read.

    Raises:
        CheckpointError: the model is not of this shape, or lacks a tensor.
    """
    if not fits_few_bits(config):
        raise CheckpointError(
            f"a User LLM of the type {config.model_type} cannot be written as plain ONNX: only "
            "Llama-shaped ones without biases can."
        )
    graph = _Graph(tensors)
    _constants(graph, config, max_length)
    state = INPUT
    for layer in range(config.num_hidden_layers):
        state = _layer(graph, config, layer, state)
    # Only the last item's state is asked for.
    graph.node("Gather", [state, "minus_one"], "last_state", axis=0)
    _norm(graph, "last_state", "norm.weight", OUTPUT)
    size = config.hidden_size
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["items", size])]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [size])]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "user_llm", inputs, outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,  # that of opset 17: older runtimes read it, too
    )
    onnx.checker.check_model(model)
    return cast(bytes, model.SerializeToString())


class _Graph:
    """Nodes and constants, in the order in which they are made."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._tensors = tensors

    def node(self, kind: str, inputs: list[str], result: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [result], **attributes))
        return result

    def constant(self, name: str, values: object, dtype: type = np.float32) -> str:
        array: np.ndarray = np.asarray(values, dtype=dtype)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str) -> str:
        """A tensor of the model, a matrix turned so that rows are multiplied by it."""
        if name not in self._tensors:
            raise CheckpointError(f"the User LLM lacks {name}: restore its weights")
        tensor = self._tensors[name].detach().float().cpu()
        self.constant(
            f"{name}.half", (tensor.T if tensor.ndim == 2 else tensor).numpy(), np.float16
        )
        return self.node("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)


def _constants(graph: _Graph, config: PretrainedConfig, max_length: int) -> None:
    """Angles and the causal mask, cut to the length of a history, and small numbers."""
    graph.constant("minus_one", -1, np.int64)
    graph.constant("epsilon", config.rms_norm_eps)
    graph.constant("scale", config.head_dim**-0.5)
    rope = LlamaRotaryEmbedding(cast(LlamaConfig, config))
    cos, sin = rope(torch.zeros(1), torch.arange(max_length).unsqueeze(0))
    graph.constant("all_cos", cos[0].float().numpy())  # (M, W)
    graph.constant("all_sin", sin[0].float().numpy())
    graph.constant("all_mask", np.triu(np.full((max_length, max_length), _HIDDEN), k=1))
    graph.constant("zero", [0], np.int64)
    graph.constant("zeros", [0, 0], np.int64)
    graph.constant("first_axis", [0], np.int64)
    graph.constant("both_axes", [0, 1], np.int64)
    graph.node("Shape", [INPUT], "length", start=0, end=1)  # (1,)
    graph.node("Concat", ["length", "length"], "lengths", axis=0)
    graph.node("Slice", ["all_cos", "zero", "length", "first_axis"], "cos")
    graph.node("Slice", ["all_sin", "zero", "length", "first_axis"], "sin")
    graph.node("Slice", ["all_mask", "zeros", "lengths", "both_axes"], "mask")
    heads, shared, width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    graph.constant("query_shape", [0, shared, heads // shared, width], np.int64)
    graph.constant("shared_shape", [0, shared, 1, width], np.int64)
    graph.constant("joined_shape", [0, heads * width], np.int64)


def _layer(graph: _Graph, config: PretrainedConfig, layer: int, state: str) -> str:
    """One layer: from a state (S, D) to the next; gives its name."""
    prefix = f"layers.{layer}"
    read = _norm(graph, state, f"{prefix}.input_layernorm.weight", f"{prefix}.read")
    mixed = _attention(graph, f"{prefix}.self_attn", read)
    middle = graph.node("Add", [state, mixed], f"{prefix}.middle")
    read = _norm(graph, middle, f"{prefix}.post_attention_layernorm.weight", f"{prefix}.thought")
    fed = _feed_forward(graph, f"{prefix}.mlp", read)
    return graph.node("Add", [middle, fed], f"{prefix}.state")


def _norm(graph: _Graph, source: str, weight: str, result: str) -> str:
    """RMSNorm over the last axis."""
    square = graph.node("Mul", [source, source], f"{result}.square")
    mean = graph.node("ReduceMean", [square], f"{result}.mean", axes=[-1], keepdims=1)
    above = graph.node("Add", [mean, "epsilon"], f"{result}.above")
    root = graph.node("Sqrt", [above], f"{result}.root")
    scaled = graph.node("Div", [source, root], f"{result}.scaled")
    return graph.node("Mul", [scaled, graph.weight(weight)], result)


def _attention(graph: _Graph, prefix: str, read: str) -> str:
    """Causal attention over (S, D)."""
    heads = {}
    for name in ("q", "k", "v"):
        flat = _product(graph, read, f"{prefix}.{name}_proj")
        shape = "query_shape" if name == "q" else "shared_shape"
        split = graph.node("Reshape", [flat, shape], f"{flat}.split")  # (S, K, G or 1, W)
        heads[name] = graph.node("Transpose", [split], f"{flat}.heads", perm=[1, 2, 0, 3])
    query, key = (_turned(graph, heads[name]) for name in ("q", "k"))  # (K, G or 1, S, W)
    across = graph.node("Transpose", [key], f"{prefix}.across", perm=[0, 1, 3, 2])
    product = graph.node("MatMul", [query, across], f"{prefix}.product")  # (K, G, S, S)
    scaled = graph.node("Mul", [product, "scale"], f"{prefix}.scaled")
    causal = graph.node("Add", [scaled, "mask"], f"{prefix}.causal")
    shares = graph.node("Softmax", [causal], f"{prefix}.shares", axis=-1)
    mixed = graph.node("MatMul", [shares, heads["v"]], f"{prefix}.mixed")
    back = graph.node("Transpose", [mixed], f"{prefix}.back", perm=[2, 0, 1, 3])
    joined = graph.node("Reshape", [back, "joined_shape"], f"{prefix}.joined")
    return _product(graph, joined, f"{prefix}.o_proj")


def _turned(graph: _Graph, heads: str) -> str:
    """RoPE as transformers' Llama has it: x cos + (-second half, first half) sin."""
    halves = [f"{heads}.first", f"{heads}.second"]
    graph.nodes.append(helper.make_node("Split", [heads], halves, axis=-1))
    negated = graph.node("Neg", [halves[1]], f"{heads}.negated")
    swapped = graph.node("Concat", [negated, halves[0]], f"{heads}.swapped", axis=-1)
    along = graph.node("Mul", [heads, "cos"], f"{heads}.along")
    beside = graph.node("Mul", [swapped, "sin"], f"{heads}.beside")
    return graph.node("Add", [along, beside], f"{heads}.turned")


def _feed_forward(graph: _Graph, prefix: str, read: str) -> str:
    gate = _product(graph, read, f"{prefix}.gate_proj")
    up = _product(graph, read, f"{prefix}.up_proj")
    share = graph.node("Sigmoid", [gate], f"{prefix}.share")  # SiLU is x * sigmoid(x)
    active = graph.node("Mul", [gate, share], f"{prefix}.active")
    gated = graph.node("Mul", [active, up], f"{prefix}.gated")
    return _product(graph, gated, f"{prefix}.down_proj")


def _product(graph: _Graph, source: str, matrix: str) -> str:
    return graph.node("MatMul", [source, graph.weight(f"{matrix}.weight")], f"{matrix}.product")
