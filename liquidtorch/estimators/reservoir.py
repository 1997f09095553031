"""Fixed random reservoirs with a readout in closed form: `ReservoirClassifier` and `ReservoirRegressor`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..data import Sequences
from ..errors import check_choice
from ..model import LiquidNetwork
from ..readout import Ridge
from ..task import Task
from ..train import Config, fit
from . import outside
from .learner import Learner
from .supervised import LiquidClassifier, LiquidRegressor, again


class Solved(Learner):
    """What the reservoirs share: a body that is not trained, and a readout that is solved."""

    partial_fit: Any = property()  # not there: a readout is solved from all series at once

    def __init__(
        self, *, body: str = "echo", units: int = 300, layers: int = 1, tau: Any = "auto", encoder: str | None = None,
        skip: bool = True, random_state: Any = None, device: str = "cpu",
    ) -> None:  # fmt: skip
        self.body = body
        self.units = units
        self.layers = layers
        self.tau = tau
        self.encoder = encoder
        self.skip = skip
        self.random_state = random_state
        self.device = device

    def _train_anew(self, seqs: Sequences, task: Task) -> None:
        seed = self._seed()
        network = self._network(seqs, task, seed)
        self.history_ = fit(network, seqs, None, task, self._config(seed, 1))
        self.network_ = network

    def _network(self, seqs: Sequences, task: Task, seed: int) -> LiquidNetwork:
        return LiquidNetwork.for_data(
            seqs, task, body=self.body, units=self.units, layers=self.layers, tau=self.tau, encoder=self.encoder,
            readout=self._solved_by(), skip=self.skip, seed=seed,
        )  # fmt: skip

    def _solved_by(self) -> str:
        return "ridge"

    def _config(self, seed: int, epochs: int) -> Config:
        return Config(epochs=epochs, seed=seed, device=self.device)


class WithReadout(Solved):
    """A reservoir whose readout is chosen: one of `NAMES`, or a scikit-learn estimator of `KIND`."""

    NAMES: tuple[str, ...]  # the first is meant by None
    KIND: str

    def __init__(
        self, *, body: str = "echo", units: int = 300, layers: int = 1, tau: Any = "auto", encoder: str | None = None,
        readout: Any = None, skip: bool = True, random_state: Any = None, device: str = "cpu",
    ) -> None:  # fmt: skip
        super().__init__(
            body=body, units=units, layers=layers, tau=tau, encoder=encoder, skip=skip, random_state=random_state,
            device=device,
        )  # fmt: skip
        self.readout = readout

    def _train_anew(self, seqs: Sequences, task: Task) -> None:
        vars(self).pop("readout_", None)
        if not outside.is_outside(self.readout, self.KIND):
            super()._train_anew(seqs, task)
            return
        seed = self._seed()
        network = self._network(seqs, task, seed).to(self._config(seed, 1).where())
        assert seqs.target is not None
        self.readout_, self.history_ = outside.fit_outside(
            self.readout, network, seqs, self._answers(seqs.target), seed
        )
        self.network_ = network.cpu()

    def _solved_by(self) -> str:
        if outside.is_outside(self.readout, self.KIND):
            return "ridge"  # whose place it takes
        if self.readout is not None:
            check_choice("readout", self.readout, self.NAMES)
        return self.readout or self.NAMES[0]

    def _answers(self, target: np.ndarray) -> np.ndarray:
        """Return the targets (N, O) as an estimator is given them."""
        raise NotImplementedError

    def _states(self, X: Any, dt: Any) -> np.ndarray:
        return outside.states_of(self.network_, again(self, X, dt))

    def _kept(self) -> LiquidNetwork:
        if not hasattr(self, "readout_"):
            return self.network_
        network = copy.deepcopy(self.network_)
        network.readout = Ridge(
            network.readout.features, network.readout.outputs
        )  # pickled: the estimator is beside it
        return network

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "readout_"):
            outside.give_up(self.network_, self.readout_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if hasattr(self.readout, "fit") and not isinstance(self.readout, type):
            inner = get_tags(self.readout)
            tags.target_tags.multi_output &= inner.target_tags.multi_output
            if tags.classifier_tags is not None and inner.classifier_tags is not None:
                tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
        return tags


def _gives_chances(estimator: WithReadout) -> bool:
    readout = getattr(estimator, "readout_", estimator.readout)
    return not hasattr(readout, "fit") or hasattr(readout, "predict_proba")


class ReservoirClassifier(WithReadout, LiquidClassifier):
    """Give each series a class with a fixed random reservoir and a readout solved in closed form.

    Parameters
    ----------
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
    readout : "logistic", "ridge", None or a scikit-learn classifier
        Logistic regression (None), or ridge regression on class scores, whose probabilities are not calibrated; or any
        classifier, such as `RandomForestClassifier()`, or a pipeline that ends in one.
    skip : bool
        Whether the readout also sees the channels themselves.
    random_state : int, RandomState or None
        Draws the reservoir, and deals series to the blocks that are held out.
    device : str
        "cpu", "cuda", "cuda:1", ..., or "auto".

    Attributes
    ----------
    network_, classes_, history_, n_features_in_, axes_in_
        As of `LiquidClassifier`; `history_.message` says the penalty.
    readout_ : estimator
        The fitted classifier, where `readout` is one.

    Notes
    -----
    `X`, `y` and `dt` are as in `LiquidClassifier`. A series is seen as the mean of its states. One pass over the series
    and one regression: there is nothing to train, and no `partial_fit`.

    A classifier as readout is cloned and fitted to these means and the labels, its empty `random_state`s drawn from
    this one's; its parameters are nested, as in `set_params(readout__n_estimators=50)`. The states of an echo state
    lie between -1 and 1, channels have a variance of about 1; give scaling, where wanted, as a pipeline. Such a readout
    is no part of `network_`, which then is neither called, saved nor exported: keep the whole estimator, by pickle.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> t = np.arange(20)
    >>> X = np.stack([np.sin(f * t + rng.uniform(0, 6)) for f in (0.3, 1.0) for _ in range(20)])
    >>> y = ["slow"] * 20 + ["fast"] * 20
    >>> ReservoirClassifier(units=50, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    NAMES = ("logistic", "ridge")
    KIND = "classifier"

    def predict(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the likeliest class of each series, (N,)."""
        check_is_fitted(self, "network_")
        return self.readout_.predict(self._states(X, dt)) if hasattr(self, "readout_") else super().predict(X, dt=dt)

    @available_if(_gives_chances)
    def predict_proba(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the probability of each class, (N, K); there where the readout gives it."""
        check_is_fitted(self, "network_")
        if hasattr(self, "readout_"):
            return self.readout_.predict_proba(self._states(X, dt))
        return super().predict_proba(X, dt=dt)

    def _answers(self, target: np.ndarray) -> np.ndarray:
        return self.classes_[target[:, 0].astype(np.int64)]


class ReservoirRegressor(WithReadout, LiquidRegressor):
    """Give each series a number, or several, with a fixed random reservoir and a readout solved in closed form.

    Parameters
    ----------
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
    readout : "ridge", None or a scikit-learn regressor
        Ridge regression (None); or any regressor, such as `RandomForestRegressor()`, or a pipeline that ends in one.
    skip : bool
        Whether the readout also sees the channels themselves.
    random_state : int, RandomState or None
        Draws the reservoir, and deals series to the blocks that are held out.
    device : str
        "cpu", "cuda", "cuda:1", ..., or "auto".

    Attributes
    ----------
    network_, history_, n_features_in_, axes_in_, y_axes_
        As of `LiquidRegressor`; `history_.message` says the penalty.
    readout_ : estimator
        The fitted regressor, where `readout` is one.

    Notes
    -----
    `X`, `y` and `dt` are as in `LiquidRegressor`. A series is seen as its last state. There is no `partial_fit`. A
    regressor as readout is treated as a classifier is by `ReservoirClassifier`; targets (N, O) are for it to take.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> series = [rng.normal(size=(rng.integers(5, 12), 1)) for _ in range(60)]
    >>> y = [one[-1, 0] - one[-3, 0] for one in series]
    >>> ReservoirRegressor(units=50, random_state=0).fit(series, y).score(series, y) > 0.8
    True
    """

    NAMES = ("ridge",)
    KIND = "regressor"

    def predict(self, X: Any, *, dt: Any = None) -> np.ndarray:
        """Return the number of each series, (N,), or (N, O) where `y` was so."""
        check_is_fitted(self, "network_")
        if not hasattr(self, "readout_"):
            return super().predict(X, dt=dt)
        states = self._states(X, dt)
        values = np.asarray(self.readout_.predict(states), np.float64).reshape(len(states), -1)
        return values[:, 0] if self.y_axes_ == 1 else values

    def _answers(self, target: np.ndarray) -> np.ndarray:
        return target[:, 0] if self.y_axes_ == 1 else target
