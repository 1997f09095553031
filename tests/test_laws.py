"""Every law on every cell and every layer there is, found by walking the package; and proof that the laws can fail."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import liquidtorch
from liquidtorch import (
    LTC,
    Bidirectional,
    CfC,
    Leaky,
    Linear,
    Liquid,
    LiquidNetwork,
    MixedMemory,
    Mobius,
    Recurrent,
    Stack,
    testing,
    wiring,
)
from liquidtorch.baselines import GRU
from liquidtorch.cells import Cell
from liquidtorch.data import Sequences, from_arrays
from liquidtorch.layers import Layer
from liquidtorch.task import infer

SIZES = (1, 2, 3, 7, 17)
Make = Callable[[], Layer]


def data(irregular: bool, forecast: bool) -> Sequences:
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 2)) for n in (9, 12, 10)]
    dt = [rng.uniform(0.5, 2.0, len(s)) for s in x] if irregular else None
    return from_arrays(x, None if forecast else ["a", "b", "a"], dt=dt, forecast=forecast)


def network(irregular: bool, forecast: bool, **options: Any) -> LiquidNetwork:
    """A small network of which no part is silent: the readout starts at zero, so it is drawn here."""
    train = data(irregular, forecast)
    task, _ = infer(train, "forecast", 2, (0.2, 0.8)) if forecast else infer(train)
    net = LiquidNetwork.for_data(train, task, units=3, **options)
    with torch.no_grad():
        for p in net.readout.parameters():
            p.normal_(std=0.3)
    return net


PLAIN: dict[str, Callable[..., Cell]] = {
    "Leaky": Leaky, "Liquid": Liquid, "LTC": LTC, "CfC": CfC, "Linear": Linear, "Mobius": Mobius,
}  # fmt: skip
VARIANTS: dict[str, Callable[[], Cell]] = {
    "Leaky-euler": lambda: Leaky(2, 3, method="euler"),
    "Leaky-one-tau": lambda: Leaky(1, 7, tau=0.3),
    "Leaky-random": lambda: Leaky(2, 7, wiring=wiring.random(7, 2, 3, density=0.4)),
    "Leaky-euler-ncp": lambda: Leaky(2, 17, method="euler", wiring=wiring.auto_ncp(17, 2, 3)),
    "Liquid-each-tau": lambda: Liquid(3, 3, tau=torch.tensor([0.5, 5.0, 500.0])),
    "Liquid-ncp": lambda: Liquid(2, 17, wiring=wiring.auto_ncp(17, 2, 3)),
    "Liquid-random": lambda: Liquid(2, 7, wiring=wiring.random(7, 2, 3, density=0.4)),
    "LTC-matched": lambda: LTC(2, 3, tau=(1.0, 100.0)),
    "LTC-one-unfold": lambda: LTC(2, 7, unfolds=1, tau=2.0),
    "LTC-ncp": lambda: LTC(2, 17, wiring=wiring.auto_ncp(17, 2, 3)),
    "LTC-random": lambda: LTC(2, 7, unfolds=2, wiring=wiring.random(7, 2, 3, density=0.4)),
    "CfC-pure": lambda: CfC(2, 3, mode="pure"),
    "CfC-pure-carry": lambda: CfC(2, 2, mode="pure", carry=True),
    "CfC-no_gate": lambda: CfC(2, 7, mode="no_gate"),
    "CfC-carry": lambda: CfC(2, 7, carry=True),
    "CfC-backbone": lambda: CfC(2, 3, backbone=(5, 1)),
    "CfC-backbone-carry": lambda: CfC(2, 3, backbone=(5, 3), carry=True, activation="silu"),
    "CfC-ncp": lambda: CfC(2, 17, wiring=wiring.auto_ncp(17, 2, 3)),
    "CfC-ncp-carry-no_gate": lambda: CfC(2, 17, mode="no_gate", carry=True, wiring=wiring.auto_ncp(17, 2, 3)),
    "CfC-random": lambda: CfC(2, 7, wiring=wiring.random(7, 2, 3, density=0.4)),
}
LAYERS: dict[str, Make] = {
    **{f"{name}-{H}": lambda kind=kind, H=H: Recurrent(kind(2, H)) for name, kind in PLAIN.items() for H in SIZES},
    **{name: lambda make=make: Recurrent(make()) for name, make in VARIANTS.items()},
    "MixedMemory-CfC": lambda: MixedMemory(CfC(2, 3)),
    "MixedMemory-LTC": lambda: MixedMemory(LTC(2, 7, unfolds=2)),
    "MixedMemory-ncp": lambda: MixedMemory(Liquid(2, 17, wiring=wiring.auto_ncp(17, 2, 3))),
    "Stack-one": lambda: Stack([Recurrent(Liquid(2, 3))]),
    "Stack": lambda: Stack([Recurrent(Leaky(2, 7)), MixedMemory(CfC(7, 3)), Recurrent(Linear(3, 1))]),
    "Stack-residual": lambda: Stack([Recurrent(Mobius(2, 3)), Recurrent(Liquid(3, 3))], residual=True),
    "Stack-norm": lambda: Stack([Recurrent(LTC(2, 3)), Recurrent(Liquid(3, 2))], norm=True),
    "Stack-residual-norm": lambda: Stack(
        [Recurrent(Liquid(2, 7, wiring=wiring.auto_ncp(7, 2, 3))), Recurrent(Leaky(3, 3))], residual=True, norm=True
    ),
    "Bidirectional": lambda: Bidirectional(Recurrent(Liquid(2, 3)), Recurrent(LTC(2, 2, unfolds=2))),
    "Bidirectional-memory": lambda: Bidirectional(MixedMemory(CfC(2, 1)), Recurrent(Leaky(2, 7))),
    "Stack-Bidirectional": lambda: Stack(
        [Bidirectional(Recurrent(Leaky(2, 2)), Recurrent(Leaky(2, 1))), Recurrent(Liquid(3, 3))]
    ),
    "GRU": lambda: GRU(2, 3, median_dt=2.0),
    "LiquidNetwork": lambda: network(irregular=False, forecast=False),
    "LiquidNetwork-irregular": lambda: network(irregular=True, forecast=False, body="ltc", layers=2),
    "LiquidNetwork-forecast": lambda: network(irregular=True, forecast=True, readout="linear"),
}  # fmt: skip
CASES = [(name, law) for name, make in LAYERS.items() for law, _ in testing.yield_checks(make())]
TRACED = {
    **{name: f"{name}-3" for name in PLAIN},
    **{name: name for name in LAYERS if name.rpartition("-")[0] not in PLAIN or name in VARIANTS},
}


def discovered(parent: type) -> set[type]:
    """Find every public class under `parent` that a module of the package itself defines."""
    found: set[type] = set()
    for module in pkgutil.walk_packages(liquidtorch.__path__, "liquidtorch."):
        if not module.name.endswith("__main__"):
            members = vars(importlib.import_module(module.name)).values()
            found |= {
                c for c in members if isinstance(c, type) and issubclass(c, parent) and c.__module__ == module.name
            }  # fmt: skip
    return {c for c in found if c is not parent and not c.__name__.startswith("_")}


def law_of(layer: Layer, name: str) -> Callable[[Any], None]:
    return dict(testing.yield_checks(layer, traced=True))[name]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_every_class_has_an_example() -> None:
    """A new cell or layer fails here until it stands in PLAIN or LAYERS, and a lost one until it is struck out."""
    cells, layers = discovered(Cell), discovered(Layer)
    assert {c.__name__ for c in cells} == set(PLAIN)
    assert len(cells) == 6
    assert {type(make()) for make in LAYERS.values()} == layers
    assert len(layers) == 6
    assert cells <= set(Cell.kinds.values())
    assert layers <= set(Layer.kinds.values())


@pytest.mark.parametrize(("name", "law"), CASES, ids=["/".join(case) for case in CASES])
def test_law(name: str, law: str) -> None:
    layer = LAYERS[name]()
    law_of(layer, law)(layer)
