"""What passes between a source, the service and a sink, and what these two promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ..errors import DataError


class Rejected(DataError):
    """A record that cannot be used; its text is the reason that goes into the dead letters."""


class Message(NamedTuple):
    """One record as it came: its text, where it stood, and its fields, or why it has none."""

    raw: bytes
    place: str
    fields: Mapping[str, Any] | None = None
    fault: str = ""


class Source(Protocol):
    """Where records come from.

    `name` tells it from other sources in a checkpoint. `ended`: no record will come any more. `hungry`: none will come
    before those handed out are settled.
    """

    name: str
    ended: bool

    @property
    def hungry(self) -> bool: ...

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Begin, or go on from what `position` returned when the checkpoint was made."""
        ...

    def read(self, timeout: float) -> Message | None:
        """Return the next record, or None where none came within `timeout` seconds, or all have come."""
        ...

    def position(self) -> dict[str, Any]:
        """Return, as plain JSON, where the record after the last one handed out stands."""
        ...

    def settled(self) -> None:
        """Hear that a checkpoint holds every record handed out."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class Sink(Protocol):
    """Where predictions go; `name` tells it from other sinks in a checkpoint."""

    name: str

    def open(self, position: Mapping[str, Any] | None) -> None:
        """Begin, or go on after what stood there when the checkpoint was made."""
        ...

    def put(self, row: Mapping[str, Any]) -> None:
        """Hand over one prediction; raises BrokenPipeError where nobody reads any more."""
        ...

    def settle(self, patience: Callable[[], bool]) -> bool:
        """Wait until all that was put has arrived, as long as `patience()`; return whether it has."""
        ...

    def position(self) -> dict[str, Any]:
        """Return, as plain JSON, what `open` needs to go on from here."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def short(value: object) -> str:
    """Return a value as it is told of in a reason."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
