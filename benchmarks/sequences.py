"""Rows of training: whole sequences, forward and backward."""

from __future__ import annotations

import time
from collections.abc import Callable

import ncps.torch
import torch
from ncps import wirings
from rivals import compiled, grads, of_ncps, of_torch, of_tutorial, reference, wire_every_head
from scans import SCANS, Differentiable
from timing import Side, differences, training
from torch import Tensor, nn
from torch.nn.functional import softplus
from work import FEATURES, Row, Share, equal

from liquidtorch import CfC, Leaky, Linear, Liquid, Recurrent
from liquidtorch.layers import Layer


def _x(batch: int, steps: int) -> Tensor:
    return torch.randn(batch, steps, FEATURES)


def _slope(layer: Layer, x: Tensor) -> Tensor:
    return torch.randn(*x.shape[:2], layer.outputs)


def _ours(layer: Layer, x: Tensor, slope: Tensor) -> Side:
    return training("liquidtorch", lambda: layer(x)[0], layer.parameters(), slope, lambda: grads(layer))


def _ltc(work: str, wiring: Callable[[], wirings.Wiring], target: float) -> Callable[[], Row]:
    def make() -> Row:
        sides = of_ncps(ncps.torch.LTC(FEATURES, wiring()), _x(32, 64))
        return Row(f"LTC {work}, B32 T64", sides, {sides[1].name: target})

    return make


def _cfc() -> Row:
    sides = of_ncps(ncps.torch.CfC(FEATURES, 32), _x(32, 64))
    return Row("CfC 32 units, backbone 128, B32 T64", sides, {sides[1].name: 25})


def _cfc_wired(every_head: bool) -> Callable[[], Row]:
    def make() -> Row:
        module = ncps.torch.CfC(FEATURES, wirings.AutoNCP(64, 8))
        if every_head:
            wire_every_head(module)
        sides = of_ncps(module, _x(32, 64))
        how = "every head wired" if every_head else "time heads dense, as ncps has them"
        return Row(f"CfC AutoNCP(64, 8), {how}, B32 T64", sides, {sides[1].name: 40})

    return make


def _leaky() -> Row:
    x, slope = _x(64, 256), torch.randn(64, 256, 64)
    layer, sides = of_tutorial(x, slope)
    sides += [of_torch(nn.GRU, x, slope), of_torch(nn.LSTM, x, slope), *compiled(layer, x, slope)]
    return Row("Leaky (Euler) 64 units, B64 T256", sides, {"the tutorial's loop": 20, "nn.GRU": 1, "nn.LSTM": 1})


def _liquid() -> Row:
    x, layer = _x(64, 256), Recurrent(Liquid(FEATURES, 64))
    slope = _slope(layer, x)
    sides = [_ours(layer, x, slope), of_torch(nn.GRU, x, slope), *compiled(layer, x, slope)]
    return Row("Liquid 64 units, B64 T256", sides, {"nn.GRU": 2})


def _best_scan(make: Callable[[str], Side], ours: Side) -> tuple[Side, dict[str, float]]:
    """Return the fastest scan of those that are right here, and the seconds of one try of each."""
    expected = ours.answer()
    sides, tried = {name: make(name) for name in SCANS}, {}
    for name, side in sides.items():
        start = time.perf_counter()
        answer = side.answer()
        if equal(differences(expected, answer)):
            tried[name] = round(time.perf_counter() - start, 3)
    return sides[min(tried, key=tried.__getitem__)], tried


