"""Predictions as a table beside the series and time columns they are about."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import polars as pl

from ..data import Sequences, from_table
from ..errors import OptionError
from ..files import write_atomic
from ..model import LiquidNetwork, load
from ..task import Task
from ..train import Prediction, predict
from .folder import find_table

SUFFIXES = (".csv", ".parquet", ".jsonl")


def write(run: Path, table: str, out: str | Any) -> int:
    """Predict for a table and write; returns the rows written."""
    if str(out) != "-":
        check_suffix(Path(out))
    network: LiquidNetwork = load(run / "model" if (run / "model").is_dir() else run)
    task = network.task
    assert task is not None  # a network made for data has one
    frame = find_table(table).read()
    seqs = from_table(frame, target=(), like=network.schema)
    found = answered(frame, seqs, task, predict(network, seqs, task))
    if str(out) == "-":
        sys.stdout.write(found.write_csv())
    else:
        save(found, Path(out))
    return found.height


def check_suffix(out: Path) -> None:
    """Raise `OptionError` unless predictions can be written to such a file."""
    if out.suffix.lower() not in SUFFIXES:
        raise OptionError(f"`out` must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; got {str(out)!r}.")


def save(frame: pl.DataFrame, out: Path) -> None:
    """Write a table in the format its suffix says, whole or not at all."""
    beside = io.BytesIO()
    if out.suffix.lower() == ".parquet":
        frame.write_parquet(beside)
    elif out.suffix.lower() == ".jsonl":
        frame.write_ndjson(beside)
    else:
        frame.write_csv(beside)
    write_atomic(out, beside.getvalue())


def answered(frame: pl.DataFrame, seqs: Sequences, task: Task, prediction: Prediction) -> pl.DataFrame:
    """Return the predictions beside the series and time columns of `frame`, in the order of its rows.

    A line for each row of `seqs`, or for each series where the answer is about the whole of it.
    """
    keys = [seqs.series_name] if task.level == "series" else [seqs.series_name, seqs.time_name]
    rows = seqs.source[seqs.offsets[:-1]] if task.level == "series" else seqs.source
    found = frame[rows].select([k for k in keys if k is not None])
    columns = _classes(task, prediction) if task.classifies else _numbers(task, prediction)
    clash = [name for name in columns if name in found.columns]
    if clash:
        raise OptionError(f"`{clash[0]}` must not be a column of the table; predictions are written under that name.")
    answers = (pl.Series(name, values) for name, values in columns.items())
    found = pl.DataFrame([*found.get_columns(), *answers])  # there may be no key, and then `found` has no rows
    return found.with_columns(pl.Series("", rows)).sort("").drop("") if task.level == "step" else found


def _classes(task: Task, prediction: Prediction) -> dict[str, Any]:
    columns, first = {}, 0
    chances = prediction.probabilities
    for j, (target, classes) in enumerate(zip(task.targets, task.classes, strict=True)):
        own = f"_{target}" if len(task.targets) > 1 else ""
        columns[f"prediction{own}"] = [classes[int(k)] for k in prediction.values[:, j]]
        for k, value in enumerate(classes):
            if chances is not None:
                columns[f"p{own}_{value}"] = chances[:, first + k]
        first += len(classes)
    return columns


def _numbers(task: Task, prediction: Prediction) -> dict[str, Any]:
    columns = {}
    for h in range(task.horizon):
        for j, target in enumerate(task.targets):
            own = f"_{target}" if len(task.targets) > 1 or task.horizon > 1 else ""
            own += f"_h{h + 1}" if task.horizon > 1 else ""
            at = (slice(None), h, j) if task.kind == "forecast" else (slice(None), j)
            columns[f"prediction{own}"] = prediction.values[at]
            for q, level in enumerate(task.quantiles):
                if prediction.quantiles is not None:
                    columns[f"q{100 * level:.6g}{own}"] = prediction.quantiles[(*at, q)]
    return columns
