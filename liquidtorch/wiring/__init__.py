"""Which unit feels which: wirings, their generators and their picture."""

from __future__ import annotations

from .generate import auto_ncp, full, make, ncp, random, small_world
from .wiring import Wiring

__all__ = ["Wiring", "auto_ncp", "full", "make", "ncp", "random", "small_world"]
