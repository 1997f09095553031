"""Learning while the network runs: rules that learn without looking back, and the optimisers that apply them."""

from __future__ import annotations
