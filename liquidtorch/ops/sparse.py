"""Sparse reservoirs over sequences on the CPU: csrc/echo.h as a family of operators, without a backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from .library import ROWS, Arguments, integers, lanes, pointers, run, sequence
from .operator import Family, Tensors

BLOCK = 16  # neighbouring units that may share their sources, so that these are read once for all of them


class EchoSequence(Arguments):
    """The struct of csrc/echo.h."""

    _fields_ = [  # noqa: RUF012
        *ROWS,
        *integers("linear share wide"),
        *pointers("u pace start source weight"),
    ]


_shares = WeakTensorKeyDictionary()  # by the list of sources and its version


def share_of(start: Tensor, source: Tensor) -> int:
    """Return how many neighbouring units share their sources, in the same order: BLOCK, or 1 if not all do.

    It is found out once for a list: a forecast that runs freely calls the kernel for every step.
    """
    known = _shares.get(source)
    if known is None or known[0] != source._version:
        known = _shares[source] = source._version, _share_of(start, source)
    return known[1]


def _share_of(start: Tensor, source: Tensor) -> int:
    units = start.shape[0] - 1
    fan, left = divmod(source.shape[0], units)
    if left or not fan or not torch.equal(start, torch.arange(units + 1, dtype=start.dtype) * fan):
        return 1
    read = source.view(units, fan)
    whole = units // BLOCK * BLOCK
    groups = read[:whole].view(-1, BLOCK, fan), read[whole:].unsqueeze(0)
    return BLOCK if all(bool((group == group[:, :1]).all()) for group in groups) else 1


def wide_of(rows: int, dtype: torch.dtype, share: int) -> int:
    """Return how many vectors of rows a part holds; 0: it is one row, whose synapses fill the vectors.

    Of a state, 128 bytes a unit are read for a synapse, as fast as the second cache gives them; what a group of units
    shares is read from the first cache, so that there half as many do.
    """
    if rows == 1 or 2 * rows < lanes(dtype):
        return 0
    most = 2 if share > 1 else min(4, 128 // (lanes(dtype) * dtype.itemsize))
    return min(most, 1 << (-(-rows // lanes(dtype)) - 1).bit_length())


def arguments_of(tensors: Tensors, options: Sequence[int], hs: Tensor) -> EchoSequence:
    """Return the struct: tensors and options are those of `Echo`, hs (B, T, H) holds every state."""
    u, h, dt, lengths, reset, start, source, weight, pace = tensors
    share = share_of(start, source)  # pyright: ignore[reportArgumentType]
    given: dict[str, Any] = {
        "linear": options[0], "share": share, "wide": wide_of(hs.shape[0], hs.dtype, share),
        "u": u.contiguous(), "pace": pace.contiguous(),  # pyright: ignore
        "start": start.contiguous(), "source": source.contiguous(), "weight": weight.contiguous(),  # pyright: ignore
    }  # fmt: skip
    return EchoSequence(**sequence(h, dt, lengths, reset, hs), **given)


class Echo(Family):
    """Tensors: u, h, dt, lengths, reset, start, source, weight, pace. Options: whether it is linear."""

    name = "echo"

    @staticmethod
    def outputs(tensors: Tensors, options: Sequence[int]) -> list[Tensor]:
        """Make every state, (B, T, H)."""
        u, h = tensors[0], tensors[1]
        return [h.new_empty(u.shape[0], u.shape[1], h.shape[1])]  # pyright: ignore[reportOptionalMemberAccess]

    @staticmethod
    def forward(tensors: Tensors, options: Sequence[int], found: list[Tensor]) -> None:
        """Fill the outputs: rows in the vectors' lanes, or, where rows are few, one after the other."""
        hs, weight = found[0], tensors[7]
        B, T, H = hs.shape
        arguments = arguments_of(tensors, options, hs)
        wide = int(arguments.wide)
        name, rows = ("echo_forward", wide * lanes(hs.dtype)) if wide else ("echo_row_forward", 1)
        work = 2.0 * B * T * (weight.numel() + 20 * H) / lanes(hs.dtype)  # pyright: ignore[reportOptionalMemberAccess]
        run(name, hs.dtype, arguments, -(-B // rows), work)
