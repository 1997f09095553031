"""Ridge readouts: weights, scores and choice against scikit-learn, brute force, and 50 digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.linear_model import RidgeCV

from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.readout import Factor, Ridge, Statistics, balanced, build, increments, one_hot, ridge
from liquidtorch.readout.centred import Centred
from liquidtorch.readout.rows import rows as laid_out

KINDS = (Statistics, Factor)
PENALTIES = [10.0, 1.0, 1e-1, 1e-3, 1e-6]


def drawn(count: int, features: int, outputs: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows with columns of very different size and a mean; two in three targets are noise."""
    g = np.random.default_rng(seed)
    x = g.normal(size=(count, features)) * 10.0 ** g.uniform(-1, 1, features) + 3 * g.normal(size=features)
    y = x @ g.normal(size=(features, outputs)) * g.uniform(size=outputs) + g.normal(size=(count, outputs)) + 7
    return torch.from_numpy(x), torch.from_numpy(y)


def unit(x: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return trace(G)/F by its definition."""
    mean = np.average(x, axis=0, weights=weight)
    w = np.ones(len(x)) if weight is None else weight
    return float((w[:, None] * (x - mean) ** 2).sum() / x.shape[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(40, 7, 3), (9, 20, 1), (200, 33, 2)])
def test_every_penalty_equals_scikit_learn(kind: type[Centred], weighted: bool, shape: tuple[int, int, int]) -> None:
    x, y = drawn(*shape)
    w = torch.linspace(0.2, 3, len(x), dtype=torch.float64) if weighted else None
    part = kind(*shape[1:]).add(x, y, w)
    for penalty in PENALTIES:
        found = ridge(part, select=penalty)
        lam = penalty * unit(x.numpy(), None if w is None else w.numpy())
        wanted = SklearnRidge(alpha=lam, solver="svd").fit(x, y, None if w is None else w.numpy())
        size = np.abs(wanted.coef_).max()
        np.testing.assert_allclose(found.weight, wanted.coef_.reshape(found.weight.shape), rtol=1e-9, atol=1e-11 * size)
        np.testing.assert_allclose(found.bias, np.atleast_1d(wanted.intercept_), rtol=1e-10)
        assert (found.select, found.scores.shape) == ("given", (0, shape[2]))
        assert found.penalty.tolist() == [penalty] * shape[2]


def test_equals_least_squares_with_augmented_rows() -> None:
    """min |y - W x - b|^2 + lambda |W|^2 as plain least squares: rows of sqrt(lambda) under x, none under the ones."""
    x, y = drawn(30, 5, 2)
    found = ridge(Factor(5, 2).add(x, y), select=0.1)
    root = np.sqrt(0.1 * unit(x.numpy()))
    A = np.block([[x.numpy(), np.ones((30, 1))], [root * np.eye(5), np.zeros((5, 1))]])
    wanted = np.linalg.lstsq(A, np.concatenate([y.numpy(), np.zeros((5, 2))]), rcond=None)[0]
    np.testing.assert_allclose(found.weight, wanted[:5].T, rtol=1e-11)
    np.testing.assert_allclose(found.bias, wanted[5], rtol=1e-11)


def left_out(x: np.ndarray, y: np.ndarray, held: np.ndarray, penalty: float, w: np.ndarray, lam: float | None) -> Any:
    """Return the squared errors on rows held out of a scikit-learn fit to the others."""
    rest = np.setdiff1d(np.arange(len(x)), held)
    lam = penalty * unit(x[rest], w[rest]) if lam is None else lam
    fit = SklearnRidge(alpha=lam, solver="svd").fit(x[rest], y[rest], w[rest])
    return w[held, None] * (y[held] - fit.predict(x[held]).reshape(len(held), -1)) ** 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_leave_one_out_is_exact(kind: type[Centred], weighted: bool) -> None:
    x, y = drawn(25, 6, 2)
    w = torch.linspace(0.2, 3, 25, dtype=torch.float64) if weighted else torch.ones(25, dtype=torch.float64)
    blocks = [(x[:10], y[:10], w[:10]), (x[10:], y[10:], w[10:])] if weighted else [(x, y, None)]
    found = ridge(kind(6, 2).add(x, y, w), penalties=PENALTIES, select="loo", rows=blocks)
    for i, penalty in enumerate(PENALTIES):
        lam = penalty * found.unit  # that of all rows
        each = [left_out(x.numpy(), y.numpy(), np.array([k]), penalty, w.numpy(), lam) for k in range(25)]
        np.testing.assert_allclose(found.scores[i], np.sum(each, (0, 1)) / w.sum().item(), rtol=1e-9)
    assert found.penalty.tolist() == [PENALTIES[i] for i in found.scores.argmin(0)]


def test_leave_one_out_equals_ridge_cv() -> None:
    x, y = drawn(60, 8, 2)
    found = ridge(Factor(8, 2).add(x, y), penalties=PENALTIES, select="loo", rows=[(x, y, None)], per_output=False)
    wanted = RidgeCV([p * found.unit for p in PENALTIES], store_cv_results=True).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(found.scores, wanted.cv_results_.mean(0).T, rtol=1e-8)
    alone = ridge(Factor(8, 1).add(x, y[:, :1]), penalties=PENALTIES, select="loo", rows=[(x, y[:, :1], None)])
    best = RidgeCV([p * found.unit for p in PENALTIES]).fit(x.numpy(), y[:, 0].numpy())
    np.testing.assert_allclose(alone.penalty.item() * alone.unit, best.alpha_, rtol=1e-12)
    np.testing.assert_allclose(alone.weight[0], best.coef_, rtol=1e-8)


def test_leave_one_out_does_not_guess_where_rows_are_fitted_exactly() -> None:
    x, y = drawn(6, 20, 1)
    found = ridge(Factor(20, 1).add(x, y), penalties=[1e-2, 1e-16], select="loo", rows=[(x, y, None)])
    assert found.scores.isinf().flatten().tolist() == [False, True]
    assert ridge(Factor(20, 1).add(x, y), penalties=[1e-2, 0.0], select="gcv").penalty.item() == 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_gcv_by_its_definition(kind: type[Centred]) -> None:
    x, y = drawn(25, 6, 2)
    found = ridge(kind(6, 2).add(x, y), penalties=PENALTIES, select="gcv")
    centred, target = x - x.mean(0), y - y.mean(0)
    for i, penalty in enumerate(PENALTIES):
        added = penalty * found.unit * torch.eye(6, dtype=torch.float64)
        H = centred @ torch.linalg.inv(centred.T @ centred + added) @ centred.T + 1 / 25
        wanted = ((target - H @ target) ** 2).mean(0) / (1 - H.trace() / 25) ** 2
        np.testing.assert_allclose(found.scores[i], wanted, rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_equal_one_fit_a_block(kind: type[Centred], weighted: bool) -> None:
    x, y = drawn(31, 5, 2)
    w = torch.linspace(0.2, 3, 31, dtype=torch.float64) if weighted else torch.ones(31, dtype=torch.float64)
    folds = torch.arange(31).tensor_split(4)
    found = ridge([kind(5, 2).add(x[f], y[f], w[f]) for f in folds], penalties=PENALTIES)
    for i, penalty in enumerate(PENALTIES):
        each = [left_out(x.numpy(), y.numpy(), f.numpy(), penalty, w.numpy(), None).sum(0) for f in folds]
        np.testing.assert_allclose(found.scores[i], np.sum(each, 0) / w.sum().item(), rtol=1e-9)
    assert found.penalty.tolist() == [PENALTIES[i] for i in found.scores.argmin(0)]
    whole = ridge(kind(5, 2).add(x, y, w), select=found.penalty[0].item())
    np.testing.assert_allclose(found.weight[0], whole.weight[0], rtol=1e-9)


def test_a_penalty_for_each_output_or_one_for_all() -> None:
    x, _ = drawn(60, 5, 1)
    noise = torch.randn(60, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.cat([x @ torch.ones(5, 1).double(), 1e3 * noise], 1)
    parts = [Statistics(5, 2).add(x[i::3], y[i::3]) for i in range(3)]
    each = ridge(parts, penalties=[1e4, 1e-6])
    assert each.penalty.tolist() == [1e-6, 1e4]
    both = ridge(parts, penalties=[1e4, 1e-6], per_output=False)
    assert both.penalty.tolist() == [1e-6, 1e-6]  # the noise is worth nothing though its errors are large
    np.testing.assert_array_equal(each.weight[0], both.weight[0])


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3), times=st.integers(2, 4))
def test_a_penalty_means_the_same_in_any_unit(scale: float, shift: float, times: int) -> None:
    """Another unit or origin of x, or every row more than once, gives the same answers."""
    x, y = drawn(20, 4, 1)
    one = ridge(Statistics(4, 1).add(x, y), select=0.03)
    two = ridge(Statistics(4, 1).add((scale * x + shift).repeat(times, 1), y.repeat(times, 1)), select=0.03)
    wanted = x @ one.weight.T + one.bias
    torch.testing.assert_close((scale * x + shift) @ two.weight.T + two.bias, wanted, rtol=0, atol=1e-7)


def polynomial() -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Powers of t, of condition 1e12 when centred; the weights of least squares to 50 digits."""
    t = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None]
    x = t ** torch.arange(1, 17)
    y = torch.cos(7 * t)
    with mpmath.workdps(50):
        A = mpmath.matrix(np.concatenate([x.numpy(), np.ones((60, 1))], 1).tolist())
        exact = mpmath.lu_solve(A.T * A, A.T * mpmath.matrix(y.tolist()))
        return x, y, np.array([float(c) for c in exact])[:-1]


