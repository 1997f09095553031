"""Training: what is made small, which rows are learned from, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_pinball_loss, mean_squared_error
from torch import Tensor, nn

from liquidtorch.data import Sequences, from_arrays
from liquidtorch.model import LiquidNetwork
from liquidtorch.model.measure import answer_scaling, inputs, irregular, last_seen, scaling, tau_range
from liquidtorch.task import Task, ahead, infer, score
from liquidtorch.train import Config, fit, predict
from liquidtorch.train.answer import pooled, prediction
from liquidtorch.train.batches import Rows, in_order, shuffled
from liquidtorch.train.losses import Loss

NAN = float("nan")


def waves(n: int, seed: int = 0, low: int = 30, high: int = 60) -> Sequences:
    """Sines of many phases and lengths, read at random times."""
    rng = np.random.default_rng(seed)
    dts = [rng.uniform(0.1, 0.9, k) for k in rng.integers(low, high, n)]
    x = [np.sin(np.cumsum(dt) + rng.uniform(0, 6.28))[:, None] for dt in dts]
    return from_arrays(x, dt=dts, forecast=True)


def signs(n: int, seed: int = 0) -> Sequences:
    """Class: whether an even number of the three pulses in the series is negative."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, 12, 1))
    pulses = rng.choice([-1.0, 1.0], (n, 3))
    for j in range(3):
        x[np.arange(n), 4 * j + rng.integers(0, 4, n), 0] = pulses[:, j]
    return from_arrays(x, np.where(pulses.prod(1) > 0, "even", "odd"))


