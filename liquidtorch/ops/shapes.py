"""What comes in at the door of the sequences: a kernel reads what it is told is there, so it must be there."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..errors import ShapeError
from .synapses import Synapses

Shapes = dict[str, tuple[Tensor, tuple[int, ...]]]


def fit(params: Shapes) -> None:
    """Raise ShapeError unless every parameter, by its name, has the shape beside it."""
    for name, (t, shape) in params.items():
        if t.shape != shape:
            raise ShapeError(f"`{name}` must have the shape {shape}; got {tuple(t.shape)}.")


def fit_sequence(
    u: Tensor, h: Tensor, dt: Tensor, width: int, units: int, lengths: Tensor | None, reset: Tensor | None,
    synapses: Synapses | None = None,
) -> None:  # fmt: skip
    """Raise ShapeError unless all that a sequence consists of fits together."""
    if u.dim() != 3 or h.shape != (u.shape[0], units) or dt.shape != u.shape[:2] or u.shape[2] != width:
        raise ShapeError(
            f"`u`, `h` and `dt` must have the shapes (batch, time, {width}), (batch, {units}) and (batch, time); "
            f"got {tuple(u.shape)}, {tuple(h.shape)} and {tuple(dt.shape)}."
        )
    if lengths is not None and (lengths.shape != u.shape[:1] or lengths.is_floating_point()):
        raise ShapeError(
            f"`lengths` must be whole numbers of the shape ({u.shape[0]},); "
            f"got {tuple(lengths.shape)} of {lengths.dtype}."
        )
    if reset is not None and (reset.shape != u.shape[:2] or reset.element_size() != 1):
        raise ShapeError(
            f"`reset` must be of torch.bool and the shape {tuple(u.shape[:2])}; "
            f"got {tuple(reset.shape)} of {reset.dtype}."
        )
    if synapses is not None and synapses.start.shape[0] != units + 1:
        raise ShapeError(f"`synapses` must be those of {units} units; got those of {synapses.start.shape[0] - 1}.")


def fit_sweep(sweep: Sequence[Tensor], units: int) -> None:
    """Raise ShapeError unless every unit is swept once."""
    if sweep and sum(group.shape[0] for group in sweep) != units:
        raise ShapeError(f"`sweep` must name {units} units, each once; got {[tuple(g.shape) for g in sweep]}.")


def backbone_shapes(W_h: Tensor, backbone: Sequence[tuple[Tensor, Tensor]], heads: int) -> Shapes:
    """Return the layers of a backbone, each with the shape it must have: Z units, then the heads."""
    Z, H = W_h.shape
    shapes: Shapes = {}
    for i, (W, b) in enumerate(backbone, 1):
        width = heads * H if i == len(backbone) else Z
        shapes |= {f"backbone[{i - 1}][0]": (W, (width, Z)), f"backbone[{i - 1}][1]": (b, (width,))}
    return shapes


def own_shapes(own: Sequence[Tensor], units: int, count: int) -> Shapes:
    """Return what every unit owns, `count` tensors, each with the shape it must have."""
    if len(own) != count:
        raise ShapeError(f"`own` must hold {count} tensors in this mode; got {len(own)}.")
    return {f"own[{i}]": (p, (units,)) for i, p in enumerate(own)}
