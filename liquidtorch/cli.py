"""The command `liquid`: each verb is a thin function over a public one, and loads nothing heavy before it runs."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import LiquidError, OptionError
from .run import Options, resolve

USER_ERROR, INTERRUPTED = 2, 130

app = typer.Typer(
    name="liquid",
    help="Liquid neural networks for irregular time series: from a table to a trained network.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich takes longer to load than everything else together
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for a user's error, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        app(args=arguments, prog_name="liquid")
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else 0
    except LiquidError as e:
        if "--debug" in arguments:
            traceback.print_exc()
        else:
            print(f"error: {' '.join(str(e).split())}", file=sys.stderr)
        return USER_ERROR
    return 0


def _fit(config: str | None, resume: bool, json_: bool, debug: bool, **given: str | None) -> None:
    from . import report, run

    if resume and given["out"] is None:
        raise OptionError("`out` must name the run to resume; got None. Add --out FOLDER.")
    if resume and config is not None:
        raise OptionError("`config` must be left out with --resume; got it. The run has its options.")
    if not resume and given["table"] is None and config is None:
        raise OptionError("`table` must be a file or the name of a bundled data set; got None. Name a table.")
    try:
        if resume:
            said = {k: v for k, v in given.items() if v is not None}
            found = run.resume(str(given["out"]), said, progress=True)
        else:
            found = run.fit(resolve(given, config), progress=True)
    except KeyboardInterrupt as e:
        print(str(e) or "interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    folder = Path(found["run"])
    page = report.write(folder)
    if json_:
        said = {k: found[k] for k in ("task", "metric", "score", "baselines", "run", "verdict")}
        print(json.dumps({**said, "report": str(page), "model": str(folder / "model")}))
        return
    print(score_table(found["scores"]))
    print(f"\n{found['verdict']['text']}\n")
    for name, path in (("report", page), ("model", folder / "model"), ("predictions", folder / "predictions.csv")):
        print(f"{name + ':':<13}{path}")


def _fit_with_options() -> Any:
    """Give `_fit` a parameter for each field of `Options`: there is one list of options, not two."""
    config = Annotated[
        str | None,
        typer.Option("--config", help="YAML or TOML file of options; the command line wins.", metavar="FILE"),
    ]
    resume = Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in --out.")]
    more = [_keyword("config", None, config), _keyword("resume", False, resume)]
    more += [_keyword("json_", False, AsJson), _keyword("debug", False, Debug)]

    def fit(**given: Any) -> None:
        _fit(**given)

    fit.__doc__ = "Fit a network to TABLE, score it beside baselines, and write a run with its report."
    return _declared(fit, [*_options(Options), *more])


def _options(kind: type) -> list[inspect.Parameter]:
    """Return a parameter for each field of a dataclass of options that may stand on the command line."""
    parameters = []
    for field in dataclasses.fields(kind):
        if "help" not in field.metadata:
            continue
        usual = field.default
        known = {"help": field.metadata["help"], "metavar": field.metadata["metavar"]}
        if field.name == "table":
            declared = Annotated[str | None, typer.Argument(**known, show_default=False)]
        else:
            shown = str(usual) if usual not in (None, ()) else False
            flag = f"--{field.name.replace('_', '-')}"
            declared = Annotated[str | None, typer.Option(flag, **known, show_default=shown)]
        parameters.append(_keyword(field.name, None, declared))
    return parameters


def _keyword(name: str, usual: Any, declared: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=usual, annotation=declared)


def _declared(verb: Any, parameters: list[inspect.Parameter]) -> Any:
    verb.__signature__ = inspect.Signature(parameters)
    verb.__annotations__ = {p.name: p.annotation for p in parameters}
    return verb


app.command("fit")(_fit_with_options())


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help="Folder of a run.", metavar="RUN")],
    table: Annotated[str, typer.Argument(help="Table with the columns the network reads.", metavar="TABLE")],
    out: Annotated[str, typer.Option(help=".csv, .parquet or .jsonl file; - prints CSV.", metavar="FILE")] = "-",
    debug: Debug = False,
) -> None:
    """Write a run's predictions for TABLE."""
    from . import run as room

    rows = room.predict(run, table, out)
    if out != "-":
        print(f"{rows} rows: {out}", file=sys.stderr)


