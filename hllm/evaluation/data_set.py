"""What models are evaluated on: a csv pair, read and split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hllm.data import Interactions, item_fields, read_items
from hllm.split_options import DEFAULT_SPLIT, SplitOptions
from hllm.splits import read_split
from hllm.tables import DEFAULT_FORMAT, CsvFormat


@dataclass(frozen=True)
class DataSet:
    """A csv pair, read.

    Attributes:
        interactions: sequences by user, and the items to rank (hllm.evaluation.ranking).
        fields: text fields by item_index; None for padding and for items without a record.
        split: of the interactions; models must have been trained with it.
    """

    interactions: Interactions
    fields: list[Any]
    split: SplitOptions = DEFAULT_SPLIT

    @classmethod
    def read(
        cls,
        interactions: str | Path,
        items: str | Path,
        *,
        form: CsvFormat = DEFAULT_FORMAT,
        reference_compatible: bool = False,
        split: SplitOptions = DEFAULT_SPLIT,
        others: Sequence[str | Path] = (),
    ) -> "DataSet":
        """Read both files, and the others of a published split (hllm.splits.read_split).

        Raises:
            DataError: missing or malformed.
        """
        records = read_items(items, form=form, reference_compatible=reference_compatible)
        sequences = read_split(
            interactions,
            split,
            others=others,
            form=form,
            extra_item_ids=() if reference_compatible else list(records),
            reference_compatible=reference_compatible,
        )
        return cls(sequences, list(item_fields(sequences, records)), split)

    @property
    def num_touched(self) -> int:
        """Number of items with an interaction; the others are numbered behind them."""
        return max(int(sequence.max()) for sequence in self.interactions.sequences)

    @property
    def split_description(self) -> str:
        """For people; empty for leave-one-out."""
        return self.interactions.parts.description if self.interactions.parts else ""

    @property
    def num_trained(self) -> int:
        """Number of items that training may know; they have the smallest numbers."""
        num_touched, held_out = self.num_touched, self.interactions.held_out
        return num_touched if held_out is None else int((~held_out[1 : num_touched + 1]).sum())
