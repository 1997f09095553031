"""NARMA: a nonlinear autoregressive moving average, the standard test of memory with nonlinearity."""

from __future__ import annotations

from operator import mul

import numpy as np

from ..errors import DataError, check_choice, check_range
from .driven import Driven
from .seeds import generator

PARAMETERS = {  # order -> alpha, beta, gamma, delta
    10: (0.3, 0.05, 1.5, 0.1),  # Atiya and Parlos 2000, eq. 86
    30: (0.2, 0.04, 1.5, 0.001),  # Schrauwen et al. 2008, section 3.1
}
DRAWS = 1000  # sequences drawn before giving up


def narma(steps: int, order: int = 10, *, seed: int = 0) -> Driven:
    """Draw an input and the answers of a nonlinear autoregressive moving average.

    `y[t] = alpha*y[t-1] + beta*y[t-1]*sum(y[t-order:t]) + gamma*u[t-order+1]*u[t] + delta`, u uniform in [0, 0.5],
    y 0 before the first `order` inputs are known. This is the textbook's y_(t+1), set beside u_t, the last input that
    it depends on.

    Parameters
    ----------
    steps : int, at least 1
        Length T.
    order : 10 or 30
        alpha, beta, gamma, delta are 0.3, 0.05, 1.5, 0.1 for order 10 and 0.2, 0.04, 1.5, 0.001 for order 30.
    seed : int, at least 0
        Draws the input.

    Returns
    -------
    Driven
        u (T,) and y (T,).

    Raises
    ------
    OptionError
        If an option is out of range.
    DataError
        If no input of that length keeps |y| to 1.

    Notes
    -----
    The recursion can run away: a sequence in which |y| exceeds 1 is drawn again as a whole. 0.6 us a step.

    Source
    ------
    Atiya and Parlos 2000, New results on recurrent network training, IEEE Trans. Neural Networks 11, eq. 86. Order 30:
    Schrauwen, Wardermann, Verstraeten, Steil and Stroobandt 2008, Improving reservoirs using intrinsic plasticity,
    Neurocomputing 71.

    Examples
    --------
    >>> u, y = narma(2000)
    >>> bool(y[8] == 0.0 and y[9] == 1.5 * u[0] * u[9] + 0.1)
    True
    """
    steps = check_range("steps", steps, 1, whole=True)
    check_choice("order", order, PARAMETERS)
    draw = generator(seed)
    for _ in range(DRAWS):
        u = draw.uniform(0, 0.5, steps)
        y = _recursion(u.tolist(), order)
        if len(y) == steps:
            return Driven(u, np.array(y))
    raise DataError(
        f"`steps` must leave a sequence with |y| at most 1; got {steps} (all of {DRAWS} drawn ran away). Take fewer."
    )


def _recursion(u: list[float], order: int) -> list[float]:
    """Return the answers, up to the first above 1."""
    alpha, beta, gamma, delta = PARAMETERS[order]
    y = [0.0] * min(order - 1, len(u))
    for t, product in enumerate(map(mul, u, u[order - 1 :]), order - 1):
        y.append(alpha * y[-1] + beta * y[-1] * sum(y[-order:]) + gamma * product + delta)
        if abs(y[t]) > 1:
            return y[:t]
    return y
