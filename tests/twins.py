"""Every function over sequences in every variant, on drawn numbers; and how far a kernel may be from its reference.

Numbers are drawn in float32 and computed by the reference in float64, which the kernels of both are held to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from liquidtorch import ops
from liquidtorch.ops import sparse

SIZES = (1, 2, 3, 7, 17, 33, 64, 100)
BATCHES = (1, 2, 7, 8, 9, 16, 17, 33)
WIRINGS = {"": None, "-listed": 1.0, "-half": 0.6, "-sparse": 0.2}  # -> density; ops.gated.SPARSE lies between
MODES = ("default", "no_gate", "pure")
DTS = ("irregular", "zero", "huge", "one", "a row")
ENDS = ("whole", "lengths", "resets", "both")

# The largest difference, of anything in the tensor, in units of the largest number of the tensor (or of `FLOOR`, where
# all are smaller: sums of terms of about 1 that cancel are no better known than the terms).
TOLERANCE = {
    ("states", torch.float64): 1e-14,
    ("states", torch.float32): 4e-6,
    ("gradients", torch.float64): 2e-13,
    ("gradients", torch.float32): 5e-5,
}
FLOOR = {"states": 1.0, "gradients": 0.1}


def kind_of(name: str) -> str:
    return "states" if name == "states" else "gradients"


def error(name: str, found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference in the units of `TOLERANCE`."""
    if not wanted.numel():
        return 0.0
    scale = max(float(wanted.abs().max()), FLOOR[kind_of(name)])
    return float((found.double() - wanted).abs().max()) / scale


def close(name: str, found: Tensor, wanted: Tensor) -> bool:
    return found.shape == wanted.shape and error(name, found, wanted) <= TOLERANCE[kind_of(name), found.dtype]


