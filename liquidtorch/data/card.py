"""The data card: what is in the sequences, in numbers small enough for a record's line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .sequences import Feature, Sequences

BINS = 30  # bars of the dt histogram


def card(seqs: Sequences) -> dict[str, Any]:
    """Return the data card of `seqs` as plain JSON (section 14 of the design says its shape)."""
    lengths = seqs.lengths
    target = seqs.target if seqs.target is not None else np.empty((0, 0))
    return {
        "series": len(seqs),
        "rows": seqs.rows,
        "unit": seqs.unit,
        "time": seqs.time_name,
        "level": seqs.level,
        "lengths": {"min": int(lengths.min()), "median": float(np.median(lengths)), "max": int(lengths.max())},
        "dt": _dt(seqs),
        "features": [_column(f, seqs.values[:, j]) for j, f in enumerate(seqs.features)],
        "targets": [_column(f, target[:, j]) for j, f in enumerate(seqs.targets)] if target.size else [],
    }


def _dt(seqs: Sequences) -> dict[str, Any]:
    inner = np.ones(seqs.rows, bool)
    inner[seqs.offsets[:-1]] = False
    dt = seqs.dt[inner] if inner.any() else seqs.dt
    low, high = float(dt.min()), float(dt.max())
    if high - low <= 1e-9 * high:
        edges = np.array([low, high if high > low else low * (1 + 1e-9)])
    elif high > 50 * low:  # gaps of many sizes: only a logarithmic axis shows them all
        edges = np.geomspace(low, high, BINS + 1)
    else:
        edges = np.linspace(low, high, BINS + 1)
    counts, edges = np.histogram(dt, edges)
    return {
        "min": low,
        "median": float(np.median(dt)),
        "max": high,
        "counts": counts.tolist(),
        "edges": edges.tolist(),
    }


def _column(feature: Feature, column: np.ndarray) -> dict[str, Any]:
    about: dict[str, Any] = {"name": feature.name, "kind": feature.kind, "missing": float(np.isnan(column).mean())}
    seen = column[~np.isnan(column)]
    if feature.kind == "category":
        counts = np.bincount(seen.astype(np.int64), minlength=len(feature.vocabulary))
        return about | {"classes": list(feature.vocabulary), "counts": counts.tolist()}
    if not len(seen):
        return about | {"mean": None, "std": None, "min": None, "max": None}
    with np.errstate(over="ignore"):  # a column near the largest float has an infinite std, and may
        return about | {
            "mean": float(seen.mean()),
            "std": float(seen.std()),
            "min": float(seen.min()),
            "max": float(seen.max()),
        }
