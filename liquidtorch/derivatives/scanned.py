"""One step of Linear and of Mobius, with its derivatives: units that feel only the input and themselves."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from .affine import AffineLocal, Relaxed
from .slots import Affine, Floats


class LinearLocal(AffineLocal, kind="Linear"):
    """`h' = a*h + (1-a)*A*f/(1 + f)`, `a = exp(-dt*(1 + f)/tau)`; all of dh'/dh is leak."""

    maps = (Affine(None, "W_f", "b_f"), Affine(None, "W_A", "b_A"))
    singles = ("log_tau",)
    couples = False

    def relax(self, h: Floats, *sums: Floats) -> Relaxed:
        """Relax every unit towards its target."""
        f, A, s = np.logaddexp(0, sums[0]), np.tanh(sums[1]), self.s / self.tau
        share, r = f / (1 + f), s * (1 + f)
        leak, a, away = np.exp(-r), -np.expm1(-r), h - share * A
        of_f = (a * A / (1 + f) ** 2 - s * leak * away) * expit(sums[0])
        return Relaxed(leak * h + a * share * A, leak, (of_f, a * share * (1 - A * A)), r * leak * away)


class MobiusLocal(AffineLocal, kind="Mobius"):
    """`h' = (h + s*c*A) / (1 + s*(1 + c))`, `c = f + k*(1 + h)`; all of dh'/dh counts as leak."""

    maps = (Affine(None, "W_f", "b_f"), Affine(None, "W_k", "b_k"), Affine(None, "W_A", "b_A"))
    singles = ("log_tau",)
    couples = False

    def relax(self, h: Floats, *sums: Floats) -> Relaxed:
        """Take LTC's fused step with one synapse from each unit to itself."""
        f, k, A = np.logaddexp(0, sums[0]), np.logaddexp(0, sums[1]), np.tanh(sums[2])
        s = self.s / self.tau
        c = f + k * (1 + h)
        den = 1 + s * (1 + c)
        new = (h + s * c * A) / den
        of_c = s * (A - new) / den
        drive = of_c * expit(sums[0]), of_c * (1 + h) * expit(sums[1]), s * c / den * (1 - A * A)
        return Relaxed(new, 1 / den + of_c * k, drive, -s * (c * A - new * (1 + c)) / den)
