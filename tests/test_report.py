"""The report: what it says, how large it is, and that a browser draws all of it and asks nobody for anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_runs as runs

from liquidtorch import errors, report
from liquidtorch.record import Record
from liquidtorch.report.axis import Axis, around
from liquidtorch.report.chart import band, histogram, line, plot, scatter
from liquidtorch.report.grid import matrix, strips
from liquidtorch.report.numbers import alike, decimals_for, fixed, number, percent, seconds
from liquidtorch.report.thin import runs as joined
from liquidtorch.report.thin import thin

LIMIT = 300_000
HOSTILE = "<script>alert(1)</script>\"'&"
MAKERS = {
    "forecast, one target": lambda f: runs.forecast(f, horizon=4),
    "forecast, 17 targets": lambda f: runs.forecast(f, targets=17),
    "forecast, dense wiring": lambda f: runs.forecast(f, targets=17, rows=1500, units=128, spec="full", better=False),
    "classify": lambda f: runs.classes(f, kind="classify", names=tuple(f"word {i}" for i in range(30))),
    "classify_steps": lambda f: runs.classes(f, targets=3, names=runs.SPOKEN, better=True),
    "regress": lambda f: runs.regress(f),
    "regress_steps": lambda f: runs.regress(f, kind="regress_steps"),
}
SECTIONS = ["verdict", "scores", "data", "learning", "predictions", "errors", "taus", "wiring", "events", "settings"]


def written(folder: Path) -> str:
    return report.write(folder).read_text(encoding="utf-8")


def edited(folder: Path, change: Any) -> Path:
    """Pass every line of a record through `change`, in place."""
    path = folder / "record.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(entry)) + "\n" for entry in lines))
    return folder


def drawings(html: str) -> list[ET.Element]:
    return [
        ET.fromstring(svg)
        for svg in re.findall(r"(<svg (?:class=.plot|xmlns).*?</svg>)\s*</(?:figure|div)>", html, re.S)
    ]


@pytest.mark.parametrize("kind", MAKERS)
def test_every_task_has_every_section_in_order(kind: str, tmp_path: Path) -> None:
    html = written(MAKERS[kind](tmp_path))
    places = [html.index(f'id="{section}"') for section in SECTIONS]
    assert places == sorted(places)
    assert len(html.encode()) < LIMIT
    assert "NaN" not in html
    assert "None" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    assert "<script" not in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    ("better", "said"),
    [
        (True, "The network beats the best baseline, lags (ridge on the last 8 rows)."),
        (None, "The network is not distinguishable from the best baseline, lags"),
        (False, "The network loses to the best baseline, lags"),
    ],
)
def test_verdict_has_three_outcomes(better: bool | None, said: str, tmp_path: Path) -> None:
    html = written(runs.forecast(tmp_path, better=better))
    assert said in html
    assert ("which holds 0" in html) == (better is None)
    assert re.search(r"Difference in RMSE: [−\d.]+, 95.% interval [−\d.]+ to [−\d.]+", html)


def test_the_one_rule_baseline_shows_its_rule_and_leads(tmp_path: Path) -> None:
    html = written(runs.classes(tmp_path))
    assert "best baseline, one rule (Light &gt; 365)." in html
    assert html.index("<th>one rule") < html.index("<th>liquid network")  # the better score stands first
    assert "99.01" in html
    assert "98.40 to 99.53" in html
    assert "Difference in accuracy: −0.08 percentage points, 95\u202f% interval −0.42 to 0.27, which holds 0" in html


def test_the_difference_names_its_sign_and_interval(tmp_path: Path) -> None:
    html = written(runs.forecast(tmp_path))
    assert "Difference in RMSE: −0.0128, 95\u202f% interval −0.0158 to −0.0093 (network minus baseline" in html
    assert "lower is better)." in html


def test_scores_of_each_target_mark_the_best(tmp_path: Path) -> None:
    html = written(runs.forecast(tmp_path, targets=17, better=False))
    table = html[html.index("of each target</h3>") :]
    assert table.count("<tr><th>") == 1 + 17
    row = re.search(r"<tr><th>torso_z</th>(.*?)</tr>", table)
    assert row is not None
    values = re.findall(r'<td class="n( best)?">([\d.]+)</td>', row[1])
    assert values[0] == (" best", f"{0.2268 * 1.05:.4f}")
    assert sum(best == " best" for best, _ in values) == 1
    assert "rmse/" not in html


def test_the_best_epoch_is_that_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    log = Record(tmp_path / "record.jsonl")
    for epoch, loss, score in ((1, 0.9, 0.9), (2, 0.3, 0.5), (3, 0.3, 0.99), (4, 0.6, 0.4)):
        log.write("epoch", epoch=epoch, train_loss=loss, valid_loss=loss, valid_score=score)
    html = written(tmp_path)
    assert html.count("best: epoch 2<") == 2  # the first of equals, on both plots, as training keeps it


def test_panels_hold_bands_and_time_constants_stand_beside_the_data(tmp_path: Path) -> None:
    html = written(runs.forecast(tmp_path / "a", targets=17))
    assert html.count('<path class="band ours"') == 12  # each of 12 targets once, of 51 recorded series
    assert "12 of 51 recorded series are shown." in html
    assert "</i>90 % band" in html
    states = written(runs.classes(tmp_path / "b"))
    assert "median dt: 1 min" in states
    assert "median series: 20\u202f559 min" in states  # 20 560 rows are 20 559 steps
    assert "</i>after training" in states


def test_missing_answers_are_left_out_of_the_residuals(tmp_path: Path) -> None:
    entry = {"target": "y", "truth": [1.0, 2.0, None, 4.0], "prediction": [1.5, None, 3.0, 3.0]}
    Record(tmp_path / "record.jsonl").write("examples", series=[], confusion=[], residuals=[entry])
    assert "Drawn from 2 recorded points" in written(tmp_path)


def test_errors_are_sorted_the_other_way(tmp_path: Path) -> None:
    html = written(runs.forecast(tmp_path))
    assert html.index("<th>liquid network") < html.index("<th>lags") < html.index("<th>last value")


@pytest.mark.parametrize("stop", ["run", "data", "task", "model", "epoch", "event", "model_end", "score"])
def test_a_run_cut_short_still_has_its_page(stop: str, tmp_path: Path) -> None:
    html = written(runs.forecast(tmp_path, stop_after=stop))
    wanted = "No comparison yet." if stop == "score" else "No score yet: the run has not reached its test."
    assert wanted in html
    if stop in ("event", "model_end"):
        assert (
            "The last event is early stop: no better validation score in 10 epochs; weights of epoch 31 kept." in html
        )
    if stop == "run":
        assert "No epoch has been finished." in html
    assert "NaN" not in html


def test_one_line_is_enough(tmp_path: Path) -> None:
    Record(tmp_path / "record.jsonl").write("event", name="interrupted", message="Ctrl-C in epoch 2")
    html = written(tmp_path)
    assert "The last event is interrupted: Ctrl-C in epoch 2." in html


def test_a_resumed_run_shows_its_newest_lines_once(tmp_path: Path) -> None:
    log = Record(tmp_path / "record.jsonl")
    for loss in (0.9, 0.7):
        for epoch in (1, 2, 3):
            log.write("epoch", epoch=epoch, train_loss=loss / epoch, valid_loss=loss / epoch)
        log.write("score", model="liquid", metric="rmse", score=loss, low=loss - 0.01, high=loss + 0.01)
    html = written(tmp_path)
    assert "<b>3</b><span>epochs</span>" in html
    log.write("verdict", best_baseline="lags", difference=0.1, low=0.05, high=0.15, better=False)
    log.write("verdict", best_baseline="lags", difference=-0.1, low=-0.15, high=-0.05, better=True)
    assert "beats the best baseline, lags." in written(tmp_path)
    assert html.count("<th>liquid network") == 1
    assert ">0.700<" in html
    assert ">0.900<" not in html


def test_no_record_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(errors.FormatError, match=r"must be a run's record; it cannot be read"):
        report.write(tmp_path / "nowhere")
    (tmp_path / "record.jsonl").write_text("\n")
    with pytest.raises(errors.FormatError, match=r"must hold the lines of a run; got none\. Start the run again\."):
        report.write(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = runs.forecast(tmp_path, targets=17)
    first = report.write(folder).read_bytes()
    assert report.write(folder).read_bytes() == first
    code = "import sys; from liquidtorch import report; report.write(sys.argv[1]); print('torch' in sys.modules)"
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    told = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=env, check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == "False"  # the report never needs torch
    assert (folder / "report.html").read_bytes() == first


WORDS = (
    "temperature",
    "Occupancy",
    "occupied",
    "trace_0",
    "lags",
    "early_stop",
    "auto_ncp",
    "rmse",
    "Linux x86_64",
    "s",
)


@pytest.mark.parametrize("maker", [runs.forecast, runs.classes])
def test_hostile_names_are_harmless(maker: Any, tmp_path: Path) -> None:
    folder = maker(tmp_path)
    text = (folder / "record.jsonl").read_text()
    for word in WORDS:
        text = text.replace(json.dumps(word), json.dumps(word + HOSTILE))
    (folder / "record.jsonl").write_text(text)
    html = written(folder)
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;") > 10
    assert len(drawings(html)) >= 8  # all still well-formed XML


def test_the_largest_pages_stay_below_the_limit(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)

    def noise(entry: dict[str, Any]) -> dict[str, Any]:
        for series in entry.get("series", []) if entry["kind"] == "examples" else []:
            rows = len(series["truth"])
            code = isinstance(series["truth"][0], int)
            for part in ("truth", "prediction", "low", "high"):
                if part in series:
                    series[part] = (draw.integers(0, 40, rows) if code else draw.normal(size=rows)).tolist()
        for table in entry.get("confusion", []):
            table["matrix"] = draw.integers(1, 900, (40, 40)).tolist()
        return entry

    sequence = edited(runs.forecast(tmp_path / "a", targets=17, rows=1200, series=1, spec="random:0.22"), noise)
    states = runs.classes(tmp_path / "b", names=tuple(f"state {i}" for i in range(40)), targets=12, rows=1200)
    for folder in (sequence, edited(states, noise)):
        assert LIMIT / 2 < len(written(folder).encode()) < 0.9 * LIMIT  # room for longer names


def test_a_peak_survives_thinning() -> None:
    rows = 50_000
    values = np.sin(np.arange(rows) / 900)
    values[33_333] = 7.5
    axis = Axis("step", 0, rows)
    kept = thin(list(zip(range(rows), values.tolist(), strict=True)), axis, 200)
    assert (33_333, 7.5) in kept
    assert len(kept) <= 4 * 200
    heights = [
        int(y)
        for y in re.findall(r"M\d+ (\d+)", line(range(rows), values, (axis, around(values, "y")), "a", "").shapes)
    ]
    assert heights  # drawn as one path in whole numbers
    assert [p[0] for p in kept] == sorted(p[0] for p in kept)


def test_runs_join_neighbours_and_cover_everything() -> None:
    assert joined([0, 0, 1, 1, 1, 0], 100) == [(0, 0.0, 2 / 6), (1, 2 / 6, 5 / 6), (0, 5 / 6, 1.0)]
    found = joined([0] * 5000 + [1] * 5000, 10)
    assert found == [(0, 0.0, 0.5), (1, 0.5, 1.0)]


@pytest.mark.parametrize(
    "values", [[0.0], [5, 5, 5], [-1e-9, 1e-9], [1e12, 1e12 + 1], [None, float("nan")], [1e-300, 1e149]]
)
@pytest.mark.parametrize("log", [False, True])
def test_axes_are_finite_and_their_ticks_lie_inside(values: list[Any], log: bool) -> None:
    axis = around(values, "y", log=log)
    assert axis.low < axis.high
    assert all(0 <= axis.at(v) <= 1 for v in values if isinstance(v, float) and v == v)
    assert all(axis.low <= v + 1e-9 * abs(v) and v - 1e-9 * abs(v) <= axis.high for v, _ in axis.ticks())
    assert len(axis.ticks()) < 16


def test_ticks_are_round() -> None:
    assert [text for _, text in Axis("y", -1.9, 3.4).ticks(4)] == ["−1", "0", "1", "2", "3"]
    assert [text for _, text in Axis("y", 0.004, 130, log=True).ticks()] == ["0.01", "0.1", "1", "10", "100"]
    assert [text for _, text in Axis("y", 0, 2.1, whole=True).ticks()] == ["0", "1", "2"]


def test_shapes_stand_where_the_data_say() -> None:
    axes = (Axis("x", 0, 10), Axis("y", 0, 4))
    assert 'd="M0 1000l500-500l500-500"' in line([0, 5, 10], [0, 2, 4], axes, "ours", "").shapes
    assert line([0, 1, 2, 3], [1, 1, None, 2], axes, "ours", "").shapes.count("M") == 2  # a gap breaks the line
    assert 'd="M0 750l1000 0l0-500l-1000 0z"' in band([0, 10], [1, 1], [3, 3], axes, "ours", "").shapes
    assert 'd="M0 1000V500H500V1000zM500 1000V750H1000V1000z"' in histogram([0, 5, 10], [2, 1], axes, "ours", "").shapes
    assert scatter([(5, 2), (5, 2), (0, 4)], axes, "ours", "").shapes.count("h0") == 2
    many = [(float(x), float(y)) for x, y in np.random.default_rng(0).uniform(0, 4, (9000, 2))]
    assert 600 <= scatter(many, axes, "ours", "", most=700).shapes.count("h0") <= 720


def test_a_matrix_shades_by_the_true_class() -> None:
    drawn = matrix("state", ["a", "b"], [[8, 2], [0, 50]])
    assert 'x="0" y="0" width="1" height="1" fill-opacity="0.81"' in drawn
    assert "a as b: 2, 20.0" in drawn
    assert drawn.count('<rect class="cell') == 3  # nothing where nothing was counted


def test_strips_show_each_wrong_step() -> None:
    drawn = strips("s", Axis("t", 0, 4), [0, 0, 1, 1], [0, 1, 1, 1], {0: "off", 1: "on"})
    assert 'class="swatch k0" d="M0 0h500v400h-500z"' in drawn
    assert re.findall(r'class="miss m3" d="([^"]*)"', drawn) == ["M250 890h250v110h-250z"]


def test_plot_names_itself_its_axes_and_its_lines() -> None:
    axes = (Axis("time (s)", 0, 1), Axis("angle (rad)", 0, 1))
    marks = [line([0, 1], [0, 1], axes, "base", "truth"), line([0, 1], [1, 0], axes, "ours", "prediction")]
    drawn = plot("A & B", axes, marks)
    assert "<title>A &amp; B</title>" in drawn
    for word in ("time (s)", "angle (rad)", "</i>truth", "</i>prediction"):
        assert word in drawn
    assert "keys" not in plot("A", axes, marks[:1])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (True, "–"),
        (0.0, "0"),
        (12_345, "12\u202f345"),
        (0.00012345, "0.0001234"),
        (2e-7, "2×10⁻⁷"),
        (-1.5, "−1.5"),
        (123456.789, "123\u202f457"),
        (3.2e9, "3.2×10⁹"),
    ],
)
def test_numbers_have_sensible_digits(value: Any, text: str) -> None:
    assert number(value) == text


def test_decimals_follow_the_interval() -> None:
    assert decimals_for([(0.2097, 0.2187), (0.1, 0.3)], []) == 4
    assert decimals_for([(98.3, 99.4)], []) == 2
    assert decimals_for([(None, None)], [0.5]) == 4
    assert alike([12.3456, -0.001]) == ["12.35", "0.00"]
    assert fixed(-0.004, 2) == "0.00"
    assert percent(0.0004) == "< 0.1\u202f%"
    assert percent(0.9996) == "> 99.9\u202f%"
    assert [seconds(s) for s in (0.314, 42, 200, 7500)] == [
        "0.31\u202fs",
        "42\u202fs",
        "3\u202fmin 20\u202fs",
        "2\u202fh 05\u202fmin",
    ]


LOOK = """
const found = [...document.querySelectorAll('svg')].map(svg => {
  const box = svg.getBoundingClientRect(), shapes = [...svg.querySelectorAll('path,rect,circle')];
  const wrong = [svg, ...svg.querySelectorAll('*')].flatMap(e => [...e.attributes])
    .filter(a => /NaN|undefined|Infinity/.test(a.value)).length;
  const good = shapes.filter(e => { const b = e.getBoundingClientRect();
    return [b.x, b.y, b.width, b.height].every(Number.isFinite) && b.width + b.height > 0; }).length;
  return {corner: svg.classList.contains('corner'), box: [box.width, box.height], shapes: shapes.length, good, wrong,
          named: !!svg.querySelector('title'), data: svg.classList.contains('data'), right: box.right};
});
return {found, wide: document.documentElement.scrollWidth, title: document.title};
"""


@pytest.mark.parametrize("kind", MAKERS)
def test_a_browser_draws_every_plot_and_asks_nobody(kind: str, tmp_path: Path, browser: Any) -> None:
    page = report.write(MAKERS[kind](tmp_path))
    for width in (1200, 390):
        check_page(page, width, browser)


def check_page(page: Path, width: int, browser: Any, least: int = 8, title: str = "liquidtorch report") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get_log("performance")  # what came before is not this page's doing
    browser.get(page.as_uri())
    seen = browser.execute_script(LOOK)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked == [page.as_uri()]
    assert len(seen["found"]) >= least
    for svg in seen["found"]:
        assert svg["wrong"] == 0
        assert svg["corner"] or (min(svg["box"]) > 20 and svg["shapes"] and svg["good"] == svg["shapes"])
        assert svg["named"] or svg["data"] or svg["corner"]
    assert seen["wide"] <= width  # nothing sticks out sideways
    assert title in seen["title"]


def test_the_browser_test_would_see_a_request(tmp_path: Path, browser: Any) -> None:
    path = tmp_path / "bad.html"
    path.write_text("<!doctype html><title>x</title><img src='file:///nowhere.png'>")
    browser.get_log("performance")
    browser.get(path.as_uri())
    text = json.dumps(browser.get_log("performance"))
    assert "nowhere.png" in text
    assert browser.get_log("browser")


def test_hostile_page_runs_nothing(tmp_path: Path, browser: Any) -> None:
    folder = edited(
        runs.forecast(tmp_path), lambda e: e | {"name": "<img src=x onerror=alert(1)>"} if e["kind"] == "event" else e
    )
    browser.get(report.write(folder).as_uri())
    assert browser.execute_script("return document.querySelectorAll('img,script').length") == 0
    assert browser.get_log("browser") == []
