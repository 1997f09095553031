"""Wirings by rule: full, random, small world, and neural circuit policies; and all of them by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, check_range, nearest
from .wiring import Wiring

_HIGHEST_SEED = 2**32 - 1


def full(
    units: int, features: int, outputs: int | None = None, *, self_connections: bool = True, seed: int = 0
) -> Wiring:
    """Connect every unit and every feature to every unit; two of three synapses excite.

    Parameters
    ----------
    units, features : int, at least 1
    outputs : int, 1 to `units`, optional
        Motor units; all of them if left out.
    self_connections : bool
        Whether a unit feels itself.
    seed : int, 0 to 2**32-1
        Draws the signs.

    Raises
    ------
    OptionError
        If a size or the seed is out of range.

    Notes
    -----
    Equal, synapse for synapse, to `FullyConnected` of ncps 1.0.1 with the same seed.

    Examples
    --------
    >>> full(4, 2).synapses
    16
    """
    outputs = _sizes(units, features, outputs, seed)
    rng = np.random.default_rng(seed)
    there = np.ones((units, units), bool)
    if not self_connections:
        np.fill_diagonal(there, False)
    recurrent = np.zeros((units, units), np.int8)
    recurrent.T[there] = _polarity(rng, int(there.sum()))  # drawn source by source
    sensory = _polarity(rng, units * features).reshape(features, units).T
    return Wiring(recurrent, sensory, outputs, name="full")


def random(units: int, features: int, outputs: int | None = None, *, density: float = 0.2, seed: int = 0) -> Wiring:
    """Draw a given fraction of all synapses, without replacement; two of three excite.

    Parameters
    ----------
    units, features : int, at least 1
    outputs : int, 1 to `units`, optional
        Motor units; all of them if left out.
    density : float, above 0 to 1
        Fraction of the H*H recurrent and of the H*F sensory synapses that is there, rounded to whole synapses.
    seed : int, 0 to 2**32-1

    Raises
    ------
    OptionError
        If an option is out of range, or `density` leaves no synapse.

    Notes
    -----
    Recurrent synapses equal those of `Random(sparsity_level=1-density)` of ncps 1.0.1 with the same seed; sensory
    ones agree with it in distribution. A unit may end up without any input.

    Examples
    --------
    >>> random(10, 3, density=0.2).synapses
    20
    """
    outputs = _sizes(units, features, outputs, seed)
    check_range("density", density, 0.0, 1.0, open_low=True)
    rng = np.random.default_rng(seed)
    matrices = []
    for sources in (units, features):
        count = int(np.round(sources * units * density))
        if not count:
            raise OptionError(
                f"`density` must leave at least one of {sources * units} synapses; got {density!r}. "
                f"Use at least {1 / (sources * units):.2g}."
            )
        flat = np.zeros(sources * units, np.int8)
        chosen = rng.choice(sources * units, size=count, replace=False)
        flat[chosen] = _polarity(rng, count)
        matrices.append(flat.reshape(sources, units).T)
    recurrent, sensory = matrices
    return Wiring(recurrent, sensory, outputs, name="random")


def small_world(
    units: int,
    features: int,
    outputs: int | None = None,
    *,
    neighbours: int = 4,
    rewiring: float = 0.1,
    seed: int = 0,
) -> Wiring:
    """Put the units on a ring, let each feel its nearest neighbours, and move a few synapses anywhere.

    Parameters
    ----------
    units : int, above `neighbours`
    features : int, at least 1
        Every feature reaches every unit.
    outputs : int, 1 to `units`, optional
        Motor units, evenly spaced on the ring; all units if left out.
    neighbours : int, even, 2 to units-1
        How many units each unit feels.
    rewiring : float, 0 to 1
        The chance that a synapse gets a source drawn from all units instead.
    seed : int, 0 to 2**32-1

    Raises
    ------
    OptionError
        If an option is out of range, or `neighbours` is odd or too many.

    Notes
    -----
    Every unit keeps exactly `neighbours` sources, never itself and none twice. Two of three synapses excite.

    Source
    ------
    Watts and Strogatz, Nature 393, 440 (1998), figure 1; here each of the two directions is rewired for itself.

    Examples
    --------
    >>> small_world(10, 1, neighbours=2, rewiring=0.0).synapses
    20
    """
    outputs = _sizes(units, features, outputs, seed)
    check_range("neighbours", neighbours, 2, whole=True)
    if neighbours % 2 or neighbours >= units:
        why = "odd" if neighbours % 2 else f"{units - 1} others are there"
        raise OptionError(
            f"`neighbours` must be even and below the number of units, {units}; got {neighbours} ({why}). "
            "Use 2 or 4, or more units."
        )
    check_range("rewiring", rewiring, 0.0, 1.0)
    rng = np.random.default_rng(seed)
    ring = np.zeros((units, units), bool)
    steps = [step for half in range(1, neighbours // 2 + 1) for step in (-half, half)]
    for to in range(units):
        for step in steps:
            ring[to, (to + step) % units] = True
    for to, source in np.argwhere(ring):
        if rng.random() < rewiring:
            free = np.flatnonzero(~ring[to])
            free = free[free != to]
            if len(free):
                ring[to, source] = False
                ring[to, rng.choice(free)] = True
    recurrent = np.zeros((units, units), np.int8)
    recurrent[ring] = _polarity(rng, units * neighbours)
    motor = np.arange(outputs) * units // outputs
    order = np.concatenate([motor, np.setdiff1d(np.arange(units), motor)])
    sensory = _polarity(rng, units * features).reshape(units, features)
    return Wiring(recurrent[np.ix_(order, order)], sensory, outputs, name="small_world")


def ncp(
    inter: int,
    command: int,
    motor: int,
    features: int,
    *,
    sensory_fanout: int,
    inter_fanout: int,
    recurrent_command: int,
    motor_fanin: int,
    seed: int = 0,
) -> Wiring:
    """Wire a neural circuit policy: features -> inter -> command (recurrent) -> motor units.

    Parameters
    ----------
    inter, command, motor : int, at least 1
        Units of each kind. They are numbered motor, command, inter.
    features : int, at least 1
    sensory_fanout : int, 1 to `inter`
        Inter units that each feature reaches.
    inter_fanout : int, 1 to `command`
        Command units that each inter unit reaches.
    recurrent_command : int, at least 0
        Synapses drawn among the command units, with replacement: those drawn twice are one.
    motor_fanin : int, 1 to `command`
        Command units that each motor unit feels.
    seed : int, 0 to 2**32-1

    Raises
    ------
    OptionError
        If a size is out of range or a fan does not fit the units it reaches.

    Notes
    -----
    Inter and command units that nothing reached, and command units that reached no motor unit, then get about the
    mean number of synapses. Either sign is equally likely. Equal, synapse for synapse, to `NCP` of ncps 1.0.1 with
    the same seed.

    Source
    ------
    Lechner et al., Nature Machine Intelligence 2, 642 (2020), "neural circuit policies", steps 1 to 4.

    Examples
    --------
    >>> ncp(6, 4, 2, 3, sensory_fanout=2, inter_fanout=2, recurrent_command=3, motor_fanin=2).roles[:3]
    ('motor', 'motor', 'command')
    """
    for name, value in (("inter", inter), ("command", command), ("motor", motor), ("features", features)):
        check_range(name, value, 1, whole=True)
    check_range("recurrent_command", recurrent_command, 0, whole=True)
    check_range("seed", seed, 0, _HIGHEST_SEED, whole=True)
    for name, value, kind, count in (
        ("sensory_fanout", sensory_fanout, "inter", inter),
        ("inter_fanout", inter_fanout, "command", command),
        ("motor_fanin", motor_fanin, "command", command),
    ):
        check_range(name, value, 1, whole=True)
        if value > count:
            raise OptionError(
                f"`{name}` must be at most `{kind}`, {count}; got {value} (more synapses than {kind} units). "
                f"Lower it, or raise `{kind}`."
            )
    rng = np.random.RandomState(seed)  # its stream is frozen by numpy: a seed means the same wiring for ever
    motors, commands = np.arange(motor), np.arange(motor, motor + command)
    inters = np.arange(motor + command, motor + command + inter)
    units = motor + command + inter
    recurrent, sensory = np.zeros((units, units), np.int8), np.zeros((units, features), np.int8)

    _fan(rng, sensory, np.arange(features), inters, sensory_fanout)
    mean = features * sensory_fanout // inter
    _reach(rng, sensory, inters, np.arange(features), min(max(mean, 1), features))

    _fan(rng, recurrent, inters, commands, inter_fanout)
    mean = inter * inter_fanout // command
    # capped by the command units, as in ncps: an equal seed must give an equal wiring
    _reach(rng, recurrent, commands, inters, min(max(mean, 1), command))

    for _ in range(recurrent_command):
        source, to = rng.choice(commands), rng.choice(commands)
        recurrent[to, source] = rng.choice([-1, 1])

    _fan(rng, recurrent.T, motors, commands, motor_fanin)
    mean = motor * motor_fanin // command
    _reach(rng, recurrent[:motor].T, commands, motors, min(max(mean, 1), motor))
    roles = ["motor"] * motor + ["command"] * command + ["inter"] * inter
    return Wiring(recurrent, sensory, motor, roles, name="ncp")


def auto_ncp(units: int, features: int, outputs: int, *, density: float = 0.5, seed: int = 0) -> Wiring:
    """Wire a neural circuit policy from its size alone.

    Parameters
    ----------
    units : int, at least `outputs` + 3
    features, outputs : int, at least 1
    density : float, above 0 to 1
        Fraction of the units of the next kind that a feature or a unit reaches.
    seed : int, 0 to 2**32-1

    Raises
    ------
    OptionError
        If an option is out of range or too few units are left beside the motor units.

    Notes
    -----
    Two fifths of the units that are not motor units are command units. Equal, synapse for synapse, to
    `AutoNCP(sparsity_level=1-density)` of ncps 1.0.1 with the same seed.

    Examples
    --------
    >>> auto_ncp(16, 8, 4)
    Wiring('auto_ncp', units=16, features=8, outputs=4, synapses=30, sensory_synapses=32)
    """
    _sizes(units, features, 1, seed)
    check_range("outputs", outputs, 1, whole=True)
    check_range("density", density, 0.0, 1.0, open_low=True)
    if outputs > units - 3:
        raise OptionError(
            f"`outputs` must leave at least 3 of {units} units for the inter and command units; got {outputs}. "
            f"Use at least {outputs + 3} units, or the wiring 'full'."
        )
    command = max(int(0.4 * (units - outputs)), 1)
    inter = units - outputs - command
    wired = ncp(
        inter,
        command,
        outputs,
        features,
        sensory_fanout=max(int(inter * density), 1),
        inter_fanout=max(int(command * density), 1),
        recurrent_command=max(int(command * density * 2), 1),
        motor_fanin=max(int(command * density), 1),
        seed=seed,
    )
    return Wiring(wired.recurrent, wired.sensory, outputs, wired.roles, name="auto_ncp")


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


def _sizes(units: int, features: int, outputs: int | None, seed: int) -> int:
    """Check the sizes and return how many units are motor units."""
    check_range("units", units, 1, whole=True)
    check_range("features", features, 1, whole=True)
    check_range("seed", seed, 0, _HIGHEST_SEED, whole=True)
    if outputs is None:
        return units
    check_range("outputs", outputs, 1, units, whole=True)
    return outputs


def _polarity(rng: np.random.Generator, count: int) -> NDArray[np.int8]:
    return rng.choice([-1, 1, 1], size=count).astype(np.int8)


def _fan(rng: np.random.RandomState, matrix: NDArray, sources: NDArray, targets: NDArray, count: int) -> None:
    """Give each of `sources` a synapse to `count` of `targets`; `matrix` is (target, source)."""
    for source in sources:
        for to in rng.choice(targets, size=count, replace=False):
            matrix[to, source] = rng.choice([-1, 1])


def _reach(rng: np.random.RandomState, matrix: NDArray, rows: NDArray, sources: NDArray, count: int) -> None:
    """Give each of `rows` that has no synapse from `sources` yet `count` of them; `matrix` is (row, source)."""
    for row in rows[~matrix[np.ix_(rows, sources)].any(axis=1)]:
        for source in rng.choice(sources, size=count, replace=False):
            matrix[row, source] = rng.choice([-1, 1])
