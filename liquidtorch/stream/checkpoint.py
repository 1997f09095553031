"""Checkpoints of a stream: each a folder that is whole or absent, the newest of which is taken up again."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import DataError, FormatError, StateError
from ..files import atomic_folder, read_json, write_atomic

SCHEMA = 1  # raised when an older reader would misread a newer checkpoint
KEPT = 2  # the last one, and the one before


class Checkpoints:
    """Write and find the checkpoints in a folder.

    Parameters
    ----------
    folder : path
        `RUN/stream`.

    Examples
    --------
    >>> import tempfile
    >>> checkpoints = Checkpoints(Path(tempfile.mkdtemp()))
    >>> checkpoints.write({"records": 3}, lambda folder: None)
    >>> checkpoints.newest()[1]["records"]
    3
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """Return the folder of the newest checkpoint and its state, or None."""
        every = self._every()
        if not every:
            return None
        state = read_json(every[-1] / "state.json", "a stream's checkpoint")
        if state.get("schema", 0) > SCHEMA:
            raise FormatError(
                f"`{every[-1]}` must be a checkpoint of schema {SCHEMA} or older; got {state['schema']}. "
                "Install a newer liquidtorch."
            )
        return every[-1], state

    def write(self, state: Mapping[str, Any], save: Callable[[Path], object]) -> None:
        """Write a checkpoint: `save` puts the model into a folder, `state` is JSON, NaN allowed."""
        every = self._every()
        number = _number(every[-1]) + 1 if every else 1
        found = {"schema": SCHEMA, "version": __version__, **state}
        try:
            with atomic_folder(self.folder / f"checkpoint-{number:08d}") as beside:
                save(beside / "model")
                write_atomic(beside / "state.json", json.dumps(found) + "\n")
            _sync(self.folder)
        except OSError as e:
            raise DataError(f"`{self.folder}` must hold the checkpoints; they cannot be written ({e.strerror}).") from e
        for old in every[: len(every) + 1 - KEPT]:
            shutil.rmtree(old)

    def clear(self) -> None:
        """Remove all checkpoints."""
        for old in self._every():
            shutil.rmtree(old)

    def sweep(self) -> None:
        """Remove what a kill in the middle of a checkpoint left behind."""
        for torn in self.folder.glob(".checkpoint-*"):
            shutil.rmtree(torn)

    def _every(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*"), key=_number)


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))


def _sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a run's stream for this process; the system lets go of it even after a kill."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a")  # noqa: SIM115
    except OSError as e:
        raise DataError(f"`{folder}` must be in a folder that can be written; {e.strerror}.") from e
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"`run` must be streamed by one process at a time; {folder.parent} is by another now. Stop that one."
            ) from None
        yield
