"""What every driven task is: an input, and the answer due at each of its steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Driven(NamedTuple):
    """Hold an input and, step by step, the answer that is due once that step's input is known.

    Parameters
    ----------
    u : (T,) or (T, F) float64
        The input.
    y : (T,) or (T, O) float64
        The answers; `y[t]` depends on `u[:t+1]` alone, and on noise where there is some.
    """

    u: np.ndarray
    y: np.ndarray
