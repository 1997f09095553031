"""The run log: one JSON object a line, appended as things happen, readable while the run goes on."""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import FormatError

SCHEMA = 1  # raised when an old reader would misread a new line


class Record:
    """Append lines to a run's `record.jsonl`.

    Parameters
    ----------
    path : path
        The file; made when the first line is written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "record.jsonl"
    >>> Record(path).write("epoch", epoch=1, train_loss=0.5)
    >>> read(path)[0]["train_loss"]
    0.5
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def write(self, kind: str, **fields: Any) -> None:
        """Append one line of `kind`; numbers that are not finite become null."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"kind": kind, "time": now, **_plain(fields)}, allow_nan=False)
        torn = b"\n" if _torn(self.path) else b""  # a line cut off by a kill ends here, or it would swallow this one
        with open(self.path, "ab") as f:
            f.write(torn + line.encode() + b"\n")
            f.flush()
            os.fsync(f.fileno())


def _torn(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with open(path, "rb") as f:
        f.seek(-1, os.SEEK_END)
        return f.read(1) != b"\n"


def _plain(value: Any) -> Any:
    """Make numpy numbers, arrays and tensors (anything with `tolist`) plain JSON values."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read a record; a line cut off by a kill is passed over, a newer schema is refused."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise FormatError(f"`{path}` must be a run's record; it cannot be read ({e.strerror}).") from e
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    for entry in found:
        if entry.get("schema", SCHEMA) > SCHEMA:
            raise FormatError(
                f"`{path}` must be of schema {SCHEMA} or older; got {entry['schema']}. Install a newer liquidtorch."
            )
    return found