def test_the_factor_is_right_where_the_gram_matrix_fails() -> None:
    x, y, wanted = polynomial()
    condition = np.linalg.cond((x - x.mean(0)).numpy())
    assert 3e11 < condition < 3e13
    halves = Factor(16, 1).add(x[:31], y[:31]) + Factor(16, 1).add(x[31:], y[31:])
    found = ridge(halves, select=0.0)
    np.testing.assert_allclose(found.condition, condition, rtol=1e-2)
    assert np.abs(found.weight[0].numpy() / wanted - 1).max() < 1e-16 * condition * 20
    gram = ridge(Statistics(16, 1).add(x, y), select=0.0)
    assert np.abs(gram.weight[0].numpy() / wanted - 1).max() > 0.5
    error = [one.residual(f.weight, f.bias).item() for one, f in ((halves, found), (halves, gram))]
    assert error[0] < 1e-6 * error[1]
    assert "the Gram matrix alone was given, though" in gram.reason


def test_solve_goes_over_to_the_singular_values_and_says_why() -> None:
    x, y, _ = polynomial()
    readout = Ridge(16, 1)
    found = readout.solve(x, y, select=1e-3)
    assert (found.method, found.reason) == ("gram", f"the condition number {found.condition:.1e} is at most 1e+07")
    found = readout.solve(x, y, select=1e-20)
    assert found.method == "svd"
    assert found.reason == "the penalty 1.0e-20 is below the rounding of the Gram matrix, 1e-13"
    assert (readout(x) - y).abs().max() < 1e-6
    found = readout.solve(x, y, penalties=[1e-3, 1e-13], groups=torch.arange(60))
    assert found.method == "svd"
    assert found.reason == f"the condition number {found.condition:.1e} is above 1e+07"
    found = readout.solve(x, y, groups=torch.arange(60), penalties=torch.tensor([1e-1, 1e-9, 1e-11]))
    assert (found.method, len(found.penalties)) == ("svd", 3)
    share = (found.scores.min() / found.variance).item()
    assert found.reason == f"the error is {share:.1e} of the variance: the Gram matrix does not tell below 1e-06"
    found = readout.solve(x, y + (30 * x[:, :1]).sin(), groups=torch.arange(60))
    assert (found.method, found.reason) == ("svd", "the best penalty was the least of the path, 1.0e-09")
    found = readout.solve(x, y, groups=torch.arange(60))
    assert found.penalty.item() < 1e-10
    assert (readout(x) - y).abs().max() < 1e-5
    noisy = y + torch.randn(60, 1, generator=torch.Generator().manual_seed(0)).double()
    found = readout.solve(x, noisy, groups=torch.arange(60))
    assert (found.method, found.select) == ("gram", "blocks")


