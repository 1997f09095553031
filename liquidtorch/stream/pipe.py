"""JSON lines on standard input as a source: whoever writes them need not hurry, and may stop."""

from __future__ import annotations

import os
import select
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

from ..errors import DataError
from .fields import from_json
from .message import Message, Rejected

CHUNK = 65536


class Pipe:
    """Read JSON lines from a file descriptor.

    Parameters
    ----------
    largest : int
        Most bytes of a record.
    descriptor : int or None
        Where they come from; None: standard input.

    Notes
    -----
    What has been read cannot be read again: records between the last checkpoint and a kill are lost unless the sender
    sends them anew. Those it sends twice are recognised by series and time.
    """

    name = "-"
    hungry = False

    def __init__(self, largest: int, descriptor: int | None = None) -> None:
        self._largest = largest
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self.ended = False
        self._lines: deque[tuple[bytes, bool]] = deque()
        self._rest = b""
        self._cut = False  # whether the line being read is too long, and its beginning has been handed out
        self._count = self._before = 0

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Begin with the first line that comes; lines of earlier processes count on."""
        self._before = 0 if position is None else position["lines"]

    def read(self, timeout: float) -> Message | None:
        """Return the next record, or None where none came in time, or standard input has ended."""
        while not self._lines and not self.ended:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                return None
            self._take(os.read(self._descriptor, CHUNK))
        if not self._lines:
            if not self._count:
                raise DataError("`-` must bring at least one record; standard input ended without one.")
            return None
        raw, whole = self._lines.popleft()
        self._count += 1
        place = f"standard input, line {self._count}"
        if not whole:
            return Message(raw, place, fault=f"a record must be at most {self._largest} bytes long; this one is longer")
        try:
            return Message(raw, place, from_json(raw))
        except Rejected as e:
            return Message(raw, place, fault=str(e))

    def _take(self, chunk: bytes) -> None:
        """Cut what came into lines; of one that is too long only the beginning is kept."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        if not chunk:
            self.ended, lines, rest = True, [rest], b""
        for line in lines:
            if line.strip() and not self._cut:
                self._lines.append((line[: self._largest + 1], len(line) <= self._largest))
            self._cut = False
        if len(rest) > self._largest:
            if not self._cut:
                self._lines.append((rest[: self._largest + 1], False))
            self._cut, rest = True, b""
        self._rest = rest

    def position(self) -> dict[str, Any]:
        """Return how many lines have come, those of earlier processes among them."""
        return {"lines": self._before + self._count}

    def settled(self) -> None:
        """Do nothing: what was read from a pipe is gone from it."""

    def close(self) -> None:
        """Do nothing: standard input is not ours."""
