"""River's classifier and regressor: made from plain options, used in pipelines, held to river's own checks."""

from __future__ import annotations

import importlib
from collections.abc import Hashable
from typing import Any

import torch

from ..cells import LTC, Leaky, Liquid
from ..errors import check_choice, need
from ..layers import Layer, Recurrent
from ..readout import RLS, Committee, OnlineLogistic
from ..reservoir import EchoState
from .online import Online

need("river", "stream")
base: Any = importlib.import_module("river.base")

COLUMNS = 8  # from whose weights those of a feature are drawn, and the first capacity
CELLS = {"leaky": Leaky, "liquid": Liquid, "ltc": LTC}
Tau = tuple[float, float]


class Streaming:
    """What both have in common: an `Online` that is made from their options, and asked."""

    online: Online

    def _start(self, readout: Any, classes: bool) -> None:
        model: Any = self
        seed = int(torch.seed() % 2**31) if model.seed is None else model.seed
        self.online = Online(
            _layer(model, seed), rule=model.rule, readout=readout, classes=classes, names=(), patience=model.patience,
            match=model.match, seed=seed,
        )  # fmt: skip

    def learn_one(self, x: dict[Hashable, Any], y: Any, *, dt: float = 1.0, key: Hashable = None) -> None:
        """Learn the label of a sample."""
        self.online.learn_one(x, y, dt, key=key)

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn the rows of a DataFrame one after the other."""
        self.online.learn_many(X, y)

    def predict_one(self, x: dict[Hashable, Any], *, dt: float = 1.0, key: Hashable = None) -> Any:
        """Let a sample arrive, and return its likeliest class, None before there is any; or its number."""
        return self.online.predict_one(x, dt, key=key)


class OnlineClassifier(Streaming, base.Classifier):
    """Classify the samples of a stream by a recurrent network and logistic regressions on it; a classifier of river.

    Parameters
    ----------
    units : int, at least 1
        Of the body.
    body : "echo", "leaky", "liquid" or "ltc"
        A fixed random reservoir, or a cell.
    tau : (float, float), above 0
        Time constants, log-uniform between the two, in the unit of dt: samples, where dt is left at 1.
    radius, density : float
        Of the reservoir's weights; for "echo" alone.
    scale : float
        Of the reservoir's input weights, for channels of unit scale; for "echo" alone.
    rule : str
        By which a cell is learned, see `Online`; "readout": not at all, as "echo" never is.
    readout : "committee" or "logistic"
        `readout.Committee`, of several with the body and without, or `readout.OnlineLogistic`, the fastest.
    rate : float, above 0
        Of the readout: see `readout.OnlineLogistic`.
    match : "nearest" or "values"
        How a label finds its sample: see `Online`. "nearest" also where steps before scale it anew in between.
    patience : int, at least 1
        How many samples may wait for their label.
    seed : int or None
        Of all that is drawn; None: anew each time.

    Notes
    -----
    `predict_one` and `predict_proba_one` let a sample arrive, and the state moves on; the same dict again, unchanged
    and without its label yet, is the same sample. With `key=` interleaved streams have a state each, `dt=` is the time
    since the sample before, and `online.reset()` starts a stream again.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics, preprocessing
    >>> model = preprocessing.StandardScaler() | OnlineClassifier(units=32, seed=1)
    >>> evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy()).get() > 0.85
    True
    """

    def __init__(
        self, units: int = 64, body: str = "echo", tau: Tau = (1.0, 50.0), radius: float = 0.9, density: float = 0.2,
        scale: float = 0.33, rule: str = "auto", readout: str = "committee", rate: float = 1.0, match: str = "nearest",
        patience: int = 1000, seed: int | None = 0,
    ) -> None:  # fmt: skip
        self.units, self.body, self.tau, self.radius, self.density = units, body, tau, radius, density
        self.scale, self.rule, self.readout, self.rate = scale, rule, readout, rate
        self.match, self.patience, self.seed = match, patience, seed
        check_choice("readout", readout, ("committee", "logistic"))
        self._start(self._made, True)

    def _made(self, features: int, classes: int) -> Any:
        if self.readout == "committee":
            return Committee(features, classes, body=self.units, rate=self.rate)
        return OnlineLogistic(features, classes, rate=self.rate)

    @property
    def _multiclass(self) -> bool:
        return True

    def predict_proba_one(
        self, x: dict[Hashable, Any], *, dt: float = 1.0, key: Hashable = None
    ) -> dict[Any, float]:  # fmt: skip
        """Let a sample arrive, and return the probability of each class."""
        return self.online.predict_proba_one(x, dt, key=key)


class OnlineRegressor(Streaming, base.Regressor):
    """Foretell a number for the samples of a stream by a recurrent network and least squares on it; river's regressor.

    Parameters
    ----------
    units : int, at least 1
        Of the body.
    body : "echo", "leaky", "liquid" or "ltc"
        A fixed random reservoir, or a cell.
    tau : (float, float), above 0
        Time constants, log-uniform between the two, in the unit of dt: samples, where dt is left at 1.
    radius, density : float
        Of the reservoir's weights; for "echo" alone.
    scale : float
        Of the reservoir's input weights, for channels of unit scale; for "echo" alone.
    rule : str
        By which a cell is learned, see `Online`; "readout": not at all, as "echo" never is.
    forgetting : float, above 0, at most 1
        Of the readout: see `readout.RLS`.
    prior : float, above 0
        How many samples of unit size the weights of 0, which it starts with, are worth.
    match : "nearest" or "values"
        How a label finds its sample: see `Online`. "nearest" also where steps before scale it anew in between.
    patience : int, at least 1
        How many samples may wait for their label.
    seed : int or None
        Of all that is drawn; None: anew each time.

    Notes
    -----
    As `OnlineClassifier`.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics
    >>> model = OnlineRegressor(units=32, seed=1)
    >>> evaluate.progressive_val_score(datasets.TrumpApproval(), model, metrics.MAE()).get() < 1.0
    True
    """

    def __init__(
        self, units: int = 64, body: str = "echo", tau: Tau = (1.0, 50.0), radius: float = 0.9, density: float = 0.2,
        scale: float = 0.33, rule: str = "auto", forgetting: float = 1.0, prior: float = 1.0, match: str = "nearest",
        patience: int = 1000, seed: int | None = 0,
    ) -> None:  # fmt: skip
        self.units, self.body, self.tau, self.radius, self.density = units, body, tau, radius, density
        self.scale, self.rule, self.forgetting, self.prior = scale, rule, forgetting, prior
        self.match, self.patience, self.seed = match, patience, seed
        self._start(lambda features, outputs: RLS(features, outputs, forgetting=forgetting, penalty=prior), False)


def _layer(model: Any, seed: int) -> Layer:
    check_choice("body", model.body, ("echo", *CELLS))
    if model.body == "echo":
        return EchoState(
            COLUMNS, model.units, tau=model.tau, radius=model.radius, density=model.density, scale=model.scale,
            seed=seed,
        )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Recurrent(CELLS[model.body](COLUMNS, model.units, tau=model.tau))