@pytest.mark.parametrize("select", ["blocks", "gcv", "loo", 0.1])
def test_solve_fills_the_module(select: str | float) -> None:
    x, y = drawn(50, 4, 2)
    y[7, 1] = torch.nan
    w = torch.linspace(0.5, 2, 50)
    readout = Ridge(4, 2)
    assert not readout(x).any()
    found = readout.solve(x, y, select=select, weight=w)
    torch.testing.assert_close(readout(x), x @ found.weight.T + found.bias, rtol=1e-12, atol=1e-12)
    keep = torch.arange(50) != 7
    again = Ridge(4, 2).solve(x[keep], y[keep], select=found.penalty[0].item(), weight=w[keep])
    torch.testing.assert_close(again.weight[0], found.weight[0], rtol=1e-10, atol=0)
    loaded = build(readout.config())
    loaded.load_state_dict(load(save(readout.state_dict())))
    assert torch.equal(loaded(x), readout(x))
    assert readout.float()(x.float()).dtype == torch.float32


def test_float32_states_of_padded_series() -> None:
    """Padding, whatever it holds, changes nothing; nor does the order of the series beyond the folds."""
    g = torch.Generator().manual_seed(0)
    lengths = torch.tensor([9, 4, 12, 7, 12, 5])
    x = torch.randn(6, 12, 3, generator=g)
    y = x[..., :2].roll(1, 1).double() + 1
    inside = torch.arange(12) < lengths[:, None]
    flat, of = x[inside], torch.arange(6)[:, None].expand(6, 12)[inside]
    padded = torch.where(inside[..., None], x, torch.nan)
    found = Ridge(3, 2).solve(padded, y, lengths=lengths, blocks=3)
    wanted = Ridge(3, 2).solve(flat.double(), y[inside], groups=of, blocks=3)
    torch.testing.assert_close(found.weight, wanted.weight, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.scores, wanted.scores, rtol=1e-12, atol=0)
    found = Ridge(3, 2).solve(padded, y, lengths=lengths, select=0.1)
    whole = Ridge(3, 2).solve(x, y, select=0.1, weight=inside.double())
    torch.testing.assert_close(whole.weight, found.weight, rtol=1e-12, atol=1e-12)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), blocks=st.integers(2, 6), seed=st.integers(0, 9),
    shuffled=st.booleans(),
)  # fmt: skip
def test_folds_hold_out_whole_groups_or_runs(sizes: list[int], blocks: int, seed: int, shuffled: bool) -> None:
    groups = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    if shuffled:
        groups = groups[torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))]
    if len(groups) < blocks:
        return
    x = torch.zeros(len(groups), 1)
    folds = laid_out(x, x, features=1, outputs=1, groups=groups).folds(blocks, seed)
    assert len(folds) == blocks
    np.testing.assert_array_equal(torch.cat(folds).sort().values, torch.arange(len(groups)))
    assert all(bool((f.diff() > 0).all()) for f in folds)
    if len(sizes) >= blocks:
        owners = [set(groups[f].tolist()) for f in folds]
        assert sum(len(o) for o in owners) == len(sizes)
        assert max(len(f) for f in folds) - min(len(f) for f in folds) <= max(sizes)
    else:
        for i in range(len(sizes)):
            places = {int(r): k for k, r in enumerate((groups == i).nonzero())}
            for f in folds:
                mine = [places[r] for r in f.tolist() if r in places]
                assert mine == list(range(mine[0], mine[0] + len(mine))) if mine else True


