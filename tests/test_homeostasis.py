"""Homeostasis: activations reach their target, and the radius is what it is said to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from liquidtorch import EchoState, Leaky, Liquid, Recurrent
from liquidtorch.errors import OptionError, ShapeError
from liquidtorch.plasticity import intrinsic, scaling
from liquidtorch.wiring import random


def echo(scale: float = 0.1, **options: Any) -> EchoState:
    return EchoState(
        2, 40, **{"radius": 0.8, "scale": scale, "bias": 0.3, "tau": (1.0, 4.0), "seed": 1, **options}
    ).double()


def leaky() -> Recurrent:
    torch.manual_seed(1)
    layer = Recurrent(Leaky(2, 40, tau=(1.0, 4.0), wiring=random(40, 2, density=0.5, seed=1))).double()
    with torch.no_grad():
        layer.cell.W_h *= 0.5  # driven by x, not by itself: else frozen gains are not those of the moving ones
    return layer


def driven(steps: int = 600, series: int = 4) -> Tensor:
    return torch.randn(series, steps, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def activations(layer: Recurrent, x: Tensor) -> np.ndarray:
    """The units' tanh, after a washout, from the states as the layer itself runs: u = (h' - (1-a)*h)/a."""
    with torch.no_grad():
        h = layer(x)[0]
    a = 1 - np.exp(-1 / layer.taus().numpy())
    states = h.numpy()
    return ((states[:, 1:] - (1 - a) * states[:, :-1]) / a)[:, 50:].reshape(-1, states.shape[-1])


def divergence(u: np.ndarray, mean: float, std: float) -> float:
    """KL(u || Gaussian), by histogram, averaged over the units."""
    edges = np.linspace(-1, 1, 41)
    middle = (edges[1:] + edges[:-1]) / 2
    q = np.exp(-(((middle - mean) / std) ** 2) / 2)
    q /= q.sum()
    found = []
    for unit in u.T:
        p = np.histogram(unit, edges)[0] / len(unit)
        some = p > 0
        found.append((p[some] * np.log(p[some] / q[some])).sum())
    return float(np.mean(found))


DRIVEN = {"faint": lambda: echo(0.2, radius=0.4), "saturated": lambda: echo(1.5), "leaky": leaky}


@pytest.mark.parametrize("name", DRIVEN)
@pytest.mark.parametrize("mean", [0.0, 0.2])
def test_activations_become_gaussian(name: str, mean: float) -> None:
    layer, x, std = DRIVEN[name](), driven(), 0.25
    before = activations(layer, x)
    intrinsic(layer, x, mean=mean, std=std, rate=5e-4 if name == "saturated" else 2e-3, passes=25)
    after = activations(layer, x)
    assert np.abs(after.mean(0) - mean).mean() < 0.05
    assert np.abs(after.std(0) - std).mean() < 0.05
    assert divergence(after, mean, std) < 0.15 * divergence(before, mean, std)


def test_one_step_is_that_of_the_equations() -> None:
    """Against a loop over units, from the first row, where the state is 0."""
    layer, x = echo(), driven(1, 1)
    n, b = (layer.cell.W_x @ x[0, 0]).numpy(), layer.cell.b.numpy().copy()
    rate, mean, std = 0.01, 0.1, 0.4
    found = intrinsic(layer, x, mean=mean, std=std, rate=rate)
    for i in range(40):
        u = np.tanh(n[i] + b[i])
        db = -rate * (-mean / std**2 + (u / std**2) * (2 * std**2 + 1 - u**2 + mean * u))
        assert found.bias[i] == pytest.approx(b[i] + db, abs=1e-12)
        assert found.gain[i] == pytest.approx(1 + rate + db * n[i], abs=1e-12)


@pytest.mark.parametrize("make", [lambda: echo(0.1), lambda: echo(2.0), leaky], ids=["faint", "strong", "leaky"])
def test_scaling_reaches_the_activity(make) -> None:
    layer, x = make(), driven(300)
    bias = layer.cell.b.detach().clone()
    scaling(layer, x, target=0.35, passes=60)
    assert np.abs(np.abs(activations(layer, x)).mean(0) - 0.35).max() < 0.03
    assert torch.equal(layer.cell.b, bias)


def test_the_radius_is_measured_again_and_held() -> None:
    dense = torch.zeros(1600, dtype=torch.float64)

    def measured(layer: EchoState) -> float:
        W = dense.clone()
        W[layer.cell.place_h] = layer.cell.weight
        return float(np.abs(np.linalg.eigvals(W.view(40, 40).numpy())).max())

    free, held, x = echo(), echo(), driven(300)
    found = intrinsic(free, x, std=0.4, rate=5e-3, passes=5)
    assert found.before.value == pytest.approx(0.8, rel=1e-6)
    assert found.after.value == pytest.approx(measured(free), rel=1e-9)
    assert found.after.value > 1
    found = intrinsic(held, x, std=0.4, rate=5e-3, passes=5, limit=0.95)
    assert found.after.value == pytest.approx(0.95)
    assert measured(held) == pytest.approx(0.95)
    assert torch.equal(free.cell.W_x, held.cell.W_x)


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    one, other, x = echo(), echo(), driven(100)
    assert intrinsic(one, x, limit=50.0).after == intrinsic(other, x).after
    assert torch.equal(one.cell.weight, other.cell.weight)


def test_layers_that_have_no_homeostasis() -> None:
    x = driven(3)
    for layer in (Recurrent(Liquid(2, 4)), echo(activation="linear", bias=0.0)):
        for operation in (intrinsic, scaling):
            with pytest.raises(OptionError, match="must be an EchoState of tanh units or a Recurrent"):
                operation(layer, x)
    with pytest.raises(ShapeError, match="`x` must have the shape"):
        intrinsic(echo(), x[..., :1])
    with pytest.raises(OptionError, match="`std` must be a number above 0"):
        intrinsic(echo(), x, std=0.0)
    with pytest.raises(OptionError, match="`limit` must be a number above 0"):
        intrinsic(echo(), x, limit=0.0)
