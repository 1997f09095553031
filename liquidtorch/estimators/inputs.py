"""What scikit-learn hands over, read as series: a table (N, T), an array (N, T, F), or a list of (T_i, F)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ..errors import DataError, ShapeError

Pieces = list[np.ndarray]  # one series each, (T_i, F)
REAL: Any = np.float64


def read_series(estimator: Any, X: Any, *, reset: bool) -> Pieces:
    """Read `X` as series of float64, and hold its features to those of `fit` (with `reset`, note them).

    A table (N, T) is N series of T steps of one feature; scikit-learn counts its columns, so `n_features_in_` is T.
    Otherwise it is F. NaN is a missing value; infinity is refused.
    """
    pieces = _pieces(X)
    axes = 2 if pieces is None else 3
    if not reset and estimator.axes_in_ != axes:
        wanted = {2: "a table (series, time)", 3: "an array (series, time, features) or a list of (time, features)"}
        raise ShapeError(f"`X` must be {wanted[estimator.axes_in_]}, as in fit; got {wanted[axes]}.")
    series = list(_numbers(estimator, X, reset)[:, :, None]) if pieces is None else _joined(estimator, pieces, reset)
    if reset:
        estimator.axes_in_ = axes
    return series


def read_future(estimator: Any, X: Any, *, reset: bool) -> tuple[Pieces, bool]:
    """Read `X` as series to be foretold, and say whether it is one series alone: (T,) or (T, F)."""
    pieces = _pieces(X)
    if pieces is not None:
        return _joined(estimator, pieces, reset), False
    alone = np.asarray(X)[:, None] if np.ndim(X) == 1 else X
    return [_numbers(estimator, alone, reset)], True


def _numbers(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    return np.asarray(validate_data(estimator, X, reset=reset, dtype=REAL, ensure_all_finite="allow-nan"))


def _joined(estimator: Any, pieces: Pieces, reset: bool) -> Pieces:
    """Check all series at once, as rows of F columns."""
    ends = np.cumsum([len(piece) for piece in pieces])
    return np.split(_numbers(estimator, np.concatenate(pieces), reset), ends[:-1])


def _pieces(X: Any) -> Pieces | None:
    """Return the series of an array (N, T, F) or a list of (T_i, F); None where X is to be a table."""
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) == 2:
        return _listed(X)
    if getattr(X, "ndim", 2) != 3:
        return None
    whole = np.asarray(X)
    if not whole.size:
        raise DataError(f"`X` must hold at least one series, step and feature; got the shape {whole.shape}.")
    return list(whole)


def _listed(X: Sequence[Any]) -> Pieces:
    pieces: Pieces = []
    for i, one in enumerate(X):
        piece = check_array(one, dtype=REAL, ensure_all_finite=False, input_name=f"X[{i}]")
        if pieces and piece.shape[1] != pieces[0].shape[1]:
            raise ShapeError(
                f"`X[{i}]` must have the shape (time, features={pieces[0].shape[1]}), as `X[0]`; got {piece.shape}."
            )
        pieces.append(piece)
    return pieces
