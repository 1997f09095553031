"""Sufficient statistics and the streamed factor: equal to one shot of NumPy in any order, and merged anyhow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liquidtorch.errors import DataError, FormatError, OptionError, ShapeError
from liquidtorch.readout import Factor, Statistics
from liquidtorch.readout.centred import ROWS, Centred

KINDS = (Statistics, Factor)
TOLERANCE = 1e-12


def drawn(rows: int, features: int, outputs: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows far from 0 with correlated columns: what cancels where the mean is not taken off first."""
    g = np.random.default_rng(seed)
    x = g.normal(size=(rows, features)) @ g.normal(size=(features, features)) + 1e6 * g.normal(size=features)
    y = x @ g.normal(size=(features, outputs)) + g.normal(size=(rows, outputs))
    return torch.from_numpy(x), torch.from_numpy(y)


def one_shot(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None = None) -> np.ndarray:
    """Return the scatter matrix of [x | y] in 80 bits, which the sums are compared with."""
    both = np.concatenate([x.numpy(), y.numpy()], 1).astype(np.longdouble)
    w = np.ones(len(both)) if weight is None else weight.numpy().astype(np.longdouble)
    centred = both - (w[:, None] * both).sum(0) / w.sum()
    return centred.T @ (w[:, None] * centred)


def scatter(found: Centred) -> np.ndarray:
    """Return what one kind holds as the rows F of the scatter matrix, and the diagonal of the targets."""
    F = found.features
    if isinstance(found, Factor):
        whole = (found.triangle.T @ found.triangle).numpy()
        return np.concatenate([whole[:F].ravel(), whole.diagonal()[F:]])
    assert isinstance(found, Statistics)
    return np.concatenate([torch.cat([found.gram, found.cross], 1).numpy().ravel(), found.square.numpy()])


def off(found: Centred, wanted: np.ndarray) -> float:
    """Return the largest error, each relative to the two columns it is of."""
    F = found.features
    scale = np.sqrt(np.outer(wanted.diagonal(), wanted.diagonal()))
    flat = [np.concatenate([m[:F].ravel(), m.diagonal()[F:]]) for m in (wanted, scale)]
    return float(np.abs((scatter(found) - flat[0]) / flat[1]).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(2, 1, 1), (7, 3, 2), (33, 17, 1), (400, 257, 3), (1100, 300, 2), (17000, 32, 1)])
def test_equals_one_shot(kind: type[Centred], size: tuple[int, int, int]) -> None:
    x, y = drawn(*size)
    found = kind(*size[1:]).add(x, y)
    wanted = one_shot(x, y)
    assert off(found, wanted) < TOLERANCE
    assert (found.rows, found.weight) == (size[0], float(size[0]))
    np.testing.assert_allclose(found.means[0], x.mean(0), rtol=1e-15)
    np.testing.assert_allclose(found.means[1], y.mean(0), rtol=1e-14)
    wrong = wanted.copy()
    wrong[0, 0] *= 1 + 20 * TOLERANCE
    assert off(found, wrong) > TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
@given(
    cuts=st.lists(st.integers(0, 60), max_size=6), order=st.randoms(use_true_random=False), merged=st.booleans(),
    weighted=st.booleans(),
)  # fmt: skip
def test_any_order_of_blocks(kind: type[Centred], cuts: list[int], order: object, merged: bool, weighted: bool) -> None:
    """Blocks of any size, some empty, added or merged in any order."""
    x, y = drawn(60, 5, 2)
    weight = torch.linspace(0.1, 3.0, 60, dtype=torch.float64) if weighted else None
    bounds = sorted([0, *cuts, 60])
    blocks = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    order.shuffle(blocks)  # pyright: ignore[reportAttributeAccessIssue]
    found = kind(5, 2)
    for part in blocks:
        w = None if weight is None else weight[part]
        found = found + kind(5, 2).add(x[part], y[part], w) if merged else found.add(x[part], y[part], w)
    assert off(found, one_shot(x, y, weight)) < TOLERANCE
    assert found.rows == 60


@pytest.mark.parametrize("kind", KINDS)
def test_merge_of_many_leaves_the_parts(kind: type[Centred]) -> None:
    x, y = drawn(50, 4, 1)
    parts = [kind(4, 1).add(x[i::3], y[i::3]) for i in range(3)]
    before = [scatter(part).copy() for part in parts]
    assert off(kind.merge([*parts, kind(4, 1)]), one_shot(x, y)) < TOLERANCE
    for part, was in zip(parts, before, strict=True):
        np.testing.assert_array_equal(scatter(part), was)
    assert kind.merge([kind(4, 1)]).rows == 0


@pytest.mark.parametrize("kind", KINDS)
def test_rows_with_nan_targets_are_left_out_whole(kind: type[Centred]) -> None:
    x, y = drawn(30, 4, 2)
    y[[3, 7], [0, 1]] = torch.nan
    x[3] = torch.inf  # what is left out may be anything
    keep = ~torch.isnan(y).any(1)
    found = kind(4, 2).add(x, y)
    assert off(found, one_shot(x[keep], y[keep])) < TOLERANCE
    assert found.rows == 28
    assert kind(4, 2).add(x, torch.full_like(y, torch.nan)).rows == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_weight_is_a_repeated_row(kind: type[Centred]) -> None:
    x, y = drawn(20, 3, 1)
    weight = torch.arange(20) % 4
    again = torch.repeat_interleave(torch.arange(20), weight)
    found = kind(3, 1).add(x, y, weight)
    assert off(found, one_shot(x[again], y[again])) < TOLERANCE
    assert (found.rows, found.weight) == (15, float(len(again)))


