"""Encoded: a body that reads spikes, behind the encoder that makes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import encoders, layers
from ..cells import Spec
from ..encoders import SpikeEncoder
from ..errors import OptionError, ShapeError
from ..layers import Layer
from ..layers.door import tensors_of


class Encoded(Layer):
    """Turn channels into spikes and run a body on them: `y = body(encoder(x))` at the last substep of each sample.

    Parameters
    ----------
    encoder : SpikeEncoder
        Makes `encoder.steps` substeps of spikes of each sample; dt is shared out evenly among them.
    body : layer
        Of `encoder.outputs` features.

    Raises
    ------
    OptionError
        If `encoder` makes no spikes or `body` reads ahead.
    ShapeError
        If they do not fit each other.

    Notes
    -----
    The body goes `encoder.steps` steps a sample. No gradient passes the spikes. The state is a flat NamedTuple: the
    encoder's parts, then the body's. Most codes count samples, so dt = 0 does change the state.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import EchoState
    >>> from liquidtorch.encoders import StepForward
    >>> layer = Encoded(StepForward([0.5, 0.5]), EchoState(4, 20))
    >>> y, h = layer(torch.randn(3, 9, 2))
    >>> y.shape
    torch.Size([3, 9, 20])
    """

    continuous = False
    smooth = False

    def __init__(self, encoder: SpikeEncoder, body: Layer) -> None:
        super().__init__()
        if not isinstance(encoder, SpikeEncoder):
            raise OptionError(f"`encoder` must make spikes; got {type(encoder).__name__}.")
        if not body.causal:
            raise OptionError(f"`body` must be causal; got {type(body).__name__}, which reads ahead.")
        if body.features != encoder.outputs:
            raise ShapeError(f"`body.features` must be {encoder.outputs}, the encoder's outputs; got {body.features}.")
        self.encoder, self.body = encoder, body
        self.features, self.outputs, self.stable = encoder.features, body.outputs, body.stable
        self._publish()

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the tensors of the encoder's state, and of the body's."""
        parts = (("encoder", self.encoder), ("body", self.body))
        return tuple(spec._replace(name=f"{p}_{spec.name}") for p, part in parts for spec in part.state_spec())

    def initial(self, batch: int) -> Any:
        """Return the state before the first sample."""
        return self._state([t for part in (self.encoder, self.body) for t in tensors_of(part.initial(batch))])

    def run(self, x: Tensor, h: Any, dt: Tensor, lengths: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Any]:
        """Run over checked tensors."""
        parts, cut, k = tensors_of(h), len(self.encoder.state_spec()), self.encoder.steps
        e = parts[0] if cut == 1 and self.encoder.State is None else parts[:cut]
        spikes, e = self.encoder(x, e, dt=dt, lengths=lengths, reset=reset)
        if k > 1:
            dt, lengths = substeps(dt, lengths, k)
            if reset is not None:
                later = reset.new_zeros(*reset.shape, k - 1)
                reset = torch.cat([reset.unsqueeze(-1), later], dim=-1).flatten(1)
        y, b = self.body.run(spikes, self.body._state(parts[cut:]), dt, lengths, reset)
        return y[:, k - 1 :: k], self._state([*tensors_of(e), *tensors_of(b)])

    def taus(self) -> Tensor:
        """Return the body's time constants, in the unit of dt."""
        return self.body.taus()

    def scale_time(self, c: float) -> None:
        """Become, in place, the same network for a dt given in a unit c times finer (dt becomes c*dt)."""
        self.encoder.scale_time(c)
        self.body.scale_time(c)

    def config(self) -> dict[str, Any]:
        """Return everything `layers.build` needs, as plain JSON values."""
        return {"kind": "Encoded", "encoder": self.encoder.config(), "body": self.body.config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Encoded:
        """Make a layer from what its `config` returned."""
        return cls(encoders.build(config["encoder"]), layers.build(config["body"]))


def substeps(dt: Tensor, lengths: Tensor | None, k: int) -> tuple[Tensor, Tensor | None]:
    """Return dt (B, k*T), each shared out among its k substeps, and the lengths in substeps."""
    return (dt / k).repeat_interleave(k, dim=1), None if lengths is None else lengths * k
