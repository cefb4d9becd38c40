"""Putting documents in the place of others in one step, on condition that these are still as they were read."""

from __future__ import annotations

from collections.abc import Iterable

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Conflict
from hybridstore.errors import InputError
from hybridstore.records import AddReport, Document
from hybridstore.store.document_checks import checked, document_from
from hybridstore.store.embedder_choice import StoreEmbedder
from hybridstore.store.inputs import Addable
from hybridstore.store.writer import Writer


def replace(
    backend: Backend, embedder: StoreEmbedder, before: Iterable[Document], after: Iterable[Addable], *, chunk: bool
) -> AddReport | None:
    """Replace documents by others, or give None where one is not as it was; see `Store.replace`."""
    old, new = _by_id(before), _by_id(map(document_from, after))
    with backend.snapshot():
        digests = backend.digests([*old, *new])
        if any(id_ not in digests or backend.get(id_).document != document for id_, document in old.items()):
            return None
    if any(id_ in digests for id_ in new if id_ not in old):
        return None
    # The digests stand for how the documents are kept too, which the documents do not tell.
    try:
        with Writer(backend, embedder, chunk=chunk, together=True) as writer:
            for id_ in old:
                if id_ not in new:
                    writer.remove(id_, stored=digests[id_])
            for id_, document in new.items():
                writer.add(document, replaces=digests.get(id_))
    except Conflict:
        return None
    return writer.report


def _by_id(documents: Iterable[Document]) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for document in map(checked, documents):
        if str(document.id) in found:
            raise InputError(f"the id {document.id!r} comes twice; each document is replaced once")
        found[str(document.id)] = document
    return found
