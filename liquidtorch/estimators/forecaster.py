"""The coming values of series: `LiquidForecaster`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..data import Sequences, from_arrays, split
from ..errors import DataError, OptionError, check_range
from ..model import LiquidNetwork
from ..model.measure import last_seen, target_columns
from ..task import Task, ahead
from ..train import Config, Prediction
from .inputs import Pieces, read_future
from .learner import FEWEST, Learner


class LiquidForecaster(Learner):
    """Foretell the coming steps of series with a liquid network, by scikit-learn's conventions.

    Parameters
    ----------
    horizon : int, at least 1
        H, the steps to look ahead.
    targets : int, sequence of int, or None
        The columns to foretell, O of them; None: all. The other columns help to foretell these.
    quantiles : sequence of float in (0, 1), increasing
        The quantiles `predict_quantiles` gives, Q of them; () for none.
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
        Series, or windows of series, of a training step; None: as many as make 16 steps an epoch, 4 to 32.
    window : int, at least 2, or None
        Steps of the windows that series are cut into for training; None: windows of 64 steps where a series is
        longer than 128.
    lr : float, above 0
        Highest learning rate.
    patience : int, at least 1
        Passes without improvement before training stops and the best weights are restored.
    valid : float in [0, 0.5]
        Part set aside to see that improvement: whole series where there are at least 20, else the end of each series
        where that is longer than the horizon. 0, or none of these: every epoch is run.
    random_state : int, RandomState or None
        Fixes the first weights, what is set aside, and the order of the batches.
    device : str
        "cpu", "cuda", "cuda:1", ..., or "auto".

    Attributes
    ----------
    network_ : LiquidNetwork
        The trained network; `network_.save(folder)` writes it to disk.
    history_ : History
        The course of the last training.
    n_features_in_ : int
        F.

    Notes
    -----
    `X` is one series, (T,) or (T, F); or several, an array (N, T, F) or a list of N arrays (T_i, F). NaN is a missing
    value. A table (T, F) is one series here, and N series for the other two estimators. `dt` is the time since the
    previous step, as `data.from_arrays` takes it, for one series a number or (T,); left out, it is 1. The steps ahead
    of the end are taken to be the usual dt apart.

    `score` is the skill over the last value: 1 - squared error / squared error of "it stays as it is", the mean
    over the targets. R^2 would flatter: what drifts slowly is foretold to an R^2 of 0.99 by its last value.

    Not supported: sample weights; columns known in advance.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(300)
    >>> X = np.stack([np.sin(0.2 * t), np.cos(0.2 * t)], axis=1)
    >>> model = LiquidForecaster(horizon=3, targets=0, units=8, epochs=60, random_state=0).fit(X[:250])
    >>> model.predict(X[:250]).shape, model.predict_quantiles(X[:250]).shape
    ((3, 1), (3, 1, 2))
    >>> model.score(X[250:]) > 0.8
    True
    """

    def __init__(
        self,
        *,
        horizon: int = 1,
        targets: Any = None,
        quantiles: Any = (0.1, 0.9),
        body: str = "liquid",
        units: int = 32,
        layers: int = 1,
        wiring: Any = None,
        tau: Any = "auto",
        epochs: int = 100,
        batch: int | None = None,
        window: int | None = None,
        lr: float = 0.01,
        patience: int = 10,
        valid: float = 0.15,
        random_state: Any = None,
        device: str = "auto",
    ) -> None:
        super().__init__(
            body=body,
            units=units,
            layers=layers,
            wiring=wiring,
            tau=tau,
            epochs=epochs,
            batch=batch,
            lr=lr,
            patience=patience,
            valid=valid,
            random_state=random_state,
            device=device,
        )
        self.horizon = horizon
        self.targets = targets
        self.quantiles = quantiles
        self.window = window

    def fit(self, X: Any, y: None = None, *, dt: Any = None) -> LiquidForecaster:
        """Train a new network on series `X`; their own coming values are the target, so `y` must be None."""
        series, alone = self._read(X, y, reset=True)
        seqs = self._future(series, dt, alone, None)
        self._train_anew(seqs, self._task(seqs))
        return self

    def partial_fit(self, X: Any, y: None = None, *, dt: Any = None) -> LiquidForecaster:
        """Train on one more batch of series: five passes, from the weights and scaling there are.

        The first call makes the network and takes the scaling.
        """
        fresh = not hasattr(self, "network_")
        series, alone = self._read(X, y, reset=fresh)
        seqs = self._future(series, dt, alone, None if fresh else self.network_)
        self._train_on(seqs, self._task(seqs) if fresh else self.network_.task)
        return self

    def predict(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the H steps after the end of each series, (N, H, O); of one series alone, (H, O)."""
        ends, alone, found = self._foretell(X, dt)
        values = found.values[ends]
        return values[0] if alone else values

    def predict_quantiles(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the quantiles of the H steps after the end of each series, (N, H, O, Q); of one alone, (H, O, Q)."""
        ends, alone, found = self._foretell(X, dt)
        if found.quantiles is None:
            raise OptionError("`quantiles` must name at least one quantile before fit; got none.")
        bands = found.quantiles[ends]
        return bands[0] if alone else bands

    def score(self, X: Any, y: None = None, *, dt: Any = None) -> float:
        """Return the skill over the last value, at every step of `X` that has a future in it.

        1 is perfect, 0 no better than the last value, and below 0 worse.
        """
        check_is_fitted(self, "network_")
        series, alone = self._read(X, y, reset=False)
        seqs = self._future(series, dt, alone, self.network_)
        task = self.network_.task
        task.check(seqs)
        truth = ahead(seqs, task.horizon)[0]
        now = last_seen(seqs, target_columns(seqs, task))[:, None, :]
        known = ~np.isnan(truth + now)
        answer = self._ask(seqs).values
        wrong, still = (np.where(known, (truth - guess) ** 2, 0.0).sum(axis=(0, 1)) for guess in (answer, now))
        if not still.all():
            raise DataError("`X` must change in every target, to score a forecast of it; got one that never does.")
        return float((1 - wrong / still).mean())

    def _foretell(self, X: Any, dt: Any) -> tuple[np.ndarray, bool, Prediction]:
        """Return the last row of each series, whether there is one alone, and the answers at all rows."""
        check_is_fitted(self, "network_")
        series, alone = read_future(self, X, reset=False)
        seqs = self._future(series, dt, alone, self.network_)
        return seqs.offsets[1:] - 1, alone, self._ask(seqs)

    def _read(self, X: Any, y: None, *, reset: bool) -> tuple[Pieces, bool]:
        if y is not None:
            raise OptionError("`y` must be None: the coming values of `X` are the target; got an array.")
        return read_future(self, X, reset=reset)

    def _future(self, series: Pieces, dt: Any, alone: bool, network: LiquidNetwork | None) -> Sequences:
        """Read series as `network` learned them, or as `targets` says where there is none yet."""
        dt = np.asarray(dt) if alone and dt is not None else dt
        seqs = from_arrays(series, dt=dt, forecast=True, like=None if network is None else network.schema)
        columns = self._columns(seqs.values.shape[1]) if network is None else target_columns(seqs, network.task)
        assert seqs.target is not None
        return dataclasses.replace(
            seqs, targets=tuple(seqs.targets[j] for j in columns), target=seqs.target[:, list(columns)]
        )

    def _columns(self, features: int) -> tuple[int, ...]:
        if self.targets is None:
            return tuple(range(features))
        columns = tuple(np.atleast_1d(self.targets).tolist())
        for j in columns:
            check_range("targets", j, 0, features - 1, whole=True)
        if not columns or len(set(columns)) < len(columns):
            raise OptionError(f"`targets` must be different columns, at least one; got {list(columns)}.")
        return columns

    def _task(self, seqs: Sequences) -> Task:
        names = tuple(f.name for f in seqs.targets)
        task = Task("forecast", names, horizon=self.horizon, quantiles=tuple(self.quantiles))
        task.check(seqs)
        return task

    def _parts(self, seqs: Sequences, seed: int) -> tuple[Sequences, Sequences | None]:
        """Set whole series aside where there are enough, else the end of each where it is longer than the horizon."""
        if len(seqs) >= FEWEST:
            return super()._parts(seqs, seed)
        if np.round(seqs.lengths.min() * self.valid) <= self.horizon:
            return seqs, None
        train, held_out, _, _ = split(seqs, valid=self.valid, test=0, by="time")
        return train, held_out

    def _config(self, seed: int, epochs: int) -> Config:
        return dataclasses.replace(super()._config(seed, epochs), window=self.window)
