"""The values that a store and its backend exchange: documents to write, passages to show, facts about the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from hybridstore.errors import InputError
from hybridstore.records import Chunk, Document
from hybridstore.text.expressions import Expression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridstore.filters import Filter


@dataclass(frozen=True, slots=True)
class Embedding:
    """The embedder that made a set of vectors: its fingerprint, the name it is loaded by, the vectors' length."""

    fingerprint: str
    reference: str
    dim: int


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The embeddings of a store: its own, one being built to replace it, one that was its own before and kept.

    `added` are those of its other vector legs.
    """

    active: Embedding | None = None
    building: Embedding | None = None
    kept: Embedding | None = None
    added: tuple[Embedding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a store measured about its own vectors, without judgments, and the fingerprint of their embedder.

    `power` is how well the vectors separate chunks: searched for by eight of its own words, a chunk's cosine is that
    many standard deviations above the mean of other chunks. `chance` is the mean of the best cosine that an unrelated
    query gets, `spread` one standard deviation of a query's cosines. `chunks` is how many had a vector. `agreement` is,
    for the vectors of an added leg, how their cosines correlate with those of legs before it, by fingerprint.
    `foreign` is the share of chunks in other languages than English, `foreign_power` the power among these (0 without).
    `scale` are mean and deviation of cosines between unrelated texts where the embedder has them far closer together
    than is usual (0.1 and 0.1; about 0.77 and 0.02 for multilingual-e5-small).
    """

    fingerprint: str
    chunks: int
    power: float
    chance: float
    spread: float
    agreement: Mapping[str, float] = field(default_factory=dict)
    foreign: float = 0.0
    foreign_power: float = 0.0
    scale: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorLeg:
    """A vector leg beside the store's own: its embedding, the number of its vectors, and what was measured of them.

    Without a calibration its first filling is not finished, and it is not searched.
    """

    embedding: Embedding
    calibration: Calibration | None = None
    vectors: int = 0


MOST_LEGS = 4  # vector legs that may be added: each one embeds every query


