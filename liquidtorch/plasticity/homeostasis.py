"""Homeostasis: units of a fixed or untrained network keep their activations near a target, each by itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cells import Leaky
from ..errors import OptionError, check_range, check_shape
from ..layers import Recurrent
from ..reservoir import Echo, Radius, radius

Array = NDArray[np.float64]


class Homeostasis(NamedTuple):
    """What became of each unit's gain (H,), its bias (H,), and the spectral radius of W, before and after."""

    gain: Array
    bias: Array
    before: Radius
    after: Radius


def intrinsic(
    layer: Recurrent, x: Tensor, *, mean: float = 0.0, std: float = 0.3, rate: float = 1e-3, passes: int = 1,
    dt: float = 1.0, limit: float | None = None,
) -> Homeostasis:  # fmt: skip
    """Let every unit of a reservoir find the gain and the bias at which its activations are Gaussian, in place.

    With n = W_x x + W h and u = tanh(a*n + b), at every row
    `db = -rate*(-mean/std**2 + u/std**2*(2*std**2 + 1 - u**2 + mean*u))`, `da = rate/a + db*n`. At the end the rows of
    W_x and W are multiplied by a, and b is the bias.

    Parameters
    ----------
    layer : EchoState of tanh units, or Recurrent(Leaky)
        Whose numbers are changed.
    x : tensor (B, T, F)
        What drives it; B series at once, each from the initial state, whose changes are averaged.
    mean, std : float
        Of the Gaussian, -1 to 1 and above 0.
    rate : float, above 0
        Well below (std/n)**2, n the size of the sums at the start; else gains jump instead of settling.
    passes : int, at least 1
        How often x is gone through.
    dt : float, at least 0
        Time between rows.
    limit : float, above 0, optional
        The largest spectral radius W may have afterwards: beyond it W is scaled back to it.

    Returns
    -------
    Homeostasis
        The radius is measured again, for higher gains raise it.

    Raises
    ------
    OptionError
        If the layer is another, or an option out of range.
    ShapeError
        If x is not (B, T, F).

    Notes
    -----
    H*(H+F) multiply-adds a row and series, densely, in NumPy. The reservoir's `config` no longer makes the same
    weights; its `state_dict` holds them. The target is met where x drives the units: a network whose radius has grown
    well beyond 1 moves by itself, and moves otherwise once the biases no longer follow it.

    Source
    ------
    Schrauwen et al. 2008 (Neurocomputing 71), "Improving reservoirs using intrinsic plasticity", eq. 8 and 9, for tanh;
    leaky units as there: on the tanh, before the leak.

    Examples
    --------
    >>> from liquidtorch import EchoState
    >>> layer = EchoState(1, 50, radius=0.9, scale=0.1, tau=1.0, seed=0).double()
    >>> x = torch.randn(4, 500, 1, dtype=torch.float64)
    >>> found = intrinsic(layer, x, std=0.3, rate=5e-3, limit=1.0)
    >>> bool((found.gain > 1).any()), found.after.value <= 1.0 + 1e-9
    (True, True)
    """
    mean, std = check_range("mean", mean, -1, 1), check_range("std", std, 0, open_low=True)
    rate = check_range("rate", rate, 0, open_low=True)
    body = _Body(layer, x, dt)
    gain, bias = np.ones_like(body.b), body.b.copy()

    def adapted(n: Array) -> Array:
        u = np.tanh(gain * n + bias)
        db = -rate * (-mean / std**2 + u / std**2 * (2 * std**2 + 1 - u * u + mean * u))  # eq. 9
        gain[:] += (rate / gain + db * n).mean(0)  # eq. 8
        bias[:] += db.mean(0)
        return u

    for _ in range(check_range("passes", passes, 1, whole=True)):
        body.run(adapted)
    return body.written(gain, bias, limit)


