"""Every step function against its equation, written a second time in NumPy or solved by SciPy."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from liquidtorch import ops
from liquidtorch.errors import OptionError, ShapeError

SIZES = [1, 3, 7, 33]
TOLERANCE = {  # float64; the signal is about 1
    "step": 1e-12,  # the same equation, rounded in another order
    "composed": 1e-11,  # several steps against their product
    "solved": 1e-9,  # against an adaptive solver at rtol 1e-11
}


def close(found: Tensor | np.ndarray, wanted: np.ndarray, what: str = "step") -> bool:
    return np.allclose(np.asarray(found), wanted, atol=TOLERANCE[what], rtol=0)


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(0)


def t(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(np.asarray(a, dtype=np.float64)) for a in arrays]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("H", SIZES)
def test_leaky(draw: np.random.Generator, H: int) -> None:
    u, h, dt = draw.normal(size=(5, H)), draw.uniform(-1, 1, (5, H)), draw.uniform(0, 3, (5, 1))
    W, tau = draw.normal(size=(H, H)), draw.uniform(0.5, 9, H)
    target = np.tanh(u + h @ W.T)
    exact = ops.leaky_step(*t(u, h, dt, W, tau)).numpy()
    assert close(exact, target + (h - target) * np.exp(-dt / tau))
    euler = ops.leaky_step(*t(u, h, dt, W, tau), method="euler").numpy()
    assert close(euler, h + dt * (target - h) / tau)


@pytest.mark.parametrize("H", SIZES)
def test_liquid(draw: np.random.Generator, H: int) -> None:
    drive, gate = draw.normal(size=(2, 5, H))
    h, dt = draw.uniform(-1, 1, (5, H)), draw.uniform(0, 3, (5, 1))
    W, G, log_tau = draw.normal(size=(H, H)), draw.normal(size=(H, H)), draw.normal(size=H)
    found = ops.liquid_step(*t(np.concatenate([drive, gate], 1), h, dt, W, G, log_tau)).numpy()
    tau = np.exp(log_tau + gate + h @ G.T)
    target = np.tanh(drive + h @ W.T)
    assert close(found, target + (h - target) * np.exp(-dt / tau))


@pytest.mark.parametrize("log_tau", [-1e4, -200.0, 200.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_liquid_at_the_ends_of_tau(log_tau: float, dtype: torch.dtype) -> None:
    """An instant unit stands at its target, a frozen one where it was; neither makes a gradient of nan."""
    args = [torch.full(s, v, dtype=dtype).requires_grad_() for s, v in (((1, 2), 0.5), ((1, 1), -0.5))]
    W = torch.zeros(1, 1, dtype=dtype)
    lam = torch.full((1,), log_tau, dtype=dtype).requires_grad_()
    h = ops.liquid_step(*args, torch.ones(1, 1, dtype=dtype), W, W, lam)
    h.sum().backward()
    assert h.item() == pytest.approx(np.tanh(0.5) if log_tau < 0 else -0.5)
    assert all(bool(a.grad.isfinite().all()) for a in (*args, lam))
    still = ops.liquid_step(*args, torch.zeros(1, 1, dtype=dtype), W, W, lam)
    assert still.item() == -0.5


def ltc_arguments(draw: np.random.Generator, H: int) -> tuple[np.ndarray, ...]:
    w, mu, sigma = draw.uniform(0, 2, (H, H)), draw.uniform(0.3, 0.8, (H, H)), draw.uniform(3, 8, (H, H))
    erev = draw.choice([-1.0, 1.0], (H, H))
    return w, mu, sigma, erev, draw.uniform(0.1, 1, H), draw.uniform(-0.2, 0.2, H), draw.uniform(0.4, 3, H)


@pytest.mark.parametrize("H", SIZES)
@pytest.mark.parametrize("unfolds", [1, 6])
def test_ltc(draw: np.random.Generator, H: int, unfolds: int) -> None:
    """Synapse by synapse in plain loops, in the form of Hasani 2021: divided by cm / (dt/K)."""
    B = 4
    N_x, D_x = draw.normal(size=(B, H)), draw.uniform(0, 2, (B, H))
    h, dt = draw.uniform(-1, 1, (B, H)), draw.uniform(0.1, 3, (B, 1))
    w, mu, sigma, erev, gleak, vleak, cm = ltc_arguments(draw, H)
    v = h.copy()
    for _ in range(unfolds):
        new = np.empty_like(v)
        for b in range(B):
            for i in range(H):
                g = [w[i, j] * sigmoid(sigma[i, j] * (v[b, j] - mu[i, j])) for j in range(H)]
                c = cm[i] / (dt[b, 0] / unfolds)
                above = c * v[b, i] + gleak[i] * vleak[i] + sum(g * erev[i]) + N_x[b, i]
                new[b, i] = above / (c + gleak[i] + sum(g) + D_x[b, i])
        v = new
    u = np.concatenate([N_x, D_x], 1)
    found = ops.ltc_step(*t(u, h, dt, w, mu, sigma, erev, gleak, vleak, cm), unfolds=unfolds).numpy()
    assert close(found, v)


def test_ltc_solves_its_membrane_equation(draw: np.random.Generator) -> None:
    """With many unfolds the step converges, at first order, to the solution SciPy finds."""
    H = 4
    w, mu, sigma, erev, gleak, vleak, cm = ltc_arguments(draw, H)
    h, dt = draw.uniform(-1, 1, H), 1.5

    def slope(_: float, v: np.ndarray) -> np.ndarray:
        g = w * sigmoid(sigma * (v - mu))
        return (gleak * (vleak - v) + (g * (erev - v[:, None])).sum(1)) / cm

    wanted = solve_ivp(slope, (0, dt), h, rtol=1e-11, atol=1e-12).y[:, -1]
    errors = []
    for unfolds in (200, 400, 800):
        args = t(np.zeros((1, 2 * H)), h[None], np.array([[dt]]), w, mu, sigma, erev, gleak, vleak, cm)
        errors.append(np.abs(ops.ltc_step(*args, unfolds=unfolds).numpy()[0] - wanted).max())
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.allclose(orders, 1, atol=0.05)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize("H", SIZES)
def test_cfc(draw: np.random.Generator, mode: str, carry: bool, H: int) -> None:
    B = 5
    K = (1 if mode == "pure" else 4) + carry
    u, h, dt = draw.normal(size=(B, K, H)), draw.uniform(-1, 1, (B, H)), draw.uniform(0, 3, (B, 1))
    W, tau, A, w_tau = draw.normal(size=(K, H, H)), draw.uniform(0.5, 9, H), draw.normal(size=H), draw.normal(size=H)
    z = [u[:, k] + h @ W[k].T for k in range(K)]
    s = dt / tau
    if mode == "pure":
        wanted = A - A * np.exp(-s * (np.abs(w_tau) + np.abs(z[0]))) * z[0]
    else:
        g = sigmoid(z[2] * s + z[3])
        one, two = np.tanh(z[0]), np.tanh(z[1])
        wanted = one + g * two if mode == "no_gate" else one + g * (two - one)
    if carry:
        wanted = wanted + (h - wanted) * np.exp(-s / np.exp(z[-1]))
    own = t(A, w_tau) if mode == "pure" else []
    found = ops.cfc_step(*t(u.reshape(B, -1), h, dt, W, tau), own, mode=mode, carry=carry).numpy()
    assert close(found, wanted)


def test_cfc_backbone(draw: np.random.Generator) -> None:
    B, H, Z = 5, 3, 6
    u, h, dt = draw.normal(size=(B, Z)), draw.uniform(-1, 1, (B, H)), draw.uniform(0, 3, (B, 1))
    W_h, W_1, b_1 = draw.normal(size=(Z, H)), draw.normal(size=(Z, Z)), draw.normal(size=Z)
    W_2, b_2 = draw.normal(size=(4 * H, Z)), draw.normal(size=4 * H)
    z = np.maximum(np.maximum(u + h @ W_h.T, 0) @ W_1.T + b_1, 0) @ W_2.T + b_2
    ff1, ff2, a, b = np.split(z, 4, axis=1)
    g = sigmoid(a * dt + b)
    wanted = np.tanh(ff1) * (1 - g) + np.tanh(ff2) * g
    backbone = [tuple(t(W_1, b_1)), tuple(t(W_2, b_2))]
    found = ops.cfc_step(*t(u, h, dt, W_h, np.ones(H)), (), (), backbone, activation="relu").numpy()
    assert close(found, wanted)


def test_cfc_sweep(draw: np.random.Generator) -> None:
    """The second group reads the first group's new state, and its own old one."""
    B, H = 5, 4
    u, h, dt = draw.normal(size=(B, 4, H)), draw.uniform(-1, 1, (B, H)), draw.uniform(0, 3, (B, 1))
    W, tau = draw.normal(size=(4, H, H)), draw.uniform(0.5, 9, H)
    now = h.copy()
    for group in ([1, 3], [0, 2]):
        z = [u[:, k] + now @ W[k].T for k in range(4)]
        g = sigmoid(z[2] * dt / tau + z[3])
        now[:, group] = (np.tanh(z[0]) * (1 - g) + np.tanh(z[1]) * g)[:, group]
    sweep = [torch.tensor([1, 3]), torch.tensor([0, 2])]
    found = ops.cfc_step(*t(u.reshape(B, -1), h, dt, W, tau), (), sweep).numpy()
    assert close(found, now)


