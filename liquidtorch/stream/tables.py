"""A table on disk as a source: delimited text with a header, or JSON lines; read a record at a time, by byte offset."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..data.read import DELIMITED, separator, sibling
from ..errors import DataError
from .fields import Unfinished, from_json, from_row
from .message import Message, Rejected

LINES = (".jsonl", ".ndjson")
HEAD = 65536  # bytes at a file's beginning by which it is recognised
MOST_LINES = 64  # of one row with line breaks in quotes


class Table:
    """Read a file from its first record, or from where a checkpoint left it.

    Parameters
    ----------
    path : str
        A .csv, .tsv, .txt, .jsonl or .ndjson file.
    needed : sequence of str
        The columns a delimited table must have.
    largest : int
        Most bytes of a record.

    Raises
    ------
    DataError
        Where it cannot be read, is empty, lacks a column, or is not the file the checkpoint knows.
    """

    hungry = False

    def __init__(self, path: str, needed: Sequence[str], largest: int) -> None:
        self._path, self._needed, self._largest = Path(path), needed, largest
        self.name = str(self._path.resolve())
        self.ended = False
        self._offset = self._rows = 0
        self._header: list[str] | None = None
        self._separator = ","
        self._file: BinaryIO = io.BytesIO()
        self._check()

    def _check(self) -> None:
        path, suffix = self._path, self._path.suffix.lower()
        if not path.exists():
            raise DataError(f"`{path}` must be a table; there is no such file.{sibling(path)}")
        if not path.is_file():
            raise DataError(f"`{path}` must be a table; it is a folder or a device.")
        if suffix not in DELIMITED + LINES:
            raise DataError(
                f"`{path}` must end in one of {' '.join(DELIMITED + LINES)} to be streamed; "
                f"got {suffix or 'no suffix'}."
            )
        if path.stat().st_size == 0:
            raise DataError(f"`{path}` must be a table; it is empty (0 bytes).")

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Read the header and go to the first record that has not been read."""
        try:
            self._file = open(self._path, "rb")  # noqa: SIM115
        except OSError as e:
            raise DataError(f"`{self._path}` must be a table; it cannot be read ({e.strerror}).") from e
        if self._path.suffix.lower() in DELIMITED:
            self._header = self._read_header()
        if position is not None:
            size, known = position["offset"], position["head"]
            if self._fingerprint(min(size, HEAD)) != known or self._path.stat().st_size < size:
                raise DataError(
                    f"`{self._path}` must be the file it was when {position['rows']} rows of it had been read; it has "
                    "changed. Give a new file a name of its own, or start anew with --fresh."
                )
            self._offset, self._rows = size, position["rows"]
        self._file.seek(self._offset)
        if position is None and not self._file.peek(1):  # type: ignore[attr-defined]
            raise DataError(f"`{self._path}` must have at least one row; it has only a header.")

    def _read_header(self) -> list[str]:
        raw = self._file.readline(self._largest)
        self._offset = len(raw)
        if b"\0" in raw:
            raise DataError(f"`{self._path}` must be a table; it is binary, not text (a zero byte in its header).")
        raw = raw.removeprefix(b"\xef\xbb\xbf")
        tabbed = self._path.suffix.lower() == ".tsv"
        try:
            text = raw.decode("utf-8")
            self._separator = "\t" if tabbed else separator(text)
            names = [name.strip() for name in next(csv.reader([text], delimiter=self._separator, strict=True), [])]
        except (UnicodeDecodeError, csv.Error) as e:
            raise DataError(f"`{self._path}` must begin with a header in UTF-8; it does not ({e}).") from None
        twice = [n for n, k in Counter(names).items() if k > 1]
        if twice:
            raise DataError(
                f"`{self._path}` must have a name of its own for every column; {twice[0]!r} is there twice."
            )
        for name in self._needed:
            if name not in names:
                listed = ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")
                raise DataError(f"`{name}` must be a column of the table; {self._path} has {listed}.")
        return names

    def read(self, timeout: float) -> Message | None:
        """Return the next record; a file never keeps anybody waiting."""
        raw = b"\n"
        while not raw.strip():  # an empty line is no record
            raw, whole = self._line()
            if not raw:
                self.ended = True
                return None
        self._rows += 1
        place = f"{self._path.name}, row {self._rows}"
        if not whole:
            return Message(raw, place, fault=f"a record must be at most {self._largest} bytes long; this one is longer")
        try:
            fields, raw = (from_json(raw), raw) if self._header is None else self._row(raw, self._header)
        except Rejected as e:
            return Message(raw, place, fault=str(e))
        return Message(raw, place, fields)

    def _row(self, raw: bytes, header: Sequence[str]) -> tuple[Mapping[str, str], bytes]:
        """Read a row, with the lines after it where a quoted field goes on there.

        Where the quote never ends it was a stray one, and only its own line is lost.
        """
        after = self._offset
        for _ in range(MOST_LINES):
            try:
                return from_row(raw.rstrip(b"\r\n"), header, self._separator), raw
            except Unfinished:
                line, whole = self._line()
                if not line or not whole or len(raw) + len(line) > self._largest:
                    break
                raw += line
        self._offset = after
        self._file.seek(after)
        raise Rejected("a quoted field must end; this one does not")

    def _line(self) -> tuple[bytes, bool]:
        """Return the next line with its end, or the beginning of one that is too long; and whether it is whole."""
        raw = self._file.readline(self._largest + 1)
        self._offset += len(raw)
        if len(raw) <= self._largest:
            return raw, True
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = self._file.readline(HEAD)
            self._offset += len(rest)
        return raw, False

    def position(self) -> dict[str, Any]:
        """Return the byte and the row after the last record handed out, and what the file begins with."""
        return {"offset": self._offset, "rows": self._rows, "head": self._fingerprint(min(self._offset, HEAD))}

    def _fingerprint(self, size: int) -> str:
        with open(self._path, "rb") as f:
            return hashlib.sha256(f.read(size)).hexdigest()

    def settled(self) -> None:
        """Do nothing: a file keeps its records."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
