"""What one step keeps of a unit's state, and how it takes in what one more synapse would bring: the terms of e-prop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cells import LTC, Cell, Leaky, Liquid
from ..errors import OptionError

Array = NDArray[np.float64]


class Local(NamedTuple):
    """`dh'/dh` (H,) by a unit's own leak alone, and `dh'/d(sum)` (K, H) for each sum a synapse would add to."""

    leak: Array
    drive: Array


def local(cell: Cell, x: Array, h: Array, dt: float = 1.0) -> Local:
    """Return the local terms of a step from h with x.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring
        On the CPU, its parameters in float64.
    x : array (F,)
    h : array (H,)
        The state before the step.
    dt : float, at least 0

    Returns
    -------
    Local
        Leaky: K = 1, `a*(1-u**2)`. Liquid: K = 2, `a*(1-u**2)` for W and `(1-a)*log(1-a)*(u-h)` for G. LTC: K = 1,
        for `sigma` = 0 of a conductance of 1, per volt of the source above mu: `sum s/4*(erev-h')/(cm+s*(gleak+D))`
        over the unfolds, each times the leaks after it.

    Raises
    ------
    OptionError
        For another cell.

    Notes
    -----
    As much as the step itself, densely. Where a learning rule has these terms already, `Probes.step` takes them.

    Source
    ------
    Bellec et al. 2020 (Nature Communications 11, 3625), e-prop, eq. 13: the eligibility of a synapse follows its
    unit's own dynamics alone.

    Examples
    --------
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.wiring import random
    >>> cell = Leaky(2, 4, tau=1.0, wiring=random(4, 2, density=0.5)).double()
    >>> local(cell, np.zeros(2), np.zeros(4), 0.0)[0].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    n = {name: getattr(cell, name).detach().numpy() for name in cell.axes}
    if isinstance(cell, LTC):
        return _conducted(cell, n, x, h, dt)
    if not isinstance(cell, Leaky | Liquid) or cell.wiring is None:
        raise OptionError(f"`cell` must be Leaky, Liquid or LTC, with a wiring; got {type(cell).__name__}.")
    live_h, live_x = cell.live_h.numpy(), cell.live_x.numpy()
    u = np.tanh((n["W_h"] * live_h) @ h + (n["W_x"] * live_x) @ x + n["b"])
    if isinstance(cell, Leaky):
        ratio = dt * np.exp(-n["log_tau"])
        leak = 1 - ratio if cell.method == "euler" else np.exp(-ratio)
        return Local(leak, ((1 - leak) * (1 - u * u))[None])
    ratio = dt * np.exp(-n["log_tau"] - (n["G_h"] * live_h) @ h - (n["G_x"] * live_x) @ x)
    leak = np.exp(-ratio)
    return Local(leak, np.stack([(1 - leak) * (1 - u * u), -leak * ratio * (u - h)]))


def _conducted(cell: LTC, n: dict[str, Array], x: Array, h: Array, dt: float) -> Local:
    def opened(source: Array, which: str) -> tuple[Array, Array]:
        live = (cell.live_x if which else cell.live_h).numpy()
        w, mu, sigma, erev = (n[name + which] for name in ("w", "mu", "sigma", "erev"))
        g = live * np.logaddexp(0.0, w) / (1 + np.exp(-sigma * (source - mu)))
        return (g * erev).sum(1), g.sum(1)

    if cell.wiring is None:
        raise OptionError("`cell` must be Leaky, Liquid or LTC, with a wiring; got LTC without one.")
    N_x, D_x = opened(x, "_x")
    gleak, cm, s = np.logaddexp(0.0, n["gleak"]), np.exp(n["log_cm"]), dt / cell.unfolds
    erev = np.where(n["vleak"] >= 0, 1.0, -1.0)  # as a synapse is born
    leak, drive = np.ones_like(h), np.zeros_like(h)
    for _ in range(cell.unfolds):
        N, D = opened(h, "")
        below = cm + s * (gleak + D_x + D)
        h = (cm * h + s * (gleak * n["vleak"] + N_x + N)) / below
        kept = cm / below
        leak, drive = kept * leak, kept * drive + s / 4 * (erev - h) / below
    return Local(leak, drive[None])