@pytest.mark.parametrize("H", SIZES)
def test_linear_solves_its_equation(draw: np.random.Generator, H: int) -> None:
    """h' = -(1 + f)/tau * h + f*A/tau, input held, as SciPy integrates it."""
    maps, tau = draw.normal(size=(2, H)), draw.uniform(0.5, 9, H)
    f, A = np.log1p(np.exp(maps[0])), np.tanh(maps[1])
    h, dt = draw.uniform(-1, 1, H), 1.7
    wanted = solve_ivp(lambda _, v: (-(1 + f) * v + f * A) / tau, (0, dt), h, rtol=1e-11, atol=1e-13).y[:, -1]
    found = ops.linear_step(*t(maps.reshape(1, -1), h[None], [[dt]], tau)).numpy()[0]
    assert close(found, wanted, "solved")


@pytest.mark.parametrize("H", SIZES)
def test_mobius_is_a_matrix(draw: np.random.Generator, H: int) -> None:
    """Steps compose as the 2x2 matrices [[1+s*k*A, s*(f+k)*A], [s*k, 1+s*(1+f+k)]]."""
    tau, h = draw.uniform(0.5, 9, H), draw.uniform(-1, 1, H)
    state, product = torch.from_numpy(h[None]), np.broadcast_to(np.eye(2), (H, 2, 2))
    for _ in range(4):
        maps, dt = draw.normal(size=(3, H)), draw.uniform(0, 3)
        (f, k), A = np.log1p(np.exp(maps[:2])), np.tanh(maps[2])
        s = dt / tau
        M = np.array([[1 + s * k * A, s * (f + k) * A], [s * k, 1 + s * (1 + f + k)]]).transpose(2, 0, 1)
        product = M @ product
        u, step = t(maps.reshape(1, -1), [[dt]])
        state = ops.mobius_step(u, state, step, torch.from_numpy(tau))
    P = product
    wanted = (P[:, 0, 0] * h + P[:, 0, 1]) / (P[:, 1, 0] * h + P[:, 1, 1])
    assert close(state.numpy()[0], wanted, "composed")


