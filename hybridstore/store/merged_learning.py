"""What a merge takes over of another store's learning: the query log, feedback and expectations.

Of the same, what was told last counts; what was forgotten stays away, by the time of the forgetting. Triples and model
versions are each store's own: they are made from the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Passage, Restriction
from hybridstore.backends.versions import NOTHING, Removal, removal_key
from hybridstore.store.embedder_choice import embedded_text
from hybridstore.store.inputs import digest_of

Removals = Mapping[bytes, Removal]

_TOGETHER = 500  # documents whose chunks are read together


@dataclass(frozen=True, slots=True)
class Learned:
    """What a store was told, as a merge takes it over; each feedback with the digest of its chunk's words."""

    queries: Sequence[LoggedQuestion] = ()
    feedback: Sequence[tuple[Feedback, bytes]] = ()
    expectations: Sequence[Expectation] = ()


def learned(backend: Backend) -> Learned:
    """Return what a store was told."""
    feedback = backend.learning.feedback()
    words: dict[int, bytes] = {}
    chunks = sorted({each.chunk for each in feedback})
    for first in range(0, len(chunks), _TOGETHER):
        passages = backend.passages(chunks[first : first + _TOGETHER])
        words.update((passage.chunk, _words(passage)) for passage in passages)
    told = [(each, words[each.chunk]) for each in feedback if each.chunk in words]
    return Learned(backend.learning.query_log(), told, backend.learning.expectations())


def merge_learning(own: Backend, there: Learned, removals: Removals, *, dry_run: bool) -> tuple[int, int, int]:
    """Take over queries, feedback and expectations; return how many of each."""
    here = own.learning
    forgotten = _forgotten(own, removals) if removals else {}
    mine = {each.query: each for each in here.query_log()}
    queries = [each for logged in there.queries if (each := _joined(logged, mine, removals)) is not None]
    feedback = _feedback(own, there, removals)
    wanted = {(each.query, each.document_id): each for each in here.expectations()}
    theirs = there.expectations
    stored = own.digests([each.document_id for each in theirs])
    expected = [
        each
        for each in theirs
        if (each.document_id in stored or not _erased(each.document_id, removals)) and _counts(each, wanted, removals)
    ]
    dropped = [each for each in wanted.values() if _until(removals, each.key) >= each.made] if removals else []
    if not dry_run and (forgotten or queries or feedback or expected or dropped):
        here.absorb(queries=queries, feedback=feedback, expectations=expected, forgotten=forgotten, dropped=dropped)
    return len(queries), len(feedback), len(expected)


def _erased(document_id: str, removals: Removals) -> bool:
    """Return whether a purge is the last that is known of a document."""
    removal = removals.get(removal_key(document_id), NOTHING)
    return removal.purges > 0 and not removal.version


def _until(removals: Removals, *keys: bytes) -> str:
    """Return the time up to which what these keys stand for was forgotten."""
    return max(removals.get(key, NOTHING).version[:20] for key in keys)


def _query(query: str) -> bytes:
    return removal_key(query, "query")


def _forgotten(own: Backend, removals: Removals) -> dict[str, str]:
    """Return the queries here of which something was forgotten elsewhere, and until when."""
    times = [(each.query, each.last) for each in own.learning.query_log()]
    times += [(each.query, each.when) for each in own.learning.feedback()]
    times += [(each.query, each.made) for each in own.learning.expectations()]
    return {query: until for query, at in times if (until := _until(removals, _query(query))) >= at}


def _joined(theirs: LoggedQuestion, mine: Mapping[str, LoggedQuestion], removals: Removals) -> LoggedQuestion | None:
    if theirs.last <= _until(removals, _query(theirs.query)):
        return None
    own = mine.get(theirs.query, theirs)
    joined = LoggedQuestion(theirs.query, max(theirs.times, own.times), max(theirs.last, own.last))
    return None if joined == mine.get(theirs.query) else joined


def _counts(theirs: Expectation, mine: Mapping[tuple[str, str], Expectation], removals: Removals) -> bool:
    if theirs.made <= _until(removals, _query(theirs.query), theirs.key):
        return False
    own = mine.get((theirs.query, theirs.document_id))
    return own is None or (theirs.made, -theirs.within) > (own.made, -own.within)


def _feedback(own: Backend, there: Learned, removals: Removals) -> list[Feedback]:
    """Return the other store's feedback that counts here, about the chunks of this store with the same words."""
    by_document: dict[str, list[tuple[Feedback, bytes]]] = defaultdict(list)
    for each, words in there.feedback:
        if each.when > _until(removals, _query(each.query)):
            by_document[each.document_id].append((each, words))
    mine = {(each.query, each.chunk): (each.when, each.used) for each in own.learning.feedback()}
    names, taken = list(by_document), dict[tuple[str, int], Feedback]()
    for first in range(0, len(names), _TOGETHER):
        some = [pair for name in names[first : first + _TOGETHER] for pair in by_document[name]]
        chunks = own.chunks_of(names[first : first + _TOGETHER], Restriction())
        here = _by_words(own.passages([chunk for own_chunks in chunks.values() for chunk in own_chunks]))
        for each, words in some:
            chunk = here.get((each.document_id, words))
            if chunk is not None and (each.when, each.used) > mine.get((each.query, chunk), ("", False)):
                mine[each.query, chunk] = (each.when, each.used)
                taken[each.query, chunk] = replace(each, chunk=chunk)
    return list(taken.values())


def _by_words(passages: Iterable[Passage]) -> dict[tuple[str, bytes], int]:
    found: dict[tuple[str, bytes], int] = {}
    for passage in passages:
        found.setdefault((passage.document_id, _words(passage)), passage.chunk)
    return found


def _words(passage: Passage) -> bytes:
    return digest_of(embedded_text(passage.title, passage.heading, passage.text))
