"""The spike encoders: the laws, decoding, fits to training data, and the choice among them."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable

import numpy as np
import pytest
import torch
from signals import HIGH, LOW, smooth, walk

from liquidtorch import encoders, testing
from liquidtorch.encoders import (
    BSA,
    Burst,
    Delta,
    Identity,
    Latency,
    MissingAware,
    MovingWindow,
    Population,
    Rate,
    SigmaDelta,
    SpikeEncoder,
    StepForward,
    ThresholdBased,
    WeightedPhase,
    choose_encoder,
)
from liquidtorch.errors import DataError, OptionError, ShapeError

COLUMN = {"name": "a", "kind": "numeric", "vocabulary": []}
MAKES: dict[str, Callable[[], Identity | MissingAware | SpikeEncoder]] = {
    "Identity": lambda: Identity([0.0, 1.0], [1.0, 2.0]),
    "MissingAware": lambda: MissingAware([COLUMN, COLUMN], [0.0, 1.0], [1.0, 2.0], [True, False]),
    "Rate": lambda: Rate(LOW, HIGH, steps=3, seed=3),
    "Rate-peak": lambda: Rate(LOW, HIGH, steps=3, peak=2.0),
    "SigmaDelta": lambda: SigmaDelta(LOW, HIGH, steps=3),
    "Latency": lambda: Latency(LOW, HIGH, steps=5),
    "Latency-logarithmic": lambda: Latency(LOW, HIGH, steps=5, compression=9.0),
    "Population": lambda: Population(LOW, HIGH, fields=4, steps=5),
    "WeightedPhase": lambda: WeightedPhase(LOW, HIGH, steps=5),
    "Burst": lambda: Burst(LOW, HIGH),
    "Delta": lambda: Delta([0.5, 0.8]),
    "ThresholdBased": lambda: ThresholdBased([0.5, 0.8]),
    "StepForward": lambda: StepForward([0.5, 0.8]),
    "StepForward-3": lambda: StepForward([0.5, 0.8], steps=3),
    "MovingWindow": lambda: MovingWindow([0.5, 0.8]),
    "BSA": lambda: BSA(LOW, HIGH, [0.1, 0.05], taps=3, cutoff=0.5),
}
NUMBERS = {"Identity", "MissingAware"}
SPIKES = [name for name in MAKES if name not in NUMBERS]
PARENTS = {"Ranged", "Contrast"}


def kinds(parent: type) -> set[type]:
    """Find every class under `parent` that the package defines."""
    for module in pkgutil.iter_modules(encoders.__path__, "liquidtorch.encoders."):
        importlib.import_module(module.name)
    ours = {c for c in parent.__subclasses__() if c.__module__.startswith("liquidtorch.")}
    return ours.union(*(kinds(c) for c in ours))


def test_every_class_has_an_example() -> None:
    found = {c.__name__ for c in kinds(SpikeEncoder)} - PARENTS
    assert found == {type(MAKES[name]()).__name__ for name in SPIKES} == set(encoders.KINDS) - NUMBERS
    assert len(found) == 11


@pytest.mark.parametrize("name", MAKES)
def test_laws(name: str) -> None:
    testing.check_encoder(MAKES[name])


class Forgetful(StepForward):
    """Forgets its baseline where a call ends."""

    def changes(self, x, e, lengths, reset):
        return super().changes(x, self.initial(len(x)), lengths, reset)


class Loud(StepForward):
    """Spikes twice as strongly."""

    def sequence(self, x, e, dt, lengths, reset):
        spikes, e = super().sequence(x, e, dt, lengths, reset)
        return 2 * spikes, e


class Deaf(StepForward):
    """Does not hear of resets."""

    def changes(self, x, e, lengths, reset):
        return super().changes(x, e, lengths, None)


class Mean(StepForward):
    """Looks at the batch."""

    def changes(self, x, e, lengths, reset):
        return super().changes(x - x.mean(0), e, lengths, reset)


class Endless(StepForward):
    """Goes on after a row's end."""

    def changes(self, x, e, lengths, reset):
        return super().changes(x, e, None, reset)


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Loud, "an_encoder_keeps_its_word"),
        (Mean, "an_encoder_takes_rows_alone"),
        (Forgetful, "an_encoder_goes_on"),
        (Endless, "an_encoder_ends"),
        (Deaf, "an_encoder_resets"),
        (StepForward, "an_encoder_is_copied"),
    ],
)
def test_the_laws_can_fail(kind: type[StepForward], law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepForward, "options", ())  # so that `steps` is lost on the way through `config`
    encoder = kind([0.5, 0.8], steps=2)
    torch.manual_seed(0)
    with pytest.raises(AssertionError):
        getattr(testing, law)(encoder)


