import onnxruntime
import pytest
import torch
from transformers import AutoModel, LlamaConfig

from hllm.errors import CheckpointError
from hllm.serving.onnx_plain import INPUT, OUTPUT, plain_onnx

MAX_LENGTH = 12


def llama(**options):
    torch.manual_seed(3)
    values = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16, **options}
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        vocab_size=4,
        max_position_embeddings=64,
        **values,
    )
    model = AutoModel.from_config(config, trust_remote_code=False).eval()
    for parameter in model.parameters():  # larger than as made, so that every part matters
        parameter.data.mul_(3).copy_(parameter.data.half().float())  # exact in the file
    return model


def session_of(model):
    contents = plain_onnx(model.state_dict(), model.config, max_length=MAX_LENGTH)
    return onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "options", [{}, {"num_key_value_heads": 2}, {"num_key_value_heads": 1}], ids=["all", "2", "1"]
)
@pytest.mark.parametrize("length", [1, 5, MAX_LENGTH])
@torch.inference_mode()
def test_it_reads_a_history_as_transformers_does(options, length):
    model = llama(**options)
    items = torch.randn(length, 64)
    expected = model(inputs_embeds=items.unsqueeze(0)).last_hidden_state[0, -1]
    [found] = session_of(model).run([OUTPUT], {INPUT: items.numpy()})
    assert found == pytest.approx(expected.numpy(), abs=2e-5)


def test_weights_take_two_bytes_each():
    model = llama()
    contents = plain_onnx(model.state_dict(), model.config, max_length=MAX_LENGTH)
    count = sum(p.numel() for p in model.layers.parameters()) + 64
    assert 2 * count < len(contents) < 2 * count + 30_000


def test_operators_are_the_standard_ones():
    import onnx

    model = llama()
    graph = onnx.load_from_string(plain_onnx(model.state_dict(), model.config, max_length=4)).graph
    assert {node.domain for node in graph.node} == {""}


def test_missing_tensor_is_named():
    model = llama()
    tensors = model.state_dict()
    del tensors["layers.1.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match=r"lacks layers\.1\.mlp\.up_proj\.weight"):
        plain_onnx(tensors, model.config, max_length=4)


def test_other_shapes_are_refused():
    model = llama(attention_bias=True)
    with pytest.raises(CheckpointError, match="only Llama-shaped ones without biases"):
        plain_onnx(model.state_dict(), model.config, max_length=4)
