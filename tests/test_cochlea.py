"""The filter bank of hearing against closed forms: the gammatone's response, its bandwidth, and the power of tones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from liquidtorch.encoders import bandwidth, centres, decibels, filter_bank
from liquidtorch.errors import DataError, OptionError, ShapeError

RATE = 8000


def tone(frequency: float, amplitude: float = 1.0, seconds: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


def distance(channels: int, low: float, high: float) -> float:
    """Return how many bandwidths lie between two bands: the integral of 1/bandwidth."""
    f = np.linspace(low, high, 100_001)
    return float(np.trapezoid(1 / (24.7 * (4.37 * f / 1000 + 1)), f)) / (channels - 1)


def test_a_click_leaves_the_envelope_of_a_gammatone() -> None:
    """Power is 2*((1-a)^4 * (t+3 choose 3) * a^t)^2, the square of the fourfold convolution of (1-a)*p^t."""
    click = np.zeros(2000)
    click[0] = 1.0
    found = filter_bank(click, RATE, channels=3, low=200, high=3000, hop=1 / RATE)
    choose = np.array([math.comb(t + 3, 3) for t in range(2000)], dtype=float)
    for k, f in enumerate(centres(3, 200, 3000)):
        a = math.exp(-2 * math.pi * 24.7 * (4.37 * f / 1000 + 1) / (20 * math.pi / 64) / RATE)
        np.testing.assert_allclose(found[:, k], 2 * ((1 - a) ** 4 * choose * a ** np.arange(2000)) ** 2, atol=1e-15)


def test_a_band_passes_as_much_noise_as_a_rectangle_of_its_bandwidth() -> None:
    """By Parseval: the energy of a click's answer is (gain at the centre)^2 * bandwidth, as a share of the rate."""
    click = np.zeros(8 * RATE)
    click[0] = 1.0
    energy = filter_bank(click, RATE, channels=8, low=100, high=3000, hop=1 / RATE).sum(0)
    np.testing.assert_allclose(energy, 2 * bandwidth(centres(8, 100, 3000)) / RATE, rtol=0.03)


@pytest.mark.parametrize("amplitude", [0.5, 2000.0])
def test_a_tone_excites_its_channel_most_and_by_its_power(amplitude: float) -> None:
    for k, f in enumerate(centres(12, 100, 3500)):
        found = filter_bank(tone(f, amplitude), RATE, channels=12, low=100, high=3500)[-1]
        assert found.argmax() == k
        assert found[k] == pytest.approx(amplitude**2 / 2, rel=2e-3)


@pytest.mark.parametrize(("channels", "tolerance"), [(48, 0.01), (24, 0.14)])
def test_the_bands_together_have_the_power_of_a_tone(channels: int, tolerance: float) -> None:
    apart = distance(channels, 100, 3600)
    assert apart < (0.5 if channels == 48 else 1.0)
    totals = [
        apart * filter_bank(tone(f, 3.0), RATE, channels=channels, low=100, high=3600)[-5:].mean(0).sum()
        for f in np.geomspace(200, 2500, 25)
    ]
    np.testing.assert_allclose(totals, 4.5, rtol=tolerance)


def test_frames_are_causal_and_the_last_is_the_mean_of_what_there_is() -> None:
    sound = np.random.default_rng(0).normal(size=1234)
    whole = filter_bank(sound, RATE, channels=4)
    assert whole.shape == (16, 4)
    np.testing.assert_allclose(filter_bank(sound[:800], RATE, channels=4), whole[:10])
    fine = filter_bank(sound, RATE, channels=4, hop=1 / RATE)
    assert fine.shape == (1234, 4)
    np.testing.assert_allclose(whole[-1], fine[1200:].mean(0))
    np.testing.assert_allclose(whole[3], fine[240:320].mean(0))
    np.testing.assert_allclose(filter_bank(-2 * sound, RATE, channels=4), 4 * whole)


def test_centres_are_even_in_bandwidths() -> None:
    f = centres(20, 80, 3900)
    assert (f[0], f[-1]) == (pytest.approx(80), pytest.approx(3900))
    apart = [distance(2, *pair) for pair in itertools.pairwise(f)]
    np.testing.assert_allclose(apart, apart[0], rtol=1e-6)


def test_decibels() -> None:
    power = np.array([[1e-9, 0.5], [50.0, 0.0]])
    np.testing.assert_allclose(decibels(power), [[-60, -20], [0, -60]])
    np.testing.assert_allclose(decibels(7 * power, floor=-30), [[-30, -20], [0, -30]])
    np.testing.assert_array_equal(decibels(np.zeros((2, 3))), np.full((2, 3), -60.0))


def test_what_is_refused() -> None:
    sound = np.ones(100)
    with pytest.raises(ShapeError, match="`sound`"):
        filter_bank(np.ones((2, 50)), RATE)
    with pytest.raises(DataError, match="`sound` must hold finite samples; got none"):
        filter_bank(np.ones(0), RATE)
    with pytest.raises(DataError, match="`sound` must hold finite samples; got nan at sample 3"):
        filter_bank(np.where(np.arange(9) == 3, np.nan, 1.0), RATE)
    with pytest.raises(OptionError, match="0 < low < high < 4000 Hz, half the rate; got 100 and 4000"):
        filter_bank(sound, RATE, high=4000)
    with pytest.raises(OptionError, match="got 300 and 200"):
        filter_bank(sound, RATE, low=300, high=200)
    with pytest.raises(OptionError, match="`hop` must be a number at least"):
        filter_bank(sound, RATE, hop=1e-5)
    with pytest.raises(OptionError, match="`channels` must be a whole number at least 1"):
        filter_bank(sound, RATE, channels=0)
    with pytest.raises(OptionError, match="`floor` must be a number at most 0"):
        decibels(sound, floor=3.0)
