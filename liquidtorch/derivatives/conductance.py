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
    drives = 1  # sigma of a conductance of 1 that is born at 0, per volt above mu

    def __init__(self, cell: Any) -> None:
        self.repeats = cell.unfolds
        super().__init__(cell)

    def prepare(self) -> None:
        """Make the conductances positive, and 0 where there is no synapse."""
        w, self.mu, self.sigma, self.erev = (self.theta[:, columns] for columns in self.slots.columns)
        self.of_gleak, self.of_vleak, self.of_cm = (self.slots.single[name] for name in self.singles)
        gleak, self.vleak, log_cm = self.theta[:, [self.of_gleak, self.of_vleak, self.of_cm]].T
        self.w = np.logaddexp(0, w) * self.slots.live
        self.gleak, self.cm = np.logaddexp(0, gleak), np.exp(log_cm)
        self.chain = np.ones_like(self.theta)
        self.chain[:, self.slots.columns[0]] = expit(w)
        self.chain[:, self.of_gleak] = expit(gleak)
        self.chain[:, self.of_cm] = self.cm

    def part(self) -> Floats:
        """Make one semi-implicit step (Hasani 2021, eq. 3)."""
        h = self.read[: self.slots.units]
        away = self.read.take(self.sources) - self.mu
        open_ = expit(self.sigma * away)
        g = self.w * open_
        den = self.cm + self.s * (self.gleak + g.sum(1))
        new = (self.cm * h + self.s * (self.gleak * self.vleak + np.einsum("ij,ij->i", g, self.erev))) / den
        k = self.s / den
        pull = k[:, None] * (self.erev - new[:, None])
        slope = g * (1 - open_) * pull  # dh'_i/d(sigma*(v - mu))
        of_w, of_mu, of_sigma, of_erev = (self.immediate[:, columns] for columns in self.slots.columns)
        np.multiply(open_, pull, out=of_w)
        np.multiply(slope, -self.sigma, out=of_mu)
        np.multiply(slope, away, out=of_sigma)
        np.multiply(k[:, None], g, out=of_erev)
        self.immediate[:, self.of_gleak] = k * (self.vleak - new)
        self.immediate[:, self.of_vleak] = k * self.gleak
        self.immediate[:, self.of_cm] = (h - new) / den
        self.leak[:] = self.cm / den
        self.jacobian[:] = (slope * self.sigma)[:, : self.slots.fan_h]
        self.drive[0] = k / 4 * (np.where(self.vleak >= 0, 1.0, -1.0) - new)  # from the side it is born with
        return new