class Echo(nn.Module):
    """A network that can be reckoned by hand: y is w times the running sum of x; state: that sum."""

    def __init__(self, pool: str = "last") -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))
        self.pool = pool
        self.seen: list[dict[str, Any]] = []

    def forward(self, x: Tensor, h: Tensor | None = None, *, dt: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            self.seen.append({"x": x, "dt": dt, "lengths": lengths, "h": h})
        inside = (torch.arange(x.shape[1]) < lengths[:, None])[..., None]
        total = (x.nan_to_num() * inside).cumsum(1) + (0 if h is None else h[:, None])
        return self.w * total * inside, total[:, -1]


# losses


def test_cross_entropy_agrees_with_scikit_learn_for_each_target() -> None:
    task = Task("classify_steps", ("a", "b"), (("x", "y"), ("p", "q", "r")))
    y = torch.randn(4, 5, 5, dtype=torch.float64)
    truth = torch.stack([torch.randint(0, 2, (4, 5)), torch.randint(0, 3, (4, 5))], -1).double()
    truth[0, 1] = NAN
    truth[2, 3, 1] = NAN
    total, count = Loss(task, np.ones(5)).double()(y, truth)
    wanted = 0.0
    for j, part in enumerate(y.split([2, 3], -1)):
        kept = ~torch.isnan(truth[..., j])
        chances = part[kept].softmax(-1).numpy()
        labels = list(range(part.shape[-1]))
        wanted += log_loss(truth[..., j][kept].numpy(), chances, labels=labels, normalize=False)
    assert float(total) == pytest.approx(wanted, rel=1e-12)
    assert int(count) == 37


def test_squared_error_is_in_units_of_the_scale() -> None:
    task = Task("regress_steps", ("a", "b"))
    y, truth = torch.randn(3, 7, 2, dtype=torch.float64), torch.randn(3, 7, 2, dtype=torch.float64)
    truth[1, 4:] = NAN
    scale = torch.tensor([2.0, 0.1], dtype=torch.float64)
    total, count = Loss(task, scale.numpy()).double()(y, truth)
    kept = ~torch.isnan(truth[..., 0])
    wanted = mean_squared_error((truth / scale)[kept], (y / scale)[kept])
    assert float(total / count) == pytest.approx(wanted, rel=1e-12)


def test_quantiles_add_their_pinball_loss() -> None:
    task = Task("forecast", ("a",), horizon=3, quantiles=(0.1, 0.5, 0.9))
    y = torch.randn(6, 3 * 4, dtype=torch.float64)
    truth = torch.randn(6, 3, 1, dtype=torch.float64)
    truth[5, 2] = NAN
    scale = np.repeat([1.0, 2.0, 4.0], 4)
    total, count = Loss(task, scale).double()(y, truth)
    kept = ~np.isnan(truth[..., 0].numpy())
    y, flat = y.reshape(6, 3, 4).numpy(), truth[..., 0].numpy()
    weight = np.broadcast_to([1.0, 2.0, 4.0], (6, 3))[kept]
    wanted = (((flat - y[..., 0])[kept] / weight) ** 2).sum()
    for k, q in enumerate(task.quantiles):
        wanted += kept.sum() * mean_pinball_loss(flat[kept] / weight, y[..., 1 + k][kept] / weight, alpha=q)
    assert float(total) == pytest.approx(wanted, rel=1e-12)
    assert int(count) == 17


def test_what_is_unknown_has_no_gradient() -> None:
    task = Task("regress_steps", ("a",))
    y = torch.full((1, 3, 1), 2.0, requires_grad=True)
    total, _ = Loss(task, np.ones(1))(y, torch.tensor([[[1.0], [NAN], [4.0]]]))
    total.backward()
    assert y.grad is not None
    assert y.grad.flatten().tolist() == [2.0, 0.0, -4.0]


# what is measured of the training data


def test_scaling_leaves_constants_and_gaps_alone() -> None:
    columns = np.array([[1.0, 5.0, NAN], [3.0, 5.0, 2.0], [NAN, 5.0, 8.0]])
    mean, scale = scaling(columns)
    np.testing.assert_allclose(mean, np.nanmean(columns, axis=0))
    np.testing.assert_allclose(scale, [1.0, 1.0, 3.0])


def test_the_first_answer_to_classes_is_their_share() -> None:
    seqs = signs(30)
    task, _ = infer(seqs)
    share = np.exp(answer_scaling(seqs, task).mean)
    counts = np.bincount(seqs.target[:, 0].astype(int))
    np.testing.assert_allclose(share, (counts + 1) / 32)


def test_a_forecast_is_scaled_by_its_change() -> None:
    seqs = from_arrays([[1.0, NAN, 4.0, 9.0], [0.0, 1.0]], forecast=True)
    np.testing.assert_array_equal(last_seen(seqs, (0,))[:, 0], [1.0, 1.0, 4.0, 9.0, 0.0, 1.0])
    task = Task("forecast", ("x0",), horizon=1, quantiles=(0.5,))
    assert [f.name for f in seqs.targets] == list(task.targets)
    mean, scale = answer_scaling(seqs, task)
    np.testing.assert_allclose(mean, [3.0, 3.0])  # of the changes 3, 5 and 1
    np.testing.assert_allclose(scale, np.full(2, np.std([3.0, 5.0, 1.0])))


def test_the_gaps_to_the_rows_asked_for() -> None:
    seqs = from_arrays([[1.0, 2.0, 3.0], [4.0, 5.0]], time=[[0.0, 1.0, 5.0], [0.0, 2.0]], forecast=True)
    assert irregular(seqs)
    assert seqs.median_dt == 2.0
    np.testing.assert_array_equal(inputs(seqs, 2)[:, 1:], [[1, 5], [4, 6], [2, 4], [2, 4], [2, 4]])
    assert inputs(seqs, 0) is seqs.values
    assert not irregular(from_arrays(np.zeros((2, 5)), dt=0.1))


def test_time_constants_span_the_data() -> None:
    seqs = from_arrays(np.zeros((3, 200, 1)), dt=0.5)
    assert tau_range(seqs) == (0.5, 100.0)
    assert tau_range(from_arrays(np.zeros((3, 2, 1)), dt=0.5)) == (0.5, 5.0)


# batches


def rows_of(seqs: Sequences, task: Task) -> Rows:
    return Rows(seqs, task, torch.zeros(1, dtype=torch.float64), 0)


def test_windows_hold_every_row_once_at_a_new_phase_each_time() -> None:
    seqs = waves(7, low=3, high=50)
    rows = rows_of(seqs, infer(seqs, "forecast")[0])
    seen = set()
    for seed in range(5):
        first, count, series = rows.windows(8, np.random.default_rng(seed))
        covered = np.concatenate([np.arange(f, f + c) for f, c in zip(first, count, strict=True)])
        np.testing.assert_array_equal(covered, np.arange(seqs.rows))
        assert count.min() >= 1
        assert count.max() <= 8
        assert (first >= seqs.offsets[series]).all()
        assert (first + count <= seqs.offsets[series + 1]).all()
        seen.add(int(count[0]))
    assert len(seen) > 1


def test_a_batch_is_the_rows_of_its_pieces_and_hides_the_rest() -> None:
    seqs = waves(5, low=3, high=9)
    task, _ = infer(seqs, "forecast", 2)
    rows = rows_of(seqs, task)
    batch = rows.gather(rows.whole(), np.array([4, 1]))
    for b, i in enumerate([4, 1]):
        one = seqs.series(i)
        n = len(one.values)
        assert batch.lengths[b] == n
        np.testing.assert_array_equal(batch.x[b, :n], one.values)
        np.testing.assert_array_equal(batch.dt[b, :n], one.dt)
        np.testing.assert_array_equal(batch.truth[b, : n - 2, 1], one.target[2:])
        assert torch.isnan(batch.truth[b, n - 2 :, 1]).all()
        assert torch.isnan(batch.truth[b, n:]).all()


def test_chunks_are_the_batch_cut_along_time() -> None:
    seqs = waves(4, low=5, high=12)
    rows = rows_of(seqs, infer(seqs, "forecast")[0])
    batch = rows.gather(rows.whole(), np.arange(4))
    parts = list(batch.chunks(4))
    assert torch.equal(torch.cat([p.x for p in parts], 1), batch.x)
    assert torch.equal(torch.stack([p.lengths for p in parts]).sum(0), batch.lengths)
    assert torch.equal(torch.stack([p.ends for p in parts]).sum(0), torch.ones(4))
    for part in parts:
        assert (part.lengths[part.ends] > 0).all()


def test_batches_are_alike_in_length_and_hold_every_piece_once() -> None:
    seqs = waves(100, low=2, high=200)
    rows = rows_of(seqs, infer(seqs, "forecast")[0])
    pieces = rows.whole()
    batches = shuffled(pieces, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(100))
    padding = 1 - pieces.count.sum() / sum(pieces.count[b].max() * len(b) for b in batches)
    assert padding < 0.1
    np.testing.assert_array_equal(np.sort(np.concatenate(in_order(pieces, 8))), np.arange(100))


# one epoch, seen from the network


class Weighted(Echo):
    """An `Echo` whose state depends on its weight, so that a gradient could reach back through it."""

    def forward(self, x: Tensor, h: Tensor | None = None, *, dt: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        y, h = super().forward(x, h, dt=dt, lengths=lengths)
        return y, h * self.w


def test_truncated_training_carries_the_state_and_cuts_its_gradient() -> None:
    seqs = from_arrays(np.ones((1, 7, 1)), np.arange(7.0)[None] + 0.5, target_kind="numeric")
    task, _ = infer(seqs)
    net = Weighted()
    fit(net, seqs, None, task, Config(epochs=1, tbptt=3, lr=1e-9))
    assert [s["x"].shape[1] for s in net.seen] == [3, 3, 1]
    assert net.seen[0]["h"] is None
    assert [s["h"].item() for s in net.seen[1:]] == pytest.approx([3.0, 6.0])
    assert not any(s["h"].requires_grad for s in net.seen[1:])
    assert net(torch.ones(1, 2, 1), dt=torch.ones(1, 2), lengths=torch.tensor([2]))[1].requires_grad  # without a cut


def test_each_epoch_cuts_other_windows_and_draws_other_noise() -> None:
    rng = np.random.default_rng(0)
    seqs = from_arrays(rng.normal(size=(1, 300, 1)), rng.normal(size=(1, 300)), target_kind="numeric")
    net = Echo()
    noise = []
    net.register_forward_pre_hook(lambda *_: noise.append(torch.rand(1).item()) if net.training else None)
    fit(net, seqs, None, infer(seqs)[0], Config(epochs=2, batch=100, window=32, lr=1e-9))
    first, second = (s["lengths"].tolist() for s in net.seen)
    assert sum(first) == sum(second) == 300
    assert sorted(first) != sorted(second)
    assert noise[0] != noise[1]


def test_series_longer_than_128_are_learned_in_windows() -> None:
    net = Echo()
    seqs = from_arrays(np.ones((2, 129, 1)), np.zeros((2, 129)) + 0.5, target_kind="numeric")
    fit(net, seqs, None, infer(seqs)[0], Config(epochs=1, lr=1e-6))
    assert max(s["x"].shape[1] for s in net.seen) <= 64
    net.seen.clear()
    seqs = from_arrays(np.ones((2, 128, 1)), np.zeros((2, 128)) + 0.5, target_kind="numeric")
    fit(net, seqs, None, infer(seqs)[0], Config(epochs=1, lr=1e-6))
    assert [s["x"].shape[1] for s in net.seen] == [128]


@pytest.mark.parametrize("tbptt", [None, 3])
@pytest.mark.parametrize("pool", ["last", "mean"])
def test_whole_series_are_answered_by_the_last_step_or_the_mean(pool: str, tbptt: int | None) -> None:
    x = [np.arange(1.0, n + 1) for n in (4, 9, 1)]
    sums = [np.cumsum(s) for s in x]
    wanted = [s[-1] if pool == "last" else s.mean() for s in sums]
    seqs = from_arrays(x, np.array(wanted) * 2, target_kind="numeric")
    task, _ = infer(seqs)
    net = Echo(pool)
    history = fit(net, seqs, None, task, Config(epochs=300, lr=0.05, tbptt=tbptt))
    if not (pool == "mean" and tbptt):  # there each part answers for itself: another sum
        assert net.w.item() == pytest.approx(2.0, abs=1e-2)
        np.testing.assert_allclose(predict(net, seqs, task).values[:, 0], np.array(wanted) * 2, rtol=1e-2)
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]


def test_pooling() -> None:
    y = torch.tensor([[[1.0], [3.0], [9.0]], [[2.0], [4.0], [0.0]]])
    lengths = torch.tensor([3, 2])
    assert pooled(y, lengths, False).tolist() == [[9.0], [4.0]]
    assert pooled(y, lengths, True).tolist() == [[pytest.approx(13 / 3)], [3.0]]


# prediction


def test_predictions_are_in_order_and_of_the_whole_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liquidtorch.train.answer.STEPS", 7)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=n) for n in (5, 20, 7, 14, 1)]
    seqs = from_arrays(x, [s * 0 for s in x], target_kind="numeric")
    found = predict(Echo(), seqs, infer(seqs)[0], batch=2).values[:, 0]
    np.testing.assert_allclose(found, np.concatenate([np.cumsum(s) for s in x]), atol=1e-5)
    for pool in ("last", "mean"):
        whole = from_arrays(x, [0.5, 1.5, 2.5, 3.5, 4.5], target_kind="numeric")
        found = predict(Echo(pool), whole, infer(whole)[0], batch=2).values[:, 0]
        wanted = [np.cumsum(s)[-1] if pool == "last" else np.cumsum(s).mean() for s in x]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_quantiles_do_not_cross_and_probabilities_add_to_one() -> None:
    task = Task("forecast", ("a", "b"), horizon=2, quantiles=(0.1, 0.5, 0.9))
    y = torch.randn(5, task.outputs)
    found = prediction(task, y)
    assert found.values.shape == (5, 2, 2)
    assert found.quantiles.shape == (5, 2, 2, 3)
    assert (np.diff(found.quantiles, axis=-1) >= 0).all()
    np.testing.assert_allclose(found.values, y.reshape(5, 2, 2, 4)[..., 0])
    task = Task("classify", ("a", "b"), (("x", "y"), ("p", "q", "r")))
    found = prediction(task, torch.tensor([[0.0, 1.0, 3.0, 0.0, 1.0]]))
    assert found.values.tolist() == [[1.0, 0.0]]
    np.testing.assert_allclose(found.probabilities[:, :2].sum(), 1.0)
    np.testing.assert_allclose(found.probabilities[:, 2:].sum(), 1.0)


# learning


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_to_foretell_waves_read_at_random_times(seed: int) -> None:
    train, valid, test = waves(24, seed), waves(8, seed + 100), waves(8, seed + 200)
    task, _ = infer(train, "forecast", 2, (0.1, 0.9))
    net = LiquidNetwork.for_data(train, task, units=16, seed=seed)
    fit(net, train, valid, task, Config(epochs=40, batch=8, lr=2e-2, seed=seed))
    found = predict(net, test, task)
    truth = ahead(test, 2)[0]
    scores = score(task, truth, found)
    naive = np.sqrt(np.nanmean((truth - test.values[:, None]) ** 2))
    assert scores["rmse"] < 0.2 < 0.4 * naive
    assert 0.6 < scores["coverage"] <= 1.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_the_sign_of_a_product_of_three_pulses(seed: int) -> None:
    train, valid, test = signs(240, seed), signs(60, seed + 100), signs(200, seed + 200)
    task, _ = infer(train)
    net = LiquidNetwork.for_data(train, task, units=24, pool="last", seed=seed)
    fit(net, train, valid, task, Config(epochs=60, lr=2e-2, seed=seed))
    assert score(task, test.target, predict(net, test, task))["accuracy"] > 0.9
