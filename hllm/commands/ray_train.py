"""The command line of hllm.cluster.ray_train."""

import logging
from collections.abc import Sequence

from hllm.errors import DataError
from hllm.shell import CommandParser, command
from hllm.train import parse_options

logger = logging.getLogger(__name__)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.cluster.ray_train",
        description="Train on a Ray cluster: hllm.train in several processes that Ray Train "
        "starts, and starts again from the last state when one dies.",
    )
    parser.add_argument("--processes", type=int, required=True, help="one a GPU; of a CPU run: any")
    parser.add_argument(
        "--ray-address",
        default="",
        metavar="HOST:PORT",
        help="of a Ray cluster, or auto; default: Ray is started on this machine alone",
    )
    parser.add_argument(
        "options", nargs="*", help="of hllm.train (python -m hllm.train --help), behind  --"
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    options = _parser().parse_args(argv)
    if options.processes < 1:
        raise DataError(f"--processes {options.processes}: give a number from 1 on.")
    model, train = parse_options(options.options)
    from hllm.cluster.ray_train import train_on_cluster  # noqa: PLC0415  torch: not for --help

    train_on_cluster(model, train, options.processes, options.ray_address)
    logger.info("%s is finished", train.output)
    return 0
