"""One offline HTML page about a body: its measures, drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from .axis import Axis, around, bins
from .chart import Mark, histogram, line, plot, rule
from .facts import words
from .numbers import ABSENT, finite, number

Found = dict[str, Any]
_FLOOR = 1e-16  # of a distance on a logarithmic axis: below is rounding


def sections(found: Found) -> list[dict[str, Any]]:
    """Return each section: name, heading, pictures, what they say, and what stands there where there is none."""
    drawn = [
        ("stability", "Does it forget its start?", [_echo(found)], _stability(found), "It reads ahead: no one start."),
        ("memory", "What does it remember?", [_memory(found), _degrees(found)], _remembers(found),
         "No capacities: they need inputs that can be replaced by white noise."),
        ("dimensions", "How many directions do its states fill?", [_shares(found)], _directions(found),
         "Its states do not vary."),
        ("taus", "Time constants", [_taus(found)], "", "It has no time constants."),
        ("spikes", "Spikes", [_rates(found)], _spikes(found), "It does not spike, or the spikes are not known."),
    ]  # fmt: skip
    return [
        {"id": name, "heading": heading, "pictures": [p for p in pictures if p], "said": said, "absent": absent}
        for name, heading, pictures, said, absent in drawn
    ]


def lead(found: Found) -> str:
    """Say what was measured, and under what."""
    inputs = found.get("inputs") or {}
    said = f"{found.get('layer', 'a layer')}: {number(found.get('features'))} features in, "
    said += f"{number(found.get('outputs'))} outputs"
    if not inputs:
        return said + "."
    dt = f"{number(inputs.get('dt'))} {inputs.get('unit') or 'step'} apart"
    return f"{said}; driven by {number(inputs.get('rows'))} series of {number(inputs.get('steps'))} rows, {dt}."


def tiles(found: Found) -> list[tuple[str, str]]:
    """Return the few numbers that head the page, each with its name."""
    wanted = [
        ("memory", "total", "memory capacity"), ("rank", "kernel", "kernel rank"),
        ("states", "effective_dimension", "effective dimension"), ("lyapunov", "", "Lyapunov exponent"),
        ("rates", "mean", "spikes a unit and time"),
    ]  # fmt: skip
    shown = [(name, (found.get(part) or {}).get(key) if key else found.get(part)) for part, key, name in wanted]
    return [(name, number(value, 3)) for name, value in shown if finite(value)]


def numbers(found: Found) -> list[tuple[str, str]]:
    """Return every single number found, with its name."""
    rows: list[tuple[str, str]] = []
    for name, value in found.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, one in parts:
            if isinstance(one, list):
                continue
            shown = one if isinstance(one, str) else number(one)
            rows.append((f"{words(name)}{': ' if key else ''}{words(key)}", shown))
    return rows


def _echo(found: Found) -> Markup | None:
    """Draw the distance of two starts over time, and the line of the Lyapunov exponent beside it."""
    apart = (found.get("echo") or {}).get("apart") or []
    known = [v for v in apart if finite(v) and v > _FLOOR]
    if not known:
        return None
    dt, unit = _clock(found)
    time = [(t + 1) * dt for t in range(len(apart))]
    axes = (around([0.0, *time], f"time ({unit})", margin=0.0), around(known, "distance / size of outputs", log=True))
    drawn = [v if finite(v) and v > _FLOOR else None for v in apart]
    marks = [line(time, drawn, axes, "ours", "largest of the pairs that started differently")]
    exponent = found.get("lyapunov")
    if finite(exponent):
        first = next(i for i, v in enumerate(drawn) if v is not None)
        grown = [math.log(known[0]) + exponent * (t - time[first]) for t in time]
        slope = [math.exp(g) if math.log(axes[1].low) <= g <= math.log(axes[1].high) else None for g in grown]
        if sum(v is not None for v in slope) > 1:  # else it leaves the plot at once
            marks.append(line(time, slope, axes, "base", f"Lyapunov exponent {number(exponent, 3)} per {unit}"))
    washout = (found.get("echo") or {}).get("washout")
    if finite(washout):
        marks.append(rule(washout * dt, f"forgotten after {number(washout)} steps", axes))
    return plot("States that started differently, under the same input", axes, marks, shape="wide")


def _stability(found: Found) -> str:
    echo, exponent = found.get("echo") or {}, found.get("lyapunov")
    said = ""
    if echo:
        after = echo.get("washout")
        said = f"Its start is forgotten to a thousandth after {number(after)} steps. " if finite(after) else (
            "Its start is not forgotten within these rows. "
        )  # fmt: skip
    if finite(exponent):
        what = "Small differences die out" if exponent < 0 else "Small differences grow"
        said += f"{what} (largest Lyapunov exponent {number(exponent, 3)} per {_clock(found)[1]})."
    return said.strip()


def _memory(found: Found) -> Markup | None:
    memory = found.get("memory") or {}
    curve = memory.get("curve") or []
    if not any(finite(v) for v in curve):
        return None
    axes = (around([0, len(curve) - 1], "delay (steps)", margin=0.0, whole=True), around([*curve, 0, 1], "capacity"))
    marks = [line(range(len(curve)), curve, axes, "ours", "capacity")]
    half = next((i for i, v in enumerate(curve) if finite(v) and v < 0.5 * max(curve[0] or 0.0, 1e-9)), None)
    if half:
        marks.append(rule(half, f"half after {half} steps", axes))
    return plot("Memory of the input, by delay", axes, marks)


def _degrees(found: Found) -> Markup | None:
    degrees = (found.get("capacity") or {}).get("degrees") or []
    if not any(finite(v) for v in degrees):
        return None
    edges = [i + 0.5 for i in range(len(degrees) + 1)]
    values = [v if finite(v) else 0.0 for v in degrees]
    axes = (
        Axis("degree of the function of past inputs", 0.5, edges[-1], whole=True),
        around(values, "capacity", zero=True),
    )
    return plot("Capacity by degree: 1 is linear", axes, [histogram(edges, values, axes, "data", "capacity")])


def _remembers(found: Found) -> str:
    memory, capacity = found.get("memory") or {}, found.get("capacity") or {}
    if not memory:
        return ""
    said = f"Linear memory {number(memory.get('total'), 3)} of at most {number(memory.get('of'))}"
    if finite(capacity.get("total")):
        said += f"; all functions measured {number(capacity['total'], 3)} of at most {number(capacity.get('of'))}"
    return said + ". Measured under white inputs of the same mean and spread."


def _shares(found: Found) -> Markup | None:
    """Draw the variance in each direction, largest first."""
    states, rank = found.get("states") or {}, found.get("rank") or {}
    shares = [v for v in states.get("shares") or [] if finite(v) and v > _FLOOR**2]
    if not shares:
        return None
    axes = (
        around([1, max(2, len(shares))], "direction", margin=0.0, whole=True),
        around(shares, "share of variance", log=True),
    )
    marks: list[Mark] = [line(range(1, len(shares) + 1), shares, axes, "ours", "share")]
    wide = states.get("effective_dimension")
    if finite(wide) and wide >= 1:
        marks.append(rule(wide, f"effective dimension {number(wide, 3)}", axes))
    if finite(rank.get("kernel")) and 1 <= rank["kernel"] <= len(shares):
        marks.append(rule(rank["kernel"], f"kernel rank {number(rank['kernel'])}", axes, row=1))
    return plot("Variance of the states, by direction", axes, marks, shape="wide")


def _directions(found: Found) -> str:
    rank = found.get("rank") or {}
    if not rank:
        return ""
    return (
        f"Of {number(rank.get('of'))} different inputs it tells {number(rank.get('kernel'))} apart, of as many that "
        f"differ by noise alone {number(rank.get('generalisation'))}: many and few are good."
    )


def _taus(found: Found) -> Markup | None:
    each = [t for t in (found.get("tau") or {}).get("sorted") or [] if finite(t) and t > 0]
    if not each:
        return None
    dt, unit = _clock(found)
    steps = (found.get("inputs") or {}).get("steps")
    marked = [(dt, "dt")] + ([(dt * steps, "rows looked at")] if finite(steps) else [])
    x = around([*each, *(v for v, _ in marked)], f"time constant tau ({unit})", log=True, margin=0.04)
    return _spread(
        each, x, "Time constants of the units", [(v, f"{text}: {number(v, 3)} {unit}") for v, text in marked]
    )


def _rates(found: Found) -> Markup | None:
    rates = found.get("rates") or {}
    each = [r for r in rates.get("sorted") or [] if finite(r)]
    if not each:
        return None
    x = around([0.0, *each], f"spikes a unit and {_clock(found)[1]}", zero=True, margin=0.02)
    return _spread(each, x, "Rates of the units", [(rates["mean"], f"mean: {number(rates.get('mean'), 3)}")])


def _spread(each: Sequence[float], x: Axis, title: str, marked: Sequence[tuple[float, str]]) -> Markup:
    edges, counts = bins(each, x, 24)
    axes = (x, around([1.2 * max(*counts, 1)], "units", zero=True, whole=True))
    marks = [histogram(edges, counts, axes, "ours", "units")]
    marks += [rule(v, text, axes, row=i) for i, (v, text) in enumerate(marked)]
    return plot(title, axes, marks, shape="wide")


def _spikes(found: Found) -> str:
    rates, cost = found.get("rates") or {}, found.get("operations") or {}
    if not rates:
        return ""
    silent, full = (number(100 * v, 3) if finite(v) else ABSENT for v in (rates.get("silent"), rates.get("saturated")))
    said = f"{silent} % of the units never spike, {full} % in more than half of the steps; "
    said += f"intervals vary by {number(rates.get('cv'), 3)} of their mean (a Poisson process: 1)."
    if cost:
        said += f" A series takes {number(cost.get('synaptic'), 3)} additions at synapses; "
        said += f"dense, {number(cost.get('dense'), 3)}."
    return said


def _clock(found: Found) -> tuple[float, str]:
    inputs = found.get("inputs") or {}
    dt = inputs.get("dt")
    return (float(dt) if finite(dt) and dt > 0 else 1.0), str(inputs.get("unit") or "step")
