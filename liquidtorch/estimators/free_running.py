"""Forecasts that feed on themselves: `ReservoirForecaster`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ..cells import first_parameter
from ..data import Sequences, from_arrays, split
from ..errors import DataError, OptionError, check_range
from ..layers.door import tensors_of
from ..model import LiquidNetwork
from ..model.measure import inputs
from ..task import Task
from .inputs import Pieces, read_future
from .reservoir import Solved

HELD = 0.25  # of the data, the end of each series, on which the errors of free runs are measured
STARTS = 64  # of free runs that are measured


class ReservoirForecaster(Solved):
    """Foretell all columns of series, step upon step, with a reservoir that runs on its own forecasts.

    Parameters
    ----------
    horizon : int, at least 1
        H, the steps to run on freely.
    quantiles : sequence of float in (0, 1), increasing
        The quantiles `predict_quantiles` gives, Q of them; () for none.
    body : str
        "echo", `EchoState`, or "spiking", a `LiquidState` calibrated on the series; or a cell as of
        `LiquidClassifier`, with its random first weights.
    units : int, at least 1
        Neurons of a layer.
    layers : int, at least 1
        Layers, one upon the other; the readout sees all of an echo state.
    tau : "auto", number or pair
        Time constants, in the unit of `dt`; "auto": of an echo state their range in the data, of a spiking liquid 30
        steps.
    encoder : str or None
        Code of spikes before the body, such as "step_forward", or "auto" (`reservoir.CODES`).
    skip : bool
        Whether the readout also sees the channels themselves.
    random_state : int, RandomState or None
        Draws the reservoir, and deals series to the blocks that are held out.
    device : str
        "cpu", "cuda", "cuda:1", ..., or "auto".

    Attributes
    ----------
    network_ : LiquidNetwork
        One step ahead; `network_.save(folder)` writes it to disk.
    history_ : History
        `history_.message` says the penalty.
    errors_ : (starts, H, F) array or None
        Errors of free runs over the end of the training series, by a reservoir that had not seen it.
    n_features_in_ : int
        F.

    Notes
    -----
    `X` and `dt` are as in `LiquidForecaster`. The readout is solved for the next change; what it says is read as the
    next step. Quantiles are those of `errors_` added to the forecast: they cover what free runs missed by there, at
    each step ahead. They need series whose last quarter is longer than the horizon.

    `score` is the skill over the last value of free runs from up to 64 steps of `X`: 1 - squared error / squared error
    of "it stays as it is", the mean over columns.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(300)
    >>> X = np.stack([np.sin(0.2 * t), np.cos(0.2 * t)], axis=1)
    >>> model = ReservoirForecaster(horizon=20, units=60, random_state=0).fit(X[:250])
    >>> model.predict(X[:250]).shape, model.predict_quantiles(X[:250]).shape
    ((20, 2), (20, 2, 2))
    >>> model.score(X[250:]) > 0.9
    True
    """

    def __init__(
        self, *, horizon: int = 1, quantiles: Any = (0.1, 0.9), body: str = "echo", units: int = 300, layers: int = 1,
        tau: Any = "auto", encoder: str | None = None, skip: bool = True, random_state: Any = None, device: str = "cpu",
    ) -> None:  # fmt: skip
        super().__init__(
            body=body, units=units, layers=layers, tau=tau, encoder=encoder, skip=skip, random_state=random_state,
            device=device,
        )  # fmt: skip
        self.horizon = horizon
        self.quantiles = quantiles

    def fit(self, X: Any, y: None = None, *, dt: Any = None) -> ReservoirForecaster:
        """Solve a new reservoir's readout on series `X`, whose own coming values are the target: `y` must be None."""
        if y is not None:
            raise OptionError("`y` must be None: the coming values of `X` are the target; got an array.")
        horizon = check_range("horizon", self.horizon, 1, whole=True)
        series, alone = read_future(self, X, reset=True)
        seqs = self._read(series, dt, alone, None)
        task = Task("forecast", tuple(f.name for f in seqs.targets))
        task.check(seqs)
        self.errors_ = None
        if len(self.quantiles) and int(seqs.lengths.min() * HELD) > horizon:
            parts = split(seqs, valid=HELD, test=0, by="time")
            assert parts.valid is not None
            self._train_anew(parts.train, task)
            self.errors_ = self._errors(seqs, seqs.lengths - parts.valid.lengths)[0]
        self._train_anew(seqs, task)
        return self

    def predict(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the H steps after the end of each series, (N, H, F); of one series alone, (H, F)."""
        check_is_fitted(self, "network_")
        series, alone = read_future(self, X, reset=False)
        seqs = self._read(series, dt, alone, self.network_)
        found = np.stack([self._runs(seqs, i, [int(n) - 1])[0] for i, n in enumerate(seqs.lengths)])
        return found[0] if alone else found

    def predict_quantiles(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the quantiles of the H steps after the end of each series, (N, H, F, Q); of one alone, (H, F, Q)."""
        values = self.predict(X, dt=dt)
        if self.errors_ is None:
            raise OptionError(
                f"`quantiles` must be given to fit, and a quarter of each series be longer than the horizon "
                f"{self.horizon}; there are no errors to take them from."
            )
        spread = np.quantile(self.errors_, list(self.quantiles), axis=0)
        return values[..., None] + np.moveaxis(spread, 0, -1)

    def score(self, X: Any, y: None = None, *, dt: Any = None) -> float:
        """Return the skill of free runs over the last value: 1 is perfect, 0 no better, and below 0 worse."""
        check_is_fitted(self, "network_")
        series, alone = read_future(self, X, reset=False)
        seqs = self._read(series, dt, alone, self.network_)
        wrong, still = self._errors(seqs, np.zeros(len(seqs), dtype=np.int64))
        if not len(wrong) or not (still**2).sum((0, 1)).all():
            raise DataError(
                "`X` must be longer than the horizon and change in every column, to score a forecast of it."
            )
        return float((1 - (wrong**2).sum((0, 1)) / (still**2).sum((0, 1))).mean())

    def _read(self, series: Pieces, dt: Any, alone: bool, network: LiquidNetwork | None) -> Sequences:
        dt = np.asarray(dt) if alone and dt is not None else dt
        return from_arrays(series, dt=dt, forecast=True, like=None if network is None else network.schema)

    def _errors(self, seqs: Sequences, since: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return truth minus free runs, and minus the last value, (starts, H, F), from rows `since` (N,) on."""
        H, wrong, still = self.horizon, [], []
        each = max(1, STARTS // len(seqs))
        for i, (length, first) in enumerate(zip(seqs.lengths, since, strict=True)):
            if length - H <= first:
                continue
            starts = np.unique(np.linspace(first, length - H - 1, each).astype(int))
            rows = seqs.values[seqs.offsets[i] : seqs.offsets[i + 1]]
            truth = np.stack([rows[s + 1 : s + 1 + H] for s in starts])
            wrong.append(truth - self._runs(seqs, i, list(starts)))
            still.append(truth - rows[starts][:, None])
        shape = (0, H, seqs.values.shape[1])
        wrong, still = (np.concatenate(parts) if parts else np.zeros(shape) for parts in (wrong, still))
        known = ~np.isnan(wrong).any((1, 2))
        return wrong[known], still[known]

    @torch.no_grad()
    def _runs(self, seqs: Sequences, series: int, starts: list[int]) -> np.ndarray:
        """Return free runs (starts, H, F) of one series from after its rows `starts`, in order."""
        network = self.network_
        like, rows = first_parameter(network), slice(seqs.offsets[series], seqs.offsets[series + 1])
        x = torch.as_tensor(inputs(seqs, network.ahead)[rows]).to(like)[None]
        dt = torch.as_tensor(seqs.dt[rows]).to(like)[None]
        answers, states, h, done = [], [], None, 0
        for start in starts:
            y, h = network(x[:, done : start + 1], h, dt=dt[:, done : start + 1])
            done = start + 1
            answers.append(y[:, -1])
            states.append(tensors_of(h))
        y, h = torch.cat(answers), network._state([torch.cat(parts) for parts in zip(*states, strict=True)])
        found = [y]
        gap = y.new_full((len(y), network.ahead), seqs.median_dt)
        for _ in range(self.horizon - 1):
            step, h = network(torch.cat([found[-1], gap], 1)[:, None], h, dt=seqs.median_dt)
            found.append(step[:, 0])
        return torch.stack(found, 1).double().cpu().numpy()
