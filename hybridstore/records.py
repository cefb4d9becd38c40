"""The values that travel between the rooms: what is stored, what is asked, what is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, overload

from hybridstore.tables import Column, Tabular
from hybridstore.text.expressions import Expression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text to be found again.

    `id` None takes an id from the content, so the same text added twice is one document. `metadata` must be
    JSON. `format` tells the chunker how the text is built: "plain", "markdown" or "code".
    """

    text: str
    id: str | None = None
    title: str = ""
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    format: str = "plain"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document's text: characters [start, end), under the heading path `heading` ("A > B")."""

    start: int
    end: int
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when its documents were read: the key (its absolute path), SHA-256, bytes, mtime."""

    key: str
    digest: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class AddReport:
    """What an add did, in documents; and how many chunks were written and how many of them embedded anew."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    embedded: int = 0

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class KeywordQuery:
    """A query as the keyword leg reads it: analysed tokens, ready to be matched.

    `terms` are alternatives (any may match, each adds to the score, a repeated one repeatedly); every phrase in
    `phrases` must occur, as consecutive tokens; no phrase in `excluded` may. A phrase whose last token
    ends in `*` matches by prefix. Every expression in `matching` must hold.
    """

    terms: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[tuple[str, ...], ...] = ()
    matching: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Term:
    """A query term: in how many chunks it occurs, its IDF, how often it counts, whether the keyword leg used it.

    A token that only stands in a phrase is not used by itself, nor is one so common that it adds little.
    """

    text: str
    document_frequency: int
    idf: float
    count: int = 1
    used: bool = True


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunk ids, best first, with their raw scores: int64 (n,) and float64 (n,), higher is better."""

    chunks: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.chunks)

    def ranks(self) -> dict[int, int]:
        """Give each chunk's rank, counted from 1."""
        return dict(zip(self.chunks.tolist(), range(1, len(self) + 1), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that was found. `start` and `end` are character offsets in the document; ranks count from 1.

    `keyword_score` is BM25 (higher is better), `vector_score` the cosine; both are None where that leg did not
    have the chunk among its candidates. `copies` are the documents whose near-identical chunks were folded into this
    one, best ranked first, its own document where it repeats itself; empty unless `unique` was asked for.
    `relevance`, from 0 to 1, says how likely a question with such evidence has an answer here at all, by what the store
    measured about itself; None where it measured nothing, or one leg was asked alone.
    """

    chunk_id: int
    document_id: str
    text: str
    title: str
    uri: str
    heading: str
    start: int
    end: int
    metadata: Mapping[str, Any]
    score: float
    rank: int
    keyword_rank: int | None = None
    keyword_score: float | None = None
    vector_rank: int | None = None
    vector_score: float | None = None
    copies: tuple[str, ...] = ()
    relevance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for each candidate of either leg, on scales that all queries of a store share; arrays (n,).

    `chunks` are ascending. `keyword` is how strongly a chunk holds the query's words and `coverage` the share of them
    it holds, by IDF, both from 0 to 1. `vector` is how many standard deviations its cosine stands above those of chunks
    at large. `relevance` see Hit; None where the store measured nothing.
    """

    chunks: NDArray[np.int64]
    keyword: NDArray[np.float64]
    coverage: NDArray[np.float64]
    vector: NDArray[np.float64]
    relevance: NDArray[np.float64] | None = None

    @property
    def confidence(self) -> float | None:
        """The highest relevance of a candidate: how sure it is that the store has an answer at all."""
        if self.relevance is None:
            return None
        return float(self.relevance.max(initial=0.0))

    def at(self, chunk: int) -> int | None:
        """Give a chunk's place in the arrays; None where it is no candidate."""
        place = int(self.chunks.searchsorted(chunk))
        return place if place < len(self.chunks) and self.chunks[place] == chunk else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was asked of the selection, and what it left out of the `looked` best of the fused ranking.

    `folded` gives for a chunk's id that of the chunk shown in its stead; `capped` are the chunks of documents that had
    their share already.
    """

    unique: bool
    per_document: int | None
    diversity: float
    looked: int
    folded: Mapping[int, int]
    capped: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything a search did, in the order it did it. `explain` renders it; nothing is computed twice.

    `keyword` and `vector` are the legs' full candidate rankings (None where a leg did not run), `fused` the one
    made from them, `hits` what is shown of it, `selection` what was left out of that (None where nothing was asked
    for). `matching` is what else had to hold of every chunk, part by part. `model` is the number of the version that
    turned the question's vector before it was compared, None where it was compared as its embedder gave it. `timings`
    are seconds per step. `notes` are sentences for people.
    """

    query: str
    mode: str
    fusion: str
    limit: int
    depth: int
    terms: tuple[Term, ...]
    phrases: tuple[str, ...]
    excluded: tuple[str, ...]
    keyword: Ranking | None
    vector: Ranking | None
    weights: tuple[float, float]
    fused: Ranking
    hits: tuple[Hit, ...]
    timings: Mapping[str, float]
    notes: tuple[str, ...] = ()
    revision: int = 0
    selection: Selection | None = None
    evidence: Evidence | None = None
    ignored: tuple[str, ...] = ()
    power: float | None = None
    syntax: str = "simple"
    matching: tuple[Expression, ...] = ()
    model: int | None = None


class Results(Tabular, Sequence[Hit]):
    """The hits of a search, best first; `trace` tells how they came about.

    As a table (`to_dicts`, `to_arrow`, `to_pandas`, or handed to polars or DuckDB as it is) a hit is a row, and its
    fields are the columns.
    """

    __slots__ = ("trace",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("chunk_id", "integer"),
        Column("document_id"),
        Column("text"),
        Column("title"),
        Column("uri"),
        Column("heading"),
        Column("start", "integer"),
        Column("end", "integer"),
        Column("metadata", "json"),
        Column("score", "number"),
        Column("rank", "integer"),
        Column("keyword_rank", "integer", nullable=True),
        Column("keyword_score", "number", nullable=True),
        Column("vector_rank", "integer", nullable=True),
        Column("vector_score", "number", nullable=True),
        Column("copies", "texts"),
        Column("relevance", "number", nullable=True),
    )

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    @property
    def confidence(self) -> float | None:
        """How likely the store has an answer at all, from 0 to 1; below 0.5 it rather has none. None if unknown."""
        return None if self.trace.evidence is None else self.trace.evidence.confidence

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.trace.hits[index]

    def __len__(self) -> int:
        return len(self.trace.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.trace.hits)

    def __repr__(self) -> str:
        return f"Results({len(self)} hits for {self.trace.query!r})"
