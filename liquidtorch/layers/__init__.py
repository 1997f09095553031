"""Everything that runs over time: Recurrent, MixedMemory, Stack, Bidirectional."""

from __future__ import annotations

from .compose import Bidirectional, Stack, build
from .door import Layer
from .recurrent import MixedMemory, Recurrent

__all__ = ["Bidirectional", "Layer", "MixedMemory", "Recurrent", "Stack", "build"]
