"""The states that a stopped run continues from: written so that a kill at any moment leaves one.

``state/step-00000120/`` holds what accelerate saves, the shards, and the best model so far. It is
written as ``step-00000120.partial``; complete.json, the list of its files with their sums, comes
last; then it gets its name, and only then the states before it go. All is on the disk before the
next stage begins. The newest state whose sums agree is the one that counts.

Nothing in a state is unpickled with more than torch's weights_only allows.
"""

import filecmp
import hashlib
import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, load
from safetensors import SafetensorError, safe_open

from hllm.atomic import SUFFIX, atomic_path, storage_errors, sync
from hllm.errors import CheckpointError
from hllm.training.run_record import STATE

logger = logging.getLogger(__name__)
MARK = "complete.json"
# What to do about a full disk.
CONTINUES = "then give the same command again; it continues from the last state that was saved"
_BEST = "best_model.safetensors"
_NAME = re.compile(r"step-\d{8,}")
_OBJECTS = "object_{}.pkl"
_OLD_OBJECTS = "custom_checkpoint_{}.pkl"  # accelerate's: versions before this had it write them


def save_state(
    accelerator: Accelerator, output: Path, step: int, write: Callable[[Path], None]
) -> None:
    """Write a state that takes the place of those before; all processes must call.

    Args:
        accelerator: of the run.
        output: the run's folder.
        step: optimiser steps done.
        write: writes a process's files into the folder that it is given.

    Raises:
        StorageError: the disk is full; the state before stands.
    """
    folder = output / STATE / f"step-{step:08d}"
    partial = folder.with_name(folder.name + SUFFIX)
    try:
        with storage_errors(folder, CONTINUES):
            if accelerator.is_main_process:
                shutil.rmtree(partial, ignore_errors=True)  # a killed run's
                partial.mkdir(parents=True)
            accelerator.wait_for_everyone()
            write(partial)
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                _complete(partial, folder, step)
    except BaseException:
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)  # makes room on a full disk
        raise
    if accelerator.is_main_process:
        _remove_others(folder)
    accelerator.wait_for_everyone()


def find_state(accelerator: Accelerator, output: Path) -> Path | None:
    """The folder of the newest complete state, the same in all processes; None: there is none.

    Raises:
        CheckpointError: states were complete, but none is any more.
    """
    found = None
    if accelerator.is_main_process:
        found = _newest(output / STATE)
        if found and (found / MARK).is_file():
            _remove_others(found)  # a kill may have been in the midst of it
    return broadcast_object_list([found])[0]


def save_objects(folder: Path, *objects: Any) -> None:
    """Write the state_dict of objects; the main process only."""
    for number, thing in enumerate(objects):
        torch.save(thing.state_dict(), folder / _OBJECTS.format(number))


def load_objects(folder: Path, *objects: Any) -> None:
    """Read what save_objects wrote, into the same kinds of objects.

    Raises:
        OSError, RuntimeError, pickle.UnpicklingError: a file is missing or of another kind.
    """
    for number, thing in enumerate(objects):
        # accelerate's own load_state would unpickle these without weights_only.
        thing.load_state_dict(load(folder / _OBJECTS.format(number), map_location="cpu"))


def keep_best(folder: Path, weights: Path) -> None:
    """Make the weights of the best model so far part of a state, without a second copy if possible.

    They are replaced by name, never changed in place: a second name keeps what they are now.
    """
    if not weights.is_file():
        return
    try:
        os.link(weights, folder / _BEST)
    except OSError:  # a file system without hard links
        shutil.copyfile(weights, folder / _BEST)


def restore_best(folder: Path, weights: Path) -> None:
    """Bring back the best model of a state, where a later one was saved before the run stopped.

    Training on makes the later one again; where sums differ from run to run (on a GPU), perhaps
    another one, and perhaps none that is better.
    """
    kept = folder / _BEST
    if not kept.is_file() or (weights.is_file() and filecmp.cmp(kept, weights, shallow=False)):
        return
    with atomic_path(weights) as temporary:
        shutil.copyfile(kept, temporary)


def drop_states(output: Path) -> None:
    """Remove all states of a run, which another one is about to replace."""
    for state in list((output / STATE).glob("step-*")):
        if _NAME.fullmatch(state.name):
            # First its name: of a state that a kill leaves half removed, nobody continues.
            partial = state.with_name(state.name + SUFFIX)
            shutil.rmtree(partial, ignore_errors=True)
            os.replace(state, partial)
    for folder in (output / STATE, _old_swap(output / STATE)):
        shutil.rmtree(folder, ignore_errors=True)


def _complete(partial: Path, folder: Path, step: int) -> None:
    for path in partial.iterdir():
        sync(path)
    mark = partial / MARK
    mark.write_text(json.dumps({"step": step, "files": _files(partial)}, indent=1) + "\n")
    sync(mark)
    sync(partial)
    # A damaged one: a whole one would have been continued from.
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    sync(folder.parent)
    sync(folder.parent.parent)


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of each file but the mark."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.name != MARK:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    return files


def _remove_others(folder: Path) -> None:
    """Remove what came before a state that stands, that of earlier versions, too."""
    root = folder.parent
    for path in (*root.iterdir(), _old_swap(root)):
        if path.is_dir() and path != folder:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file():
            path.unlink()


def _newest(root: Path) -> Path | None:
    named = (path for path in root.glob("step-*") if _NAME.fullmatch(path.name))
    marked = sorted((path for path in named if (path / MARK).is_file()), reverse=True)
    for folder in marked:
        if _agrees(folder):
            return folder
        logger.warning("%s is damaged (its files are not those of its %s)", folder, MARK)
    # A version before this swapped whole folders: the old one may be gone, the new one not named.
    for folder in (root, _old_swap(root)):
        _rename_objects(folder)
        if _is_whole(folder):
            return folder
    if marked:
        raise CheckpointError(
            f"{root} holds no state that can be continued from: restore it, or delete it to train "
            "from the beginning."
        )
    if any(root.glob("*")) or _old_swap(root).exists():
        logger.info(
            "%s holds no complete state (the run stopped while it wrote the first): training "
            "starts from the beginning",
            root,
        )
    return None


def _agrees(folder: Path) -> bool:
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return bool(mark["files"] == _files(folder))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _old_swap(root: Path) -> Path:
    return root.with_name(f"{root.name}.new")


def _rename_objects(folder: Path) -> None:
    """Take away their old names, which accelerate would load by itself."""
    for number in range(2):
        with suppress(FileNotFoundError):
            os.replace(folder / _OLD_OBJECTS.format(number), folder / _OBJECTS.format(number))


def _is_whole(folder: Path) -> bool:
    """Whether a state without a mark, of an earlier version, holds all that belongs to it."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    wanted = {"random_states_0.pkl", *(_OBJECTS.format(number) for number in range(2))}
    if shards := [name for name in names if name.startswith("shard_")]:
        count = int(shards[0].removesuffix(".safetensors").rsplit("_", 1)[1])
        wanted |= {f"shard_{rank}_of_{count}.safetensors" for rank in range(count)}
        wanted |= {f"random_states_{rank}.pkl" for rank in range(count)}
    else:
        wanted |= {"model.safetensors", "optimizer.bin"}
    return wanted <= names and all(_opens(folder / name) for name in wanted)


def _opens(path: Path) -> bool:
    """Whether a file that safetensors or torch.save wrote has its end."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt"):
                return True
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, SafetensorError, zipfile.BadZipFile):
        return False
