"""Classes, one row at a time, by a normalised step down the likelihood: what it means, in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .library import Arguments, integers, pointers

Array = NDArray[np.float64]

SLOW = 0.01  # the rate of the sharpness
MEMORY = 1000.0  # rows over which the means are taken


class DescentStep(Arguments):
    """The struct of csrc/descent.h: `descend` in one call, or, for a negative class, the probabilities alone."""

    _fields_ = [  # noqa: RUF012
        *integers("F K"),
        *pointers("options z live weight bias means state told seen p logit"),
    ]


def softmax(logits: Array) -> Array:
    """Return exp(logits) over their sum, (K,)."""
    p = np.exp(logits - logits.max())
    p /= p.sum()
    return p


def descend(
    weight: Array, bias: Array, means: Array, state: Array, live: NDArray[np.bool_], z: Array, y: int, *,
    rate: float, decay: float,
) -> Array:  # fmt: skip
    """Learn one row, in place, and return the error, one-hot y minus the probabilities before it, (K,).

    `e = onehot(y) - softmax(W z + b)`, `W += rate e z' / (1 + |z|^2)`, `b += rate e / (1 + |z|^2)`: for the same z the
    logits change by rate e, in whatever unit z is and however wide. Then W is multiplied by 1 - decay.

    The probabilities told are those of `sharpness` times the logits, which climbs the likelihood of its own:
    `sharpness *= 1 + SLOW (l_y - sum_k p_k l_k) / (1 + sharpness (max l - min l))`, l the logits before.

    Parameters
    ----------
    weight : (K, F)
    bias : (K,)
    means : (3, F)
        Of each slot, how many rows it was open; the means of z and of z^2 over these, and then over the last thousand.
    state : (3,)
        How many rows there were; the mean of log sum exp (sharpness logits), likewise; the sharpness.
    live : (F,)
        The open slots; of the others z is not seen, and their weights are 0.
    z : (F,)
    y : int
        The true class.
    rate : float, above 0
    decay : float, at least 0, below 1

    Source
    ------
    Normalised least mean squares: Haykin, Adaptive Filter Theory, the step over |z|^2. Sharpness: the inverse of the
    temperature of Guo, Pleiss, Sun, Weinberger (2017), section 4.2, learned beside.
    """
    z = z * live
    logits = weight @ z + bias
    sharpness = state[2]
    error, told = -softmax(logits), -softmax(sharpness * logits)
    error[y] += 1
    told[y] += 1
    step = rate / (1 + z @ z)
    weight += (step * error)[:, None] * z
    if decay:
        weight *= 1 - decay
    bias += step * error
    high, low = logits.max(), logits.min()
    total = sharpness * high + math.log(np.exp(sharpness * (logits - high)).sum())
    state[2] *= 1 + SLOW * (told @ logits) / (1 + sharpness * (high - low))
    state[0] += 1
    state[1] += (total - state[1]) / min(state[0], MEMORY)
    means[0] += live
    new = live / np.clip(means[0], 1, MEMORY)
    means[1] += new * (z - means[1])
    means[2] += new * (z * z - means[2])
    return told
