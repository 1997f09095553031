"""What a synapse is made of in each kind of cell: how strong it is, how one is born that changes nothing, what remains.

Numbers are the cell's parameters as float64 arrays, written in place; synapses are given by their `places`,
(S, 2) to and from, and by `which`: "h" for those from units, "x" for those from features.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cells import LTC, Cell, CfC, Leaky, Liquid
from ..errors import OptionError

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Which = Literal["h", "x"]
GIVEN = 0.25  # of its leak, that a unit of an LTC gives up to all its synapses born at once


class Additive(NamedTuple):
    """Cells whose synapses add up, before a nonlinearity and with a bias, to one sum or several: Leaky, Liquid, CfC."""

    weight: dict[Which, list[Array]]  # one (H, J) for each sum
    bias: list[Array]  # one (H,) for each sum
    log_tau: Array

    def strength(self, which: Which, std: Array | None) -> Array:
        """Return how much each synapse moves its unit, (H, J), by sources of that standard deviation (J,), or 1."""
        total = np.sqrt(sum(np.square(W) for W in self.weight[which]))
        return total if std is None else total * std

    def born(self, which: Which, places: Index, centre: Array) -> Index:
        """Write synapses that change no state, now or later, but whose gradient is not 0; returns their signs."""
        to, source = places.T
        for W in self.weight[which]:
            W[to, source] = 0.0
        return np.ones(len(to), np.int64)

    def absorbed(self, which: Which, places: Index, mean: Array) -> None:
        """Give the units what the synapses do while their sources, (S,), stand at their means: they are to go."""
        to, source = places.T
        for W, b in zip(self.weight[which], self.bias, strict=True):
            np.add.at(b, to, W[to, source] * mean)

    def drawn(self, which: Which, places: Index, rng: np.random.Generator) -> Index:
        """Write incoming synapses as a fresh cell has them; returns their signs."""
        to, source = places.T
        fan = np.bincount(to, minlength=1)
        for W in self.weight[which]:
            W[to, source] = rng.uniform(-1, 1, len(to)) / np.sqrt(fan[to])
        return np.ones(len(to), np.int64)

    def shared(self, parent: int, child: int, share: float) -> None:
        """Part what a unit gives to others between it and its copy."""
        for W in self.weight["h"]:
            W[:, child] *= share
            W[:, parent] *= 1 - share

    def parted(self, parent: int, child: int, share: float, live: dict[Which, NDArray[np.bool_]], noise: Array) -> None:
        """Make a unit and its copy feel differently by noise (H+F,), so that what both give is the same at first."""
        # to first order the sum share*h_child + (1-share)*h_parent stays what it was; it moves by noise**2
        for W_h, W_x in zip(self.weight["h"], self.weight["x"], strict=True):
            for W, there, drawn in (
                (W_h, live["h"][parent], noise[: len(W_h)]),
                (W_x, live["x"][parent], noise[len(W_h) :]),
            ):
                moved = there * drawn * np.sqrt(np.mean(np.square(W[parent, there]))) if there.any() else 0.0
                W[parent] += share * moved
                W[child] -= (1 - share) * moved

    def added(self, to: Index, kept: int, gone: int, has: NDArray[np.bool_]) -> None:
        """Give the synapses of `kept` to the units `to` what those of `gone` do; `has`: where there is one already."""
        for W in self.weight["h"]:
            W[to, kept] = np.where(has, W[to, kept], 0.0) + W[to, gone]

    def replaced(self, to: Index, gone: int, slope: Array, offset: float, mean: Array, live: NDArray[np.bool_]) -> None:
        """Put `offset + slope @ h` in the place of a unit; where a synapse for it is missing, its mean."""
        for W, b in zip(self.weight["h"], self.bias, strict=True):
            there = live[to]
            b[to] += W[to, gone] * (offset + (~there * (slope * mean)).sum(-1))
            W[to] += np.where(there, np.outer(W[to, gone], slope), 0.0)

    def cleared(self, unit: int) -> None:
        """Set what a unit is without synapses: it rests at 0."""
        self.bias[0][unit] = 0.0

    def paced(self, unit: int, tau: float, live: dict[Which, NDArray[np.bool_]]) -> None:
        """Set a unit's time constant."""
        self.log_tau[unit] = math.log(tau)


