"""A sample's way from named values to what a readout sees, in one call: what csrc/arrival.h is told."""

from __future__ import annotations

from .library import Arguments, integers, pointers


class ArrivalStep(Arguments):
    """The struct of csrc/arrival.h. What it means is in online/channels.py, a layer's stepper, and online/view.py."""

    _fields_ = [*integers("n C O"), *pointers("value slot count mean square advance body u y z")]  # noqa: RUF012
