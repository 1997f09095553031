"""Every law on every cell and every layer there is, found by walking the package; and proof that the laws can fail."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import liquidtorch
from liquidtorch import (
    LTC,
    Bidirectional,
    CfC,
    Leaky,
    Linear,
    Liquid,
    LiquidNetwork,
    LiquidState,
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
from liquidtorch.encoders import SigmaDelta, StepForward
from liquidtorch.layers import Layer
from liquidtorch.reservoir import Echo, EchoState, Encoded
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
    "Echo": Echo,
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
    "Echo-shared": lambda: Echo(2, 33, density=0.6, topology="blocked", bias=0.5, leak=0.3, seed=1),
    "Echo-linear": lambda: Echo(2, 7, density=0.4, activation="linear", weights="uniform", tau=torch.arange(1.0, 8.0)),
    "Echo-jumps": lambda: Echo(2, 17, topology="jumps:4", leak=1.0, scale=[0.5, 2.0]),
    "Echo-feedback": lambda: Echo(1, 7, feedback=1, density=0.5, noise=0.1),
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
    "Stack-all": lambda: Stack([Recurrent(Leaky(2, 3)), EchoState(3, 7, density=0.3)], shown="all"),
    "EchoState": lambda: EchoState(2, 17, radius=0.95, density=0.3, bias=0.2),
    "EchoState-small_world": lambda: EchoState(2, 7, topology="small_world", density=0.4, tau=2.0),
    "LiquidState": lambda: LiquidState(2, 7),
    "LiquidState-one": lambda: LiquidState(1, 1, input_density=1.0, delay=(0.0, 0.0), traces=(5.0,)),
    "LiquidState-spikes": lambda: LiquidState(2, 17, inputs="spikes", topology="random:0.3", delay=(4.0, 1.5)),
    "LiquidState-all": lambda: LiquidState(
        2, 17, topology="column:3:3x3x2", tau=(5.0, 50.0), adaptation=(0.1, 100.0), plasticity=True, seed=1
    ),
    "Encoded": lambda: Encoded(StepForward([0.4, 0.4], steps=2), Recurrent(Leaky(4, 3))),
    "Encoded-EchoState": lambda: Encoded(SigmaDelta([-2.0], [2.0], steps=3), EchoState(1, 7, density=0.5)),
    "Stack-LiquidState": lambda: Stack([LiquidState(2, 7, traces=(5.0,)), Recurrent(Linear(7, 2))]),
    "GRU": lambda: GRU(2, 3, median_dt=2.0),
    "LiquidNetwork": lambda: network(irregular=False, forecast=False),
    "LiquidNetwork-irregular": lambda: network(irregular=True, forecast=False, body="ltc", layers=2),
    "LiquidNetwork-forecast": lambda: network(irregular=True, forecast=True, readout="linear"),
}  # fmt: skip
EXEMPT = {  # torch's own GRU has a batching rule only once something has been traced, is not for Dynamo (its option
    # allow_rnn is off), and is exported for one T only
    ("GRU", "weights_and_inputs_vmap"),
    ("GRU", "compiling_changes_nothing"),
    ("GRU", "exporting_changes_nothing"),
    # no gradient passes the spikes of a code, and no code counts in bfloat16
    *((name, law) for name in ("Encoded", "Encoded-EchoState") for law in ("gradients_flow", "low_precision_runs")),
    ("Encoded", "exporting_changes_nothing"),  # a code that follows the signal sample by sample is exported for one T
}
CASES = [
    (name, law) for name, make in LAYERS.items() for law, _ in testing.yield_checks(make()) if (name, law) not in EXEMPT
]
ONE_OF_EACH = ("Leaky-3", "Liquid-3", "LTC-one-unfold", "CfC-3", "Linear-3", "Mobius-3", "Echo-3")
SAME = ("-1", "-2", "-7", "-17")  # to a tracer another size is nothing new
TRACED = ("compiling_changes_nothing", "exporting_changes_nothing")
OTHERS = [
    (name, law)
    for name in LAYERS
    for law in TRACED
    if name not in ONE_OF_EACH and not name.endswith(SAME) and (name, law) not in EXEMPT
]
tracing = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, from inside its tracer


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


def check(layer: Layer, law: str) -> None:
    dict(testing.yield_checks(layer, traced=True))[law](layer)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_every_class_has_an_example() -> None:
    """A new cell or layer fails here until it stands in PLAIN or LAYERS, and a lost one until it is struck out."""
    cells, layers = discovered(Cell), discovered(Layer)
    assert {c.__name__ for c in cells} == set(PLAIN)
    assert len(cells) == 7
    assert {type(make()) for make in LAYERS.values()} == layers
    assert len(layers) == 9
    assert cells <= set(Cell.kinds.values())
    assert layers <= set(Layer.kinds.values())


@pytest.mark.parametrize(("name", "law"), CASES, ids=["/".join(case) for case in CASES])
def test_law(name: str, law: str) -> None:
    check(LAYERS[name](), law)


@tracing
@pytest.mark.parametrize("law", TRACED)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_traced_law(name: str, law: str) -> None:
    check(LAYERS[name](), law)


@tracing
@pytest.mark.slow
@pytest.mark.parametrize(("name", "law"), OTHERS, ids=["/".join(case) for case in OTHERS])
def test_traced_law_of_all_others(name: str, law: str) -> None:
    check(LAYERS[name](), law)


@tracing
@pytest.mark.slow
@pytest.mark.parametrize("name", [f"{name}-3" for name in PLAIN] + ["Stack", "Bidirectional"])
def test_inductor_changes_nothing(name: str) -> None:
    """The default backend of `torch.compile`, with gradients and without."""
    testing.compiling_changes_nothing(LAYERS[name](), backend="inductor")
    layer = LAYERS[name]().double()
    x, dt = testing.example(layer)
    torch._dynamo.reset()
    with torch.no_grad():
        testing.same(torch.compile(layer, fullgraph=True)(x, dt=dt), layer(x, dt=dt))


def of_cell(**changed: Any) -> Make:
    """Return a maker of a Leaky layer some of whose parts are replaced."""
    return lambda: Recurrent(type("Broken", (Leaky,), changed)(2, 5, tau=(1.0, 10.0)))


def of_run(run: Callable[..., Any]) -> Make:
    """Return a maker of a Leaky layer with another `run`."""
    return lambda: type("Broken", (Recurrent,), {"run": run})(Leaky(2, 5))


def late(self: Recurrent, x: Tensor, h: Any, dt: Tensor, lengths: Any, reset: Any) -> Any:
    """Peek at the last step."""
    return Recurrent.run(self, x + 1e-3 * x[:, -1:], h, dt, lengths, reset)


def remembered(self: Leaky) -> Any:
    """Keep the first weights ever seen."""
    if not hasattr(self, "kept"):
        self.kept = [Leaky.weights(self)]
    return self.kept[0]


def unlearned(self: LiquidState, x: Tensor, *rest: Any) -> Any:
    """Let no gradient through."""
    return LiquidState.run(self, x.detach(), *rest)


def step(self: Leaky, u: Tensor, h: Tensor, dt: Tensor, weights: Any = None) -> Tensor:
    return Leaky.step(self, u, h, dt, weights)


BROKEN: dict[str, Make] = {  # every law -> something that breaks it, and works otherwise
    "rows_are_alone": of_cell(step=lambda *a: step(*a) + 1e-6 * a[2].mean(0)),
    "padding_is_ignored": of_run(lambda self, x, h, dt, lengths, reset: Recurrent.run(self, x, h, dt, None, reset)),
    "kinds_come_back": of_run(lambda self, x, h, dt, lengths, reset: Recurrent.run(self, x, h, dt, None, reset)),
    "time_has_no_unit": of_cell(step=lambda self, u, h, dt, w: step(self, u, h, dt.sqrt(), w)),
    "reset_starts_anew": of_run(lambda self, x, h, dt, lengths, reset: Recurrent.run(self, x, h, dt, lengths, None)),
    "bounds_hold": of_cell(step=lambda *a: 1.01 * step(*a)),
    "low_precision_runs": of_cell(output=lambda self, h: h + torch.zeros(h.shape)),
    "new_weights_are_seen": of_cell(weights=remembered),
    "weights_and_inputs_vmap": of_cell(step=lambda *a: step(*a) * (1.0 if a[2].sum().item() < 99 else 2.0)),
    "copies_are_equal": of_cell(config=lambda self: {**Leaky.config(self), "method": "euler"}),
    "gradients_are_right": of_cell(step=lambda self, u, h, dt, w: step(self, u, h, dt, (w[0].detach(), w[1]))),
    "gradients_flow": lambda: type("Broken", (LiquidState,), {"run": unlearned})(2, 5),
    "two_parts_are_the_whole": of_run(lambda self, x, h, *rest: Recurrent.run(self, x, self.initial(len(x)), *rest)),
    "steps_are_the_whole": of_run(late),
    "a_stepper_is_the_whole": of_cell(stepper=lambda self: Leaky(2, 5).to(self.b.dtype).stepper()),
    "no_time_no_change": of_cell(step=lambda self, u, h, dt, w: step(self, u, h, dt + 1e-6, w)),
    "units_may_be_renumbered": of_cell(axes={"W_x": "HF", "W_h": "HH", "b": "H"}),  # tau stays where it was
    "compiling_changes_nothing": of_cell(step=lambda *a: step(*a) * (2.0 if torch.compiler.is_compiling() else 1.0)),
    "exporting_changes_nothing": of_cell(step=lambda *a: step(*a) * (2.0 if torch.compiler.is_compiling() else 1.0)),
}  # fmt: skip

OTHER_ERRORS = {
    "gradients_are_right": (RuntimeError, "Jacobian"),
    "gradients_flow": (RuntimeError, "does not require grad"),
    "weights_and_inputs_vmap": (RuntimeError, r"\.item\(\)"),
}


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the classes a test makes."""
    monkeypatch.setattr(Cell, "kinds", dict(Cell.kinds))
    monkeypatch.setattr(Layer, "kinds", dict(Layer.kinds))


