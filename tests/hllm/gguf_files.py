"""Tiny GGUF files, written with llama.cpp's package: a Llama with SmolLM's kind of tokenizer."""

import gguf
import torch
from tokenizers import pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = ["t h", "th e", "Ġ the"]
WORDS = [*SPECIAL, *LETTERS, "th", "the", "Ġthe"]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50_000.0,
    "tie_word_embeddings": True,
}
_NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tiny_llama(seed=0):
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, bos_token_id=1, eos_token_id=2, pad_token_id=2))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model.eval()


def _gguf_name(name):
    stem = name.removeprefix("model.").removesuffix(".weight")
    if not stem.startswith("layers."):
        return f"{_NAMES[stem]}.weight"
    _, layer, part = stem.split(".", 2)
    return f"blk.{layer}.{_NAMES[part]}.weight"


def _swapped(values, heads):
    """As llama.cpp's converter does: the rows of each head, its two halves in turn."""
    return values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)


def write_gguf(path, model=None, *, kind="Q4_1", metadata=None, without=()):
    """Write a tiny Llama.

    Args:
        path: of the file.
        model: default: tiny_llama().
        kind: how matrices are stored, a name of gguf.GGMLQuantizationType.
        metadata: further keys, or other values of those there are.
        without: keys to leave out.
    """
    writer = gguf.GGUFWriter(path, "llama")
    values = {
        "llama.block_count": SIZES["num_hidden_layers"],
        "llama.context_length": SIZES["max_position_embeddings"],
        "llama.embedding_length": SIZES["hidden_size"],
        "llama.feed_forward_length": SIZES["intermediate_size"],
        "llama.attention.head_count": SIZES["num_attention_heads"],
        "llama.attention.head_count_kv": SIZES["num_key_value_heads"],
        "llama.vocab_size": SIZES["vocab_size"],
        "llama.rope.dimension_count": SIZES["hidden_size"] // SIZES["num_attention_heads"],
        "llama.rope.freq_base": SIZES["rope_theta"],
        "llama.attention.layer_norm_rms_epsilon": SIZES["rms_norm_eps"],
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": WORDS,
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(WORDS) - len(SPECIAL)),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 2,
    } | (metadata or {})
    for key, value in values.items():
        if key in without:
            continue
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32,
               str: writer.add_string, list: writer.add_array}[type(value)]  # fmt: skip
        add(key, value)
    quantization = gguf.GGMLQuantizationType[kind]
    for name, tensor in (model or tiny_llama()).model.state_dict().items():
        data = tensor.numpy()
        if ".q_proj." in name or ".k_proj." in name:
            heads = "num_attention_heads" if ".q_proj." in name else "num_key_value_heads"
            data = _swapped(data, SIZES[heads])
        if data.ndim == 1:
            writer.add_tensor(_gguf_name(name), data)
        else:
            stored = gguf.quants.quantize(data, quantization)
            writer.add_tensor(_gguf_name(name), stored, raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def install(folder, monkeypatch, name="tiny"):
    """Put a package with a tiny GGUF on the path and on the closed list; its code must not run."""
    import hashlib

    from hllm.weights import packaged

    package = folder / f"{name}_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('its code ran')\n")
    path = write_gguf(package / "tiny.gguf")
    entry = packaged._Package(
        install=f"{name}-weights",
        module=package.name,
        folder=".",
        weights=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(packaged._PACKAGES, name, entry)
    monkeypatch.syspath_prepend(folder)
    packaged.pretrained_folder.cache_clear()
    return path
