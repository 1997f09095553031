"""A run's folder: which one, what stands in it from the start, and what must still hold when it is resumed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import __version__, datasets
from ..data import read_table
from ..errors import DataError, FormatError, OptionError, check_choice
from ..files import read_json
from ..record import SCHEMA
from .options import Options, resolve

RESUMABLE = ("out", "time_limit", "device")  # options that may be said otherwise when a run goes on


@dataclass(frozen=True)
class Table:
    """A table on disk: what was asked for, where it lies, what it held."""

    name: str
    path: Path
    digest: str

    def read(self) -> Any:
        """Return it as a polars.DataFrame."""
        return read_table(self.path)


def find_table(name: str, role: str = "table") -> Table:
    """Find `name`, a file or `@name` of a bundled data set, and take its fingerprint."""
    if name.startswith("@"):
        check_choice(role, name, [f"@{known}" for known in datasets.names()])
        path = datasets.path(name[1:])
    else:
        path = Path(name)
    digest = ""
    if path.is_file():
        with open(path, "rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
    return Table(name, path, digest)


def choose(options: Options) -> Path:
    """Return the folder of a new run, which must not exist; without `out`, the first free `runs/<table>-<k>`."""
    if options.out is not None:
        out = Path(options.out)
        if os.path.lexists(out):
            way = "Continue it with --resume, or choose" if (out / "config.json").is_file() else "Choose"
            raise OptionError(f"`out` must be a new folder; got {options.out!r}, which exists. {way} another name.")
        return out
    stem = re.sub(r"[^\w.-]+", "-", Path(options.table.removeprefix("@")).name.split(".")[0]) or "table"
    k = 1
    while os.path.lexists(out := Path("runs") / f"{stem}-{k}"):
        k += 1
    return out


def config_json(options: Options, tables: Mapping[str, Table]) -> dict[str, Any]:
    """Return what `config.json` of a run holds."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "options": options.to_json(),
        "tables": {role: {"path": str(t.path.resolve()), "sha256": t.digest} for role, t in tables.items()},
    }


def reopen(out: Path, given: Mapping[str, Any]) -> tuple[Options, dict[str, Table]]:
    """Return the options and tables of the run in `out`; refuse other options and changed tables."""
    saved = read_json(out / "config.json", "a run")
    if saved.get("schema", 0) > SCHEMA:
        raise FormatError(
            f"`{out}` must be a run of schema {SCHEMA} or older; got {saved['schema']}. Install a newer liquidtorch."
        )
    was = saved["options"]
    said = resolve({"table": was["table"], **given}).to_json()
    for name in given:
        if name not in RESUMABLE and said[name] != was.get(name):
            raise OptionError(
                f"`{name}` must be {_shown(was.get(name))}, as when the run began; got {_shown(said[name])}. "
                "Leave it out, or start a new run."
            )
    merged = {**was, **{k: said[k] for k in RESUMABLE if k in given}, "out": str(out)}
    tables = {}
    for role, known in saved["tables"].items():
        table = find_table(was[role] if was[role].startswith("@") else known["path"])
        if table.digest != known["sha256"]:
            found = "it has changed" if table.digest else "there is no such file"
            raise DataError(f"`{known['path']}` must be the table the run began with; {found}. Start a new run.")
        tables[role] = Table(was[role], table.path, table.digest)
    return resolve(merged), tables


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def environment() -> dict[str, Any]:
    """Return what the results may depend on beside the options."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
    }


def _cpu() -> str:
    about = Path("/proc/cpuinfo")
    if about.is_file():
        found = re.search(r"model name\s*:\s*(.+)", about.read_text())
        if found:
            return found.group(1)
    return platform.processor() or platform.machine()
