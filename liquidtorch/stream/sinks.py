"""Predictions as rows of a CSV table or as JSON lines, in a file or on standard output."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DataError, OptionError

SUFFIXES = (".csv", ".jsonl", ".ndjson")


def as_json(row: Mapping[str, Any]) -> bytes:
    """Return one prediction as a line of JSON; a number that is none becomes null."""
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    return json.dumps(plain, ensure_ascii=False).encode() + b"\n"


def as_csv(values: Sequence[Any]) -> bytes:
    """Return values as a line of CSV; a number that is none becomes nothing."""
    text = io.StringIO()
    plain = ["" if isinstance(v, float) and not math.isfinite(v) else v for v in values]
    csv.writer(text, lineterminator="\n").writerow(plain)
    return text.getvalue().encode()


class Printed:
    """Write predictions to standard output, each at once.

    Parameters
    ----------
    columns : sequence of str or None
        The header of CSV; None: JSON lines.
    """

    name = "-"

    def __init__(self, columns: Sequence[str] | None) -> None:
        self._columns = columns
        self._out: BinaryIO = sys.stdout.buffer

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Write the header of CSV."""
        if self._columns is not None:
            self._out.write(as_csv(self._columns))
            self._out.flush()

    def put(self, row: Mapping[str, Any]) -> None:
        """Write one prediction."""
        self._out.write(as_json(row) if self._columns is None else as_csv(list(row.values())))
        self._out.flush()

    def settle(self, patience: Callable[[], bool]) -> bool:
        """Return True: what was put is out."""
        return True

    def position(self) -> dict[str, Any]:
        """Return nothing: what was printed cannot be taken back."""
        return {}

    def close(self) -> None:
        """Leave standard output such that closing it later says nothing, even where nobody reads any more."""
        try:
            self._out.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)


class Written:
    """Write predictions to a file, each once: after a kill it is cut back to the checkpoint.

    Parameters
    ----------
    path : str
        A .csv, .jsonl or .ndjson file.
    columns : sequence of str
        The header of CSV.

    Raises
    ------
    OptionError, DataError
        Where the file cannot be this stream's.
    """

    def __init__(self, path: str, columns: Sequence[str]) -> None:
        self._path, suffix = Path(path), Path(path).suffix.lower()
        self.name = str(self._path.resolve())
        if suffix not in SUFFIXES:
            raise OptionError(f"`out` must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, or be -; got {path!r}.")
        self._columns = columns if suffix == ".csv" else None
        self._file: BinaryIO | None = None

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Make the file, or cut back to the checkpoint the one that this stream was writing."""
        if self._path.exists() and position is None:
            raise OptionError(
                f"`out` must be a new file, or the one this stream was writing; got {str(self._path)!r}, which exists. "
                "Choose another name."
            )
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "ab")  # noqa: SIM115
        except OSError as e:
            raise DataError(f"`{self._path}` must be in a folder that can be written; {e.strerror}.") from e
        if position is not None and self._file.tell() > position["size"]:
            self._file.truncate(position["size"])
        if not self._file.tell() and self._columns is not None:
            self._file.write(as_csv(self._columns))

    def put(self, row: Mapping[str, Any]) -> None:
        """Write one prediction."""
        assert self._file is not None
        self._file.write(as_json(row) if self._columns is None else as_csv(list(row.values())))

    def settle(self, patience: Callable[[], bool]) -> bool:
        """Make sure that all is on the disk."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        return True

    def position(self) -> dict[str, Any]:
        """Return the file's size."""
        assert self._file is not None
        return {"size": self._file.tell()}

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
