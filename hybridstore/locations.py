"""Where a store is: a path, or the URL of one on a server; and how a location is shown without its secrets."""

from __future__ import annotations

import re
from typing import TypeGuard

_SERVER = re.compile(r"\s*postgres(ql)?:", re.IGNORECASE)


def is_url(location: str) -> bool:
    """Return whether a location is that of a store on a server, well written or not."""
    return _SERVER.match(location) is not None


def is_address(place: object) -> TypeGuard[str]:
    """Return whether a place to exchange with is the address of a store's HTTP server, rather than a folder."""
    return isinstance(place, str) and place.lower().startswith(("http://", "https://"))


def without_secrets(location: str) -> str:
    """Return a location for a message: of a URL nothing but its scheme, where the rest could hold a password."""
    scheme, separator, rest = location.partition("://")
    if separator and ("@" in rest or "?" in rest):
        return f"{scheme}://…"
    return "postgresql://…" if is_url(location) else location
