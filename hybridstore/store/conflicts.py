"""Conflicts: documents that were changed in two stores before these were merged, and the copies that keep the loser."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from hybridstore.backends.protocols import Backend
from hybridstore.backends.versions import original_id, purged_with
from hybridstore.errors import InputError, NotFound
from hybridstore.store.inputs import content_digest
from hybridstore.store.merging import NOTE
from hybridstore.store.writer import Writer


def with_copies(backend: Backend, ids: Collection[str]) -> list[str]:
    """Return the ids of documents and of what is purged with them: copies, and older versions of notes."""
    named = set(ids)
    return [*ids, *(id_ for id_ in backend.ids() if id_ not in named and not named.isdisjoint(purged_with(id_)))]


def conflicts(backend: Backend) -> Iterator[tuple[str, str]]:
    """Yield the documents that were changed on two sides, each with the id of a copy that is still there."""
    for id_ in backend.ids():
        if (original := original_id(id_)) is not None:
            yield original, id_


def keep_version(backend: Backend, writer: Writer, document_id: str) -> None:
    """Let a writer remove the other versions of a document in conflict; a copy that is kept takes the document's id."""
    named = original_id(document_id) or document_id
    copies = [copy for original, copy in conflicts(backend) if original == named]
    if not copies or document_id not in {named, *copies}:
        raise InputError(f"{document_id!r} is not in conflict; `hybridstore conflicts` shows what is")
    digests = backend.digests([named, *copies])
    if document_id not in digests:
        raise NotFound(document_id)
    if document_id != named:
        stored = backend.get(document_id, vectors=True)
        before = stored.document
        metadata = dict(before.metadata)
        if isinstance(facts := metadata.get(NOTE), Mapping):
            metadata[NOTE] = {key: value for key, value in facts.items() if key != "copy_of"}
        uri = named if before.uri == document_id else before.uri
        document = replace(before, id=named, uri=uri, metadata=metadata)
        whole = digests[document_id] == content_digest(before, whole=True)
        writer.rewrite(stored, document, replaces=digests.get(named), whole=whole)
    for copy in copies:
        writer.remove(copy, stored=digests[copy])
