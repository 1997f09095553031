"""The future of each row: what a forecast is trained on and scored against."""

from __future__ import annotations

import numpy as np

from ..data.sequences import Sequences
from ..errors import DataError, check_range


def ahead(seqs: Sequences, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets 1..H rows after each row, and how far ahead in time they lie.

    Parameters
    ----------
    seqs : Sequences
        The data; its targets belong to the steps.
    horizon : int, at least 1
        H.

    Returns
    -------
    (values, gaps) : float64 (rows, H, O) and float64 (rows, H)
        NaN where the series has ended by then, and in `values` where the target itself is missing.

    Examples
    --------
    >>> from liquidtorch.data import from_arrays
    >>> seqs = from_arrays([[1.0, 2.0, 4.0], [7.0, 8.0]], dt=0.5, forecast=True)
    >>> values, gaps = ahead(seqs, 2)
    >>> values[:, :, 0].tolist()
    [[2.0, 4.0], [4.0, nan], [nan, nan], [8.0, nan], [nan, nan]]
    >>> gaps[0].tolist()
    [0.5, 1.0]
    """
    check_range("horizon", horizon, 1, whole=True)
    if seqs.target is None or seqs.level != "step":
        raise DataError("`target` must belong to the steps to be foretold; it is missing or belongs to the series.")
    rows = seqs.rows
    values = np.full((rows, horizon, len(seqs.targets)), np.nan)
    gaps = np.full((rows, horizon), np.nan)
    left = np.repeat(seqs.offsets[1:], seqs.lengths) - 1 - np.arange(rows)  # rows that follow in the series
    elapsed = np.zeros(rows)
    for h in range(1, min(horizon, int(left.max())) + 1):
        here = np.flatnonzero(left >= h)
        elapsed[here] += seqs.dt[here + h]
        values[here, h - 1] = seqs.target[here + h]
        gaps[here, h - 1] = elapsed[here]
    return values, gaps