@pytest.mark.parametrize("name", SPIKES)
def test_traces(name: str) -> None:
    encoder, x = MAKES[name]().double(), walk(T=6)
    wanted, _ = encoder(x)
    torch._dynamo.reset()
    assert torch.equal(torch.compile(encoder, fullgraph=True, backend="eager")(x)[0], wanted)
    assert torch.equal(torch.vmap(lambda x: encoder(x[None])[0][0])(x), wanted)


# Decoding and fitting.


@pytest.mark.parametrize(
    ("kind", "options", "floor"),
    [
        (Rate, {"steps": 64}, 13.0),
        (SigmaDelta, {}, 25.0),
        (Latency, {}, 22.0),
        (Latency, {"compression": 10.0}, 18.0),
        (Population, {}, 30.0),
        (WeightedPhase, {}, 45.0),
        (Burst, {}, 14.0),
        (StepForward, {}, 12.0),
        (StepForward, {"steps": 4}, 25.0),
        (BSA, {}, 10.0),
        (Delta, {}, 0.0),
        (ThresholdBased, {}, 0.0),
        (MovingWindow, {}, 0.0),
    ],
)
def test_decoding_gives_new_data_back(kind: type[SpikeEncoder], options: dict[str, float], floor: float) -> None:
    encoder = kind.for_data(smooth(), **options)
    snr = encoder.snr(smooth(seed=1))
    assert snr.shape == (2,)
    assert bool((snr > floor).all()), snr.tolist()


def test_snr_is_of_the_samples_that_are_there() -> None:
    x, lengths = walk(3, 50), torch.tensor([50, 20, 0])
    poisoned = torch.where(torch.arange(50)[:, None] < lengths[:, None, None], x, torch.nan)
    for encoder in (Latency(LOW, HIGH), SigmaDelta(LOW, HIGH), StepForward([0.4, 0.4]), BSA(LOW, HIGH, [0.1, 0.1])):
        encoder.double()
        signal, error = [], []
        for i, n in enumerate(lengths.tolist()):
            row = x[i : i + 1, :n]
            spikes, _ = encoder(row)
            found = encoder.decode(spikes, row[:, 0]) if isinstance(encoder, StepForward) and n else None
            found = (encoder.decode(spikes) if found is None else found) if n else row
            signal.append(row[0, : max(n - encoder.delay, 0)])
            error.append((row - found)[0, : max(n - encoder.delay, 0)])
        wanted = 10 * np.log10(torch.cat(signal).numpy().var(0) / torch.cat(error).numpy().__pow__(2).mean(0))
        np.testing.assert_allclose(encoder.snr(poisoned, lengths), wanted, rtol=1e-9)


@pytest.mark.parametrize("kind", [StepForward, Delta, MovingWindow, BSA])
def test_the_threshold_is_the_best_of_those_tried(kind: type[StepForward | Delta | MovingWindow | BSA]) -> None:
    x = smooth(300)
    found = kind.for_data(x)
    span = x.amax((0, 1)) - x.amin((0, 1))
    tried = torch.linspace(0, 1, 41).double() if kind is BSA else torch.logspace(-2.3, -0.3, 41, dtype=torch.float64)
    scores = []
    for part in tried:
        threshold = part.expand(2) if kind is BSA else part * span
        scores.append(kind.for_data(x, threshold=threshold).snr(x).numpy())
    np.testing.assert_allclose(found.snr(x), np.max(scores, axis=0), rtol=1e-9)
    assert len(np.unique(np.argmax(scores, axis=0))) > 0


