"""The loop over time: a Python loop, or, while tracing, one operator that leaves the number of steps open."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._functorch import config as functorch
from torch._higher_order_ops import scan

Step = Callable[[Tensor, tuple[Tensor, ...], Tensor], tuple[Tensor, ...]]


def over(
    step: Step, u: Tensor, h: Sequence[Tensor], dt: Tensor,
    lengths: Tensor | None = None, reset: Tensor | None = None, start: Sequence[Tensor] | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Return the tensors of the state after every step, (B, T, H) each.

    `step(u, h, dt) -> h` takes u (B, U), the state's tensors and dt (B, 1). A row's state is frozen from its length
    on, and is `start` (zeros if left out) again just before the steps that `reset` marks.
    """
    if u.shape[1] == 0:
        return tuple(a.unsqueeze(1)[:, :0] for a in h)
    over_time = {"u": u, "dt": dt.unsqueeze(-1)}
    if lengths is not None:
        over_time["live"] = (torch.arange(u.shape[1], device=u.device) < lengths.unsqueeze(1)).unsqueeze(-1)
    if reset is not None:
        over_time["reset"] = reset.unsqueeze(-1)

    def advance(old: tuple[Tensor, ...], now: dict[str, Tensor]) -> tuple[Tensor, ...]:
        h = old
        if "reset" in now:
            fresh = [torch.zeros_like(a) for a in h] if start is None else start
            h = tuple(torch.where(now["reset"], a, b) for a, b in zip(fresh, h, strict=True))
        h = step(now["u"], h, now["dt"])
        if "live" in now:
            h = tuple(torch.where(now["live"], a, b) for a, b in zip(h, old, strict=True))
        return h

    if torch.compiler.is_compiling():
        _let_scan_compile()

        def traced(old: tuple[Tensor, ...], now: dict[str, Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
            h = advance(old, now)
            return tuple(a.clone() for a in h), tuple(a.clone() for a in h)  # scan wants results that share no memory

        _, states = scan(traced, tuple(h), {name: found.transpose(0, 1) for name, found in over_time.items()})
        return tuple(a.transpose(0, 1) for a in states)
    found, state = [], tuple(h)
    for now in zip(*(a.unbind(1) for a in over_time.values()), strict=True):
        state = advance(state, dict(zip(over_time, now, strict=True)))
        found.append(state)
    return tuple(torch.stack(a, dim=1) for a in zip(*found, strict=True))


@torch._dynamo.assume_constant_result
def _let_scan_compile() -> None:
    """While tracing, set what Inductor needs to compile scan, and to compile it rightly."""
    context = torch._guards.TracingContext.try_get()  # pyright: ignore
    shapes = None if context is None or context.fake_mode is None else context.fake_mode.shape_env
    if shapes is not None:  # outside `fullgraph=True` it may not read its loop counter, and scan fails
        shapes.settings = dataclasses.replace(shapes.settings, allow_scalar_outputs=True)
    if functorch.donated_buffer and not torch.compiler.is_exporting():  # see pytorch/pytorch#193960: up to torch 2.13
        # Inductor may take a running sum of gradients inside the loop for memory that is free, and overwrites it
        functorch.donated_buffer = False
        torch._dynamo.callback_handler.register_end_callback(_let_donate)  # pyright: ignore


def _let_donate(_: object) -> None:
    """At the end of the compilation, set back what `_let_scan_compile` changed for it."""
    functorch.donated_buffer = True
    handler = torch._dynamo.callback_handler  # pyright: ignore
    handler.end_callbacks = [known for known in handler.end_callbacks if known is not _let_donate]
