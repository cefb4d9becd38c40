"""The value classes that all rooms share: documents and chunks, queries and rankings, hits and traces."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, overload

from hybridstore.errors import InputError
from hybridstore.tables import Column, Tabular, to_plain
from hybridstore.tables.html import html_table
from hybridstore.text.expressions import Expression, describe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHOWN = 3  # hits in the repr of Results
# The z-score of a cosine that counts as 1 in the fused score: that of a text with itself is about as high.
FULL_Z_SCORE = 12.0
MAX_ERROR = 0.1  # of what is shown as answered, the share that may have no answer here
_MEASURED_ERROR = 0.02  # the lowest of which it is measured what confidence it needs
_STEEPNESS = 1.8  # of the odds of being answered over those of the error, where a confidence of 0.5 has an error of 0.1


def least_confidence(max_error: float = MAX_ERROR) -> float:
    """Return the confidence from which on at most this share of what is shown as answered has no answer in the store.

    That is measured where half of the questions are those of other collections: the odds ((1 - e) / 9 e) ** 1.8 are
    above what any of ten stores needed for an e of 0.02, 0.05, 0.1 and 0.2 (docs/experiments.md). Raises InputError for
    an e that is not between 0 and 1.
    """
    if not 0.0 < max_error < 1.0:
        raise InputError(f"max_error is a share between 0 and 1, as in 0.1, not {max_error!r}")
    unlikely = math.pow(9.0 * max_error / (1.0 - max_error), _STEEPNESS)
    return 1.0 / (1.0 + unlikely)


def expected_error(confidence: float) -> float:
    """Return the share without an answer to expect from this confidence on: `least_confidence` the other way round."""
    likely, unlikely = (math.pow(each, 1.0 / _STEEPNESS) for each in (confidence, 1.0 - confidence))
    return max(unlikely / (unlikely + 9.0 * likely), _MEASURED_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text to be stored and searched.

    Without an `id`, one is derived from the content, so adding the same text twice gives one document. `metadata` is
    stored as JSON: dates as ISO 8601, UUIDs and paths as text, Decimals and NumPy's numbers as numbers, sets and arrays
    as lists, an Enum as its value, NaN as null. `format` tells the chunker how the text is structured: "plain",
    "markdown" or "code". None for `title`, `uri` or `metadata` means that there is none.
    """

    text: str
    id: str | None = None
    title: str = ""
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    format: str = "plain"

    def __post_init__(self) -> None:
        """Replace None by what is empty."""
        for name, empty in (("title", ""), ("uri", ""), ("metadata", {})):
            if getattr(self, name) is None:
                object.__setattr__(self, name, empty)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document's text: characters [start, end), under the heading path `heading` ("A > B")."""

    start: int
    end: int
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The state of a file when its documents were read: key (absolute path), SHA-256, size in bytes, mtime."""

    key: str
    digest: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a store follows: its absolute path, and how it is walked and read (see `Store.add_folder`)."""

    path: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_links: bool = False
    max_file_size: int | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class AddReport:
    """Counts of documents by what an add did to them, of chunks written, and of chunks newly embedded."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    embedded: int = 0

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class CorpusStatistics:
    """What BM25 needs to know about the chunks that it ranks among, which may be those of several stores.

    `tokens` is the length of all `chunks` together; `frequencies` are in how many of them words and phrases occur. The
    sum of two is that of both corpora.
    """

    chunks: int = 0
    tokens: int = 0
    frequencies: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    @property
    def average(self) -> float:
        """The average length of a chunk, in tokens; 1 where there is none."""
        return self.tokens / max(self.chunks, 1) or 1.0

    def __add__(self, other: CorpusStatistics) -> CorpusStatistics:
        frequencies = Counter(self.frequencies)
        frequencies.update(other.frequencies)
        return CorpusStatistics(self.chunks + other.chunks, self.tokens + other.tokens, frequencies)


@dataclass(frozen=True, slots=True)
class KeywordQuery:
    """A query as the keyword leg reads it: analysed tokens.

    `terms` are alternatives: any may match, each adds to the score, a repeated one repeatedly. Every phrase in
    `phrases` must occur as consecutive tokens, and none in `excluded` may. A phrase whose last token ends in `*`
    matches by prefix. Every expression in `matching` must hold. With a `corpus` chunks are scored as if they were among
    those it is about.
    """

    terms: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[tuple[str, ...], ...] = ()
    matching: tuple[Expression, ...] = ()
    corpus: CorpusStatistics | None = None

    @property
    def sequences(self) -> list[tuple[str, ...]]:
        """Its words and phrases, and the words of phrases, each once."""
        words = ((token,) for phrase in self.phrases for token in phrase)
        return list(dict.fromkeys([*((term,) for term in self.terms), *self.phrases, *words]))


@dataclass(frozen=True, slots=True)
class Term:
    """A query term: how many chunks contain it, its IDF, how often it counts, whether the keyword leg used it.

    A token that occurs only in a phrase is not used on its own, nor is one so common that it adds little. `word` is the
    word of the query that it was made of, as typed ("" for part of a phrase).
    """

    text: str
    document_frequency: int
    idf: float
    count: int = 1
    used: bool = True
    word: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunk ids, best first, with their raw scores: int64 (n,) and float64 (n,), higher is better."""

    chunks: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.chunks)

    def ranks(self) -> dict[int, int]:
        """Return each chunk's rank, counted from 1."""
        return dict(zip(self.chunks.tolist(), range(1, len(self) + 1), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk in the results of a search. `start` and `end` are character offsets in the document; ranks count from 1.

    `keyword_score` is BM25 (higher is better), `vector_score` the cosine; both are None if the chunk was not among that
    leg's candidates. `copies` are the documents whose near-identical chunks were folded into this one, best ranked
    first (its own document if it repeats itself); empty without `unique`. `relevance`, from 0 to 1, estimates from the
    store's calibration how likely it is that the query has an answer here; None without one, or with a single leg.
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

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, ready for JSON."""
        plain: dict[str, Any] = to_plain(self)
        return plain


@dataclass(frozen=True, slots=True)
class WordParts:
    """What each of the query's words (t,) adds to the keyword evidence of the candidates (n,).

    A chunk's evidence is the sum over the words of impact · `strength`, and of `covering` for each that it contains.
    """

    terms: tuple[Term, ...]
    impacts: NDArray[np.float32]
    strength: NDArray[np.float64]
    covering: NDArray[np.float64]

    def of(self, index: int) -> list[float]:
        """Return what each word adds for one candidate; the sum is its `keyword`."""
        impacts = self.impacts[index]
        parts: list[float] = (impacts * self.strength + (impacts > 0) * self.covering).tolist()
        return parts


@dataclass(frozen=True, slots=True)
class CosineScale:
    """The scale of a query's cosines: `sample` (m,) are those to chunks spread over the store, with mean and deviation.

    `chance` is the best cosine that an unrelated query gets on average, `spread` the usual deviation of a query's
    cosines, both from the store's calibration; None without one.
    """

    mean: float
    deviation: float
    sample: NDArray[np.float32]
    chance: float | None = None
    spread: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence for each candidate of either leg, on scales comparable between a store's queries; arrays (n,).

    `chunks` are ascending. `keyword` is how strongly a chunk matches the query's words, and `coverage` the share of
    them it contains, by IDF; both from 0 to 1. `vector` is the z-score of its cosine among those of the store's chunks.
    `relevance` is as in Hit; None without a calibration. `estimated` says for which chunks `vector` is estimated from
    their words, as their vectors are still to be made; None where all have one. With several vector legs, `legs` are
    the z-scores in each by its fingerprint, NaN for a chunk without a vector, and `vector` those of all together.
    `words` are the parts of `keyword` (None where that takes the neighbours' too), `cosines` the scale of the store's
    own vector leg (None without it).
    """

    chunks: NDArray[np.int64]
    keyword: NDArray[np.float64]
    coverage: NDArray[np.float64]
    vector: NDArray[np.float64]
    relevance: NDArray[np.float64] | None = None
    estimated: NDArray[np.bool_] | None = None
    legs: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    words: WordParts | None = None
    cosines: CosineScale | None = None

    @property
    def confidence(self) -> float | None:
        """The highest relevance of any candidate: how likely the store has an answer at all."""
        return None if self.relevance is None else float(self.relevance.max(initial=0.0))

    def at(self, chunk: int) -> int | None:
        """Return a chunk's index in the arrays; None if it is not a candidate."""
        index = int(self.chunks.searchsorted(chunk))
        return index if index < len(self.chunks) and self.chunks[index] == chunk else None

    def relevance_of(self, chunk: int) -> float | None:
        """Return a chunk's relevance; None without a calibration, or if it is not a candidate."""
        index = self.at(chunk)
        return None if self.relevance is None or index is None else float(self.relevance[index])

    def is_estimated(self, chunk: int) -> bool:
        """Return whether a candidate's `vector` is estimated."""
        index = self.at(chunk)
        return self.estimated is not None and index is not None and bool(self.estimated[index])

    def of_hit(self, hit: Hit) -> dict[str, Any]:
        """Return the evidence for one hit, ready for JSON."""
        index = self.at(hit.chunk_id)
        parts = {"keyword": self.keyword, "coverage": self.coverage, "vector": self.vector}
        values: dict[str, Any] = {name: None if index is None else float(part[index]) for name, part in parts.items()}
        if self.legs and index is not None:
            numbers = {name: float(part[index]) for name, part in self.legs.items()}
            values["legs"] = {name: number if math.isfinite(number) else None for name, number in numbers.items()}
        if self.words is not None and index is not None:
            named = zip(self.words.terms, self.words.of(index), strict=True)
            values["words"] = [{"word": term.word or term.text, "adds": adds} for term, adds in named]
        return {
            "chunk_id": hit.chunk_id,
            **values,
            "relevance": hit.relevance,
            "estimated": self.is_estimated(hit.chunk_id),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTruth:
    """How true a part of a structured query is of each candidate: `truths` (n,), from 0 to 1.

    `text` is the part as text, `level` how many parts it is inside of, `weight` how much it counts among those it is
    joined with. `evidence` is that of an `about`. With per="document", `passages` (n,) are the chunks that the truth
    of an `about`, `words` or filter comes from.
    """

    text: str
    level: int
    truths: NDArray[np.float64]
    weight: float = 1.0
    evidence: Evidence | None = None
    passages: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truths:
    """What a structured query and its `parts` are worth for each candidate; the first part is the whole query.

    `chunks` (n,) are the candidates, ascending (per="document": the passage shown of each document), `norm` is how
    truths were joined.
    """

    norm: str
    per: str
    chunks: NDArray[np.int64]
    parts: tuple[PartTruth, ...]

    @property
    def confidence(self) -> float:
        """The highest truth of the whole query."""
        return float(self.parts[0].truths.max(initial=0.0))

    def relevance_of(self, chunk: int) -> float | None:
        """Return the truth of the whole query for a chunk; None if it is not a candidate."""
        index = self._at(chunk)
        return None if index is None else float(self.parts[0].truths[index])

    def of(self, chunk: int) -> list[dict[str, Any]]:
        """Return each part's text, level, weight and truth for a chunk, ready for JSON; [] if it is not a candidate."""
        index = self._at(chunk)
        if index is None:
            return []
        return [
            {
                "part": part.text,
                "level": part.level,
                "weight": part.weight,
                "truth": float(part.truths[index]),
                "chunk_id": chunk if part.passages is None else int(part.passages[index]),
            }
            for part in self.parts
        ]

    def _at(self, chunk: int) -> int | None:
        index = int(self.chunks.searchsorted(chunk))
        return index if index < len(self.chunks) and self.chunks[index] == chunk else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The options of the selection step, and what it left out of the `looked` best of the fused ranking.

    `folded` maps a chunk's id to that of the chunk shown in its stead; `capped` are the chunks beyond their document's
    share.
    """

    unique: bool
    per_document: int | None
    diversity: float
    looked: int
    folded: Mapping[int, int]
    capped: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A leg of a search: "keyword" or the name of an embedder, with its full candidate ranking.

    `weight` is what its evidence counts in the fused score (its ranking, where the fusion is one of ranks); `power`
    that of its vectors, None for the keyword leg and where it is unknown.
    """

    name: str
    ranking: Ranking
    weight: float
    power: float | None = None


@dataclass(frozen=True, slots=True)
class SecondStage:
    """What the second stage did: the reranker's `name` and `weight`, and its `scores` of the chunks that it read."""

    name: str
    weight: float
    scores: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Hop:
    """A search that a passage led to: which search deep, the passage and its document, the query, and what it found.

    `found` are the ids of its best chunks.
    """

    number: int
    chunk_id: int
    document_id: str
    query: str
    found: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Replica:
    """The standby server that a search read, without secrets.

    `behind` is by how many seconds it was behind its primary, by its own account: 0 if it had replayed all that it had
    received, None if it has replayed nothing since it was started.
    """

    location: str
    behind: float | None


@dataclass(frozen=True, slots=True)
class RewrittenText:
    """A rewrite of a question: its kind ("keywords", "meaning", "answer" or "questions") and its text.

    `share` is what its evidence counted, of 1; `agreement`, from 0 to 1, how near its passages are to the question.
    `found` are the ids of its first ten chunks.
    """

    kind: str
    text: str
    share: float
    agreement: float
    found: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """Whether a rewriter was asked, with the `reason` if not; its texts, or the `error`; and the seconds it took."""

    asked: bool
    reason: str = ""
    texts: tuple[RewrittenText, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Trace:
    """Everything a search did. `explain` renders it; nothing is computed twice.

    `keyword` and `vector` are the legs' full candidate rankings (None if a leg did not run), `fused` the ranking made
    from them, `hits` the part of it returned, `selection` what was left out of that (None without such options).
    `matching` are the other conditions on every chunk. `model` is the number of the model version whose adapter turned
    the query's vector (None without one). `timings` are seconds per step. `notes` are sentences for people. `filled` is
    the share of the store's chunks that have a vector, where the vector leg ran; see `Evidence.estimated`. `legs` are
    all legs that ran, by their names: of several vector legs, `vector` is the store's own. `truths` are those of a
    structured query, in place of legs and evidence. `path` are the searches that `Store.follow` added. `revision` is
    that of the state which the search read, of the `replica` if that is what it read. `rewriting` is
    what `rewrite` did (None without it).
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
    filled: float = 1.0
    second: SecondStage | None = None
    legs: tuple[Leg, ...] = ()
    truths: Truths | None = None
    path: tuple[Hop, ...] = ()
    replica: Replica | None = None
    rewriting: Rewriting | None = None

    @property
    def confidence(self) -> float | None:
        """How likely it is that the store has an answer, from 0 to 1; None if unknown."""
        known = self.evidence or self.truths
        return None if known is None else known.confidence

    @property
    def added(self) -> tuple[Leg, ...]:
        """The vector legs beside the store's own."""
        return tuple(leg for leg in self.legs if leg.ranking is not self.keyword and leg.ranking is not self.vector)

    def __repr__(self) -> str:
        milliseconds = 1000 * sum(self.timings.values())
        name = type(self).__name__
        return f"<{name} {self.query!r}: {self.mode}, {_counted(len(self.hits), 'hit')}, {milliseconds:.1f} ms>"

    def _repr_html_(self) -> str:
        """Return why the hits are ranked as they are, for a notebook; see `hybridstore.views.why`."""
        from hybridstore.views.why import why_frame

        return why_frame(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and the confidence, ready for JSON; evidence only for the hits, matching in words."""
        evidence, truths = self.evidence, self.truths
        separate = {"evidence", "matching", "legs", "truths"}
        return {
            **{each.name: to_plain(getattr(self, each.name)) for each in fields(self) if each.name not in separate},
            "confidence": self.confidence,
            "evidence": None if evidence is None else [evidence.of_hit(hit) | self._parts(hit) for hit in self.hits],
            "cosines": None if evidence is None else to_plain(evidence.cosines),
            "matching": [describe(part) for part in self.matching],
            "legs": [self._plain(leg) for leg in self.legs],
            "truths": None
            if truths is None
            else {"norm": truths.norm, "per": truths.per, "hits": [truths.of(hit.chunk_id) for hit in self.hits]},
        }

    def _parts(self, hit: Hit) -> dict[str, Any]:
        """Return what words and meaning contribute to a hit's fused score, which is their sum, limited to 0 to 1."""
        index = None if self.evidence is None else self.evidence.at(hit.chunk_id)
        if self.fusion != "adaptive" or self.evidence is None or index is None or self.path:
            return {}
        words, meaning = float(self.evidence.keyword[index]), float(self.evidence.vector[index])
        return {"parts": {"words": self.weights[0] * words, "meaning": self.weights[1] * meaning / FULL_Z_SCORE}}

    def _plain(self, leg: Leg) -> dict[str, Any]:
        """Return a leg ready for JSON, without a ranking that is `keyword` or `vector`."""
        plain = {"name": leg.name, "weight": leg.weight, "power": leg.power, "candidates": len(leg.ranking)}
        return plain | ({"ranking": to_plain(leg.ranking)} if leg in self.added else {})


class Results(Tabular, Sequence[Hit]):
    """The hits of a search, best first; `trace` records how they came about.

    A sequence of Hits, of which a slice is Results again; `in` takes a Hit or a document's id.

    As a table (`to_dicts`, `to_arrow`, `to_pandas`, or passed directly to polars or DuckDB) each hit is a row, with its
    fields as columns.
    """

    __slots__ = ("_hits", "trace")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("chunk_id", "integer"),
        *(Column(name) for name in ("document_id", "text", "title", "uri", "heading")),
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

    def __init__(self, trace: Trace, hits: Sequence[Hit] | None = None) -> None:
        self.trace = trace
        self._hits = trace.hits if hits is None else tuple(hits)

    @property
    def confidence(self) -> float | None:
        """How likely it is that the store has an answer, from 0 to 1: below 0.5, rather not. None if unknown."""
        return self.trace.confidence

    def answered(self, max_error: float = MAX_ERROR) -> bool | None:
        """Return whether to show this as answered, if at most `max_error` of what is shown may have no answer here.

        None where the confidence is unknown. Raises InputError for a share that is not between 0 and 1.
        """
        least = least_confidence(max_error)
        return None if self.confidence is None else bool(self) and self.confidence >= least

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people about this search, such as that some passages have no vector yet."""
        return self.trace.notes

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> Hit | Results:
        return type(self)(self.trace, self._hits[index]) if isinstance(index, slice) else self._hits[index]

    def __contains__(self, item: object) -> bool:
        return item in self._hits or any(item == hit.document_id for hit in self._hits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and self._hits == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as it is compared by its hits

    def __len__(self) -> int:
        return len(self._hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._hits)

    def __repr__(self) -> str:
        shown = ", ".join(f"{hit.document_id} {hit.score:.3f}" for hit in self._hits[:_SHOWN])
        more = ", …" if len(self) > _SHOWN else ""
        return f"<Results {self.trace.query!r}: {_counted(len(self), 'hit')}{': ' if shown else ''}{shown}{more}>"

    def _repr_html_(self) -> str:
        """Return the hits as a table, for a notebook."""
        rows = [(hit.rank, hit.document_id, hit.title, hit.text, hit.score, hit.relevance) for hit in self._hits]
        confidence = "" if self.confidence is None else f"; confidence {self.confidence:.2f}"
        caption = f"{self.trace.query}: {_counted(len(self), 'hit')}{confidence}"
        columns = ("", "document", "title", "passage", "score", "relevance")
        return html_table(caption, columns, rows, self.trace.notes) + (
            f"<details><summary>Why these results?</summary>{self.trace._repr_html_()}</details>"
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
