"""The encoders: scaling, gaps carried and marked, categories spread, and the laws of a layer."""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from liquidtorch import encoders
from liquidtorch.encoders import Identity, MissingAware
from liquidtorch.errors import DataError, OptionError, ShapeError

NUMBER = {"name": "a", "kind": "numeric", "vocabulary": []}
COLOUR = {"name": "c", "kind": "category", "vocabulary": ["red", "green", "blue"]}
NAN = float("nan")


def make(missing: tuple[bool, ...] = (True, False, True)) -> MissingAware:
    return MissingAware([NUMBER, COLOUR, {**NUMBER, "name": "b"}], [1.0, 0.0, -2.0], [2.0, 1.0, 0.5], missing).double()


def rows(B: int, T: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw values with about 40 % gaps, and dt."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, T, 3))
    x[..., 1] = rng.integers(0, 3, (B, T))
    x[rng.random((B, T, 3)) < 0.4] = np.nan
    return torch.tensor(x), torch.tensor(rng.uniform(0.2, 3.0, (B, T)))


def test_identity_scales_and_nothing_else() -> None:
    encoder = Identity([1.0, -2.0], [2.0, 0.5])
    x = torch.randn(3, 5, 2)
    z, e = encoder(x, dt=torch.rand(3, 5))
    np.testing.assert_allclose(z, (x.numpy() - [1.0, -2.0]) / [2.0, 0.5], rtol=1e-6)
    assert e == encoder.initial(3) == encoder.state_spec() == ()
    assert encoder.outputs == 2


def test_identity_refuses_nan_with_its_place_but_not_in_the_padding() -> None:
    encoder = Identity([0.0, 0.0], [1.0, 1.0])
    x = torch.zeros(2, 4, 2)
    x[1, 2, 0] = NAN
    with pytest.raises(DataError, match=r"got one at row 1, time 2, column 0. Use the encoder MissingAware"):
        encoder(x)
    z, _ = encoder(x, lengths=torch.tensor([4, 2]))
    assert torch.equal(z, torch.zeros_like(x))


def test_last_value_and_age_agree_with_pandas() -> None:
    encoder = make()
    x, dt = rows(4, 50)
    z, values, e = encoder.filled(x, dt=dt)
    for b in range(4):
        frame = pd.DataFrame(x[b].numpy())
        wanted = frame.ffill().fillna({0: 1.0, 1: -1.0, 2: -2.0}).to_numpy()
        np.testing.assert_array_equal(values[b], wanted)
        np.testing.assert_allclose(z[b, :, 0], (wanted[:, 0] - 1.0) / 2.0)
        np.testing.assert_allclose(z[b, :, 1], (wanted[:, 2] + 2.0) / 0.5)
        np.testing.assert_array_equal(e.value[b], wanted[-1])
        clock = dt[b].numpy().cumsum()
        seen_at = frame.notna().mul(clock, axis=0).replace(0.0, np.nan).ffill().fillna(0.0).to_numpy()
        age = clock[:, None] - seen_at
        np.testing.assert_allclose(z[b, :, 7:], np.log1p(age[:, [0, 2]]), atol=1e-12)
        np.testing.assert_allclose(e.age[b], age[-1], atol=1e-12)
    np.testing.assert_array_equal(z[..., 5:7], ~np.isnan(x[..., [0, 2]].numpy()))


def test_categories_are_one_of_k_and_nothing_where_missing_or_unknown() -> None:
    x = torch.tensor([[[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, NAN, 0.0], [0.0, 7.0, 0.0]]]).double()
    z, _ = make()(x)
    assert z[0, :, 2:5].tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_only_features_said_to_be_missing_are_marked() -> None:
    assert make().outputs == 2 + 3 + 2 * 2
    plain = make((False, False, False))
    x, dt = rows(2, 6)
    z, _ = plain(x, dt=dt)
    assert z.shape == (2, 6, plain.outputs) == (2, 6, 5)
    assert torch.isfinite(z).all()


def test_ages_are_counted_in_median_dt() -> None:
    encoder = MissingAware([NUMBER], [0.0], [1.0], [True], median_dt=10.0)
    z, e = encoder(torch.tensor([[[1.0], [NAN], [NAN]]]), dt=10.0)
    assert z[0, :, 2].tolist() == pytest.approx([0.0, math.log(2.0), math.log(3.0)])
    assert e.age.tolist() == [[20.0]]


@pytest.mark.parametrize("cut", [0, 1, 5, 12])
def test_two_halves_equal_the_whole(cut: int) -> None:
    encoder = make()
    x, dt = rows(3, 12)
    reset = torch.rand(3, 12, generator=torch.Generator().manual_seed(1)) < 0.2
    whole, e = encoder(x, dt=dt, reset=reset)
    first, between = encoder(x[:, :cut], dt=dt[:, :cut], reset=reset[:, :cut])
    second, after = encoder(x[:, cut:], between, dt=dt[:, cut:], reset=reset[:, cut:])
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(after.value, e.value, rtol=0, atol=0)
    torch.testing.assert_close(after.age, e.age, rtol=0, atol=1e-12)


def test_lengths_freeze_the_state_and_silence_the_rest() -> None:
    encoder = make()
    x, dt = rows(3, 9)
    z, e = encoder(x, dt=dt, lengths=torch.tensor([9, 4, 0]))
    for b, n in ((0, 9), (1, 4)):
        alone, f = encoder(x[b : b + 1, :n], dt=dt[b : b + 1, :n])
        torch.testing.assert_close(z[b : b + 1, :n], alone)
        assert torch.equal(e.value[b : b + 1], f.value)
        assert torch.equal(e.age[b : b + 1], f.age)
        assert not z[b, n:].any()
    assert torch.equal(e.value[2], encoder.initial(1).value[0])


def test_reset_is_a_new_sequence() -> None:
    encoder = make()
    x, dt = rows(2, 10)
    reset = torch.zeros(2, 10, dtype=torch.bool)
    reset[1, [3, 6]] = True
    z, values, e = encoder.filled(x, dt=dt, reset=reset)
    whole, _, _ = encoder.filled(x[:1], dt=dt[:1])
    torch.testing.assert_close(z[:1], whole)
    for begin, end in ((0, 3), (3, 6), (6, 10)):
        part, filled, f = encoder.filled(x[1:, begin:end], dt=dt[1:, begin:end])
        torch.testing.assert_close(z[1:, begin:end], part)
        torch.testing.assert_close(values[1:, begin:end], filled)
    torch.testing.assert_close(e.age[1:], f.age)


@pytest.mark.parametrize("dt", [2.0, torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 5.0])])
def test_dt_is_read_in_every_form(dt: float | Tensor) -> None:
    x, _ = rows(2, 4)
    wide = torch.as_tensor(dt)
    wide = wide[:, None].expand(2, 4) if wide.shape == (2,) else wide.expand(2, 4)
    torch.testing.assert_close(make()(x, dt=dt)[0], make()(x, dt=wide)[0])


