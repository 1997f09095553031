"""Stack: layers one above the other; Bidirectional: one layer ahead and one back in time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..cells import Spec
from ..errors import OptionError, ShapeError, check_choice
from ..ops import Stepper
from .door import Layer, tensors_of
from .stepper import stacked


def build(config: dict[str, Any]) -> Layer:
    """Make a layer from what its `config` returned, with fresh weights.

    Raises
    ------
    OptionError
        If no layer or cell of that kind is known.

    Examples
    --------
    >>> from liquidtorch import Liquid, Recurrent, layers
    >>> layers.build(Recurrent(Liquid(3, 8)).config()).cell
    Liquid(3, 8)
    """
    kind = config.get("kind")
    check_choice("kind", kind, Layer.kinds)
    return Layer.kinds[str(kind)].from_config(config)


class _Several(Layer):
    """A layer of layers: their states side by side, each name with a prefix."""

    prefixes: tuple[str, ...]

    def _parts(self) -> list[Layer]:
        raise NotImplementedError

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the tensors of the state, those of each part with its prefix."""
        parts = zip(self.prefixes, self._parts(), strict=True)
        return tuple(spec._replace(name=f"{p}_{spec.name}") for p, layer in parts for spec in layer.state_spec())

    def initial(self, batch: int) -> Any:
        """Return the state before the first step."""
        return self._state([t for layer in self._parts() for t in tensors_of(layer.initial(batch))])

    def _split(self, h: Any) -> list[Any]:
        rest, states = list(tensors_of(h)), []
        for layer in self._parts():
            width = 1 if layer.State is None else len(layer.State._fields)
            states.append(layer._state(rest[:width]))
            rest = rest[width:]
        return states

    def taus(self) -> Tensor:
        """Return the present base time constants of all parts, one after the other, in the unit of dt."""
        return torch.cat([layer.taus() for layer in self._parts()])

    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        for layer in self._parts():
            layer.scale_time(c)


