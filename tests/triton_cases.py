"""The Triton kernels against the reference; test_triton.py runs this file where Triton interprets its kernels.

By itself: TRITON_INTERPRET=1 pytest tests/triton_cases.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from torch import Tensor

import liquidtorch.ops.triton as kernels
from liquidtorch import LTC, CfC, Leaky, Linear, Liquid, Mobius, Recurrent, ops, testing, wiring
from liquidtorch.errors import BackendError
from liquidtorch.ops import choice
from liquidtorch.ops.triton import conductance, diagonal, gated, scan

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy, the interpreter, warns where a GPU rounds

TOLERANCE = {  # of the largest number compared
    torch.float64: 1e-13,
    torch.float32: 5e-6,
    torch.float16: 4e-3,
    torch.bfloat16: 3e-2,
}
SIZES = [1, 2, 3, 7, 17, 33, 64, 100]
GROUPS = 3
SCANS = ["linear", "mobius"]
MODES = [f"cfc {mode}{carry}" for mode in ("default", "no_gate", "pure") for carry in ("", " carry")]
NAMES = [
    "leaky exact", "leaky euler", "liquid", *MODES, *(f"{mode} sweep" for mode in MODES),
    *(f"cfc default carry backbone {a}" for a in ops.ACTIVATIONS), "linear", "mobius", "ltc", "ltc_synapses",
]  # fmt: skip

RARE = {"cfc no_gate", "cfc pure", "cfc default sweep", "cfc no_gate carry sweep", "cfc pure sweep"} | {
    f"cfc default carry backbone {a}" for a in ("tanh", "relu", "lecun_tanh")
}  # what the others cover but for one combination

Given = dict[str, Any]


def slow(*case: Any) -> Any:
    """Return a case that only the slow tests run."""
    return pytest.param(*case, marks=pytest.mark.slow)


def given(name: str, H: int, dtype: torch.dtype = torch.float64, B: int = 3, T: int = 5, seed: int = 0) -> Given:
    """Return the arguments of a case by name, with lengths, resets and irregular times, one of them 0 and one huge."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw, dtype=torch.float64)

    if name == "ltc_synapses":
        w = uniform(H, 5) * (uniform(H, 5) < 0.7)
        found: Given = {
            "x": normal(B, T, 5),
            "w": w,
            "mu": normal(H, 5),
            "sigma": 3 * normal(H, 5),
            "erev": normal(H, 5),
        }
        return {key: a.to(dtype) for key, a in found.items()}
    dt = 3 * uniform(B, T)
    if T > 1 and B:
        dt[0, 1], dt[-1, 0] = 0, 1e4
    lengths = torch.randint(0, T + 1, (B,), generator=draw)
    lengths[:1] = T
    more: Given = {"lengths": lengths, "reset": uniform(B, T) < 0.3}
    h, tau, W = normal(B, H).tanh(), 0.5 + 8 * uniform(H), normal(5, H, H) / H**0.5
    op, *how = name.split()
    if op == "leaky":
        dt = dt.clamp(max=3) if "euler" in how else dt
        found = {"u": normal(B, T, H), "h": h, "dt": dt, "W_h": W[0], "tau": tau}
        more["method"] = how[0]
    elif op == "liquid":
        found = {"u": normal(B, T, 2 * H), "h": h, "dt": dt, "W_h": W[0], "G_h": W[1], "log_tau": tau.log()}
    elif op == "linear":
        found = {"u": normal(B, T, 2 * H), "h": h, "dt": dt, "tau": tau}
    elif op == "mobius":
        found = {"u": normal(B, T, 3 * H), "h": h, "dt": dt, "tau": tau}
    elif op == "ltc":
        w = uniform(H, H) * (uniform(H, H) < 0.7)
        u = torch.cat([normal(B, T, H), normal(B, T, H).abs()], -1)
        found = {"u": u, "h": h, "dt": dt, "w": w, "mu": normal(H, H), "sigma": 3 * normal(H, H), "erev": normal(H, H)}
        found |= {"gleak": 0.1 + uniform(H), "vleak": normal(H), "cm": 0.4 + uniform(H)}
        more["unfolds"] = 2
    else:
        dt = dt.clamp(max=100)  # the gate's argument grows with dt, and a rounding in it with that
        K, Z = (1 if how[0] == "pure" else 4) + ("carry" in how), H + 2
        found = {"u": normal(B, T, K * H), "h": h, "dt": dt, "W_h": W[:K].contiguous(), "tau": tau}
        found["own"] = [normal(H), normal(H)] if how[0] == "pure" else []
        more |= {"mode": how[0], "carry": "carry" in how}
        if "sweep" in how:
            more["sweep"] = list(torch.randperm(H, generator=draw).tensor_split(min(H, GROUPS)))
        if "backbone" in how:
            found["u"], found["W_h"], more["activation"] = normal(B, T, Z), normal(Z, H) / H**0.5, how[-1]
            found["backbone"] = [
                (normal(Z, Z) / Z**0.5, normal(Z)), (normal(Z, Z) / Z**0.5, normal(Z)),
                (normal(K * H, Z) / Z**0.5, normal(K * H)),
            ]  # fmt: skip
    return torch.utils._pytree.tree_map(lambda a: a.to(dtype), found) | more