def test_threshold_based_fits_mean_and_spread_of_the_differences() -> None:
    x = walk(3, 40)
    lengths = torch.tensor([40, 11, 1])
    poisoned = torch.where(torch.arange(40)[:, None] < lengths[:, None, None], x, torch.nan)
    encoder = ThresholdBased.for_data(poisoned, lengths, factor=0.7)
    d = np.concatenate([np.diff(x[i, :n].numpy(), axis=0) for i, n in enumerate(lengths)])
    np.testing.assert_allclose(encoder.threshold, np.abs(d.mean(0)) + 0.7 * d.std(0), rtol=1e-12)
    best = ThresholdBased.for_data(x)
    d = np.diff(x.numpy(), axis=1).reshape(-1, 2)
    factors = (best.threshold.numpy() - np.abs(d.mean(0))) / d.std(0)
    others = [ThresholdBased.for_data(x, factor=f).snr(x).numpy() for f in np.linspace(0.1, 3, 30)]
    np.testing.assert_array_equal(best.snr(x), np.max(others, axis=0))
    assert np.all((factors >= 0.1 - 1e-9) & (factors <= 3 + 1e-9))


def test_a_fit_does_not_see_the_padding_nor_stumble_over_a_constant() -> None:
    x = torch.cat([smooth(80), torch.full((1, 80, 1), 5.0)], -1)
    padded = torch.cat([x, torch.full((1, 40, 3), torch.nan)], 1)
    for kind in (encoders.KINDS[name] for name in set(encoders.KINDS) - NUMBERS):
        found = kind.for_data(padded, torch.tensor([80]))
        assert found.config() == kind.for_data(x).config()
        spikes, _ = found(padded, lengths=torch.tensor([80]))
        assert bool(spikes.isfinite().all())
        assert next(found.buffers()).dtype == torch.float64


# The choice.


def test_the_choice_is_by_what_was_held_out() -> None:
    x = smooth(800)
    ranked = choose_encoder(x)
    names = [type(encoder).__name__ for encoder, _ in ranked]
    scores = [score for _, score in ranked]
    assert len(names) == 11
    assert scores == sorted(scores, reverse=True)
    assert names[0] == "WeightedPhase"
    assert names.index("StepForward") < names.index("MovingWindow")
    wanted = Latency.for_data(x[:, :600]).snr(x[:, 600:]).mean().item()
    assert scores[names.index("Latency")] == pytest.approx(wanted)
    chosen = ranked[names.index("Latency")][0]
    assert chosen.config() == Latency.for_data(x).config()


def test_the_choice_by_a_score_of_ones_own_and_among_ones_own() -> None:
    x = smooth(100)
    ranked = choose_encoder(
        x, candidates=[Delta, lambda x, lengths: StepForward.for_data(x, lengths, steps=3), Latency],
        score=lambda encoder: -encoder.outputs * encoder.steps,
    )  # fmt: skip
    assert [(type(e).__name__, s) for e, s in ranked] == [("Delta", -4.0), ("StepForward", -12.0), ("Latency", -32.0)]


