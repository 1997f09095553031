"""A class or a number for each series: `LiquidClassifier` and `LiquidRegressor`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

from ..data import Feature, Sequences, from_arrays
from ..errors import DataError, OptionError, ShapeError
from ..task import Task
from .inputs import REAL, Pieces, read_series
from .learner import Learner


class LiquidClassifier(ClassifierMixin, Learner):
    """Give each series a class with a liquid network, as a scikit-learn estimator.

    Parameters
    ----------
    body : str
        Cell of the network: "liquid", "ltc", "cfc", "leaky", "linear" or "mobius".
    units : int, at least 1
        Neurons of a layer.
    layers : int, at least 1
        Layers, one upon the other.
    wiring : Wiring, str or None
        Which neurons are connected, such as "random:0.2" or "auto_ncp"; None: all.
    tau : "auto", number or pair
        Time constants at the start, in the unit of `dt`; "auto" takes their range from the data.
    epochs : int, at least 1
        Most passes over the data.
    batch : int, at least 1, or None
        Series of a training step; None: as many as make 16 steps an epoch, at least 4 and at most 32.
    lr : float, above 0
        Highest learning rate.
    patience : int, at least 1
        Passes without improvement before training stops and the best weights are restored.
    valid : float in [0, 0.5]
        Part of the series set aside to see that improvement, each class in proportion. 0, or fewer than 20 series:
        none, and every epoch is run.
    random_state : int, RandomState or None
        Fixes the first weights, the series set aside and the order of the batches.
    device : str
        "cpu", "cuda", "cuda:1", ..., or "auto".

    Attributes
    ----------
    network_ : LiquidNetwork
        The trained network; `network_.save(folder)` writes it to disk.
    classes_ : (K,) array
        The classes, sorted.
    history_ : History
        The course of the last training.
    n_features_in_ : int
        F; for a table (N, T) it is T, the number of its columns.
    axes_in_ : 2 or 3
        Whether `fit` saw a table, or series of F features.

    Notes
    -----
    `X` is a table (N, T) of N series of one feature, an array (N, T, F), or a list of N arrays (T_i, F); NaN is a
    missing value. `dt` is the time since the previous step, as `data.from_arrays` takes it: a number, (T,), (N, T) or
    a list of N arrays (T_i,); left out, it is 1. It is routed by `set_fit_request(dt=True)` and its like. A feature
    is scaled by what the training part shows of it; a scaler before this one in a pipeline is not needed.

    Not supported: sample weights; sparse tables; a class for each step (`train.fit` does that).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> t = np.arange(20)
    >>> X = np.stack([np.sin(f * t + rng.uniform(0, 6)) for f in (0.3, 1.0) for _ in range(20)])
    >>> y = ["slow"] * 20 + ["fast"] * 20
    >>> model = LiquidClassifier(units=8, epochs=30, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    classes_: np.ndarray

    def fit(self, X: Any, y: Any, *, dt: Any = None) -> LiquidClassifier:
        """Train a new network on series `X` and their classes `y` (N,), labels of any kind."""
        series = read_series(self, X, reset=True)
        labels = _labels(series, y)
        classes = np.unique(labels)
        if len(classes) < 2:
            raise DataError(f"`y` must hold at least two classes; got 1 class, {classes.tolist()}.")
        self.classes_ = classes
        self._train_anew(*self._asked(series, labels, dt))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, *, dt: Any = None) -> LiquidClassifier:
        """Train on one more batch of series: five passes, from the weights, scaling and classes there are.

        The first call makes the network for all the `classes` (K,) that will ever come, and takes the scaling. A batch
        holds at least two of them.
        """
        fresh = not hasattr(self, "network_")
        series = read_series(self, X, reset=fresh)
        labels = _labels(series, y)
        if fresh:
            if classes is None or len(np.unique(classes)) < 2:
                raise OptionError(
                    f"`classes` must be all the classes, at least two, in the first call of partial_fit; "
                    f"got {classes!r}."
                )
            self.classes_ = np.unique(classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise OptionError(f"`classes` must be those of the first call, {self.classes_.tolist()}; got {classes!r}.")
        self._train_on(*self._asked(series, labels, dt))
        return self

    def predict(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the likeliest class of each series, (N,)."""
        chances = self.predict_proba(X, dt=dt)
        return self.classes_[chances.argmax(axis=1)]

    def predict_proba(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the probability of each class, (N, K)."""
        found = self._ask(again(self, X, dt)).probabilities
        assert found is not None
        return found

    def score(self, X: Any, y: Any, *, dt: Any = None) -> float:
        """Return the share of series given their right class."""
        return float(accuracy_score(y, self.predict(X, dt=dt)))

    def _asked(self, series: Pieces, labels: np.ndarray, dt: Any) -> tuple[Sequences, Task]:
        strange = np.setdiff1d(labels, self.classes_)
        if len(strange):
            raise DataError(f"`y` must hold classes of {self.classes_.tolist()}; got {strange.tolist()[0]!r}.")
        codes = np.searchsorted(self.classes_, labels).astype(np.float64)
        values = tuple(self.classes_.tolist())
        target = Feature("y", "category", values)
        return _series_with(series, dt, (target,), codes[:, None]), Task("classify", ("y",), (values,))


def _labels(series: Pieces, y: Any) -> np.ndarray:
    _must_be_given(y)
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind in "fc":
        check_array(labels, ensure_2d=False, input_name="y")
    check_classification_targets(labels)
    check_consistent_length(series, labels)
    return labels


def again(estimator: Learner, X: Any, dt: Any) -> Sequences:
    """Read series to ask a fitted estimator about."""
    check_is_fitted(estimator, "network_")
    return from_arrays(read_series(estimator, X, reset=False), dt=dt, like=estimator.network_.schema)


def _series_with(series: Pieces, dt: Any, targets: tuple[Feature, ...], target: np.ndarray) -> Sequences:
    """Read series with a target (N, O) for each."""
    return dataclasses.replace(from_arrays(series, dt=dt), targets=targets, target=target, level="series")


def _must_be_given(y: Any) -> None:
    if y is None:
        raise DataError("`y` must be given: the estimator requires y to be passed, but the target y is None.")


class LiquidRegressor(RegressorMixin, Learner):
    """Give each series a number, or several, with a liquid network, as a scikit-learn estimator.

    Parameters
    ----------
    body : str
        Cell of the network: "liquid", "ltc", "cfc", "leaky", "linear" or "mobius".
    units : int, at least 1
        Neurons of a layer.
    layers : int, at least 1
        Layers, one upon the other.
    wiring : Wiring, str or None
        Which neurons are connected, such as "random:0.2" or "auto_ncp"; None: all.
    tau : "auto", number or pair
        Time constants at the start, in the unit of `dt`; "auto" takes their range from the data.
    epochs : int, at least 1
        Most passes over the data.
    batch : int, at least 1, or None
        Series of a training step; None: as many as make 16 steps an epoch, at least 4 and at most 32.
    lr : float, above 0
        Highest learning rate.
    patience : int, at least 1
        Passes without improvement before training stops and the best weights are restored.
    valid : float in [0, 0.5]
        Part of the series set aside to see that improvement. 0, or fewer than 20 series: none, and every epoch is
        run.
    random_state : int, RandomState or None
        Fixes the first weights, the series set aside and the order of the batches.
    device : str
        "cpu", "cuda", "cuda:1", ..., or "auto".

    Attributes
    ----------
    network_ : LiquidNetwork
        The trained network; `network_.save(folder)` writes it to disk.
    history_ : History
        The course of the last training.
    n_features_in_ : int
        F; for a table (N, T) it is T, the number of its columns.
    axes_in_, y_axes_ : int
        Whether `fit` saw a table (2) or series of F features (3), and whether one target (1) or a row of them (2).

    Notes
    -----
    `X`, `dt` and what is not supported are as in `LiquidClassifier`. `y` is (N,) or (N, O); targets are scaled by
    the training part, so they weigh the same.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> series = [rng.normal(size=(rng.integers(5, 12), 1)) for _ in range(60)]
    >>> y = [one.sum() for one in series]
    >>> model = LiquidRegressor(units=8, epochs=60, random_state=0).fit(series, y)
    >>> model.score(series, y) > 0.8
    True
    """

    y_axes_: int

    def fit(self, X: Any, y: Any, *, dt: Any = None) -> LiquidRegressor:
        """Train a new network on series `X` and their numbers `y`, (N,) or (N, O)."""
        series = read_series(self, X, reset=True)
        numbers = _numbers(series, y)
        self.y_axes_ = numbers.ndim
        self._train_anew(*_asked(series, numbers, dt))
        return self

    def partial_fit(self, X: Any, y: Any, *, dt: Any = None) -> LiquidRegressor:
        """Train on one more batch of series: five passes, from the weights and scaling there are.

        The first call makes the network and takes the scaling.
        """
        fresh = not hasattr(self, "network_")
        series = read_series(self, X, reset=fresh)
        numbers = _numbers(series, y)
        seqs, task = _asked(series, numbers, dt)
        if fresh:
            self.y_axes_ = numbers.ndim
        elif numbers.ndim != self.y_axes_ or task != self.network_.task:
            wanted = "(series,)" if self.y_axes_ == 1 else f"(series, {self.network_.task.outputs})"
            raise ShapeError(f"`y` must have the shape {wanted}, as in the first call; got {numbers.shape}.")
        self._train_on(seqs, task)
        return self

    def predict(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the number of each series, (N,), or (N, O) where `y` was so."""
        values = self._ask(again(self, X, dt)).values
        return values[:, 0] if self.y_axes_ == 1 else values

    def score(self, X: Any, y: Any, *, dt: Any = None) -> float:
        """Return R^2, the mean over the targets: 1 is perfect, 0 no better than the mean of `y`."""
        return float(r2_score(y, self.predict(X, dt=dt)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _numbers(series: Pieces, y: Any) -> np.ndarray:
    _must_be_given(y)
    numbers = check_array(y, dtype=REAL, ensure_2d=False, allow_nd=True, input_name="y")
    if numbers.ndim not in (1, 2):
        raise ShapeError(f"`y` must have the shape (series,) or (series, targets); got {numbers.shape}.")
    check_consistent_length(series, numbers)
    return numbers


def _asked(series: Pieces, numbers: np.ndarray, dt: Any) -> tuple[Sequences, Task]:
    target = numbers.reshape(len(numbers), -1).copy()  # the caller may change or lock theirs
    names = tuple(f"y{j}" for j in range(target.shape[1])) if target.shape[1] > 1 else ("y",)
    return _series_with(series, dt, tuple(Feature(name) for name in names), target), Task("regress", names)
