"""Networks of ncps 1.0.1, read into ours: its outputs where it is right, and ours where it is not."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from liquidtorch import CfC, Recurrent
from liquidtorch import load as read_network
from liquidtorch.errors import DataError, FormatError, OptionError
from liquidtorch.ncps import from_module, from_state_dict
from liquidtorch.wiring import random

F, T = 5, 7


@pytest.fixture
def theirs() -> ModuleType:
    """Give ncps.torch, the oracle; only outside CI may it be missing."""
    if not os.environ.get("CI"):
        pytest.importorskip("ncps")
    return importlib.import_module("ncps.torch")


def wiring(kind: str) -> object:
    wirings = importlib.import_module("ncps.wirings")
    return {
        "9": lambda: 9,
        "full": lambda: wirings.FullyConnected(9, 3),
        "random": lambda: wirings.Random(9, 3, sparsity_level=0.6),
        "auto_ncp": lambda: wirings.AutoNCP(12, 3),
        "ncp": lambda: wirings.NCP(6, 4, 2, 3, 2, 5, 2, seed=4),
    }[kind]()


@torch.no_grad()
def stirred(module: nn.Module, seed: int = 0) -> nn.Module:
    """Move every trainable weight: maps that start at one and zero would hide a mistake."""
    torch.manual_seed(seed)
    for name, p in module.named_parameters():
        if p.requires_grad:
            p += 0.3 * torch.randn_like(p) / (p.shape[-1] ** 0.5 if p.ndim == 2 else 1.0)
        if name.endswith(("input_w", "output_w")):
            p *= torch.where(torch.rand_like(p) < 0.5, -1.0, 1.0)
    if hasattr(module, "rnn_cell") and hasattr(module.rnn_cell, "apply_weight_constraints"):
        module.rnn_cell.apply_weight_constraints()
    return module.double()


def by_row(module: nn.Module, x: Tensor, dt: Tensor) -> Tensor:
    """Run ncps with each row alone, where its time spans mean what they say."""
    h = torch.zeros(1, module.state_size, dtype=x.dtype)
    h = (h, h) if module.use_mixed else h
    return torch.cat([module(row[None], h, span[None])[0] for row, span in zip(x, dt, strict=True)])


def check_same(module: nn.Module, rows: int = 3) -> None:
    """Compare in double precision, where rounding hides nothing, and in single, as networks are used."""
    torch.manual_seed(1)
    x, dt = torch.randn(rows, T, F, dtype=torch.float64), torch.rand(rows, T, dtype=torch.float64) * 3 + 0.1
    x.requires_grad_()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    expected = by_row(module, x, dt)
    network = from_module(module)
    y, _ = network(x, dt=dt)
    assert expected.std() > 1e-2
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-11)
    weight = torch.randn_like(y)
    slopes = [torch.autograd.grad((answer * weight).sum(), x)[0] for answer in (y, expected)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=0, atol=1e-10)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    module.float()
    x = x.detach().float()
    expected = module(x)[0]
    torch.testing.assert_close(from_module(module)(x)[0], expected, rtol=1e-6, atol=1e-6)


# ---- LTC ----


@pytest.mark.parametrize("kind", ["9", "full", "random", "auto_ncp", "ncp"])
@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(("into", "out"), [("affine", "affine"), ("linear", None), (None, "linear")])
def test_ltc(theirs: ModuleType, kind: str, implicit: bool, into: str | None, out: str | None) -> None:
    options = {"input_mapping": into, "output_mapping": out, "implicit_param_constraints": implicit}
    check_same(stirred(theirs.LTC(F, wiring(kind), **options)))


@pytest.mark.parametrize("implicit", [True, False])
def test_ltc_of_other_unfolds_and_epsilon(theirs: ModuleType, implicit: bool) -> None:
    options = {"ode_unfolds": 3, "epsilon": 0.05, "implicit_param_constraints": implicit}
    check_same(stirred(theirs.LTC(F, wiring("auto_ncp"), **options)))


def test_ltc_with_a_feature_mapped_to_nothing(theirs: ModuleType) -> None:
    module = stirred(theirs.LTC(F, 9))
    with torch.no_grad():
        module.rnn_cell.input_w[2] = 0.0
    check_same(module)


def test_ltc_without_leak(theirs: ModuleType) -> None:
    module = stirred(theirs.LTC(F, 9, implicit_param_constraints=False))
    with torch.no_grad():
        module.rnn_cell.gleak[:4] = 0.0
        module.rnn_cell.w[0] = 0.0
    check_same(module)
    assert all(p.isfinite().all() for p in from_module(module).parameters())  # though 0 has no softplus behind it


def test_ltc_keeps_the_wiring(theirs: ModuleType) -> None:
    module = theirs.LTC(F, wiring("auto_ncp"))
    found = from_module(module).body.cell.wiring
    assert found.roles == ("motor",) * 3 + ("command",) * 3 + ("inter",) * 6
    assert torch.equal(
        torch.tensor(found.recurrent.T.copy()), torch.tensor(module._wiring.adjacency_matrix).to(torch.int8)
    )
    assert found.sensory_synapses == abs(module._wiring.sensory_adjacency_matrix).sum()
    assert from_module(theirs.LTC(F, 9)).body.cell.wiring is None


def test_ltc_state(theirs: ModuleType) -> None:
    module = stirred(theirs.LTC(F, wiring("ncp")))
    x = torch.randn(2, T, F, dtype=torch.float64)
    start = torch.rand(2, 12, dtype=torch.float64)
    torch.testing.assert_close(from_module(module).body(x, start)[1], module(x, start)[1], rtol=0, atol=1e-11)


# ---- CfC ----


@pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"backbone_layers": 0},
        {"backbone_units": 11, "backbone_layers": 3, "activation": "silu"},
        {"backbone_units": 11, "backbone_layers": 2, "activation": "relu", "proj_size": 4},
        {"backbone_units": 4, "activation": "gelu"},
        {"backbone_units": 4, "activation": "tanh", "backbone_layers": 2, "backbone_dropout": 0.5},
    ],
    ids=lambda o: "-".join(map(str, o.values())) or "plain",
)
def test_dense_cfc(theirs: ModuleType, mode: str, options: dict) -> None:
    check_same(stirred(theirs.CfC(F, 6, mode=mode, **options)).eval())


@pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])
@pytest.mark.parametrize("kind", ["auto_ncp", "ncp"])
@pytest.mark.parametrize("proj_size", [None, 4])
def test_wired_cfc(theirs: ModuleType, mode: str, kind: str, proj_size: int | None) -> None:
    check_same(stirred(theirs.CfC(F, wiring(kind), mode=mode, proj_size=proj_size)))


def test_wired_cfc_state_and_wiring(theirs: ModuleType) -> None:
    module = stirred(theirs.CfC(F, wiring("ncp")))  # 6 inter, 4 command, 2 motor units
    x = torch.randn(2, T, F, dtype=torch.float64)
    network = from_module(module)
    _, h = network.body(x)
    _, expected = module(x)
    inter, command, motor = expected.split([6, 4, 2], dim=1)
    torch.testing.assert_close(h, torch.cat([motor, command, inter], 1), rtol=0, atol=1e-11)
    found = network.body.cell.wiring
    assert found.roles == ("motor",) * 2 + ("command",) * 4 + ("inter",) * 6
    assert found.synapses == 2 * (2 + 4) + 4 * (4 + 6) + 6 * 6
    pure = from_module(theirs.CfC(F, wiring("ncp"), mode="pure")).body.cell.wiring
    assert pure.sensory_synapses == abs(module.wiring.sensory_adjacency_matrix).sum()  # no time heads: as wired


@pytest.mark.parametrize("kind", ["9", "auto_ncp"])
@pytest.mark.parametrize("name", ["LTC", "CfC"])
def test_mixed_memory(theirs: ModuleType, name: str, kind: str) -> None:
    check_same(stirred(getattr(theirs, name)(F, wiring(kind), mixed_memory=True)))


def _step(module: nn.Module, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    network = from_module(module)
    y, state = network.body(x[:, None], h, dt=0.7)
    return network.readout(y)[:, 0], state


def test_cells_alone(theirs: ModuleType) -> None:
    x, h = torch.randn(3, F, dtype=torch.float64), torch.randn(3, 12, dtype=torch.float64)
    built = wiring("auto_ncp")
    ltc = stirred(theirs.LTCCell(built, F))
    ltc.apply_weight_constraints()
    y, after = ltc(x, h, 0.7)
    mine, state = _step(ltc, x, h)
    torch.testing.assert_close((mine, state), (y, after), rtol=0, atol=1e-11)
    network = from_state_dict(ltc.state_dict())  # ncps' default differs between the cell and the layer
    torch.testing.assert_close(network.body(x[:, None], h, dt=0.7)[1], after, rtol=0, atol=1e-11)
    for module in (theirs.CfCCell(F, 12), theirs.CfCCell(F, 12, backbone_layers=0)):
        y, after = stirred(module)(x, h, 0.7)
        mine, state = _step(module, x, h)
        torch.testing.assert_close((mine, state), (y, after), rtol=0, atol=1e-11)
    module = stirred(theirs.WiredCfCCell(F, wiring("auto_ncp")))
    y, _ = module(x, torch.zeros_like(h), 0.7)
    torch.testing.assert_close(from_module(module)(x[:, None], dt=0.7)[0][:, 0], y, rtol=0, atol=1e-11)


# ---- where ncps is wrong ----


@pytest.mark.parametrize("name", ["LTC", "CfC"])
def test_time_spans_of_a_batch(theirs: ModuleType, name: str) -> None:
    """ncps fails for a batch of time spans, or, where B equals the units, takes a row's span for a unit's."""
    module = stirred(getattr(theirs, name)(F, 6))
    network = from_module(module)
    for rows in (4, 6):
        x, dt = torch.randn(rows, T, F).double(), (torch.rand(rows, T) * 3 + 0.1).double()
        expected = by_row(module, x, dt)
        torch.testing.assert_close(network(x, dt=dt)[0], expected, rtol=0, atol=1e-11)
        if rows == 4:
            with pytest.raises(RuntimeError, match="must match the size"):
                module(x, timespans=dt)
        else:
            assert (module(x, timespans=dt)[0] - expected).abs().max() > 1e-2


def sources(step, units: int) -> Tensor:
    """Return, by differentiating one step, which unit feels which, (to, from)."""
    h = torch.rand(1, units, dtype=torch.float64)
    return torch.autograd.functional.jacobian(step, h)[0, :, 0] != 0


def test_a_random_wiring_in_a_cfc(theirs: ModuleType) -> None:
    """ncps runs every one of 256 recurrent synapses of a wiring that has 51, and shows 16 outputs instead of 4."""
    wirings = importlib.import_module("ncps.wirings")
    built = wirings.Random(16, 4, sparsity_level=0.8, random_seed=3)
    module = theirs.CfC(F, built).double()
    x = torch.randn(1, F, dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    assert sources(lambda h: module.rnn_cell(x, h, 1.0)[1], 16).all()
    y, _ = module(x[:, None])
    assert (module.output_size, y.shape[-1]) == (4, 16)

    wired = random(16, F, 4, density=0.2, seed=3)
    layer = Recurrent(CfC(F, 16, wiring=wired)).double()
    u = layer.cell.inputs(x)
    motor_first = sources(lambda h: layer.cell.step(u, h, one), 16)
    live = torch.tensor(wired.recurrent != 0)
    inter = slice(4, 16)
    assert torch.equal(motor_first[inter], live[inter])  # motor units also see what the inter units have just become
    assert int(live.sum()) == 51 == abs(built.adjacency_matrix).sum()
    assert layer(x[:, None])[0].shape[-1] == 4


@pytest.mark.parametrize("kind", ["full", "random"])
def test_a_cfc_on_a_wiring_without_layers_shows_its_motor_units(theirs: ModuleType, kind: str) -> None:
    module = stirred(theirs.CfC(F, wiring(kind)))
    x = torch.randn(2, T, F, dtype=torch.float64)
    expected, state = module(x)
    network = from_module(module)
    y, h = network(x)[0], network.body(x)[1]
    assert y.shape[-1] == 3
    torch.testing.assert_close(y, expected[..., :3], rtol=0, atol=1e-11)
    torch.testing.assert_close(h, state, rtol=0, atol=1e-11)


def test_no_time_between_steps(theirs: ModuleType) -> None:
    """ncps divides by dt; here no time means no change."""
    module = stirred(theirs.LTC(F, 6))
    x, h = torch.randn(1, 1, F).double(), torch.rand(1, 6).double()
    assert module(x, h, torch.zeros(1, 1).double())[1].isnan().all()
    assert torch.equal(from_module(module).body(x, h, dt=0.0)[1], h)


# ---- weights alone ----


def test_a_safetensors_file(theirs: ModuleType) -> None:
    module = stirred(theirs.LTC(F, wiring("auto_ncp"), ode_unfolds=4))
    x = torch.randn(2, T, F, dtype=torch.float64)
    network = from_state_dict(load(save(module.state_dict())), ode_unfolds=4)
    torch.testing.assert_close(network(x)[0], module(x)[0], rtol=0, atol=1e-11)
    assert network.body.cell.wiring.roles == ("motor",) * 3 + ("inter",) * 9


def test_options_stand_for_what_weights_do_not_tell(theirs: ModuleType) -> None:
    x = torch.randn(2, T, F, dtype=torch.float64)
    module = stirred(theirs.CfC(F, 6, mode="no_gate", activation="relu", backbone_units=7))
    network = from_state_dict(module.state_dict(), mode="no_gate", activation="relu")
    torch.testing.assert_close(network(x)[0], module(x)[0], rtol=0, atol=1e-11)
    module = stirred(theirs.LTC(F, wiring("full"), output_mapping=None))
    network = from_state_dict(module.state_dict(), roles=["motor"] * 3 + ["inter"] * 6)
    torch.testing.assert_close(network(x)[0], module(x)[0], rtol=0, atol=1e-11)


def test_it_learns_on(theirs: ModuleType) -> None:
    torch.manual_seed(0)
    for module in (theirs.LTC(F, wiring("auto_ncp")), theirs.CfC(F, wiring("auto_ncp"), mixed_memory=True)):
        network = from_module(module)
        x, goal = torch.randn(4, T, F), torch.randn(4, T, 3)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = (network(x)[0] - goal).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.97 * losses[0]


def test_it_is_saved_like_any_network(theirs: ModuleType, tmp_path: Path) -> None:
    x = torch.randn(2, T, F, dtype=torch.float64)
    for i, module in enumerate(
        (
            theirs.LTC(F, wiring("ncp"), mixed_memory=True),
            theirs.CfC(F, wiring("auto_ncp"), proj_size=2),
            theirs.CfC(F, 6, mode="pure"),
        )
    ):
        network = from_module(stirred(module))
        network.save(tmp_path / str(i))
        assert torch.equal(read_network(tmp_path / str(i))(x)[0], network(x)[0])


def test_reading_draws_no_random_number(theirs: ModuleType) -> None:
    module = theirs.CfC(F, wiring("auto_ncp"), mixed_memory=True)
    before = torch.get_rng_state()
    from_module(module)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("make", "options", "error", "text"),
    [
        (
            lambda t: nn.Linear(2, 2).state_dict(),
            {},
            FormatError,
            "`state` must be the state_dict of an LTC or a CfC of ncps.torch; got weight, bias",
        ),
        (
            lambda t: {f"rnn.{k}": v for k, v in t.LTC(F, 6).state_dict().items()},
            {},
            FormatError,
            "its names without a prefix",
        ),
        (
            lambda t: {k: v for k, v in t.LTC(F, 6).state_dict().items() if not k.endswith("vleak")},
            {},
            FormatError,
            "it lacks vleak",
        ),
        (
            lambda t: t.CfC(F, 6).state_dict() | {"head.weight": torch.zeros(1)},
            {},
            FormatError,
            "an ncps network and nothing else; got head.weight too",
        ),
        (lambda t: t.LTC(F, 6).state_dict(), {"mode": "pure"}, OptionError, "`mode` must be left out for an LTC"),
        (
            lambda t: t.CfC(F, 6).state_dict(),
            {"ode_unfolds": 3},
            OptionError,
            "`ode_unfolds` must be left out for a CfC with a backbone; got 3",
        ),
        (
            lambda t: t.CfC(F, 6, backbone_layers=0).state_dict(),
            {"activation": "relu"},
            OptionError,
            "`activation` must be left out for a CfC without",
        ),
        (
            lambda t: t.CfC(F, 6, mode="pure").state_dict(),
            {"mode": "default"},
            OptionError,
            "`mode` must be one of 'pure'",
        ),
        (
            lambda t: t.LTC(F, 6, output_mapping=None).state_dict(),
            {},
            OptionError,
            r"`roles` must be given, .* use roles=\['motor'\] \* 6",
        ),
        (
            lambda t: t.CfC(F, wiring("ncp")).state_dict(),
            {"roles": ["motor"] * 12},
            OptionError,
            "`roles` must be 2 motor, 4 command and 6 inter units",
        ),
        (
            lambda t: t.LTC(F, wiring("ncp")).state_dict(),
            {"roles": ["motor"] * 12},
            OptionError,
            "`roles` must have the 2 motor units first and no others",
        ),
    ],
)
def test_weights_that_cannot_be_read(
    theirs: ModuleType, make, options: dict, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        from_state_dict(make(theirs), **options)


def test_a_negative_conductance(theirs: ModuleType) -> None:
    module = theirs.LTC(F, 6, implicit_param_constraints=False)
    with torch.no_grad():
        module.rnn_cell.w[3, 1] = -0.5
    with pytest.raises(DataError, match=r"`w` must be at least 0; got -0.5 \(at \(3, 1\)\). Call apply_weight"):
        from_module(module)


def test_another_module() -> None:
    with pytest.raises(OptionError, match=r"`module` must be an LTC, a CfC or a cell of ncps\.torch; got GRU"):
        from_module(nn.GRU(2, 2))
