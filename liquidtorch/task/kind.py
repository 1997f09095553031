"""The five questions that can be asked of sequences, and which one a table asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.sequences import Feature, Sequences
from ..errors import DataError, OptionError, check_choice, check_range

KINDS = ("classify", "classify_steps", "regress", "regress_steps", "forecast")


@dataclass(frozen=True)
class Task:
    """Say what is asked of the sequences.

    Parameters
    ----------
    kind : "classify", "classify_steps", "regress", "regress_steps" or "forecast"
        A class or a number, for the series or at each step; or the coming values.
    targets : tuple of str
        The names of the targets, O of them.
    classes : tuple of tuples
        The classes of each target in the order of their codes; empty where numbers are asked for.
    horizon : int, at least 1
        H, the steps to look ahead (forecast only).
    quantiles : tuple of float in (0, 1), increasing
        The quantiles to foretell beside the point (forecast only).

    Examples
    --------
    >>> Task("classify", ("y",), (("cat", "dog", "eel"),)).outputs
    3
    >>> Task("forecast", ("a", "b"), horizon=5, quantiles=(0.1, 0.9)).outputs
    30
    """

    kind: str
    targets: tuple[str, ...]
    classes: tuple[tuple[Any, ...], ...] = ()
    horizon: int = 1
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        object.__setattr__(self, "horizon", check_range("horizon", self.horizon, 1, whole=True))
        if not self.targets:
            raise OptionError("`targets` must name at least one target; got none.")
        if self.classifies and len(self.classes) != len(self.targets):
            raise OptionError(
                f"`classes` must be given for each of the {len(self.targets)} targets; got {len(self.classes)}."
            )
        if not self.classifies and self.classes:
            raise OptionError(f"`classes` must be empty for {self.kind!r}; got {self.classes!r}.")
        if self.kind != "forecast" and self.horizon != 1:
            raise OptionError(f"`horizon` must be left out for {self.kind!r}; got {self.horizon}. Use kind='forecast'.")
        if self.kind != "forecast" and self.quantiles:
            raise OptionError(f"`quantiles` must be left out for {self.kind!r}; got {list(self.quantiles)}.")
        for q in self.quantiles:
            if not 0 < q < 1:
                raise OptionError(f"`quantiles` must lie between 0 and 1; got {q!r}.")
        if any(b <= a for a, b in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise OptionError(f"`quantiles` must increase; got {list(self.quantiles)}.")

    @property
    def classifies(self) -> bool:
        """Whether classes are asked for."""
        return self.kind in ("classify", "classify_steps")

    @property
    def level(self) -> str:
        """Whether an answer is wanted for each "step" or for the "series"."""
        return "series" if self.kind in ("classify", "regress") else "step"

    @property
    def outputs(self) -> int:
        """The width of a network's answer: sum of class counts, O, or H*O*(1+Q)."""
        if self.classifies:
            return sum(len(c) for c in self.classes)
        if self.kind == "forecast":
            return self.horizon * len(self.targets) * (1 + len(self.quantiles))
        return len(self.targets)

    @property
    def metric(self) -> str:
        """The score that decides: "accuracy" (higher is better) or "rmse" (lower is better)."""
        return "accuracy" if self.classifies else "rmse"

    def better(self, a: float, b: float) -> bool:
        """Return whether the score `a` is better than `b`; a NaN is never better, and anything beats it."""
        if np.isnan(a) or np.isnan(b):
            return bool(np.isnan(b) and not np.isnan(a))
        return a > b if self.metric == "accuracy" else a < b

    def check(self, seqs: Sequences, *, learn: bool = True) -> None:
        """Raise `DataError` where these sequences cannot be trained on for this task; `learn=False`: or scored."""
        if seqs.target is None:
            raise DataError(f"`target` must be in the data; the column {self.targets[0]!r} is missing.")
        if seqs.level != self.level:
            raise DataError(f"`target` must belong to the {self.level} for {self.kind!r}; got the {seqs.level}.")
        for j, name in enumerate(self.targets):
            column = seqs.target[:, j]
            if learn and self.classifies and len(np.unique(column)) < 2:
                value = self.classes[j][int(column[0])]
                raise DataError(f"`{name}` must have at least two classes to learn; got only {value!r}.")
            if np.isnan(column).all():
                raise DataError(f"`{name}` must hold a value somewhere; every row is missing.")
        if self.kind == "forecast":
            short = seqs.lengths <= self.horizon
            if short.any():
                i = int(short.argmax())
                raise DataError(
                    f"`horizon` must be below the length of every series; got {self.horizon} and series "
                    f"{seqs.names[i]!s} of {seqs.lengths[i]} rows ({int(short.sum())} such series). "
                    "Use a smaller horizon, or leave these series out."
                )

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON."""
        return {
            "kind": self.kind,
            "targets": list(self.targets),
            "classes": [list(c) for c in self.classes],
            "horizon": self.horizon,
            "quantiles": list(self.quantiles),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Task:
        """Read what `to_json` wrote."""
        return cls(
            found["kind"],
            tuple(found["targets"]),
            tuple(tuple(c) for c in found["classes"]),
            found["horizon"],
            tuple(found["quantiles"]),
        )


def infer(
    seqs: Sequences,
    kind: str | None = None,
    horizon: int | None = None,
    quantiles: Sequence[float] | None = None,
) -> tuple[Task, str]:
    """Return the task the sequences ask for, and the reason in a sentence.

    Classes where the targets are categories, numbers otherwise; for the series where the target belongs to it;
    a forecast where `horizon` or `quantiles` are given.

    Parameters
    ----------
    seqs : Sequences
        The data with its targets.
    kind : str or None
        One of the five kinds, to have it so; None: inferred.
    horizon : int or None
        Steps to look ahead; 1 when a forecast is asked for without it.
    quantiles : sequence of float or None
        Quantiles to foretell beside the point.

    Raises
    ------
    OptionError
        When `kind` does not fit the targets.

    Examples
    --------
    >>> from liquidtorch.data import from_arrays
    >>> task, reason = infer(from_arrays([[1.0, 2.0], [3.0, 4.0]], ["up", "down"]))
    >>> task.kind, reason
    ('classify', '`y` is text, one value a series: a class of 2 for each series')
    """
    if kind is not None:
        check_choice("kind", kind, KINDS)
    if not seqs.targets:
        raise DataError("`targets` must name what is to be learned; the sequences have none.")
    if kind is None and (horizon is not None or quantiles):
        kind, reason = "forecast", "a horizon is given: the coming values are foretold"
    elif kind is None:
        kind, reason = _kind(seqs)
    else:
        reason = f"{kind} was asked for"
    wanted_level = "series" if kind in ("classify", "regress") else "step"
    if seqs.level != wanted_level:
        other = {"classify": "classify_steps", "regress": "regress_steps"}
        way = other.get(kind) or next((k for k, v in other.items() if v == kind), "classify or regress")
        raise OptionError(
            f"`kind` must fit a target of the {seqs.level}; got {kind!r}, which is about the {wanted_level}. "
            f"Use {way!r}, or read the data with level={wanted_level!r}."
        )
    classes = tuple(_classes(f, kind) for f in seqs.targets) if kind.startswith("classify") else ()
    if not classes:
        for feature in seqs.targets:
            _must_be_numbers(feature, kind)
    task = Task(
        kind,
        tuple(f.name for f in seqs.targets),
        classes,
        1 if horizon is None else horizon,
        tuple(float(q) for q in quantiles or ()),
    )
    return task, reason


def _kind(seqs: Sequences) -> tuple[str, str]:
    kinds = {f.kind for f in seqs.targets}
    if len(kinds) > 1:
        raise OptionError(
            f"`targets` must be all classes or all numbers; got {[(f.name, f.kind) for f in seqs.targets]}. "
            "Learn them one at a time, or set target_kind."
        )
    first = seqs.targets[0]
    where = "one value a series" if seqs.level == "series" else "changing from row to row"
    each = "series" if seqs.level == "series" else "step"
    end = "" if seqs.level == "series" else "_steps"
    names = ", ".join(f"`{f.name}`" for f in seqs.targets)
    verb = "is" if len(seqs.targets) == 1 else "are"
    if first.kind == "numeric":
        return "regress" + end, f"{names} {verb} numeric, {where}: a number for each {each}{_maybe_classes(seqs)}"
    what = "text"
    if all(isinstance(v, bool) for v in first.vocabulary):
        what = "true or false"
    elif all(isinstance(v, int) for v in first.vocabulary):
        what = f"whole numbers {first.vocabulary[0]}..{first.vocabulary[-1]}"
    count = ", ".join(str(len(f.vocabulary)) for f in seqs.targets)
    return "classify" + end, f"{names} {verb} {what}, {where}: a class of {count} for each {each}"


def _maybe_classes(seqs: Sequences) -> str:
    """Tell of the other reading where the numbers are few and whole."""
    if seqs.target is None or len(found := np.unique(seqs.target)) > 10 or (found % 1 != 0).any():
        return ""
    return (
        f" (kind='classify{'' if seqs.level == 'series' else '_steps'}' would take its {len(found)} values as classes)"
    )


def _classes(feature: Feature, kind: str) -> tuple[Any, ...]:
    if feature.kind != "category":
        raise OptionError(
            f"`kind` must fit the target; got {kind!r} and `{feature.name}`, read as numbers. "
            "Read the data with target_kind='category'."
        )
    return feature.vocabulary


def _must_be_numbers(feature: Feature, kind: str) -> None:
    """A category passes where its codes are its values."""
    if feature.kind == "category" and list(feature.vocabulary) != list(range(len(feature.vocabulary))):
        raise OptionError(
            f"`kind` must fit the target; got {kind!r} and `{feature.name}`, a class such as "
            f"{feature.vocabulary[0]!r}. Use a classification task, or read the data with target_kind='numeric'."
        )
