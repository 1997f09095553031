"""scikit-learn estimators: a class or a number for each series, and forecasts."""

from __future__ import annotations

from .forecaster import LiquidForecaster
from .supervised import LiquidClassifier, LiquidRegressor

__all__ = ["LiquidClassifier", "LiquidForecaster", "LiquidRegressor"]
