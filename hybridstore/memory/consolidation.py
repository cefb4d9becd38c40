"""Consolidating: of notes that say the same, one is kept, and the others become its history.

No model decides: notes are compared by the vectors and words that are stored. What is hidden by mistake is a fact lost,
so much must agree besides: `sameness` says what of the texts, and what else is known of the notes must be the same. Two
notes of the same words that happened at different times are two events; of different sessions or metadata, they are
found by different filters.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hybridstore.backends.learning import Feedback
from hybridstore.errors import InputError
from hybridstore.memory.note_storage import NoteChange, Place, StoredNote, ended
from hybridstore.memory.notes import Note, note_of
from hybridstore.memory.similarity import check_similarity, says_the_same, significant_tokens
from hybridstore.memory.visibility import fact, visible
from hybridstore.search.selection import bag, dice

KEEP = ("newest", "used")

_AT_ONCE = 2000  # notes whose chunks, or vectors, are in memory together: 3 MB of vectors
_CHANGED = 100  # clusters that are written in one step, each whole or not at all
_ROUNDING = 1e-6  # what float32 takes from the cosine of a vector to itself

Chunks = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Notes that say the same: the one that is `kept`, and the others, which it supersedes.

    `similarity` is the lowest cosine of one of these to the kept one, or where there are no vectors to compare, the
    lowest share of words (Dice's coefficient).
    """

    kept: Note
    others: tuple[Note, ...]
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidation:
    """What was consolidated, or with `dry_run` would be."""

    clusters: tuple[Cluster, ...]
    dry_run: bool


def consolidate(place: Place, *, dry_run: bool, keep: str, similarity: float) -> Consolidation:
    """Find the notes that say the same, and unless it is a dry run, let one of each cluster supersede the others."""
    if keep not in KEEP:
        raise InputError(f"keep is one of {', '.join(KEEP)}, not {keep!r}")
    check_similarity(similarity)
    store = place.store
    with store.snapshot():
        told: dict[str, list[Feedback]] = defaultdict(list)
        for word in store.learning.feedback():
            told[word.document_id].append(word)
        groups = _groups(place)
        for group in groups:
            group.sort(key=lambda note: _worth(note, told if keep == "used" else {}))
        chunks = _chunks(place, [note.uri for group in groups for note in group])
        clusters = [cluster for group in groups for cluster in _clusters(place, group, chunks, similarity)]
    if not dry_run:
        steps = (clusters[first : first + _CHANGED] for first in range(0, len(clusters), _CHANGED))
        clusters = [cluster for step in steps for cluster in _superseded(place, step)]
    return Consolidation(clusters=tuple(clusters), dry_run=dry_run)


def _groups(place: Place) -> list[list[Note]]:
    """Give the notes that hold now, by all that must agree, where there are several; in the order they were kept."""
    wanted = visible(place.namespace, place.clock(), as_of=None, session=None, where=fact("kind") == "note")
    found: dict[tuple[object, ...], list[Note]] = {}
    for document in place.store.documents(wanted):
        note = note_of(str(document.id), document.text, document.metadata)
        found.setdefault(_facts(note), []).append(note)
    return [group for group in found.values() if len(group) > 1]


def _facts(note: Note) -> tuple[object, ...]:
    metadata = json.dumps(note.metadata, sort_keys=True)
    return (
        significant_tokens(note.text),
        metadata,
        note.session,
        note.speaker,
        note.occurred_at,
        note.valid_to,
        note.format,
    )


def _worth(note: Note, told: Mapping[str, Sequence[Feedback]]) -> tuple[int, float, str]:
    used = sum(word.used for word in told.get(note.uri, ()))
    return -used, -note.recorded_at.timestamp() if note.recorded_at else 0.0, note.id


