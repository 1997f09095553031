"""Liquid networks as scikit-learn estimators: ragged, irregular series; a grid search; a forecast.

Run: python examples/estimators.py (half a minute on one core).
"""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, train_test_split

from liquidtorch import LiquidClassifier, LiquidForecaster


def waves(count: int, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return noisy sine waves of three frequencies, sampled at irregular times: series (T_i, 1), dt (T_i,), classes."""
    series, gaps, classes = [], [], []
    for i in range(count):
        dt = rng.uniform(0.1, 0.6, rng.integers(15, 25))
        wave = np.sin((0.7, 1.6, 3.0)[i % 3] * dt.cumsum() + rng.uniform(0, 2 * np.pi))
        series.append((wave + 0.1 * rng.normal(size=len(dt)))[:, None])
        gaps.append(dt)
        classes.append(("slow", "middle", "fast")[i % 3])
    return series, gaps, np.array(classes)


def main() -> None:
    """Search the size of a classifier, then foretell a wave."""
    X, dt, y = waves(150, np.random.default_rng(0))
    X, X_test, dt, dt_test, y, y_test = train_test_split(X, dt, y, test_size=0.3, random_state=0, stratify=y)
    with sklearn.config_context(enable_metadata_routing=True):  # so that the search hands on each series' dt
        model = LiquidClassifier(epochs=30, lr=0.02, random_state=0)
        model = model.set_fit_request(dt=True).set_score_request(dt=True)
        search = GridSearchCV(model, {"units": [4, 16]}, cv=2).fit(X, y, dt=dt)
    best = search.best_estimator_
    guess = DummyClassifier().fit(X_test, y_test).score(X_test, y_test)
    print(f"frequency of a wave: accuracy {best.score(X_test, y_test, dt=dt_test):.2f} with {best.units} units")
    print(f"                     a guess has {guess:.2f}")

    t = np.arange(400)
    wave = np.sin(0.3 * t) + 0.5 * np.sin(0.11 * t)
    forecaster = LiquidForecaster(horizon=5, units=16, epochs=60, random_state=0).fit(wave[:300])
    print(f"next 5 of a wave:    skill over the last value {forecaster.score(wave[300:]):.2f}")
    print(f"                     said {forecaster.predict(wave[:300])[:, 0].round(2)}, came {wave[300:305].round(2)}")


if __name__ == "__main__":
    main()
