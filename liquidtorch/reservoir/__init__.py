"""Fixed random recurrent networks: their matrices, their layers, and what sets their gains."""

from __future__ import annotations

from .calibrate_echo import Calibration, calibrate_echo
from .echo import Echo, EchoState
from .matrix import Matrix, matrix
from .radius import Radius, radius

__all__ = ["Calibration", "Echo", "EchoState", "Matrix", "Radius", "calibrate_echo", "matrix", "radius"]
