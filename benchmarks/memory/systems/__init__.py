"""The systems, one file each; `by_name` imports only the one requested.

Another is added here, or named on the command line as `module:Class`, where it stands behind `base.System`.
"""

from __future__ import annotations

from importlib import import_module

from hybridstore.errors import InputError

from .base import System

# name: (module, class). The order is that of the tables.
NAMES = {
    "memory": ("memory", "Remembering"),
    "adaptive": ("searches", "Adaptive"),
    "rrf": ("searches", "ReciprocalRanks"),
    "keyword": ("searches", "Keyword"),
    "vector": ("searches", "Vector"),
    "bm25s": ("bm25s_", "Bm25s"),
}


def by_name(name: str) -> type[System]:
    """Return a system's class; raises InputError with the known names for an unknown one."""
    module, colon, kind = name.partition(":")
    if not colon:
        if name not in NAMES:
            raise InputError(f"there is no system {name!r}; there are {', '.join(NAMES)}, or module:Class of your own")
        module, kind = f"{__name__}.{NAMES[name][0]}", NAMES[name][1]
    try:
        found: type[System] = getattr(import_module(module), kind)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(f"the system {name!r} cannot be had: {error}") from error
    return found
