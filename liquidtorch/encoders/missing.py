"""Raw numbers to what a body reads: scaled, with gaps filled and marked, categories spread over channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..cells import Spec
from ..errors import OptionError, check_choice, check_range, check_shape
from .encoder import Encoder, Numbers, inside, spread


class Memory(NamedTuple):
    """What `MissingAware` remembers of each feature."""

    value: Tensor  # (B, F) the value last seen
    age: Tensor  # (B, F) time since then


class MissingAware(Encoder):
    """Carry the last value over gaps, say where the gaps are and how old the value is, spread categories.

    z = [(last - mean) / scale for each number | one of K for each category | seen | log1p(age / median_dt)]

    with the last two only for the features said to be `missing`. Before the first observation `last` is the mean of
    the training data. A category that is missing or unknown is 0 in all its channels; it is not carried.

    Parameters
    ----------
    features : sequence of {"name", "kind", "vocabulary"}
        What each column is, "numeric" or "category" (as `Feature.to_json` says it).
    mean, scale : (F,) floats, `scale` above 0
        In the unit of each feature, kept with the weights; not used for categories.
    missing : (F,) booleans
        The features that had gaps in the training data; only these get channels for it.
    median_dt : float, above 0
        The usual dt: the unit of age.

    Raises
    ------
    OptionError
        When the lists do not fit each other or a kind is unknown.
    ShapeError
        When x, dt, lengths or reset do not fit.

    Notes
    -----
    All times at once: the last row seen is a running maximum over row numbers. A gap in a feature that had none in
    the training data is filled but not marked. The state is the last value and its age, 2 F numbers a row.

    Examples
    --------
    >>> encoder = MissingAware([{"name": "a", "kind": "numeric", "vocabulary": []}], [0.0], [1.0], [True])
    >>> z, e = encoder(torch.tensor([[[3.0], [float("nan")]]]))
    >>> z[0, :, :2].tolist(), e.age.item()
    ([[3.0, 1.0], [3.0, 0.0]], 1.0)
    """

    median_dt: Tensor
    State = Memory

    def __init__(
        self,
        features: Sequence[Mapping[str, Any]],
        mean: Numbers,
        scale: Numbers,
        missing: Sequence[bool],
        *,
        median_dt: float = 1.0,
    ) -> None:
        super().__init__(mean, scale)
        check_range("median_dt", median_dt, 0, open_low=True)
        for name, given in (("features", features), ("missing", missing)):
            if len(given) != self.features:
                raise OptionError(f"`{name}` must have an entry for each of {self.features} means; got {len(given)}.")
        for feature in features:
            check_choice("kind", feature["kind"], ("numeric", "category"))
        self.register_buffer("median_dt", torch.tensor(float(median_dt), dtype=self.mean.dtype))
        self.columns = tuple(dict(f) for f in features)
        self.missing = tuple(bool(m) for m in missing)
        self._numeric = [i for i, f in enumerate(self.columns) if f["kind"] == "numeric"]
        self._classes = {i: len(f["vocabulary"]) for i, f in enumerate(self.columns) if f["kind"] == "category"}
        self._marked = [i for i, m in enumerate(self.missing) if m]
        self.outputs = len(self._numeric) + sum(self._classes.values()) + 2 * len(self._marked)

    def filled(
        self,
        x: Tensor,
        e: Any = None,
        *,
        dt: Tensor | float = 1.0,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Memory]:
        """Encode, and return beside z the values carried over the gaps (B,T,F): (z, values, e)."""
        B, T = self._checked(x)
        fresh = self.initial(B)
        e = fresh if e is None else Memory(*e)
        seen = ~torch.isnan(x)
        values, age = self._carry(x, seen, e, spread(dt, B, T, x), reset, fresh)
        z = self._channels(x, seen, values, age)
        end = torch.full((B,), T, device=x.device) if lengths is None else lengths
        at = end.to(torch.int64).view(B, 1, 1).expand(B, 1, self.features)
        last = Memory(
            torch.cat([e.value[:, None], values], 1).gather(1, at)[:, 0],
            torch.cat([e.age[:, None], age], 1).gather(1, at)[:, 0],
        )
        if lengths is not None:
            live = inside(lengths, T)
            z, values = torch.where(live, z, 0.0), torch.where(live, values, 0.0)
        return z, values, last

    def _carry(
        self, x: Tensor, seen: Tensor, e: Memory, dt: Tensor, reset: Tensor | None, fresh: Memory
    ) -> tuple[Tensor, Tensor]:
        """Return the last value seen and its age (B,T,F) at every step."""
        B, T = dt.shape
        step = torch.arange(T, device=x.device)
        last = torch.where(seen, step.view(1, T, 1), -1).cummax(1).values
        clock = dt.cumsum(1)
        known, start = last >= 0, torch.zeros_like(clock)  # start: the clock where the memory in `e` was as it was
        value, age = e.value[:, None], e.age[:, None]
        if reset is not None:
            check_shape("reset", reset.shape, ("batch", "time"), batch=B, time=T)
            anew = torch.where(reset, step, -1).cummax(1).values
            known = known & (last >= anew[..., None])
            start = torch.where(anew >= 0, (clock - dt).gather(1, anew.clamp(min=0)), 0.0)
            forgot = (anew >= 0)[..., None]
            value = torch.where(forgot, fresh.value[:, None], value)
            age = torch.where(forgot, fresh.age[:, None], age)
        at = last.clamp(min=0)
        clock, start = clock[..., None], start[..., None]
        values = torch.where(known, torch.where(seen, x, 0.0).gather(1, at), value)
        since = clock.expand(B, T, self.features)
        return values, torch.where(known, since - since.gather(1, at), age + (clock - start))

    def _channels(self, x: Tensor, seen: Tensor, values: Tensor, age: Tensor) -> Tensor:
        parts = [((values - self.mean) / self.scale)[..., self._numeric]]
        for i, classes in self._classes.items():
            parts.append((x[..., i : i + 1] == torch.arange(classes, device=x.device)).to(x.dtype))
        if self._marked:
            parts.append(seen[..., self._marked].to(x.dtype))
            parts.append(torch.log1p(age[..., self._marked] / self.median_dt))
        return torch.cat(parts, -1)

    def state_spec(self) -> tuple[Spec, ...]:
        """Describe the value last seen of each feature, and its age."""
        return (Spec("value", self.features, -math.inf, math.inf), Spec("age", self.features, 0.0, math.inf))

    def initial(self, batch: int) -> Memory:
        """Return the state before the first row: the means, of age 0 (-1, no class, for categories)."""
        unseen = self.mean.clone()
        unseen[list(self._classes)] = -1.0
        return Memory(unseen.expand(batch, -1), torch.zeros_like(self.mean).expand(batch, -1))

    def scale_time(self, c: float) -> None:
        """Change, in place, to a unit of time in which every dt is c times larger."""
        check_range("c", c, 0, open_low=True)
        self.median_dt *= c

    def config(self) -> dict[str, Any]:
        """Return what `build` makes an equal encoder from, as plain JSON."""
        scaling = {"mean": self.mean.tolist(), "scale": self.scale.tolist(), "median_dt": self.median_dt.item()}
        return {"kind": "MissingAware", "features": list(self.columns), "missing": list(self.missing), **scaling}
