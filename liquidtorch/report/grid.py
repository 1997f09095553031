"""Pictures on rows and columns: confusion matrices, strips of states, scores with their intervals, wired pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from .axis import Axis
from .chart import SIDE, figure, square
from .numbers import compact, finite, percent
from .thin import runs

COLOURS = 8  # distinct looks k0 .. k7; further classes share the grey `k8`
_UPRIGHT = 4  # classes; the names of more stand aslant below their columns
_WITH_COUNTS = 8  # classes; more make cells too small for words on a telephone


def matrix(title: str, classes: Sequence[str], counts: Sequence[Sequence[float]]) -> Markup:
    """Draw a confusion matrix, truth in rows: a cell's shade is its share of the row."""
    size = len(classes)
    slanted = size > _UPRIGHT
    cells, words = [], []
    for i, row in enumerate(counts):
        cells += [_cell(i, j, count, sum(row), classes) for j, count in enumerate(row) if count]
        if size <= _WITH_COUNTS:
            for j, count in enumerate(row):
                ink = "count on" if count > 0.5 * sum(row) else "count" if count else "tick"
                place = f'x="{_middle(j, size)}" y="{_middle(i, size)}"'
                words.append(f'<text class="{ink}" {place} dy=".34em" text-anchor="middle">{compact(count)}</text>')
        name, middle = escape(_short(classes[i])), _middle(i, size)
        words.append(f'<text class="tick" x="-8" y="{middle}" dy=".34em" text-anchor="end">{name}</text>')
        turn = (
            'transform="translate(4 14) rotate(-40)" text-anchor="end"'
            if slanted
            else 'dy="1.5em" text-anchor="middle"'
        )
        words.append(f'<svg class="corner" x="{middle}" y="100%"><text class="tick" {turn}>{name}</text></svg>')
    words.append('<rect class="frame" width="100%" height="100%"/><text class="label up" y="-11">true class</text>')
    below = "7.2em" if slanted else "3.1em"
    words.append(f'<text class="label" x="100%" y="100%" dy="{below}" text-anchor="end">predicted class</text>')
    height = min(520, 60 + 40 * size) + (140 if slanted else 80)
    drawn = square("".join(cells), size, size) + "".join(words)
    shape = "square" if slanted else "square few"
    return figure(title, drawn, [], shape=shape, style=f"height:{height}px", alt=f"Confusion matrix of {title}")


def _cell(i: int, j: int, count: float, total: float, classes: Sequence[str]) -> str:
    said = escape(f"{classes[i]} as {classes[j]}: {count:g}, {percent(count / total)}")
    shade = f"{0.06 + 0.94 * count / total:.2f}"
    look = "cell" if i == j else "cell wrong"
    box = f'x="{j}" y="{i}" width="1" height="1" fill-opacity="{shade}"'
    return f'<rect class="{look}" {box}><title>{said}</title></rect>'


def _middle(index: int, size: int) -> str:
    return f"{100 * (index + 0.5) / size:.2f}%"


def strips(
    title: str, axis: Axis, truth: Sequence[Any], prediction: Sequence[Any], names: dict[Any, str], columns: int = 400
) -> Markup:
    """Draw the true and the predicted class of each step as two bars of colour, and below them where they differ."""
    looks = {code: f"k{min(i, COLOURS)}" for i, code in enumerate(names)}
    drawn = _strip(truth, 0, 400, looks, columns) + _strip(prediction, 440, 400, looks, columns)
    drawn += _misses(truth, prediction, columns)
    words = "".join(
        f'<text class="tick" x="-8" y="{y}%" dy=".34em" text-anchor="end">{text}</text>'
        for y, text in ((20, "truth"), (64, "model"), (94, "wrong"))
    )
    for value, text in axis.ticks(5):
        x = f"{100 * axis.at(value):.2f}%"
        words += f'<text class="tick" x="{x}" y="100%" dy="1.5em" text-anchor="middle">{text}</text>'
    words += f'<text class="label" x="100%" y="100%" dy="2.9em" text-anchor="end">{escape(axis.label)}</text>'
    keys = [(f"swatch {looks[code]}", name) for code, name in list(names.items())[:COLOURS]]
    if len(names) > COLOURS:
        keys.append((f"swatch k{COLOURS}", f"{len(names) - COLOURS} more"))
    return figure(title, square(drawn) + words, keys, shape="strips", alt=f"Classes over time, {title}")


