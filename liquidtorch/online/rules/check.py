"""How true each rule's gradient is on one's own cell and stream."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ... import readout
from ...cells import Cell
from ...derivatives import Floats, Local
from ...errors import DataError, OptionError, check_shape
from ...layers import Layer, Recurrent
from ...model import LiquidNetwork
from .cost import Cost
from .make import make

RULES = ("exact", "snap2", "snap1", "eprop", "tbptt:20", "tbptt:5")


class Fidelity(NamedTuple):
    """Tell how true one rule's gradient is: its cosine to the true one, |g - true|/|true|, and what it costs."""

    rule: str
    cosine: float
    error: float
    cost: Cost


class GradientCheck(tuple[Fidelity, ...]):
    """Hold a `Fidelity` for each rule; printed as a table."""

    def __str__(self) -> str:
        lines = ["rule        cosine    error   multiply-adds       bytes"]
        for rule, cosine, error, cost in self:
            lines.append(f"{rule:<10} {cosine:7.4f}  {error:7.1e}  {cost.multiply_adds:>14,}  {cost.bytes:>10,}")
        return "\n".join(lines)


def gradient_check(
    body: Cell | Recurrent | LiquidNetwork, x: ArrayLike, y: ArrayLike, *, dt: ArrayLike = 1.0,
    rules: Sequence[str] | None = None,
) -> GradientCheck:  # fmt: skip
    """Measure the gradient of every rule against the true one, over a stream, with nothing updated on the way.

    The loss is summed over the stream, half the squared error for numbers and the cross-entropy for classes; the true
    gradient is that of BPTT from the stream's start. A network is asked through its own readout; a cell through a
    linear one, fitted to its states on this stream.

    Parameters
    ----------
    body : Cell, Recurrent or LiquidNetwork
        The last with one `Recurrent` as its body.
    x : array (T, F)
        The rows of the stream, as the body takes them.
    y : array (T, O)
        What is asked at each row, numbers or, for a network that classifies, codes; NaN where it is not known.
    dt : float or array (T,)
        The time since the previous row.
    rules : sequence of str, optional
        As for `make`. Those that have a gradient, if left out.

    Returns
    -------
    GradientCheck
        A tuple of `Fidelity(rule, cosine, error, cost)`.

    Raises
    ------
    DataError
        If no answer is known, or there is no error to learn from.
    OptionError
        If the body is not made of one cell, or a rule does not fit it.
    ShapeError
        If the rows do not fit each other.

    Notes
    -----
    A high cosine does not promise that a rule learns as well: the little that is dropped may be what the task asks for.
    All states of the stream are held for the true gradient.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from liquidtorch import Leaky
    >>> _ = torch.manual_seed(0)
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> found = gradient_check(Leaky(2, 5), x, np.cumsum(x, 0), rules=["exact", "eprop"])
    >>> [f.cosine > 0.8 for f in found], found[0].error < 1e-9
    ([True, True], True)
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    sizes = check_shape("x", x.shape, ("time", "features"), features=body.features)
    check_shape("y", y.shape, ("time", "outputs"), time=sizes["time"])
    each = np.asarray(dt, np.float64)
    if each.ndim:
        check_shape("dt", each.shape, ("time",), time=sizes["time"])
    each = np.broadcast_to(each, len(x))
    body = copy.deepcopy(body).double().cpu()
    if isinstance(body, LiquidNetwork):
        cell, z, q = _asked_of_network(body, x, y, each)
    else:
        cell = body if isinstance(body, Cell) else _cell(body)
        z, q = x, _asked_of_cell(cell, x, y, each)
    true = _true(cell, z, each, q)
    if not (size := np.linalg.norm(true)):
        raise DataError("`y` must leave an error to learn from; got a gradient of 0.")
    names = rules or [rule for rule in RULES if type(cell).__name__ in Local.kinds or rule.startswith("tbptt")]
    found = []
    for name in names:
        g, cost = _summed(name, cell, z, each, q)
        norm = float(np.linalg.norm(g))
        cosine = float(g @ true / (norm * size)) if norm else 0.0
        found.append(Fidelity(name, cosine, float(np.linalg.norm(g - true) / size), cost))
    return GradientCheck(found)


def _rows(cell: Cell, x: Floats, dt: Floats) -> Tensor:
    """Return what the cell shows at every row, (T, outputs), for autograd to go back over."""
    return Recurrent(cell)(torch.from_numpy(x)[None], dt=torch.from_numpy(dt.copy()))[0][0]


def _cell(layer: Layer) -> Cell:
    if type(layer) is not Recurrent:  # MixedMemory is one too, with a memory that no rule knows
        raise OptionError(
            f"`body` must be a cell, Recurrent(cell) or a network of that; got {type(layer).__name__}. "
            "Give its cells one by one."
        )
    return layer.cell


def _asked_of_cell(cell: Cell, x: Floats, y: Floats, dt: Floats) -> Floats:
    """Return q (T, outputs) through a linear readout that is fitted to the states."""
    with torch.no_grad():
        h = _rows(cell, x, dt).numpy()
    known = ~np.any(np.isnan(y), axis=1)
    if not known.any():
        raise DataError("`y` must hold a row that is known; got NaN in all of them.")
    head = readout.Ridge(h.shape[1], y.shape[1])
    head.solve(torch.from_numpy(h[known]), torch.from_numpy(y[known]), select=1e-6)
    W, b = head.weight.numpy(), head.bias.numpy()
    return np.where(known[:, None], h @ W.T + b - np.nan_to_num(y), 0.0) @ W


def _asked_of_network(net: LiquidNetwork, x: Floats, y: Floats, dt: Floats) -> tuple[Cell, Floats, Floats]:
    """Return the cell, the rows (T, C) that its network feeds it, and q (T, outputs) through the readout alone."""
    body: Any = net.body
    cell = _cell(body)
    seen: dict[str, Tensor] = {}

    def run(z: Tensor, *given: Any) -> tuple[Tensor, Any]:
        with torch.no_grad():
            shown, h = Recurrent.run(body, z, *given)
        seen.update(z=z.detach(), y=shown.requires_grad_())
        return shown, h

    body.run = run  # of a copy: the answer must not be differentiated through time
    answer = net(torch.from_numpy(x)[None], dt=torch.from_numpy(dt.copy()))[0][0]
    del body.run
    truth = torch.from_numpy(y)
    known = ~truth.isnan()
    loss = answer.new_zeros(())
    if net.task.classifies:
        first = 0
        for j, classes in enumerate(net.task.classes):
            logits = answer[:, first : first + len(classes)]
            codes = torch.where(known[:, j], truth[:, j], -100).long()
            loss = loss + torch.nn.functional.cross_entropy(logits, codes, ignore_index=-100, reduction="sum")
            first += len(classes)
    else:
        check_shape("y", truth.shape, ("time", "outputs"), outputs=answer.shape[1])
        loss = torch.where(known, answer - truth, 0.0).square().sum() / 2
    (q,) = torch.autograd.grad(loss, seen["y"])
    return cell, seen["z"][0].double().numpy(), q[0].double().numpy()


def _true(cell: Cell, x: Floats, dt: Floats, q: Floats) -> Floats:
    parameters = list(cell.parameters())
    asked = (_rows(cell, x, dt) * torch.from_numpy(q)).sum()
    found = torch.autograd.grad(asked, parameters, materialize_grads=True)
    return np.concatenate([g.numpy().ravel() for g in found])


def _summed(name: str, cell: Cell, x: Floats, dt: Floats, q: Floats) -> tuple[Floats, Cost]:
    rule = make(name, cell)
    h, whole = cell.initial(1)[0].numpy().copy(), np.zeros(cell.units)
    total = {n: np.zeros(p.shape) for n, p in cell.named_parameters()}
    for row, gap, asked in zip(x, dt, q, strict=True):
        h = rule.step(row, h, float(gap))
        whole[: len(asked)] = asked  # the motor units come first
        for n, g in rule.gradient(whole).items():
            total[n] += g
    return np.concatenate([g.ravel() for g in total.values()]), rule.cost
