"""Conformance suites for cells, layers and encoders, ours and yours: a law is a function that raises AssertionError.

>>> from liquidtorch import Leaky, Recurrent, testing
>>> testing.check_cell(lambda: Leaky(2, 3))
>>> [name for name, _ in testing.yield_checks(Recurrent(Leaky(2, 3)))][:2]
['rows_are_alone', 'padding_is_ignored']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from .. import encoders
from ..cells import Cell
from ..layers import Layer, Recurrent
from .compare import example, same
from .of_encoders import (
    an_encoder_ends,
    an_encoder_goes_on,
    an_encoder_is_copied,
    an_encoder_keeps_its_word,
    an_encoder_resets,
    an_encoder_takes_rows_alone,
)
from .of_layers import (
    a_stepper_is_the_whole,
    bounds_hold,
    compiling_changes_nothing,
    copies_are_equal,
    exporting_changes_nothing,
    gradients_are_right,
    gradients_flow,
    kinds_come_back,
    low_precision_runs,
    new_weights_are_seen,
    no_time_no_change,
    padding_is_ignored,
    reset_starts_anew,
    rows_are_alone,
    steps_are_the_whole,
    time_has_no_unit,
    two_parts_are_the_whole,
    units_may_be_renumbered,
    weights_and_inputs_vmap,
)

__all__ = ["check_cell", "check_encoder", "check_layer", "compiling_changes_nothing", "example", "same", "yield_checks"]

Make = Callable[[], Any]


def check_cell(make: Callable[[], Cell]) -> None:
    """Hold the cell that `make` returns to every law that needs no tracing.

    Parameters
    ----------
    make : function
        Returns a new cell, the same kind each time.

    Raises
    ------
    AssertionError
        Naming the law that fails.
    """
    cell = make()
    for name in cell.axes:
        assert isinstance(getattr(cell, name), Tensor), f"axes names {name}, which is no parameter or buffer"
    u = cell.inputs(torch.zeros(4, cell.features))
    h = cell.step(u, cell.initial(4), torch.ones(4, 1))
    assert cell.output(h).shape == (4, cell.outputs), "output must be (B, outputs)"
    assert cell.taus().shape == (cell.units,), "taus must be (H,)"
    check_layer(lambda: Recurrent(make()))


def check_layer(make: Callable[[], Layer], *, traced: bool = False) -> None:
    """Hold the layer that `make` returns to every law.

    Parameters
    ----------
    make : function
        Returns a new layer, the same kind each time.
    traced : bool
        Also compile and export it, which takes long.

    Raises
    ------
    AssertionError
        Naming the law that fails.
    """
    for name, law in yield_checks(make(), traced=traced):
        _hold(name, law, make)


def check_encoder(make: Callable[[], encoders.Encoder | encoders.SpikeEncoder]) -> None:
    """Hold the encoder that `make` returns, of numbers or of spikes, to every law of encoders.

    Parameters
    ----------
    make : function
        Returns a new encoder, the same kind each time, for channels of about standard normal numbers.

    Raises
    ------
    AssertionError
        Naming the law that fails.
    """
    for law in (
        an_encoder_keeps_its_word, an_encoder_takes_rows_alone, an_encoder_goes_on, an_encoder_ends, an_encoder_resets,
        an_encoder_is_copied,
    ):  # fmt: skip
        _hold(law.__name__, law, make)


def _hold(name: str, law: Callable[[Any], None], make: Make) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            law(make())
        except Exception as e:  # gradcheck, vmap and compile have errors of their own
            raise AssertionError(f"{name}: {(law.__doc__ or '').splitlines()[0]} {e}") from e


def yield_checks(layer: Layer, *, traced: bool = False) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Yield the name and the function of every law that `layer` says it obeys."""
    laws = [
        rows_are_alone, padding_is_ignored, kinds_come_back, time_has_no_unit, reset_starts_anew, bounds_hold,
        low_precision_runs, new_weights_are_seen, weights_and_inputs_vmap, copies_are_equal,
    ]  # fmt: skip
    laws += [two_parts_are_the_whole, steps_are_the_whole, a_stepper_is_the_whole] if layer.causal else []
    laws += [no_time_no_change] if layer.continuous else []
    laws += [gradients_are_right if layer.smooth else gradients_flow]
    laws += [units_may_be_renumbered] if hasattr(layer, "permute") else []
    laws += [compiling_changes_nothing, exporting_changes_nothing] if traced else []
    yield from ((law.__name__, law) for law in laws)
