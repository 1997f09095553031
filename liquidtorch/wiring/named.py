"""Every generator by a word, as the command line has it."""

from __future__ import annotations

from pathlib import Path

from ..errors import OptionError, nearest
from .generate import full, random, small_world
from .policy import auto_ncp
from .wiring import Wiring

_NAMED = {  # the option that may follow the colon
    "full": (full, None, None),
    "random": (random, "density", float),
    "small_world": (small_world, "neighbours", int),
    "auto_ncp": (auto_ncp, "density", float),
}


def make(spec: str, units: int, features: int, outputs: int, seed: int = 0) -> Wiring:
    """Make a wiring from a word, as the command line has it.

    Parameters
    ----------
    spec : str
        "full", "random", "random:0.2" (density), "small_world", "small_world:4" (neighbours), "auto_ncp",
        "auto_ncp:0.5" (density), or the path of a JSON file of `Wiring.to_json`.
    units, features, outputs : int
        What the network needs; a wiring from a file must have just these.
    seed : int

    Raises
    ------
    OptionError
        If `spec` is no known word, its number cannot be read, or a file's wiring has other sizes.
    FormatError
        If the file is no wiring.

    Examples
    --------
    >>> make("random:0.1", 20, 3, 2, seed=1).synapses
    40
    """
    if spec.endswith(".json") or Path(spec).is_file():
        found = Wiring.read(spec)
        for name, wanted in (("units", units), ("features", features), ("outputs", outputs)):
            if getattr(found, name) != wanted:
                raise OptionError(
                    f"`wiring` must have {wanted} {name}; got {getattr(found, name)} ({spec}). "
                    f"Ask for {getattr(found, name)} {name}, or another wiring."
                )
        return found
    word, colon, number = spec.partition(":")
    if word not in _NAMED:
        raise OptionError(
            f"`wiring` must be one of {', '.join(map(repr, _NAMED))} or a JSON file; got {spec!r}."
            f"{nearest(word, _NAMED)}"
        )
    generator, option, kind = _NAMED[word]
    options = {}
    if colon:
        if option is None:
            raise OptionError(f"`wiring` must be {word!r} without a number; got {spec!r}. Use {word!r}.")
        try:
            options[option] = kind(number)
        except ValueError:
            raise OptionError(
                f"`wiring` must have {'a whole number' if kind is int else 'a number'} for `{option}` after the colon; "
                f"got {spec!r}. Leave it out for the default."
            ) from None
    return generator(units, features, outputs, seed=seed, **options)
