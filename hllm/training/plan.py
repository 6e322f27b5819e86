"""What a training step needs of each GPU, from shapes: python -m hllm.training.plan --help.

Memory, multiplications and traffic of ``hllm.train --item_training full --shard True`` (FSDP2,
hllm.training.fsdp) with two language models of Llama's form. No model is made and no GPU is asked;
tests/hllm/training/test_plan.py compares the numbers with a run of two processes.

P parameters, G processes, H width of a language model, T tokens.
"""

if __name__ == "__main__":
    from hllm.shell import run_command

    run_command("plan")

import math
from dataclasses import dataclass, replace

from hllm.errors import DataError
from hllm.text import TOKENS_PER_BATCH

FP32 = 4  # bytes of weights, gradients, moments and of the residual stream, with bf16 too
_BF16 = 2
# Kept of each token by a layer for its backward pass, in multiples of its width and of its inner
# width. Two norms: input, normalised input, output. Attention: queries, keys, values and states,
# these once more in another order. Feed-forward: gate, its SiLU, up, their product.
_KEPT_WIDTHS, _KEPT_INNER = 11, 4
# Of each logit: cosines, their mask and what softmax keeps, and three of the first on the way.
_LOGIT_BYTES = 6 * FP32
_EMBEDDING_COPIES = 4  # as the batches gave them, in order, picked out, and their gradient


@dataclass(frozen=True)
class TowerShape:
    """A language model of Llama's form.

    Attributes:
        width: H.
        inner: of the feed-forward network.
        layers: how many.
        heads: of queries.
        key_value_heads: of keys and values.
        vocabulary: words; 0: it reads embeddings.
    """

    width: int
    inner: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int = 0

    @property
    def matrices_of_layer(self) -> int:
        """Parameters of a layer's matrices."""
        keys = self.width * self.key_value_heads // self.heads
        return 2 * self.width**2 + 2 * self.width * keys + 3 * self.width * self.inner

    @property
    def layer(self) -> int:
        """Parameters of a layer: matrices and two norms."""
        return self.matrices_of_layer + 2 * self.width

    @property
    def outside(self) -> int:
        """Parameters outside of the layers: word embeddings and the last norm."""
        return self.vocabulary * self.width + self.width

    def multiplied(self, tokens: float, length: float) -> float:
        """Floating-point operations of a forward pass over so many tokens, in texts of a length."""
        attention = 4 * length * self.width * self.layers
        return tokens * (2 * self.matrices_of_layer * self.layers + attention)


_TINYLLAMA = TowerShape(2048, 5632, 22, 32, 4, 32_000)
_BAICHUAN2 = TowerShape(4096, 11_008, 32, 32, 32, 125_696)
# The two sizes that the authors have published: both language models are of the same kind.
PAIRS = {
    name: (item, replace(item, vocabulary=0))
    for name, item in {"1.1b": _TINYLLAMA, "7b": _BAICHUAN2}.items()
}


