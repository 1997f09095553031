"""scikit-learn estimators: a class or a number for each series, and forecasts; trained, or solved in closed form."""

from __future__ import annotations

from .forecaster import LiquidForecaster
from .free_running import ReservoirForecaster
from .reservoir import ReservoirClassifier, ReservoirRegressor
from .supervised import LiquidClassifier, LiquidRegressor

__all__ = [
    "LiquidClassifier", "LiquidForecaster", "LiquidRegressor", "ReservoirClassifier", "ReservoirForecaster",
    "ReservoirRegressor",
]  # fmt: skip
