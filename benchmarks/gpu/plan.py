"""The cases of benchmarks/on_gpu.py, in order of value. Imports no model library."""

from dataclasses import dataclass, field

from benchmarks.gpu.questions import BOOKS, DATASET, QUESTIONS, Training

# Part -> what it measures.
PARTS = {
    "load": "NF4: loading and memory",
    "click": "A click by the length of the history",
    "visitors": "Many visitors at once (NF4)",
    "embed": "Embedding a catalogue",
    "mfu": "Model FLOP utilisation of training",
    "books": "SmolLM2 x 2 for the built-in books, LoRA",
    "dataset": "SmolLM2 x 2 tuned in full on the given data",
    "questions": "The paper's questions on the given data",
}
SIZES = ("smollm2", "1.1b", "7b")
PRECISIONS = ("nf4", "bf16")


@dataclass(frozen=True)
class Case:
    """What runs in one process and is done once.

    Attributes:
        part: of PARTS.
        name: within the part.
        estimate_s: it does not begin where fewer seconds are left. A guess: none ever ran.
        share_s: most seconds a training gets in one go; None: it is none.
        needs_data: whether it reads the given data set.
        training: of a training.
    """

    part: str
    name: str
    estimate_s: float
    share_s: float | None = None
    needs_data: bool = False
    training: Training | None = field(default=None, compare=False)

    @property
    def title(self) -> str:
        """As --only and --skip name it."""
        return f"{self.part}/{self.name}"


def _training(
    part: str, training: Training, estimate_s: float, share_s: float, needs_data: bool = True
) -> Case:
    return Case(part, training.name, estimate_s, share_s, needs_data, training)


CASES = (
    Case("load", "smollm2", 40),
    Case("load", "1.1b", 60),
    Case("load", "7b", 150),
    *(
        Case("click", f"{size}-{precision}", 60 if size == "7b" else 30)
        for size in SIZES
        for precision in PRECISIONS
    ),
    Case("visitors", "smollm2", 50),
    Case("visitors", "1.1b", 60),
    Case("embed", "smollm2", 50),
    Case("embed", "minilm", 30),
    Case("mfu", "full", 60),
    Case("mfu", "lora", 60),
    _training("books", BOOKS, 180, 420, needs_data=False),
    _training("dataset", DATASET, 180, 420),
    *(_training("questions", training, 120, 240) for training in QUESTIONS),
)


def chosen(only: list[str], skip: list[str]) -> list[Case]:
    """The cases to run.

    Args:
        only: parts ("click") and cases ("click/7b-nf4"); empty: all.
        skip: the same, left out.

    Raises:
        ValueError: an unknown name.
    """
    known = {*PARTS, *(case.title for case in CASES)}
    for name in (*only, *skip):
        if name not in known:
            raise ValueError(f"{name!r}: choose parts from {', '.join(PARTS)}, or PART/CASE")
    return [
        case
        for case in CASES
        if (not only or {case.part, case.title} & set(only))
        and not {case.part, case.title} & set(skip)
    ]
