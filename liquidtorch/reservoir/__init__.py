"""Fixed random reservoirs: LiquidState, and what brings one to life."""

from __future__ import annotations

from .calibrate_spiking import Activity, activity, calibrate
from .spiking import LiquidState

__all__ = ["Activity", "LiquidState", "activity", "calibrate"]