class Stack(_Several):
    """Run layers one above the other, each on the outputs of the one below.

    `y_0 = layer_0(x)`, `y_i = layer_i(norm_i(y_(i-1)))`, plus `y_(i-1)` with `residual`.

    Parameters
    ----------
    layers : sequence of at least one Layer
        From the input up.
    residual : bool
        Add to the outputs of every layer after the first what came into it; the widths must agree.
    norm : bool
        Standardise, at each step, what comes into every layer after the first (`nn.LayerNorm`).
    shown : "last" or "all"
        Whose outputs are shown: those of the last layer, or of all, side by side from the input up.

    Raises
    ------
    OptionError
        If there is no layer, something else is given as one, or `residual` or `norm` has nothing to act on.
    ShapeError
        If the widths of layers do not fit.

    Notes
    -----
    The state is a NamedTuple with the fields of each layer behind `l0_`, `l1_`, ..., or one tensor if there is one.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import Leaky, Liquid, Recurrent, Stack
    >>> layer = Stack([Recurrent(Leaky(3, 8)), Recurrent(Liquid(8, 8))], residual=True, norm=True)
    >>> y, h = layer(torch.randn(2, 5, 3))
    >>> h._fields
    ('l0_h', 'l1_h')
    """

    def __init__(
        self, layers: Sequence[Layer], *, residual: bool = False, norm: bool = False, shown: str = "last"
    ) -> None:
        super().__init__()
        layers = list(layers)
        if not layers:
            raise OptionError("`layers` must hold at least one Layer; got none.")
        check_choice("shown", shown, ("last", "all"))
        for i, layer in enumerate(layers):
            _check_layer(f"layers[{i}]", layer)
        if len(layers) == 1 and (residual or norm):
            raise OptionError("`residual` and `norm` must be False for a single layer; they act after the first.")
        for i, (below, above) in enumerate(itertools.pairwise(layers), 1):
            if above.features != below.outputs:
                raise ShapeError(
                    f"`layers[{i}]` must have {below.outputs} features, the outputs below it; got {above.features}."
                )
            if residual and above.outputs != above.features:
                raise OptionError(
                    f"`residual` must be False where a layer changes the width; got layers[{i}] "
                    f"({above.features} features, {above.outputs} outputs)."
                )
        self.layers, self.residual, self.norm = nn.ModuleList(layers), bool(residual), bool(norm)
        self.norms = nn.ModuleList(nn.LayerNorm(layer.features) for layer in layers[1:]) if norm else None
        self.shown, self.features = shown, layers[0].features
        self.outputs = layers[-1].outputs if shown == "last" else sum(layer.outputs for layer in layers)
        self.causal = all(layer.causal for layer in layers)
        self.continuous = all(layer.continuous for layer in layers)
        self.stable = all(layer.stable for layer in layers)
        self.smooth = all(layer.smooth for layer in layers)
        self.prefixes = tuple(f"l{i}" for i in range(len(layers)))
        self._publish()

    def _parts(self) -> list[Layer]:
        return list(self.layers)  # pyright: ignore[reportReturnType]

    def _stepper(self) -> Stepper:
        norms: Any = None if self.norms is None else list(self.norms)
        return stacked([layer.stepper() for layer in self._parts()], norms, self.residual, self.shown)

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Run over checked tensors."""
        y, ys, after = x, [], []
        for i, (layer, state) in enumerate(zip(self._parts(), self._split(h), strict=True)):
            below = y
            z = below if self.norms is None or i == 0 else self.norms[i - 1](below)
            y, state = layer.run(z, state, dt, lengths, reset)
            if self.residual and i:
                y = y + below
            ys.append(y)
            after.extend(tensors_of(state))
        return y if self.shown == "last" else torch.cat(ys, dim=-1), self._state(after)

    def config(self) -> dict[str, Any]:
        """Return everything `layers.build` needs, as plain JSON values."""
        parts = [layer.config() for layer in self._parts()]
        return {"kind": "Stack", "layers": parts, "residual": self.residual, "norm": self.norm, "shown": self.shown}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Stack:
        """Make a layer from what its `config` returned, with fresh weights."""
        parts = [build(part) for part in config["layers"]]
        shown = config.get("shown", "last")  # a file written before there was a choice
        return cls(parts, residual=config["residual"], norm=config["norm"], shown=shown)


class Bidirectional(_Several):
    """Run one layer ahead and one back in time, their outputs side by side.

    `y = [ahead(x), reverse(back(reverse(x)))]`, each row reversed within its own length.

    Parameters
    ----------
    ahead : Layer
        Reads from the first step to the last.
    back : Layer
        Reads from the last step to the first.

    Raises
    ------
    OptionError
        If one of them is not a Layer.
    ShapeError
        If their features differ.

    Notes
    -----
    Not for streams (`causal` is False): y at a step depends on the whole sequence, so a sequence cut in two gives
    another answer. The state is a NamedTuple, `ahead_` and `back_` before the names. Between two steps `back` sees
    the same dt as `ahead`, and before its first step the row's first dt; `reset` parts the same steps for both.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import Bidirectional, Liquid, Recurrent
    >>> layer = Bidirectional(Recurrent(Liquid(3, 8)), Recurrent(Liquid(3, 4)))
    >>> y, h = layer(torch.randn(2, 5, 3), lengths=[5, 2])
    >>> y.shape
    torch.Size([2, 5, 12])
    """

    causal = False
    prefixes = ("ahead", "back")

    def __init__(self, ahead: Layer, back: Layer) -> None:
        super().__init__()
        _check_layer("ahead", ahead)
        _check_layer("back", back)
        if ahead.features != back.features:
            raise ShapeError(f"`back` must have {ahead.features} features, as `ahead`; got {back.features}.")
        self.ahead, self.back = ahead, back
        self.features, self.outputs = ahead.features, ahead.outputs + back.outputs
        self.continuous = ahead.continuous and back.continuous
        self.stable = ahead.stable and back.stable
        self.smooth = ahead.smooth and back.smooth
        self._publish()

    def _parts(self) -> list[Layer]:
        return [self.ahead, self.back]

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Run over checked tensors."""
        steps = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
        ends = x.shape[1] if lengths is None else lengths.unsqueeze(1)
        mirror = torch.where(steps < ends, ends - 1 - steps, steps)  # its own inverse; padding stays in place
        gap = torch.where((steps > 0) & (steps < ends), ends - steps, steps)  # dt and reset stand between two steps
        first, second = self._split(h)
        y_ahead, first = self.ahead.run(x, first, dt, lengths, reset)
        turned = None if reset is None else reset.gather(1, gap)
        y_back, second = self.back.run(_along(x, mirror), second, dt.gather(1, gap), lengths, turned)
        y = torch.cat([y_ahead, _along(y_back, mirror)], dim=-1)
        return y, self._state([*tensors_of(first), *tensors_of(second)])

    def config(self) -> dict[str, Any]:
        """Return everything `layers.build` needs, as plain JSON values."""
        return {"kind": "Bidirectional", "ahead": self.ahead.config(), "back": self.back.config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Bidirectional:
        """Make a layer from what its `config` returned, with fresh weights."""
        return cls(build(config["ahead"]), build(config["back"]))


def _along(x: Tensor, steps: Tensor) -> Tensor:
    """Take, in every row, the steps (B, T) of x (B, T, F)."""
    return x.gather(1, steps.unsqueeze(-1).expand(x.shape))


def _check_layer(name: str, layer: object) -> None:
    if not isinstance(layer, Layer):
        raise OptionError(f"`{name}` must be a Layer; got {type(layer).__name__}. Use Recurrent(cell) for a cell.")
