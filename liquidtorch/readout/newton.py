"""Newton's method for multinomial logistic regression, each step solved by conjugate gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .spectrum import Spectrum

STEPS, INNER, HALVINGS = 100, 200, 30
ROUNDING = 1e-12  # of f, relative: below it only the gradient tells whether a step was good


@dataclass(frozen=True)
class Softmax:
    """The loss f = sum_i w_i -log p_i[class] + lambda/2 |W|^2 with p = softmax(W x + b), and its derivatives.

    W (K,F) and b (K,) go together as one tensor (K,F+1), b last; b is not penalised. The x are centred, so that b has
    next to nothing to do with W.
    """

    x: Tensor  # (N, F) float64, centred
    truth: Tensor  # (N, K), 1 for the class
    weight: Tensor  # (N, 1)
    penalty: float  # lambda

    def scores(self, theta: Tensor) -> Tensor:
        """Return W x + b (N, K)."""
        return torch.addmm(theta[:, -1], self.x, theta[:, :-1].T)

    def loss(self, theta: Tensor) -> float:
        """Return f."""
        said = torch.log_softmax(self.scores(theta), 1)
        return (
            -(self.weight * self.truth * said).sum().item() + 0.5 * self.penalty * theta[:, :-1].square().sum().item()
        )

    def gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient (K, F+1) and the probabilities (N, K)."""
        p = torch.softmax(self.scores(theta), 1)
        return self._back(self.weight * (p - self.truth), theta), p

    def curve(self, p: Tensor, direction: Tensor) -> Tensor:
        """Return the Hessian times a direction, (K, F+1): w p (d - p'd) for each row."""
        d = self.scores(direction)
        return self._back(self.weight * p * (d - (p * d).sum(1, keepdim=True)), direction)

    def _back(self, slope: Tensor, theta: Tensor) -> Tensor:
        return torch.cat([slope.T @ self.x + self.penalty * theta[:, :-1], slope.sum(0)[:, None]], 1)


@dataclass(frozen=True)
class Whitening:
    """Nearly the inverse of the Hessian: where all K classes are equally likely it is (X'X + K lambda)/K exactly.

    In the eigenbasis of X'X that is a division, so the number of steps does not grow with the condition number of x.
    """

    spectrum: Spectrum
    classes: int
    weight: float  # of all rows
    penalty: float

    def __call__(self, g: Tensor) -> Tensor:
        """Return what a Newton step would nearly be along -g."""
        V, likely = self.spectrum.basis, 1 / self.classes
        along = g[:, :-1] @ V
        inside = along / (likely * self.spectrum.squares + self.penalty)
        flat = (g[:, :-1] - along @ V.T) / max(self.penalty, 1e-300)  # directions in which no row varies: no slope
        return torch.cat([inside @ V.T + flat, g[:, -1:] / (likely * self.weight)], 1)


def minimise(f: Softmax, whiten: Whitening, theta: Tensor, tolerance: float) -> Tensor:
    """Return where f is least, from `theta`; stops where a step would lower f by less than about `tolerance`.

    f is convex, so a Newton step halved until f falls enough arrives from anywhere. Each step is solved only as well
    as it is worth: the residual falls with the gradient.

    Source
    ------
    Nocedal, Wright (2006), Numerical Optimization, algorithm 7.1 (line search Newton-CG).
    """
    loss, before = f.loss(theta), math.inf
    for _ in range(STEPS):
        gradient, p = f.gradient(theta)
        size = (gradient * whiten(gradient)).sum().item()  # about twice what is left to gain
        if size <= 2 * tolerance or before <= size <= ROUNDING * abs(loss):
            break
        before = size
        share = (size / f.weight.sum().item()) ** 0.5
        step = _solve(f, whiten, p, gradient, accuracy=min(max(share, 1e-4), 0.25))
        slope = (gradient * step).sum().item()
        for halving in range(HALVINGS):
            ahead = theta + 0.5**halving * step
            new = f.loss(ahead)
            if new <= loss + 1e-4 * 0.5**halving * slope + ROUNDING * abs(loss):
                break
        else:
            break
        theta, loss = ahead, new
    return theta


def _solve(f: Softmax, whiten: Whitening, p: Tensor, gradient: Tensor, accuracy: float) -> Tensor:
    """Return d with Hessian d = -gradient, to a relative `accuracy` in the whitened norm, by conjugate gradients."""
    d, r = torch.zeros_like(gradient), -gradient
    z = whiten(r)
    direction, rz = z, (r * z).sum()
    goal = rz * accuracy**2
    for _ in range(INNER):
        curved = f.curve(p, direction)
        bend = (direction * curved).sum()
        if not bend > 0:
            break
        alpha = rz / bend
        d, r = d + alpha * direction, r - alpha * curved
        z = whiten(r)
        rz, before = (r * z).sum(), rz
        if rz <= goal:
            break
        direction = z + (rz / before) * direction
    return d
