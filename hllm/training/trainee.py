"""What the training loop must know of a model: how it is made, scored and saved. HLLM, ID models.

The loop (hllm.training.trainer) is the same for all of them.
"""

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.baselines.id_models import IDLlama, load_sequential, make_sequential, save_sequential
from hllm.checkpoint import build_model, load_model, save_model
from hllm.config import HLLMConfig
from hllm.data import Interactions, item_fields, read_items
from hllm.embed import embed_items, encode_catalog
from hllm.errors import CheckpointError, DataError, shortened
from hllm.evaluation.ranking import Scorer
from hllm.evaluation.scorers import SequentialScorer, make_scorer
from hllm.model import HLLM, ItemAdapter
from hllm.model_folder import ModelFolder
from hllm.schema.tokenizers import read_tokenizer
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.text import item_text, text_hash, tokenize
from hllm.training.options import HLLM_KIND, ModelOptions, TrainOptions
from hllm.training.step import DiscriminativeStep, GenerativeStep, SequentialStep, TrainStep
from hllm.training.top_layers import TopLayers


class Trainee(ABC):
    """A model in training.

    Attributes:
        step: the module that is optimised.
    """

    step: GenerativeStep

    @abstractmethod
    def scorer(self) -> Scorer:
        """The model as it is now, for validation."""

    @abstractmethod
    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write the model as it is now.

        Args:
            folder: made if missing.
            weights: of a sharded model, see hllm.training.fsdp.whole_state; None: its own state.
        """

    def finish(self, folder: Path) -> None:  # noqa: B027  most models need nothing more
        """Add to the folder of the best model what is made once, after the training."""


def make_trainee(
    model_options: ModelOptions,
    options: TrainOptions,
    interactions: Interactions,
    device: torch.device,
) -> Trainee:
    """Make the model that the options ask for.

    Raises:
        DataError: the options do not go together.
        CheckpointError: weights to start from are missing or do not fit.
    """
    kind = HLLMTrainee if model_options.model_kind == HLLM_KIND else SequentialTrainee
    return kind(model_options, options, interactions, device)


class HLLMTrainee(Trainee):
    """An HLLM, its texts, and the cached states of a frozen Item LLM."""

    step: TrainStep

    def __init__(
        self,
        model_options: ModelOptions,
        options: TrainOptions,
        interactions: Interactions,
        device: torch.device,
    ) -> None:
        self._model_options = model_options
        self._options = options
        self._interactions = interactions
        self._device = device
        self._items = read_items(
            options.items,
            form=options.csv_format,
            reference_compatible=options.reference_compatible,
        )
        self._tokenizer, self.model = self._make()
        self._texts = self._item_texts()
        self._states = self._frozen_states()
        self.step = self._make_step()

    @property
    def _is_frozen(self) -> bool:
        return self._model_options.item_training == "frozen"

    @property
    def _is_top(self) -> bool:
        return self._model_options.item_training == "top"

    def _make(self) -> tuple[PreTrainedTokenizerBase, HLLM]:
        config = self._model_options.to_config()
        tokenizer = read_tokenizer(self._model_options.item_folder, config.item_config.vocab_size)
        model = self._make_qlora(config) if self._model_options.is_qlora else self._build(config)
        if self._is_frozen:
            model.item_llm.requires_grad_(False)
        if self._is_frozen or config.item_pooling == "mean":  # which has no use for the token
            model.item_emb_tokens.requires_grad_(False)
        if self._options.gradient_checkpointing:
            _checkpoint_gradients(model)
        return tokenizer, model

    def _build(self, config: HLLMConfig) -> HLLM:
        options = self._model_options
        model = build_model(
            config,
            item_weights=options.item_folder if options.item_pretrained else None,
            user_weights=self._user_weights,
        )
        if self._options.start_from:
            _take_over(model, self._options.start_from)
        return model

    def _make_qlora(self, config: HLLMConfig) -> HLLM:
        """The same with the Item LLM's base in 4 bits, which never exists in more."""
        _require_cuda()
        from hllm.training import qlora  # noqa: PLC0415  bitsandbytes, only if it is used

        dtype = torch.bfloat16 if self._options.precision == "bf16" else torch.float32
        folder = self._model_options.item_folder
        item_llm = qlora.load_base(folder, config.item_config, self._device, dtype)
        model = build_model(config, item_llm=item_llm, user_weights=self._user_weights)
        if self._options.start_from:
            qlora.start_from(model, self._options.start_from)
        return model

    @property
    def _user_weights(self) -> str | None:
        options = self._model_options
        return options.user_llm if options.user_pretrained else None

    def _make_step(self) -> TrainStep:
        options = self._options
        token_ids = tokenize(self._tokenizer, self._texts, self.model.config.max_text_tokens)
        common: dict[str, Any] = {
            "top": self._top_layers(token_ids),
            "dropout": options.dropout,
            "reference_compatible": options.reference_compatible,
        }
        if self.model.click_head is None:
            return TrainStep(self.model, token_ids, self._states, **common)
        if options.negatives_per_position:
            raise DataError("--objective: early and late fusion share negatives: not per position")
        return DiscriminativeStep(
            self.model,
            token_ids,
            self._states,
            num_candidates=options.click_candidates,
            auxiliary_weight=options.auxiliary_weight,
            **common,
        )

    def _top_layers(self, token_ids: list[list[int]]) -> TopLayers | None:
        if not self._is_top:
            return None
        self.model.to(self._device).eval()  # type: ignore[arg-type]
        return TopLayers(self.model, token_ids, self._model_options.item_tuned_layers)

    def _item_texts(self) -> list[str]:
        config = self.model.config
        fields = item_fields(self._interactions, self._items)
        return [item_text(record, config.text_keys, config.item_prompt) for record in fields]

    def _frozen_states(self) -> Tensor | None:
        """States of all items where they do not change; also fits a fresh adapter's whitening."""
        model, adapter = self.model, self.model.item_adapter
        whiten = isinstance(adapter, ItemAdapter) and not self._options.start_from
        if not self._is_frozen and not whiten:
            return None
        model.to(self._device).eval()  # type: ignore[arg-type]
        states = encode_catalog(model, self._tokenizer, self._texts, adapt=False)
        model.train()
        if whiten and isinstance(adapter, ItemAdapter):
            adapter.fit_whitening(states[1:].to(self._device))
        return states if self._is_frozen else None

    @torch.inference_mode()
    def scorer(self) -> Scorer:
        """See Trainee.scorer."""
        self.step.eval()
        if self._is_frozen or self._is_top:
            every = torch.arange(self._interactions.num_items)
            embeddings = self.step.item_embeddings(every).float().cpu()
        else:
            embeddings = encode_catalog(self.model, self._tokenizer, self._texts, progress=False)
        return make_scorer(self.model, embeddings)

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """See Trainee.save."""
        save_model(self.model, folder, self._tokenizer, weights)

    def finish(self, folder: Path) -> None:
        """Embed all items, those that nobody has touched too."""
        if self._states is not None:
            self._save_frozen_embeddings(folder, self._states)
        config = self.model.config
        texts = [
            (item_id, item_text(fields, config.text_keys, config.item_prompt))
            for item_id, fields in self._items.items()
        ]
        embed_items(folder, texts, folder / EMBEDDINGS)

    @torch.inference_mode()
    def _save_frozen_embeddings(self, folder: Path, states: Tensor) -> None:
        """Embeddings by the best model from the cached states, without the Item LLM."""
        best, _ = load_model(folder)
        vectors = best.item_adapter(states)[1:].half()
        hashes = [text_hash(text) for text in self._texts[1:]]
        item_ids = self._interactions.item_ids[1:]
        stored = ItemEmbeddings(item_ids, hashes, vectors, ModelFolder(folder).fingerprint)
        stored.save(folder / EMBEDDINGS)


