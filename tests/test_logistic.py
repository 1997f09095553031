"""Logistic readouts: scikit-learn's optimum, the penalty that predicts best, and probabilities that come true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from sklearn.linear_model import LogisticRegression

from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.readout import Logistic, Statistics, build, one_hot
from liquidtorch.readout.newton import Softmax, Whitening, minimise


def drawn(count: int, features: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows whose classes follow a softmax of some of their columns, which are correlated and not of one size."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(count, features, generator=g).double() @ torch.randn(features, features, generator=g).double() + 2
    W = torch.randn(classes, features, generator=g).double() * 2 / features**0.5
    codes = torch.multinomial(torch.softmax((x - x.mean(0)) @ W.T / x.std() + 0.3, 1), 1, generator=g)[:, 0]
    return x, codes


@pytest.mark.parametrize("shape", [(80, 3, 2), (120, 6, 3), (30, 50, 4)])
@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimum_is_scikit_learns(shape: tuple[int, int, int], penalty: float, weighted: bool) -> None:
    x, codes = drawn(*shape)
    w = torch.linspace(0.2, 3, len(x), dtype=torch.float64) if weighted else None
    readout = Logistic(*shape[1:])
    found = readout.solve(x, codes, select=penalty, weight=w)
    options: Any = {"C": 1 / (penalty * found.unit), "tol": 1e-12, "max_iter": 10000, "solver": "newton-cg"}
    wanted = LogisticRegression(**options).fit(x.numpy(), codes.numpy(), None if w is None else w.numpy())
    # two classes: it has one row of weights, our two are its half and minus its half, and the same probabilities
    # come at half the penalty
    if shape[2] == 2:
        found = readout.solve(x, codes, select=2 * penalty, weight=w)
    np.testing.assert_allclose(readout.probabilities(x), wanted.predict_proba(x.numpy()), rtol=0, atol=1e-6)
    if shape[2] > 2:
        np.testing.assert_allclose(found.weight, wanted.coef_, rtol=0, atol=1e-5 * np.abs(wanted.coef_).max())
    assert (found.temperature, found.penalty, len(found.scores)) == (1.0, penalty * (2 if shape[2] == 2 else 1), 0)


def problem(condition: float) -> tuple[Softmax, Whitening, torch.Tensor]:
    x, codes = drawn(300, 12, 3)
    x = (x - x.mean(0)) @ torch.diag(torch.logspace(0, -np.log10(condition), 12, dtype=torch.float64))
    truth, lam = one_hot(codes, 3), 1e-3
    f = Softmax(x, truth, torch.ones(300, 1).double(), lam)
    return f, Whitening(Statistics(12, 3).add(x, truth).spectrum(), 3, 300.0, lam), torch.zeros(3, 13).double()


def test_derivatives_by_automatic_differentiation() -> None:
    f, _, _ = problem(1.0)
    g = torch.Generator().manual_seed(0)
    theta, direction = (torch.randn(3, 13, generator=g).double() for _ in range(2))

    def loss(theta: torch.Tensor) -> torch.Tensor:
        said = torch.log_softmax(f.x @ theta[:, :-1].T + theta[:, -1], 1)
        return -(f.weight * f.truth * said).sum() + f.penalty / 2 * theta[:, :-1].square().sum()

    assert f.loss(theta) == pytest.approx(loss(theta).item(), rel=1e-13)
    gradient, p = f.gradient(theta)
    slope, curve = torch.autograd.functional.vhp(lambda t: loss(t), theta, direction)
    assert slope.item() == pytest.approx(f.loss(theta))
    torch.testing.assert_close(f.curve(p, direction), curve, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, torch.autograd.functional.jacobian(loss, theta), rtol=1e-10, atol=1e-10)


def test_whitening_is_the_inverse_of_the_hessian_at_equal_odds() -> None:
    f, whiten, theta = problem(1e2)
    direction = torch.randn(3, 13, generator=torch.Generator().manual_seed(0)).double()
    direction -= direction.mean(0)  # what adds the same to all classes has no curvature
    _, p = f.gradient(theta)
    torch.testing.assert_close(whiten(f.curve(p, direction)), direction, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6])
def test_the_work_does_not_grow_with_the_condition(condition: float, monkeypatch: pytest.MonkeyPatch) -> None:
    f, whiten, theta = problem(condition)
    passes, plain = [], Softmax.curve
    monkeypatch.setattr(Softmax, "curve", lambda self, *a: passes.append(1) or plain(self, *a))
    found = minimise(f, whiten, theta, 1e-10)
    gradient, _ = f.gradient(found)
    assert (gradient * whiten(gradient)).sum() < 1e-9
    assert len(passes) < 120


def test_the_penalty_is_the_one_that_predicts_best() -> None:
    """Held-out likelihood at each penalty, against one scikit-learn fit a fold."""
    x, codes = drawn(90, 5, 3)
    penalties = [1.0, 1e-1, 1e-2, 1e-3]
    found = Logistic(5, 3).solve(x, codes, penalties=penalties, blocks=3)
    np.testing.assert_array_equal(found.penalties, penalties[: len(found.scores)])
    for penalty, score in zip(penalties, found.scores, strict=False):
        total = 0.0
        for held in torch.arange(90).tensor_split(3):
            rest = np.setdiff1d(np.arange(90), held)
            lam = penalty * found.unit * len(rest) / 90
            options: Any = {"C": 1 / lam, "tol": 1e-10, "max_iter": 10000}
            fit = LogisticRegression(**options).fit(x.numpy()[rest], codes.numpy()[rest])
            said = fit.predict_log_proba(x.numpy()[held])
            total -= said[np.arange(len(held)), codes[held]].sum()
        assert score.item() == pytest.approx(total / 90, abs=1e-4)
    assert found.penalty == found.penalties[found.scores.argmin()].item()


def test_probabilities_come_true() -> None:
    """Few rows and many columns are fitted too surely; the temperature takes it back."""
    x, codes = drawn(1200, 40, 3)
    rows = slice(0, 200)
    groups = torch.arange(200)
    readout = Logistic(40, 3)
    found = readout.solve(x[rows], codes[rows], penalties=[1e-6], groups=groups)
    assert found.temperature > 1.2
    sure, other = readout.probabilities(x[200:]), torch.softmax(found.temperature * readout(x[200:]), 1)
    truth = one_hot(codes[200:], 3)
    loss = [-(truth * p.log()).sum(1).mean().item() for p in (sure, other)]
    assert loss[0] < loss[1] - 0.1
    chosen = Logistic(40, 3)
    best = chosen.solve(x[rows], codes[rows], groups=groups)
    assert 0.7 < best.temperature < 1.3
    p = chosen.probabilities(x[200:])
    assert -(truth * p.log()).sum(1).mean().item() < loss[0]
    confidence, right = p.max(1).values, (p.argmax(1) == codes[200:]).double()
    assert abs(confidence.mean() - right.mean()) < 0.05


def test_rows_left_out_padding_and_files() -> None:
    x, codes = drawn(60, 4, 3)
    unknown = codes.double()
    unknown[[2, 50]] = torch.nan
    keep = ~unknown.isnan()
    found = Logistic(4, 3).solve(torch.where(keep[:, None], x, torch.inf), unknown, select=1e-2)
    wanted = Logistic(4, 3).solve(x[keep], codes[keep], select=1e-2)
    torch.testing.assert_close(found.weight, wanted.weight, rtol=1e-8, atol=1e-8)
    lengths = torch.tensor([12, 5, 9, 12, 7])
    inside = torch.arange(12) < lengths[:, None]
    padded = torch.where(inside[..., None], x.view(5, 12, 4), torch.nan).float()
    readout = Logistic(4, 3)
    found = readout.solve(padded, codes.view(5, 12), lengths=lengths)
    of = torch.arange(5)[:, None].expand(5, 12)[inside]
    wanted = Logistic(4, 3).solve(x.float().view(5, 12, 4)[inside], codes.view(5, 12)[inside], groups=of)
    torch.testing.assert_close(found.weight, wanted.weight, rtol=1e-8, atol=1e-8)
    assert found.temperature == wanted.temperature
    again = build(readout.config())
    again.load_state_dict(load(save(readout.state_dict())))
    assert torch.equal(again(x), readout(x))


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_classes_that_can_be_told_apart_or_are_not_there(offset: float) -> None:
    """Separable classes, a class without rows, a fold without one of the classes, a column that never moves."""
    x = torch.stack([torch.linspace(-1, 1, 40).double() + offset, torch.full((40,), offset).double()], 1)
    codes = torch.arange(40) // 20 * 2  # classes 0 and 2, the second half of the rows
    readout = Logistic(2, 3)
    found = readout.solve(x, codes, blocks=2, penalties=[1.0, 1e-3])
    assert found.scores.isfinite().all()
    readout.solve(x, codes, groups=torch.arange(40))
    p = readout.probabilities(x)
    assert torch.equal(p.argmax(1), codes)
    assert p[:, 1].max() < 0.05
    assert p.isfinite().all()


def test_messages() -> None:
    x, codes = drawn(10, 3, 2)
    with pytest.raises(OptionError, match="`select` must be one of 'blocks'; got 'gcv'"):
        Logistic(3, 2).solve(x, codes, select="gcv")
    with pytest.raises(OptionError, match=r"`penalties` must be above 0; got 0\.0"):
        Logistic(3, 2).solve(x, codes, select=0.0)
    with pytest.raises(DataError, match="`codes` must be whole numbers from 0 to 1; got 2"):
        Logistic(3, 2).solve(x, codes + 2)
    with pytest.raises(DataError, match="`codes` must hold at least two classes; got 1"):
        Logistic(3, 2).solve(x, torch.zeros(10))
    with pytest.raises(ShapeError, match=r"`y` must have the shape \(rows=10, outputs=2\); got \(9, 2\)"):
        Logistic(3, 2).solve(x, codes[:9])
    with pytest.raises(OptionError, match="`classes` must be a whole number at least 2; got 1"):
        Logistic(3, 1)
