"""Leaky, Liquid and CfC over sequences on the CPU: csrc/dense.h and csrc/wired.h as a family of operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .library import ROWS, Arguments, integers, lanes, pack, pointers, run, sequence
from .operator import Family, Tensors

KINDS = ("leaky", "leaky_euler", "liquid", "cfc", "cfc_no_gate", "cfc_pure")  # csrc/points.h
ACTIVATIONS = ("tanh", "lecun_tanh", "relu", "silu", "gelu")  # csrc/dense.h
MAPS = 8  # the longest chain of csrc/dense.h
TILE = 8  # rows of csrc/dense.h that go together
SPARSE = 0.3  # the density below which synapse by synapse is faster than all at once (benchmarks/growth.py)


class Dense(Arguments):
    """The struct of csrc/dense.h; the first fields are those of csrc/rows.h."""

    _fields_ = [  # noqa: RUF012
        *ROWS,
        *integers("kind carry Z maps activation"),
        *pointers("u pace A w packed[8] bias[8] kept value slope grad_map[8] grad_own"),
    ]


class Wired(Arguments):
    """The struct of csrc/wired.h; the first fields are those of csrc/rows.h."""

    _fields_ = [  # noqa: RUF012
        *ROWS,
        *integers("kind carry S"),
        *pointers("u pace A w order start source weight kept grad_u grad_own grad_weight"),
    ]


class Parts(NamedTuple):
    """The tensors of one call by their meaning, and what follows from their sizes."""

    u: Tensor
    h: Tensor
    dt: Tensor
    lengths: Tensor | None
    reset: Tensor | None
    synapses: list[Tensor]  # those of `Synapses`, or none where all exist
    maps: list[Tensor]  # W_h (heads, H, H); or, with a backbone, (Z, H), (Z, Z), ..., (heads*H, Z)
    biases: list[Tensor]  # of every map but the first
    own: list[Tensor]  # pace; for CfC "pure" A and w_tau too
    kind: int
    carry: int
    activation: int
    keep: int  # whether what the backward pass needs is to be kept
    heads: int
    wired: bool
    tiles: int
    work: float


SYNAPSES = 5  # tensors of `Synapses`


def parts_of(tensors: Tensors, options: Sequence[int]) -> Parts:
    """Name the flat list: u, h, dt, lengths, reset, five of the synapses, then maps, biases and own."""
    kind, carry, activation, keep, maps = options
    u, h, dt, lengths, reset, *rest = tensors
    synapses: Any = [] if rest[0] is None else rest[:SYNAPSES]
    after: Any = rest[SYNAPSES:]
    W = after[:maps]
    B, T, H = u.shape[0], u.shape[1], h.shape[1]  # pyright: ignore[reportOptionalMemberAccess]
    heads = {2: 2, 3: 4, 4: 4}.get(kind, 1) + carry
    S = synapses[1].shape[0] if synapses else H * H
    wired = maps == 1 and bool(synapses) and (synapses[4].shape[0] > 0 or S <= SPARSE * H * H)
    tiles = -(-B // (lanes(h.dtype) if wired else TILE))  # pyright: ignore[reportOptionalMemberAccess]
    per_row = heads * S if wired else sum(w.numel() for w in W)
    work = 2.0 * B * T * (per_row + 20 * heads * H) / lanes(h.dtype)  # pyright: ignore[reportOptionalMemberAccess]
    lists = synapses, W, after[maps : 2 * maps - 1], after[2 * maps - 1 :]
    return Parts(u, h, dt, lengths, reset, *lists, kind, carry, activation, keep, heads, wired, tiles, work)  # pyright: ignore


def _given(p: Parts, hs: Tensor) -> dict[str, Any]:
    given = sequence(p.h, p.dt, p.lengths, p.reset, hs) | {"kind": p.kind, "carry": p.carry}
    return given | {name: own.contiguous() for name, own in zip(("pace", "A", "w"), p.own, strict=False)}


def _wires(p: Parts) -> dict[str, Any]:
    """The synapses as csrc/wired.h reads them: (S, heads) weights, sources swept already counted from H on."""
    start, source, place, order, early = p.synapses
    H = p.h.shape[1]
    weight = p.maps[0].reshape(p.heads, H * H).index_select(1, place).t().contiguous()
    source = source + H * early if early.shape[0] else source
    return {"order": order, "start": start, "source": source, "weight": weight, "S": source.shape[0]}


def _chain(p: Parts, back: bool) -> dict[str, Any]:
    """The maps packed for csrc/product.h, the last one's weights in groups of a head."""
    groups = [1] * (len(p.maps) - 1) + [p.heads]
    packed = [pack(W, n, back=back) for W, n in zip(p.maps, groups, strict=True)]
    Z = p.maps[0].shape[0] if p.biases else 0
    return {"Z": Z, "maps": len(p.maps), "activation": p.activation, "packed": packed}


