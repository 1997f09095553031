"""The training loop: epochs of batches, validation, the best weights, and every way it can end."""

from __future__ import annotations

import math
import os
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..cells import first_parameter
from ..data.sequences import Sequences
from ..errors import DataError, OptionError, StateError
from ..model import LiquidNetwork
from ..model.measure import answer_scaling
from ..readout import solved
from ..record import Record
from ..task import Task, score
from . import checkpoint
from .answer import answers, check_answer, pooled, prediction
from .batches import Batch, Rows, shuffled
from .config import Config, History
from .losses import Loss
from .nonfinite import NonFiniteError, diagnose
from .rewire import Rewiring, kept, put_back
from .show import epochs_shown
from .solve import solve

ASKED = 128  # series validated at once


def fit(
    network: nn.Module,
    train: Sequences,
    valid: Sequences | None,
    task: Task,
    config: Config | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    record: Record | None = None,
    resume: bool = False,
    progress: bool = False,
) -> History:
    """Train a network in place; it ends with its best weights.

    AdamW on mini-batches, the gradient clipped by its norm, the learning rate risen linearly and let down along a
    cosine that ends with the epochs or with the time, whichever runs out first. After each epoch the whole validation
    data is asked; the weights that did best are the ones kept. A network whose readout is solved (`readout.Ridge`,
    `readout.Logistic`) is not trained: its readout is solved from the states of its body as it is.

    Parameters
    ----------
    network : module
        `network(x, h, dt=, lengths=) -> (y, h)` with y (B, T, task.outputs), as `LiquidNetwork`. If it has `pool`
        ("last" or "mean"), that is how its answers become one for the series; if it has `ahead`, that many gaps to
        the rows asked for are columns of x after the features.
    train, valid : Sequences
        Without `valid` all epochs are run, and the last weights are kept.
    task : Task
        What is asked.
    config : Config, optional
        How; the defaults of `Config` if left out.
    folder : path, optional
        Where `checkpoints/last.safetensors` is written after each epoch.
    record : Record, optional
        Gets the lines `epoch` and `event`.
    resume : bool
        Go on from the checkpoint in `folder`. The weights at the end are those of a training never stopped.
    progress : bool
        Show a bar, if standard error is a terminal.

    Returns
    -------
    History

    Raises
    ------
    DataError, OptionError, ShapeError
        When data, task, options and network do not fit each other.
    StateError
        When there is nothing to resume, or something else was trained there.
    KeyboardInterrupt
        After Ctrl-C, with the best weights so far in the network and a checkpoint to resume from in `folder`.

    Notes
    -----
    One seed fixes everything on one machine with one number of threads, as long as no time limit runs out before the
    epochs do: the learning rate then follows the clock. The global random state is left as it was.
    A loss or gradient that is not finite ends the training with a warning that says where; the best weights stay.
    """
    config = config or Config()
    task.check(train)
    if valid is not None and valid.target is None:
        raise DataError("`valid` must have the target; it is missing. Leave `valid` out, or give it one.")
    if resume and folder is None:
        raise StateError("`folder` must be given to resume; got None.")
    home = first_parameter(network).device
    device = config.where()
    network.to(device)
    cuda = [device] if device.type == "cuda" else []
    try:
        if isinstance(network, LiquidNetwork) and solved(network.readout):
            if config.plasticity is not None:
                raise OptionError(
                    f"`plasticity` must be None for a body that is not trained; got {config.plasticity!r} "
                    "(the readout is solved). Use readout='mlp'."
                )
            return solve(network, train, valid, task, config, record)
        with torch.random.fork_rng(devices=cuda):
            training = Training(network, train, valid, task, config, folder, record)
            return training.run(resume, progress)
    finally:
        network.to(home)


