"""From raw numbers to what a body reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import check_choice
from .encoder import Encoder
from .identity import Identity
from .missing import Memory, MissingAware

__all__ = ["Encoder", "Identity", "Memory", "MissingAware", "build"]


def build(config: Mapping[str, Any]) -> Identity | MissingAware:
    """Make an encoder from its `config()`."""
    check_choice("kind", config.get("kind"), ("Identity", "MissingAware"))
    options = {k: v for k, v in config.items() if k != "kind"}
    return Identity(**options) if config["kind"] == "Identity" else MissingAware(**options)
