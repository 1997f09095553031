"""The main job: a table becomes a trained network, its scores beside baselines, a report; and a run predicts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .options import Options, resolve

__all__ = ["Options", "fit", "inspect", "predict", "resolve", "resume"]


def fit(options: Options, *, progress: bool = False) -> dict[str, Any]:
    """Fit a liquid network to a table and score it beside baselines on the same split.

    Parameters
    ----------
    options : Options
        What to learn from which table, and how.
    progress : bool
        Say decisions and progress on standard error.

    Returns
    -------
    dict
        `task`, `metric`, `score`, `baselines` (name to score), `run` (the folder), `verdict`, `scores`.

    Raises
    ------
    DataError, OptionError
        If the table cannot be read or contradicts the options, or `options.out` exists; nothing is written then.
    KeyboardInterrupt
        After Ctrl-C; the folder can be resumed.
    """
    from .job import start  # torch is not loaded until something is fitted

    return start(options, progress=progress)


def resume(
    out: str | os.PathLike[str], given: dict[str, Any] | None = None, *, progress: bool = False
) -> dict[str, Any]:
    """Continue the interrupted run in `out` and end as if it had never been interrupted.

    Parameters
    ----------
    out : path
        The run's folder.
    given : dict or None
        Options said again; those that differ from the run's are refused.
    progress : bool
        Say decisions and progress on standard error.

    Raises
    ------
    FormatError
        If `out` is not a run.
    OptionError, DataError
        If an option differs from the run's, or the table has changed since.
    """
    from .job import proceed

    return proceed(Path(out), given or {}, progress=progress)


def predict(run: str | os.PathLike[str], table: str, out: str | os.PathLike[str]) -> int:
    """Write a run's predictions for a table and return the number of rows written.

    Parameters
    ----------
    run : path
        Folder of a run, or of a saved model.
    table : str
        A table with the columns the network reads, or `@name` of a bundled one.
    out : path
        A `.csv`, `.parquet` or `.jsonl` file, written whole or not at all; `-` writes CSV to standard output.

    Raises
    ------
    FormatError
        If `run` holds no model that this version can read.
    DataError
        If the table does not fit the model.
    """
    from .answers import write

    return write(Path(run), table, out)


def inspect(run: str | os.PathLike[str], table: str | None = None) -> dict[str, Any]:
    """Measure a run's body under its own data: echo, memory, ranks, spikes (`diagnose.inspect`).

    Parameters
    ----------
    run : path
        Folder of a run, or of a saved model.
    table : str or None
        What drives it; a run's own table if left out. Up to 16 series, and 400 rows of each, are looked at.

    Raises
    ------
    FormatError
        If `run` holds no model that this version can read.
    DataError
        If the table does not fit the model.
    """
    from .inspection import measure

    return measure(Path(run), table)
