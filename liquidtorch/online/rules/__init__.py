"""Rules that learn a cell row by row: exact RTRL along the wiring, SnAp-n, e-prop, truncated BPTT, readout only."""

from __future__ import annotations

from .check import Fidelity, GradientCheck, gradient_check
from .cost import Cost
from .make import BUDGET, make
from .rule import Rule

__all__ = ["BUDGET", "Cost", "Fidelity", "GradientCheck", "Rule", "gradient_check", "make"]
