"""Set the recurrent gain of an EchoState so that its driven states forget at a wanted pace."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from ..errors import DataError, OptionError, check_range
from ..layers.door import dt_grid
from .echo import EchoState

SATURATED, FLAT = 0.97, 0.5  # |f(z)| beyond which a unit hardly answers; the share of them that is too much
STILL = 1e-4  # the standard deviation of a state over time below which it carries nothing
GAIN, HALVINGS = 2.0**20, 40  # the gain is looked for within 1/GAIN and GAIN


class Calibration(NamedTuple):
    """What a calibration found."""

    gain: float  # what the recurrent weights were multiplied by
    lyapunov: float  # the largest conditional Lyapunov exponent now, per unit of dt
    saturated: float  # the share of activations beyond 0.97


Trial = Callable[[float], Calibration]  # of a gain


@torch.no_grad()
def calibrate_echo(
    layer: EchoState, x: Tensor, *, dt: float | Tensor = 1.0, lyapunov: float = -0.05, washout: int = 50,
    tolerance: float = 1e-3,
) -> Calibration:  # fmt: skip
    """Scale the recurrent weights, in place, until differences between states grow by `exp(lyapunov*dt)` under x.

    `lyapunov` is the mean of `log |J q| / dt`, `J = (1-a)*I + a*diag(f'(z))*W` along the states that x drives, q the
    direction that grows most: below 0 states forget, and `exp(lyapunov)` is the effective radius for dt = 1.

    Parameters
    ----------
    layer : EchoState
        Its `weight` and `radius` are changed.
    x : tensor (B, T, features + feedback)
        Typical input, all rows of full length.
    dt : float or tensor, as the layer takes it
        The time since the previous step.
    lyapunov : float
        The wanted exponent, per unit of dt.
    washout : int, at least 0, below T
        Steps at the start that do not count.
    tolerance : float, above 0
        How far from the wanted exponent it may end, as a share of it (at least 1e-6).

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        If x barely moves the states, or drives most of them into saturation: no gain can mend that.
    OptionError
        If no gain reaches `lyapunov`, or an option is out of range.

    Notes
    -----
    One run of the layer and T products with W for each of some 20 trials. A bisection: along it the exponent grows with
    the gain, though not strictly everywhere.

    Source
    ------
    Benettin et al. 1980 for the exponent, by one tangent vector; conditional on the input: Pecora and Carroll 1990.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import EchoState, reservoir
    >>> layer = EchoState(1, 100, scale=0.5, leak=1.0, radius=0.1).double()
    >>> found = reservoir.calibrate_echo(layer, torch.rand(1, 300, 1).double(), lyapunov=-0.2)
    >>> round(found.lyapunov, 2)
    -0.2
    """
    washout = check_range("washout", washout, 0, x.shape[1] - 1, whole=True)
    check_range("lyapunov", lyapunov)
    check_range("tolerance", tolerance, 0, open_low=True)
    weight = layer.cell.weight.clone()
    close = max(tolerance * abs(lyapunov), 1e-6)

    def trial(gain: float) -> Calibration:
        layer.cell.weight.copy_(weight * gain)
        return _measure(layer, x, dt, washout, gain)

    try:
        found = trial(1.0)
        if abs(found.lyapunov - lyapunov) > close:
            found = _search(trial, found, lyapunov, close)
        _refuse(found)
    except BaseException:
        layer.cell.weight.copy_(weight)
        raise
    layer.cell.options["radius"] = float(layer.cell.options["radius"] * found.gain)
    return found


def _refuse(found: Calibration) -> None:
    if found.saturated > FLAT:
        raise DataError(
            f"`x` must leave most units off their ends; got {found.saturated:.0%} of activations beyond {SATURATED} "
            f"(saturated). Lower `scale` or `bias`, or standardise x."
        )


def _search(trial: Trial, found: Calibration, lyapunov: float, close: float) -> Calibration:
    """Return the last trial, which is close."""
    up = found.lyapunov < lyapunov
    low = high = 1.0
    while (found.lyapunov < lyapunov) == up:
        if not 1 / GAIN < found.gain < GAIN:
            _refuse(trial(1 / GAIN))  # the input alone
            why = (
                "the input holds them; lower `scale`" if up else "the slowest units alone forget no faster; lower `tau`"
            )
            raise OptionError(
                f"`lyapunov` must be what some gain makes it; got {lyapunov:g}, not {found.lyapunov:.3g} ({why})."
            )
        low, high = (found.gain, 2 * found.gain) if up else (found.gain / 2, found.gain)
        found = trial(high if up else low)
    for _ in range(HALVINGS):
        if abs(found.lyapunov - lyapunov) <= close:
            return found
        found = trial(math.sqrt(low * high))
        low, high = (found.gain, high) if found.lyapunov < lyapunov else (low, found.gain)
    raise OptionError(f"`tolerance` must be wider; got {close:.2g}, and the exponent jumps past {lyapunov:g}.")


def _measure(layer: EchoState, x: Tensor, dt: float | Tensor, washout: int, gain: float) -> Calibration:
    """Run the layer and, beside it, one tangent vector a row."""
    cell = layer.cell
    y, _ = layer(x, dt=dt)
    h = y.double().cpu().numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # a linear layer grows without end where its gain is too large
        moved = np.median(h[:, washout:].std(axis=1))
    if moved <= STILL:
        raise DataError(
            f"`x` must move the states; got a standard deviation of {moved:.2g} over time (a silent reservoir). "
            "Raise `scale`, or standardise x."
        )
    B, T, H = h.shape
    place = cell.place_h.cpu().numpy()
    start = np.searchsorted(place, np.arange(H + 1) * H)
    W = csr_array((cell.weight.double().cpu().numpy(), place % H, start), shape=(H, H))
    gaps = dt_grid(dt, B, T, y.double()).cpu().numpy()
    a = -np.expm1(-gaps[:, :, None] / cell.taus().double().cpu().numpy())
    u = cell.inputs(x).double().cpu().numpy()
    q = np.random.default_rng(0).normal(size=(H, B))
    q /= np.linalg.norm(q, axis=0)
    grown, flat = np.zeros(B), 0.0
    before = np.zeros((B, H))
    for t in range(T):
        f, slope = np.zeros((B, H)), np.ones((B, H))
        if cell.activation == "tanh":
            f = np.tanh(u[:, t] + (W @ before.T).T)
            slope = 1 - f**2
        q = (1 - a[:, t]).T * q + (a[:, t] * slope).T * (W @ q)
        size = np.maximum(np.linalg.norm(q, axis=0), 1e-300)
        q /= size
        if t >= washout:
            grown += np.log(size)
            flat += float((np.abs(f) > SATURATED).mean())
        before = h[:, t]
    return Calibration(gain, float((grown / gaps[:, washout:].sum(axis=1)).mean()), flat / (T - washout))
