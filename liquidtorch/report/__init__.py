"""Offline HTML pages about a run: how good it is beside the baselines, and how its body behaves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from .. import record
from ..errors import FormatError
from ..files import read_json, write_atomic
from . import facts, inspection, pictures, verdict

__all__ = ["page", "write", "write_inspection"]

_HERE = Path(__file__).parent


def write(run_folder: str | os.PathLike[str]) -> Path:
    """Write `report.html` of a run from its `record.jsonl` (and `config.json`, where there is one).

    Parameters
    ----------
    run_folder : path
        The folder of a run: finished, interrupted, or still running.

    Returns
    -------
    Path
        The page, whole and below 300 kB: no script, no font and no picture from anywhere else.

    Raises
    ------
    FormatError
        If the folder has no record, or one that a newer liquidtorch wrote, or an empty one.

    Notes
    -----
    The same record gives the same bytes. Needs no torch and takes well under a second; long series are thinned to the
    extremes of each column of pixels, and of many targets or classes the page shows the first or commonest and says
    how many there are.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from liquidtorch.record import Record
    >>> run = pathlib.Path(tempfile.mkdtemp())
    >>> Record(run / "record.jsonl").write("epoch", epoch=1, train_loss=0.5, valid_loss=0.6)
    >>> write(run).name
    'report.html'
    """
    folder = Path(run_folder)
    lines = record.read(folder / "record.jsonl")
    if not lines:
        raise FormatError(f"`{folder / 'record.jsonl'}` must hold the lines of a run; got none. Start the run again.")
    config = read_json(folder / "config.json", "a run") if (folder / "config.json").exists() else {}
    path = folder / "report.html"
    write_atomic(path, page(lines, config, folder.resolve().name))
    return path


def write_inspection(run_folder: str | os.PathLike[str], found: dict[str, Any]) -> Path:
    """Write `inspect.html` beside a run from the measures that `run.inspect` took of its body.

    Parameters
    ----------
    run_folder : path
        The folder of a run, or of a saved model; it must exist.
    found : dict
        What `run.inspect` or `diagnose.inspect` returned; what it lacks is said to be absent.

    Returns
    -------
    Path
        The page: no script, no font and no picture from anywhere else. An older one is replaced, at once and whole.

    Raises
    ------
    FormatError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> write_inspection(tempfile.mkdtemp(), {"layer": "Recurrent", "features": 3, "outputs": 8}).name
    'inspect.html'
    """
    folder = Path(run_folder)
    if not folder.is_dir():
        raise FormatError(f"`{folder}` must be the folder of a run; there is no such folder.")
    path = folder / "inspect.html"
    page = _rendered(
        "inspect.html.jinja",
        name=folder.resolve().name,
        lead=inspection.lead(found),
        tiles=inspection.tiles(found),
        sections=inspection.sections(found),
        numbers=inspection.numbers(found),
    )
    write_atomic(path, page)
    return path


def page(lines: Sequence[dict[str, Any]], config: dict[str, Any], name: str) -> str:
    """Return the HTML of a run called `name` from the lines of its record and its configuration."""
    task, table = facts.last(lines, "task"), verdict.score_table(lines)
    panels, panel_count = pictures.examples(lines)
    matrices, matrix_count = pictures.confusions(lines)
    return _rendered(
        "page.html.jinja",
        name=name,
        task=facts.task_text(task),
        reason=str(task.get("reason") or "").replace("`", ""),
        begun=str(lines[0].get("time") or "")[:16].replace("T", " "),
        version=str(facts.last(lines, "run").get("version") or ""),
        verdict=verdict.verdict(lines),
        tiles=verdict.tiles(lines, table),
        table=table,
        by_target=verdict.by_target(lines),
        score_picture=pictures.score_picture(table),
        card=facts.data_card(lines),
        dt_picture=pictures.dt_picture(lines),
        curves=pictures.curves(lines),
        panels=panels,
        panel_count=panel_count,
        matrices=matrices,
        matrix_count=matrix_count,
        residuals=pictures.residuals(lines),
        taus=pictures.time_constants(lines),
        wiring=pictures.wiring_picture(lines),
        events=facts.events(lines),
        settings=facts.settings(lines, config),
    )


def _rendered(template: str, **parts: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(style=style, **parts)
