"""The device of a case: its name, its peak, its memory."""

import platform
import re

import torch

from benchmarks.gpu.settings import Settings
from benchmarks.measure import status_mib

# Dense bfloat16 products, operations a second, from the makers' data sheets. The first that fits.
_PEAKS = (
    (r"GH200|H200", 989e12),
    (r"H100 PCIe", 756e12),
    (r"H100 NVL", 835e12),
    (r"H100", 989e12),
    (r"A100", 312e12),
    (r"L40S", 362e12),
    (r"\bL4\b", 121e12),
    (r"RTX 4090", 165e12),
    (r"RTX 3090", 71e12),
)


def torch_device(settings: Settings) -> torch.device:
    """Where a case computes."""
    return torch.device(settings.device)


def machine(settings: Settings) -> str:
    """Names what the numbers were measured on."""
    on_gpu = settings.device == "cuda"
    name = torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine()
    sizes = ", tiny models: the numbers mean nothing" if settings.tiny else ""
    return f"machine: {name}, {torch.get_num_threads()} threads, torch {torch.__version__}{sizes}"


def peak_flops(name: str) -> float | None:
    """Operations a second that a GPU of this name is said to reach in bfloat16; None: unknown."""
    return next((peak for pattern, peak in _PEAKS if re.search(pattern, name)), None)


def memory(settings: Settings) -> dict[str, float]:
    """MiB of the device now and at most so far, and of this process at most."""
    found = {"host peak MiB": status_mib("VmHWM")}
    if settings.device == "cuda":
        found |= {
            "device MiB": torch.cuda.memory_allocated() / 2**20,
            "device peak MiB": torch.cuda.max_memory_allocated() / 2**20,
        }
    return found
