"""Checkpoints: a training that is killed, interrupted or out of time goes on as if it never stopped."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from liquidtorch.data import Sequences, from_arrays
from liquidtorch.errors import DataError, FormatError, OptionError, ShapeError, StateError
from liquidtorch.record import Record, read
from liquidtorch.task import Task, infer
from liquidtorch.train import Config, History, fit
from liquidtorch.train.checkpoint import place

CONFIG = Config(epochs=8, batch=4, window=16, lr=1e-2, seed=3)


class Gru(nn.Module):
    """A network that is not ours, with dropout, so that the random state matters."""

    def __init__(self, outputs: int, pause: float = 0.0) -> None:
        super().__init__()
        self.cell = nn.GRUCell(2, 8)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(8, outputs)
        self.pause = pause

    def forward(self, x: Tensor, h: Tensor | None = None, *, dt: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        time.sleep(self.pause)
        h = x.new_zeros(len(x), 8) if h is None else h
        y = []
        for t in range(x.shape[1]):
            h = torch.where((t < lengths)[:, None], self.cell(torch.cat([x[:, t], dt[:, t, None]], -1), h), h)
            y.append(self.last(self.drop(h)))
        return torch.stack(y, 1), h


def parts() -> tuple[Sequences, Sequences, Task]:
    rng = np.random.default_rng(0)
    dts = [rng.uniform(0.2, 0.8, n) for n in (40, 50, 30, 60, 45)]
    seqs = from_arrays([np.sin(np.cumsum(dt)) for dt in dts], dt=dts, forecast=True)
    return seqs.take([0, 1, 2]), seqs.take([3, 4]), infer(seqs, "forecast")[0]


def made(pause: float = 0.0) -> Gru:
    torch.manual_seed(0)
    return Gru(1, pause)


def trained(folder: Path | None = None, config: Config = CONFIG, **options: object) -> tuple[Gru, History]:
    train, valid, task = parts()
    net = made()
    return net, fit(net, train, valid, task, config, folder=folder, **options)  # type: ignore[arg-type]


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def curves(history: History) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in history.epochs]


def started(folder: Path) -> subprocess.Popen[bytes]:
    """Train in another process, slowly, until two epochs are on disk."""
    here = Path(__file__).parent
    code = f"import sys; sys.path.insert(0, {str(here)!r}); import test_resume; test_resume.slowly({str(folder)!r})"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=here.parent, stderr=subprocess.PIPE)
    limit = time.monotonic() + 60
    while time.monotonic() < limit and child.poll() is None:
        if (folder / "record.jsonl").exists() and len(read(folder / "record.jsonl")) >= 2:
            break
        time.sleep(0.01)
    return child


def slowly(folder: str) -> None:
    train, valid, task = parts()
    fit(made(pause=0.01), train, valid, task, CONFIG, folder=folder, record=Record(Path(folder) / "record.jsonl"))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_training_that_is_stopped_ends_as_if_it_were_not(sent: signal.Signals, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    child = started(run)
    child.send_signal(sent)
    _, said = child.communicate(timeout=60)
    assert child.returncode != 0
    lines = read(run / "record.jsonl")
    done = [line["epoch"] for line in lines if line["kind"] == "epoch"]
    assert 2 <= len(done) < CONFIG.epochs
    events = [line["name"] for line in lines if line["kind"] == "event"]
    assert events == (["interrupted"] if sent == signal.SIGINT else [])
    assert (b"KeyboardInterrupt" in said) == (sent == signal.SIGINT)

    record = Record(run / "record.jsonl")
    resumed, history = trained(run, resume=True, record=record)
    whole, wanted = trained()
    assert same(resumed, whole)
    assert curves(history) == curves(wanted)
    assert (history.best_epoch, history.best_loss) == (wanted.best_epoch, wanted.best_loss)
    events = [line["name"] for line in read(record.path) if line["kind"] == "event"]
    assert events[-2:] == ["resumed", "epochs"]


@pytest.mark.parametrize("tbptt", [None, 5])
def test_every_epoch_can_be_the_last(tbptt: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(epochs=4, batch=2, tbptt=tbptt, lr=1e-2)
    whole, wanted = trained(config=config)
    kept: list[Path] = []
    monkeypatch.setattr(
        "liquidtorch.train.checkpoint.write_atomic", lambda path, data: _keep(path, data, tmp_path, kept)
    )
    trained(tmp_path / "run", config)
    monkeypatch.undo()
    assert len(kept) == 6  # before the first epoch, after each, and at the end
    for file in kept:
        folder = tmp_path / f"again-{file.stem}"
        place(folder).parent.mkdir(parents=True)
        shutil.copy(file, place(folder))
        resumed, history = trained(folder, config, resume=True)
        assert same(resumed, whole)
        assert curves(history) == curves(wanted)


def _keep(path: Path, data: bytes, into: Path, kept: list[Path]) -> None:
    kept.append(into / f"{len(kept)}.safetensors")
    kept[-1].write_bytes(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_one_seed_fixes_everything_and_leaves_the_global_random_state() -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    train, valid, task = parts()
    first, second, other = Gru(1), Gru(1), Gru(1)
    for net in (second, other):
        net.load_state_dict(first.state_dict())
    torch.set_rng_state(before)
    fit(first, train, valid, task, CONFIG)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    fit(second, train, valid, task, CONFIG)
    fit(other, train, valid, task, Config(**{**CONFIG.to_json(), "seed": 4}))
    assert same(first, second)
    assert not same(first, other)


def test_whole_numbers_may_be_numpys(tmp_path: Path) -> None:
    plain, _ = trained(config=Config(epochs=2, batch=2, window=16, seed=2**31 - 1))
    config = Config(epochs=np.int64(2), batch=np.int8(2), window=np.int32(16), seed=np.int64(2**31 - 1))  # type: ignore[arg-type]
    written, _ = trained(tmp_path, config)
    assert same(written, plain)
    assert json.loads(json.dumps(config.to_json())) == config.to_json()


def test_the_best_weights_are_kept_and_training_stops_when_nothing_gets_better(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    net, history = trained(config=Config(epochs=200, lr=0.3, warmup=0.0, patience=4), record=record)
    losses = [line["valid_loss"] for line in history.epochs]
    assert history.stopped == "early_stop"
    assert history.best_loss == min(losses) == losses[history.best_epoch - 1]
    assert len(history.epochs) == history.best_epoch + 4 < 200
    assert history.message == f"No better validation loss in 4 epochs; the best was epoch {history.best_epoch}."
    train, valid, task = parts()
    again = fit(net, train, valid, task, Config(epochs=1, lr=1e-9))
    assert again.best_loss <= history.best_loss + 1e-12  # the loss of the weights it was given
    lines = read(record.path)
    assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == list(range(1, len(losses) + 1))
    assert [line["name"] for line in lines if line["kind"] == "event"] == ["early_stop"]
    assert set(lines[0]) == {
        "kind", "time", "epoch", "train_loss", "valid_loss", "valid_score", "lr", "grad_norm", "seconds",
    }  # fmt: skip


def test_weights_that_get_worse_are_not_kept() -> None:
    net, history = trained(config=Config(epochs=3, lr=50.0, warmup=0.0, clip=1e9))
    assert history.best_epoch == 0
    assert same(net, made())


def test_a_time_limit_ends_in_time_and_can_be_gone_on_from(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    _, history = trained(tmp_path, Config(**{**CONFIG.to_json(), "time_limit": 1e-3}), record=record)
    assert history.stopped == "time_limit"
    assert history.message == "The time limit of 0.001 s came during epoch 1."
    assert [line["name"] for line in read(record.path) if line["kind"] == "event"] == ["time_limit"]
    resumed, _ = trained(tmp_path, CONFIG, resume=True)
    whole, _ = trained()
    assert same(resumed, whole)


@pytest.mark.parametrize("where", ["input", "weights"])
def test_what_is_not_finite_stops_with_a_diagnosis_and_the_good_weights(where: str, tmp_path: Path) -> None:
    train, valid, task = parts()
    net = made()
    start = made()
    if where == "input":
        train.values[25] = 1e30
        net.register_forward_hook(lambda _, given, found: (found[0] * given[0] * 1e10, found[1]))
    config = CONFIG if where == "input" else Config(epochs=50, lr=1e30, warmup=0.0)
    if where == "weights":
        net.last.register_forward_hook(lambda *a: a[2] * 1e30)
    record = Record(tmp_path / "record.jsonl")
    with pytest.warns(RuntimeWarning, match=r"`loss` must stay finite; got .* in epoch 1, batch \d") as caught:
        history = fit(net, train, valid, task, config, folder=tmp_path, record=record)
    text = str(caught[0].message)
    assert history.stopped == "non_finite"
    assert history.message == text
    assert "The weights of epoch 0 are kept." in text
    assert "bad gradient: cell.weight_ih" in text
    if where == "input":
        assert "largest input: 1e+30 in x0" in text
    assert same(net, start)
    assert [line["name"] for line in read(record.path) if line["kind"] == "event"] == ["non_finite"]


def test_interrupted_in_this_process_keeps_the_best_weights(tmp_path: Path) -> None:
    train, valid, task = parts()
    net = made()
    calls = []

    def interrupt(module: nn.Module, args: object) -> None:
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt

    handle = net.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(net, train, valid, task, CONFIG, folder=tmp_path, record=Record(tmp_path / "record.jsonl"))
    handle.remove()
    best = safetensors.torch.load_file(place(tmp_path))
    assert all(torch.equal(v, best[f"best/{k}"]) for k, v in net.state_dict().items())
    assert read(tmp_path / "record.jsonl")[-1]["message"].endswith("Resume to go on as if nothing had happened.")
    assert net.training


def test_no_validation_runs_all_epochs_and_keeps_the_last(tmp_path: Path) -> None:
    train, _, task = parts()
    net = made()
    history = fit(net, train, None, task, Config(epochs=5, batch=2, patience=1), folder=tmp_path)
    assert (len(history.epochs), history.best_epoch, history.stopped) == (5, 5, "epochs")
    assert math.isnan(history.best_loss)
    assert not same(net, made())
    again = made()
    fit(again, train, None, task, Config(epochs=5, batch=2, patience=1), folder=tmp_path, resume=True)
    assert same(again, net)


def test_learning_rate_rises_and_falls() -> None:
    config = Config(lr=2.0, warmup=0.25)
    assert [config.rate(x) for x in (0.0, 0.125, 0.25)] == pytest.approx([0.0, 1.0, 2.0])
    assert config.rate(0.625) == pytest.approx(1.0)
    assert config.rate(1.0) == pytest.approx(0.0, abs=1e-12)
    assert Config(lr=2.0, warmup=0.0).rate(0.0) == 2.0
    _, history = trained()
    rates = [line["lr"] for line in history.epochs]
    assert rates[0] == max(rates)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


class Clock:
    """Time that passes only while a network learns: a second a batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.rates: list[float] = []
        monkeypatch.setattr("liquidtorch.train.loop.time", SimpleNamespace(monotonic=lambda: self.now))
        step = torch.optim.AdamW.step

        def timed(optimiser: torch.optim.AdamW) -> None:
            self.now += 1.0
            self.rates.append(optimiser.param_groups[0]["lr"])
            step(optimiser)

        monkeypatch.setattr("torch.optim.AdamW.step", timed)


