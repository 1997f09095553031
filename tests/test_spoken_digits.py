"""The example of spoken digits, on tones in the place of voices: it reads both formats and tells the tones apart."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.io import wavfile

RATE = 8000


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).parent.parent / "examples" / "spoken_digits.py"
    spec = importlib.util.spec_from_file_location("spoken_digits", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "spoken_digits", module)
    spec.loader.exec_module(module)
    return module


def tones() -> list[tuple[int, str, int, np.ndarray]]:
    """Return, for 10 digits, 3 speakers, 3 times: two tones after each other, their pitch by the digit."""
    rng, found = np.random.default_rng(0), []
    for digit in range(10):
        for pitch, who in ((0.95, "bass"), (1.0, "alto"), (1.05, "tenor")):
            for number in range(3):
                t = np.arange(int(rng.integers(2000, 2800))) / RATE
                f = np.where(t < t[-1] / 2, (300.0, 1500.0)[digit % 2], 400.0 * 1.5 ** (digit // 2))
                sound = 8000 * np.sin(2 * np.pi * np.cumsum(pitch * f) / RATE) + rng.normal(0, 50, len(t))
                found.append((digit, who, number, sound.astype(np.int16)))
    return found


def write(folder: Path, packed: bool) -> None:
    said = tones()
    if not packed:
        for digit, who, number, sound in said:
            wavfile.write(folder / f"{digit}_{who}_{number}.wav", RATE, sound)
        return
    digit, who, number, sounds = zip(*said, strict=True)
    np.savez(
        folder / "fsdd_8khz_int16.npz", audio=np.concatenate(sounds), lengths=[len(s) for s in sounds],
        digit=digit, speaker=who, index=number,
    )  # fmt: skip


def test_both_formats_are_read_alike(example: ModuleType, tmp_path: Path) -> None:
    for name in ("wav", "packed"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, name == "packed")
    wav, packed = (example.recordings(tmp_path / name, 2) for name in ("wav", "packed"))
    assert len(wav[0]) == len(packed[0]) == 60

    def key(found: tuple) -> list:
        return sorted((int(d), w, s.tolist()) for s, d, w in zip(*found, strict=True))

    assert key(wav) == key(packed)


def test_it_tells_tones_of_speakers_unheard_apart(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write(tmp_path, packed=True)
    monkeypatch.setattr(sys, "argv", ["spoken_digits.py", "--data", str(tmp_path)])
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    example.main()
    lines = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines())
    assert set(lines) == {"alto", "bass", "tenor", "all"}
    assert float(lines["all"]) > 0.8
