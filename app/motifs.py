"""Ornaments of drawn covers: one geometric motif a genre, as SVG in a box of 200 x 200.

A motif gets a seeded random generator and two colours, and returns SVG elements without ids.
"""

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

Motif = Callable[[Random, str, str], str]


def _circle(x: float, y: float, radius: float, style: str) -> str:
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.0f}" {style}/>'


def _rect(x: float, y: float, width: float, height: float, style: str) -> str:
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" {style}/>'


def _path(data: str, style: str) -> str:
    return f'<path d="{data}" {style}/>'


def _fill(colour: str) -> str:
    return f'fill="{colour}"'


def _line(colour: str, width: float = 2) -> str:
    return f'fill="none" stroke="{colour}" stroke-width="{width:g}"'


def _polygon(x: float, y: float, radius: float, corners: int, turn: float) -> str:
    """Path data of a regular polygon."""
    angles = [turn + 2 * pi * corner / corners for corner in range(corners)]
    points = [f"{x + radius * cos(a):.0f} {y + radius * sin(a):.0f}" for a in angles]
    return "M" + "L".join(points) + "Z"


def mountains(rng: Random, first: str, second: str) -> str:
    """A moon over two ranges."""
    moon = _circle(rng.randint(45, 155), rng.randint(40, 70), rng.randint(16, 30), _fill(second))
    ranges = []
    for base, style in ((95, f'fill="{first}" opacity=".55"'), (135, _fill(first))):
        points = "".join(
            f"L{x} {base + (rng.randint(-30, -8) if i % 2 else rng.randint(14, 34))}"
            for i, x in enumerate(range(0, 201, 25))
        )
        ranges.append(_path(f"M0 200{points}L200 200Z", style))
    return moon + "".join(ranges)


def orbits(rng: Random, first: str, second: str) -> str:
    """A star with planets on their orbits."""
    x, y = rng.randint(40, 160), rng.randint(80, 150)
    parts = [_circle(x, y, 18, _fill(second))]
    for radius in (36, 60, 88, 120):
        angle = rng.uniform(0, 2 * pi)
        parts.append(_circle(x, y, radius, _line(first, 1)))
        size = rng.randint(4, 10)
        parts.append(_circle(x + radius * cos(angle), y + radius * sin(angle), size, _fill(first)))
    return "".join(parts)


def columns(rng: Random, first: str, second: str) -> str:
    """A temple front."""
    count = rng.choice((4, 5, 6))
    gap = 140 / count
    shafts = "".join(
        _rect(30 + gap * i + gap * 0.2, 86, gap * 0.6, 84, _fill(first)) for i in range(count)
    )
    roof = _path(f"M20 76L100 {rng.randint(26, 44)}L180 76Z", _fill(second))
    return (
        roof + shafts + _rect(22, 78, 156, 6, _fill(first)) + _rect(18, 172, 164, 10, _fill(second))
    )


def keyhole(rng: Random, first: str, second: str) -> str:
    """A keyhole with light falling through."""
    x = rng.randint(75, 125)
    beam = _path(
        f"M{x - 10} 120L{x - 75} 200L{x + 75} 200L{x + 10} 120Z", f'fill="{second}" opacity=".3"'
    )
    plate = _rect(x - 42, 30, 84, 130, f'rx="{rng.choice((6, 20, 42))}" {_line(first, 3)}')
    hole = _path(f"M{x - 9} 90L{x - 17} 132L{x + 17} 132L{x + 9} 90Z", _fill(second))
    return beam + plate + _circle(x, 82, 19, _fill(second)) + hole


def target(rng: Random, first: str, second: str) -> str:
    """A cross-hair off centre."""
    x, y = rng.randint(70, 130), rng.randint(75, 125)
    rings = "".join(_circle(x, y, radius, _line(first, 3)) for radius in (28, 56, 84))
    hairs = _path(
        f"M{x} 0V{y - 14}M{x} {y + 14}V200M0 {y}H{x - 14}M{x + 14} {y}H200", _line(second, 2)
    )
    return rings + hairs + _circle(x, y, 6, _fill(second))


