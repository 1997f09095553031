"""What tests of the compiled kernels need, the kernels; and what tests of pages need, a browser."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from liquidtorch import ops
from liquidtorch.ops import cpu


@pytest.fixture(params=["auto", "reference"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test twice: compiled, where a compiler was, and in NumPy."""
    with ops.use(request.param):
        yield


@pytest.fixture(scope="session")
def kernels() -> None:
    """Skip where there is no compiler to make them with; where there is one, or on CI, they must be there."""
    if cpu.MISSING and not shutil.which("cc") and os.environ.get("CI") != "true":
        pytest.skip(cpu.MISSING)
    assert not cpu.MISSING, cpu.MISSING


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver and importlib.util.find_spec("selenium")):
        assert not os.environ.get("CI"), (
            "CI must have chromium, chromedriver and selenium; the page is not believed unseen"
        )
        pytest.skip("chromium, chromedriver and selenium are not all installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-sync",
        "disable-background-networking",
        "disable-component-update",
        "window-size=1200,900",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    page = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield page
    page.quit()
