"""The readouts: linear and one hidden layer, in the target's unit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from liquidtorch import readout
from liquidtorch.errors import OptionError, ShapeError


def test_linear_answers_in_the_unit_of_the_target() -> None:
    answer = readout.Linear(3, 2, mean=[10.0, -1.0], scale=[5.0, 0.1])
    torch.nn.init.normal_(answer.last.weight)
    x = torch.randn(4, 6, 3)
    wanted = np.array([10.0, -1.0]) + np.array([5.0, 0.1]) * (x.numpy() @ answer.last.weight.detach().numpy().T)
    np.testing.assert_allclose(answer(x).detach(), wanted, rtol=0, atol=1e-5)


def test_the_first_answer_is_the_mean() -> None:
    for kind in readout.KINDS.values():
        assert kind(3, 2, mean=[10.0, -1.0])(torch.randn(5, 3)).tolist() == [[10.0, -1.0]] * 5


def test_mlp_agrees_with_its_formula_and_learns() -> None:
    answer = readout.MLP(2, 1, hidden=7)
    x = torch.randn(5, 2)
    assert not answer(x).any()
    for p in answer.parameters():
        torch.nn.init.normal_(p)
    W, b, V, c, U = (
        p.detach().numpy()
        for p in (answer.last.weight, answer.last.bias, answer.first.weight, answer.first.bias, answer.second.weight)
    )
    wanted = x.numpy() @ W.T + np.tanh(x.numpy() @ V.T + c) @ U.T + b
    np.testing.assert_allclose(answer(x).detach(), wanted, rtol=1e-4, atol=1e-6)
    answer(x).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in answer.parameters())


def test_config_makes_it_again() -> None:
    solved = readout.Ridge(3, 2), readout.Logistic(3, 2)
    for one in solved:
        torch.nn.init.normal_(one.weight)
    for one in (readout.Linear(3, 2, scale=[2.0, 3.0]), readout.MLP(3, 2, hidden=5, mean=[1.0, 2.0]), *solved):
        again = readout.build(one.config())
        again.load_state_dict(one.state_dict())
        x = torch.randn(4, 3)
        assert torch.equal(again(x), one(x))


def test_messages() -> None:
    with pytest.raises(OptionError, match="`outputs` must be a whole number at least 1; got 0"):
        readout.Linear(3, 0)
    with pytest.raises(OptionError, match="`features` must be a whole number at least 1; got 0"):
        readout.MLP(0, 3)
    with pytest.raises(OptionError, match="`scale` must be above 0"):
        readout.Linear(3, 1, scale=[0.0])
    with pytest.raises(ShapeError, match=r"`mean` must have the shape \(outputs=2\); got \(1,\)"):
        readout.Linear(3, 2, mean=[0.0])
    with pytest.raises(OptionError, match=r"`kind` must be one of 'Linear', .*; got 'linaer'. Did you mean 'Linear'"):
        readout.build({"kind": "linaer"})
