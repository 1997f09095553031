"""All measures of a layer in one record, and what each says to wrong questions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from known_layers import Spiking, Step, noise
from torch import Tensor

from liquidtorch import Bidirectional, Leaky, Linear, Recurrent, diagnose
from liquidtorch.errors import DataError, OptionError, ShapeError

EVERY = {
    "layer", "features", "outputs", "state", "inputs", "tau", "states", "echo", "lyapunov", "rank", "separation",
    "memory", "capacity",
}  # fmt: skip


@pytest.mark.parametrize("cell", [Leaky, Linear])
def test_inspect_takes_all_and_is_json(cell: Any) -> None:
    torch.manual_seed(0)
    layer = Recurrent(cell(2, 6))
    x = noise(3, 200, 2).float()
    found = diagnose.inspect(layer, x, dt=0.5)
    assert found.keys() == EVERY
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == diagnose.inspect(layer, x, dt=0.5)
    assert found["rank"]["of"] == 6
    assert 0 < found["memory"]["total"] <= 6
    assert found["states"]["effective_dimension"] <= 6
    assert next(layer.parameters()).dtype == torch.float32
    assert layer.training
    assert next(layer.parameters()).requires_grad
    text = diagnose.table(found)
    assert f"{found['lyapunov']:.4g}" in text
    assert len({line.index(line.split()[1]) for line in text.splitlines() if len(line.split()) == 2}) == 1


def test_inspect_leaves_out_what_does_not_apply() -> None:
    torch.manual_seed(0)
    both = Bidirectional(Recurrent(Leaky(1, 3)), Recurrent(Leaky(1, 3)))
    found = diagnose.inspect(both, noise(2, 100, 1).float(), steps=0)
    assert found.keys() == EVERY - {"echo", "lyapunov", "memory", "capacity"}
    found = diagnose.inspect(Spiking(8, 1.0), (noise(2, 100, 1) > 0).double(), fan_out=3)
    assert found.keys() == (EVERY - {"memory", "capacity"}) | {"rates", "operations"}
    assert found["rates"]["mean"] > 0
    assert found["operations"]["synaptic"] == pytest.approx(3 * found["operations"]["spikes"])
    assert found["tau"] is None
    json.dumps(found, allow_nan=False)


def test_inspect_says_none_where_a_number_is_none() -> None:
    still = Step(1, 2, lambda x, h, dt: torch.cat([x, x], dim=1))
    found = diagnose.inspect(still, noise(1, 60, 1), steps=500)
    assert found["lyapunov"] is None
    assert found["states"]["condition_number"] is None
    assert "lyapunov                    -" in diagnose.table(found)


def test_drive_runs_the_layer_as_it_is_in_float64() -> None:
    layer = Recurrent(Leaky(2, 4))
    x, dt = noise(3, 10, 2), noise(3, 10).abs()
    found = diagnose.drive(layer, x, dt=dt, washout=4)
    np.testing.assert_allclose(found, layer.double()(x, dt=dt)[0][:, 4:].reshape(18, 4).detach(), atol=1e-14)


def test_what_is_asked_wrongly_is_said() -> None:
    layer, x = Recurrent(Leaky(2, 4)), noise(3, 40, 2)
    reads_ahead = Bidirectional(layer, Recurrent(Leaky(2, 4)))
    cases: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (OptionError, r"`layer` must be a Layer; got Leaky\. Wrap", lambda: diagnose.drive(layer.cell, x)),
        (
            ShapeError,
            r"`x` must have the shape \(batch, time, features=2\); got \(40, 2\)",
            lambda: diagnose.drive(layer, x[0]),
        ),
        (ShapeError, r"`x` must have the shape .*; got \(3, 40, 1\)", lambda: diagnose.drive(layer, x[..., :1])),
        (DataError, r"`x` must be finite; got nan \(row 1, time 2, column 0\)", lambda: diagnose.drive(layer, hole(x))),
        (ShapeError, r"`dt` must be a number or .*; got \(3,\)", lambda: diagnose.drive(layer, x, dt=[1, 2, 3])),
        (
            OptionError,
            "`washout` must be a whole number at least 0 and at most 39; got 40",
            lambda: diagnose.drive(layer, x, washout=40),
        ),
        (
            OptionError,
            "`steps` must be a whole number at least 32; got 31",
            lambda: diagnose.memory_capacity(layer, steps=31),
        ),
        (
            OptionError,
            "`high` must be above `low`; got -1.0 and 1.0",
            lambda: diagnose.memory_capacity(layer, low=1.0, high=-1.0),
        ),
        (OptionError, "`delays` must name", lambda: diagnose.information_processing_capacity(layer, delays=())),
        (
            OptionError,
            r"`delays\[1\]` must be a whole number at least 0; got -1",
            lambda: diagnose.information_processing_capacity(layer, delays=(3, -1)),
        ),
        (
            ShapeError,
            r"`states` must have the shape \(\.\.\., units\), one state or more; got \(4,\)",
            lambda: diagnose.rank(torch.ones(4)),
        ),
        (DataError, "`states` must be finite", lambda: diagnose.effective_dimension(torch.full((2, 2), math.inf))),
        (
            OptionError,
            "`tolerance` must be a number at least 0 and at most 1; got 2",
            lambda: diagnose.rank(x, tolerance=2),
        ),
        (
            ShapeError,
            r"`x` must be one input, \(time, features\); got \(3, 40, 2\)",
            lambda: diagnose.generalisation_rank(layer, x),
        ),
        (
            ShapeError,
            r"`x` must have the shape .* two rows or more; got \(1, 40, 2\)",
            lambda: diagnose.separation(layer, x[:1]),
        ),
        (OptionError, "`layer` must be causal; got Bidirectional", lambda: diagnose.echo_index(reads_ahead, x)),
        (OptionError, "`layer` must be causal; got Bidirectional", lambda: diagnose.lyapunov(reads_ahead, x)),
        (OptionError, "`method` must be one of", lambda: diagnose.lyapunov(layer, x, method="tangent")),
        (ShapeError, "`x` must have 30 steps or more; got 29", lambda: diagnose.lyapunov(layer, x[:, :29])),
        (DataError, "`spikes` must be 0 or 1; got 0.5. Give spikes", lambda: diagnose.rates(torch.full((4, 1), 0.5))),
        (
            ShapeError,
            r"`fan_out` must have the shape \(units=1\); got \(2,\)",
            lambda: diagnose.operations(torch.ones(4, 1), [1, 2]),
        ),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()


def hole(x: Tensor) -> Tensor:
    x = x.clone()
    x[1, 2, 0] = math.nan
    return x
