"""The liquid network: encoder, body and readout in one; made for data, saved, loaded, described."""

from __future__ import annotations

from .disk import load
from .network import LiquidNetwork

__all__ = ["LiquidNetwork", "load"]
