"""Raw numbers scaled, and nothing else."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, check_range
from .encoder import Encoder, Numbers, inside


class Identity(Encoder):
    """Scale each feature, and nothing else: z = (x - mean) / scale.

    Parameters
    ----------
    mean, scale : (F,) floats, `scale` above 0
        In the unit of each feature; kept with the weights.

    Raises
    ------
    DataError
        When x holds a NaN (outside the padding); its first place is named.

    Notes
    -----
    It has no state. The search for a NaN is left out while a graph is traced (`torch.compile`, `torch.export`) or
    transformed (`vmap`): it would depend on the data.

    Examples
    --------
    >>> encoder = Identity([1.0], [2.0])
    >>> z, e = encoder(torch.tensor([[[5.0], [1.0]]]))
    >>> z.flatten().tolist()
    [2.0, 0.0]
    """

    def __init__(self, mean: Numbers, scale: Numbers) -> None:
        super().__init__(mean, scale)
        self.outputs = self.features

    def filled(
        self,
        x: Tensor,
        e: Any = None,
        *,
        dt: Tensor | float = 1.0,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, tuple[()]]:
        """Scale; the filled values are x itself."""
        _, T = self._checked(x)
        z = (x - self.mean) / self.scale
        if lengths is not None:
            live = inside(lengths, T)
            x, z = torch.where(live, x, 0.0), torch.where(live, z, 0.0)
        if not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is None:  # pyright: ignore
            _refuse_nan(x)
        return z, x, ()

    def state_spec(self) -> tuple[()]:
        """Return (): nothing is remembered."""
        return ()

    def initial(self, batch: int) -> tuple[()]:
        """Return (): nothing is remembered."""
        return ()

    def scale_time(self, c: float) -> None:
        """Do nothing: no channel depends on time."""
        check_range("c", c, 0, open_low=True)

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal encoder from, as plain JSON."""
        return {"kind": "Identity", "mean": self.mean.tolist(), "scale": self.scale.tolist()}


def _refuse_nan(x: Tensor) -> None:
    nan = torch.isnan(x)
    if nan.any():
        row, time, column = (int(i) for i in nan.nonzero()[0])
        raise DataError(
            f"`x` must hold no NaN here; got one at row {row}, time {time}, column {column}. "
            "Use the encoder MissingAware, or fill the gaps."
        )
