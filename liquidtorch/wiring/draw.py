"""The picture of a wiring: one SVG text that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, check_shape

if TYPE_CHECKING:
    from .wiring import Wiring

COLUMNS = ("sensory", "inter", "command", "motor")
SYNAPSES = 1200  # more cannot be told apart, and would make the text large
NAMED = 128  # up to here every unit tells its name under the pointer
EXCITES, INHIBITS = "#2f80d0", "#e0662a"  # told apart by the colour-blind, on white and on black
_WIDTHS = (0.5, 1.0, 1.6, 2.4, 3.4)
_ROWS, _HEIGHT, _SIDE, _GAP = 24, 380.0, 50.0, 150.0
_TOP, _FOOT = 46.0, 44.0  # room for the heads and the legend


def svg(wiring: Wiring, weights: tuple[ArrayLike, ArrayLike] | None) -> str:
    """Draw `wiring` in the columns sensory, inter, command, motor; see `Wiring.draw`."""
    kinds = np.array([COLUMNS.index(kind) for kind in ("sensory",) * wiring.features + wiring.roles])
    places, radius, width, heads = _layout(wiring, kinds)
    synapses, strength = _synapses(wiring, weights)
    total = len(synapses)
    kept = _strongest(synapses, strength)
    synapses, strength = synapses[kept], strength[kept]
    # the more lines, the fainter each: what many share still shows
    opacity = float(np.clip(9.0 / np.sqrt(max(len(synapses), 1)), 0.3, 0.9))
    size = _HEIGHT + _TOP + _FOOT
    title = f"Wiring {wiring.name}: {wiring.features} features, {wiring.units} units, {total} synapses"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {size:.0f}" width="{width:.0f}" '
        f'height="{size:.0f}" role="img" font-family="system-ui,sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<g fill="none" stroke-linecap="round" stroke-opacity="{opacity:.2f}">',
        *_lines(synapses, strength, places, kinds, radius),
        "</g>",
        _circles(wiring, places, radius),
        '<g fill="currentColor" text-anchor="middle">',
        *(f'<text x="{x:.0f}" y="20">{count} {name}</text>' for x, name, count in heads),
        "</g>",
        _legend(size, width, _note(len(synapses), total, weights is not None)),
        "</svg>",
    ]
    return "".join(parts)


def _layout(
    wiring: Wiring, kinds: NDArray[np.intp]
) -> tuple[NDArray[np.float64], float, float, list[tuple[float, str, int]]]:
    """Place features (first) and units by kind, from left to right."""
    talk = np.pad(wiring.recurrent != 0, ((wiring.features, 0), (wiring.features, 0)))
    np.fill_diagonal(talk, False)
    members = {word: np.flatnonzero(kinds == k) for k, word in enumerate(COLUMNS) if k in kinds}
    radius = float(np.clip(0.3 * _HEIGHT / max(min(len(m), _ROWS) for m in members.values()), 4.0, 9.0))
    places = np.zeros((len(kinds), 2))
    heads = []
    left = _SIDE
    for kind, found in members.items():
        inside = talk[np.ix_(found, found)].any()
        column = _ring(len(found), radius) if inside and len(found) > 3 else _column(len(found), radius)
        column[:, 0] += left - column[:, 0].min()
        column[:, 1] += _TOP + _HEIGHT / 2
        places[found] = column
        right = float(column[:, 0].max())
        heads.append(((left + right) / 2, kind, len(found)))
        left = right + _GAP
    return places, radius, left - _GAP + _SIDE, heads


def _column(count: int, radius: float) -> NDArray[np.float64]:
    """Place units that do not feel one another below each other, in several columns where there are many."""
    folds = -(-count // _ROWS)
    rows = -(-count // folds)
    fold, row = np.divmod(np.arange(count), rows)
    # every other column is half a row lower, so that lines pass between
    stagger = np.where(fold % 2 == 1, 0.25, -0.25) * (folds > 1)
    y = (row - (np.bincount(fold)[fold] - 1) / 2 + stagger) * min(_HEIGHT / rows, 44.0)
    return np.stack([fold * 3.4 * radius, y], axis=1)


def _ring(count: int, radius: float) -> NDArray[np.float64]:
    """Place units that feel one another on an ellipse, evenly along it: their synapses are its chords."""
    tall = min(_HEIGHT / 2, 18.0 * count)
    wide = max(0.45 * tall, 0.5 * radius * count - tall)
    turn = np.linspace(0.0, 2 * np.pi, 2000)
    x, y = -wide * np.cos(turn), -tall * np.sin(turn)
    length = np.concatenate([[0.0], np.hypot(np.diff(x), np.diff(y)).cumsum()])
    at = np.arange(count) / count * length[-1]
    return np.stack([np.interp(at, length, x), np.interp(at, length, y)], axis=1)


def _synapses(
    wiring: Wiring, weights: tuple[ArrayLike, ArrayLike] | None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """List synapses as (from, to), nodes numbered features first, with their signed strength."""
    signs = (wiring.recurrent, wiring.sensory)
    lists, strengths = [], []
    for k, (sign, name) in enumerate(zip(signs, ("recurrent", "sensory"), strict=True)):
        value = sign if weights is None else np.asarray(weights[k], dtype=float)
        check_shape(f"weights[{k}]", value.shape, ("units", "features" if k else "units"), **_named(sign, k))
        bad = np.argwhere(~np.isfinite(value) & (sign != 0))
        if len(bad):
            raise DataError(
                f"`weights[{k}]` must be finite where there is a {name} synapse; "
                f"got {value[tuple(bad[0])]} (row {bad[0][0]}, column {bad[0][1]})."
            )
        to, source = np.nonzero(sign)
        lists.append(np.stack([source + (0 if k else wiring.features), to + wiring.features], axis=1))
        strengths.append(value[to, source].astype(float))
    return np.concatenate(lists), np.concatenate(strengths)


def _named(sign: NDArray[np.int8], k: int) -> dict[str, int]:
    return {"units": sign.shape[0], "features": sign.shape[1]} if k else {"units": sign.shape[0]}


def _strongest(synapses: NDArray[np.intp], strength: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose the strongest; among equals, evenly over the whole by a golden-ratio sequence."""
    if len(synapses) <= SYNAPSES:
        return np.arange(len(synapses))
    spread = np.arange(len(synapses)) * 0.6180339887498949 % 1.0
    return np.sort(np.lexsort((spread, -np.abs(strength)))[:SYNAPSES])


