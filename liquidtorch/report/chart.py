"""Plots as plain SVG: lines, bands, dots, histograms and rules on two axes.

Shapes are drawn in a square of 1000 x 1000 that the page stretches to the width it has, with strokes that do not
stretch; words are placed in per cent, so that they keep their size on a telephone and on a wide screen alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from .axis import Axis
from .numbers import finite
from .thin import Point, envelope, pieces, thin

SIDE = 1000  # of the square that is stretched


@dataclass(frozen=True)
class Mark:
    """One thing in a plot: shapes in the stretched square, words and rules above it, and its place in the legend."""

    shapes: str = ""
    words: str = ""
    look: str = ""
    key: str = ""


def line(x: Sequence[Any], y: Sequence[Any], axes: tuple[Axis, Axis], look: str, key: str, columns: int = 400) -> Mark:
    """Draw y over x, broken where a value is missing; a lone value between two gaps becomes a dot."""
    drawn, alone = [], []
    for piece in pieces(x, y):
        points = _unique(_place(p, axes) for p in thin(piece, axes[0], columns))
        if len(points) > 1:
            drawn.append(_path(points))
        else:
            alone += points
    shapes = f'<path class="line {look}" d="{"".join(drawn)}"/>' if drawn else ""
    return Mark(shapes + _dots(alone, f"alone {look}"), look=f"line {look}", key=key)


def band(
    x: Sequence[Any],
    low: Sequence[Any],
    high: Sequence[Any],
    axes: tuple[Axis, Axis],
    look: str,
    key: str,
    columns: int = 400,
) -> Mark:
    """Fill the space between `low` and `high`."""
    drawn = []
    points: list[tuple[float, float, float]] = []
    for a, b, c in [*zip(x, low, high, strict=True), (None, None, None)]:
        if finite(a) and finite(b) and finite(c):
            points.append((a, b, c))
            continue
        kept = envelope(points, axes[0], columns)
        if len(kept) > 1:
            lower = [_place((p[0], p[1]), axes) for p in kept]
            upper = [_place((p[0], p[2]), axes) for p in reversed(kept)]
            drawn.append(_path(lower + upper) + "z")
        points = []
    shapes = f'<path class="band {look}" d="{"".join(drawn)}"/>' if drawn else ""
    return Mark(shapes, look=f"band {look}", key=key)


def scatter(points: Iterable[Point], axes: tuple[Axis, Axis], look: str, key: str, most: int = 800) -> Mark:
    """Draw dots; those that would cover each other are drawn once, and at most about `most` of them.

    Of too many, a tenth is kept at either end of `points` (put the remarkable ones there) and the rest evenly.
    """
    placed = _unique(_place(p, axes, grid=4) for p in points if finite(p[0]) and finite(p[1]))
    if len(placed) > most:
        end = most // 10
        inner = placed[end:-end]
        stride = -(-len(inner) // (most - 2 * end))
        placed = placed[:end] + inner[::stride] + placed[-end:]
    return Mark(_dots(placed, look), look=f"dot {look}", key=key)


def histogram(edges: Sequence[float], counts: Sequence[float], axes: tuple[Axis, Axis], look: str, key: str) -> Mark:
    """Draw bars between `edges`; the look `outline` draws their contour alone."""
    base = _place((axes[0].low, max(0.0, axes[1].low)), axes)[1]
    contour: list[tuple[int, int]] = []
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        a, top = _place((left, count), axes)
        b, _ = _place((right, count), axes)
        contour += [(a, top), (b, top)]
    if "outline" in look:
        whole = [(contour[0][0], base), *contour, (contour[-1][0], base)]
        return Mark(f'<path class="line {look}" d="{_path(whole)}"/>', look=f"line {look}", key=key)
    bars = "".join(
        f"M{a} {base}V{top}H{b}V{base}z" for (a, top), (b, _) in zip(contour[::2], contour[1::2], strict=True)
    )
    return Mark(f'<path class="bar {look}" d="{bars}"/>', look=f"bar {look}", key=key)


def rule(at: float, text: str, axes: tuple[Axis, Axis], look: str = "rule", row: int = 0) -> Mark:
    """Draw an upright line at `at` with `text` beside its head; `row` sets the text lower."""
    share = axes[0].at(at)
    anchor, shift = ("end", -5) if share > 0.55 else ("start", 5)
    place = _per_cent(share)
    return Mark(
        words=f'<line class="{look}" x1="{place}" x2="{place}" y1="0" y2="100%"/>'
        f'<text class="said" x="{place}" y="{row * 15 + 10}" dx="{shift}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def diagonal(axes: tuple[Axis, Axis], key: str) -> Mark:
    """Draw y = x."""
    ends = [(v, v) for v in (max(axes[0].low, axes[1].low), min(axes[0].high, axes[1].high))]
    return Mark(f'<path class="line ref" d="{_path([_place(p, axes) for p in ends])}"/>', look="line ref", key=key)


def plot(title: str, axes: tuple[Axis, Axis], marks: Sequence[Mark], *, shape: str = "", alt: str = "") -> Markup:
    """Return the figure: caption, legend where several marks have a key, grid, axes and marks."""
    shapes = "".join(mark.shapes for mark in marks)
    words = "".join(mark.words for mark in marks)
    return figure(
        title,
        _grid(axes) + (square(shapes) if shapes else "") + words,
        [(m.look, m.key) for m in marks if m.key],
        shape=shape,
        alt=alt,
    )


def square(shapes: str, width: int = SIDE, height: int = SIDE) -> str:
    """Stretch shapes drawn in `width` x `height` over the whole plot."""
    return f'<svg class="data" viewBox="0 0 {width} {height}" preserveAspectRatio="none">{shapes}</svg>'


def figure(
    title: str, inside: str, keys: Sequence[tuple[str, str]], *, shape: str = "", alt: str = "", style: str = ""
) -> Markup:
    """Frame drawn SVG with a caption, a legend and the title that a screen reader says."""
    legend = ""
    if len(keys) > 1:
        legend = "".join(f'<span class="key"><i class="{look}"></i>{escape(key)}</span>' for look, key in keys)
        legend = f'<span class="keys">{legend}</span>'
    sized = f' style="{style}"' if style else ""
    return Markup(
        f'<figure class="{shape}"><figcaption><b>{escape(title)}</b>{legend}</figcaption>'
        f'<svg class="plot" role="img"{sized}><title>{escape(alt or title)}</title>{inside}</svg></figure>'
    )


def _grid(axes: tuple[Axis, Axis]) -> str:
    drawn = []
    for value, text in axes[1].ticks(4):
        y = _per_cent(1 - axes[1].at(value))
        drawn.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text class="tick" x="-8" y="{y}" dy=".34em" text-anchor="end">{text}</text>')
    for value, text in axes[0].ticks(5):
        x = _per_cent(axes[0].at(value))
        drawn.append(f'<line class="notch" x1="{x}" x2="{x}" y1="100%" y2="100%"/>')
        drawn.append(f'<text class="tick" x="{x}" y="100%" dy="1.5em" text-anchor="middle">{text}</text>')
    drawn.append('<line class="axis" x1="0" x2="100%" y1="100%" y2="100%"/>')
    drawn.append(f'<text class="label" x="100%" y="100%" dy="2.9em" text-anchor="end">{escape(axes[0].label)}</text>')
    drawn.append(f'<text class="label up" y="-11">{escape(axes[1].label)}</text>')
    return "".join(drawn)


def _place(point: Point, axes: tuple[Axis, Axis], grid: int = 1) -> tuple[int, int]:
    across, up = axes[0].at(point[0]), axes[1].at(point[1])
    return round(across * SIDE / grid) * grid, round((1 - up) * SIDE / grid) * grid


def _path(points: Sequence[tuple[int, int]]) -> str:
    """Write a polyline in steps from point to point, which takes half the bytes of absolute places."""
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for (a, b), (c, d) in itertools.pairwise(points):
        parts.append(f"l{c - a}{'' if d < b else ' '}{d - b}")
    return "".join(parts)


def _dots(points: Sequence[tuple[int, int]], look: str) -> str:
    """Draw dots as strokes of no length with round ends: round at any stretch, one path for all."""
    if not points:
        return ""
    return f'<path class="dot {look}" d="{"".join(f"M{x} {y}h0" for x, y in points)}"/>'


def _unique(points: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return list(dict.fromkeys(points))


def _per_cent(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"
