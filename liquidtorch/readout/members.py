"""What readouts have in common that are made of several, each of which sees z, or what z has from some column on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from .kept import Kept, Option


class Members(Kept):
    """Several readouts with the same outputs.

    Attributes
    ----------
    members : ModuleList of readouts
        The first sees all of z.
    firsts : tuple of int
        The first column of z that each of them sees.
    memory : float, at least 1
        The rows over which their errors count.
    """

    memory = Option(0)
    members: Any
    firsts: tuple[int, ...]

    @property
    def features(self) -> int:
        """The width of z."""
        return self.members[0].features

    @property
    def outputs(self) -> int:
        """The width of the answer."""
        return self.members[0].outputs

    @property
    def live(self) -> Tensor:
        """The open slots, (F,)."""
        return self.members[0].live

    def pairs(self) -> Iterator[tuple[int, Any]]:
        """Give the first column each member sees, and the member."""
        return zip(self.firsts, self.members, strict=True)

    def open(self, j: int) -> None:
        """Let every member that may see slot j see it, with weights of 0: no answer changes."""
        self._each("open", j)

    def close(self, j: int) -> None:
        """Take the feature of slot j away from every member; the others take over what they can tell of it."""
        self._each("close", j)

    def split(self, j: int, k: int, share: float) -> None:
        """Give the closed slot k `share` of the weight of j, and j the rest; a member sees both of them, or neither."""
        for first, member in self.pairs():
            if min(j, k) >= first:
                member.split(j - first, k - first, share)

    def widen(self, features: int) -> None:
        """Make room for more features, in closed slots at the end; no answer changes."""
        for first, member in self.pairs():
            member.widen(features - first)

    def loosen(self, share: float = 1.0) -> None:
        """Forget how sure the weights are, not the weights, in the members that have a covariance."""
        for member in self.members:
            if hasattr(member, "loosen"):
                member.loosen(share)

    def _each(self, change: str, j: int) -> None:
        for first, member in self.pairs():
            if j >= first:
                getattr(member, change)(j - first)
