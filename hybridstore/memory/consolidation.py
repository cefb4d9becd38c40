"""Similarity of notes, and consolidation: of several that say the same, one is kept, and the others become its history.

Neither the cosine nor a count of words can tell a fact from its correction: "not", another number or another name
leaves a long text nearly what it was, and "Anna owes Ben" has the words of "Ben owes Anna". So a text is hidden as a
repetition only if it differs in case, white space, punctuation and a few empty words, and in nothing else. Notes must
also agree in metadata, session, speaker and times: notes of the same words from different times are two events, and
notes of different sessions or metadata are found by different filters.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hybridstore.backends.learning import Feedback
from hybridstore.errors import InputError
from hybridstore.memory.note_space import NoteChange, NoteSpace, StoredNote, ended, fact
from hybridstore.memory.notes import Note
from hybridstore.search.query_plan import has_words
from hybridstore.search.selection import bag, dice, normalised, same_words
from hybridstore.store.chunk_vectors import vectors_of
from hybridstore.text.normalisation import normal_form

SIMILAR = 0.8
"""The cosine from which on notes count as similar. With the default model the same thing said in other words, or with
another value ("Anna lives in Paris", "Anna lives in Rome": 0.81), lies above it, another thing ("likes hiking", "likes
swimming": 0.52) below."""

_LIMIT = 5
_TOKEN = re.compile(  # a number with its sign, a word, one character of scripts without spaces, or a meaningful sign
    r"(?:(?<!\w)[-+])?\d+(?:[.,:/–-]\d+)*"
    "|[^\\W\\d\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+(?:'[^\\W\\d]+)*"
    "|\\w"
    r"|(?<!\w)-|-(?!\w)"  # between letters a hyphen is often left out
    r"|[^\s\w.,;:!…\"'`´“”„‚‘«»()\[\]{}–—-]"
)
# Words that may be missing: none of them denies, counts, compares, points, or says when or who.
_EMPTY_WORDS = frozenset(("the", "an", "also", "actually", "indeed", "please"))

KEEP = ("newest", "used")
_BATCH = 2000  # notes whose chunks, or vectors, are in memory together: 3 MB of vectors
_WRITTEN = 100  # clusters that are written in one step
_ROUNDING = 1e-6  # what float32 takes from the cosine of a vector to itself
Chunks = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class SimilarNote:
    """A note similar to a text: its id, and the cosine (without vectors, the share of words)."""

    id: str
    cosine: float


def check_similarity(similarity: object) -> None:
    """Raise InputError unless this is a cosine that notes can be compared by."""
    if isinstance(similarity, bool) or not isinstance(similarity, int | float) or not 0.0 < similarity <= 1.0:
        raise InputError(f"similarity must be a cosine above 0 and at most 1, not {similarity!r}")


def find_similar(space: NoteSpace, text: str, threshold: float) -> list[SimilarNote]:
    """Return at most five valid notes (never turns) whose similarity to a text is at least `threshold`, best first."""
    where = space.visible(where=fact("kind") == "note")
    embedder = space.store.embedder()
    scores: dict[str, float] = {}
    with space.store.unlogged():
        if embedder is None and has_words(text):
            words = bag(text)
            for hit in space.store.search(text, where=where, mode="keyword", limit=_LIMIT):
                scores.setdefault(hit.document_id, dice(words, bag(hit.text)))
        elif embedder is not None:
            vector = vectors_of(embedder, [text])[0]
            for hit in space.store.search(text, where=where, mode="vector", vector=vector, limit=_LIMIT):
                scores.setdefault(hit.document_id, hit.vector_score or 0.0)
    ids = {space.namespace.note(document): score for document, score in scores.items()}
    return [SimilarNote(id_, score) for id_, score in ids.items() if id_ is not None and score >= threshold]


def significant_tokens(text: str) -> tuple[str, ...]:
    """Return the words, numbers and signs that must be equal, in order, in texts that say the same.

    A text without any is returned as it is. Forms of characters count: 10² is not 102.
    """
    tokens = _TOKEN.findall(normal_form("NFC", text).casefold().replace("’", "'"))
    return tuple(token for token in tokens if token not in _EMPTY_WORDS) or tuple(tokens) or (text,)


def says_the_same(text: str, other: str, *, exactly: bool = False) -> bool:
    """Return whether texts with the same significant tokens also have nearly the same words and the same numbers.

    With `exactly` they may differ in case and white space only.
    """
    return normalised(text) == normalised(other) or (not exactly and same_words(bag(text), bag(other)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Notes that say the same: the one that is `kept`, and the others, which it supersedes.

    `similarity` is the lowest cosine between one of these and the kept one, or without vectors the lowest share of
    words (Dice's coefficient).
    """

    kept: Note
    others: tuple[Note, ...]
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidation:
    """What was consolidated, or with `dry_run` would be."""

    clusters: tuple[Cluster, ...]
    dry_run: bool


def consolidate(space: NoteSpace, *, dry_run: bool, keep: str, similarity: float) -> Consolidation:
    """Find notes that say the same and, unless it is a dry run, let one of each cluster supersede the others."""
    if keep not in KEEP:
        raise InputError(f"keep must be one of {', '.join(KEEP)}, not {keep!r}")
    check_similarity(similarity)
    with space.store.snapshot():
        feedback: dict[str, list[Feedback]] = defaultdict(list)
        for entry in space.store.learning.feedback():
            feedback[entry.document_id].append(entry)
        groups = _groups(space)
        for group in groups:
            group.sort(key=lambda note: _rank(note, feedback if keep == "used" else {}))
        chunks = _chunks(space, [note.uri for group in groups for note in group])
        clusters = [cluster for group in groups for cluster in _clusters(space, group, chunks, similarity)]
    if not dry_run:
        batches = (clusters[first : first + _WRITTEN] for first in range(0, len(clusters), _WRITTEN))
        clusters = [cluster for batch in batches for cluster in _write(space, batch)]
    return Consolidation(clusters=tuple(clusters), dry_run=dry_run)


def _groups(space: NoteSpace) -> list[list[Note]]:
    """Return the valid notes in groups that agree in everything but nearly equal texts, in the order of storing."""
    groups: dict[tuple[object, ...], list[Note]] = {}
    for note in space.notes(space.visible(where=fact("kind") == "note")):
        groups.setdefault(_group_key(note), []).append(note)
    return [group for group in groups.values() if len(group) > 1]


def _group_key(note: Note) -> tuple[object, ...]:
    metadata = json.dumps(note.metadata, sort_keys=True)
    tokens = significant_tokens(note.text)
    return (tokens, metadata, note.session, note.speaker, note.occurred_at, note.valid_to, note.format)


def _rank(note: Note, feedback: Mapping[str, Sequence[Feedback]]) -> tuple[int, float, str]:
    used = sum(entry.used for entry in feedback.get(note.uri, ()))
    return -used, -note.recorded_at.timestamp() if note.recorded_at else 0.0, note.id


def _chunks(space: NoteSpace, uris: Sequence[str]) -> dict[str, list[int]]:
    chunks: dict[str, list[int]] = {}
    for first in range(0, len(uris), _BATCH):
        chunks |= space.store.chunks.of(uris[first : first + _BATCH])
    return chunks


def _clusters(space: NoteSpace, group: Sequence[Note], chunks: Chunks, threshold: float) -> Iterator[Cluster]:
    """Yield the clusters of a group, which comes in order of preference: each note joins the first similar kept one.

    It is compared with that one alone. If it could join by being similar to another that joined, small differences
    would add up.
    """
    rest = list(group)
    while rest:
        kept, *candidates = rest
        scores = zip(candidates, _scores(space, kept, candidates, chunks), strict=True)
        same = [(note, score) for note, score in scores if score is not None and score >= threshold - _ROUNDING]
        if same:
            yield Cluster(
                kept=kept, others=tuple(note for note, _ in same), similarity=min(1.0, *(score for _, score in same))
            )
        joined = {note.id for note, _ in same}
        rest = [note for note in candidates if note.id not in joined]


def _scores(space: NoteSpace, kept: Note, others: Sequence[Note], chunks: Chunks) -> list[float | None]:
    """Return the similarity of each note to the kept one, None for one that does not say the same.

    Notes of one chunk each are compared by their vectors too; longer ones, whose parts may differ, must be equal.
    """
    scores: list[float | None] = []
    own = chunks.get(kept.uri, ())
    for first in range(0, len(others), _BATCH):
        batch = others[first : first + _BATCH]
        short = [note for note in batch if len(own) == len(chunks.get(note.uri, ())) == 1]
        vectors = space.store.chunks.vectors([*own[:1], *(chunks[note.uri][0] for note in short)])
        present = [bool(vector.any()) for vector in vectors]  # zeros: no vector
        cosines = {
            note.id: float(vector @ vectors[0]) if has_vector and present[0] else None
            for note, vector, has_vector in zip(short, vectors[1:], present[1:], strict=True)
        }
        scores += [_score(kept.text, note.text, cosines.get(note.id), short=note.id in cosines) for note in batch]
    return scores


def _score(text: str, other: str, cosine: float | None, *, short: bool) -> float | None:
    if not says_the_same(text, other, exactly=not short):
        return None
    return dice(bag(text), bag(other)) if cosine is None else cosine


def _write(space: NoteSpace, planned: Sequence[Cluster]) -> list[Cluster]:
    """Let the kept note of each cluster supersede the others, as far as they are unchanged; return what was written."""

    def decide(change: NoteChange) -> list[Cluster]:
        now = space.now()
        return [done for cluster in planned if (done := _supersede(space, change, cluster, now)) is not None]

    written = space.change(decide)
    _move_feedback(space, written)
    return written


def _supersede(space: NoteSpace, change: NoteChange, planned: Cluster, now: datetime) -> Cluster | None:
    kept = _unchanged(space, planned.kept, now)
    others = [stored for note in planned.others if (stored := _unchanged(space, note, now)) is not None]
    if kept is None or not others:
        return None
    note = _absorbing(kept.note, [other.note for other in others])
    superseded = [ended(other.note, note, now) for other in others]
    change.replace(kept, note)
    for before, after in zip(others, superseded, strict=True):
        change.replace(before, after)
    return replace(planned, kept=note, others=tuple(superseded))


def _unchanged(space: NoteSpace, planned: Note, now: datetime) -> StoredNote | None:
    stored = space.read(planned.id)
    if stored is None or stored.note.text != planned.text or not stored.note.holds(now):
        return None
    return stored if _group_key(stored.note) == _group_key(planned) else None


def _absorbing(kept: Note, others: Sequence[Note]) -> Note:
    """Return the kept note with the links of the others, expiring as late as the last of them."""
    ids = [note.id for note in others]
    links = dict.fromkeys(link for note in (kept, *others) for link in note.links)
    ends = [note.expires_at for note in (kept, *others)]
    return replace(
        kept,
        supersedes=tuple(dict.fromkeys((*kept.supersedes, *ids))),
        links=tuple(link for link in links if link not in {kept.id, *ids}),
        expires_at=None if None in ends else max(end for end in ends if end is not None),
    )


def _move_feedback(space: NoteSpace, written: Sequence[Cluster]) -> None:
    """Move feedback from superseded notes to the kept ones, which are found from now on."""
    chunks = _chunks(space, [note.uri for cluster in written for note in (cluster.kept, *cluster.others)])
    space.store.learning.move_feedback(
        {
            old: new
            for cluster in written
            for other in cluster.others
            for old, new in zip(chunks.get(other.uri, ()), chunks.get(cluster.kept.uri, ()), strict=False)
        }
    )
