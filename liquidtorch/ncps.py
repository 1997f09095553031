"""Reads networks trained with ncps 1.0.1 (its PyTorch part) into ours; ncps itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from .cells import LTC, Cell, CfC
from .encoders import Identity
from .errors import DataError, FormatError, OptionError, check_choice
from .layers import MixedMemory, Recurrent
from .model import LiquidNetwork
from .readout import Linear
from .task import Task
from .wiring import Wiring

_HEADS = ("ff1", "ff2", "time_a", "time_b")
_ACTIVATIONS = {"LeCun": "lecun_tanh", "SiLU": "silu", "ReLU": "relu", "Tanh": "tanh", "GELU": "gelu"}
_SWEEP = ("inter", "command", "motor")  # the layers of a wired CfC, in ncps' order
_LEAST = 1e-30  # stands for 0 where only the logarithm of a number is kept


def from_module(module: nn.Module) -> LiquidNetwork:
    """Turn a network of `ncps.torch` into one of ours with the same outputs.

    Parameters
    ----------
    module : ncps.torch.LTC, CfC, LTCCell, CfCCell or WiredCfCCell
        Left as it is; its weights are copied.

    Returns
    -------
    LiquidNetwork
        As `from_state_dict` returns it.

    Raises
    ------
    OptionError
        If `module` is none of these.
    FormatError, DataError
        As `from_state_dict`.
    """
    cell: Any = getattr(module, "rnn_cell", module)
    options: dict[str, Any] = {}
    if hasattr(cell, "_ode_unfolds"):
        options["ode_unfolds"] = cell._ode_unfolds
        options["epsilon"] = cell._epsilon
        options["implicit_param_constraints"] = cell._implicit_param_constraints
    elif hasattr(cell, "ff1") or hasattr(cell, "layer_0"):
        options["mode"] = getattr(cell, "layer_0", cell).mode
        if getattr(cell, "backbone", None) is not None:
            options["activation"] = _ACTIVATIONS[type(cell.backbone[1]).__name__]
    else:
        raise OptionError(
            f"`module` must be an LTC, a CfC or a cell of ncps.torch; got {type(module).__name__}. "
            "Pass the recurrent part of a larger network alone."
        )
    wiring = getattr(cell, "_wiring", None)
    if wiring is not None:
        options["roles"] = [wiring.get_type_of_neuron(i) for i in range(wiring.units)]
    return from_state_dict(module.state_dict(), **options)


@torch.no_grad()
def from_state_dict(
    state: Mapping[str, Tensor], *, roles: Sequence[str] | None = None,
    ode_unfolds: int | None = None, epsilon: float | None = None, implicit_param_constraints: bool | None = None,
    mode: str | None = None, activation: str | None = None,
) -> LiquidNetwork:  # fmt: skip
    """Turn the weights of an ncps network into one of ours with the same outputs.

    What the weights do not tell is asked for in ncps' own words; each option left out has ncps' default.

    Parameters
    ----------
    state : dict of tensors
        The `state_dict()` of an LTC, a CfC or a cell of `ncps.torch`, or a safetensors file read.
    roles : sequence of H of "motor", "command", "inter", optional
        Of an LTC, or of a CfC on a wiring without layers: which units are motor units; these are the outputs.
    ode_unfolds, epsilon, implicit_param_constraints : int, float, bool, optional
        Of an LTC; defaults 6, 1e-8, and True for `LTC`, False for `LTCCell`.
    mode, activation : str, optional
        Of a CfC; defaults "default" ("pure" tells itself) and "lecun_tanh" (only with a backbone).

    Returns
    -------
    LiquidNetwork
        An encoder that changes nothing, the body, and a linear readout: ncps' output mapping or projection. It
        answers at every step, (batch, time, outputs), whatever `return_sequences` and `batch_first` were.

    Raises
    ------
    FormatError
        If `state` is no ncps network, or lacks a part.
    OptionError
        If an option does not belong to the network, or `roles` are needed and missing.
    DataError
        If a conductance or capacitance is negative, which a physical synapse cannot be.

    Notes
    -----
    ncps' input mapping is folded into `mu_x` and `sigma_x`, its epsilon into the leak. Units keep ncps' numbers,
    motor units first; the state of a wired CfC, which ncps orders inter, command, motor, is put into this order.
    A wired CfC of ncps masks `ff1` and `ff2` but not the time heads: the wiring here holds all synapses that are
    used, and starts with zeros where ncps masks; training further may fill them. A CfC on a wiring without layers
    is dense in its recurrence, as it was trained; its outputs are the motor units, which ncps does not heed.
    Dropout in a backbone is not kept. The task is a number for each output at each step; for another, make a
    `LiquidNetwork` of the same parts, with `skip=False`.

    Examples
    --------
    >>> import torch
    >>> state = {name: torch.randn(5, 8) for name in ("ff1.weight", "ff2.weight", "time_a.weight", "time_b.weight")}
    >>> state |= {name.replace("weight", "bias"): torch.randn(5) for name in list(state)}
    >>> from_state_dict(state).body.cell
    CfC(3, 5, mode='default', carry=False)
    """
    cell = {n.removeprefix("rnn_cell."): w.detach() for n, w in state.items() if not n.startswith(("lstm.", "fc."))}
    beside = {n: w.detach() for n, w in state.items() if n.startswith(("lstm.", "fc."))}
    given = {
        "roles": roles, "ode_unfolds": ode_unfolds, "epsilon": epsilon,
        "implicit_param_constraints": implicit_param_constraints, "mode": mode, "activation": activation,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn only to be written over
        return _network(_read(cell, given, layer="rnn_cell.gleak" in state), beside, cell)


def _read(cell: dict[str, Tensor], given: dict[str, Any], *, layer: bool) -> _Found:
    """Tell by the names of the weights which network it is; the weights that are used leave `cell`."""
    if "gleak" in cell:
        _only(given, "an LTC", "roles", "ode_unfolds", "epsilon", "implicit_param_constraints")
        return _ltc(cell, **{"implicit_param_constraints": layer, **given})
    if "layer_2.ff1.weight" in cell:
        _only(given, "a CfC on a wiring with layers", "roles", "mode")
        return _layered_cfc(cell, **given)
    if "layer_0.ff1.weight" in cell:
        _only(given, "a CfC on a wiring without layers", "roles", "mode")
        return _flat_cfc(cell, "layer_0.", **given)
    if "backbone.0.weight" in cell:
        _only(given, "a CfC with a backbone", "mode", "activation")
        return _backbone_cfc(cell, **given)
    if "ff1.weight" in cell:
        _only(given, "a CfC without a wiring or a backbone", "mode")
        return _flat_cfc(cell, "", **given)
    raise FormatError(
        f"`state` must be the state_dict of an LTC or a CfC of ncps.torch; got {', '.join(list(cell)[:3])}, ... "
        "Pass the recurrent part of a larger network alone, its names without a prefix."
    )


class _Found(NamedTuple):
    """A cell, its weights, and what ncps does to its outputs: `readout @ y + shift`."""

    cell: Cell
    weights: dict[str, Tensor]
    readout: Tensor
    shift: Tensor
    place: Tensor  # (H,): the unit that ncps keeps at each position of its state


def _network(found: _Found, beside: dict[str, Tensor], left: dict[str, Tensor]) -> LiquidNetwork:
    cell, weight, bias = found.cell, found.readout, found.shift
    weights = {f"cell.{name}": value for name, value in found.weights.items()}
    mixed = "lstm.input_map.weight" in beside
    body = MixedMemory(cell) if mixed else Recurrent(cell)
    if mixed:
        weights |= _memory(beside, found.place)
    if "fc.weight" in beside:
        weight, bias = _take(beside, "fc.weight") @ weight, _take(beside, "fc.bias")
    if left or beside:
        raise FormatError(f"`state` must hold an ncps network and nothing else; got {', '.join([*left, *beside])} too.")
    readout = Linear(cell.outputs, len(weight))
    encoder = Identity([0.0] * cell.features, [1.0] * cell.features)
    task = Task("regress_steps", tuple(f"y{i}" for i in range(len(weight))))
    network = LiquidNetwork(encoder, body, readout, task=task, skip=False)
    network.to(dtype=weight.dtype, device=weight.device)
    body.load_state_dict(weights)
    readout.last.load_state_dict({"weight": weight, "bias": bias})
    return network


def _ltc(
    cell: dict[str, Tensor], *, implicit_param_constraints: bool, roles: Sequence[str] | None = None,
    ode_unfolds: int = 6, epsilon: float = 1e-8,
) -> _Found:  # fmt: skip
    like = cell["gleak"]
    p = {name: _take(cell, name).double() for name in ("gleak", "vleak", "cm", "sigma", "mu", "w", "erev")}
    p |= {f"{name}_x": _take(cell, f"sensory_{name}").double() for name in ("sigma", "mu", "w", "erev")}
    live, live_x = _take(cell, "sparsity_mask") != 0, _take(cell, "sensory_sparsity_mask") != 0
    features, units = live_x.shape
    for name, there in (("gleak", True), ("cm", True), ("w", live), ("w_x", live_x)):
        p[name] = softplus(p[name]) if implicit_param_constraints else _not_negative(name, p[name], there)
    # ncps adds epsilon below the line: a leak of that conductance towards 0
    leak = (p["gleak"] + epsilon).clamp(min=_LEAST)
    p["vleak"], p["gleak"] = p["gleak"] * p["vleak"] / leak, leak
    if "input_w" in cell:  # sigma*(x*input_w + input_b - mu) = (sigma*input_w)*(x - (mu - input_b)/input_w)
        scale, shift = _take(cell, "input_w").double(), cell.pop("input_b", like.new_zeros(features)).double()
        scale = torch.where(scale.abs() < 1e-12, 1e-12, scale).unsqueeze(1)
        p["sigma_x"], p["mu_x"] = p["sigma_x"] * scale, (p["mu_x"] - shift.unsqueeze(1)) / scale
    output_w = _take(cell, "output_w") if "output_w" in cell else like.new_ones(_outputs(roles, units))
    output_b = cell.pop("output_b", torch.zeros_like(output_w))
    wiring = None
    if len(output_w) < units or not (live.all() and live_x.all()):
        wiring = Wiring(_signs(p["erev"], live), _signs(p["erev_x"], live_x), len(output_w), roles, name="ncps")
    weights = {"log_cm": p.pop("cm").clamp(min=_LEAST).log()}
    weights |= {name: _before_softplus(p.pop(name)).T for name in ("w", "w_x")}
    weights |= {"gleak": _before_softplus(p.pop("gleak")), "vleak": p.pop("vleak")}
    weights |= {name: value.T for name, value in p.items()}
    weights = {name: value.to(like.dtype) for name, value in weights.items()}
    made = LTC(features, units, unfolds=ode_unfolds, wiring=wiring)
    return _Found(made, weights, torch.diag(output_w), output_b, torch.arange(units))


def _signs(erev: Tensor, live: Tensor) -> np.ndarray:
    """Return (to, from) the signs of the reversal potentials where a synapse is; 0 counts as exciting."""
    return torch.where(live, torch.where(erev < 0, -1, 1), 0).T.cpu().numpy()


def _heads(cell: dict[str, Tensor], prefix: str, mode: str | None) -> tuple[str, Tensor, Tensor, dict[str, Tensor]]:
    """Take the heads of a CfC: mode, weights (K, to, from) with zeros where ncps masks, biases (K, to), A and w_tau."""
    pure = f"{prefix}w_tau" in cell
    mode = ("pure" if pure else "default") if mode is None else mode
    check_choice("mode", mode, ("pure",) if pure else ("default", "no_gate"))
    names = _HEADS[:1] if pure else _HEADS
    W = torch.stack([_take(cell, f"{prefix}{name}.weight") for name in names])
    b = torch.stack([_take(cell, f"{prefix}{name}.bias") for name in names])
    if f"{prefix}sparsity_mask" in cell:
        W[:2] *= _take(cell, f"{prefix}sparsity_mask")
    return mode, W, b, {name: _take(cell, f"{prefix}{name}")[0] for name in ("A", "w_tau") if pure}


def _flat_cfc(
    cell: dict[str, Tensor], prefix: str, *, roles: Sequence[str] | None = None, mode: str | None = None
) -> _Found:
    mode, W, b, own = _heads(cell, prefix, mode)
    units = b.shape[1]
    features = W.shape[2] - units
    outputs = _outputs(roles, units) if prefix else units
    weights = {"W_x": W[..., :features], "W_h": W[..., features:], "b": b, "log_tau": torch.zeros_like(b[0]), **own}
    readout = torch.eye(outputs, units).to(b)
    made = CfC(features, units, mode=mode, tau=1.0)
    return _Found(made, weights, readout, b.new_zeros(outputs), torch.arange(units))


def _backbone_cfc(cell: dict[str, Tensor], *, mode: str | None = None, activation: str = "lecun_tanh") -> _Found:
    mode, W, b, own = _heads(cell, "", mode)
    at = sorted({int(name.split(".")[1]) for name in cell if name.startswith("backbone.")})
    (W_first, b_first), *inner = [(_take(cell, f"backbone.{i}.weight"), _take(cell, f"backbone.{i}.bias")) for i in at]
    units, width = W.shape[1:]
    features = W_first.shape[1] - units
    weights = {"W_x": W_first[:, :features], "W_h": W_first[:, features:], "b": b_first}
    for i, (W_inner, b_inner) in enumerate(inner):
        weights |= {f"inner_W.{i}": W_inner, f"inner_b.{i}": b_inner}
    weights |= {"head_W": W, "head_b": b, "log_tau": torch.zeros_like(b[0]), **own}
    made = CfC(features, units, mode=mode, backbone=(width, len(at)), activation=activation, tau=1.0)
    return _Found(made, weights, torch.eye(units).to(b), torch.zeros_like(b[0]), torch.arange(units))


def _layered_cfc(cell: dict[str, Tensor], *, roles: Sequence[str] | None = None, mode: str | None = None) -> _Found:
    """Put the layers inter, command and motor side by side in one cell, which sweeps them in this order."""
    found = [_heads(cell, f"layer_{i}.", mode) for i in range(3)]
    inter, command, motor = (b.shape[1] for _, _, b, _ in found)
    units, features = inter + command + motor, found[0][1].shape[2] - inter
    counted = ["motor"] * motor + ["command"] * command + ["inter"] * inter
    if roles is not None and list(roles) != counted:
        raise OptionError(
            f"`roles` must be {motor} motor, {command} command and {inter} inter units, as the layers are; got others. "
            "Leave them out."
        )
    place = torch.tensor([i for role in _SWEEP for i, r in enumerate(counted) if r == role])
    like, heads = found[0][2], len(found[0][2])
    W_x, W_h = like.new_zeros(heads, units, features), like.new_zeros(heads, units, units)
    below = None
    for (_, W, _, _), to in zip(found, place.split([inter, command, motor]), strict=True):
        before = W.shape[2] - len(to)
        if below is None:
            W_x[:, to] = W[..., :before]
        else:
            W_h[:, to[:, None], below] = W[..., :before]
        W_h[:, to[:, None], to] = W[..., before:]
        below = to
    b = _placed([b for _, _, b, _ in found], place)
    weights = {"W_x": W_x, "W_h": W_h, "b": b, "log_tau": torch.zeros_like(b[0])}
    weights |= {name: _placed([own[name] for *_, own in found], place) for name in found[0][3]}
    wiring = Wiring(_used(W_h), _used(W_x), motor, counted, name="ncps")
    made = CfC(features, units, mode=found[0][0], tau=1.0, wiring=wiring)
    return _Found(made, weights, torch.eye(motor).to(like), like.new_zeros(motor), place)


def _placed(layers: list[Tensor], place: Tensor) -> Tensor:
    """Return the values of ncps' layers (..., n), one after the other, at the places of our units."""
    found = torch.cat(layers, dim=-1)
    return torch.empty_like(found).index_copy_(-1, place, found)


