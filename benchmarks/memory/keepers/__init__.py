"""The systems that keep and recall one note at a time, one file each; `named` imports only the one asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from .base import Keeper

# name: (module, class). The order is that of the tables.
NAMES = {
    "hybridstore": ("hybridstore_", "Hybridstore"),
    "naive": ("naive", "Naive"),
    "vstash": ("vstash_", "Vstash"),
    "vstash-default": ("vstash_", "VstashDefault"),
}


def named(name: str) -> type[Keeper]:
    """Give a system's class. Its module imports none of the system's packages until it is opened."""
    module, kind = NAMES[name]
    found: type[Keeper] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found


def missing(name: str) -> str | None:
    """Say what a system needs that is not installed here; None if it is all there."""
    gone = [module for module in named(name).needs if find_spec(module) is None]
    return f"{' and '.join(gone)} is not installed" if gone else None
