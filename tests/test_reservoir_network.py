"""Networks with a reservoir and a solved readout: made for data, solved, saved, run step by step, from the shell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from liquidtorch import LiquidNetwork, load, report
from liquidtorch.baselines import truth
from liquidtorch.data import Sequences, from_arrays
from liquidtorch.diagnose import table
from liquidtorch.encoders import StepForward
from liquidtorch.errors import DataError, OptionError, ShapeError
from liquidtorch.record import read
from liquidtorch.report.numbers import number
from liquidtorch.reservoir import EchoState, Encoded, LiquidState
from liquidtorch.run import Options
from liquidtorch.run import fit as fit_run
from liquidtorch.task import Task, infer, score
from liquidtorch.train import Config, fit, predict
from liquidtorch.train import solve as solving


def waves(seed: int, *, irregular: bool = False) -> Sequences:
    rng = np.random.default_rng(seed)
    dt = [rng.uniform(0.5, 1.5, 120) if irregular else np.ones(120) for _ in range(8)]
    x = [np.sin(0.3 * gaps.cumsum() + rng.uniform(0, 6))[:, None] for gaps in dt]
    return from_arrays(x, dt=dt, forecast=True)


def solved(seqs: Sequences, **options: Any) -> tuple[LiquidNetwork, Task]:
    task = infer(seqs, "forecast")[0]
    network = LiquidNetwork.for_data(seqs, task, **{"body": "echo", "units": 40, **options})
    fit(network, seqs, None, task, Config())
    return network, task


@pytest.mark.parametrize(
    "options",
    [
        {}, {"irregular": True}, {"body": "spiking"}, {"encoder": "step_forward"}, {"encoder": "sigma_delta"},
        {"body": "spiking", "encoder": "step_forward"}, {"body": "liquid", "readout": "ridge"}, {"layers": 2},
        {"skip": False},
    ],
    ids=str,
)  # fmt: skip
def test_it_forecasts_and_lives_on_disk(options: dict[str, Any], tmp_path: Path) -> None:
    irregular = options.get("irregular", False)
    options = {name: value for name, value in options.items() if name != "irregular"}
    bar = 0.9 if options == {"body": "spiking", "encoder": "step_forward"} else 0.5  # few spikes, few neurons
    network, task = solved(waves(0, irregular=irregular), **options)
    test = waves(1, irregular=irregular)
    found = predict(network, test, task)
    last = np.sqrt(np.nanmean((truth(task, test)[:, 0] - test.values) ** 2))
    assert score(task, truth(task, test), found)["rmse"] < bar * last
    network.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(predict(again, test, task).values, found.values)
    assert again.describe() == network.describe()
    assert network.learned == again.readout.weight.numel() + again.readout.bias.numel()
    assert network.describe()["learned"] == "readout"


def test_the_readout_is_the_ridge_regression_on_what_it_sees() -> None:
    """The states collected by hand, a row at a time: the gradient of the penalised squared error is 0 there."""
    seqs = waves(0)
    network, task = solved(seqs)
    states, targets = [], []
    for i in range(len(seqs)):
        x = torch.as_tensor(seqs.series(i).values)[None]
        seen, _, _ = network.seen(x, network.initial(1), torch.ones(1, x.shape[1], dtype=torch.float64), None, None)
        states.append(seen[0, :-1].numpy())
        targets.append((x[0, 1:] - x[0, :-1]).numpy())
    X, y = np.concatenate(states), np.concatenate(targets)
    X, y, W = X - X.mean(0), y - y.mean(0), network.readout.weight.T.numpy()
    message = fit(network, seqs, None, task, Config()).message
    penalty = float(message.split("penalty ")[1].rstrip(".")) * (X**2).sum() / X.shape[1]
    downhill = X.T @ (y - X @ W)
    np.testing.assert_allclose(downhill, penalty * W, atol=0.06 * np.abs(penalty * W).max())  # two digits are said
    assert np.abs(downhill).max() < 1e-2 * np.abs(X.T @ y).max()


def test_a_series_is_answered_from_its_mean_state() -> None:
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(rng.integers(5, 9), 2)) + (i % 2) for i in range(40)]
    seqs = from_arrays(x, [("a", "b")[i % 2] for i in range(40)])
    task = infer(seqs)[0]
    network = LiquidNetwork.for_data(seqs, task, body="echo", units=20)
    assert type(network.readout).__name__ == "Logistic"
    fit(network, seqs, None, task, Config())
    found = predict(network, seqs, task)
    one = torch.as_tensor(x[3])[None]
    y, _ = network(one, dt=1.0)
    np.testing.assert_allclose(y[0].mean(0).softmax(0).numpy(), found.probabilities[3], atol=1e-12)
    assert (found.values[:, 0] == [i % 2 for i in range(40)]).mean() > 0.9


def test_two_targets_of_classes_by_ridge() -> None:
    seqs = from_arrays(
        np.random.default_rng(0).normal(size=(30, 6, 1)), np.array([["a", "x"], ["b", "y"], ["a", "y"]] * 10)
    )
    task = infer(seqs)[0]
    network = LiquidNetwork.for_data(seqs, task, body="echo", units=10)
    fit(network, seqs, None, task, Config())
    assert predict(network, seqs, task).values.shape == (30, 2)


def test_a_stepper_of_a_solved_network() -> None:
    seqs = waves(0)
    network, _ = solved(seqs)
    stepper = network.stepper()
    x = seqs.series(0).values
    wanted = network(torch.as_tensor(x)[None], dt=1.0)[0][0].numpy()
    found = np.stack([stepper(row, 1.0) for row in x])
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_substeps_are_the_body_s_own_steps() -> None:
    """A body behind a code of three substeps is the same body run on the spikes, every third state shown."""
    layer = Encoded(StepForward([0.3, 0.2], steps=3), EchoState(4, 9)).double()
    x = torch.randn(2, 8, 2, dtype=torch.float64)
    spikes, _ = layer.encoder(x)
    states, _ = layer.body(spikes, dt=0.5)
    torch.testing.assert_close(layer(x, dt=1.5)[0], states[:, 2::3], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"readout": "logistic"}, "`readout` must be 'ridge' for forecast, or more than one target; got 'logistic'"),
        ({"body": "spiking", "layers": 2}, "`layers` must be 1 for a spiking liquid; got 2"),
        ({"wiring": "random:0.5"}, "`wiring` must be None with an `encoder` or a reservoir as body"),
        ({"encoder": "stepforward"}, "Did you mean 'step_forward'"),
        ({"readout": "rigde"}, "Did you mean 'ridge'"),
    ],
    ids=str,
)
def test_what_is_refused(options: dict[str, Any], error: str) -> None:
    with pytest.raises(OptionError, match=error.replace("(", r"\(")):
        solved(waves(0), **options)


def test_parts_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"`body\.features` must be 2, the encoder's outputs; got 3"):
        Encoded(StepForward([1.0]), EchoState(3, 5))
    with pytest.raises(OptionError, match="`encoder` must make spikes; got EchoState"):
        Encoded(EchoState(3, 5), EchoState(3, 5))  # pyright: ignore[reportArgumentType]


def test_quantiles_need_training() -> None:
    seqs = waves(0)
    task = infer(seqs, "forecast", quantiles=(0.1, 0.9))[0]
    with pytest.raises(OptionError, match="`quantiles` must be left out with readout='ridge', which gives means"):
        LiquidNetwork.for_data(seqs, task, body="echo")


def test_states_that_do_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solving, "MOST", 10_000)
    with pytest.raises(DataError, match="`train` must have fewer rows, or the network fewer units"):
        solved(waves(0))


def test_backpropagation_through_spikes() -> None:
    """Surrogate gradients train what stands before a spiking body: a readout's error reaches the layer in front."""
    torch.manual_seed(0)
    front, liquid, last = torch.nn.Linear(2, 3), LiquidState(3, 20, traces=(5.0,), seed=1), torch.nn.Linear(20, 1)
    x, y = torch.randn(4, 40, 2), torch.randn(4, 1)
    optimiser = torch.optim.Adam([*front.parameters(), *last.parameters()], lr=0.02)
    losses = []
    for _ in range(15):
        states, _ = liquid(5 * front(x))
        loss = (last(states[:, -1]) - y).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert bool(front.weight.grad.any())
    assert losses[-1] < 0.5 * losses[0]


