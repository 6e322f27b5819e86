"""Learning rate and optimiser."""

import math
from collections.abc import Iterable

import torch
from torch import nn


def lr_multiplier(step: int, total_steps: int, warmup_ratio: float, kind: str = "cosine") -> float:
    """Factor on the learning rate at an optimiser step.

    Linear warm-up over total_steps * warmup_ratio steps, then down to 0.

    Args:
        step: 0-based.
        total_steps: of the whole run.
        warmup_ratio: 0 to 1.
        kind: "cosine", "linear" or "constant" (no decay after the warm-up).

    Raises:
        ValueError: unknown kind.
    """
    if kind not in ("cosine", "linear", "constant"):
        raise ValueError(f"lr schedule {kind!r}: choose cosine, linear or constant")
    warmup = total_steps * warmup_ratio  # not rounded, as in the reference
    if step < warmup:
        # With any warm-up the first step has factor 0: it changes no weight, as in the reference.
        return step / max(1.0, warmup)
    if kind == "constant":
        return 1.0
    progress = (step - warmup) / max(1.0, total_steps - warmup)
    if kind == "linear":
        return max(0.0, 1 - progress)
    return max(0.0, 0.5 * (1 + math.cos(math.pi * progress)))


def make_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    learning_rate: float,
    item_learning_rate: float,
    user_learning_rate: float = 0.0,
    weight_decay: float,
) -> torch.optim.AdamW:
    """AdamW over everything trainable; both language models have their own rates.

    Args:
        named_parameters: of the model; those without requires_grad are left out.
        learning_rate: of User LLM, adapter, click head and logit scale, or of an ID model.
        item_learning_rate: of the Item LLM and its [ITEM] token.
        user_learning_rate: of the User LLM alone; 0: learning_rate.
        weight_decay: on all parameters.
    """
    # No exception for biases and norms: the reference decays all parameters alike.
    rates = {"item": item_learning_rate, "user": user_learning_rate, "": learning_rate}
    groups: dict[str, list[nn.Parameter]] = {part: [] for part in rates}
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            part = _part(name)
            # Without a rate of its own in the last group, as in states of versions without one.
            groups[part if rates[part] or part == "item" else ""].append(parameter)
    # A frozen language model leaves its group empty.
    options = [{"params": group, "lr": rates[part]} for part, group in groups.items() if group]
    return torch.optim.AdamW(options, weight_decay=weight_decay)


def _part(name: str) -> str:
    """Which part of the model a parameter belongs to, by its name."""
    if "item_llm." in name or "item_emb_tokens" in name:
        return "item"
    return "user" if "user_llm." in name else ""