STEPS = {  # every step, as a function of its input's share, the state and dt
    "leaky": (1, lambda u, h, dt, W, tau: ops.leaky_step(u, h, dt, W[0], tau)),
    "leaky euler": (1, lambda u, h, dt, W, tau: ops.leaky_step(u, h, dt, W[0], tau, method="euler")),
    "liquid": (2, lambda u, h, dt, W, tau: ops.liquid_step(u, h, dt, W[0], W[1], tau.log())),
    "ltc": (2, lambda u, h, dt, W, tau: ops.ltc_step(
        torch.cat([u.chunk(2, -1)[0].tanh() * u.chunk(2, -1)[1].abs(), u.chunk(2, -1)[1].abs()], -1),
        h, dt, W[0].abs(), W[1], 50 * W[2], W[3].sign(), tau, tau.log().tanh(), tau)),
    "cfc": (4, lambda u, h, dt, W, tau: ops.cfc_step(u, h, dt, W[:4], tau)),
    "cfc no_gate": (4, lambda u, h, dt, W, tau: ops.cfc_step(u, h, dt, W[:4], tau, mode="no_gate")),
    "cfc pure": (1, lambda u, h, dt, W, tau: ops.cfc_step(u, h, dt, W[:1], tau, [tau, tau - 2], mode="pure")),
    "cfc carry": (5, lambda u, h, dt, W, tau: ops.cfc_step(u, h, dt, W, tau, carry=True)),
    "linear": (2, lambda u, h, dt, W, tau: ops.linear_step(u, h, dt, tau)),
    "mobius": (3, lambda u, h, dt, W, tau: ops.mobius_step(u, h, dt, tau)),
}  # fmt: skip
FLOWS = [name for name in STEPS if not name.startswith("cfc") or name == "cfc carry"]


