"""Encoder, body and readout as one network, called like a layer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .. import encoders, layers, readout
from ..cells import Cell, Spec
from ..data.sequences import Sequences
from ..errors import OptionError, ShapeError, check_choice, check_range
from ..layers.door import tensors_of
from ..layers.stepper import called
from ..ops import Stepper
from ..readout import solved
from ..reservoir import Echo, LiquidState
from ..task import Task
from ..wiring import Wiring
from .stepper import stepper


class LiquidNetwork(layers.Layer):
    """Answer at every step: y = readout([body(z), z]) with z = encoder(x).

    For a forecast y is the change since the value last seen, added to that value: before anything is learned the
    answer is that nothing changes but by the usual amount. Where time is irregular the readout gives the change at the
    mean gap and its slope: change + slope * (gap / mean gap - 1), since what moves moves further in a longer gap.

    Parameters
    ----------
    encoder : Identity or MissingAware
        Raw numbers (B,T,F) to channels z.
    body : layer
        `Recurrent`, `Stack` or any other of `layers`, of `encoder.outputs` features.
    readout : readout.Linear, readout.MLP, readout.Ridge or readout.Logistic
        To the answer, in the target's unit; of `body.outputs` features, and with `skip` `encoder.outputs` more. The
        last two are solved, not trained (`train.fit`), and see all of that once more for each gap ahead, times
        (gap / mean gap - 1).
    task : Task
        What is asked; y has `task.outputs` numbers.
    columns : tuple of int
        For a forecast, the columns of x that hold its targets; empty otherwise.
    ahead : int, at least 0
        How many columns of x, after the features, say how far ahead in time the rows asked for lie.
    skip : bool
        Whether the readout also sees the channels themselves: linear where linear is enough.
    pool : "last" or "mean"
        How the answers of all steps become one for the series, where one is asked for.
    schema : dict or None
        `Sequences.schema()` of the training data, for reading other data the same way.

    Raises
    ------
    OptionError, ShapeError
        When the parts do not fit each other.

    Notes
    -----
    It is a layer, and is called like one (`Layer.forward`): x raw (B,T,F) where NaN is a missing value, y
    (B,T,task.outputs) in the unit of the targets, logits for classes. Its state is a flat NamedTuple: the encoder's
    parts, then the body's.

    Examples
    --------
    >>> import numpy as np
    >>> from liquidtorch.data import from_arrays
    >>> from liquidtorch.task import infer
    >>> train = from_arrays(np.random.default_rng(0).normal(size=(4, 20, 3)), ["a", "b", "a", "b"])
    >>> task, _ = infer(train)
    >>> net = LiquidNetwork.for_data(train, task, units=8)
    >>> y, h = net(torch.zeros(2, 5, 3))
    >>> y.shape
    torch.Size([2, 5, 2])
    """

    _last: Tensor

    def __init__(
        self,
        encoder: encoders.Identity | encoders.MissingAware,
        body: layers.Layer,
        readout: readout.Linear | readout.Ridge | readout.Logistic,
        *,
        task: Task,
        columns: tuple[int, ...] = (),
        ahead: int = 0,
        skip: bool = True,
        pool: str = "last",
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_choice("pool", pool, ("last", "mean"))
        ahead = check_range("ahead", ahead, 0, whole=True)
        wide = (body.outputs + encoder.outputs * skip) * (1 + ahead * solved(readout))
        for name, got, wanted in (
            ("body.features", body.features, encoder.outputs),
            ("readout.features", readout.features, wide),
            ("readout.outputs", readout.outputs, task.outputs * (2 if ahead and not solved(readout) else 1)),
        ):
            if got != wanted:
                raise ShapeError(f"`{name}` must be {wanted} to fit the other parts; got {got}.")
        if len(columns) != (len(task.targets) if task.kind == "forecast" else 0):
            raise OptionError(
                f"`columns` must name a column for each target of a forecast, and none otherwise; got {columns}."
            )
        self.encoder, self.body, self.readout, self.task = encoder, body, readout, task
        self.columns, self.ahead, self.skip, self.pool = tuple(columns), ahead, skip, pool
        self.sloped = bool(ahead) and not solved(readout)
        self.schema = None if schema is None else dict(schema)
        self.features, self.outputs = encoder.features, task.outputs
        self.causal, self.continuous = body.causal, False
        repeated = [column for column in self.columns for _ in range(1 + len(task.quantiles))]
        self.register_buffer("_last", torch.tensor(repeated * task.horizon, dtype=torch.int64), persistent=False)
        self._publish()

    @classmethod
    def for_data(
        cls,
        train: Sequences,
        task: Task,
        *,
        body: str = "liquid",
        units: int = 64,
        layers: int = 1,
        wiring: str | Wiring | None = None,
        tau: str | float | tuple[float, float] = "auto",
        encoder: str | None = None,
        readout: str | None = None,
        skip: bool = True,
        pool: str | None = None,
        seed: int = 0,
    ) -> LiquidNetwork:
        """Make a network that fits the training data: its columns, gaps, scales and time constants.

        Parameters
        ----------
        train : Sequences
            The training part alone; scales and gaps are learned from it.
        task : Task
            What is asked.
        body : "liquid", "ltc", "cfc", "leaky", "linear" or "mobius"; "echo" or "spiking"
            The cell; or a fixed random reservoir, `EchoState` or a `LiquidState` calibrated on the training data.
        units, layers : int, at least 1
            Units of each layer, and how many lie on top of each other.
        wiring : str or Wiring, optional
            Which synapses there are, such as "auto_ncp" or "random:0.2" (`wiring.make`); one layer only.
        tau : "auto", number or (low, high)
            Time constants at the start, in `train.unit`; "auto": from the 5 % quantile of dt to the span of the
            median series (an LTC starts as published, for steps of the median dt).
        encoder : str or None
            A code of spikes between the channels and the body, such as "step_forward" (`reservoir.CODES`), fitted to
            the training data, or "auto": the one that keeps most of them.
        readout : "linear", "mlp", "ridge", "logistic" or None
            What follows the body: a linear answer, or that and one hidden layer beside it; or, solved in closed form,
            numbers or class scores by ridge regression, one target's classes by logistic regression. None: "mlp"; for
            a reservoir "ridge", or "logistic" for the classes of one target.
        skip : bool
            Whether the readout also sees the encoder's channels.
        pool : "last", "mean" or None
            How a series is answered; None: mean for classes, last for numbers.
        seed : int, at least 0
            Fixes the weights; the global random state is left as it was.

        Returns
        -------
        LiquidNetwork

        Raises
        ------
        DataError, OptionError
            When data, task and options do not fit each other.
        """
        from .build import network  # it makes objects of this class

        options = {"body": body, "units": units, "layers": layers, "wiring": wiring, "tau": tau, "encoder": encoder}
        return network(cls, train, task, **options, readout=readout, skip=skip, pool=pool, seed=seed)

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Answer at every step, over checked tensors."""
        seen, filled, h = self.seen(x, h, dt, lengths, reset)
        y = self.readout(seen)
        if self.sloped:
            change, slope = y.chunk(2, dim=-1)
            y = change + slope * (self.longer(filled) - 1).repeat_interleave(self.outputs // self.ahead, dim=-1)
        if self.columns:
            y = y + filled[..., self._last]
        if lengths is not None:
            inside = torch.arange(y.shape[1], device=y.device) < lengths[:, None]
            y = torch.where(inside[..., None], y, 0.0)
        return y, h

    def seen(
        self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Tensor, Any]:
        """Return what the readout sees (B,T,readout.features), the filled values (B,T,F), and the new state."""
        parts = tensors_of(h)
        cut = len(self.encoder.state_spec())
        z, filled, e = self.encoder.filled(x, parts[:cut], dt=dt, lengths=lengths, reset=reset)
        y, b = self.body.run(z, self.body._state(parts[cut:]), dt, lengths, reset)
        seen = torch.cat([y, z.to(y.dtype)], -1) if self.skip else y
        if self.ahead and not self.sloped:
            slopes = seen.unsqueeze(-2) * (self.longer(filled) - 1).unsqueeze(-1).to(seen.dtype)
            seen = torch.cat([seen, slopes.flatten(-2)], -1)
        return seen, filled, self._state([*e, *tensors_of(b)])

    @property
    def learned(self) -> int:
        """How many numbers are learned from data: parameters; under a readout that is not trained, its own alone."""
        if self._trained:
            return sum(p.numel() for p in self.parameters() if p.requires_grad)
        return sum(b.numel() for b in self.readout.buffers())

    @property
    def _trained(self) -> bool:
        """Whether the readout is trained, and the body with it; else the body stays as it was drawn."""
        return isinstance(self.readout, tuple(readout.KINDS.values()))

    def longer(self, filled: Tensor) -> Tensor:
        """Return the gaps ahead over their means (..., H), from the encoder's filled values (..., F)."""
        gaps = slice(self.features - self.ahead, self.features)
        return filled[..., gaps] / self.encoder.mean[gaps]

    def _stepper(self) -> Stepper:
        return called(self) if solved(self.readout) else stepper(self)

    def initial(self, batch: int) -> Any:
        """Return the state before the first step."""
        return self._state([*self.encoder.initial(batch), *tensors_of(self.body.initial(batch))])

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe each part of the state: name, width and bounds."""
        parts = (("encoder", self.encoder), ("body", self.body))
        return tuple(Spec(f"{name}_{s[0]}", *s[1:]) for name, part in parts for s in part.state_spec())

    def taus(self) -> Tensor:
        """Return the present base time constants of all units, in the unit of dt."""
        return self.body.taus()

    @torch.no_grad()
    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt, and gaps ahead, given in a unit c times finer."""
        self.encoder.scale_time(c)
        self.body.scale_time(c)
        gaps = slice(self.features - self.ahead, self.features)
        self.encoder.mean[gaps] *= c
        self.encoder.scale[gaps] *= c

    def describe(self) -> dict[str, Any]:
        """Return what it is made of, as plain JSON.

        "parameters" counts the numbers that are learned, "learned" says of which parts: "readout" alone where the body
        stays as it was drawn; "body", "units", "layers", "synapses", "wiring", "tau".
        """
        parts = [module for module in self.body.modules() if isinstance(module, Cell | LiquidState)]
        wiring = getattr(parts[0], "wiring", None)
        body = self._trained and any(p.requires_grad for p in self.body.parameters())
        return {
            "parameters": self.learned,
            "learned": "body and readout" if body else "readout",
            "body": "+".join(dict.fromkeys(type(part).__name__ for part in parts)),
            "units": parts[0].units,
            "layers": len(parts),
            "synapses": sum(_synapses(part) for part in parts),
            "wiring": None if wiring is None else wiring.to_json(),
            "tau": self.taus().tolist(),
        }

    def config(self) -> dict[str, Any]:
        """Return what `load` builds an equal network from, as plain JSON; the weights are in `state_dict`."""
        return {
            "kind": "LiquidNetwork",
            "encoder": self.encoder.config(),
            "body": self.body.config(),
            "readout": self.readout.config(),
            "task": self.task.to_json(),
            "columns": list(self.columns),
            "ahead": self.ahead,
            "skip": self.skip,
            "pool": self.pool,
            "schema": self.schema,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LiquidNetwork:
        """Make a network from what its `config` returned, with fresh weights."""
        return cls(
            encoders.build(config["encoder"]),
            layers.build(config["body"]),
            readout.build(config["readout"]),
            task=Task.from_json(config["task"]),
            columns=tuple(config["columns"]),
            ahead=config["ahead"],
            skip=config["skip"],
            pool=config["pool"],
            schema=config["schema"],
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the network as a folder: `model.safetensors` and `config.json`.

        A network that is already there is replaced, at once and whole.
        """
        from .disk import save

        save(self, folder)


def _synapses(part: Cell | LiquidState) -> int:
    """Count the synapses between units, and from the features."""
    if isinstance(part, Echo | LiquidState):
        return part.weight.numel() + int(part.W_x.count_nonzero())
    if part.wiring is None:
        return part.units * (part.units + part.features)
    return part.wiring.all_synapses
