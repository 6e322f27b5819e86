"""Part "load": both language models in NF4, one after the other: time, memory, layers counted."""

import bitsandbytes as bnb
import torch

from benchmarks.gpu.device import memory, torch_device
from benchmarks.gpu.models import model_folder
from benchmarks.gpu.plan import Case
from benchmarks.gpu.schedule import DONE, Record
from benchmarks.gpu.settings import Settings
from benchmarks.measure import timed
from hllm.errors import CheckpointError
from hllm.model_folder import ITEM_LLM, USER_LLM
from hllm.serving.nf4_model import load_nf4, load_nf4_item_llm

MATRICES_PER_LAYER = 7  # of a Llama: q, k, v, o, gate, up, down
NUM_TOKENS = 16


def measure(settings: Settings, case: Case, limit_s: float) -> Record:
    """Load the pair; both stay, as they do in the app once an item was typed in."""
    folder, device = model_folder(settings, case.name), torch_device(settings)
    rows, kept = [], []
    for tower, load in ((USER_LLM, load_nf4), (ITEM_LLM, load_nf4_item_llm)):
        seconds, model = timed(lambda load=load: load(folder, device))
        kept.append(model)
        layers = model.config.num_hidden_layers
        matrices = sum(isinstance(module, bnb.nn.Linear4bit) for module in model.modules())
        if matrices != MATRICES_PER_LAYER * layers:
            raise CheckpointError(f"{tower} {layers} layers, but {matrices} matrices in 4 bits")
        inputs = torch.randn(1, NUM_TOKENS, model.config.hidden_size, device=device)
        with torch.inference_mode():
            states = model(inputs_embeds=inputs.bfloat16()).last_hidden_state
        if not states.isfinite().all():
            raise CheckpointError(f"{tower} computes NaN or infinity in NF4")
        shapes = folder.tower_shapes(tower).values()
        rows.append(
            {
                "language model": tower.removesuffix("."),
                "parameters": sum(torch.Size(shape).numel() for shape in shapes),
                "layers": layers,
                "matrices in 4 bits": matrices,
                "load s": seconds,
            }
            | memory(settings)
        )
    return Record(DONE, rows=rows)