def test_folds_of_one_series_are_its_blocks_in_order() -> None:
    x = torch.zeros(10, 1)
    given = laid_out(x, x, features=1, outputs=1)
    assert [f.tolist() for f in given.folds(3, 0)] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    taken = list(given.parts(torch.tensor([1, 2, 3])))
    assert taken[0][0].data_ptr() == x[1:].data_ptr()  # no copy


def test_blocks_do_not_believe_a_series_that_knows_its_neighbours() -> None:
    """On a random walk explained by other random walks, leave-one-out is sure and blocks are not."""
    walk = torch.randn(300, 41, generator=torch.Generator().manual_seed(1), dtype=torch.float64).cumsum(0)
    x, y = walk[:, :40], walk[:, 40:]
    loo = Ridge(40, 1).solve(x, y, select="loo")
    blocks = Ridge(40, 1).solve(x, y)
    assert loo.scores.min() < 0.05 * y.var()
    assert blocks.scores.min() > 10 * loo.scores.min()
    assert blocks.penalty > 10 * loo.penalty


def test_class_scores() -> None:
    """One-hot targets, all classes weighing alike: the scores of a row add up to 1, and rare classes are found."""
    g = torch.Generator().manual_seed(0)
    codes = (torch.rand(300, generator=g) < 0.05).long() + 1  # class 1, rarely 2, never 0
    x = torch.randn(300, 2, generator=g).double() + 1.5 * codes[:, None]
    readout = Ridge(2, 3)
    options: Any = {"groups": torch.arange(300), "per_output": False}
    readout.solve(x, one_hot(codes, 3), weight=balanced(codes, 3), **options)
    torch.testing.assert_close(readout(x).sum(1), torch.ones(300).double())
    recall = (readout(x).argmax(1) == codes)[codes == 2].double().mean()
    readout.solve(x, one_hot(codes, 3), **options)
    plain = (readout(x).argmax(1) == codes)[codes == 2].double().mean()
    assert recall > 0.8 > 0.5 > plain