@dataclass(frozen=True)
class StepShape:
    """A training step of one process.

    Attributes:
        item: Item LLM.
        user: User LLM, as wide as the Item LLM.
        processes: G, one a GPU.
        batch_size: histories.
        history: items that the User LLM reads of each.
        negatives: drawn by this process; all score against those of all.
        text_tokens: of an item, on average, with the prompt; the [ITEM] token comes on top.
        recomputed: gradient checkpointing.
        bf16: mixed precision.
        tokens_per_batch: of the Item LLM's batches.
    """

    item: TowerShape
    user: TowerShape
    processes: int = 1
    batch_size: int = 8
    history: int = 50
    negatives: int = 512
    text_tokens: int = 64
    recomputed: bool = True
    bf16: bool = True
    tokens_per_batch: int = TOKENS_PER_BATCH

    def __post_init__(self) -> None:
        """Check what would give nonsense."""
        counts = (self.processes, self.batch_size, self.history, self.negatives, self.text_tokens)
        if min(counts) < 1:
            raise DataError(f"A plan needs numbers from 1 on, not {min(counts)}.")

    @property
    def items(self) -> int:
        """Different items at most: one more than is read of each history, and the negatives."""
        return self.batch_size * (self.history + 1) + self.negatives

    @property
    def item_tokens(self) -> int:
        """Tokens that the Item LLM reads."""
        return self.items * (self.text_tokens + 1)

    @property
    def item_batches(self) -> int:
        """Batches in which it reads them (hllm.text.token_batches)."""
        per_batch = max(1, self.tokens_per_batch // (self.text_tokens + 1))
        return math.ceil(self.items / per_batch)

    @property
    def parameters(self) -> int:
        """P, without the [ITEM] token and the temperature."""
        towers = (self.item, self.user)
        return sum(tower.layer * tower.layers + tower.outside for tower in towers)


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU, by what they are.

    Attributes:
        weights: its part of the weights.
        moments: its part of the optimiser's two moments.
        gradients: its part of the gradients.
        whole_gradients: gradients of the Item LLM before they are shared out. Each layer is called
            once a batch of items, and its gradient is complete, and can be cut, only after the
            last of these.
        gathered: what is whole while it computes: the layer that runs, the next one, what is
            outside of layers with its gradient and the last batch's part of it.
        activations: what the backward pass needs of the forward pass.
        logits: positions times negatives of all processes, and these negatives.
    """

    weights: float
    moments: float
    gradients: float
    whole_gradients: float
    gathered: float
    activations: float
    logits: float

    @property
    def peak(self) -> float:
        """The most at any time: at the beginning, in the middle or at the end of the backward pass.

        Activations go as whole gradients come; cut gradients come last.
        """
        always = self.weights + self.moments + self.gathered
        return always + max(
            self.activations + max(self.logits, self.whole_gradients),
            self.whole_gradients + self.gradients,
        )


def memory(step: StepShape) -> Memory:
    """Memory of one GPU in a training step, without what CUDA and its allocator take on top."""
    item, user = step.item, step.user
    sharded = step.processes > 1
    own = FP32 * step.parameters / step.processes
    outside = item.outside + user.outside
    largest = max(item.layer, user.layer)
    return Memory(
        weights=own,
        moments=2 * own,
        gradients=own,
        whole_gradients=FP32 * item.layer * item.layers if sharded else 0,
        # Two layers and the gradient of one, on its way to the others.
        gathered=FP32 * (3 * largest + 3 * outside) if sharded else FP32 * item.outside,
        activations=_activations(step),
        logits=_logits(step),
    )


def _activations(step: StepShape) -> float:
    user_tokens = step.batch_size * step.history
    parts = [(step.item, step.item_tokens), (step.user, user_tokens)]
    embeddings = FP32 * _EMBEDDING_COPIES * step.items * step.item.width
    if step.recomputed:
        kept = sum(FP32 * tower.width * tower.layers * tokens for tower, tokens in parts)
        # One layer is made again, for one batch.
        at_once = min(step.item_tokens, max(step.tokens_per_batch, step.text_tokens + 1))
        return (
            embeddings
            + kept
            + max(_kept_of_token(step.item) * at_once, _kept_of_token(step.user) * user_tokens)
        )
    kept = sum(_kept_of_token(tower) * tower.layers * tokens for tower, tokens in parts)
    if step.bf16:  # every call of a layer keeps a copy of its weights
        kept += _BF16 * step.item.layer * step.item.layers * step.item_batches
        kept += _BF16 * step.user.layer * step.user.layers
    return embeddings + kept


def _kept_of_token(tower: TowerShape) -> int:
    """Bytes that a layer keeps of a token; in bf16 a part of them is half as large."""
    return FP32 * (_KEPT_WIDTHS * tower.width + _KEPT_INNER * tower.inner)


def _logits(step: StepShape) -> float:
    positions, negatives = step.batch_size * step.history, step.negatives * step.processes
    # Those of all processes, normalised, and the gradient.
    gathered = 3 * FP32 * negatives * step.user.width
    return _LOGIT_BYTES * positions * (1 + negatives) + gathered


def operations(step: StepShape) -> float:
    """Floating-point operations of one process in a step: two passes backward for one forward."""
    user_tokens = step.batch_size * step.history
    towers = 0.0
    for tower, tokens, length in (
        (step.item, step.item_tokens, step.text_tokens + 1),
        (step.user, user_tokens, step.history),
    ):
        forward = tower.multiplied(tokens, length)
        # A layer that is made again stops before its last product, which nobody needs.
        spared = 2 * tokens * tower.width * tower.inner * tower.layers
        towers += 4 * forward - spared if step.recomputed else 3 * forward
    negatives = step.negatives * step.processes
    # Cosines once for the mask and once for the loss, which alone has a backward pass.
    logits = 4 * 2 * user_tokens * negatives * step.user.width
    return towers + logits


def traffic(step: StepShape) -> float:
    """Bytes that one process receives in a step: layers are gathered for each call, twice."""
    if step.processes == 1:
        return 0
    share = (step.processes - 1) / step.processes
    item, user = step.item.layer * step.item.layers, step.user.layer * step.user.layers
    gathered = 2 * (item * step.item_batches + user) + step.item.outside + step.user.outside
    negatives = 2 * step.negatives * step.processes * step.user.width
    return FP32 * share * (gathered + step.parameters + negatives)


def largest_batch(step: StepShape, bytes_of_gpu: float) -> int:
    """The largest batch_size whose peak fits; 0: none does."""
    size = 0
    for bit in (1 << power for power in reversed(range(13))):
        if memory(replace(step, batch_size=size + bit)).peak <= bytes_of_gpu:
            size += bit
    return size
