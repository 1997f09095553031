"""A whole network step by step on NumPy rows: the encoder and the readout in NumPy, the body compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..encoders import Identity, MissingAware
from ..errors import DataError
from ..layers.stepper import array
from ..ops import Stepper
from ..readout import MLP


class Encoding:
    """What `encoders` do to all rows at once, for one row: z, and the raw values with every gap filled."""

    def __init__(self, encoder: Identity | MissingAware) -> None:
        self.mean, self.scale, self.encoder = array(encoder.mean), array(encoder.scale), encoder
        if isinstance(encoder, MissingAware):
            self.numeric, self.marked = np.array(encoder._numeric, dtype=int), np.array(encoder._marked, dtype=int)
            self.classes = [(i, np.arange(n)) for i, n in encoder._classes.items()]
            self.median_dt = encoder.median_dt.item()
        self.reset()

    def reset(self) -> None:
        """Forget the values seen."""
        self.value, self.age = self.mean.copy(), np.zeros_like(self.mean)
        if isinstance(self.encoder, MissingAware):
            self.value[[i for i, _ in self.classes]] = -1.0

    def __call__(self, x: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        x = x.astype(self.mean.dtype, copy=False)
        if isinstance(self.encoder, Identity):
            if np.isnan(x).any():
                raise DataError(
                    f"`x` must hold no NaN here; got one at column {int(np.isnan(x).argmax())}. "
                    "Use the encoder MissingAware, or fill the gaps."
                )
            return (x - self.mean) / self.scale, x
        seen = ~np.isnan(x)
        self.value = np.where(seen, x, self.value)
        self.age = np.where(seen, 0, self.age + dt).astype(x.dtype)
        parts = [((self.value - self.mean) / self.scale)[self.numeric]]
        parts += [(x[i] == codes).astype(x.dtype) for i, codes in self.classes]
        if len(self.marked):
            parts += [seen[self.marked].astype(x.dtype), np.log1p(self.age[self.marked] / self.median_dt)]
        return np.concatenate(parts).astype(x.dtype, copy=False), self.value


def stepper(network: Any) -> Stepper:
    """Return a stepper of a `LiquidNetwork`."""
    encoding, body, readout = Encoding(network.encoder), network.body.stepper(), network.readout
    mean, scale = array(readout.mean), array(readout.scale)
    W, b = array(readout.last.weight), array(readout.last.bias)
    hidden = ()
    if isinstance(readout, MLP):
        hidden = array(readout.first.weight), array(readout.first.bias), array(readout.second.weight)
    ahead, columns, gaps = network.ahead, array(network._last), slice(network.features - network.ahead, None)
    each = network.outputs // ahead if ahead else 0

    def advance(x: np.ndarray, dt: float) -> np.ndarray:
        z, filled = encoding(x, dt)
        y = body(z, dt)
        seen = np.concatenate([y, z]) if network.skip else y
        answer = W @ seen + b
        if hidden:
            answer = answer + hidden[2] @ np.tanh(hidden[0] @ seen + hidden[1])
        y = mean + scale * answer
        if ahead:
            change, slope = np.split(y, 2)
            y = change + slope * np.repeat(filled[gaps] / encoding.mean[gaps] - 1, each)
        return y + filled[columns] if len(columns) else y

    def reset() -> None:
        encoding.reset()
        body.reset()

    return Stepper(network.features, advance, reset)
