"""Prepared batches written into a store, each whole or not at all, once it is what was prepared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.records import AddReport, Chunk, Document
from hybridstore.store import calibration
from hybridstore.store.chunk_vectors import embedded
from hybridstore.store.embedder_choice import StoreEmbedder
from hybridstore.store.inputs import Table, checked, content_digest, digest_of
from hybridstore.store.prepared import FORMAT, Facts, prepared_schema
from hybridstore.store.reembed import measure
from hybridstore.store.writer import Progress, Writer
from hybridstore.tables import is_table
from hybridstore.tables.table_writing import arrow

if TYPE_CHECKING:
    import pyarrow as pa

_TOLERANCE = 1e-3  # of a vector's norm from 1

Prepared = Iterable["Table"] | Table
"""Prepared batches: Arrow data (a table, a batch, a reader), or an iterable of these."""


@dataclass(frozen=True, slots=True)
class _Row:
    document: Document
    chunks: Sequence[Chunk]
    vectors: NDArray[np.float32]


def add_prepared(
    backend: Backend,
    embedder: StoreEmbedder,
    writer: Callable[[], Writer],
    batches: Prepared,
    progress: Progress | None,
) -> AddReport:
    """Write prepared batches, each whole or not at all, and measure the store; see `Store.add_prepared`."""
    report = AddReport()
    for table in _tables(batches):
        facts, rows = _read(table)
        if facts is None:
            continue
        with writer() as writing:
            try:
                writing.expect_vectors(facts.embedding)
            except EmbedderMismatch as error:
                raise _mismatch(error) from error
            for row in rows:
                writing.add_chunked(row.document, row.chunks, row.vectors, whole=facts.whole)
        report += writing.report
        if progress:
            progress(report)
    if calibration.is_due(backend):
        measure(backend, embedder)
    return report


def _mismatch(error: EmbedderMismatch) -> EmbedderMismatch:
    name = error.stored.partition("@")[0]
    return EmbedderMismatch(
        error.stored,
        error.given,
        f"these batches were prepared with {error.given}, but the vectors of this store are from {error.stored}; "
        f"prepare them with {name}, or add them to another store",
    )


def _tables(batches: Prepared) -> Iterator[pa.Table]:
    """Yield batches one by one, each as a table."""
    pa = arrow()
    if not is_table(batches):
        if isinstance(batches, str | bytes) or not isinstance(batches, Iterable):
            raise InputError(f"prepared batches are Arrow data, as prepare() yields it, not {type(batches).__name__}")
        for each in batches:
            if not is_table(each):
                raise InputError(f"prepared batches are Arrow data, as prepare() yields it, not {type(each).__name__}")
            yield from _tables(each)
    elif isinstance(batches, pa.RecordBatch):
        yield pa.Table.from_batches([batches])
    else:
        try:
            for batch in pa.RecordBatchReader.from_stream(batches):
                yield pa.Table.from_batches([batch])
        except pa.ArrowException as error:
            raise InputError(f"the prepared batches cannot be read: {error}") from error


def _read(table: pa.Table) -> tuple[Facts | None, list[_Row]]:
    """Return what a batch was prepared with and its documents, the last one of each id; raises InputError."""
    pa, schema = arrow(), prepared_schema()
    if lacking := [name for name in schema.names if name not in table.column_names]:
        raise InputError(f"no prepared batches: they lack the column {lacking[0]!r}; hs.prepare(documents) makes them")
    try:
        table = table.select(schema.names).cast(schema).combine_chunks()
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"the prepared batches do not have the types of prepared_schema(): {error}") from error
    if not len(table):
        return None, []
    facts = _facts(table.column("prepared").unique().to_pylist())
    vectors = _vectors(table, facts.dim)
    plain = table.select([name for name in schema.names if name not in {"chunks", "prepared"}]).to_pylist()
    rows, first = dict[str, _Row](), 0
    for cells, chunks in zip(plain, _chunks(table), strict=True):
        row = _row(cells, chunks, vectors[first : first + len(chunks)], facts)
        first += len(chunks)
        rows[str(row.document.id)] = row
    return facts, list(rows.values())


def _facts(values: Sequence[str | None]) -> Facts:
    from hybridstore.text.chunking import VERSION

    if len(values) != 1 or values[0] is None:
        raise InputError("a batch holds rows that were prepared with different embedders or chunkers; pass them apart")
    try:
        facts = Facts(**json.loads(values[0]))
    except (ValueError, TypeError, RecursionError) as error:
        raise _unknown(values[0]) from error
    if [type(value) for value in asdict(facts).values()] != [str, str, int, int, bool, int] or facts.dim < 1:
        raise _unknown(values[0])
    if facts.version != FORMAT or facts.chunker != VERSION:
        raise InputError(
            f"these batches were prepared by another version of hybridstore (format {facts.version}, chunker "
            f"{facts.chunker}; here {FORMAT} and {VERSION}); prepare the documents again with this one"
        )
    return facts


def _unknown(value: str) -> InputError:
    return InputError(f"the column 'prepared' does not say what these batches were prepared with: {value[:200]!r}")


def _chunks(table: pa.Table) -> list[list[dict[str, Any]]]:
    """Return the chunks of each document without their vectors."""
    pa = arrow()
    column = _whole(table, "chunks")
    flat = column.flatten()
    parts = dict(zip([field.name for field in flat.type], flat.flatten(), strict=True))
    del parts["vector"]
    rows = pa.Table.from_pydict(parts).to_pylist()
    ends = np.cumsum([0, *(size or 0 for size in column.value_lengths().to_pylist())]).tolist()
    return [rows[start:end] for start, end in pairwise(ends)]


def _vectors(table: pa.Table, dim: int) -> NDArray[np.float32]:
    """Return the vectors of all chunks, (n, dim), in order; raises InputError unless they are of unit norm."""
    flat = _whole(table, "chunks").flatten()
    column = flat.flatten()[flat.type.get_field_index("vector")]
    lengths = set(column.value_lengths().to_pylist())
    numbers = column.flatten()
    if lengths - {dim} or numbers.null_count:
        raise InputError(f"the prepared batches have vectors that are not {dim} numbers long")
    vectors = np.array(numbers.to_numpy(zero_copy_only=False), np.float32).reshape(-1, dim)
    norms = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(norms) & ((np.abs(norms - 1.0) < _TOLERANCE) | (norms == 0.0))).all():
        raise InputError("the prepared batches have vectors that are not of unit norm")
    return vectors


def _whole(table: pa.Table, name: str) -> Any:
    column = table.column(name).combine_chunks()
    return column.chunk(0) if isinstance(column, arrow().ChunkedArray) else column


def _row(cells: dict[str, Any], chunks: list[dict[str, Any]], vectors: NDArray[np.float32], facts: Facts) -> _Row:
    """Return a row's document; raises InputError where it is not what was prepared."""
    digest = cells.pop("digest")
    try:
        document = checked(Document(**(cells | {"metadata": json.loads(cells["metadata"])})))
        spans = [Chunk(chunk["start"], chunk["end"], chunk["heading"]) for chunk in chunks]
        digests = [digest_of(embedded(document, span)) for span in spans]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # an InputError is a ValueError
        raise InputError(f"the prepared document {cells['id']!r} cannot be stored: {error}") from error
    same = digest == content_digest(document, whole=facts.whole) and digests == [chunk["digest"] for chunk in chunks]
    if not same or not spans:
        raise InputError(f"the document {document.id!r} was changed after it was prepared; prepare it again")
    return _Row(document, spans, vectors)
