"""The one list of options: what `liquid fit` takes, what a config file may hold, what a run's `config.json` keeps."""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OptionError, check_choice, check_range, nearest

TASKS = ("classify", "classify_steps", "regress", "regress_steps", "forecast")
BODIES = ("liquid", "ltc", "cfc", "leaky", "linear", "mobius", "echo", "spiking")
READOUTS = ("linear", "mlp", "ridge", "logistic")


def _option(default: Any, help: str, metavar: str = "") -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "metavar": metavar})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Say everything a run depends on.

    Each field is an option of `liquid fit` (`time_limit` is `--time-limit`), a key of a YAML or TOML file given with
    `--config`, and a line of the run's `config.json`. `None` leaves the choice to the library, which says what it
    chose.

    Parameters
    ----------
    table : str
        CSV, TSV, JSONL, Parquet or Arrow file, or `@name` of a bundled data set.
    target : tuple of str
        Column(s) to predict; may be empty for a forecast: then every feature.
    series, time : str or None
        Columns that tell the series apart and say when each row was measured.
    features : tuple of str
        Columns the network reads; empty: all the others.
    task : str or None
        One of `classify`, `classify_steps`, `regress`, `regress_steps`, `forecast`.
    horizon : int or None
        Steps ahead of a forecast, from 1.
    quantiles : tuple of float
        Quantiles a forecast also gives, each in (0, 1).
    unit : str
        Unit of time that a date-time column is converted to, and that reports name.
    body : str
        Cell of the network: `liquid`, `ltc`, `cfc`, `leaky`, `linear`, `mobius`; or a fixed random reservoir: `echo`,
        `spiking`.
    encoder : str or None
        Code of spikes between the channels and the body, such as `step_forward`, or `auto`.
    readout : str or None
        `linear` or `mlp`, trained with the body; `ridge` or `logistic`, solved from the states of a body that is not
        trained. Default `mlp`; for a reservoir what is solved.
    units, layers : int
        Neurons a layer and number of layers, from 1.
    wiring : str or None
        `full`, `random:0.2`, `small_world:4`, `auto_ncp`, or a JSON file.
    plasticity : str or None
        `rewire`: while the network is trained, its weakest synapses go to where the loss asks for new ones; as in
        `train.Config`. Only with a sparse `wiring`.
    test : str or None
        A table of its own to test on; otherwise a part of `table` is split off.
    split : str
        Cut by whole `series`, by `time` within each series, or `auto`.
    valid_part, test_part : float
        Fractions of the data for early stopping and for the scores, in (0, 0.5].
    epochs, patience : int
        Most passes over the data, and passes without improvement before stopping.
    batch : int or None
        Series or windows of one training step.
    window, tbptt : int or None
        Rows of a training window, and of backpropagation before the state is carried on; as in `train.Config`.
    lr : float
        Highest learning rate.
    seed : int
        Fixes the split, the first weights, the order of the batches, everything.
    time_limit : float or None
        Seconds the whole fit may take, the baselines included.
    device : str
        `cpu`, `cuda`, `cuda:1`, ..., or `auto`.
    out : str or None
        The run's folder, made by the run.

    Examples
    --------
    >>> options = Options(table="rooms.csv", target=("Occupancy",), time="date")
    >>> options.units
    64
    """

    table: str = _option("", "CSV, TSV, JSONL, Parquet or Arrow file, or @NAME of a bundled one.", "TABLE")
    target: tuple[str, ...] = _option((), "Column(s) to predict, commas between; forecasts: default all.", "COLUMN")
    series: str | None = _option(None, "Column that tells the series apart.", "COLUMN")
    time: str | None = _option(None, "Column that says when each row was measured.", "COLUMN")
    features: tuple[str, ...] = _option((), "Columns the network reads, commas between; default all others.", "COLUMNS")
    task: str | None = _option(None, f"One of {', '.join(TASKS)}; default inferred.", "TASK")
    horizon: int | None = _option(None, "Steps ahead of a forecast; default 1.", "N")
    quantiles: tuple[float, ...] = _option((), "Quantiles a forecast also gives, such as 0.1,0.9.", "NUMBERS")
    unit: str = _option("s", "Unit of time: date-times are converted to it.", "UNIT")
    body: str = _option("liquid", f"Cell of the network: {', '.join(BODIES)}.", "CELL")
    encoder: str | None = _option(None, "Code of spikes before the body: step_forward, sigma_delta, ..., auto.", "CODE")
    readout: str | None = _option(None, f"One of {', '.join(READOUTS)}; default mlp, or solved.", "READOUT")
    units: int = _option(64, "Neurons of a layer.", "N")
    layers: int = _option(1, "Layers, one upon the other.", "N")
    wiring: str | None = _option(None, "full, random:0.2, small_world:4, auto_ncp, or a JSON file.", "SPEC")
    plasticity: str | None = _option(None, "rewire: weak synapses move while it is trained; needs a wiring.", "HOW")
    test: str | None = _option(None, "Table of its own to test on; otherwise a part of TABLE is split off.", "FILE")
    split: str = _option("auto", "How to split: series, time, or auto.", "HOW")
    valid_part: float = _option(0.15, "Fraction of the data for early stopping.", "PART")
    test_part: float = _option(0.2, "Fraction of the data for the scores.", "PART")
    epochs: int = _option(100, "Most passes over the data.", "N")
    patience: int = _option(15, "Passes without improvement before stopping.", "N")
    batch: int | None = _option(None, "Series or windows of one training step; default as the data need.", "N")
    window: int | None = _option(None, "Rows of a training window; default whole series up to 128 rows, else 64.", "N")
    tbptt: int | None = _option(None, "Rows of backpropagation before the state is carried on; default all.", "N")
    lr: float = _option(1e-2, "Highest learning rate.", "RATE")
    seed: int = _option(0, "One number fixes split, weights and order.", "N")
    time_limit: float | None = _option(None, "Seconds the whole fit may take, baselines included.", "SECONDS")
    device: str = _option("auto", "cpu, cuda, cuda:1, ..., or auto.", "DEVICE")
    out: str | None = _option(None, "Folder of the run; default runs/<table>-<k>.", "FOLDER")

    def __post_init__(self) -> None:
        if not self.table:
            raise OptionError("`table` must be a file or the name of a bundled data set; got ''. Name a table.")
        if self.task is not None:
            check_choice("task", self.task, TASKS)
        check_choice("body", self.body, BODIES)
        if self.readout is not None:
            check_choice("readout", self.readout, READOUTS)
        if self.plasticity is not None:
            check_choice("plasticity", self.plasticity, ("rewire",))
            if self.wiring is None:
                raise OptionError(
                    f"`wiring` must be given with plasticity={self.plasticity!r}; got None (every synapse exists). "
                    "Use a sparse one, such as random:0.2."
                )
        check_choice("split", self.split, ("auto", "series", "time"))
        for name in ("units", "layers", "epochs", "patience", "horizon", "batch", "window", "tbptt"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_range(name, getattr(self, name), 1, whole=True))
        object.__setattr__(self, "seed", check_range("seed", self.seed, 0, 2**31 - 1, whole=True))
        for name in ("valid_part", "test_part"):
            check_range(name, getattr(self, name), 0, 0.5, open_low=True)
        for name in ("lr", "time_limit"):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 0, open_low=True)
        for q in self.quantiles:
            if not 0 < q < 1:
                raise OptionError(f"`quantiles` must be numbers between 0 and 1; got {q:g}. The median is 0.5.")
        if len(set(self.target)) < len(self.target):
            raise OptionError(f"`target` must name different columns; got {', '.join(self.target)}.")
        role = {self.series: "series", self.time: "time"}
        for name in (*self.target, *self.features):
            if name in role:
                raise OptionError(
                    f"`target` and `features` must be other columns than `{role[name]}`; got {name!r} for both."
                )
        if self.series is not None and self.series == self.time:
            raise OptionError(f"`series` and `time` must be different columns; got {self.series!r} for both.")

    def to_json(self) -> dict[str, Any]:
        """Return every option as plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}


