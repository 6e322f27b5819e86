"""Draws the blind tests and the scoreboard as one SVG that needs nothing else.

Texts that are not ours are escaped by app.render.text.
"""

from collections.abc import Sequence
from textwrap import wrap

from app.catalog.event_reader import BlindCounts
from app.catalog.events import PickSums
from app.columns import LIST_LENGTH
from app.contract_picks import EstimatePayload
from app.render import plural, text
from app.scoreboard import HIT_RANK, model_score
from app.sign_test import sign_test, verdict

ENDINGS = (".svg", ".html")
TEAMS = {"hllm": ("HLLM", "#3f46b8"), "baseline": ("Baseline", "#8f4d12")}
WIDTH, LEFT, SCALE = 720, 150, 380  # of the picture; where scales begin, and how long they are
LINE = 22
BARS = 110  # height of the highest one
MAX_LINE_CHARS, MAX_HEAD_CHARS = 98, 60
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f1d1a}.h{font-size:17px;font-weight:650}"
    ".soft{fill:#625c52}.axis{stroke:#e4ded3}.half{stroke:#625c52;stroke-dasharray:3 3}"
)


class _Sheet:
    """Elements from top to bottom."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = 0

    def line(self, words: str, css: str = "") -> None:
        """A line of text, or as many as it needs."""
        for part in wrap(words, MAX_HEAD_CHARS if css == "h" else MAX_LINE_CHARS):
            self.y += LINE
            self.parts.append(f'<text x="20" y="{self.y}" class="{css}">{text(part)}</text>')

    def heading(self, words: str) -> None:
        self.y += 12
        self.line(words, "h")

    def estimate(
        self, label: str, color: str, value: float, bounds: tuple[float, float] | None, said: str
    ) -> None:
        """A point between 0 and 1 with its interval, and its number as text."""
        self.y += LINE
        y, x = self.y - 4, LEFT + SCALE * value
        self.parts.append(f'<text x="20" y="{self.y}">{text(label)}</text>')
        self._rule(LEFT, LEFT + SCALE, y, 'class="axis"')
        if bounds:
            low, high = (LEFT + SCALE * bound for bound in bounds)
            self._rule(low, high, y, f'stroke="{color}" stroke-width="3" stroke-opacity=".45"')
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{color}"/>')
        self.parts.append(f'<text x="{LEFT + SCALE + 14}" y="{self.y}">{text(said)}</text>')

    def _rule(self, start: float, end: float, y: float, look: str) -> None:
        self.parts.append(f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}" {look}/>')

    def half(self, top: int) -> None:
        """A dashed line at one half, from a height to here."""
        x = LEFT + SCALE / 2
        self.parts.append(f'<line x1="{x}" x2="{x}" y1="{top}" y2="{self.y + 4}" class="half"/>')

    def bars(self, counts: BlindCounts) -> None:
        """Two bars for each position."""
        most = max(counts.by_position.values())
        base, step = self.y + BARS + 24, (WIDTH - 40) / LIST_LENGTH
        for position in range(1, LIST_LENGTH + 1):
            x = 20 + step * (position - 1)
            self.parts.append(f'<text x="{x + 19:.1f}" y="{base + 17}">{position}</text>')
            for at, (team, (_, color)) in enumerate(TEAMS.items()):
                count = counts.by_position.get((team, position), 0)
                height, left = BARS * count / most, x + 24 * at
                self.parts.append(
                    f'<rect x="{left:.1f}" y="{base - height:.1f}" width="20" '
                    f'height="{height:.1f}" fill="{color}"/>'
                )
                if count:
                    self.parts.append(
                        f'<text x="{left:.1f}" y="{base - height - 4:.1f}" class="soft">'
                        f"{count:,}</text>"
                    )
        self.y = base + 22


def draw(name: str, blind: BlindCounts, picks: Sequence[PickSums]) -> tuple[str, list[str]]:
    """Draw everything.

    Args:
        name: of the catalogue.
        blind: picks of all blind tests.
        picks: sums of every visit's picks for the scoreboard.

    Returns:
        The picture as SVG, and what it says as sentences.
    """
    sheet = _Sheet()
    sheet.heading(name)
    summary = [*_draw_blind(sheet, blind), *_draw_scoreboard(sheet, picks)]
    height = sheet.y + 20
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img"><title>{text(name)}</title>'
        f"<desc>{text(' '.join(summary))}</desc><style>{_STYLE}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(sheet.parts)}</svg>\n'
    )
    return picture, summary


def html_of(name: str, picture: str) -> str:
    """A page with the picture."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{text(name)}</title>\n<style>svg{{max-width:100%;height:auto}}</style>\n"
        f"{picture}</html>\n"
    )


def _draw_blind(sheet: _Sheet, blind: BlindCounts) -> list[str]:
    sheet.heading("Blind tests")
    wins = [blind.wins(team) for team in TEAMS]
    total = sum(wins)
    if not total:
        nothing = "There are no picks of blind tests yet."
        sheet.line(nothing)
        return [nothing]
    shares = ", ".join(
        f"{title} {count:,}" for (title, _), count in zip(TEAMS.values(), wins, strict=True)
    )
    head = f"{plural(total, 'pick')} of {plural(blind.visits, 'visit')}: {shares}."
    sheet.line(head)
    top = sheet.y
    for count, (title, color) in zip(wins, TEAMS.values(), strict=True):
        test = sign_test(count, total - count)
        said = f"{_percent(test.wins / total)} ({_percent(test.low)} to {_percent(test.high)})"
        sheet.estimate(title, color, count / total, (test.low, test.high), said)
    sheet.half(top + 6)
    sentences = [head, verdict(sign_test(wins[0], wins[1]))]
    sheet.line(sentences[1])
    sheet.line(
        "Exact 95% intervals. Picks are taken as independent; those of one visitor resemble each "
        "other, so that with few visits both are too sure.",
        "soft",
    )
    sheet.heading("Picks by position in the list")
    sheet.bars(blind)
    return sentences


def _draw_scoreboard(sheet: _Sheet, picks: Sequence[PickSums]) -> list[str]:
    sheet.heading("Scoreboard")
    if not picks:
        nothing = "There are no picks of the scoreboard yet."
        sheet.line(nothing)
        return [nothing]
    total = sum(found.picks for found in picks)
    scores = [model_score(picks, at) for at in range(len(TEAMS))]
    closer = ", ".join(
        f"{title} {score['closer']:,}"
        for (title, _), score in zip(TEAMS.values(), scores, strict=True)
    )
    head = f"{plural(total, 'pick')} of {plural(len(picks), 'visit')}, closer: {closer}."
    sheet.line(head)
    for score, (title, color) in zip(scores, TEAMS.values(), strict=True):
        for metric, estimate in ((f"Hit@{HIT_RANK}", score["hit"]), ("MRR", score["mrr"])):
            said, bounds = _estimate_words(estimate)
            sheet.estimate(f"{title} {metric}", color, estimate["value"], bounds, said)
    sheet.line("95% intervals, visits drawn again at random, from five visits on.", "soft")
    return [head]


def _estimate_words(estimate: EstimatePayload) -> tuple[str, tuple[float, float] | None]:
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return f"{estimate['value']:.3f}", None
    return f"{estimate['value']:.3f} ({low:.3f} to {high:.3f})", (low, high)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
