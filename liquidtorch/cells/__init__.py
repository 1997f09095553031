"""One time step each, no loop: Leaky, Liquid, LTC, CfC, Linear, Mobius."""

from __future__ import annotations

from .cell import Cell, Spec, build, first_parameter, renumber
from .cfc import CfC
from .diagonal import Linear, Mobius
from .leaky import Leaky, Liquid
from .ltc import LTC

__all__ = ["LTC", "Cell", "CfC", "Leaky", "Linear", "Liquid", "Mobius", "Spec", "build", "first_parameter", "renumber"]
