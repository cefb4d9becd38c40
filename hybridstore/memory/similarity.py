"""Notes that are much like a text: those whose cosine to it is high, or, without vectors, that share its words."""

from __future__ import annotations

from dataclasses import dataclass

from hybridstore.memory.note_storage import Place
from hybridstore.memory.visibility import fact, visible
from hybridstore.search.selection import bag, dice

ALIKE = 0.8
"""The cosine from which on notes count as similar. With the default model the same thing said in other words, or with
another value ("Anna lives in Paris", "Anna lives in Rome": 0.81), lies above it, another thing ("likes hiking", "likes
swimming": 0.52) below."""

_LOOKED = 5


@dataclass(frozen=True, slots=True)
class SimilarNote:
    """A note that is much like a text: its id, and the cosine (or the share of words) that says so."""

    id: str
    cosine: float


def similar(place: Place, text: str, least: float) -> list[SimilarNote]:
    """Give at most five notes that hold now and are like a text, the most similar first; turns are never meant."""
    where = visible(place.namespace, place.clock(), as_of=None, session=None, where=fact("kind") == "note")
    embedder = place.store.embedder()
    found: dict[str, float] = {}
    with place.store.unlogged():
        if embedder is None:
            asked = bag(text)
            for hit in place.store.search(text, where=where, mode="keyword", limit=_LOOKED):
                found.setdefault(hit.document_id, dice(asked, bag(hit.text)))
        else:
            vector = embedder.embed_documents([text])[0]
            for hit in place.store.search(text, where=where, mode="vector", vector=vector, limit=_LOOKED):
                found.setdefault(hit.document_id, hit.vector_score or 0.0)
    ids = {place.namespace.note(document): score for document, score in found.items()}
    return [SimilarNote(id_, score) for id_, score in ids.items() if id_ is not None and score >= least]
