"""What readouts learn row by row in C is what they learn in NumPy."""

from __future__ import annotations

import learners
import numpy as np
import pytest

from liquidtorch import ops
from liquidtorch.errors import BackendError
from liquidtorch.ops import cpu
from liquidtorch.readout import RLS


def test_compiled_they_learn_the_same(kernels: None) -> None:
    assert not list(learners.faults())


def test_a_difference_would_be_seen(monkeypatch: pytest.MonkeyPatch, kernels: None) -> None:
    fast = RLS._compiled
    monkeypatch.setattr(RLS, "_compiled", lambda self: lambda z, y, w: fast(self)(z, y, w * (1 + 1e-7)))
    assert len(list(learners.faults())) >= 3 * len(learners.SIZES) - 3


def test_without_kernels_fast_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "MISSING", "none here")
    with ops.use("fast"), pytest.raises(BackendError, match=r"got 'fast' \(none here\)"):
        RLS(2, 1).learn(np.zeros(2), np.zeros(1))