def branches(rng: Random, first: str, second: str) -> str:
    """Bare trees before a low moon."""
    moon = _circle(rng.randint(60, 140), rng.randint(70, 100), rng.randint(38, 52), _fill(second))
    strokes = []
    for x in sorted(rng.sample(range(15, 190, 18), 5)):
        top = rng.randint(20, 70)
        twigs = ""
        for side in (-1, 1, -1, 1):
            y = rng.randint(top + 15, 150)
            reach = rng.randint(10, 26)
            twigs += f"M{x} {y}L{x + side * reach} {y - reach}"
        strokes.append(f"M{x} 200V{top}{twigs}")
    return moon + _path("".join(strokes), _line(first, 3))


def petals(rng: Random, first: str, second: str) -> str:
    """A flower with two rows of petals."""
    x, y = rng.randint(80, 120), rng.randint(85, 115)
    count = rng.choice((6, 7, 8, 9))
    rows = []
    for radius, width, colour in ((78, 22, first), (46, 14, second)):
        turn = rng.uniform(0, 90)
        ellipses = "".join(
            f'<ellipse cy="-{radius / 2:.0f}" rx="{width}" ry="{radius / 2:.0f}" '
            f'transform="rotate({turn + 360 * i / count:.0f})"/>'
            for i in range(count)
        )
        rows.append(
            f'<g transform="translate({x} {y})" opacity=".8" {_fill(colour)}>{ellipses}</g>'
        )
    return "".join(rows) + _circle(x, y, 10, _fill(first))


def arches(rng: Random, first: str, second: str) -> str:
    """A row of nested arches."""
    parts = []
    for x in (40, 100, 160):
        for inset, colour in ((0, first), (10, second), (20, first)):
            left, top = x - 28 + inset, rng.randint(50, 90) + inset
            width = 56 - 2 * inset
            arc = f"M{left} 200V{top}a{width / 2:.0f} {width / 2:.0f} 0 0 1 {width} 0V200"
            parts.append(_path(arc, _line(colour, 3)))
    return "".join(parts)


def waves(rng: Random, first: str, second: str) -> str:
    """Rows of waves under a sun."""
    sun = _circle(rng.randint(50, 150), rng.randint(50, 70), rng.randint(20, 34), _fill(second))
    rows = {first: "", second: ""}
    for number, y in enumerate(range(80, 201, 20)):
        colour = first if number % 2 == 0 else second
        rows[colour] += f"M{rng.randint(-40, 0)} {y}q12-14 25 0" + "t25 0" * 9
    return sun + "".join(_path(data, _line(colour, 5)) for colour, data in rows.items())


def burst(rng: Random, first: str, second: str) -> str:
    """Rays from a low point."""
    x, y, count = rng.randint(60, 140), rng.randint(110, 170), rng.choice((14, 18, 22))
    wedges = ""
    for ray in range(count):
        angle, half = 2 * pi * ray / count, pi / count * 0.5
        ends = [
            f"{x + 260 * cos(angle + d):.0f} {y + 260 * sin(angle + d):.0f}" for d in (-half, half)
        ]
        wedges += f"M{x} {y}L{ends[0]}L{ends[1]}Z"
    return _path(wedges, _fill(first)) + _circle(x, y, rng.randint(24, 38), _fill(second))


def blocks(rng: Random, first: str, second: str) -> str:
    """Toy blocks: squares, discs and triangles on a grid."""
    parts = []
    for x in range(10, 190, 46):
        for y in range(10, 190, 46):
            colour = rng.choice((first, second))
            shape = rng.randint(0, 3)
            if shape == 0:
                parts.append(_rect(x, y, 40, 40, f'rx="4" {_fill(colour)}'))
            elif shape == 1:
                parts.append(_circle(x + 20, y + 20, 20, _fill(colour)))
            elif shape == 2:
                parts.append(_path(f"M{x} {y + 40}h40l-20 -40Z", _fill(colour)))
            else:
                parts.append(_path(f"M{x} {y}a40 40 0 0 1 40 40h-40Z", _fill(colour)))
    return "".join(parts)


