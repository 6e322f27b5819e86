import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

from hllm.checkpoint import load_user_llm
from hllm.model_folder import ModelFolder
from hllm.serving.nf4_model import load_nf4
from tests.hllm.serving.conftest import SIZES


def test_nf4_computes_with_the_rounded_weights(folder):
    user_llm = load_nf4(ModelFolder(folder), torch.device("cpu"))
    layers = [module for module in user_llm.modules() if isinstance(module, Linear4bit)]
    assert len(layers) == 7 * SIZES["num_hidden_layers"]
    assert {layer.weight.quant_state.quant_type for layer in layers} == {"nf4"}
    assert all(layer.weight.quant_state.nested for layer in layers)  # double quantization
    oracle = load_user_llm(folder)
    modules = dict(user_llm.named_modules())
    for name, module in oracle.named_modules():
        if isinstance(module, torch.nn.Linear):
            weight = modules[name].weight
            module.weight.data = dequantize_4bit(weight.data, weight.quant_state).float()
    items = torch.randn(1, 6, 64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        states = user_llm(inputs_embeds=items.bfloat16()).last_hidden_state[0].float()
        expected = oracle(inputs_embeds=items).last_hidden_state[0]
    assert torch.cosine_similarity(states, expected).min() > 0.999
