"""The training loop: batches, steps, validation, early stopping, a state to resume from."""

import logging
import math
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from safetensors import SafetensorError
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from hllm.data import popularity
from hllm.errors import CheckpointError, TrainingError
from hllm.evaluation.metrics import summarise
from hllm.evaluation.ranking import rank_cases
from hllm.store import EMBEDDINGS
from hllm.training.batches import (
    TrainBatch,
    batch_rows,
    make_batch,
    make_reference_batch,
    read_training_data,
    training_chunks,
    validation_cases,
)
from hllm.training.frozen_weights import leave_out_frozen
from hllm.training.fsdp import (
    call_gathered,
    check_shardable,
    load_shard,
    save_shard,
    shard,
    whole_state,
)
from hllm.training.optimizer import lr_multiplier, make_optimizer
from hllm.training.options import ModelOptions, TrainOptions, save_options
from hllm.training.progress import Progress, Speed
from hllm.training.run_log import RunLog
from hllm.training.run_record import RunRecord, holds_result, open_run
from hllm.training.run_state import (
    drop_states,
    find_state,
    keep_best,
    load_objects,
    restore_best,
    save_objects,
    save_state,
)
from hllm.training.trainee import make_trainee
from hllm.weights.files import WEIGHTS

logger = logging.getLogger(__name__)
STATS_EVERY = 20  # steps between two looks at accuracy and negatives, which cost time

_UNFIT = (  # what loading a state of other options raises
    RuntimeError,
    ValueError,
    OSError,
    KeyError,
    SafetensorError,
    pickle.UnpicklingError,
)


