"""Prepared batches: documents divided and embedded anywhere, as Arrow batches that a store takes as they are.

A row is a document with its chunks, each with its place, heading, digest and vector, and with the facts that the store
must share: the embedder, and the version of the chunker. Rows carry these facts themselves, since engines that map over
batches drop the metadata of a schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hybridstore import embedders
from hybridstore.backends.values import Embedding, Entry
from hybridstore.embedders.protocol import Embedder
from hybridstore.records import Chunk, Document
from hybridstore.store.chunk_vectors import cut, embedded, with_vectors
from hybridstore.store.embedder_choice import identify
from hybridstore.store.inputs import Addable, Table, checked, content_digest, digest_of
from hybridstore.store.write_operations import documents_of
from hybridstore.tables.table_writing import DOCUMENT_COLUMNS, arrow

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
_CHARACTERS, _ROWS = 500_000, 1_000  # of a batch: some ten seconds of embedding on two cores


@dataclass(frozen=True, slots=True)
class Facts:
    """What a batch was prepared with: the embedding, the chunker's version, whether documents were left whole."""

    embedder: str
    reference: str
    dim: int
    chunker: int
    whole: bool
    version: int = FORMAT

    @property
    def embedding(self) -> Embedding:
        """The embedding that a store records."""
        return Embedding(self.embedder, self.reference, self.dim)


def prepare(
    documents: Addable | Iterable[Addable] | Table,
    embedder: str | Path | Embedder = embedders.DEFAULT,
    *,
    chunk: bool = True,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Divide documents into chunks and embed them, away from any store; yield Arrow batches for `Store.add_prepared`.

    What is written from them is what `Store.add` would have written. `documents` and `chunk` are those of `Store.add`;
    an embedder that is named is loaded once in a process, with so many `threads` (None: all cores). To be called in the
    workers of a process pool or of an engine such as Ray or Spark, on a part of the documents each: nothing is shared,
    and batches can be pickled or kept as Parquet. `progress` is called with the numbers of documents and chunks so far.

    Raises InputError for what cannot be stored, ModelUnavailable, and MissingExtra without pyarrow.
    """
    arrow()
    model = embedder if isinstance(embedder, Embedder) else embedders.shared(embedder, threads=threads)
    return _prepared(documents_of(documents), model, chunk=chunk, progress=progress)


def _prepared(
    documents: Iterable[Document], embedder: Embedder, *, chunk: bool, progress: Callable[[int, int], None] | None
) -> Iterator[pa.RecordBatch]:
    from hybridstore.text.chunking import VERSION

    made = identify(embedder)
    facts = Facts(made.fingerprint, made.reference, made.dim, VERSION, whole=not chunk)
    done = chunks = 0
    for page in _pages(map(checked, documents)):
        entries = with_vectors([_entry(document, embedder, chunk=chunk) for document in page], {}, embedder, _ignore)
        done, chunks = done + len(entries), chunks + sum(len(entry.chunks) for entry in entries)
        yield _batch(entries, facts)
        if progress:
            progress(done, chunks)


def _ignore(_made: int, _share: float) -> None:
    pass


def _pages(documents: Iterable[Document]) -> Iterator[list[Document]]:
    page, characters = list[Document](), 0
    for document in documents:
        page.append(document)
        characters += len(document.text)
        if characters >= _CHARACTERS or len(page) == _ROWS:
            yield page
            page, characters = [], 0
    if page:
        yield page


def _entry(document: Document, embedder: Embedder, *, chunk: bool) -> Entry:
    chunks = cut(document, embedder) if chunk else (Chunk(0, len(document.text)),)
    digests = [digest_of(embedded(document, each)) for each in chunks]
    return Entry(document, content_digest(document, whole=not chunk), chunks, digests, None, None)


def prepared_schema() -> pa.Schema:
    """Return the Arrow schema of prepared batches, which engines such as Spark want to know beforehand.

    Raises MissingExtra without pyarrow.
    """
    pa = arrow()
    chunk = pa.struct(
        [
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            pa.field("heading", pa.string()),
            pa.field("digest", pa.binary()),
            pa.field("vector", pa.list_(pa.float32())),
        ]
    )
    texts = [pa.field(column.name, pa.string()) for column in DOCUMENT_COLUMNS]
    own = [("digest", pa.binary()), ("chunks", pa.list_(chunk)), ("prepared", pa.string())]
    return pa.schema([*texts, *own])


def _batch(entries: Sequence[Entry], facts: Facts) -> pa.RecordBatch:
    pa, schema = arrow(), prepared_schema()
    chunks = [chunk for entry in entries for chunk in entry.chunks]
    vectors = np.concatenate([entry.vectors for entry in entries if entry.vectors is not None])
    ends = np.arange(len(chunks) + 1, dtype=np.int32) * facts.dim
    parts = [
        pa.array([chunk.start for chunk in chunks], pa.int64()),
        pa.array([chunk.end for chunk in chunks], pa.int64()),
        pa.array([chunk.heading for chunk in chunks], pa.string()),
        pa.array([digest for entry in entries for digest in entry.chunk_digests], pa.binary()),
        pa.ListArray.from_arrays(ends, pa.array(vectors.ravel())),
    ]
    offsets = np.cumsum([0, *(len(entry.chunks) for entry in entries)], dtype=np.int32)
    nested = pa.StructArray.from_arrays(parts, fields=list(schema.field("chunks").type.value_type))
    documents = [entry.document for entry in entries]
    columns = [
        pa.array(
            [
                json.dumps(document.metadata, ensure_ascii=False)
                if column.kind == "json"
                else getattr(document, column.name)
                for document in documents
            ],
            pa.string(),
        )
        for column in DOCUMENT_COLUMNS
    ]
    columns += [pa.array([entry.digest for entry in entries], pa.binary()), pa.ListArray.from_arrays(offsets, nested)]
    columns.append(pa.array([json.dumps(asdict(facts))] * len(entries), pa.string()))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
