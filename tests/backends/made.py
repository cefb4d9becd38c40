"""Made-up entries, vectors and queries for the tests of backends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding, Entry, Restriction
from hybridstore.filters import parse
from hybridstore.records import Chunk, Document, KeywordQuery, Ranking, Source

ALL = Restriction()
DIM = 8
EMBEDDING = Embedding("made@1", "made", DIM)
OTHER = Embedding("other@1", "other", 5)

# A factory gives each example a store of its own, so a fixture kept between examples does no harm.
FEW = settings(
    max_examples=settings().max_examples * 2 // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)

# Everything a file can hold: NUL, astral characters, right-to-left, marks; no lone surrogates.
texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\0🙂👩\u200d🚀שלום\u202eé\u0301Ⅷ \n"), max_size=40
)


def entry(
    id_: str,
    text: str = "",
    *,
    spans: Sequence[tuple[int, int]] | None = None,
    heading: str = "",
    vectors: np.ndarray | None = None,
    source: str | None = None,
    **fields,
) -> Entry:
    """Make an entry of one chunk, or of these spans; its digest stands for all of it but the vectors."""
    document = Document(id=id_, text=text, **fields)
    chunks = [Chunk(start, end, heading) for start, end in spans or [(0, len(text))]]
    parts = [hashed(document.title, heading, text[chunk.start : chunk.end]) for chunk in chunks]
    return Entry(document, hashed(repr(document), repr(chunks)), chunks, parts, vectors, source)


def hashed(*parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()


def source(key: str, digest: str = "d1") -> Source:
    return Source(key, digest, 10, 20)


def units(rng: np.random.Generator, count: int, dim: int = DIM) -> np.ndarray:
    """Return random unit vectors (count, dim)."""
    rows = rng.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def restriction(backend: Backend, where=None, phrases: Iterable[str] = (), excluded: Iterable[str] = ()) -> Restriction:
    said = backend.analyser.phrase
    return Restriction(parse(where), tuple(map(said, phrases)), tuple(map(said, excluded)))


def ids_of(backend: Backend, chunks: Iterable[int]) -> list[str]:
    return [passage.document_id for passage in backend.passages([int(chunk) for chunk in chunks])]


def found(backend: Backend, text: str = "", *, where=None, phrases=(), excluded=(), depth: int = 1000) -> list[str]:
    """Return the ids of the documents whose chunks the keyword leg finds for words and phrases, best first."""
    limits = restriction(backend, where, phrases, excluded)
    return ids_of(backend, ranked(backend, backend.analyser.terms(text), limits.phrases, limits, depth).chunks)


def ranked(
    backend: Backend, terms: Sequence[str] = (), phrases=(), limits: Restriction = ALL, depth: int = 1000
) -> Ranking:
    """Return the keyword leg's ranking for tokens."""
    return backend.match(KeywordQuery(tuple(terms), tuple(phrases), limits.excluded), depth, limits)[0]


def near(backend: Backend, vector: np.ndarray, depth: int = 1000, **limits) -> list[str]:
    """Return the ids of the documents whose chunks the vector leg finds, nearest first."""
    return ids_of(backend, backend.nearest(vector, depth, restriction(backend, **limits)).chunks)


def all_chunks(backend: Backend) -> set[int]:
    return {chunk for stored in backend.scan() for chunk in chunks_of(backend, stored.document.id)}


def chunks_of(backend: Backend, document_id: str, restriction: Restriction = ALL) -> list[int]:
    """Return the ids of one document's chunks within a restriction, in order."""
    return backend.chunks_of([document_id], restriction).get(document_id, [])
