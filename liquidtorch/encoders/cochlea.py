"""Sound as the ear has it: power in bands of hearing, frame by frame; what spike encoders of sound read."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from ..errors import DataError, OptionError, check_range, check_shape

ORDER = 4  # of the gammatone
WIDTH = np.pi * 20 / 64  # equivalent rectangular bandwidth over b: pi (2n-2)! / (2^(2n-2) (n-1)!^2), n = ORDER


def bandwidth(frequency: np.ndarray) -> np.ndarray:
    """Return the equivalent rectangular bandwidth of hearing at a frequency: `24.7*(1 + 0.00437*f)`, all in Hz.

    Source
    ------
    Glasberg and Moore 1990, eq. 3.

    Examples
    --------
    >>> bandwidth(np.array([1000.0])).round(1).tolist()
    [132.6]
    """
    return 24.7 * (1 + 0.00437 * np.asarray(frequency))


def centres(channels: int, low: float, high: float) -> np.ndarray:
    """Return frequencies from `low` to `high`, in Hz, as many bandwidths of hearing apart: even in log(1 + 0.00437*f).

    Examples
    --------
    >>> centres(3, 100.0, 4000.0).round().tolist()
    [100.0, 950.0, 4000.0]
    """
    return np.expm1(np.linspace(np.log1p(0.00437 * low), np.log1p(0.00437 * high), channels)) / 0.00437


def filter_bank(
    sound: np.ndarray, rate: float, *, channels: int = 16, low: float = 100.0, high: float | None = None,
    hop: float = 0.01,
) -> np.ndarray:  # fmt: skip
    """Return the power of a sound in bands of hearing: a bank of gammatone filters, averaged over frames.

    `z_n[t] = p*z_n[t-1] + (1 - |p|)*z_(n-1)[t]` four times from `z_0 = sound`,
    `p = exp((-2*pi*b + 2i*pi*f)/rate)`, `b = bandwidth(f)/0.982`; a frame is the mean of `2*|z_4|^2` over hop seconds.

    Parameters
    ----------
    sound : (N,)
        Samples, of any scale.
    rate : float, above 0
        Samples a second.
    channels : int, at least 1
        Bands C; their centres f are `centres(channels, low, high)`.
    low, high : float, in Hz, 0 < low < high < rate/2
        Centres of the first and the last band; high is 0.45*rate if left out.
    hop : float, at least 1/rate
        Seconds a frame; rounded to whole samples.

    Returns
    -------
    (T, C) float64, T = ceil(N / samples a frame)
        In the square of the sound's unit: a tone of amplitude A at a centre has A^2/2 there. The last frame is the mean
        over what there is.

    Raises
    ------
    OptionError
        If an option is out of range.
    ShapeError
        If the sound is not one row of samples.
    DataError
        If it has no samples, or a sample is not finite.

    Notes
    -----
    Causal: no frame knows of later samples. A band lags by some 0.5/b seconds: 13 ms at 100 Hz, 1 ms at 4 kHz. Four
    complex multiply-adds a sample and band, in cascade: an eighth-order filter in one would lose its digits at a high
    rate. The sum over bands times their distance, in bandwidths, is the power of a tone: within 1 % where bands are
    half a bandwidth apart, within 14 % where they are one; but near the first and the last band.

    Source
    ------
    Hohmann 2002, Frequency analysis and synthesis using a gammatone filterbank: complex filters of first order,
    in cascade.

    Examples
    --------
    >>> t = np.arange(4000) / 8000
    >>> power = filter_bank(3 * np.sin(2 * np.pi * 1000 * t), 8000, channels=5, low=500, high=2000)
    >>> power.shape, int(power[-1].argmax())
    ((50, 5), 2)
    """
    sound = np.asarray(sound, dtype=np.float64)
    check_shape("sound", sound.shape, ("samples",))
    if not len(sound) or not np.isfinite(sound).all():
        what = (
            f"{sound[~np.isfinite(sound)][0]} at sample {int((~np.isfinite(sound)).argmax())}" if len(sound) else "none"
        )
        raise DataError(f"`sound` must hold finite samples; got {what}.")
    check_range("rate", rate, 0, open_low=True)
    channels = check_range("channels", channels, 1, whole=True)
    high = 0.45 * rate if high is None else high
    if not 0 < low < high < rate / 2:
        raise OptionError(
            f"`low` and `high` must be 0 < low < high < {rate / 2:g} Hz, half the rate; got {low:g} and {high:g}."
        )
    samples = round(check_range("hop", hop, 1 / rate) * rate)
    starts = np.arange(0, len(sound), samples)
    counts = np.diff(np.append(starts, len(sound)))
    found = np.empty((len(starts), channels))
    for k, f in enumerate(centres(channels, low, high)):
        pole = np.exp((-2 * np.pi * bandwidth(f) / WIDTH + 2j * np.pi * f) / rate)
        z = sound
        for _ in range(ORDER):
            z = lfilter([1 - abs(pole)], [1, -pole], z)
        found[:, k] = np.add.reduceat(2 * np.abs(np.asarray(z)) ** 2, starts) / counts
    return found


def decibels(power: np.ndarray, *, floor: float = -60.0) -> np.ndarray:
    """Return levels, `10*log10(power / power.max())`, none below `floor`: loudness of speech without the microphone's.

    Parameters
    ----------
    power : array of numbers at least 0
        Of a whole recording; silence is `floor` throughout.
    floor : float, at most 0
        In decibel below the loudest.

    Examples
    --------
    >>> decibels(np.array([0.0, 1.0, 100.0])).tolist()
    [-60.0, -20.0, 0.0]
    """
    check_range("floor", floor, high=0)
    power = np.asarray(power, dtype=np.float64)
    loudest = power.max(initial=0.0)
    if loudest == 0:
        return np.full(power.shape, float(floor))
    return np.maximum(10 * np.log10(np.maximum(power / loudest, 10 ** (floor / 10))), floor)
