"""Fixed random reservoirs: LiquidState, and what brings one to life."""

from __future__ import annotations

from .spiking import LiquidState

__all__ = ["LiquidState"]