def test_the_learning_rate_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    config = Config(epochs=10_000, patience=10_000, time_limit=40)
    _, history = trained(config=config)
    assert history.stopped == "time_limit"
    assert clock.rates[1:] == pytest.approx([config.rate(second / 40) for second in range(1, 41)])
    assert 0 < clock.rates[0] < 1e-4  # before a second has passed, the epochs are further
    assert clock.rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert max(clock.rates) == pytest.approx(config.lr)


def test_time_that_was_spent_before_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    config = Config(epochs=10_000, patience=10_000, time_limit=40)
    _, history = trained(tmp_path, config)
    spent = json.loads(_facts(place(tmp_path)))["history"]["seconds"]
    assert 0 < spent <= history.seconds
    clock.rates.clear()
    trained(tmp_path, config, resume=True)
    assert clock.rates == pytest.approx([config.rate((spent + second) / (spent + 40)) for second in range(41)])


def _facts(file: Path) -> str:
    with safetensors.safe_open(file, framework="pt") as opened:
        return opened.metadata()["liquidtorch"]


def test_time_that_does_not_run_out_changes_nothing() -> None:
    whole, wanted = trained()
    timed, history = trained(config=Config(**{**CONFIG.to_json(), "time_limit": 1e6}))
    assert same(timed, whole)
    assert curves(history) == curves(wanted)


