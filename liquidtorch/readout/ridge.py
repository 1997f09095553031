"""Ridge regression: the whole path of penalties from one decomposition, and the choice of the penalty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError, OptionError, check_choice, check_range
from .centred import Centred
from .factor import Factor
from .spectrum import Spectrum

SELECT = ("blocks", "gcv", "loo")
PATH = tuple(10.0 ** (e / 2) for e in range(4, -19, -1))  # 1e2 to 1e-9: the Gram matrix is exact enough for all
CONDITION = 1e7  # above it, half of the digits of the rows are lost in the Gram matrix
LEAST = 1e-13  # a smaller penalty is below the rounding of the Gram matrix
SATURATED = 1.5e-8  # sqrt(eps): 1 - h below it is rounding, and the error of the row left out is not known
AT_ONCE = 2048  # rows of the second pass

Block = tuple[Tensor, Tensor, Tensor | None]


@dataclass(frozen=True)
class Solution:
    """What a ridge regression found: y = weight x + bias, and how.

    Parameters
    ----------
    weight : (O, F) float64
    bias : (O,) float64
    penalty : (O,) float64
        The relative penalty of each output; `penalty * unit` is what is added to the Gram matrix.
    unit : float
        trace(G) / F.
    penalties : (L,) float64
        The path, from the largest down.
    scores : (L, O) float64
        The mean squared error over the path by the way it was selected, in the unit of y^2; (0, O) where the penalty
        was given. Infinite where it cannot be known.
    variance : (O,) float64
        Of the targets: score / variance is the share that is not explained.
    select : str
        "blocks", "gcv", "loo" or "given".
    method : str
        "gram", an eigendecomposition of the Gram matrix, or "svd", of the triangular factor of the rows.
    condition : float
        The condition number of the rows under the least penalty of the path.
    reason : str
        Why this method.
    """

    weight: Tensor
    bias: Tensor
    penalty: Tensor
    unit: float
    penalties: Tensor
    scores: Tensor
    variance: Tensor
    select: str
    method: str
    condition: float
    reason: str


def ridge(
    parts: Centred | Sequence[Centred],
    *,
    penalties: Iterable[float] | None = None,
    select: str | float = "blocks",
    per_output: bool = True,
    rows: Iterable[Block] | None = None,
) -> Solution:
    """Solve min |y - W x - b|^2 + lambda |W|^2 for a path of penalties, and choose the best; b is never penalised.

    lambda = penalty * trace(G)/F, with G the centred Gram matrix: a penalty means the same in any unit of x and for
    any number of rows.

    Parameters
    ----------
    parts : Statistics or Factor, or a sequence of these
        A sequence: one part for each block that is held out in turn.
    penalties : floats, at least 0
        Default: 1e2 down to 1e-9, two to a decade.
    select : "blocks", "gcv", "loo" or a float at least 0
        How the penalty is chosen. "blocks": each part is predicted from all others, the way for series, whose
        neighbouring rows are alike. "gcv": generalised cross-validation. "loo": every row is predicted from all
        others, exactly. A float is the penalty itself.
    per_output : bool
        Whether each output gets the penalty that is best for it, or all get one: the best by the mean of their errors,
        each relative to the target's variance.
    rows : iterable of (x, y, weight or None)
        The rows of all parts once more, for "loo" alone.

    Returns
    -------
    Solution

    Raises
    ------
    OptionError
        When `select` lacks what it needs, or has what it does not.
    DataError
        When there are fewer than two rows.

    Notes
    -----
    One eigendecomposition (Statistics) or singular value decomposition (Factor), F^3, and F^2*O for each penalty;
    "blocks" once for each part as well, each from the sum of the others, so that nothing is subtracted. "loo" passes
    over the rows a second time, N*F^2. It tells series that they are better than they are: the rows beside the one
    left out are still there. Between penalties that are equally good the largest is taken.

    Source
    ------
    Golub, Heath, Wahba (1979), Technometrics 21, eq. 1.4 (GCV). Lukosevicius, Uselis (2021), Cognitive Computation,
    Efficient implementations of echo state network cross-validation: the statistics of each fold are kept; they take
    a fold off the total, we add the others up. Leave-one-out: Allen (1974), Technometrics 16 (PRESS).

    Examples
    --------
    >>> from liquidtorch.readout import Statistics
    >>> x = torch.linspace(-1, 1, 20)[:, None]
    >>> found = ridge(Statistics(1, 1).add(x, 3 * x + 1), select="gcv")
    >>> round(found.weight.item(), 4), round(found.bias.item(), 4), found.method
    (3.0, 1.0, 'gram')
    """
    parts = [parts] if isinstance(parts, Centred) else list(parts)
    total = type(parts[0]).merge(parts) if len(parts) != 1 else parts[0]
    if total.rows < 2:
        raise DataError(f"`parts` must hold at least 2 rows; got {total.rows}. A NaN in y leaves a row out.")
    given = None if isinstance(select, str) else check_range("select", select, 0)
    path = torch.tensor(path_of(penalties, select), dtype=torch.float64)
    _check(parts, select, rows)
    spectrum = total.spectrum()
    if given is not None:
        scores = path.new_empty(0, total.outputs)
    elif select == "gcv":
        scores = torch.stack(list(_gcv(total, spectrum, path.tolist())))
    elif select == "loo":
        scores = _loo(total, spectrum, path.tolist(), rows or ())
    else:
        scores = _blocks(parts, path.tolist())
    penalty = path.expand(total.outputs) if given is not None else path[_best(scores, spectrum, per_output)]
    weight = spectrum.weights(penalty)
    x, y = total.means
    method = "svd" if isinstance(total, Factor) else "gram"
    condition = spectrum.condition(path[-1].item())
    return Solution(
        weight, y - weight @ x, penalty, spectrum.unit, path, scores, spectrum.spread / total.weight,
        "given" if given is not None else str(select), method, condition, _reason(method, condition, path[-1].item()),
    )  # fmt: skip


def path_of(penalties: Iterable[float] | None, select: str | float) -> list[float]:
    """Return the penalties to try, from the largest down."""
    if not isinstance(select, str) and penalties is not None:
        raise OptionError(f"`penalties` must be left out where `select` is the penalty; got both (select={select}).")
    given = PATH if penalties is None else penalties
    found = [check_range("penalties", float(p), 0) for p in given] if isinstance(select, str) else [float(select)]
    if not found:
        raise OptionError("`penalties` must hold at least one penalty; got none.")
    return sorted(found, reverse=True)


def _check(parts: Sequence[Centred], select: str | float, rows: Iterable[Block] | None) -> None:
    if isinstance(select, str):
        check_choice("select", select, SELECT)
    if select == "blocks" and sum(part.rows > 0 for part in parts) < 2:
        raise OptionError(f"`parts` must be two or more that hold rows, for select='blocks'; got {len(parts)}.")
    if (select == "loo") != (rows is not None):
        wanted = "given" if select == "loo" else "left out"
        raise OptionError(f"`rows` must be {wanted} for select={select!r}: only 'loo' passes over them again.")


def _gcv(total: Centred, spectrum: Spectrum, path: list[float]) -> Iterator[Tensor]:
    for penalty in path:
        spare = spectrum.spare(penalty, total.rows) / total.rows
        mean = spectrum.residual(penalty) / total.weight
        yield mean / spare**2 if spare > SATURATED else torch.full_like(mean, torch.inf)


def _blocks(parts: Sequence[Centred], path: list[float]) -> Tensor:
    parts = [part for part in parts if part.rows]
    scores = parts[0].shift.new_zeros(len(path), parts[0].outputs)
    for held in parts:
        train = type(held).merge(part for part in parts if part is not held)
        spectrum, (x, y) = train.spectrum(), train.means
        for i, penalty in enumerate(path):
            weight = spectrum.weights(penalty)
            scores[i] += held.residual(weight, y - weight @ x)
    return scores / sum(part.weight for part in parts)


def _loo(total: Centred, spectrum: Spectrum, path: list[float], rows: Iterable[Block]) -> Tensor:
    """e_i = (y_i - yhat_i)/(1 - h_i), h_i = w_i (1/n + sum_j p_ij^2/(s_j^2 + lambda)), p = (x - mean) V."""
    scores = spectrum.cross.new_zeros(len(path), total.outputs)
    mean_x, mean_y = total.means
    for x, y, weight in rows:
        for start in range(0, len(x), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            truth = y[part].to(mean_y)
            heavy = torch.ones_like(truth[:, :1]) if weight is None else weight[part, None].to(mean_y)
            keep = ~torch.isnan(truth).any(1) & (heavy[:, 0] > 0)
            truth, heavy = truth[keep] - mean_y, heavy[keep]
            along = (x[part][keep].to(mean_x) - mean_x) @ spectrum.basis
            for i, penalty in enumerate(path):
                shrunk = spectrum.shrunk(penalty)
                leverage = heavy * (1 / total.weight + along.square() @ shrunk)
                error = (truth - along @ (spectrum.cross * shrunk)) / (1 - leverage)
                scores[i] += torch.where(1 - leverage > SATURATED, heavy * error.square(), torch.inf).sum(0)
    return scores / total.weight


def _best(scores: Tensor, spectrum: Spectrum, per_output: bool) -> Tensor:
    """Return the place on the path of the least score, for each output; the largest penalty among equals."""
    if not per_output:
        shares = scores / torch.where(spectrum.spread > 0, spectrum.spread, 1.0)
        scores = shares.sum(1, keepdim=True).expand_as(scores)
    return scores.cpu().argmin(0)


def _reason(method: str, condition: float, least: float) -> str:
    if method == "svd":
        return "the triangular factor of the rows was given: their condition number is not squared"
    if condition > CONDITION:
        return f"the Gram matrix alone was given, though the condition number {condition:.1e} is above {CONDITION:.0e}"
    if least < LEAST:
        return f"the Gram matrix alone was given, though the penalty {least:.1e} is below its rounding, {LEAST:.0e}"
    return f"the condition number {condition:.1e} is at most {CONDITION:.0e}"
