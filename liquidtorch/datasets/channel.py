"""A radio channel that smears, bends and buries its symbols: nonlinear channel equalisation."""

from __future__ import annotations

import numpy as np

from ..errors import check_range
from .driven import Driven
from .seeds import generator

TAPS = (0.08, -0.12, 1.0, 0.18, -0.1, 0.091, -0.05, 0.04, 0.03, 0.01)  # of d[t+2], d[t+1], ..., d[t-7]
SYMBOLS = (-3.0, -1.0, 1.0, 3.0)


def channel_equalisation(steps: int, *, snr: float = 28.0, seed: int = 0) -> Driven:
    """Draw symbols, send them through a channel, and ask for them back two steps later.

    `q[t] = 0.08*d[t+2] - 0.12*d[t+1] + d[t] + 0.18*d[t-1] - 0.1*d[t-2] + 0.091*d[t-3] - 0.05*d[t-4] + 0.04*d[t-5]
    + 0.03*d[t-6] + 0.01*d[t-7]`, `u[t] = q[t] + 0.036*q[t]^2 - 0.011*q[t]^3 + noise`, `y[t] = d[t-2]`.

    Parameters
    ----------
    steps : int, at least 1
        Length T.
    snr : float
        Power of the noiseless signal over that of the Gaussian noise, in decibel; the benchmark takes 12 to 32.
    seed : int, at least 0
        Draws the symbols, -3, -1, 1 or 3, and the noise; the symbols are the same at every snr.

    Returns
    -------
    Driven
        u (T,), what is received, and y (T,), the symbols; `y[0]` was sent before `u[0]` was received.

    Raises
    ------
    OptionError
        If an option is out of range.

    Source
    ------
    Jaeger and Haas 2004, Harnessing nonlinearity, Science 304, supporting material; the channel is that of Mathews and
    Lee 1994.

    Examples
    --------
    >>> u, y = channel_equalisation(100, snr=32)
    >>> sorted(set(y.tolist()))
    [-3.0, -1.0, 1.0, 3.0]
    """
    steps = check_range("steps", steps, 1, whole=True)
    check_range("snr", snr)
    draw = generator(seed)
    d = draw.choice(SYMBOLS, steps + len(TAPS) - 1)  # from d[-7] to d[steps + 1]
    q = np.convolve(d, TAPS, mode="valid")
    signal = q + 0.036 * q**2 - 0.011 * q**3
    noise = np.sqrt(np.mean(signal**2) / 10 ** (snr / 10))
    return Driven(signal + noise * draw.standard_normal(steps), d[5 : 5 + steps])
