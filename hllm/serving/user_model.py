"""Loading the User LLM alone, in a precision that this machine can compute."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PretrainedConfig

from hllm.checkpoint import load_user_llm
from hllm.errors import CheckpointError
from hllm.model import to_bfloat16
from hllm.model_folder import ModelFolder
from hllm.serving.incremental import IncrementalModel, TransformersIncremental
from hllm.serving.precision import PRECISIONS, fits_few_bits, on_zerogpu, precision_choices


def has_cuda() -> bool:
    """Whether this process has a CUDA device of its own, and not only torch says so."""
    return torch.cuda.is_available() and not on_zerogpu()


@dataclass(frozen=True)
class UserModel:
    """A User LLM that is ready to answer.

    Attributes:
        steps: reads histories.
        precision: one of PRECISIONS, but never "auto".
        device: where it computes.
        num_parameters: of the model, whatever its precision.
        num_bytes: that its weights take here.
    """

    steps: IncrementalModel
    precision: str
    device: str
    num_parameters: int
    num_bytes: int


def load_user_model(
    source: ModelFolder | str | Path, precision: str = "auto", *, cache: Path | None = None
) -> UserModel:
    """Load only the User LLM of a model folder: all that serving needs once items are embedded.

    Args:
        source: a trained or converted HLLM.
        precision: one of PRECISIONS.
        cache: where graphs of int4 and int8 are kept; None: the system's temporary folder.

    Raises:
        CheckpointError: as hllm.checkpoint.load_user_llm; or the precision is not possible here.
    """
    if precision not in PRECISIONS:
        raise CheckpointError(f"--precision {precision}: choose from {', '.join(PRECISIONS)}")
    folder = ModelFolder.of(source)
    config = folder.config
    # Counted from the headers: the precision is chosen before anything large is read.
    size = sum(torch.Size(shape).numel() for shape in folder.user_shapes.values())
    on_cuda = has_cuda()
    if precision == "auto":
        precision = _auto(config.user_config, size, cache, has_cuda=on_cuda)
    # These kernels run on the CPU, even where there is a GPU.
    if precision in ("int4", "int8"):
        graph, few_bits = _few_bits(folder, precision, cache)
        num_bytes = sum(file.stat().st_size for file in graph.parent.iterdir())
        return UserModel(few_bits, precision, "cpu", size, num_bytes)
    device = "cuda" if on_cuda else "cpu"
    if precision == "nf4":
        if not on_cuda:
            raise CheckpointError(
                "--precision nf4 needs a CUDA device, and there is none: use int4."
            )
        from hllm.serving.nf4_model import load_nf4  # noqa: PLC0415  imports bitsandbytes, which takes seconds

        user_llm = load_nf4(folder, torch.device(device))
    else:
        user_llm = load_user_llm(folder)
        if precision == "bf16":
            to_bfloat16(user_llm)
        user_llm.to(torch.device(device))  # type: ignore[arg-type]
    steps = TransformersIncremental(user_llm.eval(), config.max_history)
    held = [*user_llm.parameters(), *user_llm.buffers()]
    return UserModel(steps, precision, device, size, sum(tensor.nbytes for tensor in held))


def _auto(
    config: PretrainedConfig, num_parameters: int, cache: Path | None, *, has_cuda: bool
) -> str:
    choices = precision_choices(config, num_parameters, has_cuda=has_cuda)
    if len(choices) == 1:
        return choices[0]
    from hllm.serving.measured_precision import faster_precision  # noqa: PLC0415  imports onnxruntime, which takes time

    return faster_precision(config, choices, graph_folder(cache))


def _few_bits(
    folder: ModelFolder, precision: str, cache: Path | None
) -> tuple[Path, IncrementalModel]:
    """The graph, and what runs it."""
    if not fits_few_bits(folder.config.user_config):
        raise CheckpointError(
            f"{folder}: int4 and int8 run Llama-shaped User LLMs without biases, with heads of 16, "
            "32 ... numbers, only; start with --precision fp32."
        )
    from hllm.serving.onnx_incremental import OnnxIncremental, prepare_onnx  # noqa: PLC0415  imports onnxruntime, which takes time

    bits = int(precision.removeprefix("int"))
    graph = prepare_onnx(folder, graph_folder(cache), bits=bits)
    return graph, OnnxIncremental(graph)


def graph_folder(cache: Path | None) -> Path:
    """Where graphs are kept: the folder itself, or one for them in the temporary folder."""
    return cache or Path(tempfile.gettempdir()) / "hllm-live-graphs"
