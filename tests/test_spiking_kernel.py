"""The event-driven kernel against the reference: every spike, trace and number of the state."""

from __future__ import annotations

import pytest
import spikes
import torch
import twins

from liquidtorch import ops
from liquidtorch.errors import BackendError, ShapeError
from liquidtorch.ops import library

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.mark.parametrize("H", [1, 2, 3, 7, 17, 33, 64])
@pytest.mark.parametrize("name", spikes.VARIANTS)
def test_twin(name: str, H: int) -> None:
    """All kinds of dt, lengths and resets."""
    for i, B in enumerate((1, 2, 5, 9)):
        how = twins.conditions(i + H + 3 * list(spikes.VARIANTS).index(name))
        assert not spikes.faults(spikes.Problem(name, H, B, 5 + i, seed=i, **how)), (B, how)


@pytest.mark.parametrize("name", spikes.VARIANTS)
def test_long_twin(name: str) -> None:
    """A hundred steps, in which a column of neurons spikes often, and delays wrap around many times."""
    problem = spikes.Problem(name, 9, 2, 100, ends="both")
    assert float(problem.run("reference", torch.float64)["traces"].max()) > 1
    assert not spikes.faults(problem)


def test_spikes_happen_and_fail_to() -> None:
    """What the twins are compared on is neither silent nor saturated."""
    for name in spikes.VARIANTS:
        traces = spikes.Problem(name, 33, 5, 6).run("reference", torch.float64)["traces"]
        rise = traces[:, 1:, :33] > traces[:, :-1, :33]
        assert 0.02 < float(rise.double().mean()) < 0.6, name


@pytest.mark.parametrize("name", spikes.VARIANTS)
def test_a_tolerance_is_tight(name: str) -> None:
    """20 tolerances in any parameter are seen."""
    problem = spikes.Problem(name, 17, 5, 6)
    wanted = problem.run("reference", torch.float64)
    for field, t in problem.liquid._asdict().items():
        if isinstance(t, torch.Tensor) and t.is_floating_point() and t.any() and field not in ("start", "substep"):
            before = t.clone()
            t *= 1 + 20 * spikes.TOLERANCE[torch.float32]
            assert spikes.differences(problem.run("fast", torch.float64), wanted), field
            t.copy_(before)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "WORTH", 100)
    problem, found = spikes.Problem("all", 17, 9, 9), []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(problem.run("fast", torch.float32))
    for other in found[1:]:
        assert all(torch.equal(found[0][key], other[key]) for key in other)


def test_nan_stays_in_its_row_and_is_not_hidden() -> None:
    problem = spikes.Problem("all", 9, 4, 12)
    before = problem.run("fast", torch.float64)
    problem.u[1, 2, 3] = float("nan")
    found, wanted = (problem.run(which, torch.float64) for which in ("fast", "reference"))
    assert found["traces"][1].isnan().any()
    for key in wanted:
        assert torch.equal(found[key].isnan(), wanted[key].isnan()), key
        for row in (0, 2, 3):
            assert torch.equal(found[key][row], before[key][row]), key


def test_gradients_are_the_references() -> None:
    problem = spikes.Problem("late", 5, 2, 4)
    u = problem.u.clone().requires_grad_()
    with (
        ops.use("fast"),
        pytest.raises(BackendError, match="a gradient is asked for, and the kernel has no"),
    ):
        ops.spiking(u, problem.h, problem.dt, problem.liquid)
    traces, _ = ops.spiking(u, problem.h, problem.dt, problem.liquid)
    assert torch.autograd.grad(traces.sum(), u)[0].abs().sum() > 0


def test_shapes_are_checked() -> None:
    problem = spikes.Problem("late", 5, 2, 4)
    u, h, dt, liquid = problem.u, problem.h, problem.dt, problem.liquid
    with pytest.raises(ShapeError, match=r"`u` must have the shape \(batch, time, 5 or 10\); got \(2, 4, 4\)"):
        ops.spiking(u[..., 1:], h, dt, liquid)
    with pytest.raises(ShapeError, match=r"`h` must hold 6 tensors \(v, refractory, trace, phase, current, pending\)"):
        ops.spiking(u, h[1:], dt, liquid)
    with pytest.raises(ShapeError, match=r"`place` must have the shape"):
        ops.spiking(u, h, dt, liquid._replace(place=liquid.place[1:]))
    with pytest.raises(ShapeError, match=r"`lengths` must have the shape \(2,\)"):
        ops.spiking(u, h, dt, liquid, lengths=torch.ones(3, dtype=torch.int64))


def test_no_rows_and_no_time() -> None:
    for B, T in ((0, 3), (2, 0)):
        problem = spikes.Problem("all", 3, B, T)
        assert not spikes.faults(problem)
