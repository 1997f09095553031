"""Optimisers that write in place: equal to torch.optim while nothing grows, and new where something is new."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from streams import NCP, cell
from test_rules_structure import change, grown, rewire, split
from torch import nn

from liquidtorch.cells import CfC, Leaky
from liquidtorch.errors import OptionError
from liquidtorch.online.optimizers import SGD, Adam, ObGD


def gradients(c, steps: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Draw gradients of very different sizes, 0 where no synapse is."""
    rng = np.random.default_rng(seed)
    live = {"HH": c.live_h, "HF": c.live_x}
    drawn = []
    for _ in range(steps):
        g = {n: rng.normal(size=p.shape) * 10 ** rng.uniform(-3, 1) for n, p in c.named_parameters()}
        for n in g:
            mask = live.get(c.axes.get(n, ""))
            if mask is not None:
                g[n] *= mask.numpy()
        drawn.append(g)
    return drawn


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("name", ["leaky dense", "liquid ncp", "ltc ncp", "mobius"])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD, torch.optim.SGD, {}),
        (Adam, torch.optim.Adam, {}),
        (Adam, torch.optim.Adam, {"betas": (0.8, 0.95), "eps": 1e-6}),
    ],
)
def test_as_torch_while_nothing_grows(ours, theirs, options: dict, name: str, clip: float | None, way: None) -> None:
    c = cell(name)
    other = copy.deepcopy(c)
    mine, oracle = ours(c, rate=0.01, clip=clip, **options), theirs(other.parameters(), lr=0.01, **options)
    for g in gradients(c, 30):
        mine.step(g)
        for n, p in other.named_parameters():
            p.grad = torch.from_numpy(g[n].copy())
        if clip is not None:
            nn.utils.clip_grad_norm_(other.parameters(), clip)
        oracle.step()
    for (n, p), q in zip(c.named_parameters(), other.parameters(), strict=True):
        assert_allclose(p.detach(), q.detach(), rtol=1e-11, atol=1e-13, err_msg=n)


@pytest.mark.parametrize("layers", [2, 8])
def test_a_cell_with_parameters_inside_others(layers: int, way: None) -> None:
    c = CfC(3, 5, backbone=(6, layers)).double()
    before = {n: p.detach().clone() for n, p in c.named_parameters()}
    Adam(c, rate=0.1).step(gradients(c, 1)[0])
    moved = [(p.detach() - before[n]).abs().min().item() for n, p in c.named_parameters()]
    assert_allclose(moved, 0.1, rtol=1e-2)  # the first step of Adam is the rate, whatever the gradient


def test_a_synapse_that_is_born_starts_as_new() -> None:
    """Its own count: it moves as if the optimiser were new, the others as if nothing had happened."""
    c = grown("leaky")
    undisturbed = copy.deepcopy(c)
    adam, other = Adam(c, rate=0.01), Adam(undisturbed, rate=0.01)
    for g in gradients(c, 40):
        adam.step(g)
        other.step(g)
    live_h, live_x = c.live_h.clone(), c.live_x.clone()
    to, source = (int(i) for i in (live_h[:7, :7] == 0).nonzero()[2])
    live_h[to, source] = 1
    rewire(c, live_h, live_x)
    adam.follow(change(born=[(to, source)]))
    alone = nn.Parameter(c.W_h[to, source].detach().clone())
    new = torch.optim.Adam([alone], lr=0.01)
    for g in gradients(c, 5, seed=1):
        adam.step(g)
        other.step({n: a if n != "W_h" else a * undisturbed.live_h.numpy() for n, a in g.items()})
        alone.grad = torch.tensor(g["W_h"][to, source])
        new.step()
    assert_allclose(c.W_h[to, source].detach(), alone.detach(), rtol=1e-12)
    with torch.no_grad():
        c.W_h[to, source] = undisturbed.W_h[to, source]
    for n, p in c.named_parameters():
        assert_allclose(p.detach(), undisturbed.get_parameter(n).detach(), rtol=1e-12, err_msg=n)


def test_what_died_is_forgotten() -> None:
    c = grown("liquid")
    adam = Adam(c)
    for g in gradients(c, 10):
        adam.step(g)
    to, source = (int(i) for i in c.live_h.nonzero()[3])
    feels, feature = (int(i) for i in c.live_x.nonzero()[2])
    adam.follow(change(dead=[(to, source)], born=[(to, source)], dead_x=[(feels, feature)], units_dead=[5]))
    for kept, start in (("mean", 0.0), ("square", 0.0), ("fade", 1.0), ("fade_square", 1.0)):
        full = adam._unpacked(kept)
        assert full["W_h"][to, source] == full["G_x"][feels, feature] == full["b"][5] == start
        assert full["b"][4] != start
        assert full["W_h"][3][c.live_h[3].numpy() != 0].all()