def scaling(
    layer: Recurrent, x: Tensor, *, target: float = 0.3, rate: float = 0.5, passes: int = 20, dt: float = 1.0,
    limit: float | None = None,
) -> Homeostasis:  # fmt: skip
    """Scale each unit's incoming weights until it is, on average, as active as is wanted, in place.

    `W_i <- W_i*(1 + rate*(target - r_i))`, W_x alike, r_i the mean of |tanh(n_i + b_i)| over a pass.

    Parameters
    ----------
    layer, x, dt, limit
        As for `intrinsic`.
    target : float, above 0, below 1
        The wanted mean of |u|.
    rate : float, above 0, at most 1
    passes : int, at least 1
        How often x is gone through.

    Returns
    -------
    Homeostasis
        Its `bias` is as it was.

    Raises
    ------
    OptionError, ShapeError
        As for `intrinsic`.

    Notes
    -----
    A bias larger than atanh(target) cannot be made up for by weights.

    Source
    ------
    Turrigiano et al. 1998 (Nature 391), synaptic scaling: multiplicative, towards a rate.

    Examples
    --------
    >>> from liquidtorch import EchoState
    >>> layer = EchoState(1, 50, radius=0.5, scale=0.1, seed=0).double()
    >>> bool((scaling(layer, torch.randn(2, 200, 1, dtype=torch.float64), passes=5).gain > 1).all())
    True
    """
    target = check_range("target", target, 0, 1, open_low=True)
    rate = check_range("rate", rate, 0, 1, open_low=True)
    body = _Body(layer, x, dt)
    gain, active, rows = np.ones_like(body.b), np.zeros_like(body.b), max(x.shape[1], 1)

    def felt(n: Array) -> Array:
        u = np.tanh(gain * n + body.b)
        active[:] += np.abs(u).mean(0) / rows
        return u

    for _ in range(check_range("passes", passes, 1, whole=True)):
        active[:] = 0.0
        body.run(felt)
        gain *= 1 + rate * (target - active)
    return body.written(gain, body.b, limit)


class _Body:
    """A reservoir as dense float64 matrices."""

    def __init__(self, layer: Recurrent, x: Tensor, dt: float) -> None:
        cell = layer.cell if isinstance(layer, Recurrent) else None
        if not isinstance(cell, Echo | Leaky) or (isinstance(cell, Echo) and cell.activation != "tanh"):
            raise OptionError("`layer` must be an EchoState of tanh units or a Recurrent(Leaky); got another.")
        self.cell = cell
        check_shape("x", x.shape, ("batch", "time", "features"), features=cell.features)
        check_range("dt", dt, 0)
        self.x = x.detach().double().cpu().numpy()
        self.W, self.W_x, self.b, tau = (_numbers(v) for v in (self._dense(), cell.W_x, cell.b, cell.log_tau.exp()))
        if isinstance(cell, Leaky) and cell.live_x is not None:
            self.W_x = self.W_x * _numbers(cell.live_x)
        euler = isinstance(cell, Leaky) and cell.method == "euler"
        self.a = dt / tau if euler else -np.expm1(-dt / tau)

    def _dense(self) -> Tensor:
        cell = self.cell
        if isinstance(cell, Leaky):
            return cell.W_h if cell.live_h is None else cell.W_h * cell.live_h
        W = cell.weight.new_zeros(cell.units * cell.units)
        W[cell.place_h] = cell.weight
        return W.view(cell.units, cell.units)

    def run(self, activation: Any) -> None:
        """Go through x once: `activation` takes n (B, H) and returns u."""
        h = np.zeros((len(self.x), len(self.b)))
        for t in range(self.x.shape[1]):
            h += self.a * (activation(self.x[:, t] @ self.W_x.T + h @ self.W.T) - h)

    @torch.no_grad()
    def written(self, gain: Array, bias: Array, limit: float | None) -> Homeostasis:
        """Write gains and biases into the cell, scale back what has become too large, and measure."""
        cell, before = self.cell, _radius(self.W)
        W = self.W * gain[:, None]
        after = _radius(W)
        if limit is not None and after.value > check_range("limit", limit, 0, open_low=True):
            W *= limit / after.value
            after = _radius(W)
        cell.W_x.mul_(torch.from_numpy(gain).to(cell.W_x)[:, None])
        cell.b.copy_(torch.from_numpy(bias))
        if isinstance(cell, Leaky):
            cell.W_h.copy_(torch.from_numpy(W))
        else:
            cell.weight.copy_(torch.from_numpy(W.ravel())[cell.place_h.cpu()])
        return Homeostasis(gain, bias.copy(), before, after)


def _numbers(value: Tensor) -> Array:
    return value.detach().double().cpu().numpy().copy()


def _radius(W: Array) -> Radius:
    place = np.flatnonzero(W)
    return radius(place, W.ravel()[place], len(W))