def run(name: str, arguments: Given, which: str) -> dict[str, Tensor]:
    """Return the result and the gradient of every argument, by name."""
    flat, spec = torch.utils._pytree.tree_flatten(arguments)
    paths = [torch.utils._pytree.keystr(path) for path, _ in torch.utils._pytree.tree_leaves_with_path(arguments)]
    flat = [a.detach().requires_grad_() if _learns(a) else a for a in flat]
    with ops.use(which):
        y = getattr(ops, name.split()[0])(**torch.utils._pytree.tree_unflatten(flat, spec))
    y = torch.cat(y, -1) if isinstance(y, tuple) else y
    weight = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view_as(y).cos().to(y.dtype)
    (weight * y).sum().backward() if y.requires_grad else None
    # Where there is nothing to add up the reference leaves no gradient, which is one of 0.
    grads = {
        path: torch.zeros_like(a) if a.grad is None else a.grad
        for path, a in zip(paths, flat, strict=True)
        if _learns(a)
    }
    return {"y": y.detach(), **grads}


def _learns(a: Any) -> bool:
    return isinstance(a, Tensor) and a.is_floating_point()


def faults(found: dict[str, Tensor], wanted: dict[str, Tensor], dtype: torch.dtype) -> list[str]:
    """Return what differs, and by how much."""
    wrong = []
    for what, a in wanted.items():
        scale = float(a.abs().max()) if a.numel() else 0.0
        off = float((found[what].to(a.dtype) - a).abs().max()) if a.numel() else 0.0
        if found[what].shape != a.shape or not off <= TOLERANCE[dtype] * scale:
            wrong.append(f"{what} is off by {off:.2g} of {scale:.2g}")
    return wrong


@pytest.fixture(autouse=True)
def on_this_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels take the CPU's place; the interpreter runs them there."""
    monkeypatch.setitem(choice.TWINS, "cpu", kernels)
    assert kernels.MISSING == ""
    with ops.use("fast"):
        yield


