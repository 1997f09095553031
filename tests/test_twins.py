"""Every kernel against its reference: the states and every gradient, in every variant, size and condition."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
import twins
from hypothesis import given, settings
from torch import Tensor

from liquidtorch import ops
from liquidtorch.ops import cpu
from liquidtorch.ops.gated import SPARSE

DTYPES = (torch.float64, torch.float32)
KINDS = ("leaky", "leaky-euler", "liquid", "ltc", *(f"cfc-{m}{c}" for m in twins.MODES for c in ("", "-carry")))
DEEP = tuple(name for name in twins.NAMES if name.endswith(("1-tanh", "2-gelu", "3-relu")))
SOME = (*KINDS, "leaky-sparse", "ltc-sparse", "cfc-default-swept", *DEEP, "linear", "mobius", "ltc_synapses")


@pytest.fixture(autouse=True)
def _kernels(kernels: None) -> None:
    """Every test here needs the compiled kernels."""


@pytest.mark.parametrize("H", twins.SIZES)
@pytest.mark.parametrize("name", twins.NAMES)
def test_twin(name: str, H: int) -> None:
    """All batches, and with them all kinds of dt, lengths and resets."""
    for i, B in enumerate(twins.BATCHES):
        how = twins.conditions(i + 8 * twins.SIZES.index(H) + twins.NAMES.index(name))
        assert not twins.faults(twins.problem(name, H, B, 3 + i % 3, seed=i, **how)), (B, how)


@pytest.mark.slow
@pytest.mark.parametrize("name", twins.NAMES)
def test_wide_twin(name: str) -> None:
    for i, B in enumerate((1, 9, 17)):
        assert not twins.faults(twins.problem(name, 257, B, 3, **twins.conditions(i)))


@pytest.mark.slow
@pytest.mark.parametrize("name", twins.NAMES)
def test_long_twin(name: str) -> None:
    """Errors do not grow along 300 steps: the cells forget them as they forget everything."""
    assert not twins.faults(twins.problem(name, 7, 9, 300, dt="irregular", ends="both"))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(twins.NAMES), H=st.integers(1, 20), B=st.integers(0, 20), T=st.integers(0, 6),
    dt=st.sampled_from(twins.DTS), ends=st.sampled_from(twins.ENDS), seed=st.integers(0, 9),
)  # fmt: skip
def test_any_size(name: str, H: int, B: int, T: int, dt: str, ends: str, seed: int) -> None:
    """Also no rows, and no time at all."""
    assert not twins.faults(twins.problem(name, H, B, T, seed, dt, ends))


def transposed(t: Tensor) -> Tensor:
    return t.transpose(0, -1).contiguous().transpose(0, -1)


def sliced(t: Tensor) -> Tensor:
    """Stand among NaN, which is found in the result if it is read."""
    wide = t.new_full([2 * n + 3 for n in t.shape], float("nan"))
    wide[tuple(slice(1, 2 * n + 1, 2) for n in t.shape)] = t
    return wide[tuple(slice(1, 2 * n + 1, 2) for n in t.shape)]


def misaligned(t: Tensor) -> Tensor:
    return torch.cat([t.new_full((1,), float("nan")), t.flatten()])[1:].view(t.shape)


def repeated(t: Tensor) -> Tensor:
    """Make all rows the first one, by a stride of 0."""
    return t[:1].expand(t.shape)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": transposed, "sliced": sliced, "misaligned": misaligned,
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", twins.NAMES)
def test_strides(name: str, layout: str) -> None:
    for H, B in ((1, 3), (5, 2), (17, 9)):
        how = twins.conditions(H)
        assert not twins.faults(twins.problem(name, H, B, 3, **how), layout=LAYOUTS[layout])


@pytest.mark.parametrize("name", twins.NAMES)
def test_expanded_inputs(name: str) -> None:
    assert not twins.faults(twins.problem(name, 7, 9, 4), layout=lambda t: t if t.dim() < 2 else repeated(t))


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("name", twins.NAMES)
def test_saturating_inputs(name: str, dtype: torch.dtype) -> None:
    """At +-1e4 all is finite. States agree, and gradients in float64: what rounding 1e4 leaves of them is known.

    Not so where an activation without bounds hands 1e4 on to weights: there a state is known to no digit.
    """
    for B in (3, 17):
        problem = twins.saturated(twins.problem(name, 7, B, 4, ends="both"))
        found, wanted = problem.run("fast", dtype), problem.run("reference", torch.float64)
        assert all(bool(t.isfinite().all()) for t in found.values())
        if not name.endswith(("relu", "silu", "gelu")):
            assert twins.close("states", found["states"], wanted["states"])
            assert dtype == torch.float32 or not twins.differences(found, wanted)


def test_a_dead_synapse_has_no_gradient_of_its_own() -> None:
    """Where work follows the wiring, its own weight gets exactly 0, without any mask; a live one moves."""
    draw = twins.Draw(0)
    live = draw.chance(0.2, 17, 17)
    W, tau, h = draw.normal(17, 17, scale=0.2) * live, draw.uniform(1, 9, 17), draw.uniform(-1, 1, 9, 17)
    u, dt, listed = draw.normal(9, 4, 17), torch.ones(9, 4).double(), ops.synapses(live)
    four = torch.stack([W] * 4).requires_grad_()
    W.requires_grad_()
    with ops.use("fast"):
        (of_W,) = torch.autograd.grad(ops.leaky(u, h, dt, W, tau, synapses=listed).square().sum(), W)
        states = ops.cfc(draw.normal(9, 4, 68), h, dt, four, tau, synapses=listed)
        (of_four,) = torch.autograd.grad(states.square().sum(), four)
    assert torch.equal(of_W != 0, live)
    assert torch.equal(of_four != 0, live.expand(4, 17, 17))


def test_only_what_is_asked_for_is_computed() -> None:
    """Any subset of the tensors may ask for gradients; each gets the one it gets when all ask."""
    for name in SOME:
        problem = twins.problem(name, 7, 9, 4, ends="both")
        whole = problem.run("fast", torch.float64)
        for key in problem.tensors:
            given = {k: t.detach().requires_grad_(k == key) for k, t in problem.inputs(torch.float64).items()}
            with ops.use("fast"):
                states = problem.call(given)
            (alone,) = torch.autograd.grad(states, given[key], twins.upstream(states.shape).double())
            assert torch.equal(alone, whole[key]), (name, key)
        with torch.no_grad(), ops.use("fast"):
            assert torch.equal(problem.call(problem.inputs(torch.float64)), whole["states"])


def test_the_matrix_is_whole() -> None:
    """Every function over sequences, every activation and both sides of the density where work changes its way."""
    ops_met = {op for op in ops.SEQUENCES if any(name.split("-")[0] == op for name in twins.NAMES)}
    assert ops_met == set(ops.SEQUENCES) - {"spiking"}, "whose twins are those of spikes.py"
    assert all(any(name.endswith(f"-{n}-{a}") for name in twins.NAMES) for n in (1, 2, 3) for a in ops.ACTIVATIONS)
    assert set(DTYPES) == set(cpu.DTYPES)
    densities = [d for d in twins.WIRINGS.values() if d is not None]
    assert min(densities) < SPARSE < sorted(densities)[1]


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("name", twins.NAMES)
def test_tolerances_are_tight(name: str, dtype: torch.dtype) -> None:
    """20 tolerances in one number of any result, or in any parameter at once, are seen."""
    problem = twins.problem(name, 7, 9, 4, ends="both")
    wanted, found = problem.run("reference", torch.float64), problem.run("fast", dtype)
    assert not twins.differences(found, wanted)
    for key, t in found.items():
        scale = max(float(wanted[key].abs().max()), twins.FLOOR[twins.kind_of(key)])
        off = t.clone()
        off.view(-1)[-1] += 20 * scale * twins.TOLERANCE[twins.kind_of(key), dtype]
        assert not twins.close(key, off, wanted[key]), key
    for key, t in problem.tensors.items():
        before = t.clone()
        t *= 1 + 20 * twins.TOLERANCE["gradients", dtype]
        assert twins.differences(problem.run("fast", dtype), wanted), f"{key} may be wrong unseen"
        t.copy_(before)


@pytest.mark.parametrize("name", twins.NAMES)
def test_nan_stays_in_its_row_and_is_never_hidden(name: str) -> None:
    """All that depends on a number is NaN if it is; nothing is that the reference does not call NaN."""
    problem = twins.problem(name, 7, 9, 4)
    for dtype in DTYPES:
        clean = {key: t.to(dtype) for key, t in problem.tensors.items()}
        spots = [("u", (2, 1, k)) for k in range(0, clean["u"].shape[-1], 8)] + [
            (k, (2, 1)) for k in ("h", "dt") if k in clean
        ]
        before = twins.states(problem, "fast", clean)
        for key, where in spots:
            nan, moved = twins.changed(clean, key, where, float("nan")), twins.changed(clean, key, where, 0.3)
            found, wanted = (twins.states(problem, which, nan) for which in ("fast", "reference"))
            depends = twins.states(problem, "fast", moved) != before
            assert torch.equal(found[:2], before[:2]), (key, where)
            assert torch.equal(found[3:], before[3:]), (key, where)
            assert not (depends & ~found.isnan()).any(), (key, where)
            assert not (found.isnan() & ~wanted.isnan()).any(), (key, where)
            if not name.endswith(("-half", "-sparse")):  # the reference multiplies by weights that are not there
                assert torch.equal(found.isnan(), wanted.isnan()), (key, where)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@pytest.mark.parametrize("name", twins.NAMES)
def test_infinity_is_handled_as_the_reference_does(name: str, value: float) -> None:
    problem = twins.problem(name, 7, 9, 4)
    for dtype in DTYPES:
        clean = {key: t.to(dtype) for key, t in problem.tensors.items()}
        spots = [("u", (2, 1, k)) for k in range(0, clean["u"].shape[-1], 8)] + [("h", (2, 1))] * ("h" in clean)
        before = twins.states(problem, "fast", clean)
        for key, where in spots:
            given = twins.changed(clean, key, where, value)
            found, wanted = (twins.states(problem, which, given) for which in ("fast", "reference"))
            known = wanted.isfinite()
            assert torch.allclose(found[known], wanted[known], rtol=0, atol=20 * twins.TOLERANCE["states", dtype])
            assert torch.equal(found[:2], before[:2]), (key, where)
            assert torch.equal(found[3:], before[3:]), (key, where)
