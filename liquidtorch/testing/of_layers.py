"""The laws of layers, each a function that raises AssertionError."""

from __future__ import annotations

import copy
import json
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from .. import layers
from ..layers import Layer
from .compare import B, T, example, flat, gradients, same, weights_of


def rows_are_alone(layer: Layer) -> None:
    """A row does not depend on its batch."""
    layer.double()
    x, dt = example(layer)
    y, h = layer(x, dt=dt)
    for i in range(B):
        y_i, h_i = layer(x[i : i + 1], dt=dt[i : i + 1])
        same(y_i, y[i : i + 1])
        same(h_i, [t[i : i + 1] for t in flat(h)])


def padding_is_ignored(layer: Layer) -> None:
    """What stands after a row's end changes nothing, forward or backward, and shows as 0."""
    layer.double()
    x, dt = example(layer)
    lengths = [T, T // 2, 1]
    weights = list(weights_of(layer).values())
    poisoned, void = x.clone(), dt.clone()
    for i, length in enumerate(lengths):
        poisoned[i, length:], void[i, length:] = float("nan"), 7.0
    y, h = layer(poisoned, dt=void, lengths=lengths)
    grads = gradients(y.sum() + sum(t.sum() for t in flat(h)), weights)
    total = torch.zeros((), dtype=x.dtype)
    for i, length in enumerate(lengths):
        y_i, h_i = layer(x[i : i + 1, :length], dt=dt[i : i + 1, :length])
        same(y[i : i + 1, :length], y_i)
        assert not y[i, length:].any()
        same([t[i : i + 1] for t in flat(h)], h_i)
        total = total + y_i.sum() + sum(t.sum() for t in flat(h_i))
    same(grads, gradients(total, weights))


def kinds_come_back(layer: Layer) -> None:
    """A PackedSequence and a jagged NestedTensor give the padded answer, in kind."""
    layer.double()
    x, dt = example(layer)
    lengths = torch.tensor([2, T, 3])
    y, h = layer(x, dt=dt, lengths=lengths)
    packed, h_packed = layer(pack_padded_sequence(x, lengths, True, enforce_sorted=False), dt=dt)
    same(pad_packed_sequence(packed, True)[0], y)
    same(h_packed, h)
    nested = torch.nested.as_nested_tensor([x[i, :n] for i, n in enumerate(lengths)], layout=torch.jagged)
    y_nested, h_nested = layer(nested, dt=dt)
    assert y_nested.is_nested
    same(list(y_nested.unbind()), [y[i, :n] for i, n in enumerate(lengths)])
    same(h_nested, h)


def two_parts_are_the_whole(layer: Layer) -> None:
    """Running T1 and then T2 steps equals running T."""
    layer.double()
    x, dt = example(layer)
    first, h = layer(x[:, :2], dt=dt[:, :2])
    rest, h = layer(x[:, 2:], h, dt=dt[:, 2:])
    same((torch.cat([first, rest], 1), h), layer(x, dt=dt))


def steps_are_the_whole(layer: Layer) -> None:
    """Step by step equals the whole sequence."""
    layer.double()
    x, dt = example(layer)
    ys, h = [], layer.initial(B)
    for t in range(T):
        y, h = layer(x[:, t : t + 1], h, dt=dt[:, t : t + 1])
        ys.append(y)
    same((torch.cat(ys, 1), h), layer(x, dt=dt))


def a_stepper_is_the_whole(layer: Layer) -> None:
    """The stepper, from NumPy to NumPy, equals the whole sequence, again after a reset, in both dtypes."""
    for dtype in (torch.float64, torch.float32):
        layer.to(dtype)
        x, dt = example(layer)
        wanted, _ = layer(x, dt=dt)
        stepper = layer.stepper()
        for row in range(2):
            stepper.reset()
            for t in range(T):
                y = stepper(x[row, t].numpy(), dt[row, t].item())
                atol = 1e-10 if dtype == torch.float64 else 2e-5
                assert_close(torch.from_numpy(y), wanted[row, t].detach(), rtol=0, atol=atol)


def units_may_be_renumbered(layer: Any) -> None:
    """A permutation of units permutes the result."""
    layer.double()
    x, dt = example(layer)
    y, h = layer(x, dt=dt)
    wiring = layer.cell.wiring
    roles = ["unit"] * layer.cell.units if wiring is None else wiring.roles
    mixed = torch.randperm(len(roles)).tolist()
    order = sorted(range(len(roles)), key=lambda i: roles.index(roles[i]))  # each role in its own place ...
    for role in set(roles):
        places = [i for i in range(len(roles)) if roles[i] == role]
        for place, unit in zip(places, [i for i in mixed if roles[i] == role], strict=True):
            order[place] = unit  # ... and mixed within it
    layer.permute(order)
    y_new, h_new = layer(x, dt=dt)
    same(y_new, y[..., order[: layer.outputs]])
    same(h_new, [t[:, order] for t in flat(h)])


def time_has_no_unit(layer: Any) -> None:
    """dt -> c*dt with tau -> c*tau changes nothing."""
    layer.double()
    x, dt = example(layer)
    before, taus = layer(x, dt=dt), layer.taus()
    layer.scale_time(60.0)
    same(layer.taus() / 60, taus)
    if hasattr(layer, "task"):  # a network keeps times in its state, and a forecaster's gaps ahead are times in x
        x[..., layer.features - layer.ahead :] *= 60
        same(layer(x, dt=60 * dt)[0], before[0])
    else:
        same(layer(x, dt=60 * dt), before)


def reset_starts_anew(layer: Layer) -> None:
    """After a reset the past is forgotten: the parts on either side are sequences of their own."""
    layer.double()
    x, dt = example(layer)
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[:, 2] = True
    y, h = layer(x, dt=dt, reset=reset)
    first, _ = layer(x[:, :2], dt=dt[:, :2])
    rest, h_rest = layer(x[:, 2:], dt=dt[:, 2:])
    if layer.causal:
        same((y, h), (torch.cat([first, rest], 1), h_rest))
    else:  # dt before the last step belongs to another part here, so only what lies ahead can be compared
        width = first.shape[-1]
        same(layer(x, dt=1.0, reset=reset)[0], torch.cat([layer(x[:, :2])[0], layer(x[:, 2:])[0]], 1))
        assert width == layer.outputs


def no_time_no_change(layer: Layer) -> None:
    """dt = 0 leaves the state unchanged."""
    layer.double()
    x, dt = example(layer)
    h = layer(x, dt=dt)[1]
    same(layer(x, h, dt=0.0)[1], h)


def bounds_hold(layer: Layer) -> None:
    """The state keeps the bounds it publishes, whatever the weights and dt (while dt <= tau, if not `stable`)."""
    layer.double()
    with torch.no_grad():
        for p in layer.parameters():  # fixed numbers may be times: they are as they are
            p += 3 * torch.randn_like(p)
    x, _ = example(layer, steps=20)
    dt = 10 ** (6 * torch.rand(B, 20, dtype=x.dtype) - 3)
    if not layer.stable:
        dt = torch.rand(B, 20, dtype=x.dtype) * layer.taus().min()
    h = layer.initial(B)
    for t in range(20):
        _, h = layer(10 * x[:, t : t + 1], h, dt=dt[:, t : t + 1])
        for spec, found in zip(layer.state_spec(), flat(h), strict=True):
            assert bool(found.isfinite().all()), f"{spec.name} is not finite"
            assert found.min() >= spec.low - 1e-12, f"{spec.name} falls to {found.min()} below {spec.low}"
            assert found.max() <= spec.high + 1e-12, f"{spec.name} rises to {found.max()} above {spec.high}"


def low_precision_runs(layer: Layer) -> None:
    """bf16 weights, and autocast over float32 weights, run forward and backward and stay near float32."""
    x, dt = example(layer)
    y, _ = layer(x, dt=dt)
    with torch.autocast("cpu", torch.bfloat16):
        y_auto, h_auto = layer(x, dt=dt)
    assert all(t.dtype == torch.float32 for t in flat(h_auto)), "the state must stay float32 under autocast"
    _near(layer, y_auto, y)
    low = copy.deepcopy(layer).bfloat16()
    weights = list(weights_of(low).values())
    y_low, h_low = low(x.bfloat16(), dt=dt)
    assert y_low.dtype == torch.bfloat16
    assert all(t.dtype == torch.bfloat16 for t in flat(h_low))
    _near(layer, y_low, y)
    assert all(bool(g.isfinite().all()) for g in gradients(y_low.float().sum(), weights))


def _near(layer: Layer, found: Tensor, wanted: Tensor) -> None:
    """Assert that outputs agree to 0.1: everywhere, or on average where rounding may move a spike."""
    off = (found.float() - wanted).abs()
    worst = off.max() if layer.smooth else off.mean()
    assert worst <= 0.1, f"outputs differ by {worst}"


def new_weights_are_seen(layer: Layer) -> None:
    """`functional_call` uses the weights it is given."""
    layer.double()
    x, dt = example(layer)
    before = layer(x, dt=dt)[0]
    weights = {name: p.detach() + 0.1 * torch.randn_like(p) for name, p in weights_of(layer).items()}
    y = functional_call(layer, weights, (x,), {"dt": dt})[0]
    assert (y - before).abs().max() > 1e-6
    same(layer(x, dt=dt)[0], before)
    layer.load_state_dict(layer.state_dict() | weights)
    same(layer(x, dt=dt)[0], y)


def weights_and_inputs_vmap(layer: Layer) -> None:
    """`vmap` over stacked weights, and over inputs and dt, equals one by one."""
    layer.double()
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for p, q in zip(weights_of(layer).values(), weights_of(other).values(), strict=True):
            q += 0.1 * torch.randn_like(p)
    x, dt = example(layer)
    weights, buffers = stack_module_state([layer, other])
    y = vmap(lambda w, b: functional_call(layer, (w, b), (x,), {"dt": dt})[0])(weights, buffers)
    same(y, torch.stack([layer(x, dt=dt)[0], other(x, dt=dt)[0]]))
    xs, dts = torch.stack([x, -x]), torch.stack([dt, 2 * dt])
    y = vmap(lambda x, dt: layer(x, dt=dt)[0])(xs, dts)
    same(y, torch.stack([layer(a, dt=b)[0] for a, b in zip(xs, dts, strict=True)]))


def copies_are_equal(layer: Layer) -> None:
    """`deepcopy`, and `config` through JSON with `state_dict`, give the same network, and one of its own."""
    layer.double()
    x, dt = example(layer)
    wanted = layer(x, dt=dt)
    built = layers.build(json.loads(json.dumps(layer.config()))).double()
    built.load_state_dict(layer.state_dict())
    assert built.config() == layer.config()
    for twin in (copy.deepcopy(layer), built):
        same(twin(x, dt=dt), wanted)
        with torch.no_grad():
            for p in weights_of(twin).values():
                p.add_(1.0)
    same(layer(x, dt=dt), wanted)


def gradients_are_right(layer: Layer) -> None:
    """The gradients of x, dt, the state and all weights equal finite differences."""
    layer.double()
    x, dt = example(layer, batch=2, steps=3)
    h = [t + 0.1 * torch.rand_like(t) for t in flat(layer.initial(2))]
    names = list(weights_of(layer))
    weights = [p.detach() for p in weights_of(layer).values()]

    def run(x: Tensor, dt: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        state = rest[0] if len(h) == 1 else rest[: len(h)]
        y, after = functional_call(layer, dict(zip(names, rest[len(h) :], strict=True)), (x, state), {"dt": dt})
        return (y, *flat(after))

    given = [t.clone().requires_grad_() for t in (x, dt + 0.1, *h, *weights)]
    assert torch.autograd.gradcheck(run, given, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True)


def gradients_flow(layer: Layer) -> None:
    """The gradients of x, through surrogates, are finite, and of some step and feature not 0."""
    layer.double()
    x, dt = example(layer)
    y, _ = layer(x.requires_grad_(), dt=dt)
    y.sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
    assert bool(x.grad.any())


def compiling_changes_nothing(layer: Layer, backend: str = "aot_eager") -> None:
    """`torch.compile(fullgraph=True)` gives the same results and gradients, also at a second T."""
    layer.double()
    torch._dynamo.reset()  # its limit of recompilations counts all layers of a process together
    weights = list(weights_of(layer).values())
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    for steps in (T, T + 3):
        results = []
        x, dt = example(layer, steps=steps)
        lengths = torch.tensor([2, steps, 3])
        for run in (layer, compiled):
            y, h = run(x, dt=dt, lengths=lengths)
            total = y.square().sum() + sum(t.sum() for t in flat(h))
            results.append((y.detach(), h, gradients(total, weights)))
        same(results[1], results[0])


def exporting_changes_nothing(layer: Layer) -> None:
    """`torch.export` with dynamic B and T gives the same results at any other B and T."""
    layer.double()
    x, dt = example(layer)
    both = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        program = torch.export.export(
            layer, (x,), {"dt": dt}, dynamic_shapes={"x": both, "dt": both}, strict=False
        ).module()  # fmt: skip
        for batch, steps in ((B, T), (5, 11)):
            x, dt = example(layer, batch, steps)
            same(program(x, dt=dt), layer(x, dt=dt))
