"""What the record says in words and tables: task, data card, events, environment."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from .numbers import ABSENT, alike, compact, finite, number, percent, seconds

Line = dict[str, Any]
_COLUMNS_SHOWN = 60
_CLASSES_SHOWN = 8
_KINDS = {
    "classify": "Classify each series",
    "classify_steps": "Classify each step",
    "regress": "Regress each series",
    "regress_steps": "Regress each step",
    "forecast": "Forecast",
}


def last(lines: Iterable[Line], kind: str) -> Line:
    """Return the newest line of `kind`, or an empty one: a resumed run repeats itself."""
    return next((line for line in reversed(list(lines)) if line.get("kind") == kind), {})


def words(name: Any) -> str:
    """Return a name of the record as people write it: one_rule becomes one rule."""
    return str(name).replace("_", " ")


def task_text(task: Line) -> str:
    """Say the task in one line: Forecast 17 targets, 1 step ahead."""
    about = task.get("task") or {}
    targets = [str(t) for t in about.get("targets") or []]
    named = ", ".join(targets) if len(targets) <= 3 else f"{len(targets)} targets"
    kind = str(about.get("kind") or "task not recorded yet")
    said = _KINDS.get(kind, words(kind).capitalize())
    if named:
        said += f" {named}" if kind == "forecast" else f": {named}"
    if kind == "forecast":
        horizon = about.get("horizon") or 1
        said += f", {horizon} {'step' if horizon == 1 else 'steps'} ahead"
    return said


def data_card(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Return the data card's facts, its columns and how it was split."""
    line = last(lines, "data")
    card = line.get("card")
    if not card:
        return None
    unit = str(card.get("unit") or "step")
    lengths, dt = card.get("lengths") or {}, card.get("dt") or {}
    regular = finite(dt.get("min")) and finite(dt.get("max")) and dt["max"] - dt["min"] <= 1e-9 * abs(dt["max"])
    step = f"{number(dt.get('median'))} {unit}, always" if regular else _spread(dt, unit)
    facts = [
        ("Series", number(card.get("series"))),
        ("Rows", number(card.get("rows"))),
        ("Rows per series", _spread(lengths, "")),
        ("Time column", str(card.get("time") or "none: steps are counted")),
        ("Time between rows (dt)", step),
    ]
    roles: dict[Any, tuple[list[str], Line]] = {}  # a forecast's target is a feature too, and listed once
    for role in ("target", "feature"):
        for column in card.get(f"{role}s") or []:
            roles.setdefault(column.get("name"), ([], column))[0].append(role)
    columns = [_column(column, " and ".join(role)) for role, column in roles.values()]
    split = line.get("split") or {}
    parts = [
        (part, number((split.get(part) or {}).get("series")), number((split.get(part) or {}).get("rows")))
        for part in ("train", "valid", "test")
        if split.get(part)
    ]
    return {
        "facts": facts,
        "columns": columns[:_COLUMNS_SHOWN],
        "hidden": max(0, len(columns) - _COLUMNS_SHOWN),
        "how": str(split.get("how") or ""),
        "parts": parts,
    }


def _spread(found: Line, unit: str) -> str:
    unit = f" {unit}" if unit else ""
    low, middle, high = (found.get(k) for k in ("min", "median", "max"))
    if low == high and finite(low):
        return number(low) + unit
    return f"{number(middle)}{unit} median, {number(low)} to {number(high)}"


def _column(column: Line, role: str) -> dict[str, Any]:
    said = ""
    if column.get("classes") is not None:
        counts = column.get("counts") or [0] * len(column["classes"])
        total = sum(counts) or 1
        named = sorted(zip(column["classes"], counts, strict=False), key=lambda c: -c[1])
        shown = [f"{name}: {compact(count)} ({percent(count / total)})" for name, count in named[:_CLASSES_SHOWN]]
        said = " · ".join(shown)
        if len(named) > _CLASSES_SHOWN:
            said += f" · {len(named) - _CLASSES_SHOWN} more"
    missing = column.get("missing")
    return {
        "name": str(column.get("name")),
        "role": role,
        "kind": str(column.get("kind") or ""),
        "missing": percent(missing) if missing else "0",
        "classes": said,
        "numbers": alike([column.get(k) for k in ("mean", "std", "min", "max")]),
    }


def events(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Return (time since the run began, name, message) of each event."""
    began = _moment(next((line.get("time") for line in lines), None))
    found = []
    for line in lines:
        if line.get("kind") == "event":
            now = _moment(line.get("time"))
            since = seconds((now - began).total_seconds()) if now and began else ABSENT
            found.append((since, words(line.get("name")), str(line.get("message") or "")))
    return found


def _moment(text: Any) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None


def settings(lines: Sequence[Line], config: Line) -> dict[str, list[tuple[str, str]]]:
    """Return the environment, the model and every option as (name, value)."""
    run, model = last(lines, "run"), last(lines, "model")
    options = run.get("options") or config.get("options") or config
    environment = [("liquidtorch", str(run.get("version") or ABSENT)), ("seed", _value(run.get("seed")))]
    environment += [(key, _value(value)) for key, value in (run.get("environment") or {}).items()]
    network = [(words(k), _value(v)) for k, v in model.items() if k not in ("kind", "time", "tau", "wiring")]
    return {"Environment": environment, "Network": network, "Options": _flat(options)}


def _flat(options: Line, prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in options.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", _value(value)))
    return found


def _value(value: Any) -> str:
    if value is None or value == []:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 6)
    text = ", ".join(_value(v) for v in value) if isinstance(value, list) else str(value)
    return text if len(text) <= 160 else text[:159] + "…"
