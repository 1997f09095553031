"""A bar with the losses while a network is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def epochs_shown(total: int, done: int, wanted: bool) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Yield a function that shows the line of an epoch, if it is wanted and standard error is a terminal."""
    if not wanted:
        yield lambda line: None
        return
    from rich.console import Console  # opened only when something is shown
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda line: None
        return
    columns = (
        TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        row = bar.add_task("", total=total, completed=done)

        def shown(line: Mapping[str, float]) -> None:
            text = f"train {line['train_loss']:.4g}  valid {line['valid_loss']:.4g}"
            bar.update(row, completed=line["epoch"], description=text)

        yield shown
