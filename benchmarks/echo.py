"""Steps a second of a sparse reservoir, N = 1000 and 10 % of the synapses, against SciPy's and PyTorch's products.

Turn by turn in one process, on one thread, states compared first. SciPy and PyTorch are given the input's share ready
made and do nothing but a step. reservoirpy (one row; it has no batch) and ResDAG, with the same weights, are measured
where they are installed: `pip install -e '.[bench]'`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import about
from scipy.sparse import csr_array
from timing import Side, alternate, differences

from liquidtorch import EchoState

RESULTS = Path(__file__).parent / "results" / "echo.jsonl"
UNITS, LEAK = 1000, 0.4
STEPS = {1: 100, 64: 10}  # of one call
CLOSE = {torch.float64: 1e-10, torch.float32: 1e-4}


def sides(topology: str, batch: int, dtype: torch.dtype) -> list[Side]:
    """Return our layer, from x on, and the rivals, from `W_x x + b` on, over the same sequence."""
    steps = STEPS[batch]
    layer = EchoState(1, UNITS, topology=topology, density=0.1, leak=LEAK, bias=0.1).to(dtype)
    cell, x = layer.cell, torch.randn(batch, steps, 1, dtype=dtype)
    u = cell.inputs(x).transpose(0, 1).contiguous()  # (T, B, H)
    place, weight, a = cell.place_h, cell.weight, -np.expm1(-1 / float(cell.taus()[0]))
    W = _csr(place, weight)
    sparse = torch.sparse_csr_tensor(torch.from_numpy(W.indptr), torch.from_numpy(W.indices), weight, (UNITS, UNITS))
    matrix = torch.from_numpy(W.toarray())

    def scipy() -> torch.Tensor:
        h, us, found = np.zeros((UNITS, batch), u.numpy().dtype), np.ascontiguousarray(u.numpy().transpose(0, 2, 1)), []
        for now in us if batch > 1 else us[..., 0]:
            h = h if batch > 1 else h.reshape(-1)
            h = (1 - a) * h + a * np.tanh(now + W @ h)
            found.append(h)
        return torch.from_numpy(np.stack(found)).view(steps, UNITS, batch).permute(2, 0, 1)

    def torch_sparse() -> torch.Tensor:
        h, found = u.new_zeros(UNITS, batch), []
        for now in u.transpose(1, 2).contiguous():
            h = (1 - a) * h + a * torch.tanh(now + sparse @ h)
            found.append(h)
        return torch.stack(found).permute(2, 0, 1)

    def torch_dense() -> torch.Tensor:
        h, found = u.new_zeros(batch, UNITS), []
        for now in u:
            h = (1 - a) * h + a * torch.tanh(torch.addmm(now, h, matrix.T))
            found.append(h)
        return torch.stack(found, dim=1)

    work = {
        "liquidtorch": lambda: layer(x)[0],
        "scipy CSR": scipy,
        "torch CSR": torch_sparse,
        "torch dense": torch_dense,
        **_rivals(W, layer, x, float(a)),
    }
    return [_side(name, run) for name, run in work.items()]


def _rivals(W: csr_array, layer: EchoState, x: torch.Tensor, a: float) -> dict[str, Callable[[], torch.Tensor]]:
    """Return reservoirpy and ResDAG with the layer's weights, those that are installed."""
    cell, found = layer.cell, {}
    with contextlib.suppress(ImportError):
        from reservoirpy.nodes import Reservoir

        if len(x) == 1:
            node = Reservoir(W=W, Win=cell.W_x.numpy(), bias=cell.b.numpy(), lr=a, dtype=W.dtype)

            def reservoirpy() -> torch.Tensor:
                node.reset()
                return torch.from_numpy(node.run(x[0].numpy())).to(x.dtype).unsqueeze(0)

            node.run(x[0].numpy())
            found["reservoirpy"] = reservoirpy
    with contextlib.suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of sparse matrices
        from resdag.layers.reservoirs import ESNLayer

        esn = ESNLayer(UNITS, 1, topology="erdos_renyi", sparse=True, leak_rate=a, spectral_radius=0.9, dtype=x.dtype)
        own = {"_hh_crow_indices": W.indptr, "_hh_col_indices": W.indices, "_hh_values": W.data}
        for name, values in own.items():
            given = getattr(esn.cell, name)
            given.data = torch.from_numpy(values).to(given.dtype)
        esn.cell.weight_feedback.data.copy_(cell.W_x)
        esn.cell.bias_h.data.copy_(cell.b)

        def resdag() -> torch.Tensor:
            esn.reset_state()
            return esn(x)

        found["ResDAG"] = resdag
    return found


def _csr(place: torch.Tensor, weight: torch.Tensor) -> csr_array:
    start = np.searchsorted(place.numpy(), np.arange(UNITS + 1) * UNITS).astype(np.int32)
    return csr_array((weight.numpy(), (place % UNITS).numpy().astype(np.int32), start), shape=(UNITS, UNITS))


def _side(name: str, run: Callable[[], torch.Tensor]) -> Side:
    return Side(name, torch.no_grad()(run), lambda: None, lambda: {"output": torch.no_grad()(run)()})


def stepper() -> dict[str, float]:
    """Return steps a second of the compiled stepper, Python's share included, in float64."""
    found = {}
    for topology in ("random", "blocked"):
        step = EchoState(1, UNITS, topology=topology, leak=LEAK).double().stepper()
        rows = list(np.random.default_rng(0).normal(size=(100, 1)))
        side = Side(topology, lambda rows=rows, step=step: [step(x) for x in rows], lambda: None, None, calls=100)
        found[topology] = float(f"{1 / min(alternate([side], [1], 30)[topology, 1].seconds):.4g}")
    return found


def measured(topology: str, batch: int, dtype: torch.dtype, repeats: int) -> dict[str, Any]:
    """Return what is written of one work; raise where a rival computes something else."""
    both = sides(topology, batch, dtype)
    expected = both[0].answer()  # pyright: ignore
    off = {side.name: differences(expected, side.answer())["output"] for side in both[1:]}  # pyright: ignore
    assert max(off.values()) < CLOSE[dtype], off
    times = alternate(both, [1], repeats)
    best = {side.name: batch * STEPS[batch] / min(times[side.name, 1].seconds) for side in both}
    middle = {side.name: times[side.name, 1].summary() for side in both}
    line = {"row": f"echo-{topology}-B{batch}-{str(dtype)[6:]}", "units": UNITS, "density": 0.1, "threads": 1}
    line |= {"rows_per_second": {name: float(f"{rate:.4g}") for name, rate in best.items()}, "ms": middle, "off": off}
    return line


def main() -> None:
    """Measure, print and, without `--quick`, add to the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="3 turns, and no line is added to the results")
    asked = parser.parse_args()
    torch.manual_seed(0)
    works = [(t, b, d) for d in (torch.float64, torch.float32) for b in STEPS for t in ("random", "blocked")]
    lines = [measured(*work, 3 if asked.quick else asked.repeat) for work in works]
    lines.append({"row": "echo-stepper-float64", "rows_per_second": stepper()})
    for line in lines:
        rates = line["rows_per_second"]
        print(line["row"], ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items()), flush=True)
        if not asked.quick:
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a") as results:
                results.write(json.dumps({**line, **about()}) + "\n")


if __name__ == "__main__":
    main()
