"""In which precision the User LLM answers, and how it is loaded for that.

Serving reads the User LLM's weights once a click, so that a large model is as fast as its weights
are small: 4 bits on a CPU through ONNX Runtime (hllm.serving.onnx_incremental), NF4 on a GPU
(hllm.serving.nf4_model). A small one is bound by other things and stays exact.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from hllm.checkpoint import load_config, load_user_llm
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.model import to_bfloat16
from hllm.serving.incremental import StepModel, TransformersSteps
from hllm.weights.files import read_shapes

PRECISIONS = ("auto", "fp32", "bf16", "int8", "int4", "nf4")
# 1.1 billion parameters: 314 ms a click in fp32, 20 ms in int4. 1.3 million: 4.4 ms in fp32.
LOW_BITS_FROM_PARAMETERS = 50_000_000


@dataclass(frozen=True)
class UserModel:
    """A User LLM that is ready to answer.

    Attributes:
        steps: reads histories.
        precision: one of PRECISIONS but "auto".
        device: where it computes.
        num_parameters: of the model, whatever their precision.
    """

    steps: StepModel
    precision: str
    device: str
    num_parameters: int


def fits_few_bits(config: HLLMConfig) -> bool:
    """Whether the User LLM is a Llama without biases."""
    user = config.user_config
    return (
        user.model_type == "llama"
        and not user.attention_bias
        and not user.mlp_bias
        and user.hidden_act == "silu"
    )


def choose_precision(config: HLLMConfig, num_parameters: int, *, has_cuda: bool) -> str:
    """What "auto" means: the fastest path for this model on this machine.

    Args:
        config: of the model.
        num_parameters: of its User LLM.
        has_cuda: whether there is a CUDA device.

    Returns:
        fp32, nf4 or int4.
    """
    if num_parameters < LOW_BITS_FROM_PARAMETERS:
        return "fp32"
    if has_cuda:
        return "nf4"
    return "int4" if fits_few_bits(config) else "fp32"


def load_user_model(
    folder: str | Path, precision: str = "auto", *, cache: Path | None = None
) -> tuple[UserModel, HLLMConfig]:
    """Load only the User LLM of a model folder: all that serving needs once items are embedded.

    Args:
        folder: a trained or converted HLLM.
        precision: one of PRECISIONS.
        cache: where graphs of int4 and int8 are kept; None: the system's temporary folder.

    Returns:
        The model, and the configuration of the whole HLLM.

    Raises:
        CheckpointError: as hllm.checkpoint.load_user_llm; or the precision is not possible here.
    """
    if precision not in PRECISIONS:
        raise CheckpointError(f"--precision {precision}: choose one of {', '.join(PRECISIONS)}")
    config = load_config(folder)
    shapes = read_shapes(folder, "user_llm.").values()
    size = sum(torch.Size(shape).numel() for shape in shapes)
    has_cuda = torch.cuda.is_available()
    if precision == "auto":
        precision = choose_precision(config, size, has_cuda=has_cuda)
    if precision in ("int4", "int8"):
        return UserModel(
            _few_bits(folder, config, precision, cache), precision, "cpu", size
        ), config
    device = "cuda" if has_cuda else "cpu"
    if precision == "nf4":
        if not has_cuda:
            raise CheckpointError(
                "--precision nf4 needs a CUDA device, and there is none: use int4."
            )
        from hllm.serving.nf4_model import load_nf4  # noqa: PLC0415  bitsandbytes, only if it is used

        user_llm = load_nf4(folder, torch.device(device))
    else:
        user_llm, _ = load_user_llm(folder)
        if precision == "bf16":
            to_bfloat16(user_llm)
        user_llm.to(torch.device(device))  # type: ignore[arg-type]
    steps = TransformersSteps(user_llm.eval(), config.max_history)
    return UserModel(steps, precision, device, size), config


def _few_bits(
    folder: str | Path, config: HLLMConfig, precision: str, cache: Path | None
) -> StepModel:
    if not fits_few_bits(config):
        raise CheckpointError(
            f"{folder}: int4 and int8 run Llama-shaped User LLMs without biases only; start with "
            "--precision fp32."
        )
    from hllm.serving.onnx_incremental import OnnxSteps, prepare_onnx  # noqa: PLC0415  slow, for large models

    bits = int(precision.removeprefix("int"))
    kept = cache or Path(tempfile.gettempdir()) / "hllm-live-graphs"
    return OnnxSteps(prepare_onnx(folder, kept, bits=bits))
