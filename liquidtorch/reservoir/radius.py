"""The spectral radius of a sparse matrix, fast."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import ArpackError, eigs

DENSE = 400  # units up to which all eigenvalues are found in a tenth of a second
KRYLOV = 250  # vectors: ten times ARPACK's own choice, for a random matrix has many eigenvalues near its edge
RESIDUAL = 1e-2  # of the eigenvectors; the radius is then known to about 1e-3
RESTARTS = 10


class Radius(NamedTuple):
    """A spectral radius, and how it was found."""

    value: float
    how: str


def radius(place: np.ndarray, weight: np.ndarray, units: int) -> Radius:
    """Return the largest modulus of an eigenvalue, `max |lambda_i(W)|`.

    Parameters
    ----------
    place : array (S,) of int64, ascending
        `to*units + source` of each weight.
    weight : array (S,)
        The weights that are there.
    units : int
        How many there are.

    Returns
    -------
    Radius
        `value`, and `how`: "all eigenvalues" up to 400 units, else "Arnoldi" to about 1e-3 of the value; "all
        eigenvalues (Arnoldi did not converge)" where it had to be taken the long way, units**3.

    Notes
    -----
    Eigenvalues of a random matrix fill a disk, so its edge is crowded: with few vectors Arnoldi's method restarts
    hundreds of times. With 250 it seldom needs more than 251 products, which are taken in float32: below a second for
    5000 units of density 0.1, on one core. The start is fixed, so the same matrix gives the same number.

    Source
    ------
    Lehoucq, Sorensen and Yang, ARPACK users' guide (1998), the implicitly restarted Arnoldi method, by SciPy.

    Examples
    --------
    >>> import numpy as np
    >>> radius(np.array([1, 2]), np.array([2.0, 0.0]), 2)
    Radius(value=0.0, how='all eigenvalues')
    """
    start = np.searchsorted(place, np.arange(units + 1) * units)
    W = csr_array((weight, (place % units).astype(np.int32), start.astype(np.int32)), shape=(units, units))
    failed = ""
    if units > DENSE:
        options: Any = {"ncv": KRYLOV, "tol": RESIDUAL, "maxiter": RESTARTS, "return_eigenvectors": False}
        first = np.random.default_rng(0).normal(size=units).astype(np.float32)
        largest = np.abs(weight).max(initial=0) or 1.0
        try:  # in half of the memory, whose bandwidth is what a product takes; two, for the leading ones may be a pair
            found = eigs((W / largest).astype(np.float32), k=2, v0=first, **options)
            return Radius(float(np.abs(found).max()) * float(largest), "Arnoldi")
        except ArpackError:
            failed = " (Arnoldi did not converge)"
    return Radius(float(np.abs(np.linalg.eigvals(W.toarray())).max()), "all eigenvalues" + failed)
