"""LiquidState: a fixed random liquid of spiking neurons, shown by the traces its spikes leave."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from .. import ops
from ..cells import Spec
from ..cells.cell import Tau, log_taus
from ..errors import OptionError, check_choice, check_range
from ..layers import Layer
from ..layers.door import Times, live_steps
from . import column

TIMES = ("tau", "tau_syn", "tau_trace", "refractory", "substep")  # buffers that are times, all of each
Pair = tuple[float, float]


class LiquidState(Layer):
    """Run a liquid state machine: leaky integrate-and-fire neurons that excite and inhibit each other, never trained.

    `tau dv/dt = bias - v + i_exc + i_inh + W_x x`, `tau_syn di/dt = -i`; at `v >= threshold` a spike: v is set to
    `rest` and held there for the refractory period, every synapse adds its weight to `i` of its target after its
    delay. `y = trace`, for every neuron and time constant: `trace' = trace*exp(-dt/tau_trace) + spike`.

    Parameters
    ----------
    features : int, at least 1
        The width F of the input: currents or spikes.
    units : int, at least 1
        The neurons H. Those that excite come first.
    topology : str
        `"column"`, `"column:REACH"`, `"column:REACH:XxYxZ"`: neurons in space, near ones connected (reach 2 and a grid
        of 3 x 3 x units/9 if left out); `"random:DENSITY"`: every neuron hears that fraction of all.
    inhibitory : float, 0 to 1
        The fraction of neurons that inhibit.
    inputs : "current" or "spikes"
        Whether x is a current held over dt, or how many spikes came at its start: these act through the synaptic
        currents, the more the more there are, whatever dt is.
    input_density : float, above 0 to 1
        The fraction of neurons that each feature reaches.
    tau : float, (float, float) or tensor (H,), above 0
        Time constants of the membranes: one for all, log-uniform between two, or each. All times are in the unit of dt.
    tau_syn : (float, float), above 0
        Time constants of the currents that excite and that inhibit.
    refractory : (float, float), at least 0
        Refractory periods of neurons that excite and that inhibit; a period ends with a step, never early.
    threshold, rest, bias : float
        Threshold, potential after a spike (below the threshold), and constant drive; a potential without unit. The
        potential at the start is drawn between rest and threshold.
    adaptation : (float, float), optional
        What each spike adds to its neuron's threshold, and the time constant with which that is forgotten.
    delay : (float, float), at least 0
        Delays between neurons that excite, and of all other synapses; whole multiples of `substep`.
    substep : float, above 0
        To what time delays are kept. A spike arrives at the end of the first step by which its delay has passed.
    plasticity : bool
        Whether synapses depress and facilitate in the short term.
    traces : sequence of floats, above 0
        Time constants of the traces; `outputs = units*len(traces)`, those of the first time constant first.
    seed : int, at least 0
        Draws connections, weights, `tau` and the potentials at the start.

    Raises
    ------
    OptionError
        If an option is out of range, or delays are not whole substeps.
    ShapeError
        If `tau` is a tensor of another length.

    Notes
    -----
    One step a dt: membranes and currents are integrated exactly over it, but a neuron spikes at most once, at its end,
    so dt should be well below `tau` and the refractory period. Without gradients a kernel runs that walks only the
    synapses of neurons that spiked; where x or the state asks for gradients, plain PyTorch with a surrogate for the
    spike's derivative (`smooth` is False). With `inputs="spikes"` a spike counts however short dt is (`continuous` is
    False). A fresh liquid has no good scale of input and weights: use `reservoir.calibrate_spiking`. Weights are
    buffers.

    Source
    ------
    Maass, Natschlaeger and Markram 2002: connection, weights, neurons, U, D and F of the plasticity by kind of pair
    (means; delays of 0.8 made 1), times in ms, potentials in units of the 15 mV threshold. Adaptation: Bellec et al.
    2018 (arXiv 1803.09574), eq. 2, without the factor (1 - exp(-dt/tau)), so that it holds for any dt.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import LiquidState
    >>> liquid = LiquidState(3, 50, traces=(5.0, 20.0))
    >>> y, h = liquid(torch.ones(2, 30, 3))
    >>> y.shape
    torch.Size([2, 30, 100])
    """

    smooth = False
    spiking = True
    W_x: Tensor  # (H, F)
    weight: Tensor  # (S,), as in ops.Spiking
    membrane: Tensor
    tau: Tensor
    tau_trace: Tensor
    adaptation: Tensor | None
    plasticity: Tensor | None

    def __init__(
        self, features: int, units: int, *, topology: str = "column", inhibitory: float = 0.2, inputs: str = "current",
        input_density: float = 0.3, tau: Tau = 30.0, tau_syn: Pair = (3.0, 6.0), refractory: Pair = (3.0, 2.0),
        threshold: float = 1.0, rest: float = 0.9, bias: float = 0.9, adaptation: Pair | None = None,
        delay: Pair = (1.5, 1.0), substep: float = 0.5, plasticity: bool = False,
        traces: Sequence[float] = (5.0, 20.0, 80.0), seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.features = check_range("features", features, 1, whole=True)
        self.units = check_range("units", units, 1, whole=True)
        check_choice("inputs", inputs, ("current", "spikes"))
        check_range("input_density", input_density, 0, 1, open_low=True)
        check_range("substep", substep, 0, open_low=True)
        check_range("threshold", threshold)
        check_range("bias", bias)
        if check_range("rest", rest) >= threshold:
            raise OptionError(f"`rest` must be below the threshold, {threshold:g}; got {rest!r}.")
        if not len(traces):
            raise OptionError("`traces` must hold at least one time constant; got none.")
        pairs = {"tau_syn": tau_syn, "refractory": refractory, "delay": delay, "adaptation": adaptation}
        for name, pair in pairs.items():
            if pair is not None and len(pair) != 2:
                raise OptionError(f"`{name}` must be two numbers; got {pair!r}.")
        for name, values in (("tau_syn", tau_syn), ("traces", traces), ("adaptation", (adaptation or (1, 1))[1:])):
            for value in values:
                check_range(name, value, 0, open_low=True)
        for name, values in (("refractory", refractory), ("delay", delay)):
            for value in values:
                check_range(name, value, 0)
        self.options = {
            "topology": str(topology), "inhibitory": inhibitory, "inputs": inputs, "input_density": input_density,
            "tau": {"each": torch.as_tensor(tau).tolist()} if isinstance(tau, Tensor | np.ndarray) else tau,
            "tau_syn": tau_syn, "refractory": refractory, "threshold": threshold, "rest": rest, "bias": bias,
            "adaptation": adaptation, "delay": delay, "substep": substep, "plasticity": bool(plasticity),
            "traces": traces, "seed": seed,
        }  # fmt: skip
        self.continuous = inputs == "current"
        found = column.make(topology, self.units, inhibitory=inhibitory, seed=seed)
        self.excitatory, self.outputs = found.excitatory, self.units * len(traces)
        self._wire(found, _substeps(delay, substep))
        self._fill(tau, found)
        self._publish()

    def _wire(self, found: column.Synapses, delay: tuple[int, int]) -> None:
        """Keep the synapses as the kernel walks them: those of a source, first to targets that excite."""
        H, (source, target) = self.units, found.kinds()
        pool = 2 * found.source + target
        late = np.where((source == 0) & (target == 0), *delay)
        self.slots = int(late.max(initial=0))
        whole = {
            "first": np.searchsorted(pool, np.arange(2 * H + 1)), "pool": pool,
            "place": (2 * late + source) * H + found.target,
        }  # fmt: skip
        for name, values in whole.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.int32)))

    def _fill(self, tau: Tau, found: column.Synapses) -> None:
        """Keep all that is a number."""
        options, H, seed = self.options, self.units, self.options["seed"]
        rng = np.random.default_rng([seed, 2])
        kind = np.arange(H) >= self.excitatory
        W_x = column.inputs(H, self.features, self.excitatory, density=options["input_density"], seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            taus = log_taus(tau, H).exp()
        plasticity = np.stack([_by_pool(table, kind) for table in (column.USE, column.DEPRESSION, column.FACILITATION)])
        numbers = {
            "W_x": W_x, "weight": found.weight, "tau": taus, "tau_syn": options["tau_syn"],
            "tau_trace": options["traces"], "refractory": np.where(kind, *reversed(options["refractory"])),
            "membrane": [options["threshold"], options["rest"], options["bias"]],
            "start": rng.uniform(options["rest"], options["threshold"], H),
            "substep": options["substep"] if self.slots else None, "adaptation": options["adaptation"],
            "plasticity": plasticity if options["plasticity"] else None,
        }  # fmt: skip
        for name, values in numbers.items():
            kept = None if values is None else torch.as_tensor(values).to(torch.get_default_dtype())
            self.register_buffer(name, kept)

    def _spiking(self) -> ops.Spiking:
        own = {name: self._buffers[name] for name in ops.Spiking._fields if name != "slots"}
        return ops.Spiking(**own, slots=self.slots)  # pyright: ignore[reportArgumentType]

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the state: potentials, what is left of refractory periods (1: all), traces, currents."""
        inf = float("inf")
        bounds = {"refractory": (0.0, 1.0), "utilisation": (0.0, 1.0), "resources": (0.0, 1.0), "phase": (0.0, 1.0)}
        bounds |= {"trace": (0.0, inf), "adaptation": (0.0, inf)}
        widths = self._spiking().widths()
        return tuple(Spec(name, width, *bounds.get(name, (-inf, inf))) for name, width in widths.items())

    def initial(self, batch: int) -> Any:
        """Return the state before the first step: drawn potentials, full resources, and no current."""
        return self._state([a.repeat(batch, 1) for a in self._spiking().fresh()])

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Run over checked tensors."""
        live = None if lengths is None else live_steps(lengths, x.shape[1])
        if live is not None:  # what stands in the padding must not reach a gradient, not even as 0 * nan
            x, dt = x.masked_fill(~live.unsqueeze(-1), 0), dt.masked_fill(~live, 0)
        y, after = ops.spiking(linear(x, self._map()), h, dt, self._spiking(), lengths=lengths, reset=reset)
        return y if live is None else y.masked_fill(~live.unsqueeze(-1), 0), self._state(after)

    def _map(self) -> Tensor:
        """Return W_x; for spikes that come in, (2H, F), what excites beside what inhibits."""
        W = self.W_x
        return torch.cat([W.clamp(min=0), W.clamp(max=0)]) if self.options["inputs"] == "spikes" else W

    def _stepper(self) -> ops.Stepper:
        W = self._map()
        fits = W.device.type == "cpu" and W.dtype in (torch.float32, torch.float64) and ops.pick("stepper", W)
        return ops.spiking_stepper(W, self._spiking()) if fits else super()._stepper()

    @torch.no_grad()
    def spikes(
        self, x: Tensor, h: Any = None, *, dt: Times = 1.0, lengths: Any = None, reset: Any = None
    ) -> Tensor:  # fmt: skip
        """Return which neurons spike at which step.

        Parameters
        ----------
        x, h, dt, lengths, reset
            As the layer itself takes them; x a tensor.

        Returns
        -------
        tensor (B, T, H) of bool

        Examples
        --------
        >>> import torch
        >>> from liquidtorch import LiquidState
        >>> LiquidState(1, 5).spikes(torch.full((1, 9, 1), 9.0)).any().item()
        True
        """
        counting = copy.copy(self)
        counting._buffers = {**self._buffers, "tau_trace": self.tau_trace.new_full((1,), math.inf)}
        counting._publish()
        if h is not None:
            own = {"trace": h.trace.new_zeros(h.trace.shape[0], self.units)}
            h = counting._state([own.get(name, a) for name, a in h._asdict().items()])
        counts, _ = counting(x, h, dt=dt, lengths=lengths, reset=reset)
        before = torch.cat([torch.zeros_like(counts[:, :1]), counts[:, :-1]], dim=1)
        if reset is not None:
            before = before.masked_fill(torch.as_tensor(reset, device=counts.device).unsqueeze(-1), 0)
        return counts > before

    def taus(self) -> Tensor:
        """Return the time constant of every membrane, (H,), in the unit of dt."""
        return self.tau.detach().clone()

    @torch.no_grad()
    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        check_range("c", c, 0, open_low=True)
        for t in [self._buffers[name] for name in TIMES]:
            if t is not None:
                t.mul_(c)
        if self.adaptation is not None:
            self.adaptation[1].mul_(c)
        if self.plasticity is not None:
            self.plasticity[1:].mul_(c)

    def config(self) -> dict[str, Any]:
        """Return everything `layers.build` needs, as plain JSON values; the weights are in `state_dict`."""
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in self.options.items()}
        return {"kind": "LiquidState", "features": self.features, "units": self.units, **plain}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LiquidState:
        """Make a layer from what its `config` returned, with weights from its seed."""
        options = {name: value for name, value in config.items() if name != "kind"}
        if isinstance(options["tau"], dict):
            options["tau"] = torch.tensor(options["tau"]["each"])
        return cls(options.pop("features"), options.pop("units"), **options)

    def extra_repr(self) -> str:
        """Say the sizes and options when printed."""
        return f"{self.features}, {self.units}, topology={self.options['topology']!r}"


def _substeps(delay: Pair, substep: float) -> tuple[int, int]:
    """Return delays in whole substeps."""
    found = tuple(round(d / substep) for d in delay)
    for d, k in zip(delay, found, strict=True):
        if abs(d - k * substep) > 1e-6 * substep:
            raise OptionError(
                f"`delay` must be whole multiples of the substep, {substep:g}; got {d!r}. "
                f"Use {k * substep:g}, or a finer substep."
            )
    return found  # pyright: ignore[reportReturnType]


def _by_pool(table: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return a number for each source and kind of target, (2H,), from a table by their kinds."""
    return table[kind.astype(int)].ravel()
