"""Every cell over a sequence on a CUDA device: the Triton kernels, the reference, the reference compiled, cuDNN's GRU.

First the kernels' results and gradients are checked against the reference in float64; only then a pass forward and
back is timed (CUDA events, the candidates in turn, median of 50). The card's own matrix product and copy stand beside.

    python benchmarks/on_cuda.py --cells liquid ltc --batch 64 --T 256 --units 64

Adds one JSON object a cell and shape to benchmarks/results/cuda.jsonl. Without a CUDA device it says so and exits 2.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import liquidtorch
from liquidtorch import LTC, CfC, Leaky, Linear, Liquid, Mobius, Recurrent, ops

FEATURES, TIMES = 16, 50
TOLERANCE = 1e-4  # of the largest number: float32 after hundreds of steps
RESULTS = Path(__file__).parent / "results" / "cuda.jsonl"
CELLS: dict[str, Callable[[int], nn.Module]] = {
    "leaky": lambda units: Recurrent(Leaky(FEATURES, units)),
    "liquid": lambda units: Recurrent(Liquid(FEATURES, units)),
    "ltc": lambda units: Recurrent(LTC(FEATURES, units)),
    "cfc": lambda units: Recurrent(CfC(FEATURES, units)),
    "linear": lambda units: Recurrent(Linear(FEATURES, units)),
    "mobius": lambda units: Recurrent(Mobius(FEATURES, units)),
}


def learn(net: nn.Module, x: Tensor) -> list[Tensor]:
    """Go forward and back once; return the output and all gradients."""
    for p in net.parameters():
        p.grad = None
    x = x.detach().requires_grad_()
    y = net(x)[0]
    y.square().mean().backward()
    return [y.detach(), *(a.grad for a in (x, *net.parameters()) if a.grad is not None)]


def error(net: nn.Module, x: Tensor) -> float:
    """Return how far the kernels are from the reference in float64, in parts of the largest number, at the worst."""
    with ops.use("fast"):
        found = learn(net, x)
    with ops.use("reference"):
        wanted = learn(copy.deepcopy(net).double(), x.double())
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, wanted, strict=True))


def times(candidates: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median time of each in milliseconds, measured in turn."""
    for run in candidates.values():
        for _ in range(3):
            run()
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(TIMES):
        for name, run in candidates.items():
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            began.record()
            run()
            ended.record()
            torch.cuda.synchronize()
            found[name].append(began.elapsed_time(ended))
    return {name: statistics.median(spent) for name, spent in found.items()}


def peaks() -> dict[str, float]:
    """Return what the card itself reaches: float32 products in TFLOP/s, a copy in GB/s."""
    a, b = torch.randn(2, 4096, 4096, device="cuda")
    c, d = torch.empty(2, 1 << 28, device="cuda")
    spent = times({"product": lambda: a @ b, "copy": lambda: d.copy_(c)})
    return {
        "product_tflops": 2 * 4096**3 / spent["product"] / 1e9,
        "copy_gbs": 2 * c.numel() * c.element_size() / spent["copy"] / 1e6,
    }


def compiled(net: nn.Module, x: Tensor) -> Callable[[], object] | None:
    """Return a pass of the compiled reference, or None, saying why, where the compiler gives up."""
    fast = torch.compile(net)
    try:
        learn(fast, x)
    except Exception as e:
        print(f"torch.compile gives up: {str(e).splitlines()[0]}")
        return None
    return lambda: learn(fast, x)


def measure(name: str, batch: int, T: int, units: int) -> dict[str, object]:
    """Check and time one cell at one shape."""
    torch.manual_seed(0)
    net, gru = CELLS[name](units).cuda(), nn.GRU(FEATURES, units, batch_first=True).cuda()
    x = torch.randn(batch, T, FEATURES, device="cuda")
    off = error(net, x)
    if not off <= TOLERANCE:
        sys.exit(f"{name}: the kernels are off by {off:.2g}, more than {TOLERANCE}; nothing is timed")

    def by(which: str, run: Callable[[], object]) -> Callable[[], object]:
        def inside() -> object:
            with ops.use(which):
                return run()

        return inside

    candidates = {
        "kernels": by("fast", lambda: learn(net, x)), "reference": by("reference", lambda: learn(net, x)),
        "gru": lambda: learn(gru, x),
    }  # fmt: skip
    with ops.use("reference"):
        run = compiled(net, x)
    if run is not None:
        candidates["compiled"] = by("reference", run)
    spent = times(candidates)
    return {"cell": name, "batch": batch, "T": T, "units": units, "features": FEATURES, "error": off, "ms": spent}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--batch", type=int, nargs="+", default=[64])
    parser.add_argument("--T", type=int, nargs="+", default=[256])
    parser.add_argument("--units", type=int, nargs="+", default=[64, 256])
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks/on_cuda.py needs a CUDA device; there is none here.", file=sys.stderr)
        sys.exit(2)
    card = torch.cuda.get_device_properties(0)
    about = {
        "card": card.name, "processors": card.multi_processor_count, **peaks(),
        "what": ops.backend("leaky", torch.empty(0, device="cuda")),
        "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "torch": torch.__version__,
        "liquidtorch": liquidtorch.__version__,
    }  # fmt: skip
    print(json.dumps(about, indent=1))
    RESULTS.parent.mkdir(exist_ok=True)
    for units in asked.units:
        for batch in asked.batch:
            for T in asked.T:
                for name in asked.cells:
                    line = measure(name, batch, T, units) | about
                    print({key: line[key] for key in ("cell", "batch", "T", "units", "error", "ms")}, flush=True)
                    with RESULTS.open("a") as results:
                        results.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
