"""A GRU in the place of the liquid body: same encoder, same readout, same training, about as many parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..cells import Spec
from ..errors import check_range
from ..layers import Layer


class GRU(Layer):
    """Run `nn.GRU` as a layer; `log1p(dt / median_dt)` is one more input, so that it knows of irregular time.

    Parameters
    ----------
    features, units : int, at least 1
        Widths of x and of the state.
    median_dt : float, above 0
        The usual dt.

    Examples
    --------
    >>> y, h = GRU(3, 8)(torch.zeros(2, 5, 3))
    >>> y.shape, h.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    continuous = False  # it updates once a step, however little time has passed

    def __init__(self, features: int, units: int, *, median_dt: float = 1.0) -> None:
        super().__init__()
        features = check_range("features", features, 1, whole=True)
        units = check_range("units", units, 1, whole=True)
        check_range("median_dt", median_dt, 0, open_low=True)
        self.features, self.outputs, self.median_dt = features, units, median_dt
        self.gru = nn.GRU(features + 1, units)
        self._publish()

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the state."""
        return (Spec("h", self.outputs, -1.0, 1.0),)

    def initial(self, batch: int) -> Tensor:
        """Return zeros (B, units)."""
        return next(self.parameters()).new_zeros(batch, self.outputs)

    def run(
        self, x: Tensor, h: Tensor, dt: Tensor, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Run over checked tensors; between two resets it is one call of `nn.GRU`."""
        steps = x.shape[1]
        inside = None
        if lengths is not None:  # what stands in the padding must not reach a gradient
            inside = (torch.arange(steps, device=x.device) < lengths[:, None])[..., None]
            x, dt = torch.where(inside, x, 0.0), torch.where(inside[..., 0], dt, 0.0)
        given = torch.cat([x, torch.log1p(dt / self.median_dt)[..., None].to(x.dtype)], -1).transpose(0, 1)
        cuts = [0] if reset is None else sorted({0, *reset.any(0).nonzero().flatten().tolist()})
        start, parts = h, []
        for begin, end in zip(cuts, [*cuts[1:], steps], strict=True):
            if reset is not None:
                h = torch.where(reset[:, begin, None], 0.0, h)
            y, h = self.gru(given[begin:end], h[None])
            h = h[0]
            parts.append(y)
        y = torch.cat(parts).transpose(0, 1)
        if inside is None or lengths is None:
            return y, h
        states = torch.cat([start[:, None], y], 1)
        at = lengths.to(torch.int64).view(-1, 1, 1).expand(-1, 1, self.outputs)
        return torch.where(inside, y, 0.0), states.gather(1, at)[:, 0]

    def taus(self) -> Tensor:
        """Return an empty tensor: it has no time constants."""
        return next(self.parameters()).new_zeros(0)

    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        check_range("c", c, 0, open_low=True)
        self.median_dt *= c

    def config(self) -> dict[str, Any]:
        """Return everything `layers.build` needs."""
        return {"kind": "GRU", "features": self.features, "units": self.outputs, "median_dt": self.median_dt}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GRU:
        """Make a layer from what its `config` returned."""
        return cls(config["features"], config["units"], median_dt=config["median_dt"])


def matching_units(features: int, outputs: int, parameters: int, *, skip: bool = False) -> int:
    """Return the units of the GRU that, with a linear readout of `outputs`, has about `parameters` parameters.

    A GRU of H units reading F channels and dt has 3*H*(F + 1 + H + 2) of them; its readout O*(H + 1), and O*F more
    where it sees the channels as well (`skip`).
    """
    square, line = 3.0, 3.0 * (features + 3) + outputs
    left = max(parameters - outputs * (1 + features * skip), 0)
    root = (-line + (line * line + 4 * square * left) ** 0.5) / (2 * square)
    return max(1, round(root))
