"""Layers: what the door lets in and what it says, and each composition against the same thing done by hand."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from liquidtorch import (
    LTC,
    Bidirectional,
    CfC,
    Leaky,
    Linear,
    Liquid,
    MixedMemory,
    Mobius,
    Recurrent,
    Stack,
    Wiring,
    layers,
)
from liquidtorch.errors import OptionError, ShapeError


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def layer() -> Recurrent:
    return Recurrent(Liquid(3, 4))


def by_hand(layer: Recurrent, x: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
    """One row at a time, one step at a time, through the cell alone."""
    rows = []
    for i in range(len(x)):
        h = layer.cell.initial(1)
        for t in range(x.shape[1]):
            h = layer.cell.step(layer.cell.inputs(x[i : i + 1, t]), h, dt[i, t].reshape(1, 1))
            rows.append(h)
    states = torch.cat(rows).unflatten(0, x.shape[:2])
    return states, states[:, -1]


def test_recurrent_is_the_cell_step_by_step(layer: Recurrent) -> None:
    x, dt = torch.randn(2, 5, 3), torch.rand(2, 5)
    y, h = layer(x, dt=dt)
    wanted = by_hand(layer, x, dt)
    assert torch.allclose(y, wanted[0], atol=1e-6)
    assert torch.allclose(h, wanted[1], atol=1e-6)


def test_dt_in_every_form(layer: Recurrent) -> None:
    x, by_step, by_row = torch.randn(2, 5, 3), torch.rand(5), torch.rand(2)
    for given, full in (
        (0.5, torch.full((2, 5), 0.5)),
        (2, torch.full((2, 5), 2.0)),
        (torch.tensor(0.5, dtype=torch.float64), torch.full((2, 5), 0.5)),
        (by_step, by_step.expand(2, 5)),
        (by_step.tolist(), by_step.expand(2, 5)),
        (by_row.numpy().astype(np.float64), by_row[:, None].expand(2, 5)),
    ):
        assert torch.equal(layer(x, dt=given)[0], layer(x, dt=full)[0])
    assert torch.equal(layer(x)[0], layer(x, dt=torch.ones(2, 5))[0])
    assert (layer(x, dt=by_step)[0] - layer(x)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("shape", "options", "error", "text"),
    [
        ((5, 3), {}, ShapeError, "got (5, 3) (no batch). Use x.unsqueeze(0) for a single sequence."),
        ((2, 5, 4), {}, ShapeError, "`x` must have the shape (batch, time, features=3); got (2, 5, 4) (features is 4)"),
        ((2, 0, 3), {}, ShapeError, "`x` must have at least one step; got (2, 0, 3)."),
        ((2, 5, 3), {"h": torch.zeros(2, 5)}, ShapeError, "`h` must have the shape (batch=2, units=4); got (2, 5)"),
        ((2, 5, 3), {"h": torch.zeros(1, 4)}, ShapeError, "`h` must have the shape (batch=2, units=4); got (1, 4)"),
        (
            (2, 5, 3), {"h": torch.zeros(2, 4).double()}, ShapeError,
            "`h` must be of torch.float32 on cpu, as the weights; got torch.float64 on cpu.",
        ),
        ((2, 5, 3), {"h": (torch.zeros(2, 4),) * 2}, ShapeError, "`h` must hold 1 tensors (h); got 2."),
        ((2, 5, 3), {"dt": -1.0}, OptionError, "`dt` must be a number at least 0; got -1.0."),
        ((2, 5, 3), {"dt": float("nan")}, OptionError, "`dt` must be a number at least 0; got nan."),
        ((2, 5, 3), {"dt": True}, OptionError, "`dt` must be a number at least 0; got True (bool)."),
        ((2, 5, 3), {"dt": [1, 1, 1, -2, 1]}, OptionError, "`dt` must be finite and at least 0; got -2 at [3]."),
        (
            (2, 5, 3), {"dt": torch.tensor([[1.0] * 5, [1, 1, float("nan"), 1, 1]])}, OptionError,
            "`dt` must be finite and at least 0; got nan at [1, 2].",
        ),
        (
            (2, 5, 3), {"dt": torch.ones(3)}, ShapeError,
            "`dt` must be a number or have the shape (time=5,), (batch=2,) or (batch, time); got (3,).",
        ),
        ((2, 5, 3), {"dt": torch.ones(5, 2)}, ShapeError, "`dt` must have the shape (batch=2, time=5); got (5, 2)"),
        (
            (4, 4, 3), {"dt": torch.ones(4)}, ShapeError,
            "`dt` must have the shape (batch, time) where both are 4; got (4,) (a step's or a row's?).",
        ),
        ((2, 5, 3), {"lengths": [5]}, ShapeError, "`lengths` must have the shape (batch=2); got (1,)"),
        ((2, 5, 3), {"lengths": [5, 6]}, OptionError, "`lengths` must be 0 to 5, the steps of x; got 6 in row 1."),
        ((2, 5, 3), {"lengths": [-1, 5]}, OptionError, "`lengths` must be 0 to 5, the steps of x; got -1 in row 0."),
        ((2, 5, 3), {"lengths": [2.0, 5.0]}, ShapeError, "`lengths` must be whole numbers; got torch.float32."),
        (
            (2, 5, 3), {"reset": torch.zeros(2, 4, dtype=torch.bool)}, ShapeError,
            "`reset` must have the shape (batch=2, time=5); got (2, 4)",
        ),
        ((2, 5, 3), {"reset": torch.zeros(2, 5)}, ShapeError, "`reset` must be of torch.bool; got torch.float32."),
    ],
)  # fmt: skip
def test_what_may_not_come_in(layer: Recurrent, shape, options: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        layer(torch.zeros(shape), **options)


@pytest.mark.parametrize(
    ("x", "options", "text"),
    [
        (np.zeros((2, 5, 3)), {}, "`x` must be a tensor or a PackedSequence; got ndarray. Use torch.as_tensor(x)."),
        (None, {}, "`x` must be a tensor or a PackedSequence; got NoneType."),
        (torch.zeros(2, 5, 3), {"dt": "fast"}, "`dt` must be a number or hold numbers; got 'fast' (str)."),
        (torch.zeros(2, 5, 3), {"dt": None}, "`dt` must be a number or hold numbers; got None (NoneType)."),
        (torch.zeros(2, 5, 3), {"dt": 1j}, "`dt` must be a number or hold numbers; got 1j (complex)."),
        (torch.zeros(2, 5, 3), {"dt": torch.ones(5) * 1j}, "must be a number or hold numbers; got torch.complex64."),
        (torch.zeros(2, 5, 3), {"dt": [True] * 5}, "`dt` must be a number or hold numbers; got torch.bool."),
        (torch.zeros(2, 5, 3), {"dt": float("inf")}, "`dt` must be a number at least 0; got inf."),
        (torch.zeros(2, 5, 3), {"h": 0.0}, "`h` must be a tensor or a tuple of tensors; got float."),
        (torch.zeros(2, 5, 3), {"h": (0.0,)}, "`h` must be a tensor or a tuple of tensors; got tuple."),
    ],
)
def test_what_is_no_tensor(layer: Recurrent, x, options: dict, text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        layer(x, **options)


@pytest.mark.parametrize(
    "make",
    [
        *[lambda kind=kind: Recurrent(kind(3, 4)) for kind in (Leaky, Liquid, LTC, CfC, Linear, Mobius)],
        lambda: MixedMemory(CfC(3, 4)),
        lambda: Bidirectional(Recurrent(Leaky(3, 2)), Recurrent(Liquid(3, 2))),
    ],
)
def test_no_rows_give_no_rows_and_no_gradient(make) -> None:
    """B = 0 is a batch like any other (T = 0 is not: there is no step to answer)."""
    layer = make()
    lengths = torch.zeros(0, dtype=torch.int64)
    y, h = layer(torch.zeros(0, 5, 3), dt=torch.zeros(0, 5), lengths=lengths, reset=torch.zeros(0, 5) > 0)
    assert y.shape == (0, 5, 4)
    assert all(len(part) == 0 for part in ([h] if isinstance(h, Tensor) else h))
    y.sum().backward()
    assert not any(p.grad.any() for p in layer.parameters() if p.grad is not None)


def test_reset_may_be_a_list(layer: Recurrent) -> None:
    x, reset = torch.randn(2, 3, 3), [[False, True, False], [False, False, True]]
    assert torch.equal(layer(x, reset=reset)[0], layer(x, reset=torch.tensor(reset))[0])


def test_x_must_be_of_the_weights_dtype(layer: Recurrent) -> None:
    text = "`x` must be of torch.float32, as the weights; got torch.float64. Use x.to(torch.float32)."
    with pytest.raises(ShapeError, match=re.escape(text)):
        layer(torch.zeros(2, 5, 3).double())
    with pytest.raises(ShapeError, match=r"got torch\.int64"):
        layer(torch.zeros(2, 5, 3, dtype=torch.int64))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(2, 5, 3).bfloat16())[1].dtype == torch.float32


def test_one_row_of_one_step_needs_no_rule(layer: Recurrent) -> None:
    x = torch.randn(1, 1, 3)
    assert torch.equal(layer(x, dt=torch.tensor([2.0]))[0], layer(x, dt=2.0)[0])


def test_a_row_of_no_steps_keeps_its_state(layer: Recurrent) -> None:
    h = torch.rand(2, 4)
    y, after = layer(torch.randn(2, 5, 3), h, lengths=[0, 5])
    assert torch.equal(after[0], h[0])
    assert not y[0].any()
    assert (after[1] - h[1]).abs().max() > 1e-3


def test_a_reset_goes_to_the_initial_state_and_not_into_the_padding(layer: Recurrent) -> None:
    x, h = torch.randn(2, 5, 3), torch.rand(2, 4)
    reset = torch.zeros(2, 5, dtype=torch.bool)
    reset[0, 0] = reset[1, 4] = True
    y, after = layer(x, h, lengths=[5, 3], reset=reset)
    assert torch.allclose(y[0], layer(x)[0][0], atol=1e-6)
    assert torch.allclose(after[1], layer(x[:, :3], h)[1][1], atol=1e-6)


@pytest.mark.parametrize("ordered", [False, True])
def test_packed_in_packed_out(layer: Recurrent, ordered: bool) -> None:
    rows = [torch.randn(n, 3) for n in ((5, 2, 2) if ordered else (2, 5, 2))]
    packed = pack_sequence(rows, enforce_sorted=ordered)
    y, h = layer(packed)
    assert torch.equal(y.batch_sizes, packed.batch_sizes)
    padded, lengths = pad_packed_sequence(y, True)
    for i, row in enumerate(rows):
        alone, h_alone = layer(row[None])
        assert torch.allclose(padded[i, : lengths[i]], alone[0], atol=1e-6)
        assert torch.allclose(h[i], h_alone[0], atol=1e-6)
    with pytest.raises(OptionError, match="`lengths` must be left out for a PackedSequence, which has its own"):
        layer(packed, lengths=[5, 2, 2])


def test_nested_in_nested_out(layer: Recurrent) -> None:
    rows = [torch.randn(n, 3) for n in (2, 5)]
    nested = torch.nested.nested_tensor(rows, layout=torch.jagged, requires_grad=True)
    y, _ = layer(nested)
    assert y.layout == torch.jagged
    for found, row in zip(y.unbind(), rows, strict=True):
        assert torch.allclose(found, layer(row[None])[0][0], atol=1e-6)
    y.values().sum().backward()
    assert nested.grad is not None
    with pytest.raises(OptionError, match="`lengths` must be left out for a NestedTensor"):
        layer(nested, lengths=[2, 5])


def test_stack_is_its_layers_in_a_row() -> None:
    a, b = Recurrent(Leaky(3, 4)), Recurrent(Liquid(4, 4))
    x, dt = torch.randn(2, 5, 3), torch.rand(2, 5)
    y_a, h_a = a(x, dt=dt)
    y, h = Stack([a, b])(x, dt=dt)
    y_b, h_b = b(y_a, dt=dt)
    assert torch.equal(y, y_b)
    assert torch.equal(h.l0_h, h_a)
    assert torch.equal(h.l1_h, h_b)
    assert torch.equal(Stack([a, b], residual=True)(x, dt=dt)[0], y_b + y_a)
    normed = b(nn.functional.layer_norm(y_a, (4,)), dt=dt)[0]
    assert torch.allclose(Stack([a, b], norm=True)(x, dt=dt)[0], normed, atol=1e-6)
    assert torch.allclose(Stack([a, b], residual=True, norm=True)(x, dt=dt)[0], normed + y_a, atol=1e-6)


def test_states_are_named_and_flat() -> None:
    stack = Stack([MixedMemory(CfC(3, 4)), Bidirectional(Recurrent(Liquid(4, 2)), Recurrent(Leaky(4, 3)))])
    y, h = stack(torch.randn(2, 5, 3))
    assert h._fields == ("l0_h", "l0_c", "l1_ahead_h", "l1_back_h")
    assert [spec.name for spec in stack.state_spec()] == list(h._fields)
    assert [spec.width for spec in stack.state_spec()] == [t.shape[1] for t in h] == [4, 4, 2, 3]
    assert y.shape[-1] == stack.outputs == 5
    assert stack.taus().shape == (9,)
    assert not stack.causal
    assert not stack.continuous
    text = "`h.l1_back_h` must have the shape (batch=2, units=3); got (2, 4)"
    with pytest.raises(ShapeError, match=re.escape(text)):
        stack(torch.randn(2, 5, 3), h._replace(l1_back_h=torch.zeros(2, 4)))
    assert isinstance(Stack([Recurrent(Liquid(3, 4))]).initial(2), Tensor)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Recurrent(nn.Linear(2, 2)), OptionError, "`cell` must be a Cell; got Linear."),
        (lambda: Stack([]), OptionError, "`layers` must hold at least one Layer; got none."),
        (
            lambda: Stack([Liquid(3, 4)]), OptionError,
            "`layers[0]` must be a Layer; got Liquid. Use Recurrent(cell) for a cell.",
        ),
        (
            lambda: Stack([Recurrent(Liquid(3, 4))], residual=True), OptionError,
            "`residual` and `norm` must be False for a single layer",
        ),
        (
            lambda: Stack([Recurrent(Liquid(3, 4)), Recurrent(Liquid(3, 4))]), ShapeError,
            "`layers[1]` must have 4 features, the outputs below it; got 3.",
        ),
        (
            lambda: Stack([Recurrent(Liquid(3, 4)), Recurrent(Liquid(4, 5))], residual=True), OptionError,
            "`residual` must be False where a layer changes the width; got layers[1] (4 features, 5 outputs).",
        ),
        (lambda: Bidirectional(Recurrent(Leaky(3, 4)), Leaky(3, 4)), OptionError, "`back` must be a Layer; got Leaky."),
        (
            lambda: Bidirectional(Recurrent(Liquid(3, 4)), Recurrent(Liquid(2, 4))), ShapeError,
            "`back` must have 3 features, as `ahead`; got 2.",
        ),
        (lambda: layers.build({"kind": "Stak"}), OptionError, "got 'Stak'. Did you mean 'Stack'?"),
    ],
)  # fmt: skip
def test_layers_that_cannot_be(make, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        make()


def test_bidirectional_reads_each_row_from_its_own_end() -> None:
    both = Bidirectional(Recurrent(Liquid(3, 2)), Recurrent(Leaky(3, 4)))
    x, dt, lengths = torch.randn(3, 5, 3), torch.rand(3, 5), [5, 3, 1]
    y, h = both(x, dt=dt, lengths=lengths)
    for i, n in enumerate(lengths):
        gaps = [dt[i, 0].item(), *dt[i, 1:n].flip(0).tolist()]  # between two steps the gap is the same both ways
        wanted, h_back = both.back(x[i : i + 1, :n].flip(1), dt=torch.tensor([gaps]))
        assert torch.allclose(y[i : i + 1, :n, 2:], wanted.flip(1), atol=1e-6)
        assert torch.allclose(h.back_h[i : i + 1], h_back, atol=1e-6)
        ahead, h_ahead = both.ahead(x[i : i + 1, :n], dt=dt[i : i + 1, :n])
        assert torch.allclose(y[i : i + 1, :n, :2], ahead, atol=1e-6)
        assert torch.allclose(h.ahead_h[i : i + 1], h_ahead, atol=1e-6)
        assert not y[i, n:].any()


def test_mixed_memory_is_an_lstm_before_the_cell() -> None:
    layer = MixedMemory(CfC(3, 4)).double()
    lstm = nn.LSTMCell(3, 4).double()  # its gates stand in the order i, f, g, o
    with torch.no_grad():
        lstm.weight_ih.copy_(layer.V_x.flatten(0, 1))
        lstm.weight_hh.copy_(layer.V_h.flatten(0, 1))
        lstm.bias_ih.copy_(layer.b.flatten())
        lstm.bias_hh.zero_()
    x, dt = torch.randn(2, 5, 3).double(), torch.rand(2, 5).double()
    h, c = torch.zeros(2, 4).double(), torch.zeros(2, 4).double()
    wanted = []
    for t in range(5):
        h, c = lstm(x[:, t], (h, c))
        h = layer.cell.step(layer.cell.inputs(x[:, t]), h, dt[:, t : t + 1])
        wanted.append(h)
    y, state = layer(x, dt=dt)
    assert torch.allclose(y, torch.stack(wanted, 1), atol=1e-12)
    assert torch.allclose(state.h, h, atol=1e-12)
    assert torch.allclose(state.c, c, atol=1e-12)


def test_mixed_memory_starts_with_the_cells_longest_tau() -> None:
    i, f, g, o = MixedMemory(Liquid(3, 500, tau=(1.0, 101.0))).b
    longest = np.log(100)
    assert 0 <= f.min() < 1
    assert longest - 0.3 < f.max() <= longest
    assert f.exp().mean().item() == pytest.approx(50, rel=0.2)  # uniform before the logarithm
    assert torch.equal(i, -f)
    assert not g.any()
    assert not o.any()
    assert not MixedMemory(Liquid(3, 4, tau=0.1)).b.any()  # nothing to remember for


def test_mixed_memory_shows_the_motor_units() -> None:
    wiring = Wiring(np.ones((4, 4)), np.ones((4, 3)), outputs=2)
    y, h = MixedMemory(LTC(3, 4, wiring=wiring))(torch.randn(2, 5, 3))
    assert torch.equal(y[:, -1], h.h[:, :2])


def test_modules_pickle() -> None:
    """Process pools and scikit-learn's clone need it, although nothing is ever saved so."""
    stack = Stack([MixedMemory(CfC(3, 4)), Recurrent(Liquid(4, 2))])
    x = torch.randn(2, 5, 3)
    y, h = pickle.loads(pickle.dumps(stack))(x)
    assert torch.equal(y, stack(x)[0])
    assert h._fields == ("l0_h", "l0_c", "l1_h")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, on its way into Inductor
@pytest.mark.parametrize("options", [{}, {"fullgraph": True}, {"dynamic": True}], ids=str)
def test_inductor_gives_the_same(layer: Recurrent, options: dict) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(layer, **options)
    for shape in ((2, 5), (3, 9)):
        x, dt = torch.randn(*shape, 3), torch.rand(shape)
        grads = []
        for run in (layer, compiled):
            layer.zero_grad()
            y, h = run(x, dt=dt)
            (y.square().sum() + h.sum()).backward()
            grads.append([y.detach(), *(p.grad.clone() for p in layer.parameters())])
        for found, wanted in zip(*grads, strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("make", [lambda: Recurrent(Liquid(2, 3)), lambda: MixedMemory(Liquid(2, 3))])
def test_a_stepper_keeps_the_weights_it_was_made_with(make: Callable[[], layers.Layer]) -> None:
    layer = make()
    stepper, x = layer.stepper(), np.ones(2, dtype=np.float32)
    before = stepper(x)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(1.0)
    stepper.reset()
    np.testing.assert_array_equal(stepper(x), before)