def check_new_leg(there: Embeddings, embedding: Embedding) -> None:
    """Raise InputError where a vector leg of this embedding cannot be added to those there are."""
    if there.active is None:
        raise InputError("this store has no vectors that others could be added to; run `hybridstore reembed` first")
    if there.active.fingerprint == embedding.fingerprint:
        raise InputError(f"{embedding.reference} is the store's embedder already; name another one to add")
    known = {each.fingerprint: each for each in there.added}
    if known.get(embedding.fingerprint, embedding).dim != embedding.dim:
        raise InputError(f"the leg's vectors have {known[embedding.fingerprint].dim} dimensions, not {embedding.dim}")
    if len(known) >= MOST_LEGS and embedding.fingerprint not in known:
        raise InputError(f"a store has at most {MOST_LEGS} added legs; `hybridstore model drop NAME` takes one away")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What this kind of store cannot do, and why: a sentence for people, None for what it can do."""

    backup: str | None = None  # copy itself to a file
    compacting: str | None = None  # rewrite itself to take less space
    erasure: str | None = None  # prove that no byte of a purged document is left
    merging: str | None = None  # be merged with another store
    codecs: str | None = None  # keep vectors otherwise than as float32


class Outdated(LookupError):  # noqa: N818 - it is caught and mended, never shown
    """An entry without chunks claims that its content is stored, and it is not any more. Nothing was written."""


class Conflict(LookupError):  # noqa: N818 - it is caught and mended, never shown
    """The stored document is not the one to be replaced or removed: read it again, then decide. Nothing was written.

    `stored` is the content digest that is stored, None where nothing is; `replaces` is the one that was expected.
    """

    def __init__(self, document_id: str, replaces: bytes | None, stored: bytes | None) -> None:
        self.document_id, self.replaces, self.stored = document_id, replaces, stored
        expected, actual = ("nothing" if digest is None else digest.hex() for digest in (replaces, stored))
        super().__init__(f"document {document_id!r}: expected {expected} to be stored, but it is {actual}")


class Whatever(Enum):
    """The type of ANYTHING, so that None can mean that nothing is stored."""

    ANYTHING = "anything"


ANYTHING: Final = Whatever.ANYTHING
"""An entry with this as `replaces` is written regardless of what is stored under its id."""


def check_replaces(document_id: str, replaces: bytes | Whatever | None, stored: bytes | None) -> None:
    """Raise Conflict unless the stored content digest (None: nothing is stored) is the one to be replaced."""
    if replaces is not ANYTHING and replaces != stored:
        raise Conflict(document_id, replaces, stored)


@dataclass(frozen=True, slots=True)
class Entry:
    """A document ready to be written: with its id, its chunks, and their vectors if there are any.

    `digest` stands for all of the content: an entry whose digest is already stored is not written again, and where that
    is known the chunks may be left out. `chunk_digests` stand for what was embedded, so that vectors can be reused.
    `vectors` is float32 (n, dim) of unit norm in the chunks' order, or None. `replaces` is the digest that must be
    stored under the id when the entry is written, None if nothing may be; by default anything may. The document whose
    id is `moved_from` becomes this one: what was learned of its chunks stays with those that have the same words.
    `version` is that of a document from another store (see `backends.versions`); "" is a new one, made by the clock.
    """

    document: Document
    digest: bytes
    chunks: Sequence[Chunk]
    chunk_digests: Sequence[bytes]
    vectors: NDArray[np.float32] | None = None
    source: str | None = None
    replaces: bytes | Whatever | None = ANYTHING
    moved_from: str | None = None
    version: str = ""


def check_not_removed(entries: Sequence[Entry], removing: Collection[str]) -> None:
    """Raise InputError where an entry writes a document that is to be removed in the same step."""
    if both := {entry.document.id for entry in entries} & set(removing):
        raise InputError(f"the document {min(map(str, both))!r} is to be written and removed at once; do one of them")


def check_vectors_fit(entries: Sequence[Entry], embedding: Embedding) -> None:
    """Raise InputError unless each entry with vectors has one for each chunk, of the right length."""
    for entry in entries:
        if entry.vectors is not None and entry.vectors.shape != (len(entry.chunks), embedding.dim):
            raise InputError(
                f"the vectors of document {entry.document.id!r} have the shape {entry.vectors.shape}; for its "
                f"chunks and {embedding.fingerprint} it must be ({len(entry.chunks)}, {embedding.dim})"
            )


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is shown: its text, its place, and its document's title, uri and metadata."""

    chunk: int
    document_id: str
    text: str
    title: str
    uri: str
    heading: str
    start: int
    end: int
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ChunkChange:
    """One line of a change log: the chunks first..last (inclusive) were "added", "removed" or "embedded".

    An added chunk may have a vector from the start; an "embedded" one got its vector later.
    """

    revision: int
    kind: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds. `kept` is an earlier embedding that can be restored, `model` the active version's number.

    `analysis` is the version of the analysis that made the keywords; `reindex` makes them anew with the current one.
    `legs` are the vector legs beside the store's own, `codec` is how vectors are kept.
    """

    documents: int
    chunks: int
    vectors: int
    sources: int
    revision: int
    bytes: int
    language: str
    embedding: Embedding | None
    building: Embedding | None = None
    created: str = ""
    background: Calibration | None = None
    kept: Embedding | None = None
    model: int | None = None
    triples: int = 0
    analysis: int = 0
    legs: tuple[VectorLeg, ...] = ()
    codec: str = "float32"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that `check` found: what is wrong, how often, a few examples, and whether `repair` repaired it."""

    what: str
    count: int
    examples: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Residue:
    """A place where bytes of a purged document are left: the file, what they are of, the offset of the first one.

    `what` is "text", "title", "uri", "id", "metadata", "heading", "source", "digest", "vector", "code" or "keyword".
    `offset` is None for a word in the keyword index, which may be written in parts.
    """

    file: str
    what: str
    offset: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReport:
    """What a purge removed, and what a search of the files' bytes found afterwards.

    `documents`, `chunks` and `questions` are how many were removed, `missing` the ids that named nothing. `clean` is
    True where the store was rewritten, its write-ahead log emptied and nothing found, None where nothing was verified;
    `wal_clean` is about the log alone. `needles` pieces were searched for in the `files` (name, bytes); `excluded` of
    them were found, but are also part of documents that remain, and `unsearched` others are too short or too common to
    prove anything. `residues` are the first hundred places of each kind in each file. `remedy` says what is to be done,
    "" where nothing is.
    """

    documents: int
    chunks: int
    questions: int = 0
    missing: tuple[str, ...] = ()
    clean: bool | None = None
    wal_clean: bool = False
    needles: int = 0
    excluded: int = 0
    unsearched: int = 0
    files: tuple[tuple[str, int], ...] = ()
    residues: tuple[Residue, ...] = ()
    remedy: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CompactReport:
    """The size of a store's files in bytes before and after they were rewritten, and the seconds that took.

    `remedy` is what is to be done where the space could not be given back at once, "" where it was.
    """

    before: int
    after: int
    remedy: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Restriction:
    """Which chunks a query may find at all, in either leg: those that meet all of these conditions."""

    where: Filter | None = None
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[tuple[str, ...], ...] = ()
    matching: tuple[Expression, ...] = ()

    def __bool__(self) -> bool:
        return self.where is not None or bool(self.phrases or self.excluded or self.matching)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A whole document as it is stored."""

    document: Document
    chunks: tuple[Chunk, ...]
    source: str | None
    changed: str
    vectors: NDArray[np.float32] | None = field(default=None, compare=False)
