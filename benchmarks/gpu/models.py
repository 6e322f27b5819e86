"""The HLLMs that are measured: two SmolLM2, or two Llamas of a real size with random weights.

The large ones are written tensor by tensor, each drawn on the device: no whole model is in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import LlamaConfig

from benchmarks.gpu.device import torch_device
from benchmarks.gpu.questions import LORA, PAIR, TOKEN
from benchmarks.gpu.settings import Settings
from benchmarks.shapes import TINYLLAMA
from hllm.atomic import atomic_files
from hllm.checkpoint import build_model, save_model
from hllm.config import HLLMConfig
from hllm.model import HLLM
from hllm.model_folder import CONFIG, ModelFolder
from hllm.published.convert import empty_model
from hllm.train import parse_options
from hllm.training.model_config import make_config
from hllm.training.options import ModelOptions
from hllm.weights.files import Spec, write_shards
from hllm.weights.nf4_format import QUANTIZATION_CONFIG, Nf4Spec, TensorSpec

MAX_HISTORY = 50
# The layers are Baichuan2-7B's, the paper's large model, whose words are 125,696.
_SEVEN_BILLION = LlamaConfig(
    vocab_size=125_696,
    hidden_size=4096,
    intermediate_size=11_008,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=32,
)
_TINY = LlamaConfig(
    vocab_size=64,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
    bos_token_id=None,
    eos_token_id=None,
)
TINY_OPTIONS = "--item_llm_layers 1 --user_llm_layers 1 --lora_rank 2 --max_text_tokens 8"


@dataclass(frozen=True)
class _OnDevice(Nf4Spec):
    """Rounds on the device that the matrix is on; a CPU takes an hour for 7 billion parameters."""

    def encode(self, name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
        for part, value in super().encode(name, tensor):
            yield part, value.cpu()


def pair_options(
    settings: Settings, training: str = LORA, keys: Sequence[str] = ("title",)
) -> ModelOptions:
    """Options of an HLLM of two SmolLM2, of which the first layer alone if it shall be tiny."""
    given = f"{PAIR} {TOKEN} {training} {TINY_OPTIONS if settings.tiny else ''}".split()
    unread = ["--items", "-", "--interactions", "-", "--output", "-"]
    return parse_options([*given, "--text_keys", *keys, *unread])[0]


def new_pair(options: ModelOptions) -> HLLM:
    """An HLLM of two SmolLM2 as a training starts with it.

    Raises:
        MissingWeightsError: their package is not installed.
    """
    return build_model(
        make_config(options), item_weights=options.item_folder, user_weights=options.user_folder
    )


def model_folder(settings: Settings, size: str) -> ModelFolder:
    """The folder of an HLLM; made if it is not there.

    Args:
        settings: of the run.
        size: smollm2 (LoRA matrices over the packaged weights, added on the way to the device),
            1.1b (in bfloat16: rounded on the way) or 7b (in NF4).
    """
    path = settings.folder / "models" / size
    if not (path / CONFIG).exists():
        if size == "smollm2":
            options = pair_options(settings)
            save_model(new_pair(options), path)  # the tokenizer comes from the package, too
        else:
            config, device = _random_config(settings, size), torch_device(settings)
            _write_random(path, config, device, nf4=size == "7b")
    return ModelFolder(path)


def _random_config(settings: Settings, size: str) -> HLLMConfig:
    if settings.tiny:
        item = user = _TINY
    elif size == "7b":
        item, user = _SEVEN_BILLION, _SEVEN_BILLION
    else:
        item = LlamaConfig(**TINYLLAMA.to_diff_dict() | {"vocab_size": 32_000})
        user = TINYLLAMA
    return HLLMConfig(item, user, item_adapter="none", text_keys=["title"], max_history=MAX_HISTORY)


def _write_random(path: Path, config: HLLMConfig, device: torch.device, *, nf4: bool) -> None:
    config.architectures, config.dtype = [HLLM.__name__], torch.bfloat16
    if nf4:
        config.quantization_config = QUANTIZATION_CONFIG
    empty = empty_model(config)
    matrices = {
        f"{name}.weight"
        for name, module in empty.named_modules()
        if isinstance(module, nn.Linear) and name.startswith(("item_llm.", "user_llm."))
    }
    specs: dict[str, Spec] = {
        name: _OnDevice(tuple(value.shape))
        if nf4 and name in matrices
        else TensorSpec(tuple(value.shape), torch.bfloat16)
        for name, value in empty.state_dict().items()
    }
    generator = torch.Generator(device).manual_seed(1)

    def read(names: Sequence[str]) -> Iterator[Tensor]:
        for name in names:
            spec = specs[name]
            value = torch.ones(spec.shape, dtype=torch.bfloat16, device=device)
            if value.ndim > 1:  # the others are the scales of norms
                value.uniform_(-0.03, 0.03, generator=generator)
            yield value if isinstance(spec, Nf4Spec) else value.cpu()

    with atomic_files(path, opened_by=CONFIG) as temporary:
        write_shards(temporary, specs, read)
        (temporary / CONFIG).write_text(config.to_json_string(), encoding="utf-8")
