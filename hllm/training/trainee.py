"""What the training loop must know of a model: how it is made, scored and saved. HLLM, ID models.

The loop (hllm.training.trainer) is the same for all of them.
"""

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.baselines.id_models import IDLlama, load_id_model, make_id_model, save_id_model
from hllm.checkpoint import save_model
from hllm.choices import GENERATIVE
from hllm.data import Interactions, item_fields, read_items
from hllm.embed import embed_items
from hllm.errors import CheckpointError, DataError
from hllm.evaluation.ranking import Scorer
from hllm.evaluation.scorers import IDModelScorer, make_scorer
from hllm.schema.tokenizers import read_tokenizer
from hllm.store import BLEND, EMBEDDINGS
from hllm.text import check_text_keys
from hllm.training.initial_model import checkpoint_gradients, make_initial_model
from hllm.training.item_encoder import ItemTexts, make_item_encoder
from hllm.training.model_config import make_config
from hllm.training.objective import ClickObjective, GenerativeObjective, Objective
from hllm.training.option_rules import HLLM_KIND
from hllm.training.options import ModelOptions, TrainOptions
from hllm.training.step import HLLMStep, IDModelStep, Step


class Trainee(ABC):
    """A model in training.

    Attributes:
        step: the module that is optimised.
    """

    step: Step

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
    kind = HLLMTrainee if model_options.model_kind == HLLM_KIND else IDModelTrainee
    return kind(model_options, options, interactions, device)


class HLLMTrainee(Trainee):
    """An HLLM and the texts of its items."""

    step: HLLMStep

    def __init__(
        self,
        model_options: ModelOptions,
        options: TrainOptions,
        interactions: Interactions,
        device: torch.device,
    ) -> None:
        objective = _objective(model_options, options)
        self._items = read_items(
            options.items,
            form=options.csv_format,
            reference_compatible=options.reference_compatible,
        )
        check_text_keys(self._items.values(), model_options.text_keys, source=options.items)
        config = make_config(model_options)
        # Before the weights, which can take minutes: a folder without a tokenizer is said at once.
        tokenizer = read_tokenizer(model_options.item_folder, config.item_config.vocab_size)
        self.model = make_initial_model(config, model_options, options, device)
        self.texts = self._item_texts(interactions, tokenizer, options)
        self._encoder = make_item_encoder(
            self.model,
            self.texts,
            model_options,
            device,
            # A trained model's adapter has learned behind the whitening it was trained with.
            fit_adapter=not options.start_from,
            exact=options.reference_compatible,
        )
        self.step = HLLMStep(self._encoder, objective, dropout=options.dropout)
        self._device = device

    def _item_texts(
        self,
        interactions: Interactions,
        tokenizer: PreTrainedTokenizerBase,
        options: TrainOptions,
    ) -> ItemTexts:
        config = self.model.config
        fields = item_fields(interactions, self._items)
        item_ids, num_trained = interactions.item_ids, interactions.num_items
        if not options.reference_compatible:  # validation ranks what the page ranks
            known = set(item_ids)
            untouched = [item_id for item_id in self._items if item_id not in known]
            item_ids = item_ids + untouched
            fields += [self._items[item_id] for item_id in untouched]
        texts = [config.item_text(record) for record in fields]
        return ItemTexts(item_ids, texts, tokenizer, num_trained)

    @torch.inference_mode()
    def scorer(self) -> Scorer:
        """See Trainee.scorer."""
        self.step.eval()
        return make_scorer(self.model, self._encoder.embed_all(self.texts))

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """See Trainee.save."""
        save_model(self.model, folder, self.texts.tokenizer, weights)

    def finish(self, folder: Path) -> None:
        """Embed all items."""
        (folder / BLEND).unlink(missing_ok=True)  # its weights were chosen for another model
        self._encoder.save_embeddings(folder, self.texts)
        config = self.model.config
        texts = [(item_id, config.item_text(fields)) for item_id, fields in self._items.items()]
        embed_items(folder, texts, folder / EMBEDDINGS, device=self._device)


def _objective(model_options: ModelOptions, options: TrainOptions) -> Objective:
    if model_options.objective == GENERATIVE:
        return GenerativeObjective(reference_compatible=options.reference_compatible)
    if options.negatives_per_position:
        raise DataError("--objective: early and late fusion share negatives: not per position")
    return ClickObjective(
        num_candidates=options.click_candidates,
        auxiliary_weight=options.auxiliary_weight,
        reference_compatible=options.reference_compatible,
    )


class IDModelTrainee(Trainee):
    """An ID model: it has no texts, and means nothing without its item numbering."""

    step: IDModelStep

    def __init__(
        self,
        model_options: ModelOptions,
        options: TrainOptions,
        interactions: Interactions,
        device: torch.device,
    ) -> None:
        self._item_ids = interactions.item_ids
        config = model_options.to_id_model(interactions.num_items, options.dropout)
        self.model = make_id_model(config)
        if options.start_from:
            self._copy_trained_weights(options.start_from)
        if options.gradient_checkpointing:
            if not isinstance(self.model, IDLlama):
                raise DataError(
                    "--gradient_checkpointing: sasrec, esasrec and hstu are too small for it"
                )
            checkpoint_gradients(self.model.llama)
        self.step = IDModelStep(
            self.model,
            GenerativeObjective(reference_compatible=options.reference_compatible),
            # The others have their own; the Llama reads its items as HLLM's does.
            dropout=options.dropout if isinstance(self.model, IDLlama) else 0.0,
        )

    def _copy_trained_weights(self, folder: str) -> None:
        model, item_ids = load_id_model(folder)
        # Row n of the item table is item n: with other items it would be another one's.
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
        return IDModelScorer(self.model, name=self.model.config.kind)

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """See Trainee.save."""
        save_id_model(self.model, folder, self._item_ids, weights)