@pytest.mark.parametrize("kind", ["leaky", "liquid"])
def test_moments_are_parted_at_a_split(kind: str) -> None:
    """As if both units had always been there, with the gradient of the one in parts."""
    c = grown(kind)
    adam = Adam(c, rate=1e-3)
    drawn = gradients(c, 12)
    for g in drawn:
        adam.step(g)
    parent, child, b = 3, 7, 0.3
    adam.follow(split(c, parent, child, b))
    always = Adam(c, rate=1e-3)
    for g in drawn:
        both = {n: a.copy() for n, a in g.items()}
        for n, axes in c.axes.items():
            if axes == "HH":
                both[n][:, child] = both[n][:, parent]
            both[n][child] = b * both[n][parent]
            both[n][parent] *= 1 - b
        always.step(both)
    mine, theirs = adam.arrays(), always.arrays()
    for kept in ("mean", "square"):
        assert_allclose(mine[kept], theirs[kept], rtol=1e-10)
    slot = adam.places["b"][0].start
    for kept in ("fade", "fade_square"):
        assert mine[kept][slot + child] == mine[kept][slot + parent] < 1


def test_obgd_is_its_bound() -> None:
    """Elsayed 2024, algorithm 3, by hand; and it never goes beyond the bottom, however large the rate."""
    rng = np.random.default_rng(0)
    for rate, error in ((1.0, 3.0), (1.0, -0.2), (1e-3, 0.5), (50.0, 7.0)):
        c = Leaky(3, 4).double()
        before = {n: p.detach().clone() for n, p in c.named_parameters()}
        e = {n: rng.uniform(-1, 1, size=p.shape) for n, p in c.named_parameters()}
        ObGD(c, rate=rate, kappa=2.0).step({n: error * a for n, a in e.items()}, error)
        steep = sum(np.abs(a).sum() for a in e.values())
        bound = rate * 2.0 * max(abs(error), 1.0) * steep
        size = rate / bound if bound > 1 else rate
        for n, p in c.named_parameters():
            assert_allclose(p.detach(), before[n] - size * error * torch.from_numpy(e[n]), rtol=1e-12)
        change = sum((e[n] * (p.detach() - before[n]).numpy()).sum() for n, p in c.named_parameters())
        assert 0 < -change * np.sign(error) < abs(error)
    c = Leaky(3, 4, wiring=None).double()
    before = c.b.detach().clone()
    ObGD(c).step({"b": np.zeros(4)}, 0.0)
    assert (c.b == before).all()


def test_arrays_restore() -> None:
    c = Leaky(3, 17, wiring=NCP).double()
    other = copy.deepcopy(c)
    adam, again = Adam(c), Adam(other)
    for g in gradients(c, 5):
        adam.step(g)
    other.load_state_dict(c.state_dict())
    for name, array in again.arrays().items():
        array[...] = adam.arrays()[name]
    for g in gradients(c, 5, seed=1):
        adam.step(g)
        again.step(g)
    assert all((p == q).all() for p, q in zip(c.parameters(), other.parameters(), strict=True))
    assert SGD(c).arrays() == {}


def test_nothing_learned_moves_nothing() -> None:
    c = cell("leaky dense")
    before = {n: p.detach().clone() for n, p in c.named_parameters()}
    for optimizer in (SGD(c, clip=1.0), Adam(c, clip=1.0), ObGD(c)):
        optimizer.step({})
    assert all((p == before[n]).all() for n, p in c.named_parameters())


def test_messages() -> None:
    c = cell("leaky dense")
    for kind in (SGD, Adam, ObGD):
        with pytest.raises(OptionError, match="`rate` must be a number above 0; got 0"):
            kind(c, rate=0.0)
    with pytest.raises(OptionError, match="`clip` must be a number above 0; got -1"):
        Adam(c, clip=-1.0)
    with pytest.raises(OptionError, match=r"`betas\[1\]` must be a number at least 0 and at most 1; got 1.0"):
        Adam(c, betas=(0.9, 1.0))
    with pytest.raises(OptionError, match="`kappa` must be"):
        ObGD(c, kappa=0.0)
