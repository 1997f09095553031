"""LTC over sequences and its features' synapses on the CPU: csrc/ltc.h and csrc/synapses.h as families of operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .library import ROWS, Arguments, integers, lanes, pointers, run, sequence
from .operator import Family, Tensors

CHUNK = 16  # of csrc/synapses.h
SIGMOID = 20  # operations, roughly


class LTC(Arguments):
    """The struct of csrc/ltc.h; the first fields are those of csrc/rows.h."""

    _fields_ = [  # noqa: RUF012
        *ROWS,
        *integers("S unfolds"),
        *pointers("u start source place w mu sigma erev gleak vleak cm grad_u grad_synapse grad_unit"),
    ]


class Synapses(Arguments):
    """The struct of csrc/synapses.h."""

    _fields_ = [  # noqa: RUF012
        *integers("M F H S"),
        *pointers("x start source place w mu sigma erev u grad_u grad_x grad_synapse"),
    ]


NAMES = ("w", "mu", "sigma", "erev", "gleak", "vleak", "cm")


def _named(listed: Sequence[Any], params: Sequence[Any]) -> dict[str, Any]:
    start, source, place = listed
    named = {name: p.contiguous() for name, p in zip(NAMES, params, strict=False)}
    return named | {"start": start, "source": source, "place": place, "S": source.shape[0]}


def _dense(grad: Tensor, place: Tensor, like: Sequence[Any]) -> list[Tensor]:
    """Sum gradients (parts, 4, S) of the synapses and put them where they stand in the dense parameters."""
    whole = grad.new_zeros(4, like[0].numel())
    return [g.view_as(p) for g, p in zip(whole.index_copy_(1, place, grad.sum(0)), like, strict=True)]


class LTCFamily(Family):
    """Tensors: u, h, dt, lengths, reset, start, source, place, then the seven parameters. Options: unfolds."""

    name = "ltc"

    @staticmethod
    def outputs(tensors: Tensors, options: Sequence[int]) -> list[Tensor]:
        """Make every state, (B, T, H)."""
        u, h = tensors[0], tensors[1]
        return [h.new_empty(u.shape[0], u.shape[1], h.shape[1])]  # pyright: ignore[reportOptionalMemberAccess]

    @staticmethod
    def _work(hs: Tensor, S: int, unfolds: int) -> tuple[int, float]:
        tiles = -(-hs.shape[0] // lanes(hs.dtype))
        return tiles, SIGMOID * tiles * hs.shape[1] * unfolds * (S + hs.shape[2])

    @staticmethod
    def forward(tensors: Tensors, options: Sequence[int], found: list[Tensor]) -> None:
        """Fill the outputs."""
        u, h, dt, lengths, reset, *rest = tensors
        given = sequence(h, dt, lengths, reset, found[0]) | _named(rest[:3], rest[3:]) | {"unfolds": options[0]}
        arguments = LTC(**given, u=u.contiguous())  # pyright: ignore[reportOptionalMemberAccess]
        run("ltc_forward", found[0].dtype, arguments, *LTCFamily._work(found[0], given["S"], options[0]))

    @staticmethod
    def backward(
        grad: Tensor, tensors: Tensors, found: list[Tensor], options: Sequence[int], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """Return a gradient for every tensor."""
        u, h, dt, lengths, reset, *rest = tensors
        hs = found[0]
        B, T, H = hs.shape
        given = sequence(h, dt, lengths, reset, hs) | _named(rest[:3], rest[3:])
        given |= {"unfolds": options[0], "grad_h": grad}
        tiles, work = LTCFamily._work(hs, given["S"], options[0])
        grad_u, grad_h0 = hs.new_empty(B, T, 2 * H), hs.new_empty(B, H)
        grad_dt = hs.new_empty(B, T) if needed[2] else None
        of_synapse, of_unit = hs.new_empty(tiles, 4, given["S"]), hs.new_empty(tiles, 3, H)
        given |= {"grad_u": grad_u, "grad_h0": grad_h0, "grad_dt": grad_dt, "u": u.contiguous()}  # pyright: ignore
        run("ltc_backward", hs.dtype, LTC(**given, grad_synapse=of_synapse, grad_unit=of_unit), tiles, 3 * work)
        params = [*_dense(of_synapse, given["place"], rest[3:7]), *of_unit.sum(0)]
        return [grad_u, grad_h0, grad_dt, None, None, None, None, None, *params]


class SynapsesFamily(Family):
    """Tensors: x (M, F), start, source, place, w, mu, sigma, erev. Options: one that says nothing (a list must)."""

    name = "synapses"

    @staticmethod
    def outputs(tensors: Tensors, options: Sequence[int]) -> list[Tensor]:
        """Make N beside D, (M, 2H)."""
        x, w = tensors[0], tensors[4]
        return [x.new_empty(x.shape[0], 2 * w.shape[0])]  # pyright: ignore[reportOptionalMemberAccess]

    @staticmethod
    def _given(tensors: Tensors) -> tuple[dict[str, Any], int, float]:
        x, *rest = tensors
        H = rest[3].shape[0]  # pyright: ignore[reportOptionalMemberAccess]
        given = _named(rest[:3], rest[3:]) | {"M": x.shape[0], "F": x.shape[1], "H": H, "x": x.contiguous()}  # pyright: ignore
        chunks = -(-x.shape[0] // (CHUNK * lanes(x.dtype)))  # pyright: ignore
        return given, chunks, SIGMOID * CHUNK * chunks * (given["S"] + H)

    @staticmethod
    def forward(tensors: Tensors, options: Sequence[int], found: list[Tensor]) -> None:
        """Fill the outputs."""
        given, chunks, work = SynapsesFamily._given(tensors)
        run("synapses_forward", found[0].dtype, Synapses(**given, u=found[0]), chunks, work)

    @staticmethod
    def backward(
        grad: Tensor, tensors: Tensors, found: list[Tensor], options: Sequence[int], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """Return a gradient for every tensor."""
        given, chunks, work = SynapsesFamily._given(tensors)
        grad_x = torch.empty_like(given["x"]) if needed[0] else None
        of_synapse = grad.new_empty(chunks, 4, given["S"])
        arguments = Synapses(**given, grad_u=grad, grad_x=grad_x, grad_synapse=of_synapse)
        run("synapses_backward", grad.dtype, arguments, chunks, 2 * work)
        return [grad_x, None, None, None, *_dense(of_synapse, given["place"], tensors[4:8])]