@tracing
@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize("law", BROKEN)
def test_laws_can_be_broken(law: str) -> None:
    layer = BROKEN[law]()
    error, text = OTHER_ERRORS.get(law, (AssertionError, None))
    with pytest.raises(error, match=text):
        check(layer, law)


def test_every_law_is_broken_by_something() -> None:
    layers = Recurrent(Leaky(2, 3)), LiquidState(2, 3)
    assert set(BROKEN) == {name for layer in layers for name, _ in testing.yield_checks(layer, traced=True)}


@pytest.mark.usefixtures("kinds")
def test_the_suites_name_the_law() -> None:
    testing.check_cell(lambda: Liquid(2, 5))
    testing.check_layer(lambda: Stack([Recurrent(Mobius(2, 3)), Recurrent(Linear(3, 2))], norm=True))
    with pytest.raises(AssertionError, match=r"^rows_are_alone: A row does not depend on its batch\. Tensor-likes are"):
        testing.check_layer(BROKEN["rows_are_alone"])
    with pytest.raises(AssertionError, match=r"^gradients_are_right: The gradients of x, dt, .* Jacobian"):
        testing.check_layer(BROKEN["gradients_are_right"])
    for changed, text in (
        ({"axes": {**Leaky.axes, "method": "H"}}, "axes names method, which is no parameter"),
        ({"output": lambda self, h: h[:, :2]}, r"output must be \(B, outputs\)"),
        ({"taus": lambda self: self.log_tau.exp().detach()[:2]}, r"taus must be \(H,\)"),
    ):
        kind = type("Broken", (Leaky,), changed)
        with pytest.raises(AssertionError, match=text):
            testing.check_cell(lambda kind=kind: kind(2, 5))
