"""Published hyper-parameters of ID models: the reference's scripts, and the authors' own settings.

The authors' (sasrec, esasrec, hstu, hstu-large) fit one process and any data set. Where they train
for a fixed time, or until 50 validations have brought nothing, ours end after 10 of them: patience
ends the training, not epochs. Where they draw 256 or 512 items for every position, ours share 2,048
items among all positions of a batch, as HLLM does: each position sees more, and a CPU can do it.
"""

from dataclasses import asdict, dataclass
from typing import Any

# Option of hllm.training.options -> argument of IDModelConfig.
_MODEL_OPTIONS = {
    "model_kind": "kind",
    "user_size": "hidden_size",
    "user_layers": "num_layers",
    "user_heads": "num_heads",
    "dropout": "dropout",
    "max_history": "max_history",
    "id_inner_size": "inner_size",
    "id_table_size": "id_size",
    "id_key_value_heads": "num_key_value_heads",
    "id_learn_temperature": "learn_temperature",
    "id_cosine": "cosine",
}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Hyper-parameters of one model.

    Attributes:
        model: arguments of IDModelConfig except num_items.
        learning_rate: of AdamW.
        lr_schedule: constant, or cosine without a warm-up.
        weight_decay: on all parameters.
        batch_size: sequences per process.
        num_negatives: drawn per batch, or per position.
        negatives_per_position: which of the two.
        epochs: at most.
        patience: evaluations without a gain before it stops.
        data_split: see hllm.data.train_chunks.
        precision: fp32 or bf16.
    """

    model: dict[str, Any]
    learning_rate: float = 1e-3
    lr_schedule: str = "constant"
    weight_decay: float = 0.0
    batch_size: int = 16
    num_negatives: int = 512
    negatives_per_position: bool = True
    epochs: int = 201
    patience: int = 10
    data_split: bool = True
    precision: str = "fp32"

    def options(self) -> dict[str, Any]:
        """The same as options of  python -m hllm.train."""
        values = asdict(self)
        model = values.pop("model")
        options = {name: model[key] for name, key in _MODEL_OPTIONS.items() if key in model}
        # None of them has either, but our defaults do.
        return options | values | {"warmup": 0.0, "clip_norm": 0.0}


def _pixel(kind: str) -> Preset:
    model = dict(kind=kind, hidden_size=512, num_layers=2, num_heads=4, dropout=0.1, max_history=10)
    return Preset(
        model=model,
        learning_rate=1e-4,
        weight_decay=0.1,
        batch_size=64,
        num_negatives=5632,
        negatives_per_position=False,
        epochs=50,
        patience=5,
    )


def _books(kind: str, layers: int, heads: int, **more: int | bool) -> dict[str, Any]:
    return (
        dict(
            kind=kind,
            hidden_size=64,
            num_layers=layers,
            num_heads=heads,
            dropout=0.5,
            max_history=50,
        )
        | more
    )


def _authors(kind: str, layers: int, heads: int, dropout: float, **more: bool) -> Preset:
    # Width 64, 50 items, batches of 128, a constant rate of 1e-3 without decay: all of them.
    model = dict(kind=kind, hidden_size=64, num_layers=layers, num_heads=heads) | more
    return Preset(
        model=model | dict(dropout=dropout, max_history=50),
        batch_size=128,
        num_negatives=2048,
        negatives_per_position=False,
        epochs=200,
    )


ID_PRESETS: dict[str, Preset] = {
    # eSASRec's authors on Amazon Beauty, Sports and Toys (arXiv 2508.06450 and the table of
    # hyper-parameters in github.com/blondered/transformer_benchmark), also for SASRec with a
    # sampled softmax; its inner width is 4 times the width on Beauty.
    # The configurations beside that table are 256 wide.
    # They compare by dot product (--no_id_cosine); cosines learn faster (docs/results.md).
    "sasrec": _authors("sasrec", 1, 1, 0.2),
    "esasrec": _authors("esasrec", 1, 1, 0.2),
    # HSTU's authors on Amazon Books (arXiv 2402.17152; configs/amzn-books of
    # github.com/facebookresearch/generative-recommenders): cosines at a fixed temperature of 0.05.
    "hstu": _authors("hstu", 4, 4, 0.5, learn_temperature=False),
    "hstu-large": _authors("hstu", 16, 8, 0.5, learn_temperature=False),
    "sasrec-pixel8m": _pixel("sasrec"),
    "hstu-pixel8m": _pixel("hstu"),
    "sasrec-books-neg512": Preset(model=_books("sasrec", 4, 4)),
    "hstu-large-books-neg512": Preset(model=_books("hstu", 16, 8)),
    # 56 negatives per sequence, 128 sequences: 7,168 shared ones (but the script's name says 28k).
    "hstu-large-books-neg28k": Preset(
        model=_books("hstu", 16, 8, max_history=55, learn_temperature=False),
        num_negatives=7168,
        negatives_per_position=False,
        data_split=False,
    ),
    "hstu-1b-books-neg512": Preset(
        model=_books("hstu", 22, 32, hidden_size=2048, learn_temperature=False),
        weight_decay=0.1,
        batch_size=8,
        precision="bf16",
    ),
    # The shape is TinyLlama's; the item table is 512 wide.
    "sasrec-1b-books-neg512": Preset(
        model=_books(
            "id-llama",
            22,
            32,
            hidden_size=2048,
            inner_size=5632,
            num_key_value_heads=4,
            id_size=512,
            learn_temperature=False,
        ),
        lr_schedule="cosine",
        weight_decay=0.1,
        batch_size=8,
        precision="bf16",
    ),
}
