"""Draws lines on logarithmic axes, panels side by side, as one SVG file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 430, 330, 56, 16, 14, 42
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#b8860b", "#6a4c93")


@dataclass(frozen=True)
class Panel:
    """One plot: what is along each axis, and by name the numbers along them, all above 0."""

    along: str
    up: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value stands."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Return the powers of ten inside."""
        powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
        return [10.0**k for k in powers]


def picture(panels: Sequence[Panel]) -> str:
    """Return the file's text."""
    drawn = (f'<g transform="translate({i * WIDTH} 0)">{"".join(_panel(p))}</g>' for i, p in enumerate(panels))
    width = WIDTH * len(panels)
    style = "text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}.line{fill:none;stroke-width:1.8}"
    size = f'viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join(
        [head, f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>', *drawn, "</svg>\n"]
    )


def _panel(panel: Panel) -> Iterator[str]:
    every = [[v for line in panel.lines.values() for v in line[k]] for k in (0, 1)]
    x = Axis(min(every[0]) / 1.2, max(every[0]) * 1.2, LEFT, WIDTH - RIGHT)
    y = Axis(min(every[1]) / 1.3, max(every[1]) * 1.3, HEIGHT - BOTTOM, TOP)
    for v in x.ticks():
        yield f'<path class="grid" d="M{x.at(v)} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{x.at(v)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{v:,g}</text>'
    for v in y.ticks():
        yield f'<path class="grid" d="M{LEFT} {y.at(v)}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y.at(v) + 4}" text-anchor="end">{v:g}</text>'
    yield f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(panel.along)}</text>'
    yield f'<text x="{LEFT - 6}" y="{HEIGHT - BOTTOM + 16}" text-anchor="end">{escape(panel.up)}</text>'
    for i, (name, (xs, ys)) in enumerate(panel.lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        points = "L".join(f"{x.at(a)} {y.at(b)}" for a, b in zip(xs, ys, strict=True))
        yield f'<path class="line" stroke="{colour}" d="M{points}"/>'
        yield f'<text x="{LEFT + 8}" y="{TOP + 16 + 15 * i}" style="fill:{colour}">{escape(name)}</text>'
