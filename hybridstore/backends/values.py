"""The values that travel between the store and a backend: what is written, what is shown, what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from hybridstore.records import Chunk, Document
from hybridstore.text.expressions import Expression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybridstore.backends.learning import ModelVersion
    from hybridstore.filters import Filter


@dataclass(frozen=True, slots=True)
class Embedding:
    """Which embedder made a set of vectors: its fingerprint, how to find it again, the vectors' length."""

    fingerprint: str
    reference: str
    dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a store measured about its own vectors, without any judgment; what it was measured with.

    `power` says how well the vectors tell chunks apart: asked with eight words of its own, a chunk's cosine stands so
    many standard deviations above those of other chunks. `chance` is the best cosine that a question from anywhere
    finds here, on average, and `spread` one standard deviation of a question's cosines. `chunks` counts what there was.
    """

    fingerprint: str
    chunks: int
    power: float
    chance: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """What every search reads first, of one state of the store.

    `embedding` made the vectors that are searched, `calibration` is what was last measured about them, `model` is the
    active model version.
    """

    chunks: int = 0
    embedding: Embedding | None = None
    calibration: Calibration | None = None
    model: ModelVersion | None = None
    revision: int = 0


class Outdated(LookupError):  # noqa: N818 - it is caught and mended, never shown
    """What an entry without chunks said is stored is not stored any more: look again. Nothing was written."""


class Conflict(LookupError):  # noqa: N818 - it is caught and mended, never shown
    """What is stored is not what was to be replaced, or removed: read it again, then decide. Nothing was written.

    `stored` is the content digest that is there, None where nothing is; `replaces` the one that was to be there.
    """

    def __init__(self, document_id: str, replaces: bytes | None, stored: bytes | None) -> None:
        self.document_id, self.replaces, self.stored = document_id, replaces, stored
        expected, there = ("nothing" if each is None else each.hex() for each in (replaces, stored))
        super().__init__(f"under {document_id!r} {expected} was to be stored, but {there} is")


class Whatever(Enum):
    """The type of ANYTHING alone, so that None can mean that nothing is stored."""

    ANYTHING = "anything"


ANYTHING: Final = Whatever.ANYTHING
"""An entry that replaces this is written whatever is stored under its id."""


def check_replaces(document_id: str, replaces: bytes | Whatever | None, stored: bytes | None) -> None:
    """Raise Conflict unless the content digest that is stored (None: nothing is) is the one that is to give way."""
    if replaces is not ANYTHING and replaces != stored:
        raise Conflict(document_id, replaces, stored)


@dataclass(frozen=True, slots=True)
class Entry:
    """A document ready to be written: its id is set, its text is cut, its chunks are embedded (or not).

    `digest` stands for all of the content: an entry whose digest is already stored is not written again. Whoever
    knows that it is stored may leave out the chunks.
    `chunk_digests` stand for what was embedded, so that vectors can be reused. `vectors` is float32 (n, dim) of
    unit norm in the chunks' order, or None. `replaces` is the digest that must be stored under its id when it is
    written, None if nothing may be; anything may by default.
    """

    document: Document
    digest: bytes
    chunks: Sequence[Chunk]
    chunk_digests: Sequence[bytes]
    vectors: NDArray[np.float32] | None = None
    source: str | None = None
    replaces: bytes | Whatever | None = ANYTHING


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is shown: its text and what its document says about it."""

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
    """One line of the change log: the chunks first..last (inclusive) were "added", "removed" or "embedded".

    An added chunk may have its vector from the start; "embedded" ones got theirs later.
    """

    revision: int
    kind: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds. `kept` is the embedding that can be gone back to, `model` the active version's number."""

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


@dataclass(frozen=True, slots=True)
class Problem:
    """Something `check` found: what is wrong, how often, a few examples, and whether `repair` mends it."""

    what: str
    count: int
    examples: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Residue:
    """A place where something of a purged document still stands: the file, of what it is, its first byte there.

    `what` is "text", "title", "uri", "id", "metadata", "heading", "source", "digest", "vector", "code" or "keyword".
    `offset` is None for a word that the keyword index holds, which may write it in parts.
    """

    file: str
    what: str
    offset: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What a purge did, and what a look at the files' bytes found afterwards.

    `documents`, `chunks` and `questions` are how many went, `missing` the ids that named nothing. `clean` is True where
    the file was written anew, its write-ahead log emptied and nothing found, None where nobody looked; `wal_clean`
    tells of the log alone. `needles` pieces were looked for in the `files` (name, bytes); `excluded` of them were
    found, but what is left in the store holds them too, and `unsearched` others are too short, or too plain, to tell
    anything. `residues` are the first hundred places of each kind in each file. `remedy` says what is to be done, ""
    where nothing is.
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
class Restriction:
    """Which chunks a query may find at all, in either leg: those for which all that is told here holds."""

    where: Filter | None = None
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[tuple[str, ...], ...] = ()
    matching: tuple[Expression, ...] = ()

    def __bool__(self) -> bool:
        return self.where is not None or bool(self.phrases or self.excluded or self.matching)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A whole document as it is stored, for `get` and `export`."""

    document: Document
    chunks: tuple[Chunk, ...]
    source: str | None
    changed: str
    vectors: NDArray[np.float32] | None = field(default=None, compare=False)
