"""The whole network: the laws of a layer, what it takes from the data, and its folder on disk."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from liquidtorch import LiquidNetwork, layers, load
from liquidtorch.cells import Liquid
from liquidtorch.data import Sequences, from_arrays
from liquidtorch.encoders import Identity
from liquidtorch.errors import DataError, FormatError, OptionError, ShapeError
from liquidtorch.layers import Recurrent
from liquidtorch.model.build import BODIES
from liquidtorch.readout import Linear
from liquidtorch.task import Task, infer
from liquidtorch.wiring import make

OLD = Path(__file__).parent / "fixtures" / "model_schema_1"  # written by version 0.1.0; never written again


def gappy(forecast: bool = True) -> Sequences:
    """Three series of two numbers, with gaps, at random times."""
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 2)) * [1.0, 10.0] + [5.0, -3.0] for n in (30, 20, 25)]
    for series in x:
        series[rng.random(series.shape) < 0.3] = np.nan
    dts = [rng.uniform(0.5, 2.0, len(s)) for s in x]
    if forecast:
        return from_arrays(x, dt=dts, forecast=True)
    return from_arrays(x, [0.3, 1.7, 2.9], dt=dts)


def made(body: str = "liquid", **options: object) -> tuple[LiquidNetwork, Tensor, Tensor]:
    """Return a network whose readout is not zero, in float64, and an input for it."""
    seqs = gappy()
    task, _ = infer(seqs, "forecast", 2, (0.2, 0.8))
    net = LiquidNetwork.for_data(seqs, task, body=body, units=6, **options).double()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        net.readout.last.weight.normal_(generator=generator)
    x = torch.rand(3, 12, net.features, dtype=torch.float64, generator=generator) * 3 + 0.5
    x[0, 3:6, 0] = x[2, :2, 1] = float("nan")
    return net, x, torch.rand(3, 12, dtype=torch.float64, generator=generator) + 0.2


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("options", [{}, {"layers": 2, "readout": "mlp", "skip": False}])
def test_the_laws_of_a_layer(body: str, options: dict[str, object]) -> None:
    net, x, dt = made(body, **options)
    reset = torch.zeros(3, 12, dtype=torch.bool)
    reset[1, 7] = True
    whole, h = net(x, dt=dt, reset=reset)
    first, between = net(x[:, :5], dt=dt[:, :5], reset=reset[:, :5])
    second, after = net(x[:, 5:], between, dt=dt[:, 5:], reset=reset[:, 5:])
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-10)
    for a, b in zip(h, after, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    alone, _ = net(x[1:2], dt=dt[1:2], reset=reset[1:2])
    torch.testing.assert_close(alone, whole[1:2], rtol=0, atol=1e-12)
    fresh, _ = net(x[1:2, 7:], dt=dt[1:2, 7:])
    torch.testing.assert_close(fresh, whole[1:2, 7:], rtol=0, atol=1e-12)
    cut, k = net(x, dt=dt, reset=reset, lengths=torch.tensor([12, 9, 4]))
    torch.testing.assert_close(cut[2, :4], whole[2, :4], rtol=0, atol=1e-12)
    assert not cut[2, 4:].any()
    _, end = net(x[2:, :4], dt=dt[2:, :4])
    for a, b in zip(k, end, strict=True):
        torch.testing.assert_close(a[2:], b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("body", BODIES)
def test_a_stepper_goes_over_gaps_as_the_whole_does(body: str) -> None:
    net, x, dt = made(body)
    wanted, _ = net(x, dt=dt)
    stepper = net.stepper()
    for row in range(3):
        stepper.reset()
        for t in range(x.shape[1]):
            y = stepper(x[row, t].numpy(), dt[row, t].item())
            np.testing.assert_allclose(y, wanted[row, t].detach(), rtol=0, atol=1e-9)


def test_a_stepper_without_gaps_refuses_one() -> None:
    seqs = from_arrays(np.zeros((2, 5, 2)) + np.arange(5)[:, None], [0.0, 1.0])
    net = LiquidNetwork.for_data(seqs, infer(seqs)[0], units=3)
    plain = LiquidNetwork(Identity([0.0, 0.0], [1.0, 1.0]), net.body, net.readout, task=net.task)
    with pytest.raises(DataError, match=r"`x` must hold no NaN here; got one at column 1\. Use the encoder"):
        plain.stepper()(np.array([0.0, np.nan], dtype=np.float32))


def test_state_is_flat_and_described() -> None:
    net, x, dt = made(layers=2)
    _, h = net(x, dt=dt)
    spec = net.state_spec()
    assert h._fields == tuple(s.name for s in spec) == (
        "encoder_value", "encoder_age", "body_layer0_h", "body_layer1_h",
    ) or len(spec) == 4  # fmt: skip
    assert [t.shape for t in h] == [(3, s.width) for s in spec] == [t.shape for t in net.initial(3)]
    for tensor, s in zip(h, spec, strict=True):
        assert ((tensor >= s.low) & (tensor <= s.high)).all()


def test_before_learning_a_forecast_is_the_last_value_and_the_usual_change() -> None:
    seqs = gappy()
    task, _ = infer(seqs, "forecast", 2)
    net = LiquidNetwork.for_data(seqs, task, units=4)
    x = torch.tensor([[[7.0, 1.0, 1.0, 2.0], [float("nan"), 2.0, 1.0, 2.0]]])
    y, _ = net(x)
    change = net.readout.mean[: task.outputs].reshape(2, 2)  # the rest are slopes over the gap, 0 at the start
    torch.testing.assert_close(y.reshape(2, 2, 2), torch.tensor([[[7.0, 1.0]], [[7.0, 2.0]]]) + change)
    assert (change.abs() < 5).all()


def test_a_longer_gap_lets_a_forecast_move_further() -> None:
    """y = last + change + slope * (gap / mean gap - 1), for each of the two gaps with its own slope."""
    seqs = gappy()
    net = LiquidNetwork.for_data(seqs, infer(seqs, "forecast", 2)[0], units=4, readout="linear", skip=False)
    with torch.no_grad():
        net.readout.mean[4:] = torch.tensor([1.0, 2.0, 3.0, 4.0])  # the slopes, in the order (H, O)
    mean = net.encoder.mean[-2:]
    x = torch.tensor([[[7.0, 1.0, 0.0, 0.0]]]).repeat(3, 1, 1)
    x[:, 0, 2:] = torch.stack([mean, 2 * mean, torch.stack([0.5 * mean[0], mean[1]])])
    y = net(x)[0][:, 0].reshape(3, 2, 2)
    torch.testing.assert_close(y[1] - y[0], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    torch.testing.assert_close(y[2] - y[0], torch.tensor([[-0.5, -1.0], [0.0, 0.0]]))


def test_the_gaps_ahead_are_read_only_where_time_is_irregular() -> None:
    seqs = gappy()
    task, _ = infer(seqs, "forecast", 2)
    assert LiquidNetwork.for_data(seqs, task, units=4).ahead == 2
    regular = from_arrays(np.random.default_rng(0).normal(size=(3, 20, 1)), dt=0.1, forecast=True)
    assert LiquidNetwork.for_data(regular, infer(regular, "forecast")[0], units=4).ahead == 0


def test_scaling_and_gaps_are_those_of_the_training_data() -> None:
    seqs = gappy(forecast=False)
    task, _ = infer(seqs, "regress")
    net = LiquidNetwork.for_data(seqs, task, units=4, pool="mean")
    np.testing.assert_allclose(net.encoder.mean, np.nanmean(seqs.values, 0), rtol=1e-6)
    np.testing.assert_allclose(net.encoder.scale, np.nanstd(seqs.values, 0), rtol=1e-6)
    assert net.encoder.missing == (True, True)
    assert float(net.encoder.median_dt) == pytest.approx(seqs.median_dt)
    np.testing.assert_allclose(net.readout.mean, [np.mean([0.3, 1.7, 2.9])], rtol=1e-6)
    assert net.pool == "mean"
    assert LiquidNetwork.for_data(seqs, task, units=4).pool == "last"
    low, high = net.body.cell.tau
    assert low == pytest.approx(np.quantile(seqs.dt, 0.05))
    assert high == pytest.approx(np.median([seqs.series(i).dt.sum() for i in range(3)]))
    taus = torch.tensor(net.describe()["tau"])
    assert ((taus > 0.99 * low) & (taus < 1.01 * high)).all()
    assert net.schema == seqs.schema()


def test_a_finer_unit_of_time_changes_nothing() -> None:
    net, x, dt = made()
    other = copy.deepcopy(net)
    other.scale_time(60.0)
    scaled = x.clone()
    scaled[..., -2:] *= 60.0
    torch.testing.assert_close(other(scaled, dt=60.0 * dt)[0], net(x, dt=dt)[0], rtol=1e-9, atol=1e-9)


def test_a_seed_fixes_the_weights_and_nothing_else() -> None:
    before = torch.get_rng_state()
    first, second, other = (made(seed=s)[0].state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not torch.equal(first["body.cell.W_x"], other["body.cell.W_x"])


def test_wirings_by_name_or_ready_made() -> None:
    net, _, _ = made(wiring="random:0.5")
    assert net.body.cell.wiring.name.startswith("random")
    assert net.body.outputs == 6
    assert made(wiring="auto_ncp:0.5")[0].body.outputs == 2
    described = net.describe()
    assert described["wiring"] == net.body.cell.wiring.to_json()
    assert described["synapses"] == net.body.cell.wiring.synapses + net.body.cell.wiring.sensory_synapses
    ready = make("full", 6, net.encoder.outputs, 2, 0)
    assert made(wiring=ready)[0].body.outputs == 2


def test_describe() -> None:
    net, _, _ = made(layers=2)
    found = net.describe()
    assert found["parameters"] == sum(p.numel() for p in net.parameters())
    assert found["learned"] == "body and readout"
    assert (found["body"], found["units"], found["layers"], len(found["tau"])) == ("Liquid", 6, 2, 12)
    assert found["wiring"] is None
    json.dumps(found, allow_nan=False)
    net.body.requires_grad_(False)
    frozen = net.describe()
    assert frozen["parameters"] == sum(p.numel() for p in net.readout.parameters())
    assert frozen["learned"] == "readout"


@pytest.mark.parametrize("options", [{}, {"layers": 2}, {"wiring": "random:0.5"}, {"readout": "mlp", "skip": False}])
@pytest.mark.parametrize("body", ["liquid", "cfc"])
def test_saved_and_loaded_it_answers_the_same(body: str, options: dict[str, object], tmp_path: Path) -> None:
    net, x, dt = made(body, **options)
    net.save(tmp_path / "model")
    before = torch.get_rng_state()
    again = load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(again(x, dt=dt)[0], net(x, dt=dt)[0])
    assert (again.task, again.schema, again.config()) == (net.task, net.schema, net.config())
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]
    again.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert layers.build(net.config()).outputs == net.outputs


def test_sizes_may_be_whole_numbers_of_numpy(tmp_path: Path) -> None:
    seqs = gappy()
    task, _ = infer(seqs, "forecast", np.int64(2))  # type: ignore[arg-type]
    net = LiquidNetwork.for_data(seqs, task, units=np.int64(6), layers=np.int32(2), seed=np.int64(7))  # type: ignore[arg-type]
    wired = make("random:0.5", *(np.int64(n) for n in (6, net.encoder.outputs, 2)), 0)
    net.save(tmp_path / "net")
    assert json.loads(json.dumps(task.to_json()))["horizon"] == 2
    assert load(tmp_path / "net").config() == net.config()
    assert json.loads(json.dumps(wired.to_json()))["outputs"] == 2


def test_a_folder_of_the_first_version_still_loads() -> None:
    net = load(OLD)
    expected = safetensors.torch.load_file(OLD / "expected.safetensors")
    y, h = net(expected["x"], dt=expected["dt"])
    torch.testing.assert_close(y, expected["y"], rtol=0, atol=1e-9)
    torch.testing.assert_close(torch.cat(list(h), 1), expected["h"], rtol=0, atol=1e-9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_a_newer_folder_is_refused(folder: Path) -> None:
    rewrite(folder, schema=2, version="9.0.0")
    with pytest.raises(
        FormatError, match=r"schema 1 or older; got 2 \(written by liquidtorch 9.0.0\). Install a newer liquidtorch."
    ):
        load(folder)


def test_a_truncated_file_is_refused(folder: Path) -> None:
    raw = (folder / "model.safetensors").read_bytes()
    for kept in (0, 5, len(raw) // 2, len(raw) - 1):
        (folder / "model.safetensors").write_bytes(raw[:kept])
        with pytest.raises(FormatError, match=r"model.safetensors` must hold weights; it cannot be read, cut short"):
            load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FormatError, match=r"must be a saved network; it has no model.safetensors"):
        load(folder)


def test_tensors_that_do_not_fit_are_refused(folder: Path) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    for change, text in (
        ({"body.cell.b": torch.zeros(3)}, r"got \(3,\) instead of \(4,\) for body.cell.b"),
        ({"more": torch.zeros(2)}, r"got \(2,\) instead of none for more"),
    ):
        safetensors.torch.save_file(tensors | change, folder / "model.safetensors")
        with pytest.raises(FormatError, match=text):
            load(folder)
    del tensors["body.cell.b"]
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(FormatError, match=r"got none instead of \(4,\) for body.cell.b"):
        load(folder)


def test_json_that_is_no_network_is_refused(folder: Path) -> None:
    rewrite(folder, network={"kind": "LiquidNetwork"})
    with pytest.raises(FormatError, match=r"config.json` must describe a saved network; it does not \('encoder' is mi"):
        load(folder)
    rewrite(folder, schema=None)
    with pytest.raises(FormatError, match="schema 1 or older; got None"):
        load(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(FormatError, match="must be a saved network; it holds a list"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(FormatError, match="must be a saved network; it cannot be read"):
        load(folder)
    with pytest.raises(FormatError, match=r"must be a saved network; it has no config.json"):
        load(folder / "nowhere")


def test_a_failed_save_leaves_the_old_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, _, _ = made()
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full_disk(*args: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("liquidtorch.model.disk.write_atomic", full_disk)
    with pytest.raises(OSError, match="no space left"):
        net.save(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_messages() -> None:
    seqs = gappy()
    task, _ = infer(seqs, "forecast")
    for options, text in (
        ({"body": "liqud"}, r"`body` must be one of 'liquid', .*; got 'liqud'. Did you mean 'liquid'"),
        ({"units": 0}, "`units` must be a whole number at least 1; got 0"),
        ({"layers": 0}, "`layers` must be a whole number at least 1; got 0"),
        ({"readout": "conv"}, "`readout` must be one of 'linear', 'mlp', 'ridge', 'logistic'; got 'conv'"),
        ({"tau": "data"}, "`tau` must be one of 'auto'; got 'data'"),
        ({"pool": "max"}, "`pool` must be one of 'last', 'mean'; got 'max'"),
        ({"seed": -1}, "`seed` must be a whole number at least 0"),
        ({"layers": 2, "wiring": "full"}, r"`wiring` must be None for a body of several layers; got layers=2"),
    ):
        with pytest.raises(OptionError, match=text):
            LiquidNetwork.for_data(seqs, task, **options)
    with pytest.raises(DataError, match=r"`features` must hold the targets of a forecast; got no 'z'"):
        LiquidNetwork.for_data(seqs, Task("forecast", ("z",)))
    empty = from_arrays(np.full((2, 9, 1), np.nan), [0.5, 1.5])
    with pytest.raises(DataError, match="`x0` must have a value somewhere in the training data; every row lacks it"):
        LiquidNetwork.for_data(empty, infer(empty)[0])
    parts = Identity([0.0], [1.0]), Recurrent(Liquid(1, 4))
    with pytest.raises(ShapeError, match=r"`readout.features` must be 5 to fit the other parts; got 4"):
        LiquidNetwork(*parts, Linear(4, 1), task=Task("regress", ("y",)))
    with pytest.raises(OptionError, match="`columns` must name a column for each target of a forecast"):
        LiquidNetwork(*parts, Linear(5, 1), task=Task("forecast", ("y",)))


def test_without_a_memory_of_its_own_the_encoder_adds_no_state() -> None:
    net = LiquidNetwork(Identity([0.0], [1.0]), Recurrent(Liquid(1, 4)), Linear(5, 1), task=Task("regress", ("y",)))
    y, h = net(torch.ones(2, 3, 1))
    assert h.shape == (2, 4)
    assert net(torch.ones(2, 3, 1), h)[0].shape == y.shape == (2, 3, 1)
