"""What the estimators share: their parameters, how they train a network, how they ask it."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from ..data import Sequences, split
from ..errors import check_range
from ..model import LiquidNetwork, load
from ..task import Task
from ..train import Config, History, Prediction, fit, predict

PASSES = 5  # over each batch of partial_fit
FEWEST = 20  # series; of fewer, a part set aside for early stopping would say too little


class Learner(BaseEstimator):
    """Train a `LiquidNetwork` under scikit-learn's rules; `LiquidClassifier` says what the parameters mean."""

    network_: LiquidNetwork
    history_: History
    n_features_in_: int
    axes_in_: int

    def __init__(
        self,
        *,
        body: str = "liquid",
        units: int = 32,
        layers: int = 1,
        wiring: Any = None,
        tau: Any = "auto",
        epochs: int = 100,
        batch: int | None = None,
        lr: float = 0.01,
        patience: int = 10,
        valid: float = 0.15,
        random_state: Any = None,
        device: str = "auto",
    ) -> None:
        self.body = body
        self.units = units
        self.layers = layers
        self.wiring = wiring
        self.tau = tau
        self.epochs = epochs
        self.batch = batch
        self.lr = lr
        self.patience = patience
        self.valid = valid
        self.random_state = random_state
        self.device = device

    def _train_anew(self, seqs: Sequences, task: Task) -> None:
        """Make a network for `seqs` and train it, early stopping where there are series to spare."""
        check_range("valid", self.valid, 0, 0.5)
        seed = self._seed()
        train, held_out = self._parts(seqs, seed) if self.valid else (seqs, None)
        network = self._network(train, task, seed)
        self.history_ = fit(network, train, held_out, task, self._config(seed, self.epochs))
        self.network_ = network

    def _train_on(self, seqs: Sequences, task: Task) -> None:
        """Train a few passes from the weights there are; make the network where there is none."""
        seed = self._seed()
        network = self.network_ if hasattr(self, "network_") else self._network(seqs, task, seed)
        self.history_ = fit(network, seqs, None, task, self._config(seed, PASSES))
        self.network_ = network

    def _parts(self, seqs: Sequences, seed: int) -> tuple[Sequences, Sequences | None]:
        """Set series aside for early stopping, where there are enough."""
        if len(seqs) < FEWEST:
            return seqs, None
        train, held_out, _, _ = split(seqs, valid=self.valid, test=0, by="series", seed=seed)
        return train, held_out

    def _network(self, seqs: Sequences, task: Task, seed: int) -> LiquidNetwork:
        return LiquidNetwork.for_data(
            seqs,
            task,
            body=self.body,
            units=self.units,
            layers=self.layers,
            wiring=self.wiring,
            tau=self.tau,
            seed=seed,
        )

    def _config(self, seed: int, epochs: int) -> Config:
        return Config(
            epochs=epochs, batch=self.batch, lr=self.lr, patience=self.patience, seed=seed, device=self.device
        )

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _ask(self, seqs: Sequences) -> Prediction:
        """Ask the network in double precision, so that an answer does not depend on the batch it is in."""
        network = copy.deepcopy(self.network_).double()
        return predict(network, seqs, network.task)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the network as the two files of its model folder: they outlive a change of its classes."""
        state: dict[str, Any] = {**vars(self)}
        if "network_" in state:
            with tempfile.TemporaryDirectory() as place:
                self._kept().save(Path(place, "model"))
                state["network_"] = {file.name: file.read_bytes() for file in Path(place, "model").iterdir()}
        return state

    def _kept(self) -> LiquidNetwork:
        """Return the network to be pickled."""
        return self.network_

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in state:
            with tempfile.TemporaryDirectory() as place:
                for name, content in state["network_"].items():
                    Path(place, name).write_bytes(content)
                self.network_ = load(place)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags
