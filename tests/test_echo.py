"""EchoState and what it is made of: matrices, radius, topologies, options, memory, noise, feedback, files."""

from __future__ import annotations

import importlib
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from liquidtorch import EchoState, Stack, layers, ops, reservoir
from liquidtorch.errors import BackendError, OptionError, ShapeError
from liquidtorch.reservoir import topology

radius_room = importlib.import_module("liquidtorch.reservoir.radius")  # the function there has the same name
DRAWN = ("random", "blocked", "small_world")


def dense(found: reservoir.Matrix, units: int) -> np.ndarray:
    W = np.zeros(units * units)
    W[found.place] = found.weight
    return W.reshape(units, units)


def modulus(W: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(W)).max())


@pytest.mark.parametrize("units", [33, 600])
@pytest.mark.parametrize("name", [*topology.TOPOLOGIES, "jumps:7"])
def test_every_topology_has_the_radius_it_is_asked_for(name: str, units: int) -> None:
    """To rounding up to 400 units and to 1e-3 above, against all eigenvalues by LAPACK."""
    density = {"blocked": 0.6, "random": 0.2, "small_world": 0.2}.get(name)
    found = reservoir.matrix(units, topology=name, density=density, radius=0.7, seed=3)
    assert (np.diff(found.place) > 0).all(), "ascending, none twice"
    exact = units <= radius_room.DENSE if name in (*DRAWN, "jumps", "jumps:7") else True
    assert modulus(dense(found, units)) == pytest.approx(0.7, rel=1e-9 if exact else 1e-3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pair", [False, True])
def test_arnoldi_against_all_eigenvalues(seed: int, pair: bool) -> None:
    """Also where the leading ones are a complex pair, and with the accuracy that is stated."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(600, 600)) * (rng.random((600, 600)) < 0.1)
    if pair:  # a rotation, faster than all else
        W[:2, :] = W[:, :2] = 0
        W[0, 1], W[1, 0] = 11.0, -11.0
        assert np.abs(np.linalg.eigvals(W)).max() == pytest.approx(11)
    place = np.flatnonzero(W)
    found = reservoir.radius(place, W.ravel()[place], 600)
    assert found.how == "Arnoldi"
    assert found.value == pytest.approx(modulus(W), rel=1e-3)


def test_where_arnoldi_does_not_converge_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eigenvalues of a ring are all as large: no vector leads."""
    monkeypatch.setattr(radius_room, "RESTARTS", 1)
    monkeypatch.setattr(radius_room, "RESIDUAL", 1e-12)
    found = reservoir.radius(*reservoir.matrix(600, topology="ring", radius=1.0), 600)
    assert found.how == "all eigenvalues (Arnoldi did not converge)"
    assert found.value == pytest.approx(1, rel=1e-9)


def test_the_radius_of_5000_units_takes_no_time() -> None:
    """Below 1 s on a free core; here with room for a busy machine. ARPACK's own choice takes 19 s."""
    place = topology.connect("random", 5000, 0.1, np.random.default_rng(0)).place
    weight = np.random.default_rng(1).normal(size=len(place))
    start = time.process_time()
    found = reservoir.radius(place, weight, 5000)
    assert found.how == "Arnoldi"
    assert found.value == pytest.approx(np.sqrt(500), rel=0.04), "the circular law"
    assert time.process_time() - start < 5


def test_each_topology_connects_as_it_says() -> None:
    def live(name: str, units: int, **options: float) -> np.ndarray:
        return dense(reservoir.matrix(units, topology=name, seed=1, **options), units) != 0  # pyright: ignore

    assert (live("random", 50, density=0.2).sum(1) == 10).all()
    blocked = live("blocked", 40, density=0.5)
    assert (blocked.sum(1) == 20).all()
    assert all((blocked[i] == blocked[i // 16 * 16]).all() for i in range(40))
    assert blocked[0].tolist() != blocked[16].tolist()
    assert blocked[[0, 16, 32]].sum(0).min() >= 1, "dealt out: 60 places at 40 units leave none out"
    assert (live("small_world", 50, density=0.2).sum(1) == 10).all()
    assert (live("ring", 5) == np.roll(np.eye(5), 1, axis=0)).all()
    W = dense(reservoir.matrix(9, topology="jumps:3", radius=1.0), 9)
    ring = np.roll(np.eye(9), 1, axis=0)
    jumps = np.zeros((9, 9))
    for i, j in ((0, 3), (3, 6), (6, 0)):
        jumps[i, j] = jumps[j, i] = 0.5
    assert np.allclose(W * (1 / W.max()), ring + jumps)
    W = dense(reservoir.matrix(50, topology="permutation", radius=0.5), 50)
    assert np.allclose(W @ W.T, 0.25 * np.eye(50)), "orthogonal"
    uniform = reservoir.matrix(100, weights="uniform", density=0.5).weight
    assert np.abs(uniform).max() / uniform.std() == pytest.approx(np.sqrt(3), rel=0.02)
    assert dense(reservoir.matrix(7, topology="jumps:2"), 7).any()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"topology": "rings"}, "`topology` must be one of 'random', .*Did you mean 'ring'?"),
        ({"topology": "ring:3"}, "`topology` must be 'ring' without a number; got 'ring:3'. Only 'jumps' has one."),
        ({"topology": "jumps:x"}, "`topology` must be 'jumps:' and a whole number; got 'jumps:x'."),
        ({"topology": "jumps:20"}, "`topology` must jump over 2 to 19 of 20 units; got 20."),
        ({"topology": "ring", "density": 0.1}, "`density` must be left out for 'ring'; got 0.1 (its"),
        ({"topology": "ring", "weights": "normal"}, "`weights` must be left out for 'ring'; got 'normal' (they"),
        ({"topology": "blocked"}, "at least 16 sources where 16 neighbours share them; got 2. Use density=0.8 or more"),
        ({"weights": "gauss"}, "`weights` must be one of None, 'normal', 'uniform'; got 'gauss'."),
        ({"density": 0.0}, "`density` must be a number above 0 and at most 1; got 0.0."),
        ({"radius": -1}, "`radius` must be a number at least 0; got -1."),
        ({"seed": -1}, "`seed` must be a whole number at least 0; got -1."),
        ({"seed": None}, "`seed` must be a whole number at least 0; got None (NoneType)."),
        ({"scale": [1.0, 2.0]}, "`scale` must be a number or 3 numbers, one for each column of x; got (2,)."),
        ({"scale": float("nan")}, "`scale` must be finite; got nan."),
        ({"bias": -0.1}, "`bias` must be a number at least 0; got -0.1."),
        ({"tau": 1.0, "leak": 0.5}, "`leak` must be left out where `tau` is given; got both."),
        ({"leak": 0.0}, "`leak` must be a number above 0 and at most 1; got 0.0."),
        ({"tau": (2.0, 1.0)}, "`tau` must be a number at least 2; got 1.0."),
        ({"tau": torch.ones(3)}, "`tau` must be a number, a pair or a tensor (20,); got a tensor (3,)."),
        ({"activation": "relu"}, "`activation` must be one of 'tanh', 'linear'; got 'relu'."),
        ({"feedback": -1}, "`feedback` must be a whole number at least 0; got -1."),
        ({"feedback_noise": 0.1}, "`feedback_noise` must be 0 without feedback; got 0.1. Set feedback=1."),
        ({"noise": -0.1}, "`noise` must be a number at least 0; got -0.1."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(options: dict, text: str) -> None:
    pattern = text if ".*" in text else re.escape(text)
    with pytest.raises((OptionError, ShapeError), match=pattern.replace("?", r"\?") if ".*" in text else pattern):
        EchoState(3, 20, **options)


def test_a_leak_is_a_time_constant() -> None:
    """At dt = 1 a is the leak, at dt = 2 what is left of two steps; leak 1 keeps nothing at all."""
    x = torch.randn(1, 1, 1, dtype=torch.float64)
    h = torch.rand(1, 20, dtype=torch.float64)
    for leak in (0.3, 1.0):
        layer = EchoState(1, 20, radius=0.0, leak=leak).double()
        target = torch.tanh(layer.cell.inputs(x[:, 0]))
        for dt in (1, 2):
            keep = (1 - leak) ** dt
            assert torch.allclose(layer(x, h, dt=dt)[1], keep * h + (1 - keep) * target, atol=1e-6)
    taus = EchoState(1, 2000, tau=(2.0, 50.0), density=0.001).cell.taus()
    assert taus.min() >= 2
    assert taus.max() <= 50.001
    assert taus.log().mean() == pytest.approx(np.log(10), abs=0.1), "log-uniform"


def test_the_seed_is_all_there_is_to_chance() -> None:
    """The same options and seed make the same layer, whatever PyTorch's own generator holds and however often."""
    made = []
    for i in range(2):
        torch.manual_seed(i)
        before = torch.random.get_rng_state()
        made.append(EchoState(2, 60, bias=0.3, seed=5).state_dict())
        assert torch.equal(torch.random.get_rng_state(), before)
    other = EchoState(2, 60, bias=0.3, seed=6).state_dict()
    for name, value in made[0].items():
        assert torch.equal(value, made[1][name])
        assert not torch.equal(value, other[name]), name
    layer = EchoState(2, 60, bias=0.3, seed=5, scale=[1.0, 0.1], tau=torch.arange(1.0, 61.0))
    built = layers.build(json.loads(json.dumps(layer.config())))
    assert all(torch.equal(value, built.state_dict()[name]) for name, value in layer.state_dict().items())
    assert not list(layer.parameters()), "nothing is trained"


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    """Weights and synapses come back through safetensors, into a layer of another seed and numbering too."""
    layer = EchoState(2, 40, density=0.2, seed=1)
    layer.permute(torch.randperm(40, generator=torch.Generator().manual_seed(0)))
    save_file(layer.state_dict(), tmp_path / "echo.safetensors")
    other = EchoState(2, 40, density=0.2, seed=2)
    other.load_state_dict(load_file(tmp_path / "echo.safetensors"))
    x = torch.randn(20, 9, 2)
    assert torch.equal(other(x)[0], layer(x)[0])
    with ops.use("reference"):
        assert torch.allclose(other(x)[0], layer(x)[0], atol=1e-5)


def test_a_linear_ring_remembers_what_it_can() -> None:
    """100 units hold at least 98 of the last 100 inputs (Jaeger 2001: at most 100); each delay's own least squares."""
    rng, units, washout, T = np.random.default_rng(0), 100, 500, 6000
    u = rng.uniform(-1, 1, T)
    # A random sign for each input weight makes the powers of the ring's shift independent.
    layer = EchoState(1, units, topology="ring", radius=0.9, activation="linear", leak=1.0, seed=2).double()
    with torch.no_grad():
        layer.cell.W_x.sign_()
    states = layer(torch.from_numpy(u).view(1, -1, 1))[0][0].numpy()
    half = (T + washout) // 2
    capacity = 0.0
    for k in range(1, 2 * units):
        wanted = np.roll(u, k)
        w = np.linalg.lstsq(states[washout:half], wanted[washout:half], rcond=None)[0]
        found, true = states[half:] @ w, wanted[half:]
        capacity += max(0.0, 1 - ((found - true) ** 2).mean() / true.var())  # on inputs that were not fitted
    assert 98 <= capacity <= units + 0.5


def test_noise_is_there_where_it_is_asked_for_only() -> None:
    layer = EchoState(1, 30, feedback=2, noise=0.1, feedback_noise=0.2, density=0.2, radius=0.5).double()
    x = torch.randn(2, 400, 3, dtype=torch.float64)
    clean = layer(x)[0]
    with layer.noisy(seed=1):
        first, second = layer(x)[0], layer(x)[0]
    assert torch.equal(layer(x)[0], clean)
    with layer.noisy(seed=1):
        assert torch.equal(layer(x)[0], first), "the seed repeats it"
    assert not torch.equal(first, second), "but two calls in a block differ"
    with layer.noisy():
        u = layer.cell.inputs(torch.zeros(1, 20000, 3, dtype=torch.float64))
    wanted = (0.1**2 + 0.2**2 * layer.cell.W_x[:, 1:].square().sum(1)).sqrt()
    assert torch.allclose(u[0].std(0), wanted, rtol=0.05)
    with (
        pytest.raises(OptionError, match="`noise` or `feedback_noise` must be above 0 for `noisy`; both are 0"),
        EchoState(1, 3).noisy(),
    ):
        pass


def test_a_taught_layer_runs_on_its_own() -> None:
    """What `forced` puts in the last columns is what the outputs are in a closed loop, one step late."""
    layer = EchoState(1, 20, feedback=2, density=0.3).double()
    x, truth = torch.randn(3, 8, 1, dtype=torch.float64), torch.randn(3, 8, 2, dtype=torch.float64)
    wanted, _ = layer(layer.forced(x, truth))
    h, before = layer.initial(3), torch.zeros(3, 2, dtype=torch.float64)
    for t in range(8):
        y, h = layer(torch.cat([x[:, t], before], -1).unsqueeze(1), h)
        assert torch.allclose(y[:, 0], wanted[:, t], atol=1e-12)
        before = truth[:, t]
    later = layer.forced(x[:, 4:], truth[:, 4:], before=truth[:, 3])
    assert torch.equal(later, layer.forced(x, truth)[:, 4:])
    with pytest.raises(ShapeError, match=r"`truth` must have the shape \(batch=3, time=8, feedback=2\)"):
        layer.forced(x, truth[..., :1])


def test_a_deep_reservoir_shows_every_layer() -> None:
    parts = [EchoState(2, 9, density=0.3, seed=1), EchoState(9, 5, density=0.4, seed=2)]
    x = torch.randn(2, 6, 2)
    low, _ = parts[0](x)
    high, _ = parts[1](low)
    deep = Stack(parts, shown="all")
    assert deep.outputs == 14
    assert torch.equal(deep(x)[0], torch.cat([low, high], -1))
    assert Stack.from_config({k: v for k, v in Stack(parts).config().items() if k != "shown"}).outputs == 5
    with pytest.raises(OptionError, match="`shown` must be one of 'last', 'all'; got 'first'"):
        Stack(parts, shown="first")


def test_the_kernel_runs_where_no_gradient_is_asked_for(kernels: None) -> None:
    """And where one is, the reference: with the right gradients, those of finite differences of the kernel."""
    layer = EchoState(1, 30, density=0.2).double()
    x = torch.randn(2, 5, 1, dtype=torch.float64)
    assert ops.backend("echo", x).endswith("(no backward pass: where a gradient is asked for, the reference runs)")
    with ops.use("fast"):
        y, _ = layer(x)
        with pytest.raises(BackendError, match="a gradient is asked for, and the kernel has no backward pass"):
            layer(x.requires_grad_())
    (grad,) = torch.autograd.grad(layer(x)[0].square().sum(), x)
    with torch.no_grad(), ops.use("fast"):
        step = torch.zeros_like(x)
        step[1, 2] = 1e-6
        slope = (layer(x + step)[0].square().sum() - layer(x - step)[0].square().sum()) / 2e-6
    assert slope.item() == pytest.approx(grad[1, 2, 0].item(), rel=1e-6)
    with ops.use("reference"):
        assert torch.allclose(layer(x)[0], y, atol=1e-13)


@pytest.mark.parametrize("name", ["random", "blocked"])
def test_states_of_one_row_and_of_many_agree(name: str, kernels: None) -> None:
    """At the size the kernels are made for: rows alone, a few, and enough to fill the lanes."""
    layer = EchoState(2, 500, topology=name, seed=3).double()
    x, dt = torch.randn(33, 20, 2, dtype=torch.float64), torch.rand(33, 20)
    y, _ = layer(x, dt=dt)
    for rows in (1, 2, 5, 16):
        assert torch.allclose(layer(x[:rows], dt=dt[:rows])[0], y[:rows], atol=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "linear"])
@pytest.mark.parametrize("H", [1, 3, 7, 33])
def test_a_step_is_its_equation(H: int, activation: str) -> None:
    """Synapse by synapse in plain loops."""
    draw = np.random.default_rng(H)
    u, h, dt = draw.normal(size=(5, H)), draw.uniform(-1, 1, (5, H)), draw.uniform(0, 3, (5, 1))
    live, tau = draw.random((H, H)) < 0.4, draw.uniform(0.5, 9, H)
    weight, wanted, s = draw.normal(size=int(live.sum())), np.empty((5, H)), 0
    for i in range(H):
        z = u[:, i].copy()
        for j in range(H):
            if live[i, j]:
                z += weight[s] * h[:, j]
                s += 1
        target = np.tanh(z) if activation == "tanh" else z
        wanted[:, i] = target + (h[:, i] - target) * np.exp(-dt[:, 0] / tau[i])
    given = [torch.from_numpy(a) for a in (u, h, dt, weight, tau)]
    listed = ops.synapses(torch.from_numpy(live))
    found = ops.echo_step(*given, synapses=listed, activation=activation)
    assert np.allclose(found, wanted, atol=1e-12, rtol=0)
    again = ops.synapses_at(listed.place, H)
    assert all(torch.equal(a, b) for a, b in zip(again, listed, strict=True))


def test_shapes_that_do_not_fit_are_refused() -> None:
    listed = ops.synapses(torch.ones(2, 2))
    one = torch.ones(1, 1, 2)
    with pytest.raises(ShapeError, match=r"`weight` must have the shape \(4,\); got \(3,\)"):
        ops.echo(one, one[0], one[..., 0], torch.ones(3), torch.ones(2), synapses=listed)
    with pytest.raises(OptionError, match="`activation` must be one of 'tanh', 'linear'; got 'relu'"):
        ops.echo(one, one[0], one[..., 0], torch.ones(4), torch.ones(2), synapses=listed, activation="relu")


def lyapunov_of(layer: EchoState) -> float:
    """Return log of the radius of (1-a)*I + a*W, dense, for a linear layer and dt = 1."""
    cell, H = layer.cell, layer.cell.units
    W = torch.zeros(H * H, dtype=torch.float64)
    W[cell.place_h] = cell.weight.double()
    a = -torch.expm1(-1 / cell.taus().double())
    J = torch.diag(1 - a) + a[:, None] * W.view(H, H)
    return float(np.log(modulus(J.numpy())))


@pytest.mark.parametrize("target", [-0.4, -0.05])
def test_calibration_of_a_linear_layer_is_an_eigenvalue(target: float) -> None:
    """The exponent does not depend on the input there: the eigenvalues of the Jacobian say what it is."""
    layer = EchoState(1, 60, activation="linear", tau=(0.5, 2.0), density=0.3, topology="small_world", seed=2).double()
    x = torch.randn(2, 4000, 1, dtype=torch.float64)
    found = reservoir.calibrate_echo(layer, x, lyapunov=target, washout=500, tolerance=1e-3)
    assert found.lyapunov == pytest.approx(target, rel=1e-3)
    assert lyapunov_of(layer) == pytest.approx(target, abs=0.01), "4000 steps of a rotating pair"
    assert found.saturated == 0


def test_a_calibrated_layer_forgets_at_that_pace() -> None:
    """Two runs from states a hair apart approach by exp(lyapunov*dt), dt irregular; and config remembers the gain."""
    layer = EchoState(1, 100, radius=0.3, tau=(0.5, 2.0), scale=0.5, bias=0.1, seed=1).double()
    x = torch.randn(1, 700, 1, dtype=torch.float64)
    dt = torch.rand(1, 700).double() + 0.5
    found = reservoir.calibrate_echo(layer, x, dt=dt, lyapunov=-0.02, tolerance=1e-2)
    assert found.gain > 1
    h = torch.zeros(1, 100, dtype=torch.float64)
    a, b = layer(x, h, dt=dt)[0], layer(x, h + 1e-3 * torch.randn_like(h), dt=dt)[0]
    gap = (a - b)[0].norm(dim=1).log()
    pace = (gap[699] - gap[49]) / dt[0, 50:].sum()
    assert pace.item() == pytest.approx(found.lyapunov, rel=0.05)
    built = layers.build(layer.config()).double()
    assert torch.allclose(built.cell.weight, layer.cell.weight, rtol=1e-6)


def quiet() -> Tensor:
    return torch.randn(1, 300, 1, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("options", "x", "target", "text"),
    [
        ({"scale": 1e-7}, quiet(), -0.1, r"`x` must move the states; .* \(a silent reservoir\). Raise `scale`"),
        ({"scale": 1e3}, quiet(), -0.1, r"`x` must leave most .* 9\d% .* beyond 0.97 \(saturated\). Lower `scale`"),
        ({"tau": 100.0}, quiet(), -0.1, r"`lyapunov` must be .* got -0.1, not -0.0.* slowest units .* lower `tau`"),
    ],
)  # fmt: skip
def test_a_reservoir_that_cannot_be_calibrated_says_what_to_change(
    options: dict, x: Tensor, target: float, text: str
) -> None:
    layer = EchoState(1, 50, density=0.2, **options)
    before = layer.cell.weight.clone()
    with pytest.raises(ValueError, match=text):
        reservoir.calibrate_echo(layer, x, lyapunov=target)
    assert torch.equal(layer.cell.weight, before), "and is as it was"
