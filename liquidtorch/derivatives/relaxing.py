"""One step of Leaky and of Liquid, with its derivatives."""

from __future__ import annotations

import numpy as np

from .affine import AffineLocal, Relaxed
from .slots import Affine, Floats


class LeakyLocal(AffineLocal, kind="Leaky"):
    """`u = tanh(W v)` over `v = [h, x, 1]`, `h' = (1-a)*h + a*u`, a of dt and tau."""

    maps = (Affine("W_h", "W_x", "b"),)
    singles = ("log_tau",)

    def relax(self, h: Floats, *sums: Floats) -> Relaxed:
        """Relax every unit towards the tanh of its inputs."""
        u, s = np.tanh(sums[0]), self.s / self.tau
        a, slope = (s, -s) if self.cell.method == "euler" else (-np.expm1(-s), -s * np.exp(-s))
        return Relaxed((1 - a) * h + a * u, 1 - a, (a * (1 - u * u),), slope * (u - h))


class LiquidLocal(AffineLocal, kind="Liquid"):
    """As Leaky "exact", with `tau = exp(G v)` over the same `v`, its bias being log_tau."""

    maps = (Affine("W_h", "W_x", "b"), Affine("G_h", "G_x", "log_tau"))

    def relax(self, h: Floats, *sums: Floats) -> Relaxed:
        """Relax every unit at its own pace."""
        u = np.tanh(sums[0])
        s = self.s * np.exp(np.minimum(-sums[1], 80.0))  # dt/tau, finite as in ops.reference
        leak, a = np.exp(-s), -np.expm1(-s)
        return Relaxed(leak * h + a * u, leak, (a * (1 - u * u), -s * leak * (u - h)), None)