def _strip(codes: Sequence[Any], top: int, height: int, looks: dict[Any, str], columns: int) -> str:
    paths: dict[str, list[str]] = {}
    for code, start, stop in runs(codes, columns):
        if code in looks:
            a, b = round(start * SIDE), round(stop * SIDE)
            paths.setdefault(looks[code], []).append(f"M{a} {top}h{b - a}v{height}h{a - b}z")
    return "".join(f'<path class="swatch {look}" d="{"".join(parts)}"/>' for look, parts in sorted(paths.items()))


def _misses(truth: Sequence[Any], prediction: Sequence[Any], columns: int) -> str:
    """Draw the share of wrong steps in each column, faint below a tenth, full above a half."""
    rows = len(truth)
    cells = min(rows, columns)
    paths: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for i in range(cells):
        here = range(i * rows // cells, (i + 1) * rows // cells)
        known = [k for k in here if truth[k] is not None]
        wrong = sum(truth[k] != prediction[k] for k in known)
        if wrong:
            depth = 1 if wrong <= 0.1 * len(known) else 2 if wrong <= 0.5 * len(known) else 3
            a, b = round(i / cells * SIDE), round((i + 1) / cells * SIDE)
            paths[depth].append(f"M{a} 890h{b - a}v110h{a - b}z")
    return "".join(f'<path class="miss m{depth}" d="{"".join(parts)}"/>' for depth, parts in paths.items() if parts)


def intervals(title: str, axis: Axis, rows: Sequence[tuple[str, Any, Any, Any, bool]]) -> Markup:
    """Draw (name, score, low, high, ours) as dots with whiskers, one row each, on one axis."""
    drawn = []
    for value, text in axis.ticks(5):
        x = f"{100 * axis.at(value):.2f}%"
        drawn.append(f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="100%"/>')
        drawn.append(f'<text class="tick" x="{x}" y="100%" dy="1.5em" text-anchor="middle">{text}</text>')
    for i, (name, score, low, high, ours) in enumerate(rows):
        y = f"{100 * (i + 0.5) / len(rows):.2f}%"
        look = "ours" if ours else "base"
        said = escape(_short(name))
        drawn.append(f'<text class="tick {look}" x="-10" y="{y}" dy=".34em" text-anchor="end">{said}</text>')
        if finite(low) and finite(high):
            ends = f'x1="{100 * axis.at(low):.2f}%" x2="{100 * axis.at(high):.2f}%"'
            drawn.append(f'<line class="whisker {look}" {ends} y1="{y}" y2="{y}"/>')
        drawn.append(f'<circle class="spot {look}" cx="{100 * axis.at(score):.2f}%" cy="{y}" r="4.5"/>')
    drawn.append('<line class="axis" x1="0" x2="100%" y1="100%" y2="100%"/>')
    drawn.append(f'<text class="label" x="100%" y="100%" dy="2.9em" text-anchor="end">{escape(axis.label)}</text>')
    return figure(title, "".join(drawn), [], shape="intervals", style=f"height:{30 * len(rows) + 62}px")


def pairs(title: str, signs: Sequence[Sequence[int]], labels: tuple[str, str]) -> Markup:
    """Draw which pairs of a table are positive and which negative, where lines between dots would be a blot."""
    drawn = ""
    keys = []
    for sign, look in ((1, "excites"), (-1, "inhibits")):
        path = "".join(_dashes(row, sign, i) for i, row in enumerate(signs))
        if path:
            drawn += f'<path class="pair {look}" d="{path}"/>'
            keys.append((f"swatch {look}", look))
    words = (
        '<rect class="frame" width="100%" height="100%"/>'
        f'<text class="label up" y="-11">{escape(labels[0])}</text>'
        f'<text class="label" x="100%" y="100%" dy="1.7em" text-anchor="end">{escape(labels[1])}</text>'
    )
    inside = square(drawn, len(signs[0]), len(signs)) + words
    return figure(title, inside, keys, shape="pairs", style=f"height:{min(520, 10 * len(signs) + 62)}px")


def _dashes(row: Sequence[int], sign: int, top: int) -> str:
    """Write the cells of one row that hold `sign` as dashes, neighbours as one."""
    parts, at, end = [], 0, None
    for found, cells in itertools.groupby(row):
        width = len(list(cells))
        if found == sign:
            parts.append(f"M{at} {top}.5h{width}" if end is None else f"m{at - end} 0h{width}")
            end = at + width
        at += width
    return "".join(parts)


def _short(text: str, most: int = 14) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
