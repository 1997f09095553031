"""Dead letters: records that cannot be used are set aside with their reason, and the stream goes on."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

from .message import Message

KEPT = 2000  # bytes of a record's text
LARGEST = 10 * 2**20  # bytes of the file; what comes after is only counted, until somebody moves the file away


class DeadLetters:
    """Append rejected records to a JSON lines file of bounded size.

    Parameters
    ----------
    path : path
        The file; made when something is put aside.
    largest : int
        Its most bytes.

    Examples
    --------
    >>> import tempfile
    >>> dead = DeadLetters(Path(tempfile.mkdtemp()) / "dead.jsonl")
    >>> dead.put(Message(b"{x", "line 3"), "not JSON")
    True
    >>> json.loads(dead.path.read_text())["place"]
    'line 3'
    """

    def __init__(self, path: Path, *, largest: int = LARGEST) -> None:
        self.path, self.largest = path, largest

    def put(self, message: Message, reason: str) -> bool:
        """Append one record; return False where the file is full."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        text = message.raw[:KEPT].decode("utf-8", errors="backslashreplace")
        entry = {"time": now, "place": message.place, "reason": reason, "bytes": len(message.raw), "text": text}
        line = json.dumps(entry).encode() + b"\n"
        with open(self.path, "ab") as f:
            if f.tell() + len(line) > self.largest:
                return False
            f.write(line)
        return True

    def settle(self) -> int:
        """Make sure of what was put aside; return the size of the file."""
        if not self.path.exists():
            return 0
        with open(self.path, "ab") as f:
            os.fsync(f.fileno())
            return f.tell()

    def shorten(self, size: int) -> None:
        """Forget what was put aside after a checkpoint: those records come again."""
        if self.path.exists() and self.path.stat().st_size > size:
            os.truncate(self.path, size)
