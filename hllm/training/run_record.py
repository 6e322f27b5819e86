"""What shapes a run's result, kept in run.json: a used output folder answers for nothing else.

Compared before anything heavy is imported or loaded, so that a repeated command is answered at
once: this module needs no torch.
"""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hllm.atomic import atomic_text
from hllm.errors import DataError
from hllm.evaluation.run_records import OPTIONS
from hllm.evaluation.trained_split import check_trained_split
from hllm.split_options import LEAVE_ONE_OUT, split_options
from hllm.weights.packaged import official_checksum, packaged_name

if TYPE_CHECKING:  # its imports take seconds
    from hllm.training.options import ModelOptions, TrainOptions

logger = logging.getLogger(__name__)
RECORD = "run.json"
STATE = "state"  # sub-folder of a run's output, see hllm.training.run_state
# Of what training computes. Raise it with a change after which the same options on the same data
# give another model: a run that was begun before must not go on as if nothing had happened.
NUMERICS = 2

_FORMAT = "hllm-run/1"
# Where things are, what is only shown, and what changes memory but no result.
_SHAPES_NOTHING = {"output", "tensorboard", "restart", "gradient_checkpointing"}
_INTERACTIONS = ("interactions", "valid_interactions", "test_interactions")
_DATA = (*_INTERACTIONS, "items")
_BY_CONTENT = (*_DATA, "item_llm", "user_llm", "start_from")
_MODEL_FILES = (
    "config.json",
    "model*.safetensors*",
    "*.gguf",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "*.model",
)
_WAY_ON = "give another --output, or --restart to train anew in its place"

Files = dict[str, dict[str, Any]]  # name of a file -> its SHA-256, and what tells that it changed


@dataclass
class RunRecord:
    """What shapes a run's result, and the result once there is one.

    Attributes:
        folder: the run's output.
        options: by name; the values that a result depends on.
        files: option -> files that it names, by content: bytes as they are, so that a csv and the
            same packed as .gz are two.
        processes: that share a batch.
        numerics: NUMERICS of the version that began the run.
        result: of the finished run: best ndcg@10, its step, and the files that were made.
    """

    folder: Path
    options: dict[str, Any]
    files: dict[str, Files]
    processes: int
    numerics: int = NUMERICS
    result: dict[str, Any] | None = None

    def write(self) -> None:
        """Write run.json."""
        values = dataclasses.asdict(self) | {"format": _FORMAT}
        del values["folder"]
        with atomic_text(self.folder / RECORD) as file:
            file.write(json.dumps(values, indent=1, ensure_ascii=False) + "\n")

    def finish(self, ndcg: float, step: int, made: Iterable[str]) -> None:
        """Note that the run is finished.

        Args:
            ndcg: validation ndcg@10 of the best model.
            step: that it was reached at.
            made: names of the files of the finished run in its folder.
        """
        files = {name: _stamp(self.folder / name) for name in made}
        self.result = {"ndcg@10": ndcg, "step": step, "files": files}
        self.write()

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do.

        Raises:
            DataError: the weights in the folder are not those that the run saved.
        """
        made = (self.result or {}).get("files", {})
        if not made or not all((self.folder / name).is_file() for name in made):
            return False  # what is missing is made again from the state
        for name in made:
            path = self.folder / name
            if name.startswith("model") and _stamp(path, made)["sha256"] != made[name]["sha256"]:
                raise DataError(f"{path} is not the model that this run has saved: {_WAY_ON}.")
        return True


def open_run(model: "ModelOptions", train: "TrainOptions") -> RunRecord:
    """Compare what shapes this run with what shaped the one that its output folder holds.

    Args:
        model: what is trained.
        train: how, and on what.

    Returns:
        The record of this run, not yet written; with a result if the very same run is finished.

    Raises:
        DataError: the folder holds another run, or a model of another origin; the message names
            what differs. Or a file does not exist.
    """
    output = train.output
    if train.start_from and Path(train.start_from).resolve() == output.resolve():
        raise DataError(f"--start_from and --output are both {output}: give another --output.")
    if train.start_from:  # what it has seen, this run has seen
        check_trained_split(train.start_from, split_options(vars(train)))
        if train.split != LEAVE_ONE_OUT:
            check_same_data(train.start_from, vars(train))
    old = _read(output)
    new = _record_of(model, train, old.files if old else {})
    if train.restart or not holds_result(output):
        return new
    if old is None:
        _check_without_record(output, model, train)
        return new
    differences = list(_differences(old, new, model, train))
    if differences:
        raise DataError(f"{output} holds a run that differs ({'; '.join(differences)}): {_WAY_ON}.")
    if old.options == new.options:
        new.result = old.result
    return new


def check_same_data(folder: str | Path, data: Mapping[str, Any]) -> None:
    """Make sure that a model was trained on the very same interactions.

    Args:
        folder: of the model; one that does not exist is left to who loads it.
        data: options, among them interactions and the files of a published split.

    Raises:
        DataError: it was not, or its folder does not say.
    """
    if not Path(folder).is_dir():
        return
    record = _read(Path(folder))
    for name in _INTERACTIONS:
        path = data[name]
        was = _sums(record.files.get(name, {})) if record else {}
        if was != (_sums(_files(name, path, {})) if path else {}):
            raise DataError(
                f"{folder} was not trained on {path}: another file is split elsewhere, and what "
                "the model has seen could be measured; give the file that it was trained on, byte "
                "by byte."
            )


def holds_result(output: Path) -> bool:
    """Whether a folder holds a model, or a state that a run continues from."""
    return any(output.glob("model*.safetensors")) or _holds_state(output)


def _holds_state(output: Path) -> bool:
    return any(output.glob(f"{STATE}*/*"))  # state.new: of an earlier version


def _record_of(
    model: "ModelOptions", train: "TrainOptions", known: Mapping[str, Files]
) -> RunRecord:
    values = dataclasses.asdict(model) | dataclasses.asdict(train)
    options = {
        name: value
        for name, value in values.items()
        if name not in _SHAPES_NOTHING and name not in _BY_CONTENT
    }
    files = {}
    for name in _BY_CONTENT:
        reads_texts = model.model_kind == "hllm" or name in (*_INTERACTIONS, "start_from")
        if values[name] and reads_texts:  # an ID model reads neither texts nor language models
            files[name] = _files(name, values[name], known.get(name, {}))
    return RunRecord(train.output, options, files, int(os.environ.get("WORLD_SIZE", "1")))


def _files(option: str, value: str | Path, known: Files) -> Files:
    name = packaged_name(value)
    if name and option not in _DATA:
        return {name: {"sha256": official_checksum(name)}}
    path = Path(value)
    if option in _DATA:
        if not path.is_file():
            raise DataError(f"{path}: no such file; give the path of a csv or csv.gz file.")
        # Under one name: it is the contents that count.
        return {option: _stamp(path, {path.name: known.get(option, {})})}
    # Whoever loads it reports that it is not a folder, or what it lacks.
    paths = sorted({file for pattern in _MODEL_FILES for file in path.glob(pattern)})
    return {file.name: _stamp(file, known) for file in paths if file.is_file()}


def _stamp(path: Path, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """SHA-256 of a file's bytes; not computed again while nothing has touched the file."""
    stat = path.stat()
    # Nothing but the machine itself sets the time of change (ctime), unlike that of the contents.
    changed = f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"
    before = (known or {}).get(path.name, {})
    if before.get("changed") == changed:
        return dict(before)
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "changed": changed}


