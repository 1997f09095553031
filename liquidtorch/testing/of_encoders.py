"""The laws of encoders, of numbers and of spikes, each a function that raises AssertionError."""

from __future__ import annotations

import copy
import json
from typing import Any

import torch
from torch import Tensor

from .. import encoders
from .compare import B, T, flat, same


def numbers(encoder: Any) -> tuple[Tensor, Tensor]:
    """Make the encoder one of float64; return random x (B, 4 T, features) and irregular dt (B, 4 T) for it."""
    encoder.double()
    return torch.randn(B, 4 * T, encoder.features).double(), 3 * torch.rand(B, 4 * T).double()


def an_encoder_keeps_its_word(encoder: Any) -> None:
    """Shapes, dtype and states are as published, and spikes are 0 or 1."""
    x, dt = numbers(encoder)
    steps = getattr(encoder, "steps", 1)
    for t in range(1, 4 * T + 1):
        z, e = encoder(x[:, :t], dt=dt[:, :t])
        assert z.shape == (B, t * steps, encoder.outputs)
        assert z.dtype == x.dtype
        for spec, found in zip(encoder.state_spec(), flat(e), strict=True):
            assert found.shape == (B, spec.width), f"{spec.name} is {tuple(found.shape)}"
            assert found.dtype == x.dtype
            assert bool(((found >= spec.low) & (found <= spec.high)).all()), f"{spec.name} leaves its bounds"
        if isinstance(encoder, encoders.SpikeEncoder):
            assert bool(((z == 0) | (z == 1)).all())
    assert 0 < z.count_nonzero() < z.numel() or not isinstance(encoder, encoders.SpikeEncoder), (
        "it always says the same"
    )


def an_encoder_takes_rows_alone(encoder: Any) -> None:
    """A row does not depend on its batch."""
    x, dt = numbers(encoder)
    z, e = encoder(x, dt=dt)
    for i in range(B):
        same(encoder(x[i : i + 1], dt=dt[i : i + 1]), (z[i : i + 1], [part[i : i + 1] for part in flat(e)]))


def an_encoder_goes_on(encoder: Any) -> None:
    """Cut anywhere, two parts are the whole, resets in either."""
    x, dt = numbers(encoder)
    reset = torch.rand(B, 4 * T) < 0.1
    whole = encoder(x, dt=dt, reset=reset)
    for cut in range(4 * T + 1):
        first, e = encoder(x[:, :cut], dt=dt[:, :cut], reset=reset[:, :cut])
        rest, e = encoder(x[:, cut:], e, dt=dt[:, cut:], reset=reset[:, cut:])
        same((torch.cat([first, rest], 1), e), whole)


def an_encoder_ends(encoder: Any) -> None:
    """After a row's end there is silence, whatever stands there, and the state is that of the end."""
    x, dt = numbers(encoder)
    lengths = torch.tensor([4 * T, 2 * T - 1, 0])
    before = encoder(x[:, ::2], dt=dt[:, ::2])[1]
    steps = getattr(encoder, "steps", 1)
    poisoned = torch.where(torch.arange(4 * T)[:, None] < lengths[:, None, None], x, torch.nan)
    z, e = encoder(poisoned, before, dt=dt, lengths=lengths, reset=torch.arange(4 * T).expand(B, -1) == 2 * T)
    for i, n in enumerate(lengths.tolist()):
        reset = torch.arange(n)[None] == 2 * T
        old = type(before)(*(part[i : i + 1] for part in before)) if isinstance(before, tuple) else before[i : i + 1]
        alone = encoder(x[i : i + 1, :n], old, dt=dt[i : i + 1, :n], reset=reset)
        same((z[i : i + 1, : n * steps], [part[i : i + 1] for part in flat(e)]), alone)
        assert not z[i, n * steps :].any()


def an_encoder_resets(encoder: Any) -> None:
    """After a reset the past is forgotten: the parts on either side are sequences of their own."""
    x, dt = numbers(encoder)
    for at in (0, 1, 2 * T):
        z, e = encoder(x, dt=dt, reset=torch.arange(4 * T).expand(B, -1) == at)
        first, _ = encoder(x[:, :at], dt=dt[:, :at])
        rest = encoder(x[:, at:], dt=dt[:, at:])
        same((z, e), (torch.cat([first, rest[0]], 1), rest[1]))


def an_encoder_is_copied(encoder: Any) -> None:
    """The same call gives the same again; so does a copy, and one made from `config` through JSON and `state_dict`."""
    x, dt = numbers(encoder)
    wanted = encoder(x, dt=dt)
    built = encoders.build(json.loads(json.dumps(encoder.config()))).double()
    built.load_state_dict(encoder.state_dict())
    assert built.config() == encoder.config()
    for twin in (encoder, copy.deepcopy(encoder), built):
        same(twin(x, dt=dt), wanted)
