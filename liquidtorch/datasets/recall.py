"""Tasks of memory alone: repeat what came, its parity, or the last pulse."""

from __future__ import annotations

import numpy as np

from ..errors import check_range
from .driven import Driven
from .seeds import generator


def delayed_recall(steps: int, *, delay: int = 10, seed: int = 0) -> Driven:
    """Ask for the input of `delay` steps ago.

    `y[t] = u[t - delay]`, u uniform in [-1, 1].

    Parameters
    ----------
    steps : int, at least 1
        Length T.
    delay : int, at least 0
        In steps.
    seed : int, at least 0
        Draws the input.

    Returns
    -------
    Driven
        u (T,) and y (T,). The first `delay` answers lie before `u[0]` and nobody can know them: leave them out.

    Raises
    ------
    OptionError
        If an option is out of range.

    Source
    ------
    Jaeger 2001, Short term memory in echo state networks, GMD report 152, section 2.

    Examples
    --------
    >>> u, y = delayed_recall(100, delay=3)
    >>> bool((y[3:] == u[:-3]).all())
    True
    """
    steps = check_range("steps", steps, 1, whole=True)
    delay = check_range("delay", delay, 0, whole=True)
    drawn = generator(seed).uniform(-1, 1, steps + delay)
    return Driven(drawn[delay:], drawn[:steps])


def temporal_parity(steps: int, *, order: int = 3, delay: int = 0, seed: int = 0) -> Driven:
    """Ask for the parity of the last `order` bits, `delay` steps ago; of order 2 it is XOR.

    `y[t] = u[t-delay] * u[t-delay-1] * ... * u[t-delay-order+1]`, u -1 or 1.

    Parameters
    ----------
    steps : int, at least 1
        Length T.
    order : int, at least 1
        How many bits.
    delay : int, at least 0
        In steps.
    seed : int, at least 0
        Draws the input.

    Returns
    -------
    Driven
        u (T,) and y (T,), each -1 or 1. The first `delay + order - 1` answers hang on bits before `u[0]`: leave them
        out.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    From order 2 on no linear function of the bits has anything to do with y: a linear memory scores by chance.

    Source
    ------
    Bertschinger and Natschlaeger 2004, Real-time computation at the edge of chaos in recurrent neural networks, Neural
    Computation 16, section 5.

    Examples
    --------
    >>> u, y = temporal_parity(100, order=2)
    >>> bool((y[1:] == u[1:] * u[:-1]).all())
    True
    """
    steps = check_range("steps", steps, 1, whole=True)
    order = check_range("order", order, 1, whole=True)
    delay = check_range("delay", delay, 0, whole=True)
    bits = generator(seed).choice([-1.0, 1.0], steps + delay + order - 1)
    y = np.prod([bits[i : i + steps] for i in range(order)], axis=0)
    return Driven(bits[-steps:], y)


def flip_flop(steps: int, *, bits: int = 3, rate: float = 0.05, seed: int = 0) -> Driven:
    """Send rare pulses of -1 or 1 on each line, and ask for the sign of the last one on each.

    `y[t] = u[t]` where a pulse comes, else `y[t-1]`; 0 before a line's first pulse.

    Parameters
    ----------
    steps : int, at least 1
        Length T.
    bits : int, at least 1
        Lines F.
    rate : float, above 0 to 1
        Chance of a pulse a step on each line.
    seed : int, at least 0
        Draws the pulses.

    Returns
    -------
    Driven
        u (T, F) and y (T, F).

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    A fading memory forgets the bit; a network that scores at every gap has attractors.

    Source
    ------
    Sussillo and Barak 2013, Opening the black box, Neural Computation 25, section 3.

    Examples
    --------
    >>> u, y = flip_flop(200, bits=2)
    >>> u.shape, y.shape
    ((200, 2), (200, 2))
    """
    steps = check_range("steps", steps, 1, whole=True)
    bits = check_range("bits", bits, 1, whole=True)
    check_range("rate", rate, 0, 1, open_low=True)
    draw = generator(seed)
    u = draw.choice([-1.0, 1.0], (steps, bits)) * (draw.random((steps, bits)) < rate)
    last = np.maximum.accumulate(np.where(u != 0, np.arange(steps)[:, None], -1), axis=0)  # the latest pulse's step
    return Driven(u, np.where(last < 0, 0.0, np.take_along_axis(u, np.maximum(last, 0), axis=0)))