class Training:
    """One call of `fit`: what is held while it runs."""

    def __init__(
        self,
        network: nn.Module,
        train: Sequences,
        valid: Sequences | None,
        task: Task,
        config: Config,
        folder: str | os.PathLike[str] | None,
        record: Record | None,
    ) -> None:
        self.network, self.task, self.config, self.record = network, task, config, record
        like = next(network.parameters())
        gaps = getattr(network, "ahead", 0)
        self.train = Rows(train, task, like, gaps)
        self.valid = None if valid is None else Rows(valid, task, like, gaps)
        self.columns = [f.name for f in train.features]
        self.loss = Loss(task, answer_scaling(train, task).scale).to(like)
        self.halves = config.halves(like.device)
        self.window = config.rows(task, int(train.lengths.max()))
        self.mean = getattr(network, "pool", "last") == "mean"
        self.optimiser = torch.optim.AdamW(self._groups(), lr=config.lr, weight_decay=config.weight_decay)
        self.rewiring = None if config.plasticity is None else Rewiring(network, self.optimiser, config.seed)
        self.file = None if folder is None else checkpoint.place(Path(folder))
        self.same = None if folder is None else checkpoint.identity(network, train, valid, task, config)
        self.history = History()
        self.best = self._kept()
        self.begun = time.monotonic()
        self.spent = 0.0

    def _groups(self) -> list[dict[str, Any]]:
        learned = [p for p in self.network.parameters() if p.requires_grad]
        if not learned:
            raise StateError("`network` must have parameters that learn; none has requires_grad.")
        return [
            {"params": [p for p in learned if p.ndim >= 2]},
            {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0},
        ]

    def run(self, resume: bool, progress: bool) -> History:
        """Run the epochs that are left."""
        history = self.history
        if resume:
            history = self._resume()
            if history.stopped:
                self._put_back(self.best)
                return history
        else:
            self._start()
        try:
            with epochs_shown(self.config.epochs, len(history.epochs), progress) as shown:
                for epoch in range(len(history.epochs) + 1, self.config.epochs + 1):
                    line = self._epoch(epoch)
                    shown(line)
                    if self._over(line):
                        break
                else:
                    self._stop("epochs", f"All {self.config.epochs} epochs are done.")
        except NonFiniteError as found:
            self._stop("non_finite", f"{found} The weights of epoch {history.best_epoch} are kept.")
            warnings.warn(history.message, RuntimeWarning, stacklevel=3)
        except KeyboardInterrupt:
            way = "" if self.file is None else " Resume to go on as if nothing had happened."
            self._event("interrupted", f"Interrupted after {len(history.epochs)} whole epochs.{way}")
            self._put_back(self.best)
            raise
        self._put_back(self.best)
        return history

    def _start(self) -> None:
        if self.file is not None and self.file.exists():
            raise StateError(f"`folder` must hold no other training; got {self.file}. Resume it, or use a new folder.")
        self.history.best_loss = self._validate()[0]
        self._save()  # from here on there is something to resume

    def _resume(self) -> History:
        assert self.file is not None
        assert self.same is not None
        facts, parts = checkpoint.load(self.file, self.same)
        self._put_back(parts["weights"])
        checkpoint.restore(self.optimiser, parts["moments"])
        device = next(self.network.parameters()).device
        self.best = {k: v.to(device) for k, v in parts["best"].items()}
        self.history = History(**facts["history"])
        self.spent = self.history.seconds
        self._event("resumed", f"Resumed after epoch {len(self.history.epochs)}.")
        return self.history

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Learn from every row once, validate, keep what is best; returns the record's line."""
        begun = time.monotonic()
        config, history = self.config, self.history
        torch.manual_seed((config.seed * 1_000_003 + epoch) % 2**63)  # from the epoch alone: nothing to checkpoint
        rng = np.random.default_rng([config.seed, epoch])
        pieces = self.train.whole() if self.window is None else self.train.windows(self.window, rng)
        batches = shuffled(pieces, config.size(len(pieces.count)), rng)
        parts = [-(-int(pieces.count[b].max()) // (config.tbptt or len(self.train.x))) for b in batches]
        share = self._known() / sum(parts)
        sums = np.zeros(2)
        norms, done, rate, cut = [], 0, config.lr, False
        self.network.train()
        for number, chosen in enumerate(batches):
            batch = self.train.gather(pieces, chosen)
            h = None
            for part in batch.chunks(config.tbptt):
                done += 1
                over = self._part_done(epoch - 1 + done / sum(parts))
                rate = config.rate(over)
                h, total, count, norm = self._learn(part, h, over, share, epoch, number + 1)
                sums += total, count
                norms += [] if norm is None else [norm]
            cut = self._late() and number + 1 < len(batches)
            if cut:
                break
        loss, answer = self._validate()
        line = {
            "epoch": epoch,
            "train_loss": float(sums[0] / max(sums[1], 1.0)),
            "valid_loss": loss,
            "valid_score": answer,
            "lr": rate,
            "grad_norm": float(np.mean(norms)) if norms else 0.0,
            "seconds": time.monotonic() - begun,
        }
        self._keep_if_best(epoch, loss)
        history.seconds = self.spent + time.monotonic() - self.begun
        if self.record is not None:
            self.record.write("epoch", **line)
        history.epochs.append(line)
        if cut:  # and not saved: to resume is to run this epoch again, whole
            self._stop("time_limit", f"The time limit of {config.time_limit:g} s came during epoch {epoch}.")
        else:
            self._save()
        return line

    def _known(self) -> float:
        assert self.train.truth is not None
        return float((~torch.isnan(self.train.truth)).sum())

    def _learn(
        self, part: Batch, h: Any, over: float, share: float, epoch: int, number: int
    ) -> tuple[Any, float, float, float | None]:
        """Take one step; returns (state without gradient, sum and count of the loss, norm of the gradient)."""
        truth = self._truth(part)
        if not bool((~torch.isnan(truth)).any()):
            with torch.no_grad():
                return _detached(self._answer(self.network, part, h)[1]), 0.0, 0.0, None
        total, count, after = self._loss(self.network, part, truth, h)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(over)
        self.optimiser.zero_grad(set_to_none=True)
        (total / (count if self.task.level == "series" else share)).backward()
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip))
        if not (math.isfinite(norm) and math.isfinite(float(total.detach()))):
            raise NonFiniteError(diagnose(self.network, part, self.columns, float(total.detach()), epoch, number))
        self.optimiser.step()
        self.history.steps += 1
        if self.rewiring is not None and self.rewiring.due(self.history.steps):
            moved = self.rewiring(lambda other: self._loss(other, part, truth, h)[0], self.history.steps, over)
            if moved:
                self._event("rewired", moved)
        return _detached(after), float(total.detach()), float(count), norm

    def _truth(self, part: Batch) -> Tensor:
        truth = part.truth
        assert truth is not None
        if self.task.level == "series":
            here = (part.lengths > 0) if self.mean else part.ends
            truth = truth.masked_fill(~here[:, None], math.nan)
        return truth

    def _answer(self, network: nn.Module, part: Batch, h: Any) -> tuple[Tensor, Any]:
        with torch.autocast(part.x.device.type, torch.bfloat16, enabled=self.halves):
            return network(part.x, h, dt=part.dt, lengths=part.lengths)

    def _loss(self, network: nn.Module, part: Batch, truth: Tensor, h: Any) -> tuple[Tensor, Tensor, Any]:
        """Return the sum of the loss, its count, and the state at the end."""
        y, after = self._answer(network, part, h)
        check_answer(y, self.task)
        if self.task.level == "series":
            y = pooled(y, part.lengths, self.mean)
        return *self.loss(y.to(truth.dtype), truth), after

    def _validate(self) -> tuple[float, float]:
        """Return the loss and the score on the validation data; NaN without."""
        if self.valid is None:
            return math.nan, math.nan
        y = answers(self.network, self.valid, self.task, ASKED, self.halves)
        assert self.valid.truth is not None
        with torch.no_grad():
            total, count = self.loss(y, self.valid.truth)
        found = score(self.task, self.valid.truth.double().cpu().numpy(), prediction(self.task, y))
        return float(total / count), found[self.task.metric]

    def _keep_if_best(self, epoch: int, loss: float) -> None:
        history = self.history
        if self.valid is None or loss < history.best_loss or math.isnan(history.best_loss):
            self.best = self._kept()
            history.best_epoch, history.best_loss = epoch, loss

    def _over(self, line: dict[str, float]) -> bool:
        """Stop if it is time."""
        history = self.history
        if history.stopped:
            return True
        waited = int(line["epoch"]) - history.best_epoch
        if self.valid is not None and waited >= self.config.patience and line["epoch"] < self.config.epochs:
            self._stop(
                "early_stop", f"No better validation loss in {waited} epochs; the best was epoch {history.best_epoch}."
            )
        elif self._late() and line["epoch"] < self.config.epochs:
            limit = self.config.time_limit
            self._stop("time_limit", f"The time limit of {limit:g} s came after epoch {line['epoch']}.")
        return bool(history.stopped)

    def _late(self) -> bool:
        limit = self.config.time_limit
        return limit is not None and time.monotonic() - self.begun > limit

    def _part_done(self, epochs: float) -> float:
        """Return the part of the training that is over: of its epochs, or of its time if that runs out before."""
        part, limit = epochs / self.config.epochs, self.config.time_limit
        if limit is None:
            return part
        used = time.monotonic() - self.begun  # by this call; those before it have brought the rate down as well
        return min(max(part, (self.spent + used) / (self.spent + limit)), 1.0)

    def _stop(self, reason: str, message: str) -> None:
        self.history.stopped, self.history.message = reason, message
        self._event(reason, message)
        if reason != "time_limit":  # with more time it can go on
            self._save()

    def _event(self, name: str, message: str) -> None:
        if self.record is not None:
            self.record.write("event", name=name, message=message)

    def _save(self) -> None:
        if self.file is None:
            return
        facts = {"identity": self.same, "history": asdict(self.history)}
        checkpoint.save(self.file, facts, self._kept(), self.best, self.optimiser)

    def _kept(self) -> dict[str, Tensor]:
        """Copy all that training changes: the weights, and the wirings where these change too."""
        if self.rewiring is not None:
            return kept(self.network)
        return {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def _put_back(self, found: dict[str, Tensor]) -> None:
        if self.rewiring is not None:
            put_back(self.network, found)
        else:
            self.network.load_state_dict(found)


def _detached(h: Any) -> Any:
    """Cut the gradient of a state: a tensor, or tuples of them."""
    if isinstance(h, Tensor):
        return h.detach()
    if isinstance(h, tuple):
        parts = [_detached(part) for part in h]
        return type(h)(*parts) if hasattr(h, "_fields") else tuple(parts)
    return h
