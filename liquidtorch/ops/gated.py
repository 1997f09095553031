"""Leaky, Liquid and CfC over sequences on the CPU: csrc/dense.h and csrc/wired.h as PyTorch operators."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .library import Arguments, entry, integers, lanes, pointers, run

KINDS = ("leaky", "leaky_euler", "liquid", "cfc", "cfc_no_gate", "cfc_pure")  # csrc/points.h
ACTIVATIONS = ("tanh", "lecun_tanh", "relu", "silu", "gelu")  # csrc/dense.h
MAPS = 8  # the longest chain of csrc/dense.h
TILE = 8  # rows of csrc/dense.h that go together
SPARSE = 0.3  # the density below which synapse by synapse is faster than all at once (benchmarks/growth.py)


class Dense(Arguments):
    """The struct of csrc/dense.h."""

    _fields_ = [  # noqa: RUF012
        *integers("B T H Z kind carry maps activation"),
        *pointers("u h0 dt lengths reset pace A w packed[8] bias[8] h kept value slope"),
        *pointers("grad_h grad_map[8] grad_h0 grad_dt grad_own"),
    ]


class Wired(Arguments):
    """The struct of csrc/wired.h; the first fields are those of csrc/rows.h."""

    _fields_ = [  # noqa: RUF012
        *integers("B T H"),
        *pointers("h0 dt lengths reset h grad_h grad_h0 grad_dt"),
        *integers("kind carry S"),
        *pointers("u pace A w order start source weight kept grad_u grad_own grad_weight"),
    ]


class Call(NamedTuple):
    """What one call is about, worked out of its arguments."""

    heads: int
    wired: bool
    tiles: int
    operations: float


def _call(u: Tensor, h: Tensor, maps: list[Tensor], synapses: list[Tensor], kind: str, carry: bool) -> Call:
    B, T, H = u.shape[0], u.shape[1], h.shape[1]
    heads = {"liquid": 2, "cfc": 4, "cfc_no_gate": 4}.get(kind, 1) + carry
    swept = len(synapses) > 0 and synapses[4].numel() > 0
    S = synapses[1].shape[0] if synapses else H * H
    wired = len(maps) == 1 and (swept or S <= SPARSE * H * H)
    per_row = heads * S if wired else sum(W.numel() for W in maps)
    tile = lanes(u.dtype) if wired else TILE
    return Call(heads, wired, -(-B // tile), 2.0 * B * T * (per_row + 20 * heads * H) / lanes(u.dtype))


def sizes(u: Tensor, h: Tensor, lengths: Tensor | None, reset: Tensor | None, dt: Tensor) -> dict[str, Any]:
    """Return what every struct holds: the sizes, and the pointers that all sequences have."""
    B, T = u.shape[:2]
    return {
        "B": B, "T": T, "H": h.shape[1], "h0": h.contiguous(), "dt": dt.contiguous(),
        "lengths": None if lengths is None else lengths.to(torch.int64).contiguous(),
        "reset": None if reset is None else reset.contiguous(),
    }  # fmt: skip


def _own(own: list[Tensor]) -> dict[str, Tensor]:
    return dict(zip(("pace", "A", "w"), (p.contiguous() for p in own), strict=False))


def _wires(maps: list[Tensor], synapses: list[Tensor]) -> dict[str, Tensor]:
    """The synapses as csrc/wired.h reads them: (S, heads) weights, sources swept already counted from H on."""
    start, source, place, order, early = synapses
    H = start.shape[0] - 1
    weight = maps[0].view(-1, H * H)[:, place].t().contiguous()
    if early.numel():
        source = source + H * early
    return {"order": order, "start": start, "source": source, "weight": weight}


def _chain(maps: list[Tensor], heads: int, back: bool) -> list[Tensor]:
    """Pack the weights of every map, the last one's in groups of a head, for csrc/product.h."""
    packed, width = [], lanes(maps[0].dtype)
    pack = entry("pack_back" if back else "pack", maps[0].dtype)
    for i, W in enumerate(maps):
        W = W.contiguous()
        groups, sources = (heads if i == len(maps) - 1 else 1), W.shape[-1]
        targets = W.numel() // sources // groups
        rows, columns = groups * -(-targets // width) * width, -(-sources // width) * width
        packed.append(W.new_empty(rows * (columns if back else sources)))
        pack(W.data_ptr(), groups, targets, sources, packed[-1].data_ptr())
    return packed


SCHEMA = """(
    Tensor u, Tensor h, Tensor dt, Tensor[] maps, Tensor[] biases, Tensor[] own, Tensor? lengths, Tensor? reset,
    Tensor[] synapses, str kind, bool carry, str activation, bool keep
) -> (Tensor, Tensor, Tensor, Tensor)"""


@torch.library.custom_op("liquidtorch::gated", mutates_args=(), device_types="cpu", schema=SCHEMA)
def gated(u, h, dt, maps, biases, own, lengths, reset, synapses, kind, carry, activation, keep):
    """Return every state (B, T, H), and what the backward pass needs if `keep`."""
    u = u.contiguous()
    call = _call(u, h, maps, synapses, kind, carry)
    hs, kept, value, slope = _outputs(u, h, maps, call, lengths, keep)
    given = sizes(u, h, lengths, reset, dt) | _own(own) | {"kind": KINDS.index(kind), "carry": carry, "u": u, "h": hs}
    given["kept"] = kept if keep else None
    if call.wired:
        S = synapses[1].shape[0]
        arguments: Arguments = Wired(**given, **_wires(maps, synapses), S=S)
    else:
        chain = {"Z": maps[0].shape[0] if biases else 0, "maps": len(maps), "packed": _chain(maps, call.heads, False)}
        chain |= {"activation": ACTIVATIONS.index(activation), "bias": [None, *(b.contiguous() for b in biases)]}
        chain |= {"value": value, "slope": slope} if keep and biases else {}
        arguments = Dense(**given, **chain)
    run("wired_forward" if call.wired else "dense_forward", u.dtype, arguments, call.tiles, call.operations)
    return hs, kept, value, slope


def _outputs(
    u: Tensor, h: Tensor, maps: list[Tensor], call: Call, lengths: Tensor | None, keep: bool
) -> tuple[Tensor, ...]:
    B, T, H = u.shape[0], u.shape[1], h.shape[1]
    rows = call.tiles * lanes(u.dtype) if call.wired else B
    shape = (len(maps) - 1, B, T, maps[0].shape[0]) if keep and len(maps) > 1 else (0,)
    make = u.new_empty if lengths is None else u.new_zeros  # beyond a row's end nothing is written
    return u.new_empty(B, T, H), u.new_empty((rows, T, call.heads * H) if keep else 0), make(shape), make(shape)


@gated.register_fake
def _(u, h, dt, maps, biases, own, lengths, reset, synapses, kind, carry, activation, keep):
    return _outputs(u, h, maps, _call(u, h, maps, synapses, kind, carry), lengths, keep)


SCHEMA_BACK = """(
    Tensor grad, Tensor h, Tensor dt, Tensor[] maps, Tensor[] own, Tensor? lengths, Tensor? reset, Tensor[] synapses,
    Tensor hs, Tensor kept, Tensor value, Tensor slope, str kind, bool carry, bool of_dt
) -> Tensor[]"""


@torch.library.custom_op("liquidtorch::gated_backward", mutates_args=(), device_types="cpu", schema=SCHEMA_BACK)
def gated_backward(
    grad, h, dt, maps, own, lengths, reset, synapses, hs, kept, value, slope, kind, carry, of_dt
):  # fmt: skip
    """Return the gradients of u, h, dt (empty unless `of_dt`), maps, biases and own."""
    call = _call(hs, h, maps, synapses, kind, carry)
    B, T, H = hs.shape
    widths = [W.shape[0] for W in maps[:-1]] + [call.heads * H]
    grads, grad_h0 = [hs.new_empty(B, T, width) for width in widths], hs.new_empty(B, H)
    grad_dt, grad_own = hs.new_empty((B, T) if of_dt else 0), hs.new_empty(call.tiles, 3, H)
    given = sizes(hs, h, lengths, reset, dt) | _own(own) | {"kind": KINDS.index(kind), "carry": carry, "h": hs}
    given |= {"kept": kept, "grad_h": grad.contiguous(), "grad_h0": grad_h0, "grad_own": grad_own}
    given["grad_dt"] = grad_dt if of_dt else None
    if call.wired:
        S = synapses[1].shape[0]
        grad_weight = hs.new_empty(call.tiles, S, call.heads)
        wires = _wires(maps, synapses) | {"S": S, "grad_u": grads[0], "grad_weight": grad_weight}
        run("wired_backward", hs.dtype, Wired(**given, **wires), call.tiles, 3 * call.operations)
        W = hs.new_zeros(call.heads, H * H)
        W[:, synapses[2]] = grad_weight.sum(0).t()
        return [grads[0], grad_h0, grad_dt, W.view_as(maps[0]), *_own_grads(grad_own, own)]
    chain = {"Z": maps[0].shape[0] if len(maps) > 1 else 0, "maps": len(maps), "packed": _chain(maps, call.heads, True)}
    chain |= {"grad_map": grads} | ({"value": value, "slope": slope} if len(maps) > 1 else {})
    run("dense_backward", hs.dtype, Dense(**given, **chain), call.tiles, 2 * call.operations)
    before = torch.cat([h.unsqueeze(1), hs[:, :-1]], dim=1)[:, :T]
    if reset is not None:
        before = before.masked_fill(reset.unsqueeze(-1), 0)
    sources = [before, *value] if len(maps) > 1 else [before]
    of_maps = [(g.flatten(0, 1).t() @ x.flatten(0, 1)).view_as(W) for g, x, W in zip(grads, sources, maps, strict=True)]
    of_biases = [g.sum((0, 1)) for g in grads[1:]]
    return [grads[0], grad_h0, grad_dt, *of_maps, *of_biases, *_own_grads(grad_own, own)]


def _own_grads(grad_own: Tensor, own: list[Tensor]) -> list[Tensor]:
    return [grad_own[:, i].sum(0) for i in range(len(own))]


@gated_backward.register_fake
def _(grad, h, dt, maps, own, lengths, reset, synapses, hs, kept, value, slope, kind, carry, of_dt):
    call = _call(hs, h, maps, synapses, kind, carry)
    B, T, H = hs.shape
    u = hs.new_empty(B, T, maps[0].shape[0] if len(maps) > 1 else call.heads * H)
    biases = [hs.new_empty(W.shape[0]) for W in maps[1:]]
    like = [torch.empty_like(p) for p in (*maps, *own)]
    return [
        u,
        hs.new_empty(B, H),
        hs.new_empty((B, T) if of_dt else 0),
        *like[: len(maps)],
        *biases,
        *like[len(maps) :],
    ]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, h, dt, maps, biases, own, lengths, reset, synapses, kind, carry, _, _ = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(h, dt, lengths, reset, *output, *maps, *own, *synapses)
    ctx.counts = len(maps), len(biases), len(own)
    ctx.kind, ctx.carry = kind, carry


def _back(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
    h, dt, lengths, reset, hs, kept, value, slope, *rest = ctx.saved_tensors
    maps, biases, own = ctx.counts
    lists = [rest[:maps], rest[maps : maps + own], rest[maps + own :]]
    none = [None] * len(lists[2])
    if grad is None:
        return None, None, None, [None] * maps, [None] * biases, [None] * own, None, None, none, None, None, None, None
    of_dt = bool(ctx.needs_input_grad[2])
    found = gated_backward(
        grad, h, dt, lists[0], lists[1], lengths, reset, lists[2], hs, kept, value, slope, ctx.kind, ctx.carry, of_dt
    )
    u, h0, of, *rest = found
    parts = [rest[:maps], rest[maps : maps + biases], rest[maps + biases :]]
    return u, h0, of if of_dt else None, *parts, None, None, none, None, None, None, None


gated.register_autograd(_back, setup_context=_save)