class SequentialTrainee(Trainee):
    """An ID model: it has no texts, and means nothing without its item numbering."""

    step: SequentialStep

    def __init__(
        self,
        model_options: ModelOptions,
        options: TrainOptions,
        interactions: Interactions,
        device: torch.device,
    ) -> None:
        self._item_ids = interactions.item_ids
        config = model_options.to_sequential(interactions.num_items, options.dropout)
        self.model = make_sequential(config)
        if options.start_from:
            self._start_from(options.start_from)
        if options.gradient_checkpointing:
            if not isinstance(self.model, IDLlama):
                raise DataError("--gradient_checkpointing: sasrec and hstu are too small for it")
            _checkpoint_gradients(self.model.llama)
        self.step = SequentialStep(
            self.model,
            # The other two have their own; the Llama reads its items as HLLM's does.
            dropout=options.dropout if isinstance(self.model, IDLlama) else 0.0,
            reference_compatible=options.reference_compatible,
        )

    def _start_from(self, folder: str) -> None:
        model, item_ids = load_sequential(folder)
        if item_ids != self._item_ids:
            raise CheckpointError(
                f"{folder} was trained on another data set (its items differ): train from scratch."
            )
        try:
            self.model.load_state_dict(model.state_dict())
        except RuntimeError as error:
            raise CheckpointError(f"{folder} does not fit these options ({error}).") from error

    def scorer(self) -> Scorer:
        """See Trainee.scorer."""
        self.step.eval()
        return SequentialScorer(self.model, name=self.model.config.kind)

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """See Trainee.save."""
        save_sequential(self.model, folder, self._item_ids, weights)


def _take_over(model: HLLM, folder: str) -> None:
    """Copy the weights of a trained HLLM; new LoRA matrices and a new click head stay as they are.

    Raises:
        CheckpointError: the models do not fit together.
    """
    source, _ = load_model(folder)
    if source.config.item_lora and not model.config.item_lora:
        for layer in source.item_llm.modules():
            if hasattr(layer, "base_layer"):
                # What its LoRA matrices have learnt becomes part of the base.
                layer.merge()  # type: ignore[operator]
    # A layer under LoRA matrices has its weights one name deeper.
    weights = {k.replace(".base_layer.", "."): v for k, v in source.state_dict().items()}
    wanted = {name: name.replace(".base_layer.", ".") for name in model.state_dict()}
    missing = [name for name, key in wanted.items() if key not in weights]
    if strange := [n for n in missing if "lora_" not in n and not n.startswith("click_head.")]:
        raise CheckpointError(
            f"--start_from {folder} lacks {shortened(strange)}: it is another model."
        )
    known = {name: weights[key] for name, key in wanted.items() if key in weights}
    try:
        model.load_state_dict(known, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"--start_from {folder} does not fit these options ({reason})."
        ) from error


def _require_cuda() -> None:
    if not torch.cuda.is_available():
        raise DataError("--item_training qlora needs a CUDA device, and there is none: use lora")


def _checkpoint_gradients(model: Any) -> None:
    """Recompute the activations of a transformers model's layers in the backward pass."""
    with warnings.catch_warnings():  # its new name is not in the oldest transformers we support
        warnings.simplefilter("ignore", FutureWarning)
        # The reentrant kind gives no gradients below a frozen input: LoRA would learn nothing.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