Kind = typing.TypeVar("Kind")


def resolve(given: Mapping[str, Any], config: str | os.PathLike[str] | None = None, kind: type[Kind] = Options) -> Kind:
    """Put options together: defaults, then the keys of the `config` file, then what is `given` and not None.

    Parameters
    ----------
    given : mapping
        Option names and values; a text is read as the option's type (`"0.1,0.9"` becomes two numbers).
    config : path or None
        A `.yaml`, `.yml` or `.toml` file.
    kind : dataclass
        Which options: those of a fit, if nothing else is said.

    Raises
    ------
    OptionError
        For an unknown name (the nearest is offered), a value of the wrong type or range, or an unreadable file.
    """
    named = {k.replace("-", "_"): v for k, v in read_config(config).items()} if config is not None else {}
    merged = {**named, **{k: v for k, v in given.items() if v is not None}}
    kinds = field_kinds(kind)
    for name in merged:
        if name not in kinds:
            where = f"`{config}`" if name in named else "options"
            raise OptionError(f"{where} must hold known options; got {name!r}.{nearest(name, kinds)}")
    return kind(**{name: _typed(name, value, kinds[name]) for name, value in merged.items()})


def field_kinds(kind: Any = Options) -> dict[str, str]:
    """Return for each option of a kind one of "text", "whole", "number", "names", "numbers"."""
    plain = {str: "text", int: "whole", float: "number", tuple[str, ...]: "names", tuple[float, ...]: "numbers"}
    hints = typing.get_type_hints(kind)
    kinds = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if typing.get_origin(hint) is types.UnionType:
            hint = typing.get_args(hint)[0]
        kinds[field.name] = plain[hint]
    return kinds


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a YAML or TOML file of options; nothing in it is ever executed."""
    path = Path(path)
    check_choice("config", path.suffix.lower(), (".yaml", ".yml", ".toml"))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise OptionError(f"`config` must be a readable file; got {str(path)!r} ({e}).") from None
    if path.suffix.lower() == ".toml":
        import tomllib

        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as e:
            raise OptionError(f"`config` must be TOML; got {str(path)!r} ({e}).") from None
    else:
        import yaml

        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as e:
            raise OptionError(f"`config` must be YAML; got {str(path)!r} ({' '.join(str(e).split())}).") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise OptionError(f"`config` must hold `option: value` pairs; got a {type(found).__name__} in {str(path)!r}.")
    return {str(k): v for k, v in found.items()}


def _typed(name: str, value: Any, kind: str) -> Any:
    """Read `value` as the option's type, without guessing: 3.5 is not a whole number, true is not a number."""
    if value is None:
        return None
    if kind in ("names", "numbers"):
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
        one = "text" if kind == "names" else "number"
        parts = [p.strip() if isinstance(p, str) else p for p in parts]
        return tuple(_typed(name, p, one) for p in parts if p != "")
    wanted = {"text": "a text", "whole": "a whole number", "number": "a number"}[kind]
    wrong = OptionError(f"`{name}` must be {wanted}; got {value!r}.")
    if kind == "text":
        if isinstance(value, str):
            return value
        raise wrong
    if isinstance(value, str):
        try:
            return int(value) if kind == "whole" else float(value)
        except ValueError:
            raise wrong from None
    if isinstance(value, bool) or not isinstance(value, int if kind == "whole" else (int, float)):
        raise wrong
    return value if kind == "whole" else float(value)