def test_bf16_trains() -> None:
    train, valid, task = parts()
    net = made()
    history = fit(net, train, valid, task, Config(**{**CONFIG.to_json(), "bf16": True}))
    full = trained()[1]
    assert history.best_loss != full.best_loss
    assert history.best_loss == pytest.approx(full.best_loss, rel=0.1)
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_messages(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(StateError, match=r"`folder` must hold no other training; got .*last.safetensors. Resume it"):
        trained(tmp_path)
    with pytest.raises(
        StateError, match=r"`lr` must be what it was when the training stopped; got 0.5 instead of 0.01"
    ):
        trained(tmp_path, Config(**{**CONFIG.to_json(), "lr": 0.5}), resume=True)
    with pytest.raises(StateError, match="`folder` must be given to resume; got None"):
        trained(resume=True)
    with pytest.raises(StateError, match="`resume` must follow a training that was stopped; there is no"):
        trained(tmp_path / "empty", resume=True)
    train, valid, task = parts()
    with pytest.raises(StateError, match="`train` must be what it was"):
        fit(made(), valid, valid, task, CONFIG, folder=tmp_path, resume=True)
    raw = place(tmp_path).read_bytes()
    place(tmp_path).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(FormatError, match="must be a checkpoint; it cannot be read"):
        trained(tmp_path, resume=True)
    newer = {"schema": 99, "identity": {}}
    place(tmp_path).write_bytes(safetensors.torch.save({}, {"liquidtorch": json.dumps(newer)}))
    with pytest.raises(FormatError, match=r"must be of schema 1 or older; got 99. Install a newer liquidtorch"):
        trained(tmp_path, resume=True)
    with pytest.raises(ShapeError, match=r"`network` must answer \(batch, time, outputs=1\) for 'forecast'; got"):
        fit(Gru(2), train, valid, task, CONFIG)
    blind = from_arrays([[1.0, 2.0]])
    with pytest.raises(DataError, match="`valid` must have the target; it is missing"):
        fit(made(), train, blind, task, CONFIG)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"epochs": 0}, "`epochs` must be a whole number at least 1; got 0"),
        ({"lr": -1.0}, "`lr` must be a number above 0; got -1.0"),
        ({"window": 1}, "`window` must be a whole number at least 2; got 1"),
        ({"tbptt": 0}, "`tbptt` must be a whole number at least 1; got 0"),
        ({"warmup": 1.0}, "`warmup` must be a number at least 0 and at most 0.9; got 1.0"),
        ({"bf16": "yes"}, "`bf16` must be one of True, False, 'auto'; got 'yes'"),
        ({"time_limit": 0}, "`time_limit` must be a number above 0; got 0"),
    ],
)
def test_options_out_of_range(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        Config(**options)  # type: ignore[arg-type]


def test_options_that_do_not_fit() -> None:
    with pytest.raises(OptionError, match=r"`window` must be None for 'classify'; got 8 .*Use tbptt for long series"):
        Config(window=8).rows(Task("classify", ("y",), (("a", "b"),)), 100)
    with pytest.raises(OptionError, match="`device` must be one that is here; got 'gpu'"):
        Config(device="gpu").where()
    assert Config(device="cpu").where().type == "cpu"
    assert not Config(bf16="auto").halves(torch.device("cpu"))
