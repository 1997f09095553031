"""Neural circuit policies: features, inter, command and motor units, one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, check_range
from .generate import HIGHEST_SEED, sizes
from .wiring import Wiring


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
    check_range("seed", seed, 0, HIGHEST_SEED, whole=True)
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
    sizes(units, features, 1, seed)
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
