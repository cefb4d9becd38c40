"""What went wrong, told to a model: a sentence about what it can do, and nothing of the machine behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from hybridstore.errors import (
    EmbedderMismatch,
    HybridstoreError,
    MissingExtra,
    ModelUnavailable,
    StoreBusy,
    StoreDamaged,
    StoreRefused,
)

_TOLD = 3  # mistakes that one sentence names

# These name files and folders of the machine, and what to do about them is not the model's to do.
_BEHIND: dict[type[HybridstoreError], str] = {
    StoreBusy: "another process is writing to the store; nothing was changed, try again",
    StoreDamaged: "the store is damaged; whoever runs this server should run `hybridstore check`",
    StoreRefused: "the store cannot be used; whoever runs this server learns why from `hybridstore info`",
    EmbedderMismatch: "the store's vectors are of another embedder; whoever runs this server should start it anew",
    ModelUnavailable: "the store's embedder cannot be loaded; whoever runs this server learns why from "
    "`hybridstore doctor`",
}


def sentence(error: HybridstoreError) -> str:
    """Give an error of ours as a sentence."""
    for kind, told in _BEHIND.items():
        if isinstance(error, kind):
            return told
    if isinstance(error, MissingExtra):
        return f"{error}; whoever runs this server can do that"
    return str(error)


def misused(tool: str, mistakes: Iterable[Mapping[str, Any]]) -> str:
    """Give the mistakes that pydantic found in a tool's arguments as a sentence."""
    told = []
    for mistake in mistakes:
        name = ".".join(str(part) for part in mistake["loc"]) or "the arguments"
        what = str(mistake["msg"])
        told.append(f"{name}: {what[:1].lower()}{what[1:]}")
    more = f" (and {len(told) - _TOLD} more)" if len(told) > _TOLD else ""
    return f"{tool} was not run; {'; '.join(told[:_TOLD])}{more}"


def unknown_argument(tool: str, name: str, known: Iterable[str]) -> str:
    """Say that a tool has no such argument, and which ones it has."""
    return f"{tool} was not run; it has no argument {name!r}{_near(name, known)}"


def unknown_tool(name: str, known: Iterable[str]) -> str:
    """Say that there is no such tool here, and which ones there are."""
    return f"there is no tool {name!r} here{_near(name, known)}"


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name, names)
    if near:
        return f", did you mean {' or '.join(near)}?"
    return f"; there are {', '.join(names)}" if names else ", nor any other"