def zigzag(rng: Random, first: str, second: str) -> str:
    """Bold zigzag stripes."""
    step, turn = rng.choice((20, 25, 40)), rng.choice((0, 90))
    rows = {first: "", second: ""}
    for number, y in enumerate(range(30, 260, 28)):
        colour = second if number % 3 == 2 else first
        rows[colour] += f"M-20 {y}" + f"l{step}-{step} {step} {step}" * (260 // (2 * step))
    stripes = "".join(_path(data, _line(colour, 9)) for colour, data in rows.items())
    return f'<g transform="rotate({turn} 100 100)">{stripes}</g>'


def molecule(rng: Random, first: str, second: str) -> str:
    """Hexagons and atoms."""
    cells = _path(
        "".join(
            _polygon(100 + 57 * q + 28.5 * r, 100 + 49 * r, 32, 6, pi / 6)
            for q, r in rng.sample([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1)], 5)
        ),
        _line(first, 3),
    )
    atoms = "".join(
        _circle(
            100 + 33 * cos(k * pi / 3 + pi / 6),
            100 + 33 * sin(k * pi / 3 + pi / 6),
            7,
            _fill(second),
        )
        for k in rng.sample(range(6), 4)
    )
    return cells + atoms


def labyrinth(rng: Random, first: str, second: str) -> str:
    """Rings with gaps around a centre."""
    arcs = []
    for number, radius in enumerate(range(18, 98, 16)):
        start = rng.uniform(0, 2 * pi)
        end = start + 2 * pi * 0.86
        points = [f"{100 + radius * cos(a):.0f} {100 + radius * sin(a):.0f}" for a in (start, end)]
        arc = f"M{points[0]}A{radius} {radius} 0 1 1 {points[1]}"
        arcs.append(_path(arc, _line(second if number % 3 == 1 else first, 6)))
    return "".join(arcs) + _circle(100, 100, 6, _fill(second))


def knot(rng: Random, first: str, second: str) -> str:
    """A rosette of overlapping circles."""
    count, radius = rng.choice((5, 6, 8, 10)), rng.randint(38, 52)
    turn = rng.uniform(0, pi)
    return "".join(
        _circle(
            100 + 42 * cos(turn + 2 * pi * i / count),
            100 + 42 * sin(turn + 2 * pi * i / count),
            radius,
            _line(first if i % 2 else second, 3),
        )
        for i in range(count)
    )


