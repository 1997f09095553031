"""How a network is trained, and what came of it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import OptionError, check_choice, check_range
from ..task import Task

STEPS = 16  # an epoch, where there is a choice: too few and small data is hardly learned in 100 epochs
WHOLE, WINDOW = 128, 64  # rows: series up to WHOLE are learned whole, longer ones in windows of WINDOW


@dataclass(frozen=True, kw_only=True)
class Config:
    """Say how a network is trained.

    Parameters
    ----------
    epochs : int, at least 1
        Passes over the training data, if nothing stops it before.
    batch : int, at least 1, or None
        Series or windows learned from at once. None: as many as make 16 steps an epoch, at least 4 and at most 32.
    window : int, at least 2, or None
        Rows of the windows a long series is cut into, at a phase drawn anew each epoch; each starts from the initial
        state. None: series of up to 128 rows are learned whole, longer ones in windows of 64. Tasks about whole
        series have no windows: use `tbptt`.
    tbptt : int, at least 1, or None
        Truncated backpropagation: the weights change every `tbptt` rows, the state is carried on without its
        gradient. None: the gradient goes back to the start of the series or window. For a task about whole series
        that pools by mean, each part answers with the mean over that part.
    lr : float, above 0
        The highest learning rate; it rises linearly, then falls to 0 along a cosine, which ends with the epochs or
        with the time limit, whichever runs out first.
    weight_decay : float, at least 0
        Of AdamW, on the weight matrices only.
    warmup : float, 0 to 0.9
        The fraction of the training in which the learning rate rises.
    clip : float, above 0
        The largest norm of the gradient.
    patience : int, at least 1
        Epochs without a better validation loss before training stops.
    seed : int, at least 0
        Fixes the order of batches, the windows, and any noise.
    time_limit : float, above 0, or None
        Seconds this call may take; the batch under way is finished, and the validation. Training that is resumed gets
        as many again, and its learning rate goes on from what was spent before.
    device : str
        "auto" (CUDA where it is), or a name PyTorch knows.
    plasticity : None or "rewire"
        Whether the wiring changes with the weights. "rewire": every 50 steps a fraction of the synapses, of smallest
        |w|, goes to where the gradient is largest; 0.3 at first, none after three quarters of the training. The counts
        stay. Only for networks with a sparsely wired cell.
    bf16 : bool or "auto"
        Compute in bfloat16 where PyTorch's autocast does; "auto": on CUDA devices that have it.

    Raises
    ------
    OptionError
        When a value is out of range.

    Examples
    --------
    >>> Config(epochs=20, tbptt=50).lr
    0.01
    """

    epochs: int = 100
    batch: int | None = None
    window: int | None = None
    tbptt: int | None = None
    lr: float = 1e-2
    weight_decay: float = 0.1
    warmup: float = 0.05
    clip: float = 1.0
    patience: int = 15
    seed: int = 0
    time_limit: float | None = None
    device: str = "auto"
    plasticity: str | None = None
    bf16: bool | str = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_range("seed", self.seed, 0, 2**31 - 1, whole=True))
        for name, low in (("epochs", 1), ("patience", 1), ("batch", 1), ("window", 2), ("tbptt", 1)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_range(name, getattr(self, name), low, whole=True))
        check_range("lr", self.lr, 0, open_low=True)
        check_range("clip", self.clip, 0, open_low=True)
        check_range("weight_decay", self.weight_decay, 0)
        check_range("warmup", self.warmup, 0, 0.9)
        if self.time_limit is not None:
            check_range("time_limit", self.time_limit, 0, open_low=True)
        check_choice("plasticity", self.plasticity, (None, "rewire"))
        check_choice("bf16", self.bf16, (True, False, "auto"))

    def rate(self, done: float) -> float:
        """Return the learning rate after the fraction `done` of the training."""
        if done < self.warmup:
            return self.lr * done / self.warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))

    def size(self, pieces: int) -> int:
        """Return the batch size for an epoch of so many series or windows."""
        return self.batch or min(max(pieces // STEPS, 4), 32)

    def rows(self, task: Task, longest: int) -> int | None:
        """Return the rows of a window, or None for whole series."""
        if task.level == "series":
            if self.window is not None:
                raise OptionError(
                    f"`window` must be None for {task.kind!r}; got {self.window} "
                    "(the answer is about the whole series). Use tbptt for long series."
                )
            return None
        if self.window is None and (self.tbptt is not None or longest <= WHOLE):
            return None
        return self.window or WINDOW

    def where(self) -> torch.device:
        """Return the device to train on."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as e:
            reason = str(e).splitlines()[0]
            raise OptionError(
                f"`device` must be one that is here; got {self.device!r} ({reason}). Use device='cpu'."
            ) from e
        return device

    def halves(self, device: torch.device) -> bool:
        """Return whether to compute in bfloat16 on this device."""
        able = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())
        if self.bf16 is True and not able:
            raise OptionError(f"`bf16` must be False here; got True (no bfloat16 on {device}).")
        return self.bf16 is True or (self.bf16 == "auto" and device.type == "cuda" and able)

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain JSON."""
        return dataclasses.asdict(self)


@dataclass
class History:
    """What came of a training.

    Parameters
    ----------
    epochs : list of dict
        One line an epoch: epoch, train_loss, valid_loss, valid_score, lr, grad_norm, seconds.
    best_epoch : int
        The epoch whose weights the network has now; 0: those it began with.
    best_loss : float
        Its validation loss; NaN without validation data.
    stopped : str
        Why it ended: "epochs", "early_stop", "time_limit" or "non_finite"; "" while it runs.
    message : str
        The same in a sentence.
    seconds : float
        All time spent, earlier calls that were resumed included.
    steps : int
        How many times the weights were changed.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.nan
    stopped: str = ""
    message: str = ""
    seconds: float = 0.0
    steps: int = 0