def arguments(draw: np.random.Generator, name: str, H: int = 7) -> list[Tensor]:
    width = STEPS[name][0] * H
    return t(
        draw.normal(size=(5, width)), draw.uniform(-1, 1, (5, H)), draw.uniform(0.1, 3, (5, 1)),
        draw.normal(size=(5, H, H)), draw.uniform(0.5, 9, H),
    )  # fmt: skip


@pytest.mark.parametrize("name", FLOWS)
def test_no_time_is_no_change(draw: np.random.Generator, name: str) -> None:
    u, h, dt, W, tau = arguments(draw, name)
    assert close(STEPS[name][1](u, h, 0 * dt, W, tau), h.numpy())
    assert not close(STEPS[name][1](u, h, dt, W, tau), h.numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("wide", "late"), [(1.0, 1e30), (1e4, 1.0), (1e4, 1e30), (1e4, 1e-30)])
@pytest.mark.parametrize("name", [name for name in STEPS if name != "leaky euler"])
def test_the_ends_of_dt_and_u_are_finite(
    draw: np.random.Generator, name: str, wide: float, late: float, dtype: torch.dtype
) -> None:
    u, h, dt, W, tau = [a.to(dtype) for a in arguments(draw, name)]
    given = [a.requires_grad_() for a in (wide * u, h, late * dt, W, tau)]
    after = STEPS[name][1](*given)
    assert bool(after.isfinite().all())
    after.sum().backward()
    for a, what in zip(given, ("u", "h", "dt", "W", "tau"), strict=True):
        assert a.grad is None or bool(a.grad.isfinite().all()), what


def test_leaky_solves_its_equation(draw: np.random.Generator) -> None:
    """tau*h' = target - h with the target held, as SciPy integrates it."""
    H = 7
    u, h, W, tau = draw.normal(size=H), draw.uniform(-1, 1, H), draw.normal(size=(H, H)), draw.uniform(0.5, 9, H)
    target = np.tanh(u + W @ h)
    wanted = solve_ivp(lambda _, v: (target - v) / tau, (0, 2.3), h, rtol=1e-11, atol=1e-13).y[:, -1]
    assert close(ops.leaky_step(*t(u[None], h[None], [[2.3]], W, tau)).numpy()[0], wanted, "solved")


@pytest.mark.parametrize("what", TOLERANCE)
@pytest.mark.parametrize("name", STEPS)
def test_tolerances_are_tight(draw: np.random.Generator, name: str, what: str) -> None:
    """20 tolerances in one weight show in the result: none is too wide to see that much."""
    u, h, dt, W, tau = arguments(draw, name)
    after = STEPS[name][1](u, h, dt, W, tau)
    nudged = STEPS[name][1](u, h, dt, W, tau * (1 + 20 * TOLERANCE[what]))
    moved = (after - nudged).abs().max() / (20 * TOLERANCE[what])
    off = after.clone()
    off[2, 3] += 20 * TOLERANCE[what]
    assert close(after, after.numpy(), what)
    assert not close(off, after.numpy(), what)
    assert moved > 0.05, f"a relative error in tau moves the state only {moved:.3g} times as far"


def test_shapes_are_checked() -> None:
    u, h, dt = torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 1)
    W, tau = torch.zeros(3, 3), torch.ones(3)
    text = "`u`, `h` and `dt` must end in 3, 3 and 1; got (2, 3), (2, 3) and (2,)."
    with pytest.raises(ShapeError, match=re.escape(text)):
        ops.leaky_step(u, h, torch.zeros(2), W, tau)
    calls = (
        lambda: ops.liquid_step(u, h, dt, W, W, tau),
        lambda: ops.ltc_step(u, h, dt, W, W, W, W, tau, tau, tau),
        lambda: ops.cfc_step(u, h, dt, torch.zeros(4, 3, 3), tau),
        lambda: ops.linear_step(u, h, dt, tau),
        lambda: ops.mobius_step(u, h, dt, tau),
    )
    for call in calls:
        with pytest.raises(ShapeError, match="`u`, `h` and `dt` must end in"):
            call()


def test_backend_says_what_runs() -> None:
    for op in ops.SEQUENCES:
        assert ops.backend(op, torch.zeros(1)).startswith(("kernel: compiled for ", "reference: plain PyTorch on cpu"))
        with ops.use("reference"):
            assert ops.backend(op, torch.zeros(1)) == "reference: plain PyTorch on cpu (asked for by ops.use)"
    with pytest.raises(OptionError, match=r"`op` must be one of .*; got 'ltc_synapse'. Did you mean 'ltc_synapses'\?"):
        ops.backend("ltc_synapse", torch.zeros(1))