def _read(output: Path) -> RunRecord | None:
    path = output / RECORD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != _FORMAT:
            raise ValueError("it is of another version")
        return RunRecord(output, **values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read ({error}): {_WAY_ON}.") from error


def _differences(
    old: RunRecord, new: RunRecord, model: "ModelOptions", train: "TrainOptions"
) -> Iterator[str]:
    defaults = {
        field.name: _default(field)
        for options in (model, train)
        for field in dataclasses.fields(options)
    }
    before = defaults | old.options  # an option that a later version has added
    for name, value in new.options.items():
        if before[name] != value and not _may_grow(name, before, new.options):
            yield f"{name} was {_shown(before[name])}, is {_shown(value)}"
    for name in _BY_CONTENT:
        was, now = _sums(old.files.get(name, {})), _sums(new.files.get(name, {}))
        if was != now:
            yield f"{name}: {_other_contents(name, was, now)}"
    if old.processes != new.processes:
        yield f"processes were {old.processes}, are {new.processes}"
    if old.numerics != new.numerics:
        yield "it was begun by a version of this program that trains differently"


def _default(field: "dataclasses.Field[Any]") -> Any:
    return (
        field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    )


def _sums(files: Files) -> dict[str, str]:
    return {name: stamp["sha256"] for name, stamp in files.items()}


def _other_contents(name: str, was: Mapping[str, str], now: Mapping[str, str]) -> str:
    if name in _DATA:
        return "other data"
    if not was or not now:
        return "a model was given" if was else "no model was given"
    return "another model"


def _may_grow(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether training on gives what training so long from the start would have given.

    More patience always does. More steps do only if no learning rate on the way depends on how
    many there are.
    """
    if name == "patience":
        return bool(now[name] > before[name])
    if name not in ("epochs", "max_steps"):
        return False
    unplanned = now["lr_schedule"] == "constant" and now["warmup"] == 0
    return bool(unplanned and now[name] > before[name] and (name == "epochs" or before[name] > 0))


def _shown(value: Any) -> str:
    return repr(value) if value == "" else str(value)


def _check_without_record(output: Path, model: "ModelOptions", train: "TrainOptions") -> None:
    """A run of a version that kept no record: its options, if it came to its end, are known.

    Raises:
        DataError: the options differ, or no training has made this model.
    """
    path = output / OPTIONS
    if not path.is_file():
        if _holds_state(output):
            logger.warning(
                "%s holds a run of an earlier version: whether its options and data are the same "
                "could not be compared",
                output,
            )
            return
        raise DataError(f"{output} holds a model that was not trained here: {_WAY_ON}.")
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        now = dataclasses.asdict(model) | dataclasses.asdict(train)
        differences = [
            f"{name} was {_shown(before[name])}, is {_shown(now[name])}"
            for name in now
            if name in before
            and name not in _SHAPES_NOTHING
            and _comparable(name, before[name]) != _comparable(name, now[name])
        ]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}): {_WAY_ON}.") from error
    if differences:
        raise DataError(f"{output} holds a run that differs ({'; '.join(differences)}): {_WAY_ON}.")
    logger.warning(
        "%s holds a run of an earlier version: its options are the same, whether its data are "
        "could not be compared",
        output,
    )


def _comparable(name: str, value: Any) -> Any:
    return str(Path(value).resolve()) if name in _BY_CONTENT and value else value