def _factors(u: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Return a and b of h[t] = a[t]*h[t-1] + b[t], as `ops.reference.linear_step` has them for dt = 1."""
    f, A = softplus(u.chunk(2, dim=-1)[0]), torch.tanh(u.chunk(2, dim=-1)[1])
    rate = (1 + f) / tau
    return torch.exp(-rate), -torch.expm1(-rate) * (f / (1 + f)) * A


def _linear() -> Row:
    x, layer = _x(32, 4096), Recurrent(Linear(FEATURES, 128))
    slope, cell = _slope(layer, x), layer.cell

    def scanned(name: str) -> Side:
        def forward() -> Tensor:
            return Differentiable.apply(*_factors(layer.inputs(x), cell.weights()[0]), SCANS[name])

        return training(f"torch scan: {name}", forward, layer.parameters(), slope, lambda: grads(layer))

    ours = _ours(layer, x, slope)
    rival, tried = _best_scan(scanned, ours)
    return Row("Linear 128 units, B32 T4096", [ours, rival], {rival.name: 5}, tried=tried)


def _linear_alone() -> Row:
    B, T, H = 32, 4096, 128
    layer = Recurrent(Linear(FEATURES, H))
    cell, dt, h = layer.cell, torch.ones(B, T), torch.zeros(B, H)
    u = layer.inputs(_x(B, T)).detach().requires_grad_()
    leaves, slope = [u, cell.log_tau], torch.randn(B, T, H)

    def gradients() -> dict[str, Tensor]:
        return {"u": u.grad, "log_tau": cell.log_tau.grad}

    def scanned(name: str) -> Side:
        def forward() -> Tensor:
            return Differentiable.apply(*_factors(u, cell.weights()[0]), SCANS[name])

        return training(f"torch scan: {name}", forward, leaves, slope, gradients)

    ours = training("liquidtorch", lambda: cell.sequence(u, h, dt, None, None), leaves, slope, gradients)
    rival, tried = _best_scan(scanned, ours)
    # forward reads two maps and writes h; backward reads the slope, both maps and h and writes two gradients
    share = Share("copy", (3 + 6) * 4 * B * T * H / 1e9)
    return Row("Linear 128 units, its scan alone, B32 T4096", [ours, rival], {rival.name: 5}, share=share, tried=tried)


def _dense(name: str, cell: Callable[[], Leaky | Liquid | CfC], heads: int) -> Callable[[], Row]:
    def make() -> Row:
        B, T, H = 64, 64, 256
        layer = Recurrent(cell())
        dt, h = torch.ones(B, T), torch.zeros(B, H)
        u = layer.inputs(_x(B, T)).detach().requires_grad_()
        weights = [p for n, p in layer.cell.named_parameters() if n in ("W_h", "G_h", "log_tau")]
        slope = torch.randn(B, T, H)

        def gradients() -> dict[str, Tensor]:
            return {"u": u.grad, **grads(layer)}

        def forward() -> Tensor:
            return layer.cell.sequence(u, h, dt, None, None)

        # a product forward, and two backward: to the state and to the weights
        share = Share("gemm", 3 * 2 * B * T * heads * H * H / 1e9)
        sides = [training("liquidtorch", forward, [u, *weights], slope, gradients)]
        return Row(f"{name} 256 units, its recurrence alone, B64 T64", [*sides, reference(sides[0])], share=share)

    return make


SEQUENCES: dict[str, Callable[[], Row]] = {
    "ltc-auto-19": _ltc("AutoNCP(19, 1)", lambda: wirings.AutoNCP(19, 1), 200),
    "ltc-full-32": _ltc("FullyConnected(32)", lambda: wirings.FullyConnected(32), 40),
    "ltc-auto-64": _ltc("AutoNCP(64, 8)", lambda: wirings.AutoNCP(64, 8), 100),
    "cfc-32": _cfc,
    "cfc-auto-64-ncps": _cfc_wired(every_head=False),
    "cfc-auto-64": _cfc_wired(every_head=True),
    "leaky-64": _leaky,
    "liquid-64": _liquid,
    "linear-128": _linear,
    "linear-128-scan": _linear_alone,
    "leaky-256": _dense("Leaky", lambda: Leaky(FEATURES, 256), 1),
    "liquid-256": _dense("Liquid", lambda: Liquid(FEATURES, 256), 2),
    "cfc-256": _dense("CfC", lambda: CfC(FEATURES, 256), 4),
}
