"""Fixed random recurrent networks: their matrices, their layers, and what sets their gains."""

from __future__ import annotations

from .calibrate_echo import Calibration, calibrate_echo
from .calibrate_spiking import Activity, activity, calibrate_spiking
from .echo import Echo, EchoState
from .encoded import Encoded, substeps
from .fitted import CODES, KINDS, code_for, reservoir_for
from .matrix import Matrix, matrix
from .radius import Radius, radius
from .spiking import LiquidState

__all__ = [
    "CODES", "KINDS", "Activity", "Calibration", "Echo", "EchoState", "Encoded", "LiquidState", "Matrix", "Radius",
    "activity", "calibrate_echo", "calibrate_spiking", "code_for", "matrix", "radius", "reservoir_for",
    "substeps",
]  # fmt: skip
