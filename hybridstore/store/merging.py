"""Merging: what another store holds, removed, purged and was told comes into this one, which then knows as much.

The later version of each document wins (see `backends.versions`), in whatever order stores are merged, and however
often. What was changed on both sides is kept as a copy beside the winner. Each batch is one step: a merge that was
stopped is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Conflict, Embedding, Entry, Outdated, PurgeReport, StoredDocument
from hybridstore.backends.versions import (
    MERGED,
    NOTHING,
    Removal,
    Version,
    copy_id,
    removal_key,
    removal_of,
)
from hybridstore.errors import EmbedderMismatch, InputError, NotFound, Unsupported
from hybridstore.records import Document
from hybridstore.store.changes import Changes, StoreChanges, Versions
from hybridstore.store.chunk_vectors import embedded, fill_known, known_vectors
from hybridstore.store.inputs import checked, content_digest, digest_of
from hybridstore.store.merged_learning import merge_learning

Progress = Callable[[int, int], None]

NOTE = "memory"  # the field of metadata that holds the facts of a note: see `memory.notes`
_TOGETHER, _CHARACTERS = 1_000, 4_000_000  # documents, and characters of them, that are written in one step


@dataclass(slots=True, kw_only=True)
class MergeReport:
    """What a merge brought into a store, or with `dry_run` would bring.

    `added`, `replaced`, `removed` and `purged` are ids of documents; `kept` are those that the other store holds in an
    earlier version. `conflicts` are documents that were changed on both sides, with the id of the copy that keeps the
    earlier version. `queries`, `feedback` and `expectations` count what was taken over. `pending` chunks have no vector
    after it; `embed` makes them. `ahead` is by how many seconds the other store's latest change lies in the future:
    a clock is wrong. `purge` is the proof of the purges, and `notes` are sentences for people.
    """

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    queries: int = 0
    feedback: int = 0
    expectations: int = 0
    pending: int = 0
    ahead: float = 0.0
    purge: PurgeReport | None = None
    notes: list[str] = field(default_factory=list)
    dry_run: bool = False


def merge(
    own: Backend, other: Backend, *, fits: Callable[[Embedding], bool], dry_run: bool, progress: Progress | None
) -> MergeReport:
    """Merge another store's state into this one; `fits` says whether vectors of an embedding can be taken over."""
    for backend in (own, other):
        check_merging(backend)
    _check_another(own, other)
    with other.snapshot():
        return merge_changes(own, StoreChanges(other), fits=fits, dry_run=dry_run, progress=progress)


