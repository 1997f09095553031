"""Times implementations of the same work against each other: turn by turn, in one process, equality first.

Every side is in training mode. What is timed is the forward pass and the backward pass to all its parameters; the
inputs need no gradient, the gradient of the output is the same given tensor for all, gradients are dropped and garbage
is collected outside the timed region. In its turn each side makes one call that is not counted before the one that is,
so that neither starts with its memory and caches in the other's hands.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SLOW = 2.0  # seconds a call: from there on SLOW_REPEATS are enough
SLOW_REPEATS = 5
PARTS = 4  # how many times the threads are switched: a machine that slows down must not favour one number of them

Answer = dict[str, Tensor]


@dataclass
class Side:
    """One implementation: `run` is timed, `clear` is called between two runs, `answer` is what must be equal."""

    name: str
    run: Callable[[], Any]
    clear: Callable[[], Any]
    answer: Callable[[], Answer] | None  # "output" and gradients by name; None: another model
    calls: int = 1  # how many calls one run makes


def training(
    name: str, forward: Callable[[], Tensor], leaves: Iterable[Tensor], slope: Tensor,
    gradients: Callable[[], Answer] | None,
) -> Side:  # fmt: skip
    """Make a side of a forward pass and the gradients to all `leaves`; `slope` is the gradient of its output."""
    leaves = [leaf for leaf in leaves if leaf.requires_grad]

    def run() -> Tensor:
        y = forward()
        y.backward(slope)
        return y

    def clear() -> None:
        for leaf in leaves:
            leaf.grad = None

    def answer() -> Answer:
        clear()
        output = run().detach().clone()
        found = {} if gradients is None else {n: g.detach().clone() for n, g in gradients().items()}
        clear()
        return {"output": output, **found}

    return Side(name, run, clear, None if gradients is None else answer)


def stepping(name: str, begin: Callable[[], Any], step: Callable[[Any], Any], rows: Sequence[Any]) -> Side:
    """Make a side of single steps without gradients: `begin` starts anew, `step` takes one of `rows`."""

    @torch.inference_mode()
    def run() -> None:
        for row in rows:
            step(row)

    @torch.inference_mode()
    def answer() -> Answer:
        begin()
        return {"output": torch.stack([torch.as_tensor(step(row)).flatten().clone() for row in rows[:16]])}

    return Side(name, run, begin, answer, calls=len(rows))


def differences(ours: Answer, theirs: Answer) -> dict[str, float]:
    """Return the largest difference of the output and of any gradient, as a share of the largest number in it."""
    found = {"output": 0.0, "gradient": 0.0}
    for name, expected in theirs.items():
        kind = "output" if name == "output" else "gradient"
        off = (ours[name] - expected).abs().max() / expected.abs().max().clamp(min=1e-30)
        found[kind] = max(found[kind], off.item()) if off.isfinite() else float("inf")
    return found if len(theirs) > 1 else {"output": found["output"]}


@dataclass
class Times:
    """The seconds of each call."""

    seconds: list[float]

    def summary(self) -> dict[str, Any]:
        """Return milliseconds: the median, the quartiles and the least, and how many calls they are of."""
        ms = sorted(1e3 * s for s in self.seconds)
        low, middle, high = statistics.quantiles(ms, n=4, method="inclusive") if len(ms) > 1 else ms * 3
        shown = {"ms": middle, "q1": low, "q3": high, "least": ms[0]}
        return {**{k: float(f"{v:.4g}") for k, v in shown.items()}, "count": len(ms)}


def alternate(sides: Sequence[Side], threads: Sequence[int], repeats: int) -> dict[tuple[str, int], Times]:
    """Time all sides turn by turn, for each number of threads."""
    found = {(side.name, n): Times([]) for side in sides for n in threads}
    wanted = {side.name: repeats for side in sides}
    parts = min(PARTS, repeats)
    gc.collect()
    gc.freeze()  # what the libraries hold need not be looked through before every turn
    for part in range(parts):
        turns = repeats * (part + 1) // parts - repeats * part // parts
        for n in threads:
            due = [side for side in sides if len(found[side.name, n].seconds) < wanted[side.name]]
            with _threads(n):
                for side in due:  # warm: the first call after a switch starts the threads, or compiles for them
                    if _timed(side) > SLOW and _timed(side) > SLOW:
                        wanted[side.name] = min(repeats, SLOW_REPEATS)
                for _ in range(turns):
                    gc.collect()
                    for side in due:
                        seconds = found[side.name, n].seconds
                        if len(seconds) < wanted[side.name]:
                            before = _timed(side)  # not counted: in training a call follows one of its own kind
                            seconds.append(_timed(side) if before < SLOW else before)
    gc.unfreeze()
    return found


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _timed(side: Side) -> float:
    """Return the seconds of one call."""
    side.clear()
    gc.disable()
    start = time.perf_counter()
    result = side.run()
    seconds = time.perf_counter() - start
    gc.enable()
    del result
    side.clear()
    return seconds / side.calls
