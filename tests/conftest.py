"""What tests of the compiled kernels need: the kernels."""

from __future__ import annotations

import os
import shutil

import pytest

from liquidtorch.ops import cpu


@pytest.fixture(scope="session")
def kernels() -> None:
    """Skip where there is no compiler to make them with; where there is one, or on CI, they must be there."""
    if cpu.MISSING and not shutil.which("cc") and os.environ.get("CI") != "true":
        pytest.skip(cpu.MISSING)
    assert not cpu.MISSING, cpu.MISSING
