"""Files become polars frames: the suffix says the format, and every column of text that is numbers becomes numbers."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import polars as pl

from ..errors import DataError, nearest

MISSING = ("", "NA", "NaN", "nan", "null", "NULL", "?")  # the spellings of a missing value
DELIMITED = (".csv", ".tsv", ".txt")
OTHERS = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".feather", ".ipc")
PACKED = (".gz", ".zst")  # what polars unpacks by itself, for text
SEPARATORS = (",", ";", "\t", "|")


def read_table(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a table from a file.

    Parameters
    ----------
    path : path
        A file ending in .csv, .tsv, .txt (each also .gz or .zst), .jsonl, .ndjson, .json, .parquet, .arrow,
        .feather or .ipc. Text tables have a header line; the separator of .csv and .txt is the one of comma,
        semicolon, tab and bar that the header has most of.

    Returns
    -------
    polars.DataFrame
        Columns of text that hold only numbers, or only true and false, have that type; "", NA, NaN, nan, null,
        NULL and ? are missing. Numbers with leading zeros stay text (they are names).

    Raises
    ------
    DataError
        When there is no such file, or it holds no table of at least one row.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.csv"
    >>> _ = path.write_text("name,t,x\\n007,0,1.5\\n008,1,?\\n")
    >>> read_table(path).schema.to_python()
    {'name': <class 'str'>, 't': <class 'int'>, 'x': <class 'float'>}
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"`{path}` must be a table; there is no such file.{sibling(path)}")
    if path.is_dir():
        raise DataError(f"`{path}` must be a table; it is a folder.")
    suffixes = [s.lower() for s in path.suffixes]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in PACKED and len(suffixes) > 1:
        suffix = suffixes[-2] if suffixes[-2] in DELIMITED else suffix
    if suffix not in DELIMITED + OTHERS:
        raise DataError(
            f"`{path}` must end in one of {' '.join(DELIMITED + OTHERS)} (the text tables also in .gz or .zst after "
            f"it); got {suffix or 'no suffix'}."
        )
    if path.stat().st_size == 0:
        raise DataError(f"`{path}` must be a table; it is empty (0 bytes).")
    try:
        frame = _delimited(path, suffix) if suffix in DELIMITED else _other(path, suffix)
    except (pl.exceptions.PolarsError, OSError, ValueError, pl.exceptions.PanicException) as e:
        if isinstance(e, DataError):
            raise
        why = _uneven(path) if "more fields" in str(e) else _first_line(e)
        way = " Save it as UTF-8." if "utf-8" in why.lower() else ""
        raise DataError(f"`{path}` must be a table; it cannot be read as {suffix} ({why}).{way}") from e
    if not frame.width:
        raise DataError(f"`{path}` must be a table; it has no columns.")
    if not frame.height:
        raise DataError(f"`{path}` must have at least one row; it has only a header.")
    return frame


def sibling(path: Path) -> str:
    """Return ``" Did you mean 'x'?"`` for the file beside a missing one that is called most like it."""
    return nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def _uneven(path: Path) -> str:
    """Name the first row that has more fields than the header; looked for only when the fast reader gave up."""
    if path.suffix.lower() not in PACKED:
        with path.open(newline="", encoding="utf-8-sig") as f:
            cut = "\t" if path.suffix.lower() == ".tsv" else separator(f.readline())
            f.seek(0)
            rows = csv.reader(f, delimiter=cut)
            width = len(next(rows))
            for number, row in enumerate(rows, 1):
                if len(row) > width:
                    return f"row {number} has {len(row)} fields, the header {width}"
    return "a row has more fields than the header"


def separator(header: str) -> str:
    """Return the separator that a header has most of."""
    count = Counter(header)
    return max(SEPARATORS, key=lambda s: count[s])


def _delimited(path: Path, suffix: str) -> pl.DataFrame:
    with path.open("rb") as f:
        start = f.read(4096)
    packed = start[:2] == b"\x1f\x8b" or start[:4] == b"\x28\xb5\x2f\xfd"
    if not packed and b"\0" in start:
        raise DataError(f"`{path}` must be a table; it is binary, not text (a zero byte in its first 4096).")
    cut = "\t" if suffix == ".tsv" else None
    if cut is None:
        line = pl.read_csv(path, has_header=False, n_rows=1, separator="\x01", quote_char=None, infer_schema=False)
        cut = separator(line.item(0, 0) or "")
    header = pl.read_csv(path, has_header=False, n_rows=1, separator=cut, infer_schema=False).row(0)
    names = [(n or "").strip() for n in header]
    twice = [n for n, k in Counter(names).items() if k > 1]
    if twice:
        raise DataError(
            f"`{path}` must have a name of its own for every column; {twice[0]!r} is there twice. "
            "Rename one, or write the names of the columns above a first line that holds data."
        )
    frame = pl.read_csv(path, separator=cut, infer_schema=False, null_values=list(MISSING))
    frame.columns = names
    return frame.with_columns(typed(frame[n]) for n in frame.columns)


def _other(path: Path, suffix: str) -> pl.DataFrame:
    if suffix in (".jsonl", ".ndjson"):
        return pl.read_ndjson(path, infer_schema_length=None)
    if suffix == ".json":
        return pl.read_json(path, infer_schema_length=None)
    if suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_ipc(path)


def typed(column: pl.Series) -> pl.Series:
    """Return a column of text as numbers or booleans if that is all it holds; missing spellings become null."""
    if column.dtype != pl.String:
        return column
    text = column.str.strip_chars()
    text = text.set(text.is_in(MISSING), None)
    seen = text.drop_nulls()
    if not len(seen) or seen.str.contains(r"^[+-]?0\d").any():
        return text
    if seen.str.contains(r"^(?i)(true|false)$").all():
        return text.str.to_lowercase() == "true"
    for kind in (pl.Int64, pl.Float64):
        number = text.cast(kind, strict=False)
        if number.null_count() == text.null_count():
            return number
    return text