def _stream_with_options() -> Any:
    """Give `stream` a parameter for each field of its options that is no secret."""
    from .stream.options import Options as Kind

    run = Annotated[str, typer.Argument(help="Folder of a run.", metavar="RUN", show_default=False)]
    source = Annotated[
        str,
        typer.Argument(
            help="CSV or JSONL file, - for JSON lines on standard input, or mqtt://HOST/TOPIC.",
            metavar="SOURCE",
            show_default=False,
        ),
    ]
    fresh = Annotated[bool, typer.Option("--fresh", help="Start anew instead of going on from the last checkpoint.")]
    config = Annotated[
        str | None,
        typer.Option("--config", help="YAML or TOML file of options, the account at a broker too.", metavar="FILE"),
    ]
    ends = [_keyword("run", inspect.Parameter.empty, run), _keyword("source", inspect.Parameter.empty, source)]
    more = [_keyword("fresh", False, fresh), _keyword("config", None, config), _keyword("debug", False, Debug)]

    def stream(run: str, source: str, fresh: bool, config: str | None, debug: bool, **given: str | None) -> None:
        from . import stream as room

        room.stream(run, source, resolve(given, config, Kind), fresh=fresh, say=_say)

    stream.__doc__ = "Predict a stream of records, and go on learning from those whose truth is known."
    return _declared(stream, [*ends, *_options(Kind), *more])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


app.command("stream")(_stream_with_options())


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="Folder of a run, finished or not.", metavar="RUN")],
    debug: Debug = False,
) -> None:
    """Write RUN/report.html again from the run's record."""
    from . import report as room

    print(room.write(run))


@app.command("inspect")
def _inspect(
    run: Annotated[str, typer.Argument(help="Folder of a run.", metavar="RUN")],
    table: Annotated[str | None, typer.Argument(help="What drives it; default the run's.", metavar="TABLE")] = None,
    json_: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure the body of a run, and draw it in RUN/inspect.html: echo, memory, ranks, spikes."""
    from . import report
    from . import run as room
    from .diagnose import table as lines

    found = room.inspect(run, table)
    page = report.write_inspection(run, found)
    print(json.dumps({**found, "page": str(page)}) if json_ else f"{lines(found)}\n\npage: {page}")


@app.command()
def info(json_: AsJson = False, debug: Debug = False) -> None:
    """Say what is installed, which kernels run, and why."""
    from .run import info as room

    found = room.everything()
    if json_:
        print(json.dumps(found))
        return
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name}:")
            print("\n".join(f"  {k:<14}{v}" for k, v in value.items()))
        else:
            print(f"{name + ':':<14}{value}")


@app.command()
def datasets(
    name: Annotated[str | None, typer.Argument(help="A data set, to say all about it.", metavar="NAME")] = None,
    out: Annotated[str | None, typer.Option(help="Copy the data set to this file.", metavar="FILE")] = None,
    json_: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the bundled data sets, or describe or copy one."""
    from . import datasets as room
    from .files import write_atomic

    if name is None:
        if out is not None:
            raise OptionError("`out` must come with the name of a data set; got no name. See: liquid datasets.")
        every = [room.about(n) for n in room.names()]
        if json_:
            print(json.dumps({"datasets": every}))
            return
        for about in every:
            print(f"@{about['name']:<16}{about['rows']:>6} rows  {about['licence']:<11}{about['title']}")
        return
    about = room.about(name.removeprefix("@"))
    if out is not None:
        source = Path(about["path"])
        if Path(out).suffix != source.suffix:
            raise OptionError(f"`out` must end in {source.suffix}, the format of {name}; got {out!r}.")
        if Path(out).exists():
            raise OptionError(f"`out` must be a new file; got {out!r}, which exists. Choose another name.")
        write_atomic(out, source.read_bytes())
        about["copied"] = out
    print(json.dumps(about) if json_ else "\n".join(f"{k + ':':<10}{v}" for k, v in about.items()))


def score_table(scores: Sequence[dict[str, Any]]) -> str:
    """Return the scores as lines of text, the network first, the best of them marked with `*`."""
    metric = scores[0]["metric"]
    best = (max if metric == "accuracy" else min)(s["score"] for s in scores)
    rows = [("", "model", metric, "95 % interval", "parameters", "seconds", "")]
    for s in scores:
        interval = f"{_number(s['low'], metric)} .. {_number(s['high'], metric)}"
        count = "" if s["parameters"] is None else f"{s['parameters']:,}"
        mark = "*" if s["score"] == best else ""
        rows.append(
            (mark, s["model"], _number(s["score"], metric), interval, count, f"{s['seconds']:.1f}", s["detail"])
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    left = (0, 1, 6)
    lines = [
        "  ".join(c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _number(value: float, metric: str) -> str:
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.5g}"
