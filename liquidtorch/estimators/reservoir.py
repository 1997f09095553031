"""Fixed random reservoirs with a readout in closed form: `ReservoirClassifier` and `ReservoirRegressor`."""

from __future__ import annotations

from typing import Any

from ..data import Sequences
from ..errors import OptionError
from ..model import LiquidNetwork
from ..task import Task
from ..train import Config, fit
from .learner import Learner
from .supervised import LiquidClassifier, LiquidRegressor


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


class ReservoirClassifier(Solved, LiquidClassifier):
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
    readout : "logistic", "ridge" or None
        Logistic regression (None), or ridge regression on class scores, whose probabilities are not calibrated.
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

    Notes
    -----
    `X`, `y` and `dt` are as in `LiquidClassifier`. A series is seen as the mean of its states. One pass over the series
    and one regression: there is nothing to train, and no `partial_fit`.

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

    def __init__(
        self, *, body: str = "echo", units: int = 300, layers: int = 1, tau: Any = "auto", encoder: str | None = None,
        readout: str | None = None, skip: bool = True, random_state: Any = None, device: str = "cpu",
    ) -> None:  # fmt: skip
        super().__init__(
            body=body, units=units, layers=layers, tau=tau, encoder=encoder, skip=skip, random_state=random_state,
            device=device,
        )  # fmt: skip
        self.readout = readout

    def _solved_by(self) -> str:
        if self.readout in ("linear", "mlp"):
            raise OptionError(f"`readout` must be 'ridge', 'logistic' or None; got {self.readout!r}, which is trained.")
        return self.readout or "logistic"


class ReservoirRegressor(Solved, LiquidRegressor):
    """Give each series a number, or several, with a fixed random reservoir and ridge regression.

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

    Notes
    -----
    `X`, `y` and `dt` are as in `LiquidRegressor`. A series is seen as its last state. There is no `partial_fit`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> series = [rng.normal(size=(rng.integers(5, 12), 1)) for _ in range(60)]
    >>> y = [one[-1, 0] - one[-3, 0] for one in series]
    >>> ReservoirRegressor(units=50, random_state=0).fit(series, y).score(series, y) > 0.8
    True
    """
