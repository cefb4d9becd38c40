"""The systems that store and recall one note at a time, one file each; `by_name` imports only the one requested."""

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


def by_name(name: str) -> type[Keeper]:
    """Return a system's class. Its module imports the system's packages only when it is opened."""
    module, kind = NAMES[name]
    found: type[Keeper] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found


def missing(name: str) -> str | None:
    """Return which required package of a system is not installed; None if all are."""
    gone = [module for module in by_name(name).needs if find_spec(module) is None]
    return f"{' and '.join(gone)} is not installed" if gone else None
