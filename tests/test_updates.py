"""A sample that is learned forward in time in one compiled call, beside the same in NumPy."""

from __future__ import annotations

import copy

import libraries
import numpy as np
import pytest
import updates
from streams import CELLS, cell

from liquidtorch import ops
from liquidtorch.derivatives import Local
from liquidtorch.layers import Recurrent
from liquidtorch.online import rules
from liquidtorch.online.learning import Learning
from liquidtorch.online.rules.traces import Packed
from liquidtorch.ops.traces import AT_ONCE, KINDS


def test_compiled_is_numpy(kernels: None) -> None:
    """States, traces, parameters, moments and derivatives, for every kind of cell and rule, at odd sizes."""
    assert not list(updates.faults())


def test_what_stands_twice_is_the_same() -> None:
    """The names of cells and their order in C, and how many rows are moved at once."""
    assert set(KINDS) == set(Local.kinds)
    local, traces = ((libraries.TEXT / f"{name}.h").read_text() for name in ("local", "traces"))
    listed = local.partition("enum { ")[2].partition(" }")[0].replace("LOCAL_", "").split(", ")
    assert listed == [kind.upper() for kind in KINDS]
    assert f"TRACES_ROWS = {AT_ONCE}," in traces


def test_rows_that_are_moved_at_once_are_moved_by_the_same() -> None:
    """Of full matrices all but the last three of each owner's rows, or as many as fill no four; of a ring none."""
    for name in CELLS:
        traces = rules.make("exact", cell(name)).traces  # pyright: ignore
        if not isinstance(traces, Packed):
            continue
        told = {name: array.numpy() for name, array in traces.told().items()}
        at = told["alike"].nonzero()[0]
        for r in at:
            lists = [told["column"][told["start"][k] : told["start"][k + 1]] for k in range(r, r + AT_ONCE)]
            assert all(np.array_equal(lists[0], other) for other in lists)
            assert len(set(traces.owner[r : r + AT_ONCE])) == 1
        if name == "leaky dense":
            assert len(at) == 7 * (7 - AT_ONCE + 1)
        if name == "leaky ring":
            assert len(at) == 0


@pytest.mark.parametrize("rule", ["exact", "eprop", "tbptt:3"])
def test_numpy_goes_on_where_compiled_steps_ended(rule: str) -> None:
    """Whatever was asked of one is known to the other: parameters that were learned, traces, moments."""

    def mixed(ways: tuple[str, ...]) -> list[np.ndarray]:
        learning = Learning(Recurrent(cell("ltc ring")), rule, 0.01, 1e9)
        rng, h = np.random.default_rng(0), np.zeros(9)
        for t in range(12):
            with ops.use(ways[t % len(ways)]):
                _, h = learning.step(rng.normal(size=3), h, 0.7)
                learning.learn(rng.normal(size=9))
        return [h, *learning.rule.arrays().values(), *learning.optimizer.arrays().values()]

    for one, other in zip(mixed(("auto", "reference")), mixed(("reference",)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_it_is_the_compiled_way_that_learning_goes(kernels: None) -> None:
    learning = Learning(Recurrent(cell("leaky dense")), "exact", 0.01, 1e9)
    learning.step(np.ones(3), np.zeros(7), 1.0)
    learning.learn(np.ones(7))
    assert learning.update is not None
    assert learning.optimizer.move.any(), "only csrc/learning.h writes there"
    assert learning.rule.local.stale, "what NumPy would need was never made"  # pyright: ignore


def test_a_copy_is_refused_and_not_half_of_one() -> None:
    """What a rule holds is memory that a struct points into: a copy would write into the other's."""
    with pytest.raises(ValueError, match="pointer"):
        copy.deepcopy(rules.make("exact", cell("leaky dense")))