class Trainer:
    """One training run.

    Args:
        model_options: what is trained.
        options: how, and on what.
        record: what open_run found; None: it is asked now.

    Raises:
        HLLMError: options or data do not go together, or the output folder holds another run.
    """

    def __init__(
        self, model_options: ModelOptions, options: TrainOptions, record: RunRecord | None = None
    ) -> None:
        self.options = options
        self.model_options = model_options
        self._record = record or open_run(model_options, options)
        # Until the first model is saved: what was there before stands until then.
        self._replaces = options.restart and holds_result(options.output)
        self.accelerator = Accelerator(
            mixed_precision="bf16" if options.precision == "bf16" else "no",
            # Unless told so, accelerate takes processes without a GPU for as many single ones.
            cpu=not torch.accelerator.is_available(),
        )
        check_shardable(model_options, options, self.accelerator.num_processes)
        set_seed(options.seed)
        self.interactions = read_training_data(options)
        self.chunks = training_chunks(self.interactions, model_options.max_history, options)
        # As a negative, an item that is never a target would only ever be pushed away.
        self._drawable = np.flatnonzero(popularity(self.interactions))
        self._cases = validation_cases(self.interactions, options)
        device = self.accelerator.device
        self.trainee = make_trainee(model_options, options, self.interactions, device)
        self.steps_per_epoch = -(-len(self.chunks) // self._global_batch)
        self.total_steps = options.max_steps or options.epochs * self.steps_per_epoch
        self.step_module, self.optimizer, self.schedule = self._prepare()
        self.progress = Progress()
        self._is_main = self.accelerator.is_main_process
        self.log = RunLog(options.output, tensorboard=options.tensorboard and self._is_main)
        self._speed = Speed()

    def _prepare(self) -> tuple[Any, Any, LambdaLR]:
        """The step as this process trains it, its optimiser and schedule."""
        options, step = self.options, self.trainee.step
        if options.shard:  # accelerate's own FSDP is for accelerators only
            shard(step, self.accelerator.device, bf16=options.precision == "bf16")
        optimizer = make_optimizer(
            step.named_parameters(),
            learning_rate=options.learning_rate,
            item_learning_rate=options.item_learning_rate,
            user_learning_rate=options.user_learning_rate,
            weight_decay=options.weight_decay,
        )
        schedule = LambdaLR(
            optimizer,
            lambda n: lr_multiplier(n, self.total_steps, options.warmup, options.lr_schedule),
        )
        if options.shard:
            return step, optimizer, schedule
        leave_out_frozen(self.accelerator)
        # The schedule is stepped by hand: accelerate's wrapper would step it once per process.
        return *self.accelerator.prepare(step, optimizer), schedule

    @property
    def _global_batch(self) -> int:
        return self.options.batch_size * self.accelerator.num_processes

    def run(self) -> dict[str, float]:
        """Train to the end, or on from where a stopped run was.

        Returns:
            Validation metrics of the best model.
        """
        if self._replaces:
            self.log.hold()
        else:
            self._resume()
            self._write_record()
        if self.options.start_from and self.progress.step == 0:
            self._validate()  # training on must beat what it started from
        state, every = self.progress, self.options.eval_every or self.steps_per_epoch
        bar = tqdm(
            total=self.total_steps,
            initial=state.step,
            unit=" steps",
            smoothing=0.1,
            disable=not self._is_main,
        )
        started = time.monotonic() - state.seconds  # sessions before this one count
        while state.step < self.total_steps and state.worse < self.options.patience:
            epoch, first = divmod(state.step, self.steps_per_epoch)
            for rows in self._batches(epoch)[first:]:  # a run may go on in mid-epoch
                stats = self._timed_step(rows)
                state.step += 1
                state.seconds = time.monotonic() - started
                bar.update()
                bar.set_postfix_str(_postfix(stats, state))
                self._write("train", stats)
                if state.step % every == 0 or state.step == self.total_steps:
                    self._validate()
                    self._save_state()
                if state.step >= self.total_steps or state.worse >= self.options.patience:
                    break
        bar.close()
        return self._finish()

    def _batches(self, epoch: int) -> list[np.ndarray]:
        lengths = np.array([len(chunk) for chunk in self.chunks])
        if self.options.reference_compatible:
            lengths = np.zeros_like(lengths)  # any may share a batch with any
        return batch_rows(lengths, self._global_batch, seed=self.options.seed, epoch=epoch)

    def _timed_step(self, rows: np.ndarray) -> dict[str, float]:
        started = time.monotonic()
        stats = self._train_step(rows)
        # Reading the loss waits for the device, so that this is the time of the whole step.
        seconds = max(time.monotonic() - started, 1e-9)
        # Of this process; the others encode about as many.
        items = stats["unique_items"] * self.accelerator.num_processes
        return stats | self._speed.add(seconds, len(rows), items)

    def _train_step(self, rows: np.ndarray) -> dict[str, float]:
        options, accelerator = self.options, self.accelerator
        batch = self._batch(rows).to(accelerator.device)
        self.step_module.train()
        # By number, so that a resumed run logs at the same steps.
        with_stats = self.progress.step % STATS_EVERY == 0
        loss, stats = self.step_module(batch, with_stats=with_stats)
        accelerator.backward(loss)
        if options.clip_norm and not options.reference_compatible:
            accelerator.clip_grad_norm_(self.step_module.parameters(), options.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self._warn_of_collapse(stats)
        total = accelerator.reduce(loss.detach(), "mean").item()  # of the global batch
        if not math.isfinite(total):
            raise TrainingError(
                f"step {self.progress.step + 1}: the loss is {total}; what was saved before in "
                f"{options.output} stands. Mostly a learning rate is too high, or all items have "
                "the same text: lower --learning_rate or --item_learning_rate, look at "
                "--text_keys, and train with --restart."
            )
        return stats | {"loss": total, "learning_rate": self.schedule.get_last_lr()[-1]}

    def _batch(self, rows: np.ndarray) -> TrainBatch:
        """This process's part of a global batch, with its own negatives."""
        options, accelerator = self.options, self.accelerator
        own = rows[accelerator.process_index :: accelerator.num_processes]
        is_short = len(own) * accelerator.num_processes < len(rows)
        if len(own) == 0 or (options.reference_compatible and is_short):
            # A last, short batch: every process needs something to do, and where negatives come by
            # the sequence, as many sequences.
            own = np.append(own, rows[0])
        chunks = [self.chunks[row] for row in own]
        seed = (options.seed, self.progress.step, accelerator.process_index)
        if options.reference_compatible:
            return make_reference_batch(
                chunks,
                self.interactions.num_items,
                -(-options.num_negatives // options.batch_size) or None,  # None: max_history + 1
                max_history=self.model_options.max_history,
                seed=seed,
            )
        return make_batch(
            chunks,
            self._drawable,
            options.num_negatives,
            seed=seed,
            per_position=options.negatives_per_position,
        )

    def _warn_of_collapse(self, stats: dict[str, float]) -> None:
        """Equal embeddings of all items mask all negatives as false: loss 0, nothing learned."""
        different = stats.get("nce_samples", float("inf")) - 1  # less the positive itself
        negatives = stats.get("negatives", 0.0)
        if different < 0.5 * negatives:
            logger.warning(
                "step %d: on average only %.0f of %d negatives differ from their positive (cosine "
                "up to 0.99), and with none the loss is 0 and nothing is learned. At the first "
                "step, texts are too much alike: look at --text_keys and --max_text_tokens. Later, "
                "the item embeddings collapse: lower --learning_rate or --item_learning_rate.",
                self.progress.step + 1,
                different,
                negatives,
            )

    def _write(self, kind: str, values: dict[str, float]) -> None:
        if self._is_main:
            self.log.write(kind, self.progress.step, values)

    def _validate(self) -> None:
        ranks = call_gathered(
            self.trainee.step,
            lambda: rank_cases(
                self.trainee.scorer(),
                self._cases,
                reference_compatible=self.options.reference_compatible,
                progress=False,
            ),
        )
        # The first process's: all must agree on what is the best model and when to stop.
        metrics = broadcast_object_list([summarise(ranks)])[0]
        state = self.progress
        better = metrics["ndcg@10"] > state.best
        state.worse = 0 if better else state.worse + 1
        if better:
            state.best, state.best_step = metrics["ndcg@10"], state.step
            self._save_model()
        self._write("valid", metrics | {"seconds": state.seconds})
        if self._is_main:
            tqdm.write(
                f"step {state.step:,}: recall@10 {metrics['recall@10']:.4f}, "
                f"ndcg@10 {metrics['ndcg@10']:.4f}{' (best so far)' if better else ''}, "
                f"{state.seconds:,.0f} s",
                file=sys.stderr,
            )

    def _save_model(self) -> None:
        weights = whole_state(self.trainee.step.model) if self.options.shard else None
        if self._replaces and self._is_main:
            # In this order: a kill in between leaves the old model with its own record, or with
            # the new one and nothing to continue from.
            drop_states(self.options.output)
            self._write_record()
            self.log.release()
        self._replaces = False
        if self._is_main:
            self.trainee.save(self.options.output, weights)

    def _save_state(self) -> None:
        save_state(self.accelerator, self.options.output, self.progress.step, self._write_state)

    def _write_state(self, folder: Path) -> None:
        self.accelerator.save_state(str(folder), safe_serialization=True)
        if self.options.shard:
            save_shard(folder, self.step_module, self.optimizer)
        if self._is_main:
            save_objects(folder, self.schedule, self.progress)
            keep_best(folder, self.options.output / WEIGHTS)

    def _resume(self) -> None:
        folder = find_state(self.accelerator, self.options.output)
        if folder:
            try:
                self.accelerator.load_state(str(folder))
                load_objects(folder, self.schedule, self.progress)
                if self.options.shard:
                    load_shard(folder, self.step_module, self.optimizer)
            except _UNFIT as error:
                raise CheckpointError(
                    f"{folder} does not fit these options ({error}): give the options that the run "
                    "was started with, or another --output."
                ) from error
            logger.info("continuing at step %d", self.progress.step)
        if self._is_main:
            if folder:
                restore_best(folder, self.options.output / WEIGHTS)
            self.log.keep_until(self.progress.step if folder else -1)

    def _write_record(self) -> None:
        """What this run is, before the folder holds anything of it."""
        if self._is_main:
            self._record.result = None  # there is something to do, if only a lost file to make
            self._record.write()
            save_options(self.options.output, self.model_options, self.options)

    def _finish(self) -> dict[str, float]:
        output, state = self.options.output, self.progress
        self.accelerator.wait_for_everyone()
        if self._is_main:
            self.trainee.finish(output)
            made = [name for name in (WEIGHTS, EMBEDDINGS) if (output / name).is_file()]
            self._record.finish(state.best, state.best_step, made)
        logger.info(
            "%s: best ndcg@10 %.4f at step %d, %.0f s",
            output,
            state.best,
            state.best_step,
            state.seconds,
        )
        return {"ndcg@10": state.best, "step": state.best_step, "seconds": state.seconds}


def _postfix(stats: dict[str, float], state: Progress) -> str:
    return (
        f"loss={stats['loss']:.3f}, ndcg={max(state.best, 0):.4f}, "
        f"{stats['sequences_per_s']:,.0f} sequences/s, {stats['items_per_s']:,.0f} items/s"
    )