def skyline(rng: Random, first: str, second: str) -> str:
    """Towers with lit windows."""
    towers, windows, x = "", "", 4
    while x < 190:
        width, height = rng.randint(22, 38), rng.randint(50, 150)
        towers += f"M{x} 200v-{height}h{width}v{height}Z"
        for y in rng.sample(range(210 - height, 195, 14), min(3, height // 20)):
            windows += f"M{x + rng.choice((5, 12))} {y}h5v7h-5Z"
        x += width + 4
    return _path(towers, _fill(first)) + _path(windows, _fill(second))


def bars(rng: Random, first: str, second: str) -> str:
    """A rising chart."""
    heights = sorted(rng.sample(range(24, 160, 6), 7))
    columns_ = "".join(
        _rect(18 + 24 * i, 180 - h, 16, h, _fill(first)) for i, h in enumerate(heights)
    )
    points = "L".join(f"{26 + 24 * i} {164 - h}" for i, h in enumerate(heights))
    return columns_ + _path(f"M{points}", _line(second, 4))


def portrait(rng: Random, first: str, second: str) -> str:
    """A bust in an oval frame."""
    frame = f'<ellipse cx="100" cy="100" rx="72" ry="86" {_line(second, 4)}/>'
    shoulders = (
        f"M48 160q4 -{rng.randint(36, 50)} 52 -{rng.randint(40, 48)}t52 44q-24 26 -52 26t-52 -22Z"
    )
    head = f'<ellipse cx="100" cy="82" rx="{rng.randint(22, 28)}" ry="32" {_fill(first)}/>'
    return frame + _path(shoulders, _fill(first)) + head


def strata(rng: Random, first: str, second: str) -> str:
    """Layers of the past."""
    layers = []
    for number, y in enumerate(range(40, 190, 24)):
        shape = f"M0 {y}C60 {y - rng.randint(0, 30)} 130 {y + rng.randint(0, 30)} 200 {y}V200H0Z"
        layers.append(_path(shape, f'fill="{second if number % 2 else first}" opacity=".85"'))
    return "".join(layers)


def compass(rng: Random, first: str, second: str) -> str:
    """A compass rose."""
    turn = rng.randint(-20, 20)
    long, short = (
        "M100 12L114 100L100 188L86 100ZM12 100L100 86L188 100L100 114Z",
        "M50 50L108 92L150 150L92 108Z",
    )
    rose = _path(short + "M150 50L108 108L50 150L92 92Z", _fill(second)) + _path(long, _fill(first))
    ring = _circle(100, 100, rng.randint(58, 74), _line(second, 2))
    return f'<g transform="rotate({turn} 100 100)">{ring}{rose}</g>'


def quill(rng: Random, first: str, second: str) -> str:
    """Lines of verse beside a feather."""
    lines = "".join(
        f"M{rng.choice((24, 36))} {y}h{rng.randint(50, 104)}" for y in range(36, 180, 18)
    )
    feather = _path("M120 182C118 120 140 50 178 18C186 76 166 140 120 182Z", _fill(second))
    return (
        _path(lines, _line(first, 3)) + feather + _path("M110 196Q140 110 176 22", _line(first, 2))
    )


def curtain(rng: Random, first: str, second: str) -> str:
    """A stage with its curtain."""
    folds = "".join(
        f"M{x} 0Q{x + rng.randint(4, 10)} 100 {x} 200h9Q{x + 16} 100 {x + 9} 0Z"
        for x in (0, 18, 36, 155, 173, 191)
    )
    light = _path(
        f"M100 0L{rng.randint(48, 66)} 176H{rng.randint(134, 152)}Z",
        f'fill="{second}" opacity=".5"',
    )
    stage = f'<ellipse cx="100" cy="176" rx="48" ry="10" {_fill(second)}/>'
    return light + stage + _path(folds, _fill(first))


def panels(rng: Random, first: str, second: str) -> str:
    """A comic page with a speech bubble."""
    x, y = rng.randint(70, 130), rng.randint(65, 110)
    dots = "".join(
        _circle(24 + 19 * (i % 4), 134 + 19 * (i // 4), 5, _fill(second)) for i in range(12)
    )
    frames = (
        _rect(10, 10, 180, rng.choice((100, 108)), _line(first, 4))
        + _rect(10, 122, x - 15, 68, _line(first, 4))
        + _rect(x + 5, 122, 185 - x, 68, _fill(first))
    )
    bubble = f"M{x - 45} {y - 30}h90v40h-50l-16 20v-20h-24Z"
    return dots + frames + _path(bubble, _fill(second))


def smile(rng: Random, first: str, second: str) -> str:
    """A lopsided grin among confetti."""
    confetti = "".join(f"M{rng.randint(0, 195)} {rng.randint(0, 195)}h6v6h-6Z" for _ in range(14))
    tilt = rng.randint(-24, 24)
    face = (
        _circle(100, 100, 62, _fill(second))
        + _circle(78, 84, 8, _fill(first))
        + _circle(122, 84, 8, _fill(first))
        + _path("M66 112Q100 156 134 112", f'stroke-linecap="round" {_line(first, 7)}')
    )
    return _path(confetti, _fill(first)) + f'<g transform="rotate({tilt} 100 100)">{face}</g>'


def leaves(rng: Random, first: str, second: str) -> str:
    """A stem with leaves."""
    lean = rng.randint(-14, 14)
    parts = [_path(f"M100 200Q{100 + lean} 100 100 16", _line(first, 4))]
    for number, y in enumerate(range(40, 180, 26)):
        reach, side = rng.randint(38, 66), 1 if number % 2 else -1
        across = side * reach
        leaf = f"M100 {y + 16}q{across / 2:.0f} -36 {across} -20q{-side * 10} 32 {-across} 20Z"
        parts.append(_path(leaf, _fill(second if number % 3 == 0 else first)))
    return "".join(parts)


def circuit(rng: Random, first: str, second: str) -> str:
    """Conductors with solder points."""
    tracks, pads = "", ""
    for y in range(20, 190, 20):
        bend, turn, end = rng.randint(30, 110), rng.choice((-14, 0, 14)), rng.randint(130, 185)
        tracks += f"M0 {y}H{bend}l{abs(turn)} {turn}H{end}"
        pads += _circle(end, y + turn, 5, _fill(second))
    return _path(tracks, _line(first, 3)) + pads
