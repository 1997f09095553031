"""Least squares, one row at a time, by a square root of the covariance: what it means, in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .library import Arguments, integers, pointers

Array = NDArray[np.float64]


class RecursiveStep(Arguments):
    """The struct of csrc/recursive.h: `recursive` in one call."""

    _fields_ = [  # noqa: RUF012
        *integers("F O C"),
        *pointers("options z y group rows error weight bias factor along back gain"),
    ]


def start(S: Array, z: Array, noise: float) -> Array:
    """Take the first row into a covariance that knows nothing of the bias, in place, and return the gain, (M,).

    With an infinite variance of the bias, the bias takes all of the error, and what was known of W stays:
    `P_bb = z' P_ww z + noise`, `P_bw = -z' P_ww`.
    """
    S[-1] = -z @ S[:-1]
    S[-1, -1] = math.sqrt(noise)
    gain = np.zeros(len(S))
    gain[-1] = 1.0
    return gain


def observe(S: Array, direction: Array, noise: float) -> Array:
    """Take one equation into the covariance P = S S', in place: P <- P - P z z' P / (noise + z' P z).

    Parameters
    ----------
    S : (M, M)
        A square root of P; a row and a column of zeros stay so.
    direction : (M,)
        S' z, of what the equation weighs the M numbers with.
    noise : float, above 0
        The variance of its error.

    Returns
    -------
    gain : (M,)
        P z / (noise + z' P z): what an error of 1 adds to the numbers.

    Notes
    -----
    3 M^2 multiplications. P is never formed, so it has no negative eigenvalue whatever the rounding.

    Source
    ------
    Potter's update: Bierman (1977), Factorization Methods for Discrete Sequential Estimation, section II.3.

    Examples
    --------
    >>> S = np.eye(2)
    >>> gain = observe(S, S.T @ np.array([1.0, 0.0]), 1.0)
    >>> gain.tolist(), (S @ S.T).round(12).tolist()
    ([0.5, 0.0], [[0.5, 0.0], [0.0, 1.0]])
    """
    spread = noise + float(direction @ direction)
    gain = S @ direction
    S -= gain[:, None] * (direction / (spread + math.sqrt(noise * spread)))
    return gain / spread


def recursive(
    weight: Array, bias: Array, factor: Array, group: NDArray[np.int64], rows: NDArray[np.int64], z: Array, y: Array, *,
    forgetting: float, penalty: float, importance: float,
) -> Array:  # fmt: skip
    """Learn one row, in place, and return the error y - W z - b before it, (O,), NaN where y is unknown.

    For each covariance P: P <- P z z'-updated with noise forgetting/importance, then / forgetting, and, where something
    was forgotten, 1 - forgetting^F of the prior's weight back at one place after the other (`rows` modulo F), without
    moving the answer. So P^-1 = sum forgetting^age z z' + nearly all of the prior: of W it never exceeds
    prior / forgetting^F.

    Parameters
    ----------
    weight : (O, F)
    bias : (O,)
    factor : (C, M, M), M = F + 1
        A square root of each covariance, of [weight, bias]; infinite in its last place while nothing is known of the
        bias, see `start`.
    group : (O,)
        The covariance of each output.
    rows : (C,)
        How many rows each has taken.
    z : (F,)
    y : (O,)
        NaN: unknown; the output stays as it was, and so does a covariance none of whose outputs is known.
    forgetting : float, above 0, at most 1
    penalty : float, above 0
        Of the prior.
    importance : float, above 0
        How often the row counts.

    Source
    ------
    Forgetting towards the prior: Salgado, Goodwin, Middleton (1988), Int. J. Control 47; one place at a time instead of
    all at once, so that a step stays of order M^2.
    """
    error = y - (weight @ z + bias)
    options = {"forgetting": forgetting, "penalty": penalty, "importance": importance}
    absorb(weight, bias, factor, group, rows, z, error, **options)
    return error


def absorb(
    weight: Array, bias: Array, factor: Array, group: NDArray[np.int64], rows: NDArray[np.int64], z: Array,
    error: Array, *, forgetting: float, penalty: float, importance: float,
) -> None:  # fmt: skip
    """Learn the `error` (O,) of a row, NaN where unknown, in place: what `recursive` does once it has the error."""
    known = error == error
    for c, S in enumerate(factor):
        told = known & (group == c)
        if not told.any():
            continue
        own = np.where(told, error, 0.0)
        noise = forgetting / importance
        gain = start(S, z, noise) if math.isinf(S[-1, -1]) else observe(S, z @ S[:-1] + S[-1], noise)
        weight += own[:, None] * gain[:-1]
        bias += own * gain[-1]
        if forgetting < 1:
            S /= math.sqrt(forgetting)
            observe(S, S[rows[c] % len(z)].copy(), 1 / ((1 - forgetting ** len(z)) * penalty))
        rows[c] += 1