def differences(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """Say where two results differ by more than the tolerance."""
    assert found.keys() == wanted.keys()
    return [
        f"{name} by {error(name, found[name], wanted[name]):.2g}"
        for name in wanted
        if not close(name, found[name], wanted[name])
    ]


def upstream(shape: tuple[int, ...]) -> Tensor:
    """Return a fixed gradient of the states, no two of which count alike."""
    return torch.from_numpy(np.random.default_rng(1).normal(size=shape).astype(np.float32))


@dataclass
class Problem:
    """Tensors by name, those whose gradients are asked for, and the function of them."""

    tensors: dict[str, Tensor]
    call: Callable[[dict[str, Tensor]], Tensor]
    live: dict[str, Tensor] = field(default_factory=dict)  # of a weight: where its synapses are
    saturate: Callable[[Tensor], Tensor] = lambda u: 1e4 * u.sign()  # bring u to its ends
    learned: bool = True  # whether the kernel has a backward pass; else only states are compared

    def inputs(self, dtype: torch.dtype, layout: Callable[[Tensor], Tensor] = lambda t: t) -> dict[str, Tensor]:
        return {name: layout(t.to(dtype)).detach().requires_grad_(self.learned) for name, t in self.tensors.items()}

    def run(
        self, which: str, dtype: torch.dtype, layout: Callable[[Tensor], Tensor] = lambda t: t
    ) -> dict[str, Tensor]:
        """Return the states, and the gradient of every tensor for one fixed gradient of the states."""
        given = self.inputs(dtype, layout)
        with ops.use(which):
            states = self.call(given)
        found = {"states": states.detach()}
        if not self.learned:
            return found
        weights = layout(upstream(states.shape).to(dtype))
        # Without a single step the state depends on nothing but h; every other gradient is 0.
        options = {"allow_unused": True, "materialize_grads": True}
        return found | dict(
            zip(given, torch.autograd.grad(states, list(given.values()), weights, **options), strict=True)
        )


def saturated(problem: Problem) -> Problem:
    problem.tensors["u"] = problem.saturate(problem.tensors["u"])
    return problem


def states(problem: Problem, which: str, given: dict[str, Tensor]) -> Tensor:
    with ops.use(which):
        return problem.call(given)


def changed(given: dict[str, Tensor], key: str, where: tuple[int, ...], value: float) -> dict[str, Tensor]:
    """Return the tensors with one number replaced."""
    tensor = given[key].clone()
    tensor[where] = value
    return given | {key: tensor}


def faults(problem: Problem, dtypes: Iterable[torch.dtype] = (torch.float64, torch.float32), **how: Any) -> list[str]:
    """Compare the kernel in each dtype with the reference in float64."""
    wanted = problem.run("reference", torch.float64, **how)
    found = {dtype: problem.run("fast", dtype, **how) for dtype in dtypes}
    for grads in found.values():
        for name, live in problem.live.items():
            assert not grads[name].masked_select(live.expand_as(grads[name]) == 0).any(), (
                f"{name}: a dead synapse moves"
            )
    return [f"{dtype}: {what}" for dtype in dtypes for what in differences(found[dtype], wanted)]


class Draw:
    """Numbers of one seed, rounded to float32."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy((self.rng.normal(size=shape) * scale).astype(np.float32)).double()

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(self.rng.uniform(low, high, shape).astype(np.float32)).double()

    def chance(self, probability: float, *shape: int) -> Tensor:
        return torch.from_numpy(self.rng.random(shape) < probability)


def dt_of(draw: Draw, kind: str, B: int, T: int) -> tuple[Tensor, tuple[int, int]]:
    """Return the times and the shape they are expanded to."""
    shape = {"one": (1, 1), "a row": (1, T)}.get(kind, (B, T))
    dt = draw.uniform(0.1, 2.0, *shape)
    if kind == "zero":
        dt = torch.where(draw.chance(0.5, *shape), 0.0, dt)
    if kind == "huge":
        dt = torch.where(draw.chance(0.5, *shape), 1e30, dt)
    return dt, (B, T)


def ends_of(draw: Draw, kind: str, B: int, T: int) -> dict[str, Tensor | None]:
    """Return lengths, of which one is 0 and one T, and resets, at the first step and after the end too."""
    lengths = torch.from_numpy(draw.rng.integers(0, T + 1, B))
    if B > 1:
        lengths[0], lengths[-1] = 0, T
    reset = draw.chance(0.3, B, T)
    reset[:1], reset[-1:, :1] = True, True
    return {
        "lengths": lengths if kind in ("lengths", "both") else None,
        "reset": reset if kind in ("resets", "both") else None,
    }


def wiring_of(draw: Draw, density: float | None, H: int, F: int) -> tuple[Tensor, ops.Synapses | None]:
    if density is None:
        return torch.ones(H, F), None
    live = draw.chance(density, H, F).double()
    return live, ops.synapses(live)


Maker = Callable[..., Problem]
VARIANTS: dict[str, Maker] = {}


def problem(name: str, H: int, B: int, T: int, seed: int = 0, dt: str = "irregular", ends: str = "whole") -> Problem:
    """Draw the variant `name` with H units, B rows and T steps."""
    return VARIANTS[name](Draw(seed), H, B, T, dt, ends)


def conditions(n: int) -> dict[str, str]:
    """Return the n-th of the twenty kinds of time and of ends."""
    return {"dt": DTS[n % len(DTS)], "ends": ENDS[n % len(ENDS)]}


def _common(draw: Draw, width: int, H: int, B: int, T: int, dt: str) -> tuple[dict[str, Tensor], tuple[int, int]]:
    times, shape = dt_of(draw, dt, B, T)
    return {"u": draw.normal(B, T, width), "h": draw.uniform(-1, 1, B, H), "dt": times}, shape


def _leaky(op: str, density: float | None) -> Maker:
    def make(draw: Draw, H: int, B: int, T: int, dt: str, ends: str) -> Problem:
        # Euler's step is a product with dt: 1e30 twice is infinite in float32 by any order of work.
        tensors, shape = _common(draw, H, H, B, T, "irregular" if op == "euler" and dt == "huge" else dt)
        live, listed = wiring_of(draw, density, H, H)
        tensors |= {"W_h": draw.normal(H, H, scale=H**-0.5), "tau": draw.uniform(1.0, 9.0, H)}
        options: dict[str, Any] = {"method": op, "synapses": listed, **ends_of(draw, ends, B, T)}

        def call(t: dict[str, Tensor]) -> Tensor:
            return ops.leaky(
                t["u"], t["h"], t["dt"].expand(shape), t["W_h"] * live.to(t["u"].dtype), t["tau"], **options
            )

        return Problem(tensors, call, {"W_h": live})

    return make


def _liquid(density: float | None) -> Maker:
    def make(draw: Draw, H: int, B: int, T: int, dt: str, ends: str) -> Problem:
        tensors, shape = _common(draw, 2 * H, H, B, T, dt)
        live, listed = wiring_of(draw, density, H, H)
        tensors |= {name: draw.normal(H, H, scale=H**-0.5) for name in ("W_h", "G_h")}
        tensors["log_tau"] = draw.uniform(-0.5, 2.0, H)
        options: dict[str, Any] = {"synapses": listed, **ends_of(draw, ends, B, T)}

        def call(t: dict[str, Tensor]) -> Tensor:
            W, G = (t[name] * live.to(t["u"].dtype) for name in ("W_h", "G_h"))
            return ops.liquid(t["u"], t["h"], t["dt"].expand(shape), W, G, t["log_tau"], **options)

        return Problem(tensors, call, {"W_h": live, "G_h": live})

    return make


CONDUCTANCE = ("w", "mu", "sigma", "erev")


def _conductances(draw: Draw, H: int, F: int, live: Tensor) -> dict[str, Tensor]:
    """Dead synapses have every parameter but w, as cells keep them."""
    drawn = draw.uniform(0, 2, H, F) / F, draw.normal(H, F), draw.uniform(1, 4, H, F), draw.normal(H, F).sign()
    return dict(zip(CONDUCTANCE, drawn, strict=True))


def _ltc(density: float | None, unfolds: int) -> Maker:
    def make(draw: Draw, H: int, B: int, T: int, dt: str, ends: str) -> Problem:
        tensors, shape = _common(draw, 2 * H, H, B, T, dt)
        tensors["u"][..., H:] = tensors["u"][..., H:].abs()  # a conductance
        live, listed = wiring_of(draw, density, H, H)
        tensors |= _conductances(draw, H, H, live)
        tensors |= {"gleak": draw.uniform(0.1, 1, H), "vleak": draw.uniform(-1, 1, H), "cm": draw.uniform(0.4, 3, H)}
        options: dict[str, Any] = {"unfolds": unfolds, "synapses": listed, **ends_of(draw, ends, B, T)}

        def call(t: dict[str, Tensor]) -> Tensor:
            w = t["w"] * live.to(t["u"].dtype)
            rest = [t[name] for name in ("mu", "sigma", "erev", "gleak", "vleak", "cm")]
            return ops.ltc(t["u"], t["h"], t["dt"].expand(shape), w, *rest, **options)

        def saturate(u: Tensor) -> Tensor:
            N, D = u.chunk(2, -1)
            return 1e4 * torch.cat([N.sign() * D, D], -1)  # N is a sum of conductances, each times +-1

        return Problem(tensors, call, dict.fromkeys(CONDUCTANCE, live), saturate)

    return make


def _ltc_synapses(density: float | None) -> Maker:
    def make(draw: Draw, H: int, B: int, T: int, dt: str, ends: str) -> Problem:
        F = H // 2 + 1
        live, listed = wiring_of(draw, density, H, F)
        tensors = {"u": draw.normal(B, T, F)} | _conductances(draw, H, F, live)

        def call(t: dict[str, Tensor]) -> Tensor:
            w = t["w"] * live.to(t["u"].dtype)
            return ops.ltc_synapses(t["u"], w, t["mu"], t["sigma"], t["erev"], synapses=listed)

        return Problem(tensors, call, dict.fromkeys(CONDUCTANCE, live))

    return make


def _sweep(draw: Draw, H: int) -> list[Tensor]:
    """Up to three groups of units, of any size, in any order."""
    units = torch.from_numpy(draw.rng.permutation(H))
    return [group for group in units.tensor_split(3) if len(group)]


def _cfc(
    mode: str, carry: bool, density: float | None = None, swept: bool = False, layers: int = 0, activation: str = "tanh"
) -> Maker:
    heads = (1 if mode == "pure" else 4) + carry

    def make(draw: Draw, H: int, B: int, T: int, dt: str, ends: str) -> Problem:
        Z = H + 2
        tensors, shape = _common(draw, Z if layers else heads * H, H, B, T, dt)
        live, listed = wiring_of(draw, density, H, H)
        sweep = _sweep(draw, H) if swept else []
        if swept and listed is not None:
            listed = ops.synapses(live, sweep)
        shapes = [(Z, H), *[(Z, Z)] * (layers - 1), (heads * H, Z)] if layers else [(heads, H, H)]
        tensors["W_h"] = draw.normal(*shapes[0], scale=H**-0.5)
        tensors["tau"] = draw.uniform(1.0, 9.0, H)
        for i, size in enumerate(shapes[1:]):
            tensors |= {f"W_{i}": draw.normal(*size, scale=Z**-0.5), f"b_{i}": draw.normal(size[0])}
        if mode == "pure":
            tensors |= {"A": draw.uniform(-1, 1, H), "w_tau": draw.normal(H)}
        options: dict[str, Any] = {"mode": mode, "carry": carry, "activation": activation, "synapses": listed}
        options |= ends_of(draw, ends, B, T)

        def call(t: dict[str, Tensor]) -> Tensor:
            W = t["W_h"] if layers else t["W_h"] * live.to(t["u"].dtype)
            own = [t[name] for name in ("A", "w_tau") if name in t]
            backbone = [(t[f"W_{i}"], t[f"b_{i}"]) for i in range(layers)]
            return ops.cfc(t["u"], t["h"], t["dt"].expand(shape), W, t["tau"], own, sweep, backbone, **options)

        return Problem(tensors, call, {} if layers else {"W_h": live})

    return make


def _scan(op: str, parts: int) -> Maker:
    def make(draw: Draw, H: int, B: int, T: int, dt: str, ends: str) -> Problem:
        tensors, shape = _common(draw, parts * H, H, B, T, dt)
        tensors["tau"] = draw.uniform(1.0, 9.0, H)
        options = ends_of(draw, ends, B, T)

        def call(t: dict[str, Tensor]) -> Tensor:
            return getattr(ops, op)(t["u"], t["h"], t["dt"].expand(shape), t["tau"], **options)

        def saturate(u: Tensor) -> Tensor:
            ends = 1e4 * u.sign()  # not k: at its end h' hangs on the last bits of 1 + h
            return ends if parts == 2 else torch.cat([ends[..., :H], u[..., H : 2 * H], ends[..., 2 * H :]], -1)

        return Problem(tensors, call, saturate=saturate)

    return make


def _echo(activation: str, density: float, shared: bool = False) -> Maker:
    def make(draw: Draw, H: int, B: int, T: int, dt: str, ends: str) -> Problem:
        tensors, shape = _common(draw, H, H, B, T, dt)
        live = draw.chance(density, H, H)
        if shared:  # groups of neighbours with the same sources, as many for each
            ranks = draw.normal(-(-H // sparse.BLOCK), H).argsort(1).argsort(1)
            live = (ranks < density * H).repeat_interleave(sparse.BLOCK, 0)[:H]
        listed = ops.synapses(live)
        assert (sparse.share_of(listed.start, listed.source) > 1) >= shared
        tensors |= {"weight": draw.normal(len(listed.place), scale=H**-0.5), "tau": draw.uniform(1.0, 9.0, H)}
        options: dict[str, Any] = {"synapses": listed, "activation": activation, **ends_of(draw, ends, B, T)}

        def call(t: dict[str, Tensor]) -> Tensor:
            return ops.echo(t["u"], t["h"], t["dt"].expand(shape), t["weight"], t["tau"], **options)

        return Problem(tensors, call, learned=False)

    return make


for _ending, _density in WIRINGS.items():
    VARIANTS[f"leaky{_ending}"] = _leaky("exact", _density)
    VARIANTS[f"leaky-euler{_ending}"] = _leaky("euler", _density)
    VARIANTS[f"liquid{_ending}"] = _liquid(_density)
    VARIANTS[f"ltc{_ending}"] = _ltc(_density, 3)
    VARIANTS[f"ltc_synapses{_ending}"] = _ltc_synapses(_density)
VARIANTS["ltc-one"] = _ltc(None, 1)
VARIANTS["ltc-six-sparse"] = _ltc(0.2, 6)
MODES_AND_CARRY = [(mode, carry) for mode in MODES for carry in (False, True)]
for _mode, _carry in MODES_AND_CARRY:
    _name = f"cfc-{_mode}{'-carry' * _carry}"
    for _ending in ("", "-half", "-sparse"):
        VARIANTS[f"{_name}{_ending}"] = _cfc(_mode, _carry, WIRINGS[_ending])
        VARIANTS[f"{_name}-swept{_ending}"] = _cfc(_mode, _carry, WIRINGS[_ending], swept=True)
for _i, (_layers, _activation) in enumerate((n, a) for n in (1, 2, 3) for a in ops.ACTIVATIONS):
    _mode, _carry = MODES_AND_CARRY[_i % 6]
    _name = f"cfc-{_mode}{'-carry' * _carry}-{_layers}-{_activation}"
    VARIANTS[_name] = _cfc(_mode, _carry, layers=_layers, activation=_activation)
VARIANTS["linear"] = _scan("linear", 2)
VARIANTS["mobius"] = _scan("mobius", 3)
VARIANTS["echo"] = _echo("tanh", 1.0)
VARIANTS["echo-half"] = _echo("tanh", 0.6)
VARIANTS["echo-sparse"] = _echo("tanh", 0.2)
VARIANTS["echo-linear-half"] = _echo("linear", 0.6)
VARIANTS["echo-shared"] = _echo("tanh", 0.4, shared=True)
VARIANTS["echo-linear-shared"] = _echo("linear", 0.8, shared=True)
NAMES = list(VARIANTS)
