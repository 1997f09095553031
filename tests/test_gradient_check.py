"""How true each rule is on one's own stream: the truth itself against autograd, and what the table says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streams import CELLS, cell

from liquidtorch import LiquidNetwork, Recurrent
from liquidtorch.cells import CfC, Leaky
from liquidtorch.data import from_arrays
from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.layers import MixedMemory
from liquidtorch.online.rules import GradientCheck, gradient_check
from liquidtorch.online.rules.check import _asked_of_cell, _asked_of_network, _true
from liquidtorch.task import infer


def rows(features: int, steps: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, features))
    return x, np.cumsum(x, 0)[:, :2] / 5, rng.uniform(0.5, 1.5, steps)


@pytest.mark.parametrize("name", CELLS)
def test_exact_rules_have_no_error(name: str) -> None:
    c = cell(name)
    x, y, dt = rows(c.features)
    found = gradient_check(c, x, y, dt=dt, rules=["exact", "tbptt:60", "eprop", "tbptt:1", "readout"])
    exact, whole, eprop, one, nothing = found
    assert max(exact.error, whole.error) < 1e-9
    assert min(exact.cosine, whole.cosine) == pytest.approx(1, abs=1e-12)
    assert one.cosine < 0.999
    assert one.error > 0.05
    assert (eprop.cosine > 1 - 1e-12) == (name in {"linear", "mobius"})
    assert (nothing.cosine, nothing.error) == (0.0, 1.0)
    assert gradient_check(Recurrent(c), x, y, dt=dt, rules=["exact"])[0] == exact


def network(kind: str) -> tuple[LiquidNetwork, np.ndarray, np.ndarray]:
    """Make a network with a hidden layer in its readout and a skip, its rows and what is asked of each."""
    x, y, _ = rows(3)
    truth = np.where(y > 0, "up", "down") if kind == "classify_steps" else y
    gaps = np.ones((1, len(x)))
    train = from_arrays(x[None], truth[None], dt=gaps)
    task, _ = infer(train)
    assert task.kind == kind
    torch.manual_seed(0)
    net = LiquidNetwork.for_data(train, task, units=7, body="leaky")
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return net, x, train.target


@pytest.mark.parametrize("kind", ["regress_steps", "classify_steps"])
def test_a_network_is_asked_through_its_own_readout(kind: str) -> None:
    net, x, y = network(kind)
    y = y.copy()
    y[::7, 0] = np.nan
    double = network(kind)[0].double()
    body, z, q = _asked_of_network(network(kind)[0].double(), x, y, np.ones(len(x)))
    found = _true(body, z, np.ones(len(x)), q)
    answer = double(torch.from_numpy(x)[None])[0][0]
    truth = torch.from_numpy(y)
    known = ~truth.isnan()
    loss = torch.zeros(())
    if kind == "regress_steps":
        loss = ((answer - truth)[known] ** 2).sum() / 2
    else:
        for j in range(2):
            logits = answer[known[:, j], 2 * j : 2 * j + 2]
            loss = loss - logits.log_softmax(-1).gather(1, truth[known[:, j], j].long()[:, None]).sum()
    true = torch.autograd.grad(loss, list(double.body.cell.parameters()))
    np.testing.assert_allclose(found, torch.cat([g.ravel() for g in true]), rtol=1e-9, atol=1e-11)
    before = [p.clone() for p in net.parameters()]
    exact, eprop = gradient_check(net, x, y, rules=["exact", "eprop"])
    assert exact.error < 1e-9
    assert 0.5 < eprop.cosine < 1 - 1e-6
    assert all((p == b).all() and p.dtype == torch.float32 for p, b in zip(net.parameters(), before, strict=True))
    assert net(torch.zeros(1, 2, 3))[0].requires_grad


def test_a_cell_is_asked_through_a_readout_fitted_to_it() -> None:
    c = cell("leaky ncp")
    x, y, dt = rows(3)
    with torch.no_grad():
        h = Recurrent(c)(torch.from_numpy(x)[None], dt=torch.from_numpy(dt))[0][0].numpy()
    ones = np.concatenate([h, np.ones((60, 1))], 1)
    W = np.linalg.lstsq(ones, y, rcond=None)[0]
    np.testing.assert_allclose(_asked_of_cell(c, x, y, dt), (ones @ W - y) @ W[:-1].T, rtol=1e-2, atol=1e-3)


def test_rows_whose_answer_is_not_known_count_for_nothing() -> None:
    c = cell("leaky ncp")
    x, y, dt = rows(3)
    y[20:] = np.nan
    whole, part = gradient_check(c, x, y, dt=dt), gradient_check(c, x[:20], y[:20], dt=dt[:20])
    for a, b in zip(whole, part, strict=True):
        assert a.cosine == pytest.approx(b.cosine, abs=1e-9)


def test_the_table() -> None:
    c = cell("leaky ncp")
    x, y, dt = rows(3)
    found = gradient_check(c, x, y, dt=dt)
    assert isinstance(found, GradientCheck)
    assert [f.rule for f in found] == ["exact", "snap2", "snap1", "eprop", "tbptt:20", "tbptt:5"]
    lines = str(found).splitlines()
    assert lines[0].split() == ["rule", "cosine", "error", "multiply-adds", "bytes"]
    assert [line.split()[0] for line in lines[1:]] == [f.rule for f in found]
    for line, f in zip(lines[1:], found, strict=True):
        assert float(line.split()[1]) == pytest.approx(f.cosine, abs=1e-4)
        assert int(line.split()[3].replace(",", "")) == f.cost.multiply_adds
        assert len(line) == len(lines[0])
    rest = gradient_check(CfC(3, 5), x, y, dt=dt)
    assert [f.rule for f in rest] == ["tbptt:20", "tbptt:5"]
    assert rest[0].cosine >= rest[1].cosine > 0.9


def test_messages() -> None:
    c = Leaky(3, 5)
    x, y, _ = rows(3)
    with pytest.raises(ShapeError, match=r"`x` must have the shape \(time, features=3\); got \(60, 2\)"):
        gradient_check(c, x[:, :2], y)
    with pytest.raises(ShapeError, match=r"`y` must have the shape \(time=60, outputs\); got \(59, 2\)"):
        gradient_check(c, x, y[1:])
    with pytest.raises(ShapeError, match="`dt` must have the shape"):
        gradient_check(c, x, y, dt=np.ones(3))
    with pytest.raises(DataError, match="`y` must leave an error to learn from; got a gradient of 0"):
        gradient_check(c, x, y * 0)
    with pytest.raises(DataError, match="`y` must hold a row that is known; got NaN in all of them"):
        gradient_check(c, x, y * np.nan)
    with pytest.raises(OptionError, match=r"`body` must be a cell, Recurrent\(cell\) or a network of that; got Mixed"):
        gradient_check(MixedMemory(c), x, y)
