"""The functions of `sequences` on a CUDA device: Triton kernels, or, where TRITON_INTERPRET=1, their interpreter."""

from __future__ import annotations

import importlib.util

import torch

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
LAYERS = 1000  # of a backbone: the kernels take them one by one
MISSING, WHAT = "", ""

if importlib.util.find_spec("triton") is None:
    MISSING = "Triton is not installed"
else:
    import triton

    from .functions import cfc, leaky, linear, liquid, ltc, ltc_synapses, mobius  # noqa: F401
    from .grid import interpreted

    WHAT = f"kernel: Triton {triton.__version__}" + (", interpreted" if interpreted() else "")
    if not interpreted() and not torch.cuda.is_available():
        MISSING = "Triton needs a CUDA device"
    elif not interpreted() and torch.cuda.get_device_capability() < (8, 0):
        MISSING = "Triton needs a CUDA device of compute capability 8.0 or more"
