"""Train an HLLM, or an ID model to compare it with: ``python -m hllm.train --help``.

    python -m hllm.train --config assets/presets/games.json --output runs/games
        --interactions data/games/interactions.csv --items data/games/items.csv

The best model by validation ndcg@10 ends up in the output folder, an HLLM with the embeddings of
all items. A run that is stopped continues, step for step, when the same command is given again.
"""

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence

from hllm.atomic import storage_errors
from hllm.baselines.id_presets import ID_PRESETS
from hllm.commands.dataclass_options import add_dataclass
from hllm.shell import CommandParser, command
from hllm.training.options import (
    GROUPS,
    HLLM_KIND,
    OPPOSITES,
    ModelOptions,
    TrainOptions,
    config_defaults,
    options_of,
)
from hllm.training.run_record import RunRecord, open_run

logger = logging.getLogger(__name__)
_PROGRAM = "python -m hllm.train"


class _HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the lines of the description, and shows defaults where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        no_default = (None, "", argparse.SUPPRESS)
        return action.help if action.default in no_default else super()._get_help_string(action)


def _make_parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=_PROGRAM, description=__doc__, formatter_class=_HelpFormatter)
    for group in GROUPS:
        add_dataclass(parser, group, OPPOSITES)
    parser.add_argument(
        "--config",
        help="defaults for all other options: a JSON file, or the reference's settings of an ID "
        f"model: {', '.join(ID_PRESETS)}",
    )
    return parser


def parse_options(argv: Sequence[str] | None = None) -> tuple[ModelOptions, TrainOptions]:
    """Read the command line; --config gives defaults that flags override."""
    # The file must be known before the rest is read: its values are no longer required flags.
    first = CommandParser(prog=_PROGRAM, add_help=False)
    first.add_argument("--config")
    known, rest = first.parse_known_args(argv)
    parser = _make_parser()
    if known.config:
        parser.set_defaults(**config_defaults(known.config, parser))
    values = vars(parser.parse_args(rest))
    return options_of(ModelOptions, values), options_of(TrainOptions, values)


def _finished(record: RunRecord, model: ModelOptions, train: TrainOptions) -> str:
    best = record.result or {}
    text = f"{train.output} is finished: best ndcg@10 {best['ndcg@10']:.4f} at step {best['step']}"
    page = f", or {_page_command(train)}" if model.model_kind == HLLM_KIND else ""
    return f"{text}; next: {_evaluate_command(train)}{page}"


def _evaluate_command(train: TrainOptions) -> str:
    files = ["--interactions", str(train.interactions), "--items", str(train.items)]
    if train.valid_interactions:
        files += ["--valid_interactions", train.valid_interactions]
        files += ["--test_interactions", train.test_interactions]
    rules = ["--reference-compatible"] if train.reference_compatible else []
    return shlex.join(
        ["python", "-m", "hllm.evaluate", "--model", str(train.output), *files, *rules]
    )


def _page_command(train: TrainOptions) -> str:
    model = shlex.join(["--model", str(train.output)])
    return f"python app.py --catalog CATALOG {model}"  # which one, training has not been told


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    model, train = parse_options(argv)
    record = open_run(model, train)  # before anything heavy
    if record.is_finished:
        logger.info("%s", _finished(record, model, train))
        return 0
    from hllm.training.run_state import CONTINUES  # noqa: PLC0415  torch takes seconds
    from hllm.training.trainer import Trainer  # noqa: PLC0415  the same

    with storage_errors(train.output, CONTINUES):
        train.output.mkdir(parents=True, exist_ok=True)
        Trainer(model, train, record).run()
    logger.info("next: %s", _evaluate_command(train))
    if model.model_kind == HLLM_KIND:
        logger.info("or:   %s", _page_command(train))
    return 0


if __name__ == "__main__":
    sys.exit(main())
