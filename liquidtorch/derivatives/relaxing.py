"""One step of Leaky and of Liquid, with its derivatives."""

from __future__ import annotations

import numpy as np

from .local import Local
from .slots import Affine, Floats


class LeakyLocal(Local, kind="Leaky"):
    """`u = tanh(W v)` over `v = [h, x, 1]`, `h' = (1-a)*h + a*u`, a of dt and tau."""

    maps = (Affine("W_h", "W_x", "b"),)
    singles = ("log_tau",)

    def prepare(self) -> None:
        """Keep the weights by slot and tau."""
        self.W = self.theta[:, self.slots.columns[0]]
        self.tau = np.exp(self.theta[:, -1])
        self.dt = None  # what `a` was found for

    def begin(self, x: Floats, dt: float) -> None:
        """Read x, and find a and da/dlog_tau if dt is not what it was."""
        self.read[self.slots.units : -2] = x
        if dt != self.dt:
            self.dt, s = dt, dt / self.tau
            if self.cell.method == "euler":
                self.a, self.slope = s, -s
            else:
                self.a, self.slope = -np.expm1(-s), -s * np.exp(-s)
            self.leak = 1 - self.a

    def advance(self, h: Floats) -> Floats:
        """Relax every unit towards the tanh of its inputs."""
        self.read[: len(h)] = h
        v = self.read.take(self.sources)
        u = np.tanh(np.einsum("ij,ij->i", self.W, v))
        self.gain = (self.a * (1 - u * u))[:, None]
        np.multiply(self.gain, v, out=self.immediate[:, :-1])
        np.multiply(self.slope, u - h, out=self.immediate[:, -1])
        return self.leak * h + self.a * u

    def newborn(self, h: Floats) -> Floats:
        """Return `a*(1-u^2)`."""
        return self.gain.T

    def jacobian(self) -> Floats:
        """Return `a*(1-u^2)*W_h`."""
        return self.gain * self.W[:, : self.slots.fan_h]


class LiquidLocal(Local, kind="Liquid"):
    """As Leaky "exact", with `tau = exp(G v)` over the same `v`, its bias being log_tau."""

    maps = (Affine("W_h", "W_x", "b"), Affine("G_h", "G_x", "log_tau"))

    def prepare(self) -> None:
        """Keep both maps by slot."""
        self.W, self.G = (self.theta[:, columns] for columns in self.slots.columns)

    def begin(self, x: Floats, dt: float) -> None:
        """Read x and dt."""
        self.read[self.slots.units : -2] = x
        self.dt = dt

    def advance(self, h: Floats) -> Floats:
        """Relax every unit at its own pace."""
        self.read[: len(h)] = h
        v = self.read.take(self.sources)
        u = np.tanh(np.einsum("ij,ij->i", self.W, v))
        s = self.dt * np.exp(np.minimum(-np.einsum("ij,ij->i", self.G, v), 80.0))  # dt/tau, finite as in ops.reference
        self.leak = np.exp(-s)
        a = -np.expm1(-s)
        self.gain = (a * (1 - u * u))[:, None]
        self.pace = (-s * self.leak * (u - h))[:, None]  # dh'/dlog(tau)
        first, second = self.slots.columns
        np.multiply(self.gain, v, out=self.immediate[:, first])
        np.multiply(self.pace, v, out=self.immediate[:, second])
        return self.leak * h + a * u

    def newborn(self, h: Floats) -> Floats:
        """Return `a*(1-u^2)` for W, and `-(dt/tau)*(1-a)*(u-h)` for G."""
        return np.stack([self.gain[:, 0], self.pace[:, 0]])

    def jacobian(self) -> Floats:
        """Return what W_h adds and what G_h adds."""
        n = self.slots.fan_h
        return self.gain * self.W[:, :n] + self.pace * self.G[:, :n]