def forward_arguments(p: Parts, found: Sequence[Tensor]) -> tuple[str, Arguments]:
    """Return which kernel runs, "dense" or "wired", and its struct."""
    given = _given(p, found[0]) | {"u": p.u.contiguous()} | dict(zip(("kept", "value", "slope"), found[1:]))  # noqa: B905
    if p.wired:
        return "wired", Wired(**given, **_wires(p))
    return "dense", Dense(**given, **_chain(p, False), bias=[None, *(b.contiguous() for b in p.biases)])


class Gated(Family):
    """Leaky, Liquid and CfC. Options: kind, carry, activation, keep, and how many maps there are."""

    name = "gated"

    @staticmethod
    def outputs(tensors: Tensors, options: Sequence[int]) -> list[Tensor]:
        """Make every state (B, T, H), and what the backward pass needs: kept, value, slope."""
        p = parts_of(tensors, options)
        B, T, H = p.u.shape[0], p.u.shape[1], p.h.shape[1]
        found = [p.h.new_empty(B, T, H)]
        if p.keep:
            make = p.h.new_empty if p.lengths is None else p.h.new_zeros  # beyond a row's end nothing is written
            found.append(make(p.tiles * lanes(p.h.dtype) if p.wired else B, T, p.heads * H))
            found += [make(len(p.biases), B, T, p.maps[0].shape[0]) for _ in range(2) if p.biases]
        return found

    @staticmethod
    def forward(tensors: Tensors, options: Sequence[int], found: list[Tensor]) -> None:
        """Fill the outputs."""
        p = parts_of(tensors, options)
        name, arguments = forward_arguments(p, found)
        run(f"{name}_forward", p.h.dtype, arguments, p.tiles, p.work)

    @staticmethod
    def backward(
        grad: Tensor, tensors: Tensors, found: list[Tensor], options: Sequence[int], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """Return a gradient for every tensor."""
        p = parts_of(tensors, options)
        hs, kept, *activations = found
        B, T, H = hs.shape
        widths = [W.shape[0] for W in p.maps[:-1]] + [p.heads * H]
        grads, grad_h0 = [hs.new_empty(B, T, width) for width in widths], hs.new_empty(B, H)
        grad_dt, grad_own = hs.new_empty(B, T) if needed[2] else None, hs.new_empty(p.tiles, 3, H)
        given = _given(p, hs) | {"kept": kept, "grad_h": grad, "grad_h0": grad_h0, "grad_dt": grad_dt}
        given |= {"grad_own": grad_own}
        if p.wired:
            maps = [_wired_backward(p, given, grads[0])]
        else:
            given |= _chain(p, True) | {"grad_map": grads} | dict(zip(("value", "slope"), activations))  # noqa: B905
            run("dense_backward", hs.dtype, Dense(**given), p.tiles, 2 * p.work)
            maps = [_with_states_before(p, hs, grads[0]).view_as(p.maps[0])]
            for g, x, W in zip(grads[1:], activations[0] if activations else (), p.maps[1:], strict=True):
                maps.append(torch.mm(g.flatten(0, 1).t(), x.flatten(0, 1)).view_as(W))
        own = list(grad_own.sum(0)[: len(p.own)])
        nothing = [None] * (2 + SYNAPSES)
        return [grads[0], grad_h0, grad_dt, *nothing, *maps, *(g.sum((0, 1)) for g in grads[1:]), *own]


def _wired_backward(p: Parts, given: dict[str, Any], grad_u: Tensor) -> Tensor:
    wires = _wires(p)
    grad_weight = grad_u.new_empty(p.tiles, wires["S"], p.heads)
    arguments = Wired(**given, **wires, grad_u=grad_u, grad_weight=grad_weight)
    run("wired_backward", p.h.dtype, arguments, p.tiles, 3 * p.work)
    W = grad_u.new_zeros(p.heads, p.h.shape[1] ** 2)
    return W.index_copy_(1, p.synapses[2], grad_weight.sum(0).t()).view_as(p.maps[0])


def _with_states_before(p: Parts, hs: Tensor, grad: Tensor) -> Tensor:
    """Return the sum over b, t of grad[b,t] (outer) the state that step t of row b started from.

    That state is the row above in the flat hs, but for the first step of a sequence, which is put right after.
    """
    if hs.numel() == 0:
        return hs.new_zeros(grad.shape[-1], hs.shape[-1])
    if p.reset is not None:
        before = torch.cat([p.h.unsqueeze(1), hs[:, :-1]], dim=1).masked_fill_(p.reset.unsqueeze(-1), 0)
        return torch.mm(grad.flatten(0, 1).t(), before.flatten(0, 1))
    wrong = torch.cat([torch.zeros_like(hs[:1, -1]), hs[:-1, -1]])
    sums = torch.mm(grad[:, 0].t(), p.h - wrong)
    return sums.addmm_(grad.flatten(0, 1)[1:].t(), hs.flatten(0, 1)[:-1])
