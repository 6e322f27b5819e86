"""Loading the User LLM alone, in a precision that this machine can compute."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from hllm.checkpoint import load_config, load_user_llm
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.model import to_bfloat16
from hllm.serving.incremental import IncrementalModel, TransformersIncremental
from hllm.serving.precision import PRECISIONS, choose_precision, fits_few_bits
from hllm.weights.files import read_shapes


@dataclass(frozen=True)
class UserModel:
    """A User LLM that is ready to answer.

    Attributes:
        steps: reads histories.
        precision: one of PRECISIONS but "auto".
        device: where it computes.
        num_parameters: of the model, whatever their precision.
    """

    steps: IncrementalModel
    precision: str
    device: str
    num_parameters: int


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
    steps = TransformersIncremental(user_llm.eval(), config.max_history)
    return UserModel(steps, precision, device, size), config


def _few_bits(
    folder: str | Path, config: HLLMConfig, precision: str, cache: Path | None
) -> IncrementalModel:
    if not fits_few_bits(config):
        raise CheckpointError(
            f"{folder}: int4 and int8 run Llama-shaped User LLMs without biases only; start with "
            "--precision fp32."
        )
    from hllm.serving.onnx_incremental import OnnxIncremental, prepare_onnx  # noqa: PLC0415  slow, for large models

    bits = int(precision.removeprefix("int"))
    kept = cache or Path(tempfile.gettempdir()) / "hllm-live-graphs"
    return OnnxIncremental(prepare_onnx(folder, kept, bits=bits))
