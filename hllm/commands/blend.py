"""The command line of hllm.blend."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hllm.commands.evaluate import add_data_options
from hllm.shell import CommandParser, command

if TYPE_CHECKING:
    from hllm.blend import Quality

logger = logging.getLogger(__name__)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.blend",
        description="Blend a trained HLLM with the text and with item-to-item neighbours: their "
        "scores are added, with weights chosen on the validation targets for the best ndcg@10 "
        "that finds rarely and never bought items at least as often as the text alone, and targets "
        "that are ranked as if nobody had them at least as often as HLLM alone, too. Writes "
        "blend.safetensors into the model folder; from then on hllm.evaluate, hllm.recommend and "
        "the page use it. Give the data that it was trained on. Remove the file to have HLLM "
        "alone again.",
        epilog="Example: python -m hllm.blend --model runs/games --items games/items.csv "
        "--interactions games/interactions.csv",
    )
    add = parser.add_argument
    add("--model", required=True, type=Path, metavar="FOLDER", help="a trained HLLM")
    add_data_options(parser)
    add("--max-users", type=int, default=10_000, metavar="N",
        help="choose the weights on a random sample of N users; default: %(default)s")  # fmt: skip
    add("--seed", type=int, default=0, help="of the sample; default: 0")
    add("--device", help="cpu, cuda, ...; default: cuda if there is one")
    return parser


def _line(name: str, quality: "Quality") -> str:
    rare = ", ".join(f"{part} {100 * value:.1f}" for part, value in quality.rare.items())
    return (
        f"{name}: recall@10 {100 * quality.recall:.2f}, ndcg@10 {100 * quality.ndcg:.2f}"
        f" (recall@10 {rare})"
    )


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.max_users < 1:
        parser.error(f"--max-users {options.max_users}: must be at least 1")
    if not 0 <= options.seed < 2**31:
        parser.error(f"--seed {options.seed}: must be from 0 to {2**31 - 1}")
    from hllm.blend import KEPT_SHARE, fit_blend, save_blend  # noqa: PLC0415  this and what follows take seconds: not for --help
    from hllm.evaluate import check_device, read_data  # noqa: PLC0415  the same
    from hllm.model_folder import ModelFolder  # noqa: PLC0415  the same

    device = check_device(options.device)
    text_keys = ModelFolder(options.model).config.text_keys
    data = read_data([options.model], options)
    fit = fit_blend(
        options.model,
        data,
        text_keys,
        device=device,
        max_users=options.max_users,
        seed=options.seed,
    )

    logger.info("validation targets of %s users, percent", f"{fit.num_users:,}")
    logger.info(_line("  HLLM alone", fit.alone))
    for name, quality in zip(("weighted 0.7^age", "of the last item"), fit.text, strict=True):
        logger.info(_line(f"  text {name}", quality))
    logger.info(_line("  the blend ", fit.chosen))
    if not fit.keeps_rare:
        logger.warning(
            "No weights find rarely and never bought items as often as the parts alone without "
            "losing more than %g%% of what HLLM finds: those with the best ndcg@10 were taken.",
            100 * (1 - KEPT_SHARE),
        )
    weights = fit.blend.weights
    logger.info(
        "%s: cosine + (%g + %g / sqrt(1 + interactions)) * text + %g * neighbours",
        save_blend(options.model, fit.blend),
        weights.text,
        weights.rare_text,
        weights.neighbours,
    )
    return 0
