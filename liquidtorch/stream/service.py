"""The stream itself: each record is predicted, then teaches if its truth is known, and a checkpoint follows in time."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..files import write_atomic
from .ahead import Ahead
from .checkpoint import Checkpoints
from .dead import DeadLetters
from .learner import Learner
from .memory import Memory, Waiting
from .message import Message, Rejected, Sink, Source
from .options import Options
from .sample import Reader, Sample
from .score import Score, shown
from .signals import Stop

TICK = 0.2  # seconds after which a signal is noticed while nothing comes
GRACE = 5.0  # seconds a sink has, after a signal, to take what was put
PLACES = 64  # sources, and sinks, whose positions are kept
COUNTS = ("records", "learned", "late", "repeats", "rejected", "unkept")


class Service:
    """Carry records from a source through a learner to a sink, such that a kill at any moment changes nothing.

    Parameters
    ----------
    reader, learner, source, sink : Reader, Learner, Source, Sink
        What records are, who learns, where they come from and where predictions go.
    folder : path
        `RUN/stream`, for checkpoints, dead letters and `status.json`.
    options : Options
        How often to make checkpoints, and what to keep.
    say : function of str
        Hears how it goes, at most once every `options.every` seconds.

    Notes
    -----
    What a checkpoint holds: the model, the position of each source, series and times of the last records, samples that
    wait for their label, the score, counts, and how far predictions and dead letters had been written. Taking it up
    again and reading on gives what would have been without the interruption.
    """

    def __init__(
        self,
        reader: Reader,
        learner: Learner,
        source: Source,
        sink: Sink,
        folder: Path,
        options: Options,
        say: Callable[[str], None],
    ) -> None:
        self._reader, self._learner, self._source, self._sink = reader, learner, source, sink
        self._folder, self._options, self._say = folder, options, say
        self._columns = learner.columns
        self._memory = Memory(reader.median_dt, reader.unit, waiting=options.waiting)
        self._ahead = Ahead(learner.task) if learner.task.kind == "forecast" else None
        self.score = Score(learner.task)
        self._dead = DeadLetters(folder / "dead.jsonl")
        self._checkpoints = Checkpoints(folder)
        self.counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
        self._positions: dict[str, Any] = {}  # of sources, by name
        self._written: dict[str, Any] = {}  # and of sinks
        self._restored = self._complained = False
        self._since = 0  # records since the last checkpoint
        self._made = self._said = time.monotonic()
        self.heard = True  # whether somebody still reads the predictions

    def restore(self, state: Mapping[str, Any], *, fresh: bool = False) -> None:
        """Take up a checkpoint; if `fresh`, only which files of predictions are ours: they are begun again."""
        if fresh:
            self._written = {name: {**place, "size": 0} for name, place in state["written"].items()}
            return
        self._memory.restore(state["memory"])
        self.score.restore(state["score"])
        self.counts = dict(state["counts"])
        self._positions, self._written = dict(state["positions"]), dict(state["written"])
        self._dead.shorten(state["dead"])
        if self._ahead is not None:
            self._ahead.restore(state["ahead"])
        self._learner.recognise(self._memory.waiting() if self._ahead is None else self._ahead.waiting())
        self._restored = True

    def run(self, stop: Stop) -> bool:
        """Go on until the source ends, nobody reads, or `stop.asked`; return whether all is in a checkpoint."""
        try:
            self._source.open(self._positions.get(self._source.name))
            try:
                self._sink.open(self._written.get(self._sink.name))
            except BrokenPipeError:
                self.heard = False
            if not self._restored:  # what was there before is done with, even if we are killed at once
                self._keep(stop)
            while not stop.asked and self.heard:
                message = self._source.read(TICK)
                if message is not None:
                    self._take(message)
                elif self._source.ended:
                    break
                if self._due() and not self._keep(stop):
                    break
            return self._keep(stop)
        finally:
            self._source.close()
            self._sink.close()

    def _take(self, message: Message) -> None:
        """Use one record, or put it aside."""
        self._since += 1
        try:
            if message.fields is None:
                raise Rejected(message.fault)
            sample = self._reader.read(message.fields)
            dt = self._memory.arrive(sample)
            if dt is not None and not sample.x:
                names = ", ".join(f.name for f in self._reader.features[:9])
                raise Rejected(f"a record must hold a feature ({names}); this one holds none")
        except Rejected as e:
            if not self._complained:  # once: a whole stream of them is likely a misunderstanding
                self._complained = True
                self._say(f"set aside ({message.place}): {e}; this and others are in {self._dead.path}")
            self.counts["rejected"] += 1
            self.counts["unkept"] += not self._dead.put(message, str(e))
            return
        if dt is not None:
            self._use(sample, dt)
            return
        late = self._memory.claim(sample)
        if late is None:
            self.counts["repeats"] += 1
        else:
            self.counts["late"] += 1
            self._learn(sample.series, late, sample.y)

    def _use(self, sample: Sample, dt: float) -> None:
        if self._ahead is not None and (due := self._ahead.heard(sample.series, sample.x)) is not None:
            self._learn(sample.series, *due)
        answer = self._learner.answer(sample.x, dt, sample.series)
        self.counts["records"] += 1
        self._put(sample, answer.shown)
        kept = Waiting(sample.x, answer.values, self._unchanged(sample))
        waits = False
        if self._ahead is not None:
            self._ahead.put(sample.series, kept)
        elif sample.y is not None:
            self._learn(sample.series, kept, sample.y)
        elif sample.when is None:  # a label could not say whose it is
            self._learner.pass_over(sample.x, sample.series)
        else:
            waits = True
        gone = self._memory.keep(sample, kept if waits else None)
        for series, late in gone.samples:
            self._learner.pass_over(late.x, series)
        for series in gone.series:
            self._learner.forget(series)
            if self._ahead is not None:
                self._ahead.forget(series)

    def _unchanged(self, sample: Sample) -> Any:
        """Return what no change would answer: a forecast the present values, all else the truth last heard."""
        if self._ahead is None:
            return self.score.last(sample.series)
        return self._ahead.unchanged(sample.x)

    def _learn(self, series: str, sample: Waiting, truth: Any) -> None:
        self.score.add(truth, sample.answer, sample.unchanged)
        if self._ahead is None:
            self.score.heard(series, truth)
        self._learner.learn(sample.x, truth, series)
        self.counts["learned"] += 1

    def _put(self, sample: Sample, shown: tuple[Any, ...]) -> None:
        row: dict[str, Any] = {}
        if self._reader.series is not None:
            row[self._reader.series] = sample.series
        if self._reader.time is not None:
            row[self._reader.time] = sample.stamp
        row.update(zip(self._columns, shown, strict=True))
        try:
            self._sink.put(row)
        except BrokenPipeError:
            self.heard = False

    def _due(self) -> bool:
        if not self._since:
            return False
        waited = time.monotonic() - self._made
        return self._since >= self._options.records or waited >= self._options.every or self._source.hungry

    def _keep(self, stop: Stop) -> bool:
        """Make a checkpoint of all that has been used; return False where predictions could not be delivered first."""
        end: float | None = None

        def patience() -> bool:
            nonlocal end
            if stop.asked and end is None:
                end = time.monotonic() + GRACE
            return end is None or time.monotonic() < end

        if not self._sink.settle(patience):
            return False
        _put_last(self._positions, self._source.name, self._source.position())
        _put_last(self._written, self._sink.name, self._sink.position())
        state = {
            "counts": self.counts,
            "score": self.score.to_json(),
            "memory": self._memory.to_json(),
            "ahead": None if self._ahead is None else self._ahead.to_json(),
            "positions": self._positions,
            "written": self._written,
            "dead": self._dead.settle(),
        }
        self._checkpoints.write(state, self._learner.save)
        self._source.settled()
        self._status()
        self._since, self._made = 0, time.monotonic()
        if self._made - self._said >= self._options.every:
            self._said = self._made
            self._say(self.summary())
        return True

    def _status(self) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        score = self.score
        found = {
            "time": now,
            "source": self._source.name,
            **self.counts,
            "metric": score.metric,
            "score": score.value,
            "recent": score.recent,
            "no_change": score.unchanged,
        }
        write_atomic(self._folder / "status.json", json.dumps(found, indent=1) + "\n")

    def summary(self) -> str:
        """Return counts and score in a line."""
        counts, score = self.counts, self.score
        metric = score.metric
        parts = [f"{counts['records']:,} record{'s' * (counts['records'] != 1)}", f"{counts['learned']:,} learned"]
        if score.value is not None:
            beside = f"lately {shown(score.recent, metric)}, no change {shown(score.unchanged, metric)}"
            parts.append(f"{metric} {shown(score.value, metric)} ({beside})")
        for name, words in (("late", "late labels"), ("repeats", "repeats"), ("rejected", "set aside")):
            if counts[name]:
                parts.append(f"{counts[name]:,} {words}")
        if counts["unkept"]:
            parts.append(f"{counts['unkept']:,} of these only counted: dead.jsonl is full, move it away")
        return ", ".join(parts)


def _put_last(positions: dict[str, Any], name: str, position: Mapping[str, Any]) -> None:
    """Remember a position as the newest; of too many the oldest is forgotten."""
    positions.pop(name, None)
    positions[name] = dict(position)
    for old in list(positions)[:-PLACES]:
        del positions[old]