def _used(W: Tensor) -> np.ndarray:
    """Return 1 where any head uses a synapse."""
    return (W != 0).any(0).cpu().numpy().astype(np.int8)


def _memory(beside: dict[str, Tensor], place: Tensor) -> dict[str, Tensor]:
    """Return the LSTM beside the cell: ncps has its gates in the order g, i, f, o and adds 1 to f."""
    units = len(place)
    order = torch.argsort(place)
    V_x = _take(beside, "lstm.input_map.weight").view(4, units, -1)
    V_h = _take(beside, "lstm.recurrent_map.weight").view(4, units, units)
    b = _take(beside, "lstm.input_map.bias").view(4, units).clone()
    b[2] += 1.0
    gates = torch.tensor([1, 2, 0, 3])
    return {"V_x": V_x[gates][:, order], "V_h": V_h[gates][:, order][..., order], "b": b[gates][:, order]}


def _take(found: dict[str, Tensor], name: str) -> Tensor:
    if name not in found:
        raise FormatError(f"`state` must hold the whole network; it lacks {name}.")
    return found.pop(name)


def _only(given: Mapping[str, Any], what: str, *allowed: str) -> None:
    for name in given:
        if name not in allowed:
            raise OptionError(f"`{name}` must be left out for {what}; got {given[name]!r}.")


def _outputs(roles: Sequence[str] | None, units: int) -> int:
    if roles is None:
        raise OptionError(
            "`roles` must be given, for the weights do not tell which units are motor units; got None. "
            f"If all are, use roles=['motor'] * {units}."
        )
    return list(roles).count("motor")


def _not_negative(name: str, value: Tensor, there: Tensor | bool) -> Tensor:
    wrong = torch.nonzero((value < 0) & there)
    if len(wrong):
        at = tuple(wrong[0].tolist())
        raise DataError(
            f"`{name}` must be at least 0; got {value[at].item():g} (at {at}). "
            "Call apply_weight_constraints() of the ncps network first, as its training does."
        )
    return value.clamp(min=0)


def _before_softplus(value: Tensor) -> Tensor:
    """Return the number whose softplus is `value`."""
    value = value.clamp(min=_LEAST)
    return value + torch.log(-torch.expm1(-value))
