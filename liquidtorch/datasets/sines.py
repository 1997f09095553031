"""Multiple superimposed oscillators: sines whose sum never repeats."""

from __future__ import annotations

import numpy as np

from ..errors import check_range

FREQUENCIES = (0.2, 0.311, 0.42, 0.51, 0.63, 0.74, 0.85, 0.97)  # radians a step


def mso(steps: int, *, sines: int = 8) -> np.ndarray:
    """Add up sines of incommensurable frequencies.

    `y[t] = sin(0.2*t) + sin(0.311*t) + ...`, the first `sines` of 0.2, 0.311, 0.42, 0.51, 0.63, 0.74, 0.85, 0.97.

    Parameters
    ----------
    steps : int, at least 1
        Length T.
    sines : int, 1 to 8
        How many.

    Returns
    -------
    (steps,) float64
        Not divided by `sines`.

    Raises
    ------
    OptionError
        If an option is out of range.

    Source
    ------
    Jaeger 2004 for two; Schmidhuber, Wierstra, Gagliolo and Gomez 2007, Training recurrent networks by Evolino, Neural
    Computation 19, for five; Koryakin, Lohmann and Butz 2012, Balanced echo state networks, Neural Networks 36, for
    eight.

    Examples
    --------
    >>> mso(3, sines=2).round(4).tolist()
    [0.0, 0.5047, 0.9721]
    """
    steps = check_range("steps", steps, 1, whole=True)
    sines = check_range("sines", sines, 1, len(FREQUENCIES), whole=True)
    return np.sin(np.outer(np.arange(steps), FREQUENCIES[:sines])).sum(axis=1)