def liquid(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "liquidtorch", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_body_that_is_not_trained_is_not_counted(tmp_path: Path) -> None:
    """A liquid body under a ridge readout keeps its weights, in the count, the record and the report."""
    rows = [{"t": t, "a": float(np.sin(0.4 * t))} for t in range(120)]
    pl.DataFrame(rows).write_csv(tmp_path / "table.csv")
    common: Any = {"table": str(tmp_path / "table.csv"), "time": "t", "task": "forecast", "units": 9, "epochs": 1}
    for readout, body, said in (
        ("ridge", "liquid", "readout"), ("linear", "echo", "readout"), ("linear", "liquid", "body and readout"),
    ):  # fmt: skip
        out = tmp_path / f"{readout}-{body}"
        found = fit_run(Options(**common, body=body, readout=readout, out=str(out)))
        network = load(out / "model")
        own = list(network.readout.parameters()) or [network.readout.weight, network.readout.bias]
        count = sum(p.numel() for p in own)
        count += sum(p.numel() for p in network.body.parameters()) if said == "body and readout" else 0
        lines = {line["kind"]: line for line in read(out / "record.jsonl")}
        for kind in ("model", "model_end"):
            assert (lines[kind]["parameters"], lines[kind]["learned"]) == (count, said)
        assert found["scores"][0]["parameters"] == count
        html = report.write(out).read_text()
        assert f"<b>{number(count)}</b><span>parameters{' of the readout' if said == 'readout' else ''}</span>" in html
        assert ("its body stayed as it was drawn" in html) == (said == "readout")


def test_from_the_shell(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = [
        {"device": f"d{i}", "t": float(t), "a": float(np.sin(0.4 * t + i)), "b": float(rng.normal())}
        for i in range(8) for t in range(60)
    ]  # fmt: skip
    pl.DataFrame(frame).write_csv(tmp_path / "table.csv")
    words = ("fit", "table.csv", "--series", "device", "--time", "t", "--task", "forecast", "--target", "a")
    done = liquid(*words, "--body", "echo", "--units", "30", "--epochs", "2", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Ridge regression on" in done.stderr
    assert liquid("predict", "run", "table.csv", "--out", "p.csv", cwd=tmp_path).returncode == 0
    seen = liquid("inspect", "run", "--json", cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    found = json.loads(seen.stdout)
    assert found["outputs"] == 30
    assert found["echo"]["index"] < 0.1
    assert "memory.curve" in table(found)
    wrong = liquid(*words, "--body", "echo", "--encoder", "morse", "--out", "other", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "`encoder` must be one of" in wrong.stderr
    assert not (tmp_path / "other").exists()
