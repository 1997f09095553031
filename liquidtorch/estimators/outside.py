"""A scikit-learn estimator in the place of a network's readout."""

from __future__ import annotations

import time
from typing import Any, NoReturn

import numpy as np
import torch
from sklearn.base import clone, is_classifier, is_regressor
from torch import nn

from ..cells import first_parameter
from ..data import Sequences
from ..errors import OptionError
from ..model import LiquidNetwork
from ..train import History
from ..train.batches import Rows
from ..train.solve import seen

KINDS = {"classifier": is_classifier, "regressor": is_regressor}


class Outside(nn.Module):
    """Stand where a network's readout would, for an estimator that is no part of the network.

    What needs the network whole, to be called or saved, is refused and told the way out.

    Parameters
    ----------
    name : str
        Class of the estimator.
    features, outputs : int, at least 1
        As of any readout.
    """

    def __init__(self, name: str, features: int, outputs: int) -> None:
        super().__init__()
        self.name, self.features, self.outputs = name, features, outputs

    def forward(self, seen: torch.Tensor) -> NoReturn:
        """Refuse to answer: the estimator answers series, not steps."""
        self._refuse("called", "ask the estimator's own `predict`")

    def config(self) -> NoReturn:
        """Refuse to be written into a model folder."""
        self._refuse("saved or exported", "keep the whole estimator by pickle or joblib")

    def _refuse(self, done: str, instead: str) -> NoReturn:
        raise OptionError(
            f"`readout` must be None or a name, such as 'ridge', for the network to be {done}; got {self.name}, which "
            f"is no part of the network. Fit with a name, or {instead}."
        )


def is_outside(readout: Any, kind: str) -> bool:
    """Whether `readout` is an estimator, not a name; raise `OptionError` if it is one that cannot do the `kind`."""
    if readout is None or isinstance(readout, str):
        return False
    article = f"a scikit-learn {kind}"
    if isinstance(readout, type):
        raise OptionError(f"`readout` must be a name or {article}; got the class {readout.__name__}. Write its ().")
    if not all(hasattr(readout, name) for name in ("fit", "predict", "get_params")) or not KINDS[kind](readout):
        raise OptionError(f"`readout` must be a name or {article}; got {readout!r}.")
    return True


def give_up(network: LiquidNetwork, readout: Any) -> None:
    """Leave the place of a network's readout to an estimator."""
    network.add_module("readout", Outside(type(readout).__name__, network.readout.features, network.readout.outputs))


def fit_outside(readout: Any, network: LiquidNetwork, seqs: Sequences, y: np.ndarray, seed: int) -> tuple[Any, History]:
    """Fit a clone of `readout` to what the network's own would see of each series, and leave it that place.

    Every `random_state` in it that is None is drawn from `seed`.
    """
    begun = time.monotonic()
    found: Any = clone(readout)
    give_up(network, found)
    draw = np.random.RandomState(seed)
    given = {k: v for k, v in sorted(found.get_params().items()) if k.split("__")[-1] == "random_state"}
    found.set_params(**{k: int(draw.randint(2**31 - 1)) for k, v in given.items() if v is None})
    states = states_of(network, seqs)
    found.fit(states, y)
    spent = time.monotonic() - begun
    said = f"{type(found).__name__} on {states.shape[0]} series of {states.shape[1]} numbers."
    return found, History(stopped="epochs", message=said, seconds=spent)


def states_of(network: LiquidNetwork, seqs: Sequences) -> np.ndarray:
    """Return what the readout sees of each series (N, readout.features): the mean over its steps, or the last."""
    network.eval()
    with torch.no_grad():
        rows = Rows(seqs, network.task, first_parameter(network), network.ahead)
        return seen(network, rows, network.task)[0].cpu().numpy()
