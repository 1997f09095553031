"""Two signals to encode."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LOW, HIGH = [-2.0, -1.0], [2.0, 1.5]


def walk(B: int = 2, T: int = 60, C: int = 2, seed: int = 0) -> Tensor:
    """Draw noise about a wave, near the range above and now and then beyond it."""
    rng = np.random.default_rng(seed)
    wave = 1.5 * np.sin(np.arange(T) / 7)[:, None]
    return torch.tensor(wave + 0.5 * rng.normal(size=(B, T, C)))


def smooth(T: int = 1000, seed: int = 0) -> Tensor:
    """Return two sums of slow waves (1, T, 2), of unlike ranges."""
    t = np.arange(T) + 1000 * seed
    waves = [np.sin(t / 11) + 0.5 * np.sin(t / 4.3 + 1), 20 + 3 * np.cos(t / 17) * np.sin(t / 6)]
    return torch.tensor(np.stack(waves, 1))[None]
