"""The functions of `sequences` on a CUDA device: Triton kernels."""

from __future__ import annotations

import importlib.util

import torch

DTYPES = (torch.float32, torch.float64)
MISSING, WHAT = "", ""

if importlib.util.find_spec("triton") is None:
    MISSING = "Triton is not installed"
else:
    import triton

    from .functions import cfc, leaky, linear, liquid, mobius

    WHAT = f"kernel: Triton {triton.__version__}"
    if not (triton.knobs.runtime.interpret or torch.cuda.is_available()):
        MISSING = "Triton needs a CUDA device"