@pytest.mark.parametrize("name", [slow(name) if name in RARE else name for name in NAMES])
def test_forward_and_every_gradient(name: str) -> None:
    arguments = given(name, 7)
    assert not faults(run(name, arguments, "fast"), run(name, arguments, "reference"), torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("H", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_every_size(name: str, H: int) -> None:
    for seed, (B, T) in enumerate(((1, 3), (5, 2), (2, 9))):
        arguments = given(name, H, B=B, T=T, seed=seed)
        assert not faults(run(name, arguments, "fast"), run(name, arguments, "reference"), torch.float64)


@pytest.mark.parametrize("H", [1, 33])
@pytest.mark.parametrize("name", ["leaky exact", "cfc default sweep", "linear", "mobius", "ltc", "ltc_synapses"])
def test_odd_sizes(name: str, H: int) -> None:
    arguments = given(name, H, B=2, T=2)
    assert not faults(run(name, arguments, "fast"), run(name, arguments, "reference"), torch.float64)


@pytest.mark.parametrize(
    ("name", "H"),
    [
        ("leaky exact", 20), ("liquid", 7), ("cfc no_gate carry", 7), ("cfc pure carry", 7),
        ("cfc default carry sweep", 7), slow("cfc default carry sweep", 20), slow("cfc no_gate carry", 33),
    ],
)  # fmt: skip
def test_weights_beyond_the_chip(monkeypatch: pytest.MonkeyPatch, name: str, H: int) -> None:
    monkeypatch.setattr(gated, "on_chip", lambda like: 0)
    monkeypatch.setattr(gated, "BLOCK", 16)
    arguments = given(name, H, T=3)
    assert not faults(run(name, arguments, "fast"), run(name, arguments, "reference"), torch.float64)


@pytest.mark.parametrize("H", [17, slow(33)])
def test_synapses_beyond_the_registers(monkeypatch: pytest.MonkeyPatch, H: int) -> None:
    monkeypatch.setattr(conductance, "HELD", {torch.float64: 16})
    arguments = given("ltc", H, B=2, T=2)
    assert not faults(run("ltc", arguments, "fast"), run("ltc", arguments, "reference"), torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "name", ["leaky exact", "liquid", "cfc default carry", "cfc pure", "linear", "mobius", "ltc", "ltc_synapses"]
)
def test_dtypes(name: str, dtype: torch.dtype) -> None:
    """As close to the reference in float64, on the same rounded numbers, as the dtype allows."""
    arguments = given(name, 7, dtype)
    if "dt" in arguments:
        arguments["dt"] = arguments["dt"].clamp(max=100)
    exact = torch.utils._pytree.tree_map(lambda a: a.double() if _learns(a) else a, arguments)
    found = run(name, arguments, "fast")
    assert all(a.dtype == dtype for a in found.values())
    assert not faults(found, run(name, exact, "reference"), dtype)


@pytest.mark.parametrize("name", NAMES)
def test_tolerances_are_tight(name: str) -> None:
    """20 tolerances more in one argument at a time show in what is compared with it."""
    dtype = torch.float64
    arguments = given(name, 7)
    wanted = run(name, arguments, "reference")
    for what in set(arguments) - {"lengths", "reset", "method", "unfolds", "mode", "carry", "activation", "sweep"}:
        nudged = dict(arguments)
        nudged[what] = torch.utils._pytree.tree_map(lambda a: a * (1 + 20 * TOLERANCE[dtype]), arguments[what])
        if torch.utils._pytree.tree_leaves(nudged[what]):
            assert faults(run(name, nudged, "reference"), wanted, dtype), what
    for what, a in wanted.items():
        if a.numel():
            off = {key: b.clone() for key, b in wanted.items()}
            off[what].view(-1)[-1] += 20 * TOLERANCE[dtype] * a.abs().max()
            assert faults(off, wanted, dtype) == faults({**wanted, what: off[what]}, wanted, dtype) != []


@pytest.mark.parametrize("name", ["leaky exact", "cfc default carry", "linear", "mobius", "ltc"])
def test_without_lengths_and_resets(name: str) -> None:
    arguments = given(name, 5)
    del arguments["lengths"], arguments["reset"]
    assert not faults(run(name, arguments, "fast"), run(name, arguments, "reference"), torch.float64)


@pytest.mark.parametrize("name", ["leaky exact", "liquid", "cfc default", "linear", "mobius", "ltc", "ltc_synapses"])
@pytest.mark.parametrize(("B", "T"), [(0, 3), (2, 0), (1, 1)])
def test_nothing_and_little(name: str, B: int, T: int) -> None:
    arguments = given(name, 3, B=B, T=T)
    assert not faults(run(name, arguments, "fast"), run(name, arguments, "reference"), torch.float64)


@pytest.mark.parametrize("name", ["leaky exact", "linear", "ltc", "ltc_synapses"])
def test_any_strides(name: str) -> None:
    arguments = given(name, 7)
    turned = {key: _turned(a) if isinstance(a, Tensor) and a.dim() > 1 else a for key, a in arguments.items()}
    assert not turned["u" if "u" in turned else "x"].is_contiguous()
    assert not faults(run(name, turned, "fast"), run(name, arguments, "reference"), torch.float64)


def _turned(a: Tensor) -> Tensor:
    return a.transpose(0, -1).contiguous().transpose(0, -1)


@pytest.mark.parametrize(("wide", "late"), [(1.0, 1e30), slow(1e4, 1.0), (1e4, 1e30), slow(1e4, 1e-30)])
@pytest.mark.parametrize("name", ["leaky exact", "liquid", "cfc default carry", "cfc pure carry", *SCANS, "ltc"])
def test_the_ends_of_dt_and_u(name: str, wide: float, late: float) -> None:
    arguments = given(name, 3, torch.float32)
    arguments |= {"u": wide * arguments["u"], "dt": late * arguments["dt"].clamp(max=3)}
    exact = torch.utils._pytree.tree_map(lambda a: a.double() if _learns(a) else a, arguments)
    found, wanted = run(name, arguments, "fast"), run(name, exact, "reference")
    assert all(bool(a.isfinite().all()) for a in found.values())
    # A k of 1e4 makes much of a rounding in 1 + h: there the reference itself, in float32, is off by 1e-4.
    off = (found["y"].double() - wanted["y"]).abs().max() / wanted["y"].abs().max()
    assert off < (5e-5 if name == "mobius" else 1e-5)


@pytest.mark.parametrize(
    "name", ["leaky exact", "liquid", "cfc pure carry", "cfc default carry backbone relu", *SCANS, "ltc"]
)
@pytest.mark.parametrize("where", ["u", "dt"])
def test_a_nan_comes_through(name: str, where: str) -> None:
    arguments = given(name, 5)
    del arguments["lengths"], arguments["reset"]
    arguments[where][1, 2, ...].view(-1)[-1] = torch.nan
    with ops.use("reference"):
        wanted = getattr(ops, name.split()[0])(**arguments).isnan()
    assert 0 < wanted[1].sum() < wanted[1].numel()
    assert torch.equal(getattr(ops, name.split()[0])(**arguments).isnan(), wanted)


@pytest.mark.parametrize("name", ["leaky exact", "liquid", "cfc default carry", "linear", "mobius", "ltc"])
def test_a_sequence_in_two_halves(name: str) -> None:
    arguments = given(name, 5, T=8)
    del arguments["lengths"]
    op, over_time = getattr(ops, name.split()[0]), ("u", "dt", "reset")
    whole = op(**arguments)
    first = op(**(arguments | {key: arguments[key][:, :3] for key in over_time}))
    second = op(**(arguments | {key: arguments[key][:, 3:] for key in over_time} | {"h": first[:, -1]}))
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-13)


@triton.jit
def three(a, b, out, MATRICES: tl.constexpr):
    """Compose three steps from the left and from the right."""
    i = tl.arange(0, 8)
    if MATRICES:
        p_1, q_1, r_1, s_1 = tl.load(a + i), tl.load(a + 8 + i), tl.load(a + 16 + i), tl.load(a + 24 + i)
        p_2, q_2, r_2, s_2 = tl.load(a + 32 + i), tl.load(a + 40 + i), tl.load(a + 48 + i), tl.load(a + 56 + i)
        p_3, q_3, r_3, s_3 = tl.load(a + 64 + i), tl.load(a + 72 + i), tl.load(a + 80 + i), tl.load(a + 88 + i)
        p, q, r, s = scan.fraction(p_1, q_1, r_1, s_1, p_2, q_2, r_2, s_2)
        p, q, r, s = scan.fraction(p, q, r, s, p_3, q_3, r_3, s_3)
        tl.store(out + i, (p + q) / (r + s))
        p, q, r, s = scan.fraction(p_2, q_2, r_2, s_2, p_3, q_3, r_3, s_3)
        p, q, r, s = scan.fraction(p_1, q_1, r_1, s_1, p, q, r, s)
        tl.store(out + 8 + i, (p + q) / (r + s))
    else:
        a_1, b_1, a_2, b_2 = tl.load(a + i), tl.load(b + i), tl.load(a + 8 + i), tl.load(b + 8 + i)
        a_3, b_3 = tl.load(a + 16 + i), tl.load(b + 16 + i)
        x, y = scan.affine(a_1, b_1, a_2, b_2)
        x, y = scan.affine(x, y, a_3, b_3)
        tl.store(out + i, x + y)
        x, y = scan.affine(a_2, b_2, a_3, b_3)
        x, y = scan.affine(a_1, b_1, x, y)
        tl.store(out + 8 + i, x + y)


@pytest.mark.parametrize("matrices", [False, True])
def test_steps_compose_in_any_order(matrices: bool) -> None:
    """The interpreter scans one step after the other; a GPU does not."""
    draw = torch.Generator().manual_seed(0)
    a, b = torch.rand(96, generator=draw).double(), torch.rand(96, generator=draw).double()
    out = torch.zeros(16, dtype=torch.float64)
    three[1,](a, b, out, MATRICES=matrices)
    assert torch.allclose(out[:8], out[8:], rtol=1e-13, atol=0)
    if matrices:
        M = a.view(3, 2, 2, 8).permute(0, 3, 1, 2)
        P = (M[2] @ M[1] @ M[0]).sum(-1)
        assert torch.allclose(out[:8], P[:, 0] / P[:, 1], rtol=1e-13, atol=0)


def calls() -> dict[str, tuple[Any, ...]]:
    """Return every operator's name, and arguments of which the first three and the lists learn."""
    a, b = given("cfc default carry sweep", 3), given("cfc default carry backbone silu", 3)
    c, d, e = given("mobius", 3), given("ltc", 3), given("ltc_synapses", 3)
    full = torch.full((3,), 5)  # beyond a row's end what is kept for the backward pass is not defined
    first, own = [a["u"], a["h"], a["dt"]], [1 / a["tau"]]
    swept = [a["W_h"]], [], own, torch.tensor([1, 0, 2]), full, a["reset"], 3, "cfc", True, "silu", True
    maps, biases = [b["W_h"], *(W for W, _ in b["backbone"])], [bias for _, bias in b["backbone"]]
    wide = b["u"], b["h"], b["dt"], maps, biases, own, None, full, b["reset"], 1, "cfc", True, "silu", True
    params = [d[key] for key in ("w", "mu", "sigma", "erev", "gleak", "vleak", "cm")]
    return {
        "gated": (gated.gated, *first, *swept), "gated with a backbone": (gated.gated, *wide),
        "diagonal": (diagonal.diagonal, c["u"], c["h"], c["dt"], 1 / c["tau"], full, c["reset"], "mobius"),
        "ltc": (conductance.ltc, d["u"], d["h"], d["dt"], params, full, d["reset"], 2),
        "ltc_synapses": (conductance.ltc_synapses, e["x"].flatten(0, 1), [e[k] for k in ("w", "mu", "sigma", "erev")]),
    }  # fmt: skip


@pytest.mark.parametrize("also", [(), slow(("test_aot_dispatch_dynamic",))], ids=["registered", "traced"])
@pytest.mark.parametrize("name", calls())
def test_operators(name: str, also: tuple[str, ...]) -> None:
    """Schema, fake and autograd registration, as PyTorch checks them."""
    operator, *arguments = calls()[name]
    arguments = [a.requires_grad_() if _learns(a) else a for a in arguments]
    tests = ("test_schema", "test_autograd_registration", "test_faketensor", *also)
    results = torch.library.opcheck(operator, arguments, test_utils=tests)
    assert set(results.values()) == {"SUCCESS"}


LAYERS = {
    "leaky": lambda: Recurrent(Leaky(2, 3)), "liquid": lambda: Recurrent(Liquid(2, 3)),
    "cfc": lambda: Recurrent(CfC(2, 3, carry=True)),
    "wired cfc": lambda: Recurrent(CfC(2, 6, wiring=wiring.make("auto_ncp", 6, 2, 1, 0))),
    "ltc": lambda: Recurrent(LTC(2, 3, unfolds=2)), "linear": lambda: Recurrent(Linear(2, 3)),
    "mobius": lambda: Recurrent(Mobius(2, 3)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_layers_obey_every_law(name: str) -> None:
    """With the kernels where they fit: what is exported or transformed goes by the reference."""
    with ops.use("auto"):
        testing.check_layer(LAYERS[name], traced=name in {"wired cfc", "ltc", "mobius"})


def test_backend_says_triton() -> None:
    assert ops.backend("mobius", torch.zeros(1)) == f"kernel: Triton {triton.__version__}, interpreted"
    assert ops.backend("cfc", torch.zeros(1, dtype=torch.float8_e5m2)).endswith(
        "(no kernel computes in torch.float8_e5m2)"
    )
    with pytest.raises(BackendError, match=r"no kernel computes in torch\.int32"):
        ops.linear(torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.int32), torch.ones(1, 1), torch.ones(1))
