"""The one door every layer shares: what may come in, how it is checked, and how it goes out again in kind."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..cells import Spec, first_parameter
from ..errors import OptionError, ShapeError, check_range, check_shape
from ..ops import Stepper
from .stepper import called

Times = float | Sequence[float] | np.ndarray | Tensor


class Layer(nn.Module):
    """Run over time: `y, h = layer(x, h, dt=dt, lengths=lengths, reset=reset)`; the parent of every layer.

    A new layer sets `features` and `outputs`, calls `_publish` at the end of its constructor, and defines
    `state_spec`, `initial`, `run`, `taus`, `scale_time`, `config` and `from_config`; `testing.check_layer` tells
    whether it is one.
    """

    kinds: ClassVar[dict[str, type[Layer]]] = {}  # every layer by its name, for `build`
    causal: bool = True  # y at a step does not depend on later steps, so a sequence may be cut anywhere
    continuous: bool = True  # dt = 0 leaves the state unchanged
    stable: bool = True  # the bounds of `state_spec` hold for every dt; else while dt <= tau
    smooth: bool = True  # its gradients are those of finite differences; not so where spikes have surrogates
    State: Any  # the NamedTuple of a state of several tensors; None for one tensor

    features: int
    outputs: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Layer.kinds[cls.__name__] = cls
        if "run" in cls.__dict__ and "_stepper" not in cls.__dict__:
            cls._stepper = Layer._stepper  # the parent's kernel knows nothing of what is new

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the tensors of the state."""
        raise NotImplementedError

    def initial(self, batch: int) -> Any:
        """Return the state before the first step: one tensor, or the NamedTuple `self.State` of several."""
        raise NotImplementedError

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Run over checked tensors: x (B, T, F), dt and reset (B, T), lengths (B,)."""
        raise NotImplementedError

    def taus(self) -> Tensor:
        """Return the present base time constants of all units, one after the other, in the unit of dt."""
        raise NotImplementedError

    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return everything `layers.build` needs, as plain JSON values; the weights are in `state_dict`."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Make a layer from what its `config` returned, with fresh weights."""
        raise NotImplementedError

    def forward(
        self, x: Tensor | PackedSequence, h: Any = None, *, dt: Times = 1.0,
        lengths: Tensor | Sequence[int] | None = None, reset: Tensor | Sequence[Sequence[bool]] | None = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Run over a batch of sequences.

        Parameters
        ----------
        x : tensor (B, T, F), PackedSequence or jagged NestedTensor
            The inputs, of the weights' dtype (any, under autocast).
        h : tensor (B, H) or NamedTuple of tensors, optional
            The state to start from; `initial(B)` if left out.
        dt : number, (T,), (B,) or (B, T), at least 0
            The time since the previous step. A single axis is told by its length; where B equals T that cannot be
            told, and the full (B, T) is asked for.
        lengths : (B,) of 0 to T, optional
            Where each row ends: from there its state is frozen and its output 0, whatever x and dt hold.
        reset : bool (B, T), optional
            The state is `initial` again just before these steps.

        Returns
        -------
        y : as x, with `outputs` in place of features
        h : as the argument
            The state after the last step of every row.

        Raises
        ------
        ShapeError
            If a shape, dtype or device does not fit.
        OptionError
            If x or h is no tensor, dt is no number, negative or not finite, lengths leave 0 to T, or lengths are given
            twice. The values of tensors are not read while compiling, exporting or inside `torch.func` transforms.
        """
        x, lengths, wrap = _padded(x, lengths)
        like = first_parameter(self)
        _check_x(x, like, self.features)
        batch, steps = x.shape[:2]
        if steps == 0:
            raise ShapeError(f"`x` must have at least one step; got {tuple(x.shape)}.")
        dt = dt_grid(dt, batch, steps, like)
        if lengths is not None:
            lengths = torch.as_tensor(lengths, device=x.device)
            _check_lengths(lengths, batch, steps)
        if reset is not None:
            reset = torch.as_tensor(reset, device=x.device)
            check_shape("reset", reset.shape, ("batch", "time"), batch=batch, time=steps)
            if reset.dtype != torch.bool:
                raise ShapeError(f"`reset` must be of torch.bool; got {reset.dtype}. Use reset.bool().")
        h = self.initial(batch) if h is None else self._checked_state(h, batch, like)
        y, h = self.run(x, h, dt, lengths, reset)
        return wrap(y), h

    def stepper(self) -> Stepper:
        """Return a stepper, `y = stepper(x, dt)`: one row, one step, from NumPy to NumPy.

        It has the weights as they are now, and a state of its own, which `stepper.reset()` puts back to `initial`.

        Returns
        -------
        Stepper

        Raises
        ------
        OptionError
            If the layer needs what comes later (`causal` is False).

        Examples
        --------
        >>> import numpy as np
        >>> from liquidtorch import Liquid, Recurrent
        >>> stepper = Recurrent(Liquid(3, 8)).stepper()
        >>> stepper(np.zeros(3), dt=0.5).shape
        (8,)
        """
        if not self.causal:
            raise OptionError(
                f"`layer` must be causal to go step by step; got {type(self).__name__}, which reads ahead."
            )
        return self._stepper()

    def _stepper(self) -> Stepper:
        return called(self)

    def _publish(self) -> None:
        """Make the NamedTuple of the state, where it has several tensors."""
        names = [spec.name for spec in self.state_spec()]
        self.State = namedtuple("State", names) if len(names) > 1 else None

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "State"}  # a class made at run time cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._publish()

    def _state(self, tensors: Sequence[Tensor]) -> Any:
        return tensors[0] if self.State is None else self.State(*tensors)

    def _checked_state(self, h: Any, batch: int, like: Tensor) -> Any:
        specs = self.state_spec()
        if not isinstance(h, Tensor | tuple | list) or not all(isinstance(part, Tensor) for part in tensors_of(h)):
            raise OptionError(f"`h` must be a tensor or a tuple of tensors; got {type(h).__name__}.")
        tensors = tensors_of(h)
        if len(tensors) != len(specs):
            names = ", ".join(spec.name for spec in specs)
            raise ShapeError(f"`h` must hold {len(specs)} tensors ({names}); got {len(tensors)}.")
        for spec, tensor in zip(specs, tensors, strict=True):
            name = "h" if len(specs) == 1 else f"h.{spec.name}"
            check_shape(name, tensor.shape, ("batch", "units"), batch=batch, units=spec.width)
            if tensor.dtype != like.dtype or tensor.device != like.device:
                raise ShapeError(
                    f"`{name}` must be of {like.dtype} on {like.device}, as the weights; "
                    f"got {tensor.dtype} on {tensor.device}."
                )
        return self._state(tensors)


def tensors_of(h: Any) -> tuple[Tensor, ...]:
    """Return a state's tensors as a plain tuple."""
    return (h,) if isinstance(h, Tensor) else tuple(h)


def live_steps(lengths: Tensor, steps: int) -> Tensor:
    """Return the (B, T) mask of the steps before each row's end."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def _readable(found: Tensor) -> bool:
    """Whether the values may be looked at: not while tracing, nor inside vmap or another function transform."""
    return not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is None  # pyright: ignore


def _padded(x: Any, lengths: Any) -> tuple[Tensor, Any, Callable[[Tensor], Any]]:
    """Return x as (B, T, F), its lengths, and how to give an output back in x's own kind."""
    if not isinstance(x, PackedSequence | Tensor):
        raise OptionError(f"`x` must be a tensor or a PackedSequence; got {type(x).__name__}. Use torch.as_tensor(x).")
    if isinstance(x, Tensor) and not x.is_nested:
        return x, lengths, lambda y: y
    kind = "PackedSequence" if isinstance(x, PackedSequence) else "NestedTensor"
    if lengths is not None:
        raise OptionError(f"`lengths` must be left out for a {kind}, which has its own; got both.")
    if isinstance(x, PackedSequence):
        padded, lengths = pad_packed_sequence(x, True)

        def pack(y: Tensor) -> PackedSequence:
            order = torch.arange(len(y)) if x.sorted_indices is None else x.sorted_indices
            data = pack_padded_sequence(y[order], lengths[order.cpu()], True).data
            return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)

        return padded, lengths, pack
    if x.layout != torch.jagged:
        raise ShapeError(f"`x` must be a NestedTensor of layout torch.jagged; got {x.layout}.")
    offsets = x.offsets()  # pyright: ignore[reportAttributeAccessIssue]
    lengths = offsets.diff()
    return (
        x.to_padded_tensor(0.0),
        lengths,
        lambda y: torch.nested.nested_tensor_from_jagged(y[live_steps(lengths, y.shape[1])], offsets),
    )


