"""Cells as modules: their starts, options, wirings and errors; that they mean what they say is in test_ops."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from liquidtorch import LTC, CfC, Leaky, Linear, Liquid, Mobius, Recurrent, Wiring, cells
from liquidtorch.cells import Cell
from liquidtorch.errors import OptionError, ShapeError

ALL = [Leaky, Liquid, LTC, CfC, Linear, Mobius]
WIRED = [Leaky, Liquid, LTC, CfC]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def wiring() -> Wiring:
    recurrent = [[0, 1, -1, 0, 0], [0, 1, 0, 1, -1], [0, 0, -1, 1, 0], [0] * 5, [0] * 5]
    sensory = [[0, 0], [0, 0], [0, 0], [1, 0], [-1, 1]]
    return Wiring(recurrent, sensory, outputs=1, roles=["motor", "command", "command", "inter", "inter"])


def lag_gradient(cell: Cell, lag: int = 20) -> float:
    """Spectral norm of dh(t+lag)/dh(t), at a state the cell has come to, on unit-variance noise with dt = 1."""
    layer = Recurrent(cell).double()
    x = torch.randn(1, 40 + lag, cell.features, dtype=torch.float64)
    h = layer(x[:, :40])[1]
    jacobian = torch.autograd.functional.jacobian(lambda h: layer(x[:, 40:], h)[1], h)[0, :, 0]
    return torch.linalg.matrix_norm(jacobian, 2).item()


@pytest.mark.parametrize("make", [Liquid, lambda f, u: LTC(f, u, tau=(1.0, 100.0))], ids=["liquid", "ltc"])
@pytest.mark.parametrize("again", range(3))
def test_gradients_live_over_20_steps(make, again: int) -> None:
    torch.manual_seed(again)
    assert 0.5 <= lag_gradient(make(4, 32)) <= 2.0


def test_gradients_die_where_ltc_starts_as_published() -> None:
    assert lag_gradient(LTC(4, 32)) < 1e-6


@pytest.mark.parametrize("kind", ALL)
def test_tau_at_the_start(kind: type[Cell]) -> None:
    each = torch.tensor([0.5, 2.0, 30.0])
    assert torch.allclose(kind(2, 3, tau=each).taus(), each)
    assert torch.allclose(kind(2, 3, tau=each.numpy()).taus(), each)
    assert torch.allclose(kind(2, 3, tau=7).taus(), torch.full((3,), 7.0))
    drawn = kind(2, 2000, tau=(2.0, 50.0)) if kind is not LTC and kind is not CfC else kind(2, 300, tau=(2.0, 50.0))
    logs = drawn.taus().log()
    assert math.log(2) - 1e-4 <= logs.min() < logs.max() <= math.log(50) + 1e-4
    assert logs.mean().item() == pytest.approx((math.log(2) + math.log(50)) / 2, abs=0.2)
    assert logs.std().item() == pytest.approx(math.log(25) / math.sqrt(12), abs=0.1)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("tau", "error", "text"),
    [
        (0, OptionError, "`tau` must be a number above 0; got 0."),
        (-1.0, OptionError, "`tau` must be a number above 0; got -1.0."),
        ((5.0, 1.0), OptionError, "`tau` must be a number at least 5; got 1.0."),
        ("auto", OptionError, "`tau` must be a number above 0; got 'auto' (str)."),
        (torch.tensor([1.0, 0.0, 1.0]), OptionError, "`tau` must be above 0 and finite; got 0 (unit 1)."),
        (torch.ones(2), ShapeError, "`tau` must be a number, a pair or a tensor (3,); got a tensor (2,)."),
    ],
)
def test_tau_that_cannot_be(kind: type[Cell], tau, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        kind(2, 3, tau=tau)


@pytest.mark.parametrize("kind", ALL)
def test_sizes_that_cannot_be(kind: type[Cell]) -> None:
    with pytest.raises(OptionError, match="`units` must be a whole number at least 1; got 0"):
        kind(2, 0)
    with pytest.raises(OptionError, match=r"`features` must be a whole number at least 1; got 1\.5"):
        kind(1.5, 3)


@pytest.mark.parametrize("kind", ALL)
def test_config_is_json_and_complete(kind: type[Cell]) -> None:
    for tau in (3.0, (1.0, 9.0), torch.tensor([1.0, 2.0])):
        cell = kind(3, 2, tau=tau)
        config = json.loads(json.dumps(cell.config()))
        twin = cells.build(config)
        assert twin.config() == cell.config()
        twin.load_state_dict(cell.state_dict())
        x, h, dt = torch.randn(4, 3), torch.rand(4, 2), torch.rand(4, 1)
        assert torch.equal(twin.step(twin.inputs(x), h, dt), cell.step(cell.inputs(x), h, dt))
    with pytest.raises(OptionError, match=r"`kind` must be one of .*; got 'Liquide'. Did you mean 'Liquid'\?"):
        cells.build({"kind": "Liquide", "features": 1, "units": 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: Leaky(3, 4), lambda: Leaky(3, 4, method="euler")),
        (lambda: LTC(3, 4), lambda: LTC(3, 4, unfolds=2)),
        (lambda: LTC(3, 4), lambda: LTC(3, 4, tau=(1.0, 100.0))),
        (lambda: LTC(3, 4, tau=(1.0, 100.0)), lambda: LTC(3, 4, tau=1.0)),
        (lambda: CfC(3, 4), lambda: CfC(3, 4, mode="no_gate")),
        (lambda: CfC(3, 4), lambda: CfC(3, 4, mode="pure")),
        (lambda: CfC(3, 4), lambda: CfC(3, 4, carry=True)),
        (lambda: CfC(3, 4), lambda: CfC(3, 4, backbone=(5, 1))),
        (lambda: CfC(3, 4, backbone=(5, 1)), lambda: CfC(3, 4, backbone=(5, 2))),
        (lambda: CfC(3, 4, backbone=(5, 1)), lambda: CfC(3, 4, backbone=(5, 1), activation="relu")),
        *[(lambda k=kind: k(3, 4), lambda k=kind: k(3, 4, tau=0.5)) for kind in ALL],
    ],
)
def test_options_matter(one, other) -> None:
    answers = []
    for make in (one, other):
        torch.manual_seed(0)
        layer = Recurrent(make())
        torch.manual_seed(1)
        answers.append(layer(torch.randn(2, 5, 3), dt=0.7)[0])
    assert (answers[0] - answers[1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Leaky(2, 3, method="heun"), "`method` must be one of 'exact', 'euler'; got 'heun'."),
        (lambda: LTC(2, 3, unfolds=0), "`unfolds` must be a whole number at least 1; got 0."),
        (lambda: CfC(2, 3, mode="Pure"), "got 'Pure'. Did you mean 'pure'?"),
        (lambda: CfC(2, 3, activation="relu"), "`activation` must be left out without a backbone; got 'relu'."),
        (lambda: CfC(2, 3, backbone=(4, 1), activation="swish"), "`activation` must be one of"),
        (lambda: CfC(2, 3, backbone=(0, 1)), "`backbone[0]` must be a whole number at least 1; got 0."),
        (lambda: CfC(2, 3, backbone=(4, 0)), "`backbone[1]` must be a whole number at least 1; got 0."),
        (lambda: Leaky(2, 3).scale_time(0), "`c` must be a number above 0; got 0."),
        (lambda: LTC(2, 3).scale_time(-1), "`c` must be a number above 0; got -1."),
        (lambda: Leaky(2, 3).permute([0, 1, 1]), "`order` must hold each of 0 to 2 once; got [0, 1, 1]."),
    ],
)
def test_options_that_cannot_be(make, text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        make()


@pytest.mark.parametrize("kind", WIRED)
def test_dead_synapses_are_dead(kind: type[Cell], wiring: Wiring) -> None:
    """No signal and no gradient passes where the wiring has no synapse, and some passes where it has one."""
    cell = kind(2, 5, wiring=wiring).double()
    assert cell.outputs == 1
    layer = Recurrent(cell)
    x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    y, h = layer(x)
    assert y.shape == (3, 4, 1)
    assert torch.equal(y[:, -1], h[:, :1])
    h.square().sum().backward()
    for name, letters in cell.axes.items():
        grad = getattr(cell, name).grad
        if letters.endswith(("HH", "HF")):
            live = torch.tensor(wiring.recurrent if letters.endswith("HH") else wiring.sensory) != 0
            assert not grad[..., ~live].any(), name
            assert grad[..., live].any(), name
    with torch.no_grad():
        for name, letters in cell.axes.items():
            if letters.endswith(("HH", "HF")):
                live = torch.tensor(wiring.recurrent if letters.endswith("HH") else wiring.sensory) != 0
                getattr(cell, name)[..., ~live] += 1.0
        assert torch.equal(layer(x)[1], h)


@pytest.mark.parametrize("kind", [Linear, Mobius])
def test_diagonal_cells_take_no_wiring(kind: type[Cell], wiring: Wiring) -> None:
    text = f"`wiring` must be None for {kind.__name__}; got 'matrix' (its units do not feel one another)."
    with pytest.raises(OptionError, match=re.escape(text)):
        kind(2, 5, wiring=wiring)


@pytest.mark.parametrize("kind", WIRED)
def test_wirings_that_do_not_fit(kind: type[Cell], wiring: Wiring) -> None:
    text = "`wiring` must have 6 units and 2 features, as the cell; got 5 units and 2 features."
    with pytest.raises(ShapeError, match=re.escape(text)):
        kind(2, 6, wiring=wiring)
    text = "`order` must keep every unit in its role; got 1 at 0 (command in the place of motor)."
    with pytest.raises(OptionError, match=re.escape(text)):
        kind(2, 5, wiring=wiring).permute([1, 0, 2, 3, 4])


def test_cfc_sweeps_from_inter_over_command_to_motor(wiring: Wiring) -> None:
    """A change of the input crosses all three groups within one step."""
    cell = CfC(2, 5, wiring=wiring).double()
    x = torch.randn(1, 2, dtype=torch.float64)
    h = torch.rand(1, 5, dtype=torch.float64)
    felt = torch.autograd.functional.jacobian(lambda x: cell.step(cell.inputs(x), h, torch.ones(1, 1)), x)
    assert bool((felt[0, :, 0] != 0).any(-1).all())  # the motor unit feels no feature and no inter unit itself


def test_cfc_excludes_backbone_and_wiring(wiring: Wiring) -> None:
    with pytest.raises(OptionError, match="`backbone` must be None with a wiring"):
        CfC(2, 5, backbone=(4, 1), wiring=wiring)


def test_ltc_signs_are_reversal_potentials(wiring: Wiring) -> None:
    cell = LTC(2, 5, wiring=wiring)
    assert np.array_equal(cell.erev.detach().numpy(), wiring.recurrent)
    assert np.array_equal(cell.erev_x.detach().numpy(), wiring.sensory)
    free = LTC(30, 30)
    assert (free.erev > 0).float().mean().item() == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize("units", [4, 64])
def test_ltc_matches_its_capacitance_to_its_conductances(units: int) -> None:
    """With every synapse half open, a unit relaxes with its tau, however many synapses it has."""
    cell = LTC(3, units, tau=10.0, unfolds=400).double()
    with torch.no_grad():
        cell.sigma.zero_()  # sigmoid(0) = 1/2
        cell.sigma_x.zero_()
        u = cell.inputs(torch.zeros(1, 3, dtype=torch.float64))
        rest = cell.step(u, torch.zeros(1, units, dtype=torch.float64), torch.full((1, 1), 1e6, dtype=torch.float64))
        h = cell.step(u, rest + 1, torch.full((1, 1), 10.0, dtype=torch.float64))
    assert torch.allclose(h - rest, torch.full_like(h, math.exp(-1)), rtol=2e-3)


def test_ltc_published_start_is_that_of_ncps() -> None:
    cell = LTC(8, 40)
    for p, low, high in (
        (cell.w, 0.001, 1), (cell.w_x, 0.001, 1), (cell.mu, 0.3, 0.8), (cell.sigma, 3, 8), (cell.gleak, 0.001, 1),
        (cell.vleak, -0.2, 0.2), (cell.log_cm.exp(), fn.softplus(torch.tensor(0.4)), fn.softplus(torch.tensor(0.6))),
    ):  # fmt: skip
        assert p.min() >= low - 1e-6
        assert p.max() <= high + 1e-6
        assert p.max() - p.min() > 0.8 * (high - low)


def test_cfc_pure_starts_as_published() -> None:
    cell = CfC(2, 3, mode="pure")
    assert torch.equal(cell.A, torch.ones(3))
    assert torch.equal(cell.w_tau, torch.zeros(3))


def test_euler_overshoots_beyond_tau_and_says_so() -> None:
    cell = Leaky(1, 1, tau=1.0, method="euler")
    assert not cell.stable
    nn.init.zeros_(cell.W_h)
    h = torch.ones(1, 1)
    for _ in range(20):
        h = cell.step(torch.zeros(1, 1), h, torch.full((1, 1), 3.0))
    assert h.abs() > 1e3


def test_euler_is_the_liquid_time_step_of_the_tutorials() -> None:
    cell = Leaky(3, 4, method="euler", tau=torch.tensor([1.0, 2.0, 3.0, 4.0])).double()
    W_in, W_h = nn.Linear(3, 4).double(), nn.Linear(4, 4).double()
    with torch.no_grad():
        cell.W_x.copy_(W_in.weight)
        cell.W_h.copy_(W_h.weight)
        cell.b.copy_(W_in.bias + W_h.bias)
    x, h = torch.randn(5, 3).double(), torch.rand(5, 4).double()
    wanted = h + (torch.tanh(W_in(x) + W_h(h)) - h) / torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = cell.step(cell.inputs(x), h, torch.ones(5, 1).double())
    assert torch.allclose(found, wanted, atol=1e-6, rtol=0)  # tau is kept as its float32 logarithm


def test_exact_is_euler_in_small_steps() -> None:
    """With the target held (no recurrence), many Euler steps converge to the exact one, at first order."""
    exact, euler = Leaky(1, 4), Leaky(1, 4, method="euler")
    euler.load_state_dict(exact.state_dict())
    errors = []
    x = torch.randn(1, 1).double()
    for cell in (exact, euler):
        cell.double()
        with torch.no_grad():
            cell.W_h.zero_()
    wanted = exact.step(exact.inputs(x), torch.zeros(1, 4).double(), torch.full((1, 1), 0.5).double())
    for n in (100, 200, 400):
        h = torch.zeros(1, 4).double()
        for _ in range(n):
            h = euler.step(euler.inputs(x), h, torch.full((1, 1), 0.5 / n).double())
        errors.append((h - wanted).abs().max().item())
    assert np.allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1, atol=0.05)


def test_printing_says_what_it_is(wiring: Wiring) -> None:
    assert repr(LTC(2, 5, wiring=wiring)) == "LTC(2, 5, unfolds=6, wiring='matrix')"


def test_sizes_from_numpy_are_plain_numbers() -> None:
    """`config` must be JSON whatever kind of whole number a size was given as."""
    two = np.int64(2)
    for cell in (LTC(two, two, unfolds=two), CfC(two, two, backbone=(two, two)), Liquid(two, two)):
        assert json.loads(json.dumps(cell.config()))["units"] == 2
