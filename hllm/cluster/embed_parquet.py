"""Embeds a Parquet data set on a Ray cluster: an actor pool makes one output file after another.

Ray Data spreads the blocks over the pool, and gives those of a node that has died to others. Rows
do not travel: a worker is told which rows of which file it reads, and where it writes. What is done
is what the output folder holds, so that a run that was stopped goes on from there.
"""

import logging
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hllm.cluster.block_embedder import BlockEmbedder
from hllm.cluster.blocks import (
    ITEMS_PER_BLOCK,
    Block,
    Job,
    claim,
    plan_blocks,
    read_sources,
    unfinished,
)
from hllm.cluster.ray_session import ray_session
from hllm.errors import DataError
from hllm.exchange import COMPLETE
from hllm.model_folder import ModelFolder
from hllm.places import Place

logger = logging.getLogger(__name__)
_RETRIES = 3  # of a block: of Ray's own accord, one that kills its worker would do so for ever
_BLOCKS_AHEAD = 2  # of a worker: the next one is there when one is done


@dataclass(frozen=True)
class EmbedCounts:
    """What a run did: items and blocks in all, and those that were made now."""

    items: int
    made_items: int
    blocks: int
    made_blocks: int


def embed_parquet(
    model: Path,
    items: str,
    output: str,
    *,
    half: bool = True,
    address: str = "",
    workers: int = 0,
    items_per_block: int = ITEMS_PER_BLOCK,
    progress: bool = True,
) -> EmbedCounts:
    """Bring an output folder to completion.

    Args:
        model: a trained HLLM, at this path on every node.
        items: address of Parquet (hllm.cluster.blocks.read_sources) that every node can read.
        output: address of the folder of embeddings, in the format of hllm.exchange.
        half: see hllm.embed.embed_items.
        address: see hllm.cluster.ray_session.
        workers: each with one GPU, or one CPU where there are no GPUs; 0: all of these.
        items_per_block: rows of an output file at most.
        progress: whether to show a progress bar.

    Raises:
        HLLMError: something of the input, the model, the output or the cluster cannot be used.
    """
    folder = ModelFolder(model)
    source, target = Place.of(items), Place.of(output)
    sources = read_sources(source, folder.config.text_keys)
    blocks = plan_blocks(sources, items_per_block)
    total = sum(file.num_rows for file in sources)
    dtype = "float16" if half else "float32"
    job = Job(folder.fingerprint, dtype, items_per_block, sources)
    todo = _claimed(target, job, blocks)
    if todo is None:
        logger.info("%s is complete: nothing to do", output)
        return EmbedCounts(total, 0, len(blocks), 0)
    logger.info("%d of %d blocks are to be made", len(todo), len(blocks))
    made = sum(block.stop - block.start for block in todo)
    places = {"items": source.address, "output": target.address}
    maker = {"model": str(model.resolve()), "fingerprint": folder.fingerprint, "half": half}
    if todo:
        bar = tqdm(total=total, initial=total - made, unit=" items", disable=not progress)
        with ray_session(address) as ray, bar:
            _run(ray, todo, places | maker, workers, bar)
    _complete(target, blocks, folder.fingerprint, total)
    return EmbedCounts(total, made, len(blocks), len(todo))


def _claimed(target: Place, job: Job, blocks: list[Block]) -> list[Block] | None:
    """The blocks that are to be made for a job, to which the output belongs from now on.

    Returns:
        None if it is complete.

    Raises:
        DataError: it holds something else.
    """
    was_complete = claim(target, job)
    todo = unfinished(target, blocks, job.fingerprint)
    if not was_complete:
        return todo
    if not todo:
        return None
    logger.warning(
        "%s was complete, and now %d of its %d files are missing or damaged (%s): they are made "
        "again.",
        target.address, len(todo), len(blocks), todo[0].name,
    )  # fmt: skip
    target.child(COMPLETE).remove()  # nobody may read it as such meanwhile
    return todo


def _complete(target: Place, blocks: list[Block], fingerprint: str, total: int) -> None:
    """Say of an output that it is complete.

    Raises:
        DataError: it is not.
    """
    # Asked of the output itself, not of the workers: what is not there is not done.
    if missing := unfinished(target, blocks, fingerprint):
        raise DataError(
            f"{target.address}: {len(missing)} files are missing or damaged although their workers "
            f"wrote them ({missing[0].name}): do all nodes write to the same place? The same "
            "command goes on."
        )
    target.remove_partial()
    target.child(COMPLETE).write_json({"items": total, "blocks": len(blocks)})


def _run(ray: Any, todo: list[Block], arguments: dict[str, Any], workers: int, bar: Any) -> None:
    """Have the pool make blocks; ends when all have been.

    Raises:
        DataError: what a worker could not read, embed or write.
    """
    from ray.data import ActorPoolStrategy, DataContext, from_items  # noqa: PLC0415  an extra

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    DataContext.get_current().enable_progress_bars = False
    # Which warns that it shows none.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    resource, available = _resource(ray.cluster_resources())
    size = min(workers or available, len(todo))
    if size > available:
        raise DataError(
            f"--workers {size}: the cluster has {available} {resource}; give fewer, or add nodes."
        )
    logger.info("%d workers with one %s each", size, resource)
    rows = from_items([asdict(block) for block in todo], override_num_blocks=len(todo))
    pool = ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=_BLOCKS_AHEAD)
    worker: Any = BlockEmbedder  # Ray makes the object where it works
    with warnings.catch_warnings():
        # The only way that Ray has to bound retries; requirements-scale.txt ends where it does.
        warnings.filterwarnings("ignore", "`ray_remote_args_fn` is deprecated")
        results = rows.map(
            worker,
            fn_constructor_kwargs=arguments,
            compute=pool,
            num_cpus=int(resource == "CPU"),
            num_gpus=int(resource == "GPU"),
            ray_remote_args_fn=lambda: {"max_task_retries": _RETRIES},
        )
    try:
        for result in results.iter_rows():
            if result["problem"]:
                raise DataError(str(result["problem"]))
            bar.update(result["items"])
    except ray.exceptions.RayActorError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise DataError(
            f"A worker died at the same block {_RETRIES + 1} times, or could not be started "
            f"({lines[-1] if lines else type(error).__name__}): mostly its memory is too small "
            "(--workers: fewer) or its node lacks this project; the same command goes on."
        ) from error


def _resource(cluster: dict[str, float]) -> tuple[str, int]:
    """What a worker takes one of, and how many there are."""
    for name in ("GPU", "CPU"):
        if count := int(cluster.get(name, 0)):
            return name, count
    raise DataError("The Ray cluster has neither CPUs nor GPUs: add nodes to it.")
