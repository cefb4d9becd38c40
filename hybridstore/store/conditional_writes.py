"""Conditional writes: decided on what was read, and made only where that is still stored."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Conflict
from hybridstore.errors import FileBusy, InputError
from hybridstore.records import AddReport, Document
from hybridstore.store.document_checks import checked, document_from
from hybridstore.store.inputs import Addable
from hybridstore.store.writer import Writer

T = TypeVar("T")

_TRIES = 200  # of an update: whenever one fails, another process has succeeded


def update(backend: Backend, writer: Callable[[], Writer], decide: Callable[[Writer], T]) -> T:
    """Let `decide` read and write, and call it again where another process wrote first; see `Store.update`."""
    for attempt in range(_TRIES):
        try:
            with writer() as writing, backend.snapshot():
                result = decide(writing)
        except Conflict:
            time.sleep(random.uniform(0, 0.002 * min(attempt + 1, 20)))  # noqa: S311 - jitter, no secret
        else:
            return result
    raise FileBusy(backend.location, 0.0)


def replace(
    backend: Backend, writer: Callable[[], Writer], before: Iterable[Document], after: Iterable[Addable]
) -> AddReport | None:
    """Replace documents by others, or return None where one has changed; see `Store.replace`."""
    old, new = _by_id(before), _by_id(map(document_from, after))
    with backend.snapshot():
        digests = backend.digests([*old, *new])
        if any(id_ not in digests or backend.get(id_).document != document for id_, document in old.items()):
            return None
    if any(id_ in digests for id_ in new if id_ not in old):
        return None
    # The digests also stand for how the documents were added, which the documents do not say.
    try:
        with writer() as writing:
            for id_ in old:
                if id_ not in new:
                    writing.remove(id_, stored=digests[id_])
            for id_, document in new.items():
                writing.add(document, replaces=digests.get(id_))
    except Conflict:
        return None
    return writing.report


def _by_id(documents: Iterable[Document]) -> dict[str, Document]:
    by_id: dict[str, Document] = {}
    for document in map(checked, documents):
        if str(document.id) in by_id:
            raise InputError(f"the id {document.id!r} comes twice; each document is replaced once")
        by_id[str(document.id)] = document
    return by_id