class Conductance(NamedTuple):
    """LTC: synapses are conductances behind a gate; a constant one is the same as a leak."""

    w: dict[Which, Array]  # before the softplus
    mu: dict[Which, Array]
    sigma: dict[Which, Array]
    erev: dict[Which, Array]
    gleak: Array  # before the softplus
    vleak: Array
    log_cm: Array
    side: (
        Array  # +1 or -1, as vleak was before anything is written: the erev of what is born, so |vleak| stays within 1
    )

    def strength(self, which: Which, std: Array | None) -> Array:
        """Return how much each synapse moves its unit, (H, J), by sources of that standard deviation (J,), or 1."""
        swing = np.tanh(np.abs(self.sigma[which]) * (1.0 if std is None else std) / 2) / 2
        return softplus(self.w[which]) * swing  # half of what a gate opens from -std to std about its mu

    def born(self, which: Which, places: Index, centre: Array) -> Index:
        """Write synapses that change no state, now or later, but whose gradient is not 0; returns their signs."""
        to, source = places.T
        # with sigma = 0 the gate is open by half whatever its source does: a constant g/2, which is taken out of the
        # leak. softplus(w) near 0 would change nothing either, but its gradient is as near to 0, and it never wakes.
        units, at, count = np.unique(to, return_inverse=True, return_counts=True)
        leak = softplus(self.gleak[units])
        erev = self.side[units]
        self.w[which][to, source] = softplus_inverse(2 * GIVEN * leak / count)[at]
        self.mu[which][to, source] = centre
        self.sigma[which][to, source] = 0.0
        self.erev[which][to, source] = erev[at]
        self.vleak[units] = (self.vleak[units] - GIVEN * erev) / (1 - GIVEN)
        self.gleak[units] = softplus_inverse((1 - GIVEN) * leak)
        return erev[at].astype(np.int64)

    def absorbed(self, which: Which, places: Index, mean: Array) -> None:
        """Give the units what the synapses do while their sources, (S,), stand at their means: they are to go."""
        to, source = places.T
        w, mu, sigma, erev = (part[which][to, source] for part in (self.w, self.mu, self.sigma, self.erev))
        g = softplus(w) / (1 + np.exp(-sigma * (mean - mu)))
        leak = softplus(self.gleak)
        total, pulled = leak.copy(), leak * self.vleak
        np.add.at(total, to, g)
        np.add.at(pulled, to, g * erev)
        units = np.unique(to)
        self.vleak[units] = pulled[units] / total[units]
        self.gleak[units] = softplus_inverse(total[units])

    def drawn(self, which: Which, places: Index, rng: np.random.Generator) -> Index:
        """Write incoming synapses as a fresh cell has them; returns their signs."""
        to, source = places.T
        sign = rng.choice([-1, 1, 1], size=len(to))
        spans = ((self.w, 0.001, 1.0), (self.mu, 0.3, 0.8), (self.sigma, 3.0, 8.0))  # as a fresh LTC starts
        for part, low, high in spans:
            part[which][to, source] = rng.uniform(low, high, len(to))
        self.erev[which][to, source] = sign
        return sign

    def shared(self, parent: int, child: int, share: float) -> None:
        """Part what a unit gives to others between it and its copy."""
        if not 0 < share < 1:
            raise OptionError(
                f"`share` must be above 0 and below 1 for LTC; got {share!r} (conductances are positive)."
            )
        w = self.w["h"]
        w[:, child] = softplus_inverse(share * softplus(w[:, child]))
        w[:, parent] = softplus_inverse((1 - share) * softplus(w[:, parent]))

    def parted(self, parent: int, child: int, share: float, live: dict[Which, NDArray[np.bool_]], noise: Array) -> None:
        """Make a unit and its copy feel differently by noise (H+F,), so that what both give is the same at first."""
        H = len(self.gleak)
        parts = (self.mu["h"], self.sigma["h"], noise[:H]), (self.mu["x"], self.sigma["x"], noise[H:])
        for mu, sigma, drawn in parts:
            moved = drawn / np.maximum(np.abs(sigma[parent]), 1.0)  # so that sigma*(v - mu) moves by noise
            mu[parent] += share * moved
            mu[child] -= (1 - share) * moved

    def added(self, to: Index, kept: int, gone: int, has: NDArray[np.bool_]) -> None:
        """Give the synapses of `kept` to the units `to` what those of `gone` do; `has`: where there is one already."""
        mine = np.where(has, softplus(self.w["h"][to, kept]), 0.0)
        other = softplus(self.w["h"][to, gone])
        for part in (self.mu["h"], self.sigma["h"], self.erev["h"]):
            part[to, kept] = (mine * part[to, kept] + other * part[to, gone]) / (mine + other)
        self.w["h"][to, kept] = softplus_inverse(mine + other)

    def cleared(self, unit: int) -> None:
        """Set what a unit is without synapses: it rests at 0."""
        self.vleak[unit], self.gleak[unit] = 0.0, 0.5  # the middle of where a fresh cell's leak starts

    def paced(self, unit: int, tau: float, live: dict[Which, NDArray[np.bool_]]) -> None:
        """Set a unit's time constant."""
        synaptic = sum((softplus(self.w[which][unit]) * live[which][unit]).sum() for which in ("h", "x"))
        self.log_cm[unit] = math.log(tau * (softplus(self.gleak[unit]) + synaptic / 2))


def anatomy(cell: Cell, numbers: dict[str, Array]) -> Additive | Conductance:
    """Return what is known of the kind of `cell`, over its `numbers`.

    Raises
    ------
    OptionError
        If nothing is known of it, or it has no wiring.
    """
    if cell.wiring is None:
        raise OptionError(
            f"`cell` must have a wiring, for its structure to change; this {type(cell).__name__} has none. "
            "Make it with one, such as wiring=random(units, features)."
        )
    n = numbers
    if isinstance(cell, Leaky):
        return Additive({"h": [n["W_h"]], "x": [n["W_x"]]}, [n["b"]], n["log_tau"])
    if isinstance(cell, Liquid):
        return Additive({"h": [n["W_h"], n["G_h"]], "x": [n["W_x"], n["G_x"]]}, [n["b"], n["log_tau"]], n["log_tau"])
    if isinstance(cell, CfC):
        return Additive({"h": list(n["W_h"]), "x": list(n["W_x"])}, list(n["b"]), n["log_tau"])
    if isinstance(cell, LTC):
        w, mu, sigma, erev = ({"h": n[name], "x": n[f"{name}_x"]} for name in ("w", "mu", "sigma", "erev"))
        side = np.where(n["vleak"] >= 0, 1.0, -1.0)
        return Conductance(w, mu, sigma, erev, n["gleak"], n["vleak"], n["log_cm"], side)  # pyright: ignore[reportArgumentType]
    raise OptionError(f"`cell` must be Leaky, Liquid, LTC or CfC; got {type(cell).__name__}.")


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x))."""
    return np.logaddexp(0.0, x)


def softplus_inverse(y: Array) -> Array:
    """Return the x whose softplus is y, above 0."""
    return y + np.log(-np.expm1(-y))
