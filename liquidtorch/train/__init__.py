"""Training by backpropagation through time: fit a network to sequences, resume it, ask it."""

from __future__ import annotations

from .answer import Prediction, predict
from .config import Config, History
from .loop import fit

__all__ = ["Config", "History", "Prediction", "fit", "predict"]
