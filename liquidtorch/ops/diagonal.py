"""Linear and Mobius over sequences on the CPU: csrc/scan.h as a family of operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .library import ROWS, Arguments, integers, lanes, pointers, run, sequence
from .operator import Family, Tensors

KINDS = ("linear", "mobius")  # csrc/scan.h


class Scan(Arguments):
    """The struct of csrc/scan.h."""

    _fields_ = [  # noqa: RUF012
        *ROWS,
        *integers("kind"),
        *pointers("u rate grad_u grad_rate"),
    ]


class Diagonal(Family):
    """Tensors: u, h, dt, lengths, reset, rate. Options: the kind."""

    name = "diagonal"

    @staticmethod
    def outputs(tensors: Tensors, options: Sequence[int]) -> list[Tensor]:
        """Make every state, (B, T, H)."""
        u, h = tensors[0], tensors[1]
        return [h.new_empty(u.shape[0], u.shape[1], h.shape[1])]  # pyright: ignore[reportOptionalMemberAccess]

    @staticmethod
    def _given(tensors: Tensors, options: Sequence[int], hs: Tensor) -> dict[str, Any]:
        u, h, dt, lengths, reset, rate = tensors
        given = {"u": u.contiguous(), "rate": rate.contiguous(), "kind": options[0]}  # pyright: ignore
        return sequence(h, dt, lengths, reset, hs) | given

    @staticmethod
    def forward(tensors: Tensors, options: Sequence[int], found: list[Tensor]) -> None:
        """Fill the outputs."""
        hs = found[0]
        work = 30 * hs.numel() / lanes(hs.dtype)
        run("scan_forward", hs.dtype, Scan(**Diagonal._given(tensors, options, hs)), hs.shape[0], work)

    @staticmethod
    def backward(
        grad: Tensor, tensors: Tensors, found: list[Tensor], options: Sequence[int], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """Return a gradient for every tensor."""
        hs = found[0]
        B, T, H = hs.shape
        given = Diagonal._given(tensors, options, hs)
        grads = {"grad_u": hs.new_empty(given["u"].shape), "grad_h0": hs.new_empty(B, H)}
        grad_dt, grad_rate = hs.new_empty(B, T) if needed[2] else None, hs.new_empty(B, H)
        arguments = Scan(**given, **grads, grad_h=grad, grad_dt=grad_dt, grad_rate=grad_rate)
        run("scan_backward", hs.dtype, arguments, B, 60 * hs.numel() / lanes(hs.dtype))
        return [grads["grad_u"], grads["grad_h0"], grad_dt, None, None, grad_rate.sum(0)]