def merge_changes(
    own: Backend,
    changes: Changes,
    *,
    fits: Callable[[Embedding], bool],
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Merge a part of another store's state, or all of it, into this one."""
    theirs = changes.embedding
    return _Merge(own, changes, theirs if theirs and fits(theirs) else None, dry_run=dry_run).run(progress)


def check_merging(backend: Backend) -> None:
    """Raise Unsupported for a store that cannot be merged."""
    if backend.capabilities.merging:
        raise Unsupported(backend.location, backend.capabilities.merging)


def _check_another(own: Backend, other: Backend) -> None:
    """Raise InputError where both are the same store."""
    same = own is other
    if ":memory:" not in (own.location, other.location):
        with suppress(OSError, ValueError):  # it has no file of its own
            same = Path(own.location).samefile(other.location)
        same = same or own.location == other.location
    if same:
        raise InputError(f"{own.location} cannot be merged with itself; name another store")


@dataclass(slots=True)
class _Step:
    """Documents to be written together, and what they are to be reported as."""

    entries: dict[str, Entry] = field(default_factory=dict)
    report: MergeReport = field(default_factory=MergeReport)
    characters: int = 0


class _Merge:
    """One merge; `vectors` is the embedding of both stores, None where vectors are not taken over."""

    def __init__(self, own: Backend, other: Changes, vectors: Embedding | None, *, dry_run: bool) -> None:
        self._own, self._other, self._vectors, self._dry_run = own, other, vectors, dry_run
        self._removals: dict[bytes, Removal] = {}
        self._gone: set[str] = set()  # what a dry run would have removed
        self.report = MergeReport(dry_run=dry_run)

    def run(self, progress: Progress | None) -> MergeReport:
        theirs = self._other.versions()
        while True:
            with suppress(Conflict):  # another process has changed what is to be removed: read again
                self._remove()
                break
        ids, done = list(theirs), 0
        while done < len(ids):
            done += self._write(theirs, ids[done : done + _TOGETHER])
            if progress:
                progress(done, len(ids))
        self._fill(theirs)
        learned = merge_learning(self._own, self._other.learned(), self._removals, dry_run=self._dry_run)
        self.report.queries, self.report.feedback, self.report.expectations = learned
        self._finish(theirs)
        return self.report

    # removals

    def _remove(self) -> None:
        """Follow the other store's removals and purges, and know of them from now on."""
        mine, known = self._own.versions(), self._own.removals()
        news = {key: row for key, there in self._other.removals().items() if (row := known.get(key, NOTHING) | there)}
        news = {key: row for key, row in news.items() if row != known.get(key, NOTHING)}
        self._removals = known | news
        if not news:
            return
        removed: dict[str, bytes] = {}
        purged: list[str] = []
        for id_ in {**mine, **{each.document_id: None for each in self._own.learning.expectations()}}:
            key, (digest, text) = removal_key(id_), mine.get(id_, (b"", ""))
            version, row = Version.of(text), self._removals.get(key, NOTHING)
            if removal_of(id_, self._removals).purges > version.purges and (id_ in mine or key in news):
                purged.append(id_)
            elif Version.of(row.version).order > version.order and id_ in mine:
                removed[id_] = digest
            elif id_ in mine and row.version:  # it is there again, in a later version
                self._removals[key] = Removal("", row.purges)
        rows = {key: self._removals[key] for key in news if self._removals[key] != known.get(key, NOTHING)}
        erased = {key: row for key, row in rows.items() if row.purges > known.get(key, NOTHING).purges}
        if not self._dry_run:
            self._erase(purged, erased, fresh=not (mine or known))
            if rows.keys() - erased or removed:
                self._own.put((), removing=removed, removals={k: row for k, row in rows.items() if k not in erased})
        self._gone = {*removed, *purged}
        self.report.removed, self.report.purged = list(removed), [id_ for id_ in purged if id_ in mine]

    def _erase(self, ids: Sequence[str], rows: Mapping[bytes, Removal], *, fresh: bool) -> None:
        """Purge documents, and whatever bytes of those that are not here any more an earlier version has left."""
        if rows and fresh:  # there never was anything
            self._own.put((), removals=rows)
        elif rows or ids:
            self.report.purge = self._own.purge(ids, removals=rows)

    # documents

    def _write(self, theirs: Versions, ids: Sequence[str]) -> int:
        """Write as many of these documents as fit into one step; return how many were seen to."""
        while True:
            mine = self._own.versions(ids)
            step, seen = _Step(), 0
            for id_ in ids:
                self._decide(step, id_, theirs[id_], None if id_ in self._gone else mine.get(id_))
                seen += 1
                if step.characters > _CHARACTERS:
                    break
            with suppress(Conflict, Outdated):  # another process has changed one of them: read again
                self._put(list(step.entries.values()))
                break
        for name in ("added", "replaced", "kept", "conflicts"):
            getattr(self.report, name).extend(getattr(step.report, name))
        self.report.unchanged += step.report.unchanged
        return seen

    def _decide(self, step: _Step, id_: str, theirs: tuple[bytes, str], mine: tuple[bytes, str] | None) -> None:
        digest, text = theirs
        version, removal = Version.of(text), removal_of(id_, self._removals) if self._removals else NOTHING
        if removal.purges > version.purges:
            return
        if mine is None:
            if Version.of(removal.version).order <= version.order:
                step.report.added.append(id_)
                self._take(step, id_, digest, text, None)
            return
        own, own_text = mine
        before = Version.of(own_text)
        if own == digest:
            step.report.unchanged += 1
            if version.order > before.order:
                step.entries[id_] = Entry(Document(text="", id=id_), digest, (), (), replaces=own, version=text)
        elif (version.order, digest) > (before.order, own):
            step.report.replaced.append(id_)
            if not version.descends_from(own):
                self._keep_copy(step, self._own, id_, own, before)
            self._take(step, id_, digest, text, own)
        else:
            step.report.kept.append(id_)
            if not before.descends_from(digest):
                self._keep_copy(step, self._other, id_, digest, version)

    def _take(self, step: _Step, id_: str, digest: bytes, version: str, replaces: bytes | None) -> None:
        if not self._dry_run:
            stored = self._other.get(id_, vectors=self._vectors is not None)
            step.entries[id_] = _entry(stored, digest, version, replaces)
            step.characters += len(stored.document.text)

    def _keep_copy(self, step: _Step, loser: Backend | Changes, id_: str, digest: bytes, version: Version) -> None:
        """Keep a version that was not known where the document got its winning one, unless a file has it."""
        name = copy_id(id_, digest)
        order, removal = replace(version, ancestors=""), removal_of(name, self._removals)
        there = self._own.versions([name]).get(name)
        if there or removal.purges > version.purges or Version.of(removal.version).order > order.order:
            return
        try:
            stored, winner = loser.get(id_, vectors=self._vectors is not None), self._pair(loser).get(id_)
        except NotFound:  # just now: what is written will be refused, and decided again
            return
        if stored.source is not None or stored.document.text == winner.document.text:
            return
        step.report.conflicts.append((id_, name))
        if not self._dry_run:
            copy, own_digest = _copy(stored, name, digest)
            step.entries[name] = _entry(copy, own_digest, str(order), None)
            step.characters += len(stored.document.text)

    def _pair(self, store: Backend | Changes) -> Backend | Changes:
        return self._other if store is self._own else self._own

    def _put(self, entries: Sequence[Entry]) -> None:
        """Write documents, with the vectors that they or unchanged chunks of theirs have."""
        if not entries or self._dry_run:
            return
        replacing = [entry for entry in entries if entry.vectors is None and entry.replaces and entry.chunks]
        known = known_vectors(self._own, [str(entry.document.id) for entry in replacing])
        passed = any(entry.vectors is not None for entry in entries)
        self._own.put(entries, embedding=self._vectors if passed else None)
        active = self._own.embeddings().active
        for entry in replacing if known and active else ():
            with suppress(EmbedderMismatch):  # a re-embedding is under way, which makes all vectors anew
                fill_known(self._own, entry, known, active)  # type: ignore[arg-type]  # not None here

    def _fill(self, theirs: Versions) -> None:
        """Take over the vectors of documents that are the same on both sides and have none here yet."""
        embeddings = self._own.embeddings()
        if self._vectors is None or self._dry_run or embeddings.active is None or embeddings.building:
            return
        missing = self._own.missing()
        ids = [id_ for id_ in dict.fromkeys(self._own.documents_of(missing.tolist())) if id_ in theirs]
        for id_, digest in self._own.digests(ids).items():
            if digest == theirs[id_][0] and (stored := self._other.get(id_, vectors=True)).vectors is not None:
                entry = _entry(stored, digest, "", None)
                known = dict(zip(entry.chunk_digests, stored.vectors, strict=True))
                with suppress(EmbedderMismatch):  # a re-embedding has begun
                    fill_known(self._own, entry, known, embeddings.active)

    # what is to be said

    def _finish(self, theirs: Versions) -> None:
        report, own = self.report, self._own
        latest = max((Version.of(text).time for _, text in theirs.values()), default="")
        report.ahead = max(_seconds(latest) - datetime.now(UTC).timestamp(), 0.0)
        embeddings, other = own.embeddings(), self._other.embedding
        if own.language != self._other.language:
            report.notes.append(
                f"the other store's language is {self._other.language}; here its text is indexed as {own.language}"
            )
        if other and self._vectors is None:
            report.notes.append(f"vectors of {other.fingerprint} do not fit this store, so they were not taken over")
        if self._dry_run:
            return
        if not own.removals(MERGED):
            own.put((), removals=MERGED)
        report.pending = own.pending_count() if embeddings.active and not embeddings.building else 0
        measured = self._other.calibration
        if self._vectors and measured and own.state().calibration is None:
            own.calibrate(replace(measured, agreement={}))


def _entry(stored: StoredDocument, digest: bytes, version: str, replaces: bytes | None) -> Entry:
    document = checked(stored.document)
    digests = [digest_of(embedded(document, chunk)) for chunk in stored.chunks]
    return Entry(document, digest, stored.chunks, digests, stored.vectors, replaces=replaces, version=version)


def _copy(stored: StoredDocument, name: str, digest: bytes) -> tuple[StoredDocument, bytes]:
    """Return a document under the id of its copy, and its digest; an address that is its id goes with it.

    The copy of a note names it, so that `recall` can tell; that of a turn is a note, as its place is taken.
    """
    before = stored.document
    if before.uri != before.id:
        return replace(stored, document=replace(before, id=name)), digest
    metadata = dict(before.metadata)
    if isinstance(facts := metadata.get(NOTE), Mapping):
        kept = {key: value for key, value in facts.items() if key != "turn"}
        metadata[NOTE] = kept | {"kind": "note", "copy_of": before.id}
    document = replace(before, id=name, uri=name, metadata=metadata)
    whole = digest == content_digest(before, whole=True)
    return replace(stored, document=document), content_digest(document, whole=whole)


def _seconds(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
