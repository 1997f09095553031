"""The tutorials' classes: their words, their equation, their script, and the way to a modern network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from liquidtorch.classic import LiquidNeuralNetwork, LiquidTimeStep, to_leaky
from liquidtorch.errors import DataError, ShapeError


def test_names_and_shapes_of_the_weights() -> None:
    network = LiquidNeuralNetwork(input_size=10, hidden_size=20, output_size=3)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == {
        "liquid_step.tau": (20,),
        "liquid_step.W_in.weight": (20, 10),
        "liquid_step.W_in.bias": (20,),
        "liquid_step.W_h.weight": (20, 20),
        "liquid_step.W_h.bias": (20,),
        "output_layer.weight": (3, 20),
        "output_layer.bias": (3,),
    }
    assert isinstance(network.liquid_step, LiquidTimeStep)
    assert isinstance(network.liquid_step.tau, nn.Parameter)
    assert torch.equal(network.liquid_step.tau, torch.ones(20))


def numpy_network(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The equation written out once more, unit by unit."""
    h = np.zeros((len(x), len(weights["liquid_step.tau"])))
    for t in range(x.shape[1]):
        moved = np.empty_like(h)
        for row in range(len(x)):
            for i, tau in enumerate(weights["liquid_step.tau"]):
                drive = weights["liquid_step.W_in.weight"][i] @ x[row, t] + weights["liquid_step.W_in.bias"][i]
                drive += weights["liquid_step.W_h.weight"][i] @ h[row] + weights["liquid_step.W_h.bias"][i]
                moved[row, i] = h[row, i] + (np.tanh(drive) - h[row, i]) / tau
        h = moved
    return h @ weights["output_layer.weight"].T + weights["output_layer.bias"]


def unusual(network: LiquidNeuralNetwork) -> LiquidNeuralNetwork:
    """Give every unit a time constant of its own, above and below 1."""
    with torch.no_grad():
        network.liquid_step.tau.uniform_(0.7, 9.0)
    return network


def test_the_equation() -> None:
    torch.manual_seed(0)
    network = unusual(LiquidNeuralNetwork(3, 5, 2)).double()
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    np.testing.assert_allclose(network(x).detach().numpy(), numpy_network(weights, x.numpy()), rtol=0, atol=1e-13)


def test_the_script_of_the_tutorials() -> None:
    torch.manual_seed(0)
    model = LiquidNeuralNetwork(input_size=10, hidden_size=20, output_size=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    x = torch.randn(4, 6, 10)
    y = torch.randn(4, 1)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.3
    assert losses[-1] < 0.02
    assert not torch.equal(model.liquid_step.tau, torch.ones(20))  # learned like any weight


def test_tau_may_leave_the_positive_range() -> None:
    step = LiquidTimeStep(1, 1)
    with torch.no_grad():
        step.tau.fill_(-2.0)
        for layer in (step.W_in, step.W_h):
            layer.weight.zero_()
            layer.bias.zero_()
    assert step(torch.zeros(1, 1), torch.ones(1, 1)).item() == pytest.approx(1.5)


def test_x_of_a_wrong_shape() -> None:
    with pytest.raises(ShapeError, match=r"`x` must have the shape \(batch, time, features=10\); got \(4, 6, 9\)"):
        LiquidNeuralNetwork(10, 20, 1)(torch.zeros(4, 6, 9))
    with pytest.raises(ShapeError, match="2 axes instead of 3"):
        LiquidNeuralNetwork(10, 20, 1)(torch.zeros(6, 10))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_the_modern_network_is_the_same(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(1)
    network = unusual(LiquidNeuralNetwork(10, 20, 3)).to(dtype)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(4, 12, 10, dtype=dtype)
    modern = to_leaky(network)
    y, _ = modern(x)
    assert y.shape == (4, 12, 3)
    for t in (1, 6, 12):
        torch.testing.assert_close(y[:, t - 1], network(x[:, :t]), rtol=0, atol=tolerance)
    first = next(modern.parameters())
    with torch.no_grad():
        first += 1.0
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_modern_network_takes_other_steps() -> None:
    """With dt = 1/2, two half steps stand where one whole stood: nearer to the continuous relaxation."""
    torch.manual_seed(2)
    network = LiquidNeuralNetwork(1, 1, 1)
    with torch.no_grad():
        network.liquid_step.tau.fill_(4.0)
        network.liquid_step.W_h.weight.zero_()

    def last(x: Tensor, dt: float) -> float:
        return to_leaky(network)(x, dt=dt)[0][0, -1].item()

    x = torch.ones(1, 1, 1)
    step, answer = network.liquid_step, network.output_layer
    goal = torch.tanh(step.W_in(x[:, 0]) + step.W_h.bias)
    halves = answer((1 - (1 - 0.125) ** 2) * goal).item()
    assert last(x.expand(1, 2, 1), 0.5) == pytest.approx(halves, abs=1e-6)
    assert abs(halves - last(x, 1.0)) > 1e-4


@pytest.mark.parametrize("value", [0.0, -0.25, float("nan"), float("inf")])
def test_a_tau_no_leaky_cell_has(value: float) -> None:
    network = LiquidNeuralNetwork(2, 5, 1)
    with torch.no_grad():
        network.liquid_step.tau[3] = value
    with pytest.raises(DataError, match=rf"`tau` must be above 0 and finite in every unit; got {value:g} \(unit 3\)"):
        to_leaky(network)
