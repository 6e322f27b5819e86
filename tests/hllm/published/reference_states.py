"""Random checkpoints in the layout of the reference implementation, of any size."""

import json

import torch

from hllm.published.sources import SourceSettings

LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 259,
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
    "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
BAICHUAN = {
    **{k: v for k, v in LLAMA.items() if k != "num_key_value_heads"}, "model_type": "baichuan",
    "architectures": ["BaichuanForCausalLM"], "pad_token_id": 0, "z_loss_weight": 0,
    "auto_map": {"AutoConfig": "configuration_baichuan.BaichuanConfig"},
}  # fmt: skip
BERT = {
    "model_type": "bert", "vocab_size": 259, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 300,
    "type_vocab_size": 2, "hidden_act": "gelu",
}  # fmt: skip
TINYLLAMA = LLAMA | {
    "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22,
    "num_attention_heads": 32, "num_key_value_heads": 4, "max_position_embeddings": 2048,
}  # fmt: skip

BAICHUAN2_7B = BAICHUAN | {
    "vocab_size": 125696, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32,
}  # fmt: skip


def decoder_shapes(config):
    """The state dict of a published Llama or Baichuan model."""
    hidden, inner, words = (config[k] for k in ("hidden_size", "intermediate_size", "vocab_size"))
    shapes = {"model.embed_tokens.weight": (words, hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        if config["model_type"] == "baichuan":
            shapes[f"{prefix}self_attn.W_pack.weight"] = (3 * hidden, hidden)
        else:
            narrow = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
            shapes |= {f"{prefix}self_attn.{x}_proj.weight": (n, hidden)
                       for x, n in (("q", hidden), ("k", narrow), ("v", narrow))}  # fmt: skip
        shapes[f"{prefix}self_attn.o_proj.weight"] = (hidden, hidden)
        shapes[f"{prefix}mlp.gate_proj.weight"] = (inner, hidden)
        shapes[f"{prefix}mlp.up_proj.weight"] = (inner, hidden)
        shapes[f"{prefix}mlp.down_proj.weight"] = (hidden, inner)
        shapes[f"{prefix}input_layernorm.weight"] = (hidden,)
        shapes[f"{prefix}post_attention_layernorm.weight"] = (hidden,)
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (words, hidden)}


def bert_shapes(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    rows = {"word": config["vocab_size"], "position": config["max_position_embeddings"]}
    shapes = {f"embeddings.{kind}_embeddings.weight": (n, hidden)
              for kind, n in (rows | {"token_type": 2}).items()}  # fmt: skip
    shapes |= dict.fromkeys(("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"), (hidden,))
    linear = {f"attention.self.{x}": (hidden, hidden) for x in ("query", "key", "value")}
    linear |= {"attention.output.dense": (hidden, hidden), "intermediate.dense": (inner, hidden),
               "output.dense": (hidden, inner), "attention.output.LayerNorm": (hidden,),
               "output.LayerNorm": (hidden,)}  # fmt: skip
    for layer in range(config["num_hidden_layers"]):
        for name, shape in linear.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    return shapes | {"pooler.dense.weight": (hidden, hidden), "pooler.dense.bias": (hidden,)}


def make_state(item, user, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    # Repeated where it is too short: fresh numbers for two 1B models take minutes.
    noise = torch.randn(1_000_003, generator=generator).mul_(0.2).to(dtype)
    item_shapes = bert_shapes(item) if item["model_type"] == "bert" else decoder_shapes(item)
    shapes = {f"item_llm.{name}": shape for name, shape in item_shapes.items()}
    shapes |= {f"user_llm.{name}": shape for name, shape in decoder_shapes(user).items()}
    state = {"item_emb_tokens": torch.randn(1, 1, item["hidden_size"], generator=generator),
             "logit_scale": torch.tensor(2.5)}  # fmt: skip
    for name, shape in shapes.items():
        size = torch.Size(shape).numel()
        values = noise.roll(len(state)).repeat(-(-size // len(noise)))[:size]
        state[name] = values.reshape(shape).clone()
        if "norm" in name.lower() and name.endswith("weight"):
            state[name].add_(1)
    return state


def write_checkpoint(folder, tokenizer, item=LLAMA, user=LLAMA, **changes):
    """A checkpoint and its base models; returns the arguments of convert() that name them."""
    for name, values in (("item", item), ("user", user)):
        tokenizer.save_pretrained(folder / name)
        (folder / name / "config.json").write_text(json.dumps(values))
    state = make_state(item, user) | changes
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    torch.save(state, folder / "pytorch_model.bin")
    return {
        "weights": folder / "pytorch_model.bin",
        "settings": SourceSettings(text_keys=("title",), max_text_tokens=64, max_history=4),
        "item_base": folder / "item",
        "user_base": folder / "user",
    }
