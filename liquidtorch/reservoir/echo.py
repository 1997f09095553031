"""EchoState: a sparse recurrent layer of leaky units that is drawn from a seed and never trained."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from .. import cells, ops
from ..cells import Cell, Spec
from ..cells.cell import Tau, log_taus
from ..errors import OptionError, ShapeError, check_choice, check_range, check_shape
from ..layers import Recurrent
from .matrix import matrix

TAU = (1.0, 10.0)
INSTANT = 1e-9  # the time constant of a unit that keeps nothing: exp(-dt/tau) is 0 from dt = 1e-6 on


class Echo(Cell):
    """Relax every unit of a fixed sparse network towards a function of its inputs; the cell of `EchoState`.

    `h' = (1-a)*h + a*f(W_x x + b + W h)`, `a = 1-exp(-dt/tau)`. Its numbers are buffers: `weight`, the synapses of W in
    the order of their places `place_h`, `W_x`, `b` and `log_tau`.
    """

    axes = {"W_x": "HF", "b": "H", "log_tau": "H"}  # noqa: RUF012

    weight: Tensor
    W_x: Tensor
    b: Tensor
    log_tau: Any  # a buffer here
    place_h: Tensor

    def __init__(
        self, features: int, units: int, *, radius: float = 0.9, density: float | None = None,
        scale: float | Sequence[float] = 1.0, bias: float = 0.0, tau: Tau | None = None, leak: float | None = None,
        activation: str = "tanh", topology: str = "random", weights: str | None = None, noise: float = 0.0,
        feedback: int = 0, feedback_noise: float = 0.0, seed: int = 0,
    ) -> None:  # fmt: skip
        feedback = check_range("feedback", feedback, 0, whole=True)
        options = {"radius": radius, "density": density, "scale": scale, "bias": bias, "leak": leak}
        options |= {"activation": activation, "topology": topology, "weights": weights, "noise": noise}
        options |= {"feedback": feedback, "feedback_noise": feedback_noise, "seed": seed}
        super().__init__(check_range("features", features, 1, whole=True) + feedback, units, tau, **options)
        check_choice("activation", activation, ("tanh", "linear"))
        check_range("noise", noise, 0)
        check_range("feedback_noise", feedback_noise, 0)
        if feedback_noise and not feedback:
            raise OptionError(f"`feedback_noise` must be 0 without feedback; got {feedback_noise!r}. Set feedback=1.")
        self.activation, self.feedback, self.noise, self.feedback_noise = activation, feedback, noise, feedback_noise
        seeds = np.random.SeedSequence(check_range("seed", seed, 0, whole=True)).spawn(4)
        W = matrix(
            self.units, topology=topology, density=density, weights=weights, radius=radius, seed=seeds[0]
        )  # fmt: skip
        draw_x, draw_b, draw_tau = (np.random.default_rng(s) for s in seeds[1:])
        W_x = draw_x.uniform(-1, 1, (self.units, self.features)) * _scales(scale, self.features)
        b = draw_b.uniform(-1, 1, self.units) * check_range("bias", bias, 0)
        numbers = {"weight": W.weight, "W_x": W_x, "b": b, "log_tau": _log_tau(tau, leak, self.units, draw_tau)}
        for name, value in numbers.items():
            self.register_buffer(name, torch.as_tensor(value).to(torch.get_default_dtype()))
        self._list_at(torch.from_numpy(W.place))
        self.generator: torch.Generator | None = None  # of the noise, inside `EchoState.noisy`

    def _list_at(self, place: Tensor) -> None:
        """Keep the list of synapses at `place` for the kernels; the places alone are saved."""
        for field, found in ops.synapses_at(place, self.units)._asdict().items():
            self.register_buffer(f"{field}_h", found, persistent=field == "place")

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._list_at(self.place_h)

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the state: one tensor `h` (B, H), within [-1, 1], or without bounds where it is linear."""
        end = math.inf if self.activation == "linear" else 1.0
        return (Spec("h", self.units, -end, end),)

    def inputs(self, x: Tensor) -> Tensor:
        """Return `W_x x + b`, (..., H), with noise in both inside `EchoState.noisy`."""
        if self.generator is None:
            return linear(x, self.W_x, self.b)
        if self.feedback_noise:
            first, last = x.split([self.features - self.feedback, self.feedback], dim=-1)
            x = torch.cat([first, last + self.feedback_noise * self._normal(last)], dim=-1)
        u = linear(x, self.W_x, self.b)
        return u + self.noise * self._normal(u)

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype, device=like.device)

    def weights(self) -> tuple[Tensor, Tensor]:
        """Return the synapses' weights, and tau."""
        return self.weight, self.log_tau.exp()

    def step(self, u: Tensor, h: Tensor, dt: Tensor, weights: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return the state after one step."""
        options: Any = {"synapses": self._listed("h"), "activation": self.activation}
        return ops.echo_step(u, h, dt, *(weights or self.weights()), **options)

    def sequence(self, u: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Tensor:
        """Return the state after every step, (B, T, H)."""
        options: Any = {"synapses": self._listed("h"), "activation": self.activation}
        return ops.echo(u, h, dt, *self.weights(), lengths=lengths, reset=reset, **options)

    def stepper(self) -> ops.Stepper:
        """Return a compiled stepper with the weights as they are now, without noise."""
        options: Any = {"synapses": self._listed("h"), "activation": self.activation}
        return ops.echo_stepper(self.W_x, self.b, *self.weights(), **options)

    @torch.no_grad()
    def permute(self, order: Sequence[int] | Tensor) -> None:
        """Renumber the units in place: the new unit i is the old unit `order[i]`."""
        super().permute(order)
        new = torch.as_tensor(order, device=self.place_h.device).argsort()
        place = new[self.place_h // self.units] * self.units + new[self.place_h % self.units]
        place, by = place.sort()
        self.weight.copy_(self.weight[by])
        self._list_at(place)

    def config(self) -> dict[str, Any]:
        """Return everything `cells.build` needs, as plain JSON values."""
        config = super().config() | {"features": self.features - self.feedback}
        if isinstance(config["scale"], Sequence | np.ndarray):
            config["scale"] = [float(s) for s in config["scale"]]
        del config["wiring"]
        return config


class EchoState(Recurrent):
    """Run a fixed random sparse network of leaky units over time: an echo state network without its readout.

    `h' = (1-a)*h + a*f(W_x x + b + W h)`, `a = 1-exp(-dt/tau)`, f tanh or the identity; y is h.

    Parameters
    ----------
    features : int, at least 1
        The width of the input, without feedback.
    units : int, at least 1
        The width H of the state.
    radius : float, at least 0
        The spectral radius of W. What echoes die away by is the radius of `(1-a)*I + a*W`, at the most.
    density : float, above 0, at most 1, optional
        The fraction of synapses present; 0.1 if left out. Only for topologies with drawn synapses.
    scale : float or sequence of floats
        Of the input weights, uniform in [-scale, scale]: one for all, or one for each feature, then each column of
        feedback.
    bias : float, at least 0
        Of the biases b, uniform in [-bias, bias]. Without any, a tanh reservoir answers -x with -y.
    tau : float, (float, float) or tensor (H,), optional
        Time constants, above 0, in the unit of dt: one for all, log-uniform between two, or each. (1, 10), if leak
        is left out too.
    leak : float, above 0, at most 1, optional
        In place of tau: a at dt = 1, the same for all units, `tau = -1/log(1 - leak)`. 1: nothing is kept of h but what
        comes back through W.
    activation : "tanh" or "linear"
        f.
    topology : str
        "random", "blocked", "small_world", "ring", "jumps", "jumps:L" or "permutation": see `reservoir.matrix`.
    weights : "normal" or "uniform", optional
        What the weights of the first three topologies are drawn from; "normal" if left out.
    noise : float, at least 0
        Standard deviation of what is added to a unit's inputs, inside f, at every step within `noisy`.
    feedback : int, at least 0
        How many more columns x has, at its end: the outputs of the step before, or, to teach, the truth (`forced`).
    feedback_noise : float, at least 0
        Standard deviation of what is added to the feedback at every step within `noisy`.
    seed : int, at least 0
        Of all that is drawn: the same options and seed make the same weights.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or none of this topology; or tau and leak are both given.
    ShapeError
        If `scale` or `tau` has another length than features or units.

    Notes
    -----
    Nothing is trained: weights are buffers, saved with `state_dict` and moved with `.double()`, which float64 states
    need. One step costs `density*H*H + F*H` multiply-adds a row. A kernel runs where no gradient is asked for
    (`ops.backend("echo", x)`); gradients of x and of the state go through plain PyTorch. `layers.Stack` with
    `shown="all"` makes a deep reservoir whose readout sees every layer.

    Source
    ------
    Jaeger 2001 (GMD report 148); leaky units as Jaeger et al. 2007, eq. 2, with a from dt and tau.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import EchoState
    >>> layer = EchoState(3, 200, radius=0.9, scale=[1.0, 0.5, 0.1], tau=(1.0, 20.0), seed=1).double()
    >>> y, h = layer(torch.randn(2, 50, 3, dtype=torch.float64))
    >>> y.shape
    torch.Size([2, 50, 200])
    """

    cell: Echo

    def __init__(
        self, features: int, units: int, *, radius: float = 0.9, density: float | None = None,
        scale: float | Sequence[float] = 1.0, bias: float = 0.0, tau: Tau | None = None, leak: float | None = None,
        activation: str = "tanh", topology: str = "random", weights: str | None = None, noise: float = 0.0,
        feedback: int = 0, feedback_noise: float = 0.0, seed: int = 0,
    ) -> None:  # fmt: skip
        cell = Echo(
            features, units, radius=radius, density=density, scale=scale, bias=bias, tau=tau, leak=leak,
            activation=activation, topology=topology, weights=weights, noise=noise, feedback=feedback,
            feedback_noise=feedback_noise, seed=seed,
        )  # fmt: skip
        super().__init__(cell)

    @contextlib.contextmanager
    def noisy(self, seed: int = 0) -> Iterator[None]:
        """Inside the block, add the noise that the options say, drawn anew from `seed`; elsewhere there is none."""
        if not self.cell.noise and not self.cell.feedback_noise:
            raise OptionError("`noise` or `feedback_noise` must be above 0 for `noisy`; both are 0.")
        self.cell.generator = torch.Generator(self.cell.W_x.device).manual_seed(seed)
        try:
            yield
        finally:
            self.cell.generator = None

    def forced(self, x: Tensor, truth: Tensor, before: Tensor | None = None) -> Tensor:
        """Return x with the outputs of the step before in its last columns: what teaches a layer with feedback.

        Parameters
        ----------
        x : tensor (B, T, features)
            The input, without feedback.
        truth : tensor (B, T, feedback)
            What the readout should say at each step.
        before : tensor (B, feedback), optional
            What it said before the first; zeros, if left out.

        Returns
        -------
        tensor (B, T, features + feedback)

        Raises
        ------
        ShapeError
            If a shape does not fit.
        """
        cell = self.cell
        sizes = check_shape("x", x.shape, ("batch", "time", "features"), features=cell.features - cell.feedback)
        sizes = check_shape("truth", truth.shape, ("batch", "time", "feedback"), **sizes, feedback=cell.feedback)
        first = torch.zeros_like(truth[:, 0]) if before is None else before
        check_shape("before", first.shape, ("batch", "feedback"), **sizes)
        return torch.cat([x, torch.cat([first.unsqueeze(1), truth[:, :-1]], dim=1)], dim=-1)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> EchoState:
        """Make a layer from what its `config` returned: the same weights, unless they have been changed since."""
        layer = cls.__new__(cls)
        Recurrent.__init__(layer, cells.build(config["cell"]))
        return layer


def _scales(scale: float | Sequence[float], features: int) -> np.ndarray:
    found = np.asarray(scale, dtype=np.float64)
    if found.shape not in ((), (features,)):
        raise ShapeError(
            f"`scale` must be a number or {features} numbers, one for each column of x; got {found.shape}."
        )
    if not np.isfinite(found).all():
        raise OptionError(f"`scale` must be finite; got {scale!r}.")
    return found


def _log_tau(tau: Tau | None, leak: float | None, units: int, rng: np.random.Generator) -> Tensor | np.ndarray:
    if leak is not None:
        if tau is not None:
            raise OptionError("`leak` must be left out where `tau` is given; got both.")
        check_range("leak", leak, 0, 1, open_low=True)
        return np.full(units, math.log(INSTANT if leak == 1 else -1 / math.log1p(-leak)))
    tau = TAU if tau is None else tau
    if isinstance(tau, Tensor | np.ndarray):
        return log_taus(tau, units)
    pair: Any = tau if isinstance(tau, Sequence) and len(tau) == 2 else (tau, tau)
    low, high = pair
    low, high = check_range("tau", low, 0, open_low=True), check_range("tau", high, low)
    return rng.uniform(math.log(low), math.log(high), units)
