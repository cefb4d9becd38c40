"""What callers say about what they recalled, kept with the chunks, so that the store can learn from it."""

from __future__ import annotations

from collections.abc import Iterable

from hybridstore.errors import InputError, NotFound
from hybridstore.memory.note_storage import Place
from hybridstore.memory.notes import note_of
from hybridstore.memory.recall_result import Recall, Recalled


def note_feedback(place: Place, recall: Recall, *, used: Iterable[str], unused: Iterable[str]) -> None:
    """Keep a word on each of the chunks that were recalled of these notes.

    Raises InputError for an id that was not recalled, and NotFound for a note that was forgotten or got another text
    meanwhile, before any word is kept.
    """
    told: dict[int, tuple[Recalled, bool]] = {}
    for given, verdict in ((used, True), (unused, False)):
        for id_ in [given] if isinstance(given, str) else given:
            items = [item for item in recall if item.id == id_]
            if not items:
                raise InputError(f"{id_!r} is not among what was recalled; its items have their ids as `id`")
            told |= {item.chunk_id: (item, verdict) for item in items}
    words = [(_chunk(place, item), verdict) for item, verdict in told.values()]
    for chunk, verdict in words:
        place.store.feedback(recall.query, chunk, used=verdict)


def _chunk(place: Place, item: Recalled) -> int:
    """Give the chunk that was recalled, or that stands in its place: of a note whose facts changed, chunks are new."""
    store = place.store
    with store.snapshot():
        if store.chunks.documents([item.chunk_id]):
            return item.chunk_id
        chunks = store.chunks.of([item.uri]).get(item.uri, ())
        for passage in store.chunks.passages(chunks):
            here = note_of(passage.document_id, passage.text, passage.metadata)
            if (passage.start, passage.end, here.text) == (item.start, item.end, item.text):
                return passage.chunk
    raise NotFound(item.id, f"the note {item.id!r} was forgotten or changed since it was recalled; recall it again")
