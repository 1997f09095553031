"""One unfold of LTC, with its derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from .local import Local
from .slots import Affine, Floats


class LTCLocal(Local, kind="LTC"):
    """`h' = (cm*h + s*(gleak*vleak + N)) / (cm + s*(gleak + D))`, s = dt/unfolds, a part of a step being one unfold.

    w and gleak are differentiated after their softplus, cm after its exponential.
    """

    maps = (Affine("w", "w_x"), Affine("mu", "mu_x"), Affine("sigma", "sigma_x"), Affine("erev", "erev_x"))
    singles = ("gleak", "vleak", "log_cm")
    shared = frozenset({"mu", "sigma", "erev"})

    def __init__(self, cell: Any) -> None:
        self.repeats = cell.unfolds
        super().__init__(cell)

    def prepare(self) -> None:
        """Make the conductances positive, and 0 where there is no synapse."""
        w, self.mu, self.sigma, self.erev = (self.theta[:, columns] for columns in self.slots.columns)
        gleak, self.vleak, log_cm = self.theta[:, -3:].T
        self.w = np.logaddexp(0, w) * self.slots.live
        self.gleak, self.cm = np.logaddexp(0, gleak), np.exp(log_cm)
        self.chain = np.ones_like(self.theta)
        self.chain[:, self.slots.columns[0]] = expit(w)
        self.chain[:, -3] = expit(gleak)
        self.chain[:, -1] = self.cm

    def begin(self, x: Floats, dt: float) -> None:
        """Read x and the length of an unfold."""
        self.read[self.slots.units : -2] = x
        self.s = dt / self.repeats

    def advance(self, h: Floats) -> Floats:
        """Make one semi-implicit step (Hasani 2021, eq. 3)."""
        self.read[: len(h)] = h
        away = self.read.take(self.sources) - self.mu
        open_ = expit(self.sigma * away)
        g = self.w * open_
        den = self.cm + self.s * (self.gleak + g.sum(1))
        num = self.cm * h + self.s * (self.gleak * self.vleak + np.einsum("ij,ij->i", g, self.erev))
        new = num / den
        self.leak = self.cm / den
        k = self.k = (self.s / den)[:, None]
        pull = k * (self.erev - new[:, None])
        self.slope = g * (1 - open_) * pull  # dh'_i/d(sigma*(v - mu))
        of_w, of_mu, of_sigma, of_erev = (self.immediate[:, columns] for columns in self.slots.columns)
        np.multiply(open_, pull, out=of_w)
        np.multiply(self.slope, -self.sigma, out=of_mu)
        np.multiply(self.slope, away, out=of_sigma)
        np.multiply(k, g, out=of_erev)
        self.immediate[:, -3] = k[:, 0] * (self.vleak - new)
        self.immediate[:, -2] = k[:, 0] * self.gleak
        self.immediate[:, -1] = (h - new) / den
        return new

    def newborn(self, h: Floats) -> Floats:
        """Return `s/4*(erev-h')/den`: for `sigma` of a conductance of 1 that is born at 0, per volt above mu."""
        side = np.where(self.vleak >= 0, 1.0, -1.0)  # the erev it is born with
        return self.k.T / 4 * (side - h)

    def jacobian(self) -> Floats:
        """Return `w*s'*sigma*(erev - h')*s/den`."""
        return (self.slope * self.sigma)[:, : self.slots.fan_h]
