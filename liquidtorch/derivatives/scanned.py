"""One step of Linear and of Mobius, with its derivatives: units that feel only the input and themselves."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from .local import Local
from .slots import Affine, Floats


class LinearLocal(Local, kind="Linear"):
    """`h' = a*h + (1-a)*A*f/(1 + f)`, `a = exp(-dt*(1 + f)/tau)`; all of dh'/dh is leak."""

    maps = (Affine(None, "W_f", "b_f"), Affine(None, "W_A", "b_A"))
    singles = ("log_tau",)
    couples = False

    def prepare(self) -> None:
        """Keep both maps and tau."""
        self.W_f, self.W_A = (self.theta[:, columns] for columns in self.slots.columns)
        self.tau = np.exp(self.theta[:, -1])

    def begin(self, x: Floats, dt: float) -> None:
        """Find the gates, which depend on x alone."""
        self.read[self.slots.units : -2] = x
        self.v = self.read.take(self.sources)
        z = np.einsum("ij,ij->i", self.W_f, self.v)
        self.f, self.A = np.logaddexp(0, z), np.tanh(np.einsum("ij,ij->i", self.W_A, self.v))
        self.df, self.s = expit(z), dt / self.tau

    def advance(self, h: Floats) -> Floats:
        """Relax every unit towards its target."""
        share = self.f / (1 + self.f)
        r = self.s * (1 + self.f)
        self.leak = np.exp(-r)
        a = -np.expm1(-r)
        away = h - share * self.A
        of_f = (a * self.A / (1 + self.f) ** 2 - self.s * self.leak * away) * self.df
        of_A = a * share * (1 - self.A**2)
        first, second = self.slots.columns
        np.multiply(of_f[:, None], self.v, out=self.immediate[:, first])
        np.multiply(of_A[:, None], self.v, out=self.immediate[:, second])
        self.immediate[:, -1] = r * self.leak * away
        return self.leak * h + a * share * self.A


class MobiusLocal(Local, kind="Mobius"):
    """`h' = (h + s*c*A) / (1 + s*(1 + c))`, `c = f + k*(1 + h)`; all of dh'/dh counts as leak."""

    maps = (Affine(None, "W_f", "b_f"), Affine(None, "W_k", "b_k"), Affine(None, "W_A", "b_A"))
    singles = ("log_tau",)
    couples = False

    def prepare(self) -> None:
        """Keep the three maps and tau."""
        self.W_f, self.W_k, self.W_A = (self.theta[:, columns] for columns in self.slots.columns)
        self.tau = np.exp(self.theta[:, -1])

    def begin(self, x: Floats, dt: float) -> None:
        """Find the gates, which depend on x alone."""
        self.read[self.slots.units : -2] = x
        self.v = self.read.take(self.sources)
        z_f, z_k, z_A = (np.einsum("ij,ij->i", W, self.v) for W in (self.W_f, self.W_k, self.W_A))
        self.f, self.k, self.A = np.logaddexp(0, z_f), np.logaddexp(0, z_k), np.tanh(z_A)
        self.df, self.dk, self.s = expit(z_f), expit(z_k), dt / self.tau

    def advance(self, h: Floats) -> Floats:
        """Take LTC's fused step with one synapse from each unit to itself."""
        c = self.f + self.k * (1 + h)
        den = 1 + self.s * (1 + c)
        new = (h + self.s * c * self.A) / den
        of_c = self.s * (self.A - new) / den
        self.leak = 1 / den + of_c * self.k
        gains = of_c * self.df, of_c * (1 + h) * self.dk, self.s * c / den * (1 - self.A**2)
        for gain, columns in zip(gains, self.slots.columns, strict=True):
            np.multiply(gain[:, None], self.v, out=self.immediate[:, columns])
        self.immediate[:, -1] = -self.s * (c * self.A - new * (1 + c)) / den
        return new
