"""Which unit feels which: wirings, their generators and their picture."""

from __future__ import annotations

from .generate import full, random, small_world
from .named import make
from .policy import auto_ncp, ncp
from .wiring import Wiring

__all__ = ["Wiring", "auto_ncp", "full", "make", "ncp", "random", "small_world"]
