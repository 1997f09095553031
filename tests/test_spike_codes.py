"""Each spike encoder against its definition: a loop over samples, a closed form, or a law of chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import firwin
from signals import HIGH, LOW, smooth, walk

from liquidtorch.encoders import (
    BSA,
    Burst,
    Delta,
    Latency,
    MovingWindow,
    Population,
    Rate,
    SigmaDelta,
    StepForward,
    WeightedPhase,
)
from liquidtorch.encoders.noise import uniform


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_sigma_delta_is_its_loop(steps: int) -> None:
    encoder, x = SigmaDelta(LOW, HIGH, steps=steps).double(), walk()
    spikes, e = encoder(x)
    for b in range(2):
        for c in range(2):
            v, wanted = 0.0, []
            for u in np.clip((x[b, :, c].numpy() - LOW[c]) / (HIGH[c] - LOW[c]), 0, 1):
                for _ in range(steps):
                    v += round(u * 2**24) / 2**24
                    wanted.append(float(v >= 0.5))
                    v -= wanted[-1]
            assert spikes[b, :, c].tolist() == wanted
            assert e[b, c].item() == v


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_sigma_delta_is_exact_in_the_mean(u: list[float], steps: int) -> None:
    spikes, e = SigmaDelta([0.0], [1.0], steps=steps).double()(torch.tensor(u, dtype=torch.float64).view(1, -1, 1))
    total = np.repeat(u, steps).cumsum()
    rounding = len(total) * 2.0**-25
    assert np.abs(spikes.flatten().cumsum(0).numpy() - total).max() <= 0.5 + rounding
    assert total[-1] - spikes.sum().item() == pytest.approx(e.item(), abs=rounding + 1e-12)


def test_sigma_delta_in_float32_counts_as_in_float64() -> None:
    x = torch.rand(1, 20_000, 1)
    encoder = SigmaDelta([0.0], [1.0], steps=2)
    wanted, _ = encoder(x)
    e, parts = None, []
    for part in x.split(777, 1):
        spikes, e = encoder(part, e)
        parts.append(spikes)
    assert torch.equal(torch.cat(parts, 1), wanted)
    assert abs(wanted.sum().item() - 2 * x.double().sum().item()) <= 0.5 + 1e-2


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_rate_is_exact_in_the_mean(p: float) -> None:
    n = 40_000
    spikes, _ = Rate([0.0], [1.0], steps=40, seed=5)(torch.full((1, n // 40, 1), p))
    assert abs(spikes.sum().item() - n * p) <= 4 * math.sqrt(n * p * (1 - p))


def test_poisson_rate_counts_time() -> None:
    encoder, n = Rate([0.0], [1.0], steps=10, peak=3.0, seed=1), 20_000
    x = torch.full((1, n // 10, 1), 0.5)
    for dt in (0.1, 1.0, 4.0):
        p = 1 - math.exp(-3.0 * 0.5 * dt / 10)
        spikes, _ = encoder(x, dt=dt)
        assert abs(spikes.sum().item() - n * p) <= 4 * math.sqrt(n * p * (1 - p))
    long = Rate([0.0], [1.0], steps=n, peak=3.0, seed=1)
    for dt in (1_000.0, 10_000.0):  # 1500 and 15,000 events
        assert long.decode(long(x[:, :1], dt=dt)[0], dt=dt).item() == pytest.approx(0.5, abs=0.04)
    wanted, _ = encoder(x, dt=4.0)
    encoder.scale_time(60.0)
    assert torch.equal(encoder(x, dt=240.0)[0], wanted)


def test_noise_is_uniform_and_independent() -> None:
    n = torch.arange(1000)
    u = uniform(7, torch.arange(4)[:, None, None], torch.arange(5)[:, None], n).numpy()
    assert 0 < u.min() < u.max() < 1
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.01
    rows = u.reshape(20, -1)
    others = uniform(8, torch.arange(4)[:, None, None], torch.arange(5)[:, None], n).numpy().reshape(20, -1)
    for a, b in [(rows, np.roll(rows, 1, 0)), (rows, np.roll(rows, 1, 1)), (rows, others)]:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / math.sqrt(a.size)
    assert len(np.unique(u)) > 0.999 * u.size


def test_rows_have_noise_of_their_own_where_they_start_elsewhere() -> None:
    encoder, x = Rate([0.0], [1.0], steps=8), torch.full((2, 100, 1), 0.5)
    shared, _ = encoder(x)
    assert torch.equal(shared[0], shared[1])
    own, _ = encoder(x, 10_000.0 * torch.arange(2)[:, None])
    assert 0.4 < (own[0] != own[1]).float().mean().item() < 0.6
    assert torch.equal(own[0], shared[0])


def test_noise_goes_on_beyond_what_a_float_counts() -> None:
    last = torch.full((1, 1), 2.0**24 - 2)
    _, e = Rate([0.0], [1.0])(torch.zeros(1, 3, 1), last)
    assert e.item() == 1.0


@pytest.mark.parametrize("compression", [0.0, 255.0, math.expm1(8 - 1)])
def test_latency_places_its_spike(compression: float) -> None:
    S, encoder = 8, Latency([0.0], [1.0], steps=8, compression=compression).double()
    u = torch.linspace(0, 1, 101, dtype=torch.float64)
    spikes, _ = encoder(u.view(1, -1, 1))
    found = spikes.view(101, S)
    assert bool((found.sum(1) == 1).all())
    for value, at in zip(u.tolist(), found.argmax(1).tolist(), strict=True):
        if compression == 0:
            time = (S - 1) * (1 - value)
        elif compression == 255:
            time = (S - 1) * (1 - math.log(1 + 255 * value) / math.log(256))
        else:  # as SpikingJelly has it
            time = (S - 1) - math.log((math.exp(S - 1) - 1) * value + 1)
        assert abs(at - time) <= 0.5 + 1e-9
    again, _ = encoder(encoder.decode(spikes))
    assert torch.equal(again, spikes)


def test_linear_latency_decodes_to_half_a_substep() -> None:
    x = smooth()
    encoder = Latency.for_data(x, steps=32)
    error = (encoder.decode(encoder(x)[0]) - x).abs()
    half = (encoder.high - encoder.low) / 31 / 2
    assert bool((error <= half * (1 + 1e-9)).all())
    assert bool((error.amax((0, 1)) > 0.9 * half).all())


def test_phases_are_binary_digits() -> None:
    u = torch.linspace(0, 1, 57, dtype=torch.float64)
    encoder = WeightedPhase([0.0], [1.0], steps=6).double()
    spikes, _ = encoder(u.view(1, -1, 1))
    for value, digits in zip(u.tolist(), spikes.view(-1, 6).int().tolist(), strict=True):
        assert "".join(map(str, digits)) == format(round(value * 63), "06b")
    assert (encoder.decode(spikes).flatten() - u).abs().max().item() <= 0.5 / 63 + 1e-12


@pytest.mark.parametrize(("spikes", "interval"), [(1, (1, 1)), (3, (2, 2)), (5, (1, 4)), (7, (2, 9)), (2, (1, 12))])
def test_bursts(spikes: int, interval: tuple[int, int]) -> None:
    encoder = Burst([0.0], [1.0], spikes=spikes, interval=interval).double()
    u = torch.linspace(0, 1, 1001, dtype=torch.float64)
    found = encoder(u.view(1, -1, 1))[0]
    rows = found.view(-1, encoder.steps)
    for value, row in zip(u.tolist(), rows, strict=True):
        n = math.ceil(spikes * value)
        apart = math.ceil(interval[1] - value * (interval[1] - interval[0]))
        assert row.nonzero().flatten().tolist() == [j * apart for j in range(n)]
    assert rows[:, -1].any(), "no longer than it must be"
    decoded = encoder.decode(found).flatten()
    assert (decoded - u).abs().max().item() <= 0.5 / spikes + 1e-9
    assert torch.equal(encoder(decoded.view(1, -1, 1))[0], found), "the middle of the values that give the same burst"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bursts_fit_whatever_the_rounding(dtype: torch.dtype) -> None:
    for n in range(1, 30):
        for t_max in range(1, 9):
            encoder = Burst([0.0], [1.0], spikes=n, interval=(1, t_max)).to(dtype)
            edges = torch.arange(n + 1, dtype=dtype) / n
            around = [edges, *(torch.nextafter(edges, torch.full_like(edges, to)) for to in (-1.0, 2.0))]
            u = torch.cat(around).clamp(0, 1)
            counts = encoder(u.view(1, -1, 1))[0].view(-1, encoder.steps).sum(1)
            assert torch.equal(counts, (u * n).ceil())


def test_population_fields() -> None:
    m, S = 6, 10
    encoder = Population([-1.0], [3.0], fields=m, steps=S).double()
    x = torch.linspace(-1, 3, 41, dtype=torch.float64)
    z = encoder(x.view(1, -1, 1))[0].view(41, S, m)
    for value, found in zip(x.tolist(), z, strict=True):
        for i in range(1, m + 1):  # Bohte's numbering
            mu = -1 + (2 * i - 3) / 2 * 4 / (m - 2)
            sigma = 4 / (1.5 * (m - 2))
            at = round(S * (1 - math.exp(-((value - mu) ** 2) / (2 * sigma**2))))
            assert found[:, i - 1].nonzero().flatten().tolist() == ([at] if at < S else [])
    assert bool((z.sum((1, 2)) >= 2).all()), "no value falls between the fields"
    assert (encoder.decode(z.view(1, -1, m)).flatten() - x).abs().max().item() < 0.3 * 4 / (m - 2)


def test_delta_is_its_loop() -> None:
    x, th = walk(), [0.5, 0.8]
    spikes, _ = Delta(torch.tensor(th, dtype=torch.float64))(x)
    rise = np.diff(x.numpy(), axis=1, prepend=x[:, :1].numpy())
    np.testing.assert_array_equal(spikes[..., :2], rise >= th)
    np.testing.assert_array_equal(spikes[..., 2:], rise <= np.negative(th))
    assert not spikes[:, 0].any()


@pytest.mark.parametrize("steps", [1, 3])
def test_step_forward_is_its_loop(steps: int) -> None:
    x, th = walk(), [0.5, 0.3]
    encoder = StepForward(torch.tensor(th, dtype=torch.float64), steps=steps)
    spikes, e = encoder(x)
    z = spikes.view(2, 60, steps, 4)
    bases = encoder.decode(spikes, x[:, 0])
    most = 0
    for b in range(2):
        for c in range(2):
            base = x[b, 0, c].item()
            for t in range(60):
                n = min(int(abs(x[b, t, c].item() - base) / th[c]), steps)
                sign = 1 if x[b, t, c] > base else -1
                base += sign * n * th[c]
                most = max(most, n)
                wanted = [1.0] * n + [0.0] * (steps - n)
                assert z[b, t, :, c].tolist() == (wanted if sign > 0 else [0.0] * steps)
                assert z[b, t, :, 2 + c].tolist() == (wanted if sign < 0 else [0.0] * steps)
                assert bases[b, t, c].item() == pytest.approx(base, abs=1e-12)
            assert e.value[b, c].item() == pytest.approx(base, abs=1e-12)
    assert most == steps


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.floats(0.05, 1.0), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_step_forward_errs_by_less_than_the_threshold(moves: list[float], threshold: float, steps: int) -> None:
    x = torch.tensor(moves, dtype=torch.float64).mul(threshold * steps).cumsum(0).view(1, -1, 1)
    encoder = StepForward(torch.tensor([threshold], dtype=torch.float64), steps=steps)
    error = (encoder.decode(encoder(x)[0], x[:, 0]) - x).abs().max().item()
    assert error <= threshold * (1 + 1e-9)


def test_step_forward_lags_where_the_slope_is_too_steep() -> None:
    x = torch.arange(10.0).mul(3).view(1, -1, 1)
    for steps, lag in ((1, 18.0), (2, 9.0), (3, 0.0)):
        encoder = StepForward([1.0], steps=steps)
        assert (x - encoder.decode(encoder(x)[0], x[:, 0]))[0, -1].item() == lag


@pytest.mark.parametrize("window", [1, 2, 5])
def test_moving_window_is_its_loop(window: int) -> None:
    x, th = walk(), [0.5, 0.3]
    reset = torch.zeros(2, 60, dtype=torch.bool)
    reset[1, [13, 15, 40]] = True
    spikes, _ = MovingWindow(torch.tensor(th, dtype=torch.float64), window=window)(x, reset=reset)
    for b in range(2):
        for c in range(2):
            start = 0
            for t in range(60):
                start = t if reset[b, t] else start
                past = x[b, max(start, t - window) : t, c].numpy()
                rise = x[b, t, c].item() - past.mean() if len(past) else 0.0
                assert spikes[b, t, [c, 2 + c]].tolist() == [rise >= th[c], rise <= -th[c]]
    assert window > 1 or torch.equal(spikes, Delta(torch.tensor(th, dtype=torch.float64))(x, reset=reset)[0])


@pytest.mark.parametrize(("taps", "cutoff"), [(2, 0.5), (7, 0.3), (16, 0.1)])
def test_bsa_is_its_loop(taps: int, cutoff: float) -> None:
    x, th = walk(T=90), [0.1, 0.3]
    low, high, threshold = (torch.tensor(numbers, dtype=torch.float64) for numbers in (LOW, HIGH, th))
    encoder = BSA(low, high, threshold, taps=taps, cutoff=cutoff)
    spikes, _ = encoder(x)
    h = np.asarray(firwin(taps, cutoff))
    decoded = encoder.decode(spikes)
    for b in range(2):
        for c in range(2):
            y = np.clip((x[b, :, c].numpy() - LOW[c]) / (HIGH[c] - LOW[c]), 0, 1)
            s = np.zeros(90)
            for t in range(90 - taps + 1):
                ahead = y[t : t + taps]
                if np.abs(ahead - h).sum() <= np.abs(ahead).sum() - th[c]:
                    s[t] = 1
                    ahead -= h
            assert 0 < s.sum() < 90
            np.testing.assert_array_equal(spikes[b, taps - 1 :, c], s[: 90 - taps + 1])
            assert not spikes[b, : taps - 1, c].any()
            u = np.convolve(s, h)[:90]
            np.testing.assert_allclose(decoded[b, :, c], LOW[c] + (HIGH[c] - LOW[c]) * u, atol=1e-12)