def _check_x(x: Tensor, like: Tensor, features: int) -> None:
    if x.dim() == 2:
        raise ShapeError(
            f"`x` must have the shape (batch, time, features={features}); got {tuple(x.shape)} (no batch). "
            "Use x.unsqueeze(0) for a single sequence."
        )
    check_shape("x", x.shape, ("batch", "time", "features"), features=features)
    if x.dtype != like.dtype and not (x.is_floating_point() and torch.is_autocast_enabled(x.device.type)):
        raise ShapeError(f"`x` must be of {like.dtype}, as the weights; got {x.dtype}. Use x.to({like.dtype}).")


def dt_grid(dt: Times, batch: int, steps: int, like: Tensor) -> Tensor:
    """Return dt as (B, T), expanded without a copy."""
    if isinstance(dt, int | float):
        if not torch.compiler.is_compiling():
            check_range("dt", dt, 0)
        return like.new_full((1, 1), dt).expand(batch, steps)
    if isinstance(dt, str) or not isinstance(dt, Sequence | np.ndarray | np.generic | Tensor):
        raise OptionError(f"`dt` must be a number or hold numbers; got {dt!r} ({type(dt).__name__}).")
    found = torch.as_tensor(dt, device=like.device)
    if found.is_complex() or found.dtype == torch.bool:
        raise OptionError(f"`dt` must be a number or hold numbers; got {found.dtype}.")
    found = found.to(like.dtype)
    if found.dim() == 0:
        grid = found.expand(batch, steps)
    elif found.dim() == 1:
        length = found.shape[0]
        if batch == steps != 1 and length == batch:
            raise ShapeError(
                f"`dt` must have the shape (batch, time) where both are {batch}; got ({length},) "
                "(a step's or a row's?). Use dt.expand(batch, time) or dt[:, None].expand(batch, time)."
            )
        if length not in (batch, steps):
            raise ShapeError(
                f"`dt` must be a number or have the shape (time={steps},), (batch={batch},) or (batch, time); "
                f"got ({length},)."
            )
        grid = (found if length == steps else found.unsqueeze(1)).expand(batch, steps)
    else:
        check_shape("dt", found.shape, ("batch", "time"), batch=batch, time=steps)
        grid = found
    if _readable(grid):
        wrong = ~(found.isfinite() & (found >= 0))
        if bool(wrong.any()):
            place = tuple(wrong.nonzero()[0].tolist())
            raise OptionError(f"`dt` must be finite and at least 0; got {found[place].item():g} at {list(place)}.")
    return grid


def _check_lengths(lengths: Tensor, batch: int, steps: int) -> None:
    check_shape("lengths", lengths.shape, ("batch",), batch=batch)
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ShapeError(f"`lengths` must be whole numbers; got {lengths.dtype}.")
    if _readable(lengths):
        wrong = (lengths < 0) | (lengths > steps)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise OptionError(f"`lengths` must be 0 to {steps}, the steps of x; got {int(lengths[row])} in row {row}.")
