"""Classes, one row at a time, by a Newton step on the likelihood: what it means, in NumPy."""

from __future__ import annotations

import ctypes
import math

import numpy as np
from numpy.typing import NDArray

from .descent import MEMORY, softmax
from .library import Arguments, pointers
from .recursive import RecursiveStep, absorb

Array = NDArray[np.float64]

FLAT = 0.02  # the least curvature of a row: one of which all is known would else count for nothing, and move too far


class NewtonStep(Arguments):
    """The struct of csrc/newton.h: `newton` in one call, or, for a negative class, the probabilities alone."""

    _fields_ = [  # noqa: RUF012
        ("root", RecursiveStep),
        *pointers("state told logit"),
        ("importance", ctypes.c_double),
    ]


def newton(
    weight: Array, bias: Array, factor: Array, group: NDArray[np.int64], rows: NDArray[np.int64], state: Array,
    z: Array, y: int, *, forgetting: float, penalty: float, importance: float,
) -> Array:  # fmt: skip
    """Learn one row, in place, and return the error, one-hot y minus the probabilities before it, (K,).

    `e = onehot(y) - softmax(W z + b)`, `c = max(sum_k p_k (1 - p_k) / 2, FLAT)`; then [W, b] learns the error
    `e / (2 c)` by least squares, as `recursive` does, from a row that counts c times.

    Parameters
    ----------
    weight, bias, factor, group, rows
        As for `recursive`, of K outputs and one covariance.
    state : (2,)
        How many rows there were; the mean of log sum exp of the logits over the last thousand of them.
    z : (F,)
    y : int
        The true class.
    forgetting, penalty, importance : float
        As for `recursive`.

    Source
    ------
    See `readout.RecursiveLogistic`.
    """
    logits = weight @ z + bias
    error = -softmax(logits)
    curvature = max(float(-error @ (1 + error)) / 2, FLAT)
    error[y] += 1
    high = logits.max()
    state[0] += 1
    state[1] += (high + math.log(np.exp(logits - high).sum()) - state[1]) / min(state[0], MEMORY)
    absorb(
        weight, bias, factor, group, rows, z, error / (2 * curvature),
        forgetting=forgetting, penalty=penalty, importance=importance * curvature,
    )  # fmt: skip
    return error