def _chunks(place: Place, uris: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for first in range(0, len(uris), _AT_ONCE):
        found |= place.store.chunks.of(uris[first : first + _AT_ONCE])
    return found


def _clusters(place: Place, group: Sequence[Note], chunks: Chunks, least: float) -> Iterator[Cluster]:
    """Give the clusters of a group, the most worth keeping first: each note joins the first kept one that it is like.

    It is held against that one alone. If it could join by being like another that joined, small differences would add
    up.
    """
    left = list(group)
    while left:
        kept, *rest = left
        scores = _likeness(place, kept, rest, chunks)
        alike = [(note, score) for note, score in zip(rest, scores, strict=True) if score is not None]
        alike = [(note, score) for note, score in alike if score >= least - _ROUNDING]
        if alike:
            yield Cluster(
                kept=kept,
                others=tuple(note for note, _ in alike),
                similarity=min(1.0, *(score for _, score in alike)),
            )
        joined = {note.id for note, _ in alike}
        left = [note for note in rest if note.id not in joined]


def _likeness(place: Place, kept: Note, others: Sequence[Note], chunks: Chunks) -> list[float | None]:
    """Give how like each note is to the kept one, None for what does not say the same.

    Of one chunk each they are compared by their vectors too; longer ones, whose parts may differ, are the same or not.
    """
    found: list[float | None] = []
    own = chunks.get(kept.uri, ())
    for first in range(0, len(others), _AT_ONCE):
        some = others[first : first + _AT_ONCE]
        short = [note for note in some if len(own) == len(chunks.get(note.uri, ())) == 1]
        vectors = place.store.chunks.vectors([*own[:1], *(chunks[note.uri][0] for note in short)])
        known = [bool(vector.any()) for vector in vectors]  # one of zeros is none
        cosines = {
            note.id: float(vector @ vectors[0])
            for note, vector, there in zip(short, vectors[1:], known[1:], strict=True)
            if there and known[0]
        }
        single = {note.id for note in short}
        found += [_alike(kept.text, note.text, cosines.get(note.id), short=note.id in single) for note in some]
    return found


def _alike(text: str, other: str, cosine: float | None, *, short: bool) -> float | None:
    if not says_the_same(text, other, exactly=not short):
        return None
    return dice(bag(text), bag(other)) if cosine is None else cosine


def _superseded(place: Place, planned: Sequence[Cluster]) -> list[Cluster]:
    """Write that one note of each cluster supersedes the others, as far as they are still as they were read."""

    def decide(change: NoteChange) -> list[Cluster]:
        now = place.now()
        return [done for cluster in planned if (done := _decided(place, change, cluster, now)) is not None]

    written = place.changed(decide)
    _hand_over(place, written)
    return written


def _decided(place: Place, change: NoteChange, planned: Cluster, now: datetime) -> Cluster | None:
    kept = _still(place, planned.kept, now)
    others = [there for note in planned.others if (there := _still(place, note, now)) is not None]
    if kept is None or not others:
        return None
    note = _with(kept.note, [other.note for other in others])
    gone = [ended(other.note, note, now) for other in others]
    change.replace(kept, note)
    for other, after in zip(others, gone, strict=True):
        change.replace(other, after)
    return replace(planned, kept=note, others=tuple(gone))


def _still(place: Place, planned: Note, now: datetime) -> StoredNote | None:
    there = place.read(planned.id)
    if there is None or there.note.text != planned.text or not there.note.holds(now):
        return None
    return there if _facts(there.note) == _facts(planned) else None


def _with(kept: Note, others: Sequence[Note]) -> Note:
    """Give the kept note as it stands for the others: linked to what they were, and living as long as any of them."""
    ids = [note.id for note in others]
    links = dict.fromkeys(link for note in (kept, *others) for link in note.links)
    ends = [note.expires_at for note in (kept, *others)]
    return replace(
        kept,
        supersedes=tuple(dict.fromkeys((*kept.supersedes, *ids))),
        links=tuple(link for link in links if link not in {kept.id, *ids}),
        expires_at=None if None in ends else max(end for end in ends if end is not None),
    )


def _hand_over(place: Place, done: Sequence[Cluster]) -> None:
    """Give what was said about the others to the kept ones: these are what is found from now on."""
    chunks = _chunks(place, [note.uri for cluster in done for note in (cluster.kept, *cluster.others)])
    place.store.learning.hand_over(
        {
            old: new
            for cluster in done
            for other in cluster.others
            for old, new in zip(chunks.get(other.uri, ()), chunks.get(cluster.kept.uri, ()), strict=False)
        }
    )


__all__ = ["KEEP", "Cluster", "Consolidation", "consolidate"]
