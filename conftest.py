"""What pytest does not collect where an optional package is missing."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["liquidtorch/ops/triton/*.py"]
