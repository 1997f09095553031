"""The page of `liquid inspect`: what it draws, what it says where nothing applies, and that a browser draws it."""

from __future__ import annotations

import copy
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from known_layers import Spiking, noise
from test_report import HOSTILE, check_page, drawings

from liquidtorch import EchoState, diagnose, report
from liquidtorch.errors import FormatError

TITLES = {
    "States that started differently": ("echo",),
    "Memory of the input": ("memory",),
    "Capacity by degree": ("capacity",),
    "Variance of the states": ("states",),
    "Time constants of the units": ("tau",),
    "Rates of the units": ("rates",),
}


@pytest.fixture(scope="module")
def echo() -> dict[str, Any]:
    layer = EchoState(2, 20, tau=(1.0, 8.0), seed=0)
    return diagnose.inspect(layer, noise(3, 200, 2), dt=0.5)


@pytest.fixture(scope="module")
def every(echo: dict[str, Any]) -> dict[str, Any]:
    spiking = diagnose.inspect(Spiking(8, 1.0), (noise(2, 100, 1) > 0).double(), fan_out=3)
    return echo | {"rates": spiking["rates"], "operations": spiking["operations"]}


def written(folder: Path, found: dict[str, Any]) -> str:
    return report.write_inspection(folder, found).read_text(encoding="utf-8")


def test_curves_are_those_of_the_body(echo: dict[str, Any]) -> None:
    layer, x = EchoState(2, 20, tau=(1.0, 8.0), seed=0).double(), noise(3, 200, 2)
    y = layer(x, dt=0.5)[0][:, 20:].flatten(0, 1)
    variance = np.linalg.eigvalsh(np.cov(y.T.numpy()))[::-1]
    np.testing.assert_allclose(echo["states"]["shares"], variance / variance.sum(), rtol=1e-6, atol=1e-14)
    np.testing.assert_allclose(echo["tau"]["sorted"], np.sort(layer.taus().numpy())[::-1])
    assert echo["inputs"] == {"rows": 3, "steps": 200, "dt": 0.5}
    apart, washout = np.array(echo["echo"]["apart"]), echo["echo"]["washout"]
    assert len(apart) == 200
    assert apart[washout - 1] > 1e-3
    assert (apart[washout:] <= 1e-3).all()


def test_rates_of_units_are_ordered_shares_of_steps() -> None:
    x = (torch.arange(12).view(1, 12, 1) % 3 == 0).double()
    spikes = torch.cat([x, 0 * x, 1 + 0 * x], -1)
    found = diagnose.inspect(Spiking(8, 1.0), x, dt=0.5, spikes=spikes)
    assert found["rates"]["sorted"] == pytest.approx([2, 2 / 3, 0])
    assert found["rates"]["mean"] == pytest.approx(np.mean(found["rates"]["sorted"]))


def test_all_is_drawn_and_said(every: dict[str, Any], tmp_path: Path) -> None:
    html = written(tmp_path, every)
    for title in TITLES:
        assert html.count(f"<figcaption><b>{title}") == 1
    assert len(drawings(html)) == len(TITLES)
    assert html.count('class="absent"') == 0
    assert f"forgotten after {every['echo']['washout']} steps" in html
    assert "Small differences die out (largest Lyapunov exponent −" in html
    assert "EchoState: 2 features in, 20 outputs; driven by 3 series of 200 rows, 0.5 step apart." in html
    assert "</i>Lyapunov exponent −" in html
    assert "NaN" not in html
    assert "None" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    assert "<script" not in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "default-src 'none'" in html
    assert len(html.encode()) < 100_000
    names = re.findall(r"<dt>(.*?)</dt>", html)
    assert {"tau: median", "rank: kernel", "lyapunov", "operations: synaptic", "memory: total"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("title", TITLES)
def test_what_does_not_apply_is_not_drawn(title: str, every: dict[str, Any], tmp_path: Path) -> None:
    found = {k: v for k, v in every.items() if k not in TITLES[title]}
    html = written(tmp_path, found)
    assert title not in html
    assert len(drawings(html)) == len(TITLES) - 1
    assert html.count('class="absent"') == (title not in ("Memory of the input", "Capacity by degree"))


def test_nothing_found_is_said(tmp_path: Path) -> None:
    html = written(tmp_path, {"layer": HOSTILE})
    assert html.count('class="absent"') == 5
    assert "<script" not in html
    assert not drawings(html)


def test_what_is_no_number_is_left_out(every: dict[str, Any], tmp_path: Path) -> None:
    found = copy.deepcopy(every)
    found["lyapunov"] = None
    found["echo"] = {"index": 0.0, "washout": None, "apart": [0.5, None, 0.0, 0.2]}
    found["memory"]["curve"][3] = None
    found["states"]["shares"] = [None] * 5
    html = written(tmp_path, found)
    assert "Its start is not forgotten within these rows." in html
    assert "Variance of the states" not in html
    assert "</i>Lyapunov" not in html
    assert "NaN" not in html


def test_the_slope_is_the_exponent(every: dict[str, Any], tmp_path: Path) -> None:
    """Distances that fall as exp(-t) lie on the line of an exponent of -1."""
    found = every | {"lyapunov": -1.0, "echo": {"index": 0.0, "washout": 7}}
    found["echo"]["apart"] = [math.exp(-0.5 * (t + 1)) for t in range(20)]
    html = written(tmp_path, found)
    ours = re.search(r'<path class="line ours" d="([^"]*)"', html)
    base = re.search(r'<path class="line base" d="([^"]*)"', html)
    assert ours is not None
    assert base is not None
    assert ours[1] == base[1]
    off = written(tmp_path, found | {"lyapunov": 4.0})  # it leaves the plot at once
    assert "</i>Lyapunov" not in off


def test_the_page_is_whole_and_needs_no_torch(every: dict[str, Any], tmp_path: Path) -> None:
    page = report.write_inspection(tmp_path, every)
    first = page.read_bytes()
    code = "import sys; from liquidtorch import report; report.write_inspection(sys.argv[1], {'layer': 'x'}); "
    code += "print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "False"
    assert page.read_bytes() != first
    assert [file.name for file in tmp_path.iterdir()] == ["inspect.html"]  # nothing is left beside it
    with pytest.raises(FormatError, match="must be the folder of a run; there is no such folder"):
        report.write_inspection(tmp_path / "nowhere", every)


@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_draws_it_and_asks_nobody(every: dict[str, Any], width: int, tmp_path: Path, browser: Any) -> None:
    check_page(report.write_inspection(tmp_path, every), width, browser, len(TITLES), "liquidtorch inspection")


def test_from_the_shell(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": np.sin(0.4 * np.arange(120)), "b": rng.normal(size=120)})
    frame.write_csv(tmp_path / "table.csv")
    frame.head(0).write_csv(tmp_path / "empty.csv")

    def liquid(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "liquidtorch", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    words = ("--task", "forecast", "--body", "echo", "--units", "20", "--epochs", "1", "--out", "run")
    assert liquid("fit", "table.csv", *words).returncode == 0
    page = tmp_path / "run" / "inspect.html"
    done = liquid("inspect", "run", "empty.csv")
    assert done.returncode == 2
    assert "must have at least one row; it has only a header" in done.stderr
    assert not page.exists()
    done = liquid("inspect", "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"page: {Path('run', 'inspect.html')}"
    assert "memory.curve" in done.stdout
    assert "<figcaption><b>Memory of the input" in page.read_text()
    wrong = liquid("inspect", "nowhere")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "must be a saved network" in wrong.stderr
    assert not (tmp_path / "nowhere").exists()