def test_a_finer_unit_of_time_changes_nothing() -> None:
    slow, fast = make(), make()
    fast.scale_time(60.0)
    x, dt = rows(2, 8)
    torch.testing.assert_close(fast(x, dt=60.0 * dt)[0], slow(x, dt=dt)[0])
    Identity([0.0], [1.0]).scale_time(60.0)
    with pytest.raises(OptionError, match="`c` must be a number above 0; got -1"):
        Identity([0.0], [1.0]).scale_time(-1)


def test_a_row_does_not_depend_on_its_batch() -> None:
    x, dt = rows(5, 7)
    whole, _ = make()(x, dt=dt)
    alone, _ = make()(x[3:4], dt=dt[3:4])
    assert torch.equal(whole[3:4], alone)


def test_config_and_weights_make_it_again() -> None:
    for encoder in (make(), Identity([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]).double()):
        again = encoders.build(encoder.config()).double()
        again.load_state_dict(encoder.state_dict())
        x, dt = rows(2, 5)
        x = x.nan_to_num()
        assert torch.equal(again(x, dt=dt)[0], encoder(x, dt=dt)[0])
        assert torch.equal(copy.deepcopy(encoder)(x, dt=dt)[0], encoder(x, dt=dt)[0])


def test_compiles_and_vmaps() -> None:
    encoder = make()
    x, dt = rows(3, 6)
    eager, _ = encoder(x, dt=dt)
    torch._dynamo.reset()
    traced = torch.compile(encoder, fullgraph=True, backend="eager")
    torch.testing.assert_close(traced(x, dt=dt)[0], eager)
    mapped = torch.vmap(lambda x, dt: encoder(x[None], dt=dt[None])[0][0])(x, dt)
    torch.testing.assert_close(mapped, eager)
    plain = Identity([0.0] * 3, [1.0] * 3).double()
    x = x.nan_to_num()
    torch.testing.assert_close(torch.vmap(lambda x: plain(x[None])[0][0])(x), x)
    torch.testing.assert_close(torch.compile(plain, fullgraph=True, backend="eager")(x)[0], x)


def test_messages() -> None:
    with pytest.raises(OptionError, match="`scale` must be above 0"):
        Identity([0.0], [0.0])
    with pytest.raises(ShapeError, match=r"`scale` must have the shape \(features=2\); got \(1,\)"):
        Identity([0.0, 1.0], [1.0])
    with pytest.raises(OptionError, match="`missing` must have an entry for each of 1 means; got 2"):
        MissingAware([NUMBER], [0.0], [1.0], [True, False])
    with pytest.raises(OptionError, match="`kind` must be one of 'numeric', 'category'; got 'number'"):
        MissingAware([{"name": "a", "kind": "number", "vocabulary": []}], [0.0], [1.0], [True])
    with pytest.raises(OptionError, match=r"`kind` must be one of 'Identity', 'MissingAware', .*got 'Identiy'. Did"):
        encoders.build({"kind": "Identiy"})
    with pytest.raises(ShapeError, match=r"`x` must have the shape \(batch, time, features=3\); got \(2, 4\)"):
        make()(torch.zeros(2, 4))
    with pytest.raises(ShapeError, match=r"`dt` must be a number, \(time=4,\), \(batch=2,\) or \(2, 4\); got \(3,\)"):
        make()(torch.zeros(2, 4, 3).double(), dt=torch.ones(3))
    with pytest.raises(ShapeError, match=r"`reset` must have the shape \(batch=2, time=4\); got \(2, 3\)"):
        make()(torch.zeros(2, 4, 3).double(), reset=torch.zeros(2, 3, dtype=torch.bool))
