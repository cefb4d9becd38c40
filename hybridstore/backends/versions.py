"""Versions of documents, by which stores that were changed apart come to hold the same; see docs/design.md.

Of two versions of a document the later one wins. What is later is not what a clock says alone: each change of a
document is later than the version it was made from, whatever the clocks were. A removal is a version too, without
content. A purge beats every version whose writer did not know of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from hybridstore.backends.batches import timestamp
from hybridstore.backends.values import Conflict, Entry

_TEXT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)(?: (\d{1,9}) (\d{1,9}) ((?:[0-9a-f]{6})*))?", re.ASCII)
_MARK = 6  # hexadecimal digits of a digest that tell a version's ancestors apart
_ANCESTORS = 32  # a document changed more often between two merges is taken for one that was changed on both sides


def told_after(removals: Iterable[Removal]) -> str:
    """Return the time for something that is told now: now, or the second after it was last forgotten."""
    return max(timestamp(), *(_next_second(removal.version[:20]) for removal in removals), "")


def _next_second(time_: str) -> str:
    try:
        later = datetime.fromisoformat(time_) + timedelta(seconds=1)
    except (ValueError, OverflowError):  # none, or after the year 9999
        return time_
    return later.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Version:
    """When a document was changed, and from what: a hybrid logical clock of its own, with the marks of its ancestors.

    `count` is above 0 where the clock had not reached `time` again; `purges` is how many purges of the document its
    writer knew of. As a text it is the time alone unless there is more to say.
    """

    time: str = ""
    count: int = 0
    purges: int = 0
    ancestors: str = ""

    @classmethod
    def of(cls, text: str) -> Version:
        """Return the version that a text stands for; the oldest one for a text that is none."""
        if len(text) == 20:  # nearly all: a document that was never replaced
            return cls(text)
        match = _TEXT.fullmatch(text)
        return cls(match[1], int(match[2] or 0), int(match[3] or 0), match[4] or "") if match else cls()

    def __str__(self) -> str:
        more = self.count or self.purges or self.ancestors
        return f"{self.time} {self.count} {self.purges} {self.ancestors}" if more else self.time

    @property
    def order(self) -> tuple[int, str, int, str]:
        """What versions of one document are compared by; where it is equal, by the digests of their content."""
        return self.purges, self.time, self.count, self.ancestors

    def next(self, digest: bytes, at: str) -> Version:
        """Return the version of a change at a time, by this clock; `digest` is of the content before, if it had any."""
        marks = (_mark(digest) + self.ancestors)[: _MARK * _ANCESTORS]
        late = at > self.time
        return Version(at if late else self.time, 0 if late else self.count + 1, self.purges, marks)

    def descends_from(self, digest: bytes) -> bool:
        """Return whether content of this digest came before, as far as is known."""
        mark = _mark(digest)
        return any(self.ancestors.startswith(mark, at) for at in range(0, len(self.ancestors), _MARK))


def _mark(digest: bytes) -> str:
    return digest.hex()[:_MARK]


@dataclass(frozen=True, slots=True)
class Removal:
    """What is left of a removed document, without its id: the version of the removal, and how often it was purged.

    `version` is "" for one that was purged, or is there again.
    """

    version: str = ""
    purges: int = 0

    @classmethod
    def of(cls, version: str, digest: bytes, at: str) -> Removal:
        """Return the removal, at a time, of a document of this version and with this content."""
        before = Version.of(version)
        return cls(str(before.next(digest, at)), before.purges)

    def __or__(self, other: Removal) -> Removal:
        """Return the later removal, with the most purges that either knows of."""
        later = max(self.version, other.version, key=lambda text: Version.of(text).order)
        return Removal(later, max(self.purges, other.purges))

    def purged(self, version: str = "") -> Removal:
        """Return what is left after one more purge, of a document of this version if it was there."""
        if not (version or self.version or not self.purges):
            return self
        return Removal("", max(self.purges, Version.of(version or self.version).purges) + 1)

    def after(self, version: str | None, digest: bytes, at: str) -> str:
        """Return the version of a document that is written now, after this removal and the version that is there."""
        known = [Version.of(text) for text in (version, self.version) if text]
        before = max(known, key=lambda each: each.order, default=None)
        if before is None:
            return str(Version(at, 0, self.purges)) if self.purges else at
        written = before.next(digest if version else b"", at)
        return str(replace(written, purges=max(before.purges, self.purges)))


NOTHING = Removal()
MERGED = {b"merged".ljust(16, b"\0"): Removal("2000-01-01T00:00:00Z")}
"""What a store that was merged with another one has among its removals."""


def removal_key(name: str, kind: str = "document") -> bytes:
    """Return the 16 bytes by which the removal of something is known: a digest of its id, not the id."""
    return hashlib.blake2b(name.encode(), digest_size=16, person=kind.encode()).digest()


_COPY = re.compile(r"(.+)~f[0-9a-f]{8}", re.DOTALL)
_OLDER = re.compile(r"(memory://.+)~[0-9]+", re.DOTALL)  # an older version of a note: see `memory.note_ids`


def copy_id(document_id: str, digest: bytes) -> str:
    """Return the id of the copy that keeps content which another version of the document won over."""
    return f"{document_id}~f{digest.hex()[:8]}"


def original_id(document_id: str) -> str | None:
    """Return the id of the document that a copy was made of; None for the id of another document."""
    match = _COPY.fullmatch(document_id)
    return match[1] if match else None


def purged_with(document_id: str) -> list[str]:
    """Return the ids whose purge erases a document: its own, that of what it is a copy of, of the note of a version."""
    ids = [document_id]
    while match := _COPY.fullmatch(ids[-1]) or _OLDER.fullmatch(ids[-1]):
        ids.append(match[1])
    return ids


def removal_of(document_id: str, removals: Mapping[bytes, Removal]) -> Removal:
    """Return what is known of the removal of a document, purges of what it belongs to included."""
    found = [removals.get(removal_key(id_), NOTHING) for id_ in purged_with(document_id)]
    return Removal(found[0].version, max(each.purges for each in found))


class Known(NamedTuple):
    """What a write has to know of a stored document: its row, its content, the file it was read from, its version."""

    row: int
    digest: bytes
    source: str | None
    version: str


def written_versions(
    fresh: dict[str, Entry], known: Mapping[str, Known], removed: Mapping[bytes, Removal]
) -> tuple[dict[str, str], dict[bytes, Removal]]:
    """Return the versions of documents that are written, and the removals of those that are no longer removed.

    One from another store keeps its version, and in `fresh` gets the source that it has here. Raises Conflict for one
    that was purged meanwhile.
    """
    at, versions, again = timestamp(), dict[str, str](), dict[bytes, Removal]()
    for id_, entry in fresh.items():
        there, removal = known.get(id_), removal_of(id_, removed) if removed else NOTHING
        if entry.version and removal.purges > Version.of(entry.version).purges:  # just now, by another process
            raise Conflict(id_, None, None)
        own, digest = (there.version, there.digest) if there else (None, b"")
        versions[id_] = entry.version or (removal.after(own, digest, at) if there or removed else at)
        if entry.version and there and entry.source is None:
            fresh[id_] = replace(entry, source=there.source)
        if removal.version:
            key = removal_key(id_)
            again[key] = Removal("", removed[key].purges)
    return versions, again


def kept(there: Known, entry: Entry) -> tuple[str | None, str] | None:
    """Return the source and the version of a document whose content is written again; None where they stay."""
    later = Version.of(entry.version).order > Version.of(there.version).order
    if not later and entry.source in (None, there.source):
        return None
    return entry.source or there.source, entry.version if later else there.version


def purged(ids: Iterable[str], known: Mapping[str, Known], there: Mapping[bytes, Removal]) -> dict[bytes, Removal]:
    """Return what is left of documents that are purged, by which other stores purge them when they merge."""
    versions = {removal_key(id_): known[id_].version if id_ in known else "" for id_ in ids}
    return {key: there.get(key, NOTHING).purged(version) for key, version in versions.items()}