def _lines(
    synapses: NDArray[np.intp],
    strength: NDArray[np.float64],
    places: NDArray[np.float64],
    kinds: NDArray[np.intp],
    radius: float,
) -> list[str]:
    """Draw all synapses of one sign and width as one path: the text stays short."""
    size = np.abs(strength)
    largest = size.max(initial=0.0)
    if size.size and size.min() == largest:
        step = np.ones(len(size), int)
    else:
        step = np.minimum((size / largest * len(_WIDTHS)).astype(int), len(_WIDTHS) - 1)
    paths = []
    for k, width in enumerate(_WIDTHS):
        for colour, chosen in ((EXCITES, strength > 0), (INHIBITS, strength < 0)):
            found = synapses[chosen & (step == k)]
            if len(found):
                curves = "".join(
                    _curve(places[source], places[to], radius, within=bool(kinds[source] == kinds[to]))
                    for source, to in found
                )
                paths.append(f'<path stroke="{colour}" stroke-width="{width:g}" d="{curves}"/>')
    return paths


def _curve(source: NDArray[np.float64], to: NDArray[np.float64], radius: float, *, within: bool) -> str:
    """Bend a line from one unit to another, so that there and back are two lines."""
    x1, y1 = source
    x, y = to - source
    if within and x == y == 0:
        out = 2.2 * radius
        return f"M{x1:.0f} {y1 - radius:.0f}c{out:.0f} {-out:.0f} {-out:.0f} {-out:.0f} 0 0"
    if within:
        return f"M{x1:.0f} {y1:.0f}q{x / 2 + y / 8:.0f} {y / 2 - x / 8:.0f} {x:.0f} {y:.0f}"
    x1 += radius * np.sign(x)  # from rim to rim: features are hollow
    x -= 2 * radius * np.sign(x)
    sag = 0.0 if x > 0 else 60.0  # back to an earlier column: below
    return f"M{x1:.0f} {y1:.0f}c{x / 2:.0f} {sag:.0f} {x / 2:.0f} {y + sag:.0f} {x:.0f} {y:.0f}"


def _circles(wiring: Wiring, places: NDArray[np.float64], radius: float) -> str:
    """Draw the units; features are hollow."""
    dots = []
    for i, (x, y) in enumerate(places):
        feature = i < wiring.features
        shape = f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}"'
        if feature:
            shape += ' fill-opacity="0"'
        if len(places) > NAMED:
            dots.append(f"{shape}/>")
            continue
        name = f"x{i}" if feature else f"h{i - wiring.features} {wiring.roles[i - wiring.features]}"
        dots.append(f"{shape}><title>{name}</title></circle>")
    return f'<g fill="currentColor" stroke="currentColor" stroke-width="1.5">{"".join(dots)}</g>'


def _note(drawn: int, total: int, weighted: bool) -> str:
    if drawn == total:
        return f"{total} synapses"
    return f"{drawn} of {total} synapses drawn{', the strongest' if weighted else ''}"


def _legend(size: float, width: float, note: str) -> str:
    y = size - 14
    return (
        f'<g stroke-width="3"><path stroke="{EXCITES}" d="M12 {y - 4:.0f}h22"/>'
        f'<path stroke="{INHIBITS}" d="M102 {y - 4:.0f}h22"/></g><g fill="currentColor" font-size="12">'
        f'<text x="40" y="{y:.0f}">excites</text><text x="130" y="{y:.0f}">inhibits</text>'
        f'<text x="{width - 12:.0f}" y="{y:.0f}" text-anchor="end">{note}</text></g>'
    )