def test_the_choice_takes_ragged_rows() -> None:
    x = smooth(300).repeat(3, 1, 1)
    lengths = torch.tensor([300, 120, 40])
    poisoned = torch.where(torch.arange(300)[:, None] < lengths[:, None, None], x, torch.nan)
    (encoder, score), *_ = choose_encoder(poisoned, lengths, candidates=[Latency])
    begin = [x[i : i + 1, : n - n // 4] for i, n in enumerate(lengths.tolist())]
    end = [x[i, n - n // 4 : n] for i, n in enumerate(lengths.tolist())]
    wanted = Latency.for_data(torch.cat(begin, 1)).snr(torch.cat(end)[None]).mean().item()
    assert score == pytest.approx(wanted)
    assert encoder.config() == Latency.for_data(x).config()


# Messages.


def test_messages() -> None:
    with pytest.raises(OptionError, match=r"`high` must be above `low`; got \[0.0\] and \[0.0\]. Give a channel"):
        Latency([0.0], [0.0])
    with pytest.raises(OptionError, match=r"`threshold` must be above 0; got \[0.0\]. Use for_data"):
        Delta([0.0])
    with pytest.raises(OptionError, match=r"`threshold` must be at least 0; got \[-1.0\]. Use for_data"):
        BSA([0.0], [1.0], [-1.0])
    with pytest.raises(OptionError, match=r"`threshold` must be finite; got \[nan\]"):
        Delta([math.nan])
    with pytest.raises(ShapeError, match=r"`high` must have the shape \(channels=2\); got \(1,\)"):
        Latency([0.0, 0.0], [1.0])
    with pytest.raises(OptionError, match="`steps` must be a whole number at least 2; got 1"):
        Latency([0.0], [1.0], steps=1)
    with pytest.raises(OptionError, match="`steps` must be a whole number at least 1 and at most 20; got 21"):
        WeightedPhase([0.0], [1.0], steps=21)
    with pytest.raises(OptionError, match=r"`interval` must be \(t_min, t_max\), t_min <= t_max; got \(4, 1\). Swap"):
        Burst([0.0], [1.0], interval=(4, 1))
    with pytest.raises(OptionError, match="`interval` must hold two numbers"):
        Burst([0.0], [1.0], interval=(4, 1, 2))  # pyright: ignore
    with pytest.raises(OptionError, match="`cutoff` must be below 1, half the sampling rate; got 1"):
        BSA([0.0], [1.0], [0.5], cutoff=1)
    with pytest.raises(OptionError, match="`seed` must be a whole number at least 0"):
        Rate([0.0], [1.0], seed=-1)
    with pytest.raises(OptionError, match="`fields` must be a whole number at least 3; got 2"):
        Population([0.0], [1.0], fields=2)
    encoder = Delta([1.0])
    with pytest.raises(DataError, match=r"`x` must be finite here; got inf at row 0, time 1, channel 0. Put the enc"):
        encoder(torch.tensor([[[0.0], [math.inf]]]))
    with pytest.raises(ShapeError, match=r"`x` must be of torch.float32, as the encoder's parameters; got torch.fl"):
        encoder(torch.zeros(1, 2, 1, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"`x` must be of torch.float32, as the encoder's parameters; got torch.bf"):
        Delta([1.0]).bfloat16()(torch.zeros(1, 2, 1, dtype=torch.bfloat16))
    with pytest.raises(ShapeError, match=r"`x` must have the shape \(batch, time, channels=1\); got \(1, 2\)"):
        encoder(torch.zeros(1, 2))
    with pytest.raises(ShapeError, match=r"`lengths` must have the shape \(batch=1\); got \(2,\)"):
        encoder(torch.zeros(1, 2, 1), lengths=torch.tensor([1, 2]))
    with pytest.raises(OptionError, match="`lengths` must be 0 to 2, the samples of x; got 3 in row 0"):
        encoder(torch.zeros(1, 2, 1), lengths=torch.tensor([3]))
    with pytest.raises(ShapeError, match=r"`reset` must have the shape \(batch=1, time=2\); got \(1, 3\)"):
        encoder(torch.zeros(1, 2, 1), reset=torch.zeros(1, 3, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"`e` must hold 2 tensors \(value, seen\); got 1"):
        encoder(torch.zeros(1, 2, 1), torch.zeros(1, 1))
    with pytest.raises(ShapeError, match=r"`e.value` must have the shape \(batch=1, width=1\); got \(2, 1\)"):
        encoder(torch.zeros(1, 2, 1), (torch.zeros(2, 1), torch.zeros(2, 1)))
    with pytest.raises(ShapeError, match=r"`start` must have the shape \(batch=1, channels=1\); got \(1,\)"):
        encoder.decode(torch.zeros(1, 2, 2), torch.zeros(1))
    with pytest.raises(DataError, match="`x` must hold samples to fit an encoder to; got none"):
        Delta.for_data(torch.zeros(1, 0, 1))
    with pytest.raises(OptionError, match="`c` must be a number above 0; got 0"):
        encoder.scale_time(0)


def test_messages_of_the_choice() -> None:
    with pytest.raises(OptionError, match="`candidates` must name an encoder; got none"):
        choose_encoder(smooth(40), candidates=[])
    with pytest.raises(OptionError, match="`score` must be 'snr' or a function encoder -> float; got 'SNR'"):
        choose_encoder(smooth(40), score="SNR")
    with pytest.raises(DataError, match="`x` must have a row of at least 8 samples, to hold out a quarter; got at mo"):
        choose_encoder(smooth(7))
