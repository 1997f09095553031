"""A run goes on learning from a stream of records: a table, JSON lines, or a topic of a broker."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FormatError, OptionError
from .options import Options

if TYPE_CHECKING:
    from .learner import Learner
    from .message import Sink, Source
    from .signals import Stop

__all__ = ["Options", "stream"]


def stream(
    run: str | os.PathLike[str],
    source: str,
    options: Options | None = None,
    *,
    fresh: bool = False,
    say: Callable[[str], None] | None = None,
) -> dict[str, int]:
    """Predict the records of a source with a run, learn from those whose truth is known, and keep what was learned.

    A record is {series, time, features, targets}, named as the columns of the table the run was fitted to. It is
    predicted first; one with a target then teaches; a later one with the same series and time and a target is a late
    label; any other repeat is passed over. What cannot be used goes to `RUN/stream/dead.jsonl` with its reason.
    `RUN/model` stays as it was fitted.

    Parameters
    ----------
    run : path
        Folder of a run, whose task asks for an answer at each step.
    source : str
        A .csv, .tsv, .txt, .jsonl or .ndjson file; `-` for JSON lines on standard input; `mqtt://host:port/topic` or
        `mqtts://...` for JSON messages.
    options : Options or None
        Where predictions go, when checkpoints are made, the account at a broker.
    fresh : bool
        Begin with the fitted model; without it, go on from the last checkpoint in `RUN/stream`.
    say : function of str or None
        Hears how it goes.

    Returns
    -------
    dict
        Counts since the stream began: `records` predicted, `learned`, `late` labels, `repeats`, `rejected`, `unkept`
        (rejected when `dead.jsonl` was full).

    Raises
    ------
    DataError
        Where the source or a file cannot be read or written, or a broker does not answer.
    FormatError
        If `run` or its checkpoint cannot be read.
    OptionError
        For an address or file name that cannot be, or a run that cannot be streamed.
    StateError
        If another process streams the run.

    Notes
    -----
    Ends with the source, or after SIGINT or SIGTERM with the record at hand finished and a checkpoint made; a second
    signal ends it at once. Killed at any moment and started again, it has learned what it would have without: from a
    file each record is used once and predictions are written once; from a broker each message is used once if records
    have a time, and predictions may be published twice. Standard input cannot be read again. Needs the signals, locks
    and pipes of Linux or macOS.
    """
    from .signals import Stop  # before anything that takes long: it may be asked to stop from here on

    with Stop() as stop:
        return _stream(Path(run), source, options or Options(), fresh, say or (lambda text: None), stop)


def _stream(
    run: Path, source: str, options: Options, fresh: bool, say: Callable[[str], None], stop: Stop
) -> dict[str, int]:
    from ..model import load
    from .checkpoint import Checkpoints, alone
    from .sample import Reader, check_schema
    from .service import Service

    if not (run / "model").is_dir():
        raise FormatError(f"`run` must be the folder of a finished run; {run} has no model.")
    network = load(run / "model")
    task = network.task
    reader = Reader(check_schema(network.schema, run), foretold=task.kind == "forecast")
    folder, checkpoints = run / "stream", Checkpoints(run / "stream")
    with ExitStack() as held:
        held.enter_context(alone(folder))
        checkpoints.sweep()
        found = checkpoints.newest()
        learner = _learner(network, None if found is None or fresh else found[0] / "model", options)
        columns = [c for c in (reader.series, reader.time) if c is not None]
        clash = [c for c in learner.columns if c in columns]
        if clash:
            raise OptionError(f"`{clash[0]}` must not be the series or time column; predictions are under that name.")
        origin, sink = _ends(source, options, reader.needed, [*columns, *learner.columns], folder, say)
        service = Service(reader, learner, origin, sink, folder, options, say)
        if found is not None:
            service.restore(found[1], fresh=fresh)
        named = "standard input" if source == "-" else source
        begun = "from the fitted model" if found is None or fresh else f"so far {service.summary()}"
        say(f"streaming {named}: {begun}")
        if reader.time is None and "://" in source:
            say("no time column: messages that the broker sends twice cannot be recognised")
        kept = service.run(stop)
    if not service.heard:
        return service.counts
    how = f"stopped by {stop.asked}" if stop.asked else f"{named} has ended"
    say(f"{how}: {service.summary()}")
    if not kept:
        say("predictions could not be delivered: the last checkpoint stands, and what came after it will come again")
    elif stop.asked:
        say(f"checkpoint made; go on with: liquid stream {shlex.quote(str(run))} {shlex.quote(source)}")
    return service.counts


def _learner(network: Any, saved: Path | None, options: Options) -> Learner:
    from ..online import Online
    from ..online.drift import Drift
    from .learner import Learner

    patience = max(options.waiting, network.task.horizon) + 1  # it is told which samples to forget before that
    if saved is not None:
        for name in ("rule", "drift", "plasticity"):
            if getattr(options, name) is not None:
                raise OptionError(
                    f"`{name}` must be left out where a stream goes on: it is as it began; "
                    f"got {getattr(options, name)!r}. Leave it out, or start anew with --fresh."
                )
        model = Online.load(saved)
        model.patience = patience
    else:
        watch = None if options.drift == "none" else Drift(options.drift or "adwin")
        model = Online(
            network, rule=options.rule or "auto", drift=watch, plasticity=options.plasticity, patience=patience
        )  # fmt: skip
    return Learner(model, network.task)


def _ends(
    source: str, options: Options, needed: tuple[str, ...], columns: list[str], folder: Path, say: Callable[[str], None]
) -> tuple[Source, Sink]:
    """Return where records come from and where predictions go."""
    from .address import check_topic, parse
    from .mqtt import Connection, Publication, Subscription
    from .pipe import Pipe
    from .sinks import Printed, Written
    from .tables import LINES, Table

    out = options.out
    asked = None if "://" not in source else parse("source", source)
    if out is not None and "://" in out:
        target = parse("out", out)
        if asked is not None and str(target) == str(asked):
            raise OptionError(f"`out` must be another topic than the source; got {out!r} for both.")
    else:
        target = None
    if asked is not None:
        connection = Connection(asked, options, _client(folder), say)
        origin: Source = Subscription(connection, options.largest)
        if out is None:
            topic = check_topic("out", asked.topic.rstrip("/") + "/predictions")
            return origin, Publication(connection, topic, own=False)
    else:
        origin = Pipe(options.largest) if source == "-" else Table(source, needed, options.largest)
    if target is not None:
        own = Connection(target, options, _client(folder) + "p", say)
        return origin, Publication(own, target.topic, own=True)
    if out not in (None, "-"):
        return origin, Written(str(out), columns)
    lines = asked is not None or source == "-" or Path(source).suffix.lower() in LINES
    return origin, Printed(None if lines else columns)


def _client(folder: Path) -> str:
    """Return the name under which brokers know this run: made once, since they keep messages under it."""
    from ..files import write_atomic

    path = folder / "client"
    if not path.exists():
        write_atomic(path, f"liquid{secrets.token_hex(8)}\n")
    return path.read_text().strip()
