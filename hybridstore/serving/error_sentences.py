"""Errors as sentences for clients: what went wrong and what to do, without details of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

_NAMED = 3  # mistakes that one sentence names

# These errors name files of the machine, and only its operator can act on them.
_FOR_OPERATOR: dict[type[HybridstoreError], str] = {
    StoreBusy: "another process is writing to the store; nothing was changed, try again",
    StoreDamaged: "the store is damaged; its operator should run `hybridstore check`",
    StoreRefused: "the store cannot be used; its operator can see why with `hybridstore info`",
    EmbedderMismatch: "the store's vectors are of another embedder; the server's operator should restart it",
    ModelUnavailable: "the store's embedder cannot be loaded; its operator can see why with `hybridstore doctor`",
}


def error_sentence(error: HybridstoreError) -> str:
    """Return an error of this project as a sentence for a model, without details of the machine."""
    for kind, message in _FOR_OPERATOR.items():
        if isinstance(error, kind):
            return message
    if isinstance(error, MissingExtra):
        return f"{error}; the server's operator can do that"
    return str(error)


def misused(tool: str, mistakes: Iterable[Mapping[str, Any]]) -> str:
    """Return the mistakes that pydantic found in a tool's arguments as a sentence."""
    sentences = []
    for mistake in mistakes:
        name = ".".join(str(part) for part in mistake["loc"]) or "the arguments"
        what = str(mistake["msg"])
        sentences.append(f"{name}: {what[:1].lower()}{what[1:]}")
    more = f" (and {len(sentences) - _NAMED} more)" if len(sentences) > _NAMED else ""
    return f"{tool} was not run; {'; '.join(sentences[:_NAMED])}{more}"
