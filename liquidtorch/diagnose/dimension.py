"""How many directions states fill, and how unevenly."""

from __future__ import annotations

import math

import torch

from .drive import Array, as_matrix


def effective_dimension(states: Array) -> float:
    """Return the participation ratio of the states' variances.

    `(sum of l_i)^2 / (sum of l_i^2)`, l_i the eigenvalues of the covariance: n where n directions vary equally.

    Parameters
    ----------
    states : (..., N)
        One state a row.

    Returns
    -------
    float
        1 to N; 0 where nothing varies.

    Raises
    ------
    ShapeError, DataError
        If `states` is no matrix, or not finite.

    Notes
    -----
    O(rows * N^2); no eigenvalue is computed, for the sums are traces of C and C^2.

    Source
    ------
    Rigotti et al. 2013 and Litwin-Kumar et al. 2017, Optimal degrees of synaptic connectivity, Neuron 93, eq. 1.

    Examples
    --------
    >>> effective_dimension(torch.eye(3).repeat(2, 1) * torch.tensor([1.0, 1.0, 0.0]) * 5)
    1.6
    """
    s = centred_spectrum(states).square()
    return round((s.sum() ** 2 / s.square().sum()).item(), 12) if s[0] > 0 else 0.0


def condition_number(states: Array) -> float:
    """Return the largest over the smallest singular value of the centred states.

    Parameters
    ----------
    states : (..., N)
        One state a row.

    Returns
    -------
    float
        At least 1; infinite where states span fewer than N directions. Above 1e7 a readout solved from `X^T X` loses
        its digits; above 4.5e15 over the larger side of the matrix, where the smallest is rounding, it is infinite.

    Raises
    ------
    ShapeError, DataError
        If `states` is no matrix, or not finite.

    Examples
    --------
    >>> condition_number([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    2.0
    """
    matrix = as_matrix(states)
    s = centred_spectrum(matrix)
    spans = len(s) == matrix.shape[1] and s[-1] > s[0] * torch.finfo(s.dtype).eps * max(matrix.shape)
    return (s[0] / s[-1]).item() if spans else math.inf


def centred_spectrum(states: Array) -> torch.Tensor:
    """Return the singular values of the states less their mean, largest first."""
    matrix = as_matrix(states)
    return torch.linalg.svdvals(matrix - matrix.mean(0))
