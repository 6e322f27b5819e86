"""What one run of benchmarks/on_gpu.py was asked for: the same for all its processes."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from hllm.atomic import atomic_text
from hllm.errors import DataError

FILE = "settings.json"


@dataclass(frozen=True)
class Settings:
    """Which device, which sizes, which data.

    Attributes:
        output: folder of everything that is written.
        device: cuda or cpu.
        tiny: models of one or two layers and trainings of two steps, to try the command itself.
        items: items.csv of the data set that is tuned on; empty: none.
        interactions: its interactions.csv; empty: none.
        text_keys: columns of items.csv that the Item LLM reads.
    """

    output: str
    device: str
    tiny: bool = False
    items: str = ""
    interactions: str = ""
    text_keys: tuple[str, ...] = ("title",)

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.output)

    def save(self) -> None:
        """Write them into the output folder.

        Raises:
            DataError: it holds the results of other settings.
        """
        path = self.folder / FILE
        if path.exists() and (before := load_settings(path)) != self:
            differing = [
                field.name
                for field in dataclasses.fields(self)
                if getattr(before, field.name) != getattr(self, field.name)
            ]
            raise DataError(
                f"{self.output} holds results of another {', '.join(differing)}: give the same "
                "options, or another --output."
            )
        with atomic_text(path) as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def load_settings(path: Path) -> Settings:
    """Read what Settings.save has written.

    Raises:
        DataError: the file is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Settings(**values | {"text_keys": tuple(values["text_keys"])})
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}): remove it, or give another --output.") from (
            error
        )