@pytest.mark.parametrize("kind", KINDS)
def test_float32_rows_are_summed_in_float64(kind: type[Centred]) -> None:
    x, y = drawn(2 * ROWS, 3, 1)
    x, y = (x - x.mean(0)).float() + 100, (y - y.mean(0)).float()
    assert off(kind(3, 1).add(x, y), one_shot(x.double(), y.double())) < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_state_goes_to_a_file_and_back(kind: type[Centred]) -> None:
    from safetensors.torch import load, save

    x, y = drawn(40, 3, 2)
    for rows in (0, 2, 40):
        one = kind(3, 2).add(x[:rows], y[:rows])
        again = kind.from_state(load(save(one.state())))
        np.testing.assert_array_equal(scatter(again), scatter(one))
        again.add(x, y)
        assert one.rows == rows
        np.testing.assert_array_equal(scatter(again), scatter(one.add(x, y)))


def test_state_that_is_not_one() -> None:
    state = Statistics(3, 2).state()
    with pytest.raises(FormatError, match=r"`state` must hold \['cross'.*; got \['cross'"):
        Statistics.from_state({k: v for k, v in state.items() if k != "gram"})
    with pytest.raises(FormatError, match=r"`gram` must have the shape \(3, 3\); got \(2, 2\)"):
        Statistics.from_state({**state, "gram": torch.zeros(2, 2)})
    with pytest.raises(FormatError, match="`state` must hold"):
        Factor.from_state(state)


@pytest.mark.parametrize("kind", KINDS)
def test_residual_is_the_sum_of_squared_errors(kind: type[Centred]) -> None:
    x, y = drawn(40, 3, 2)
    x, y = x - x.mean(0) + 1, y - y.mean(0)
    w = torch.linspace(0.5, 2, 40, dtype=torch.float64)
    W, b = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]]).double(), torch.tensor([0.3, -4.0]).double()
    wanted = (w[:, None] * (y - x @ W.T - b) ** 2).sum(0)
    np.testing.assert_allclose(kind(3, 2).add(x, y, w).residual(W, b), wanted, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_spectrum_explains_what_it_says(kind: type[Centred]) -> None:
    """The residual and the degrees left over against the matrix H itself, with weights and a constant column."""
    x, y = drawn(12, 4, 2)
    x, y = x - x.mean(0), y - y.mean(0)
    x[:, 1] = 5.0
    w = torch.linspace(0.5, 2, 12, dtype=torch.float64)
    found = kind(4, 2).add(x, y, w).spectrum()
    assert len(found.squares) == 3
    root = w.sqrt()[:, None]
    zx, zy = root * (x - (w @ x) / w.sum()), root * (y - (w @ y) / w.sum())
    lam = 0.03 * found.unit
    H = zx @ torch.linalg.inv(zx.T @ zx + lam * torch.eye(4).double()) @ zx.T
    np.testing.assert_allclose(found.unit, (zx**2).sum() / 4, rtol=1e-12)
    np.testing.assert_allclose(found.residual(0.03), ((zy - H @ zy) ** 2).sum(0), rtol=1e-9)
    np.testing.assert_allclose(found.spread, (zy**2).sum(0), rtol=1e-12)
    np.testing.assert_allclose(found.spare(0.03, 12), 12 - 1 - float(H.trace()), rtol=1e-9)
    np.testing.assert_allclose(found.condition(0.03), np.sqrt(found.squares.max().item() / lam + 1), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_rows_than_features(kind: type[Centred]) -> None:
    """A penalty of 0 gives the shortest weights that fit, as the pseudo-inverse does."""
    x, y = drawn(5, 9, 2)
    x, y = x - x.mean(0), y - y.mean(0)
    found = kind(9, 2).add(x, y).spectrum()
    wanted = (np.linalg.pinv(x.numpy(), rcond=1e-9) @ y.numpy()).T
    np.testing.assert_allclose(found.weights(0.0), wanted, rtol=1e-6, atol=1e-9 * np.abs(wanted).max())
    assert found.residual(0.0).max() < 1e-6 * found.spread.max()


def test_messages() -> None:
    x, y = drawn(4, 3, 2)
    with pytest.raises(ShapeError, match=r"`x` must have the shape \(rows, features=2\); got \(4, 3\)"):
        Statistics(2, 2).add(x, y)
    with pytest.raises(ShapeError, match=r"`y` must have the shape \(rows=4, outputs=2\); got \(3, 2\)"):
        Statistics(3, 2).add(x, y[:3])
    with pytest.raises(ShapeError, match=r"`weight` must have the shape \(rows=4\); got \(3,\)"):
        Statistics(3, 2).add(x, y, torch.ones(3))
    with pytest.raises(DataError, match=r"`weight` must be at least 0 and finite; got -1\.0 at row 2"):
        Statistics(3, 2).add(x, y, torch.tensor([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(OptionError, match="`parts` must be of one kind, with the same features"):
        Statistics(3, 2) + Statistics(3, 1)
    with pytest.raises(OptionError, match="`parts` must be of one kind"):
        Statistics(3, 2) + Factor(3, 2)  # pyright: ignore[reportOperatorIssue]
    with pytest.raises(OptionError, match="`parts` must hold at least one part"):
        Statistics.merge([])
    found = Statistics(3, 2).add(x, y)
    was = scatter(found).copy()
    x[2, 1] = torch.nan
    with pytest.raises(DataError, match="`x` must be finite; got nan at row 2, column 1"):
        found.add(x, y)
    y[1, 0] = torch.inf
    with pytest.raises(DataError, match="`y` must be finite; got inf at row 1, column 0"):
        found.add(torch.zeros(4, 3), y)
    np.testing.assert_array_equal(scatter(found), was)