def test_targets_by_hand() -> None:
    codes = torch.tensor([0.0, 2.0, torch.nan, 2.0])
    hot = one_hot(codes, 3)
    assert hot[[0, 1, 3]].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    assert hot[2].isnan().all()
    assert balanced(codes, 3).tolist() == [1.5, 0.75, 0.0, 0.75]
    u = torch.tensor([[[1.0], [2.0], [4.0], [8.0]], [[1.0], [3.0], [0.0], [0.0]]])
    nan = pytest.approx(np.nan, nan_ok=True)
    assert increments(u, 2)[0, :, 0].tolist() == [3.0, 6.0, nan, nan]
    assert increments(u, lengths=torch.tensor([4, 2]))[..., 0].tolist() == [[1.0, 2.0, 4.0, nan], [2.0, nan, nan, nan]]
    assert increments(u, 9).isnan().all()


def test_nothing_to_learn_from() -> None:
    """States that never move, and targets that never move."""
    x, y = torch.ones(20, 3), torch.arange(20.0)[:, None]
    for select in ("blocks", "gcv", "loo", 0.0):
        found = Ridge(3, 1).solve(x, y, select=select)
        assert not found.weight.any()
        assert found.bias.item() == pytest.approx(9.5)
    found = Ridge(1, 1).solve(y, torch.full((20, 1), 4.0))
    assert found.weight.item() == pytest.approx(0, abs=1e-12)
    assert found.bias.item() == pytest.approx(4)


def test_messages() -> None:
    x, y = drawn(10, 3, 2)
    part = Statistics(3, 2).add(x, y)
    with pytest.raises(OptionError, match="`select` must be one of 'blocks', 'gcv', 'loo'; got 'lo'"):
        ridge(part, select="lo")
    with pytest.raises(OptionError, match="`parts` must be two or more that hold rows, for select='blocks'; got 1"):
        ridge(part)
    with pytest.raises(OptionError, match="`rows` must be given for select='loo'"):
        ridge(part, select="loo")
    with pytest.raises(OptionError, match="`rows` must be left out for select='gcv'"):
        ridge(part, select="gcv", rows=[(x, y, None)])
    with pytest.raises(OptionError, match="`penalties` must be left out where `select` is the penalty"):
        Ridge(3, 2).solve(x, y, penalties=[1.0], select=0.1)
    with pytest.raises(OptionError, match="`penalties` must hold at least one penalty"):
        ridge(part, penalties=[], select="gcv")
    with pytest.raises(OptionError, match=r"`penalties` must be a number at least 0; got -1\.0"):
        ridge(part, penalties=[-1.0], select="gcv")
    with pytest.raises(OptionError, match="`select` must be a number at least 0; got -1"):
        ridge(part, select=-1)
    with pytest.raises(DataError, match="`parts` must hold at least 2 rows; got 1"):
        ridge(Statistics(3, 2).add(x[:1], y[:1]), select=0.1)
    with pytest.raises(OptionError, match="`blocks` must be at most the number of rows, 10; got 11"):
        Ridge(3, 2).solve(x, y, blocks=11)
    with pytest.raises(OptionError, match="`lengths` must be left out where x is"):
        Ridge(3, 2).solve(x, y, lengths=torch.tensor([10]))
    with pytest.raises(ShapeError, match=r"`groups` must have the shape \(rows=10\); got \(9,\)"):
        Ridge(3, 2).solve(x, y, groups=torch.arange(9))
    with pytest.raises(DataError, match="`lengths` must be from 0 to 5; got 6 at row 1"):
        Ridge(3, 2).solve(x.view(2, 5, 3), y.view(2, 5, 2), lengths=torch.tensor([5, 6]))
    with pytest.raises(DataError, match="`codes` must be whole numbers from 0 to 2; got 3"):
        one_hot(torch.tensor([1, 3]), 3)
