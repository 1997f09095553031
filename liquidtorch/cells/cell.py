"""What every cell has in common: its options, its wiring, its time constants, and how it is renumbered and rescaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .. import ops
from ..errors import OptionError, ShapeError, check_choice, check_range
from ..wiring import Wiring

Tau = float | Sequence[float] | Tensor | np.ndarray


class Spec(NamedTuple):
    """Describe one tensor (B, width) of a state; `low` and `high` hold at every step if they hold at the first."""

    name: str
    width: int
    low: float
    high: float


class Cell(nn.Module):
    """Advance a state by one time step; the parent of every cell.

    A cell has no loop and no hidden state: `layers.Recurrent` runs it over time. A new cell sets `axes`, makes its
    parameters, and defines `inputs`, `weights` and `step`; `testing.check_cell` tells whether it is one.

    Parameters
    ----------
    features : int, at least 1
        The width F of the input.
    units : int, at least 1
        The width H of the state.
    tau : float, (float, float) or tensor (H,)
        The time constants at the start, above 0, in the unit of dt: one for all, log-uniform between two, or each.
    wiring : Wiring, optional
        Which unit feels which unit and which feature, (to, from); the motor units are the output.
    options
        The cell's own options, kept for `config`.
    """

    kinds: ClassVar[dict[str, type[Cell]]] = {}  # every cell by its name, for `build`
    axes: dict[str, str] = {}  # noqa: RUF012 - parameter -> one letter an axis; H is renumbered by `permute`
    continuous: bool = True  # dt = 0 leaves the state unchanged
    stable: bool = True  # the bounds of `state_spec` hold for every dt; else while dt <= tau

    log_tau: nn.Parameter
    live_h: Any  # (H, H) 1 where a synapse is, else 0; None without a wiring
    live_x: Any  # (H, F)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Cell.kinds[cls.__name__] = cls
        for fast, shown in (("sequence", ()), ("stepper", ("inputs", "output"))):
            if {"step", "initial", *shown} & cls.__dict__.keys() and fast not in cls.__dict__:
                setattr(cls, fast, getattr(Cell, fast))  # the parent's kernel knows nothing of what is new

    def __init__(
        self, features: int, units: int, tau: Tau | None, wiring: Wiring | None = None, **options: Any
    ) -> None:
        super().__init__()
        features = check_range("features", features, 1, whole=True)
        units = check_range("units", units, 1, whole=True)
        self.features, self.units, self.wiring, self.tau, self.options = features, units, wiring, tau, options
        self.outputs = units if wiring is None else wiring.outputs
        if wiring is not None:
            self._fits(wiring)
            self.register_buffer("live_h", _float(wiring.recurrent != 0), persistent=False)
            self.register_buffer("live_x", _float(wiring.sensory != 0), persistent=False)
            self._list("h", self.live_h)
        else:
            self.live_h = self.live_x = None

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the state: one tensor `h` (B, H) and the bounds it never leaves."""
        return (Spec("h", self.units, -1.0, 1.0),)

    def initial(self, batch: int, like: Tensor | None = None) -> Tensor:
        """Return the state before the first step, zeros (batch, H) of the dtype and device of `like` or the cell."""
        like = first_parameter(self) if like is None else like
        return like.new_zeros(batch, self.units)

    def inputs(self, x: Tensor) -> Tensor:
        """Return all that depends on x (..., F) alone, for any number of steps at once, (..., U)."""
        raise NotImplementedError

    def weights(self) -> tuple[Any, ...]:
        """Return the weights as the step needs them (masked, positive), made once for a whole sequence."""
        raise NotImplementedError

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Any, ...] | None = None) -> Tensor:
        """Return the state after one step: u (B, U) from `inputs`, h (B, H), dt (B, 1)."""
        raise NotImplementedError

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H): u (B, T, U), dt and reset (B, T), lengths (B,).

        A cell for which `ops` has a kernel calls it here; any other is stepped.
        """
        weights = self.weights()
        start = [self.initial(u.shape[0], h)]
        return ops.over(lambda u, h, dt: (self.step(u, h[0], dt, weights),), u, [h], dt, lengths, reset, start)[0]

    def stepper(self) -> ops.Stepper | None:
        """Return a compiled stepper with the weights as they are now; None for a cell that has no kernel."""
        return None

    def _list(self, name: str, live: Tensor, sweep: Sequence[Tensor] = ()) -> None:
        """Keep a list of the synapses of `live` for the kernels."""
        for field, found in ops.synapses(live, sweep)._asdict().items():
            self.register_buffer(f"{field}_{name}", found, persistent=False)

    def _listed(self, name: str) -> ops.Synapses | None:
        """Return the list kept under `name`; None if there is none, for then every synapse exists."""
        if f"start_{name}" not in self._buffers:
            return None
        return ops.Synapses(*(self._buffers[f"{field}_{name}"] for field in ops.Synapses._fields))  # pyright: ignore

    def output(self, h: Tensor) -> Tensor:
        """Return what the cell shows of its state, (B, outputs): the motor units, or all."""
        return h if self.wiring is None else h[..., : self.outputs]

    def taus(self) -> Tensor:
        """Return the present base time constant of every unit, (H,), in the unit of dt."""
        return self.log_tau.detach().exp()

    @torch.no_grad()
    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        check_range("c", c, 0, open_low=True)
        self.log_tau.add_(math.log(c))

    @torch.no_grad()
    def permute(self, order: Sequence[int] | Tensor) -> None:
        """Renumber the units in place: the new unit i is the old unit `order[i]`."""
        order = torch.as_tensor(order, device=first_parameter(self).device)
        if sorted(order.tolist()) != list(range(self.units)):
            raise OptionError(f"`order` must hold each of 0 to {self.units - 1} once; got {order.tolist()}.")
        if self.wiring is not None:
            self.wiring = _renumbered(self.wiring, order.tolist())
            self.live_h = self.live_h[order][:, order]
            self.live_x = self.live_x[order]
            self._relist()
        renumber(self, self.axes, order)

    @torch.no_grad()
    def rewire(self, wiring: Wiring) -> None:
        """Take another wiring of the same sizes and roles, in place.

        Every parameter keeps its numbers: where a synapse appears it has the weight that stands there. Steppers made
        before keep the old wiring.

        Parameters
        ----------
        wiring : Wiring
            Which synapses exist from now on. Its signs are kept for `config`; an LTC's `erev` stays as it is.

        Raises
        ------
        OptionError
            If the cell was made without a wiring, or a unit's role would change.
        ShapeError
            If `wiring` has other sizes.

        Notes
        -----
        H*H + F*H comparisons. No tensor that is learned is made anew, so an optimiser goes on; masks are written in
        place.

        Examples
        --------
        >>> from liquidtorch import Leaky
        >>> from liquidtorch.wiring import random
        >>> cell = Leaky(2, 6, wiring=random(6, 2, seed=0))
        >>> cell.rewire(random(6, 2, seed=1))
        >>> cell.wiring == random(6, 2, seed=1)
        True
        """
        was = self.wiring
        if was is None:
            raise OptionError("`wiring` must be given when a cell is made, for it to be rewired; this one has none.")
        self._fits(wiring)
        moved = [i for i, (now, before) in enumerate(zip(wiring.roles, was.roles, strict=True)) if now != before]
        if moved:
            i = moved[0]
            raise OptionError(
                f"`wiring` must keep every unit in its role; got {wiring.roles[i]} at {i} ({was.roles[i]} so far)."
            )
        self.wiring = wiring
        self.live_h.copy_(_float(wiring.recurrent != 0))
        self.live_x.copy_(_float(wiring.sensory != 0))
        self._relist()

    def _fits(self, wiring: Wiring) -> None:
        if (wiring.units, wiring.features) != (self.units, self.features):
            raise ShapeError(
                f"`wiring` must have {self.units} units and {self.features} features, as the cell; "
                f"got {wiring.units} units and {wiring.features} features."
            )

    def _relist(self) -> None:
        """List the synapses again, after the wiring has changed."""
        self._list("h", self.live_h)

    def config(self) -> dict[str, Any]:
        """Return everything `cells.build` needs, as plain JSON values; the weights are in `state_dict`."""
        tau = self.tau
        if isinstance(tau, Tensor | np.ndarray):
            tau = {"each": tau.tolist()}
        elif isinstance(tau, Sequence):
            tau = list(tau)
        wiring = None if self.wiring is None else self.wiring.to_json()
        sizes = {"kind": type(self).__name__, "features": self.features, "units": self.units}
        return {**sizes, "tau": tau, "wiring": wiring, **self.options}

    def extra_repr(self) -> str:
        """Say the sizes and options when printed."""
        shown = {"wiring": self.wiring.name} if self.wiring is not None else {}
        return ", ".join([f"{self.features}, {self.units}", *(f"{k}={v!r}" for k, v in (self.options | shown).items())])


def first_parameter(module: nn.Module) -> Tensor:
    """Return `next(module.parameters())`, whose dtype and device count, in a tenth of the time.

    Of a module that has none, the first buffer of numbers with fractions: what is fixed has a dtype all the same.
    """
    while not module._parameters:
        inner = next((m for m in module._modules.values() if m and next(m.parameters(), None) is not None), None)
        if inner is None:
            return next(b for b in module.buffers() if b.is_floating_point())
        module = inner
    return next(iter(module._parameters.values()))  # pyright: ignore[reportReturnType]


def build(config: dict[str, Any]) -> Cell:
    """Make a cell from what its `config` returned, with fresh weights.

    Raises
    ------
    OptionError
        If no cell of that kind is known.

    Examples
    --------
    >>> from liquidtorch import cells
    >>> cells.build(cells.Leaky(3, 8, method="euler").config())
    Leaky(3, 8, method='euler')
    """
    options = dict(config)
    kind = options.pop("kind", None)
    check_choice("kind", kind, Cell.kinds)
    if isinstance(options.get("tau"), dict):
        options["tau"] = torch.tensor(options["tau"]["each"])
    if options.get("wiring") is not None:
        options["wiring"] = Wiring.from_json(options["wiring"])
    return Cell.kinds[kind](options.pop("features"), options.pop("units"), **options)


@torch.no_grad()
def renumber(module: nn.Module, axes: dict[str, str], order: Sequence[int] | Tensor) -> None:
    """Renumber, in place, every axis of every parameter that `axes` spells H."""
    for name, letters in axes.items():
        parameter = getattr(module, name)
        for axis, letter in enumerate(letters):
            if letter == "H":
                parameter.copy_(parameter.index_select(axis, torch.as_tensor(order, device=parameter.device)))


def log_taus(tau: Tau, units: int) -> Tensor:
    """Return log tau (H,) for one time constant, a range to draw from log-uniformly, or one for each unit."""
    if isinstance(tau, Tensor | np.ndarray):
        each = torch.as_tensor(tau).detach().to(torch.get_default_dtype(), copy=True)
        if each.shape != (units,):
            raise ShapeError(
                f"`tau` must be a number, a pair or a tensor ({units},); got a tensor {tuple(each.shape)}."
            )
        if not bool(((each > 0) & each.isfinite()).all()):
            worst = int((~((each > 0) & each.isfinite())).nonzero()[0])
            raise OptionError(f"`tau` must be above 0 and finite; got {each[worst].item():g} (unit {worst}).")
        return each.log()
    pair: Any = tau if isinstance(tau, Sequence) and len(tau) == 2 else (tau, tau)
    low, high = pair
    check_range("tau", low, 0, open_low=True)
    check_range("tau", high, low)
    return math.log(low) + torch.rand(units) * (math.log(high) - math.log(low))


def fan_in_uniform(shape: tuple[int, ...], live: Tensor | None = None) -> nn.Parameter:
    """Return weights (..., to, from), uniform within 1/sqrt(the sources that unit has)."""
    sources = torch.full((shape[-2],), float(shape[-1])) if live is None else live.sum(-1).clamp(min=1)
    return nn.Parameter((2 * torch.rand(shape) - 1) / sources.sqrt().unsqueeze(-1))


def masked(W: Tensor, live: Tensor | None) -> Tensor:
    """Return W with exact zeros, and no gradient, where there is no synapse."""
    return W if live is None else W * live


def no_wiring(wiring: Wiring | None, kind: str) -> None:
    """Refuse a wiring where no unit ever feels another."""
    if wiring is not None:
        raise OptionError(
            f"`wiring` must be None for {kind}; got {wiring.name!r} (its units do not feel one another). "
            "Use Liquid, Leaky, LTC or CfC with a wiring."
        )


def _float(found: np.ndarray) -> Tensor:
    return torch.from_numpy(found.astype(np.float32)).to(torch.get_default_dtype())


def _renumbered(wiring: Wiring, order: list[int]) -> Wiring:
    moved = [i for i, j in enumerate(order) if wiring.roles[i] != wiring.roles[j]]
    if moved:
        i = moved[0]
        raise OptionError(
            f"`order` must keep every unit in its role; got {order[i]} at {i} "
            f"({wiring.roles[order[i]]} in the place of {wiring.roles[i]})."
        )
    rows = np.array(order)
    return Wiring(
        wiring.recurrent[rows][:, rows], wiring.sensory[rows], outputs=wiring.outputs, roles=wiring.roles,
        name=wiring.name,
    )  # fmt: skip
