"""Files that are whole or absent: written beside, synced, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DataError, FormatError


def write_atomic(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part."""
    path = Path(path)
    raw = data.encode() if isinstance(data, str) else data
    handle, beside = _temporary(path)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(raw)
            f.flush()
            os.fsync(f.fileno())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> tuple[int, str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as e:
        raise DataError(f"`{path}` must be in a folder that can be written; {e.strerror}.") from e
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(beside, 0o666 & ~mask)  # mkstemp makes private files; a run folder is not a secret
    return handle, beside


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path`, on failure it vanishes."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as e:
        raise DataError(f"`{path}` must be in a folder that can be written; {e.strerror}.") from e
    try:
        os.chmod(beside, 0o755)
        yield beside
        old = None
        if path.exists():  # a folder cannot be renamed onto a full one
            old = beside.with_name(beside.name + ".old")
            os.rename(path, old)
        os.rename(beside, path)
        if old is not None:
            shutil.rmtree(old)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def read_json(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Read a JSON object, or raise `FormatError` naming `what` it should have been."""
    path = Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(f"`{path.parent}` must be {what}; it has no {path.name}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as e:
        raise FormatError(f"`{path}` must be {what}; it cannot be read ({e}).") from e
    if not isinstance(found, dict):
        raise FormatError(f"`{path}` must be {what}; it holds a {type(found).__name__}.")
    return found
