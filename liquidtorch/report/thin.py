"""Long series drawn short: the lowest and highest point of every column of pixels, so that peaks survive."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .axis import Axis
from .numbers import finite

Point = tuple[float, float]
Span = tuple[float, float, float]  # x, low, high


def pieces(x: Sequence[Any], y: Sequence[Any]) -> list[list[Point]]:
    """Cut a line at every missing value; return the unbroken pieces."""
    found: list[list[Point]] = [[]]
    for a, b in zip(x, y, strict=True):
        if finite(a) and finite(b):
            found[-1].append((a, b))
        elif found[-1]:
            found.append([])
    return [piece for piece in found if piece]


def thin(points: Sequence[Point], axis: Axis, columns: int) -> list[Point]:
    """Keep the first, lowest, highest and last point of each of `columns` equal columns of `axis`.

    Examples
    --------
    >>> spike = [(i, 0.0) for i in range(50)] + [(50, 9.0)] + [(i, 0.0) for i in range(51, 100)]
    >>> kept = thin(spike, Axis("time", 0, 99), 5)
    >>> len(kept) < 20, (50, 9.0) in kept
    (True, True)
    """
    if len(points) <= 2 * columns:
        return list(points)
    kept: list[Point] = []
    start = 0
    for stop in range(1, len(points) + 1):
        if stop < len(points) and _column(points[stop][0], axis, columns) == _column(points[start][0], axis, columns):
            continue
        here = range(start, stop)
        ends = {start, stop - 1, min(here, key=lambda i: points[i][1]), max(here, key=lambda i: points[i][1])}
        kept += [points[i] for i in sorted(ends)]
        start = stop
    return kept


def envelope(points: Sequence[Span], axis: Axis, columns: int) -> list[Span]:
    """Join the (x, low, high) of each column into its outermost band; no part of the band is lost."""
    if len(points) <= 2 * columns:
        return list(points)
    groups: dict[int, list[Span]] = {}
    for point in points:
        groups.setdefault(_column(point[0], axis, columns), []).append(point)
    return [
        (sum(p[0] for p in group) / len(group), min(p[1] for p in group), max(p[2] for p in group))
        for group in groups.values()
    ]


def runs(codes: Sequence[Any], columns: int) -> list[tuple[Any, float, float]]:
    """Join equal neighbours into (code, start, stop) with 0 <= start < stop <= 1.

    A series longer than `columns` is first reduced to the commonest code of each column.
    """
    rows = len(codes)
    cells = min(rows, columns)
    if cells < rows:
        cuts = [i * rows // cells for i in range(cells + 1)]
        codes = [Counter(codes[a:b]).most_common(1)[0][0] for a, b in itertools.pairwise(cuts)]
    found: list[tuple[Any, float, float]] = []
    for i, code in enumerate(codes):
        start = found.pop()[1] if found and found[-1][0] == code else i / cells
        found.append((code, start, (i + 1) / cells))
    return found


def _column(x: float, axis: Axis, columns: int) -> int:
    return min(columns - 1, int(axis.at(x) * columns))
