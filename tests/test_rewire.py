"""Rewiring in training: the counts stay, the mask moves to where the data ask for it, and a stop changes nothing."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from liquidtorch import LTC, CfC, Leaky, Liquid, LiquidNetwork, MixedMemory, Recurrent
from liquidtorch.cells import Cell
from liquidtorch.data import Sequences, from_arrays
from liquidtorch.errors import OptionError, StateError
from liquidtorch.plasticity import birth_gradient, fill
from liquidtorch.record import Record, read
from liquidtorch.run import Options
from liquidtorch.run import fit as run_fit
from liquidtorch.task import Task, infer
from liquidtorch.train import Config, fit
from liquidtorch.train.checkpoint import place
from liquidtorch.train.rewire import EVERY, Rewiring, kept, put_back
from liquidtorch.wiring import full, random

H, F = 10, 3
CONFIG = Config(epochs=15, batch=2, lr=2e-2, weight_decay=0.0, seed=3, plasticity="rewire", patience=1000)


def student(kind: Any = Leaky, seed: int = 0) -> Recurrent:
    torch.manual_seed(seed)
    return Recurrent(kind(F, H, tau=(1.0, 8.0), wiring=random(H, F, density=0.2, seed=seed + 70)))


def teacher(seed: int) -> Recurrent:
    """A sparse network, all of whose states are to be told from its input."""
    torch.manual_seed(seed)
    layer = Recurrent(Leaky(F, H, tau=(1.0, 8.0), wiring=random(H, F, density=0.2, seed=seed)))
    with torch.no_grad():
        layer.cell.W_h *= 2  # pyright: ignore
        layer.cell.W_x *= 2  # pyright: ignore
    return layer


def told(layer: Recurrent, series: int, steps: int, seed: int) -> Sequences:
    x = torch.randn(series, steps, F, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        y = layer(x)[0]
    names = [f"h{i}" for i in range(H)]
    return from_arrays(list(x.double().numpy()), list(y.double().numpy()), targets=names, level="step")


def parts(seed: int = 0, series: int = 24) -> tuple[Sequences, Sequences, Task]:
    train = told(teacher(seed), series, 20, 1)
    return train, told(teacher(seed), 8, 20, 2), infer(train)[0]


def masks(network: nn.Module) -> list[np.ndarray]:
    return [v.numpy() for k, v in kept(network).items() if ".wiring." in k]


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(kept(a).values(), kept(b).values(), strict=True))


@pytest.mark.parametrize("kind", [Leaky, Liquid, LTC, CfC])
def test_the_mask_moves_and_the_counts_stay(kind: type[Cell], tmp_path: Path) -> None:
    network, (train, _, task) = student(kind), parts()
    before = masks(network)
    record = Record(tmp_path / "record.jsonl")
    history = fit(network, train, None, task, CONFIG, record=record)
    after = masks(network)
    assert history.steps == 15 * 12
    for then, now in zip(before, after, strict=True):
        assert (now != 0).sum() == (then != 0).sum()
        assert ((now != 0) != (then != 0)).any()
    assert network.cell.live_h.sum() == (after[0] != 0).sum()
    events = [line for line in read(record.path) if line["kind"] == "event" and line["name"] == "rewired"]
    assert len(events) == 1  # after 50 of 180 steps; after 100, a tenth of the fraction is less than one synapse
    count = int((before[0] != 0).sum() + (before[1] != 0).sum())
    assert events[0]["message"].endswith(f"of {count} synapses were moved after {EVERY} steps.")


@pytest.mark.parametrize("kind", [Leaky, LTC])
def test_every_epoch_can_be_the_last(kind: type[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid, task = parts()
    files: list[bytes] = []
    whole = student(kind)
    monkeypatch.setattr("liquidtorch.train.checkpoint.write_atomic", lambda path, data: files.append(data))
    wanted = fit(whole, train, valid, task, CONFIG, folder=tmp_path / "whole")
    monkeypatch.undo()
    assert len(files) == 17
    for i in (0, 4, 6, 16):  # before the first rewiring, just before it, after it, at the end
        folder = tmp_path / f"{i}"
        place(folder).parent.mkdir(parents=True)
        place(folder).write_bytes(files[i])
        resumed = student(kind)
        history = fit(resumed, train, valid, task, CONFIG, folder=folder, resume=True)
        assert same(resumed, whole)
        assert [e["valid_loss"] for e in history.epochs] == [e["valid_loss"] for e in wanted.epochs]
        assert history.steps == wanted.steps
        shutil.rmtree(folder)


def test_a_checkpoint_of_another_plasticity_is_refused(tmp_path: Path) -> None:
    train, valid, task = parts()
    fit(student(), train, valid, task, Config(epochs=1, batch=4), folder=tmp_path)
    with pytest.raises(StateError, match="`plasticity` must be what it was"):
        fit(student(), train, valid, task, Config(epochs=1, batch=4, plasticity="rewire"), folder=tmp_path, resume=True)


def test_the_best_weights_come_with_their_wiring() -> None:
    """Those of an epoch before the last rewiring are not run on the mask after it."""
    network, (train, _, task) = student(), parts()
    found = kept(network)
    y = network(torch.ones(1, 5, F))[0]
    fit(network, train, None, task, CONFIG)
    assert not torch.allclose(network(torch.ones(1, 5, F))[0], y)
    put_back(network, found)
    assert torch.equal(network(torch.ones(1, 5, F))[0], y)
    assert same(network, student())


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sparse_teacher_is_learned_better_than_with_a_fixed_mask(seed: int) -> None:
    """The student has as many synapses as the teacher, at the wrong places."""
    train, valid, task = parts(seed, series=96)
    loss, agree = {}, {}
    for how in (None, "rewire"):
        network = student(seed=seed)
        config = Config(epochs=120, batch=8, lr=2e-2, weight_decay=0.0, patience=1000, seed=seed, plasticity=how)
        loss[how] = fit(network, train, valid, task, config).best_loss
        pairs = zip(masks(network), masks(teacher(seed)), strict=True)
        agree[how] = sum(int(((a != 0) & (b != 0)).sum()) for a, b in pairs)
    assert loss["rewire"] < 0.7 * loss[None]
    assert agree["rewire"] > agree[None]


@pytest.mark.parametrize("kind", [Leaky, Liquid, CfC])
def test_the_gradient_of_a_missing_synapse_is_that_of_a_dense_network(kind: type[Cell]) -> None:
    """Against the same cell without a wiring, its missing weights at 0; against masks, it would be 0 everywhere."""
    wired = Recurrent(kind(F, H, wiring=random(H, F, density=0.2, seed=1))).double()
    dense = Recurrent(kind(F, H)).double()
    live = {"HH": wired.cell.live_h, "HF": wired.cell.live_x}
    with torch.no_grad():
        for name, value in wired.cell.named_parameters():
            mask = live.get(wired.cell.axes[name][-2:], torch.ones(()))
            dense.cell.get_parameter(name).copy_(value * mask)
    x = torch.randn(2, 12, F, dtype=torch.float64)
    whole = copy.deepcopy(wired)
    fill(whole.cell)
    for layer in (whole, dense):
        layer(x)[0].square().sum().backward()
    names = [("W_h", "G_h"), ("W_x", "G_x")] if kind is Liquid else [("W_h",), ("W_x",)]
    for found, of in zip(birth_gradient(whole.cell), names, strict=True):
        grads = [dense.cell.get_parameter(n).grad.square() for n in of]  # pyright: ignore[reportOptionalMemberAccess]
        wanted = sum(g.sum(0) if g.ndim == 3 else g for g in grads).sqrt()
        assert np.allclose(found, wanted.numpy(), rtol=1e-9, atol=1e-12)
        assert (found > 0).mean() > 0.8  # but for units that nothing moves


def test_the_gradient_of_a_missing_conductance_is_what_one_of_1_would_have() -> None:
    """By finite differences of sigma, with the conductance that was given to each."""
    cell = LTC(F, H, unfolds=2, wiring=random(H, F, density=0.2, seed=1)).double()
    layer, x = Recurrent(cell), torch.randn(2, 8, F, dtype=torch.float64)
    missing = np.argwhere(cell.live_h.numpy() == 0)[:3]
    y = layer(x)[0]
    fill(cell)
    assert torch.allclose(layer(x)[0], y, rtol=0, atol=1e-12)
    layer(x)[0].square().sum().backward()
    found = birth_gradient(cell).h
    for to, source in missing:
        losses = []
        for step in (-1e-4, 1e-4):
            with torch.no_grad():
                cell.sigma[to, source] = step
                losses.append(float(layer(x)[0].square().sum()))
                cell.sigma[to, source] = 0.0
        g = nn.functional.softplus(cell.w[to, source]).item()
        assert found[to, source] == pytest.approx(abs(losses[1] - losses[0]) / 2e-4 / g, rel=1e-5)


def test_moments_of_what_is_new_are_zero() -> None:
    network = student()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    x = torch.randn(2, 9, F)
    network(x)[0].square().sum().backward()
    optimiser.step()
    before = network.cell.live_h.clone()
    for parameter in network.parameters():
        for key in ("exp_avg", "exp_avg_sq"):
            optimiser.state[parameter][key].fill_(0.5)
    said = Rewiring(network, optimiser, 0)(lambda other: other(x)[0].square().sum(), 50, 0.0)
    assert said.startswith("7 of 26 synapses")
    moved = before != network.cell.live_h
    moments = optimiser.state[network.cell.W_h]
    for key in ("exp_avg", "exp_avg_sq"):
        assert bool((moments[key][moved] == 0).all())
        assert bool((moments[key][~moved] == 0.5).all())
    assert bool((network.cell.W_h[moved & (network.cell.live_h != 0)] == 0).all())
    assert bool((optimiser.state[network.cell.b]["exp_avg"] == 0.5).all())
    assert Rewiring(network, optimiser, 0)(lambda other: other(x)[0].sum(), 50, 0.8) == ""


def test_networks_that_cannot_be_rewired() -> None:
    train, valid, task = parts()
    for network, why in (
        (Recurrent(Leaky(F, H)), "no cell of it has a wiring"),
        (Recurrent(Leaky(F, H, wiring=full(H, F))), "all synapses of its wiring exist"),
    ):
        with pytest.raises(OptionError, match=f"`plasticity` must be None for this network; got 'rewire' .{why}"):
            fit(network, train, valid, task, CONFIG)
    solved = LiquidNetwork.for_data(train, task, body="leaky", units=8, wiring="random:0.3", readout="ridge")
    with pytest.raises(OptionError, match="`plasticity` must be None for a body that is not trained"):
        fit(solved, train, valid, task, CONFIG)
    with pytest.raises(OptionError, match="`plasticity` must be one of None, 'rewire'; got 'grow'"):
        Config(plasticity="grow")
    with pytest.raises(OptionError, match="`wiring` must be given with plasticity='rewire'; got None"):
        Options(table="a.csv", target=("y",), plasticity="rewire")
    with pytest.raises(OptionError, match="`plasticity` must be one of 'rewire'"):
        Options(table="a.csv", target=("y",), plasticity="grow", wiring="full")


def test_a_memory_beside_the_cell_is_no_hindrance() -> None:
    torch.manual_seed(0)
    network = MixedMemory(Liquid(F, H, wiring=random(H, F, density=0.2)))
    before = masks(network)
    train, _, task = parts()
    fit(network, train, None, task, CONFIG)
    assert any(((a != 0) != (b != 0)).any() for a, b in zip(before, masks(network), strict=True))


def test_a_run_says_what_was_rewired(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((300, 2))
    y = 0.8 * np.roll(x[:, 0], 1) - 0.5 * np.roll(x[:, 1], 2)
    table = tmp_path / "t.csv"
    table.write_text("a,b,y\n" + "".join(f"{a},{b},{c}\n" for (a, b), c in zip(x, y, strict=True)))
    options = Options(
        table=str(table), target=("y",), body="leaky", units=12, wiring="random:0.2", plasticity="rewire", epochs=25,
        patience=100, batch=1, window=16, lr=1e-2, out=str(tmp_path / "run"),
    )  # fmt: skip
    run_fit(options)
    lines = read(tmp_path / "run" / "record.jsonl")
    assert any(line["kind"] == "event" and line["name"] == "rewired" for line in lines)
    start, end = (next(line for line in lines if line["kind"] == kind) for kind in ("model", "model_end"))
    assert start["synapses"] == end["synapses"]
    assert start["wiring"] != end["wiring"]
    from liquidtorch import load, report

    assert load(tmp_path / "run" / "model").describe()["wiring"] == end["wiring"]
    assert "were grown in training" in report.write(tmp_path / "run").read_text()
