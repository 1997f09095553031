"""One random generator for each seed."""

from __future__ import annotations

import numpy as np

from ..errors import check_range


def generator(seed: int) -> np.random.Generator:
    """Return NumPy's generator for a seed of at least 0.

    Examples
    --------
    >>> generator(3).integers(10, size=4).tolist() == generator(3).integers(10, size=4).tolist()
    True
    """
    return np.random.default_rng(check_range("seed", seed, 0, whole=True))
