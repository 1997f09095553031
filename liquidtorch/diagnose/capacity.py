"""Information processing capacity: which functions of past inputs, linear or not, the states hold."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from scipy.stats import chi2
from torch import Tensor

from ..errors import OptionError, check_range
from ..layers import Layer
from .drive import Array, Times
from .memory import lagged, respond

CHANCE = 1e-4  # of a function the states know nothing of passing for a capacity
BLOCK = 256  # functions looked at together


class Capacity(NamedTuple):
    """Hold an information processing capacity.

    Parameters
    ----------
    total : float
        The sum over degrees, at most `bound` but for the scatter of the estimate.
    degrees : tuple of float
        The capacity of each total degree, from 1: the first is linear memory.
    bound : int
        The number of independent states.
    functions : int
        How many functions were asked for.
    """

    total: float
    degrees: tuple[float, ...]
    bound: int
    functions: int


def information_processing_capacity(
    layer: Layer, *, delays: Sequence[int] = (50, 10, 5), steps: int = 20_000, washout: int = 200,
    low: float | Array = -1.0, high: float | Array = 1.0, dt: Times = 1.0, seed: int = 0,
) -> Capacity:  # fmt: skip
    """Measure how much of every function of past inputs a linear readout of the states recovers.

    `C[z] = |Q^T z|^2 / |z|^2`, Q an orthonormal basis of the centred states, z a product of normalised Legendre
    polynomials of delayed inputs, `z[t] = prod_i P_(d_i)(u[t - k_i])`. The functions are orthogonal, so that their
    capacities add up to at most the number of independent states.

    Parameters
    ----------
    layer : Layer
        Its outputs y are the states; a copy is run, in float64.
    delays : sequence of int, each at least 0
        The longest delay among functions of total degree 1, 2, 3, ...
    steps : int, at least 8 times the outputs
        Samples T.
    washout : int, at least 0
        Steps before them that are not looked at.
    low, high : float or (F,)
        The range of the inputs, of each feature its own.
    dt : number or (T,), T = washout + max(delays) + steps
        Time between steps.
    seed : int, at least 0
        Draws the inputs.

    Returns
    -------
    Capacity

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    A function the states know nothing of has T*C distributed as chi-squared with r degrees of freedom, r the rank:
    below the quantile that chance passes once in 10000 C counts as 0, above it the floor r/T is taken off. A small
    capacity, below about 2*r/T, is therefore missed: take more steps. The number of functions of degree d with K
    delays of F features is binomial(F*(K+1) + d - 1, d); each costs 2*T*r.

    Source
    ------
    Dambre, Verstraeten, Schrauwen and Massar 2012, Information processing capacity of dynamical systems, Scientific
    Reports 2:514, eq. 4 and 5, theorem 7 and supplement 3.2; taking the floor off what passes is ours.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> found = information_processing_capacity(Recurrent(Leaky(1, 5)), delays=(20, 3), steps=2000)
    >>> found.bound, found.functions
    (5, 31)
    """
    if not delays:
        raise OptionError("`delays` must name the longest delay of at least degree 1; got none.")
    delays = [check_range(f"delays[{i}]", k, 0, whole=True) for i, k in enumerate(delays)]
    u, y = respond(layer, max(delays), steps, washout, low, high, dt, seed)
    past = lagged(u, max(delays)).flatten(1).T.contiguous()  # (delays * F, T), a delay's features side by side
    polynomials = legendre(past, len(delays))
    Q = _basis(y)
    floor = Q.shape[1] / len(y)
    least = float(chi2.isf(CHANCE, max(Q.shape[1], 1))) / len(y)
    found, functions = [], 0
    for degree, longest in enumerate(delays, 1):
        total = 0.0
        for z in _functions(polynomials, (longest + 1) * layer.features, degree):
            z = z - z.mean(1, keepdim=True)
            c = (z @ Q).square().sum(1) / z.square().sum(1)
            total += ((c - floor) / (1 - floor))[c > least].sum().item()
            functions += len(z)
        found.append(total)
    return Capacity(sum(found), tuple(found), Q.shape[1], functions)


def legendre(u: Tensor, degree: int) -> Tensor:
    """Return the Legendre polynomials 0 to `degree` of u in -1 to 1, (degree + 1, ...), each of mean square 1.

    Examples
    --------
    >>> legendre(torch.tensor([1.0]), 2)[:, 0].square()  # P_d(1) = 1, so what is left is 2*d + 1
    tensor([1., 3., 5.])
    """
    found = [torch.ones_like(u), u]
    for n in range(1, degree):
        found.append(((2 * n + 1) * u * found[n] - n * found[n - 1]) / (n + 1))
    return torch.stack([math.sqrt(2 * d + 1) * p for d, p in enumerate(found[: degree + 1])])


def _functions(polynomials: Tensor, variables: int, degree: int) -> Iterator[Tensor]:
    """Yield every product of total degree `degree` of the first variables, in blocks (functions, T)."""
    every = itertools.combinations_with_replacement(range(variables), degree)
    while block := list(itertools.islice(every, BLOCK)):
        yield torch.stack([
            math.prod((polynomials[d, i] for i, d in Counter(chosen).items()), start=torch.ones(()).to(polynomials))
            for chosen in block
        ])  # fmt: skip


def _basis(y: Tensor) -> Tensor:
    """Return an orthonormal basis (T, r) of the centred columns of y, without those directions that are rounding."""
    y = y - y.mean(0)
    U, s, _ = torch.linalg.svd(y, full_matrices=False)
    return U[:, s > s[0] * torch.finfo(y.dtype).eps * max(y.shape)]
