"""A path under /memories, seen to be one before anything is looked up by it."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

ROOT = "/memories"

_LONGEST = 1_024  # characters


class Refused(Exception):  # noqa: N818 - it is told to a model, not to people
    """A command that cannot be done; the message is for the model that gave it."""


def parts_of(path: str) -> tuple[str, ...]:
    """Give the names that a path has below /memories; () for that itself.

    Slashes that are doubled or at the end, and names ".", count for nothing. Raises Refused for a path that lies
    elsewhere, that has ".." in it anywhere, be it written with backslashes or percent signs, or that no listing could
    show: with control characters, with half of a character, or longer than 1,024 characters.
    """
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        raise Refused(f"Path must start with {ROOT}, got: {path}")
    if len(path) > _LONGEST:
        raise Refused(f"Path is {len(path):,} characters long, over the limit of {_LONGEST:,}: {path[:80]}…")
    # Ours is no file system, which ".." could lead out of, but what these files are written to one day may be.
    read = path
    while True:
        if ".." in read.replace("\\", "/").split("/"):
            raise Refused(f"Path {path} would escape {ROOT} directory")
        if (decoded := unquote(read)) == read:
            break
        read = decoded
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in path):
        raise Refused(f"Path {path!r} has a control character in it, or half of one; use another name")
    return tuple(name for name in path[len(ROOT) :].split("/") if name not in ("", "."))
