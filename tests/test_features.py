"""State features of sequences: by hand, by a loop over sequences, and whatever the padding holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as SklearnRidge

from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.readout import ModelSpace
from liquidtorch.readout.features import last, mean, points, products, segments, squares

LENGTHS = torch.tensor([5, 2, 9, 3])


def states(units: int = 4) -> torch.Tensor:
    h = torch.randn(4, 9, units, generator=torch.Generator().manual_seed(0)).double().cumsum(1)
    return torch.where((torch.arange(9) < LENGTHS[:, None])[..., None], h, torch.nan)


def each(h: torch.Tensor) -> list[torch.Tensor]:
    return [row[:n] for row, n in zip(h, LENGTHS.tolist(), strict=True)]


def test_last_and_mean_of_each_sequence_alone() -> None:
    h = states()
    assert torch.equal(last(h, LENGTHS), torch.stack([s[-1] for s in each(h)]))
    torch.testing.assert_close(mean(h, LENGTHS), torch.stack([s.mean(0) for s in each(h)]), rtol=1e-14, atol=0)
    full = h[2:3]
    assert torch.equal(last(full), full[:, -1])
    torch.testing.assert_close(mean(full), full.mean(1), rtol=1e-14, atol=0)


@given(length=st.integers(1, 40), count=st.integers(1, 12))
def test_points_are_equally_spaced_and_end_at_the_end(length: int, count: int) -> None:
    h = torch.where(torch.arange(40) < length, torch.arange(1.0, 41), torch.nan).view(1, 40, 1)
    found = points(h, count, torch.tensor([length]))[0]
    wanted = np.ceil([length * k / count - 1e-9 for k in range(1, count + 1)])
    np.testing.assert_array_equal(found, np.maximum(wanted, 1))
    assert found[-1] == length


def test_points_lie_earliest_first() -> None:
    h = torch.arange(12.0).view(1, 6, 2)
    assert points(h, 3).tolist() == [[2.0, 3.0, 6.0, 7.0, 10.0, 11.0]]


@given(length=st.integers(1, 40), count=st.integers(1, 12))
def test_segments_are_means_of_runs_that_cover_the_sequence(length: int, count: int) -> None:
    """Each row in one part only, in exact fractions; a part without a row is its last row alone."""
    h = torch.where(torch.arange(40) < length, torch.arange(1.0, 41).sqrt(), torch.nan).view(1, 40, 1)
    found = segments(h, count, torch.tensor([length]))[0]
    ends = [-(-length * k // count) for k in range(count + 1)]
    wanted = [h[0, min(a, b - 1) : b, 0].mean() for a, b in itertools.pairwise(ends)]
    torch.testing.assert_close(found, torch.stack(wanted))


def test_segments_lie_earliest_first_and_end_with_the_points() -> None:
    h = torch.arange(12.0).view(1, 6, 2)
    assert segments(h, 3).tolist() == [[1.0, 2.0, 5.0, 6.0, 9.0, 10.0]]
    assert torch.equal(segments(h, 6), points(h, 6))
    torch.testing.assert_close(segments(states(), 1, LENGTHS), mean(states(), LENGTHS), rtol=1e-14, atol=0)


def test_squares_and_products_by_hand() -> None:
    h, x = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[5.0, -7.0]])
    assert squares(h).tolist() == [[1.0, 2.0, 3.0, 1.0, 4.0, 9.0]]
    assert squares(h, half=True).tolist() == [[1.0, 4.0, 3.0]]
    assert products(h, x).tolist() == [[1.0, 2.0, 3.0, 5.0, -7.0, 5.0, -7.0, 10.0, -14.0, 15.0, -21.0]]
    assert products(torch.zeros(2, 5, 3), torch.zeros(2, 5, 2)).shape == (2, 5, 11)


@pytest.mark.parametrize("penalty", [1.0, 1e-3])
def test_model_space_is_one_ridge_regression_a_sequence(penalty: float) -> None:
    h = states(3)
    space = ModelSpace(3, 3, penalty=penalty)
    found = space(h, LENGTHS)
    for row, s in zip(found, each(h), strict=True):
        before, after = s[:-1].numpy(), s[1:].numpy()
        lam = penalty * ((before - before.mean(0)) ** 2).sum() / 3
        wanted = SklearnRidge(alpha=lam, solver="svd").fit(before, after)
        if len(s) > 2:
            np.testing.assert_allclose(row[:9].view(3, 3), wanted.coef_, rtol=1e-9, atol=1e-12)
        else:
            assert not row[:9].any()  # one step says nothing of what changes it
        np.testing.assert_allclose(row[9:], wanted.intercept_, rtol=1e-9, atol=1e-12)


def test_model_space_after_principal_components() -> None:
    """Those of scikit-learn but for their signs, of the training states alone, and the coefficients in their basis."""
    h = states(6)
    space = ModelSpace(6, 2, penalty=0.1)
    assert torch.equal(space.basis, torch.eye(6, 2).double())
    share = space.solve(h, LENGTHS)
    wanted = PCA(2).fit(torch.cat(each(h)).numpy())
    np.testing.assert_allclose(share, wanted.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(space.mean, wanted.mean_, rtol=1e-12)
    np.testing.assert_allclose(space.basis.T.abs(), np.abs(wanted.components_), rtol=1e-8)
    assert (space.basis.gather(0, space.basis.abs().argmax(0, keepdim=True)) > 0).all()
    plain = ModelSpace(2, 2, penalty=0.1)
    z = (h - space.mean) @ space.basis
    torch.testing.assert_close(space(h, LENGTHS), plain(z, LENGTHS), rtol=1e-12, atol=1e-12)
    again = ModelSpace(**space.config())
    again.load_state_dict(space.state_dict())
    assert torch.equal(again(h, LENGTHS), space(h, LENGTHS))
    assert space(h, LENGTHS).shape == (4, space.outputs)


def test_model_space_finds_the_law_of_the_states() -> None:
    g = torch.Generator().manual_seed(0)
    A, b = 0.4 * torch.randn(3, 3, generator=g).double(), torch.randn(3, generator=g).double()
    h = [torch.randn(2, 3, generator=g).double()]
    for _ in range(9):
        h.append(h[-1] @ A.T + b)
    found = ModelSpace(3, 3, penalty=1e-13)(torch.stack(h, 1))
    torch.testing.assert_close(found[0], torch.cat([A.flatten(), b]), rtol=1e-4, atol=1e-6)
    still = ModelSpace(3, 3)(torch.ones(1, 5, 3))
    assert still.tolist() == [[0.0] * 9 + [1.0] * 3]


POOLED: dict[str, Callable[..., torch.Tensor]] = {
    "last": last, "mean": mean, "points": lambda h, n=None: points(h, 4, n), "model space": ModelSpace(4, 4),
}  # fmt: skip


@pytest.mark.parametrize("pooled", POOLED.values(), ids=POOLED)
def test_a_sequence_does_not_depend_on_its_batch(pooled: Callable[..., torch.Tensor]) -> None:
    h = states()
    for i, n in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(pooled(h, LENGTHS)[i], pooled(h[i : i + 1, :n])[0], rtol=1e-10, atol=1e-12)


def test_messages() -> None:
    h = states()
    with pytest.raises(DataError, match="`lengths` must be from 1 to 9; got 0 at row 1"):
        last(h, torch.tensor([5, 0, 9, 3]))
    with pytest.raises(DataError, match="`lengths` must be from 2 to 9; got 1 at row 0"):
        ModelSpace(4, 2)(h, torch.tensor([1, 2, 9, 3]))
    with pytest.raises(ShapeError, match=r"`h` must have the shape \(batch, time, units\); got \(9, 4\)"):
        mean(h[0])
    with pytest.raises(ShapeError, match=r"`lengths` must have the shape \(batch=4\); got \(3,\)"):
        mean(h, LENGTHS[:3])
    with pytest.raises(ShapeError, match="`x` must have the shape"):
        products(h, torch.zeros(4, 8, 2))
    with pytest.raises(OptionError, match="`count` must be a whole number at least 1; got 0"):
        points(h, 0)
    with pytest.raises(OptionError, match=r"`dims` must be a whole number at least 1 and at most 4; got 5"):
        ModelSpace(4, 5)
    with pytest.raises(OptionError, match="`penalty` must be a number above 0; got 0"):
        ModelSpace(4, 4, penalty=0)
