"""What a purge has to search for: the content of documents before they are removed, and of those that remain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import numpy as np

from hybridstore.backends.keyword_scoring import index_columns
from hybridstore.backends.sqlite import document_rows, keyword_index
from hybridstore.backends.sqlite.byte_search import NeedleBuilder, Needles
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.text.analysis import Analyser

_AMONG = "IN (SELECT value FROM json_each(?))"
_AT_ONCE = 2**22  # bytes yielded together
_HEADER = b"SQLite format 3\0"  # begins every file
# What may hold words of a purged document and remains. Columns come in the order of their rows, so that a needle across
# two of them is known too. Stored queries are not included: they are removed with the document.
_CHECKSUM = "unhex(printf(iif(checksum < 8388608, '%06X', '%08X'), checksum))"  # as SQLite stores it
_TEXTS = (
    f"SELECT id, title, uri, format, source, changed, digest, metadata, text, {_CHECKSUM} FROM documents",
    f"SELECT heading, digest, {_CHECKSUM} FROM chunks",
    f"SELECT key, value, {_CHECKSUM} FROM meta",
    "SELECT fingerprint, reference FROM embeddings",
    "SELECT key, digest FROM sources",
    "SELECT kind, source, target, reference, state, made, report FROM models",
    "SELECT DISTINCT kind FROM triples",
    f"SELECT DISTINCT leg, excluded, {_CHECKSUM} FROM negatives",
    f"SELECT DISTINCT last, {_CHECKSUM} FROM asked",
    "SELECT DISTINCT told FROM feedback",
    f"SELECT key, version, {_CHECKSUM} FROM removals",
    f"SELECT within, made, {_CHECKSUM} FROM expectations",
    "SELECT k, v FROM keywords_config",
    "SELECT type, name, tbl_name, sql FROM sqlite_master",
    "SELECT term FROM vocabulary",
)


@dataclass(frozen=True, slots=True)
class Targets:
    """What to search for: the needles, and the words of the keyword index that only the purged documents contained."""

    needles: Needles = field(default_factory=Needles)
    words: frozenset[str] = frozenset()

    def __add__(self, other: Targets) -> Targets:
        return Targets(self.needles + other.needles, self.words | other.words)


class DocumentContent:
    """The content of documents, read before they are removed; `removed` returns it afterwards."""

    def __init__(
        self, connection: apsw.Connection, analyser: Analyser, ids: Iterable[str], documents: Sequence[int]
    ) -> None:
        self._needles = NeedleBuilder()
        self._words: set[str] = set()
        for id_ in ids:
            self._needles.text("id", id_)
        self._sources: set[str] = set()
        chunks: list[int] = []
        for row in documents:
            chunks += document_rows.chunk_ids(connection, row)
            self._read(connection, row)
        for passage in document_rows.passages(connection, chunks):
            for column in index_columns(analyser, passage.title, passage.heading, passage.text, passage.uri):
                self._words.update(column.split())
        named = json.dumps(chunks)
        chunk_rows = rows(connection, f"SELECT heading, digest FROM chunks WHERE chunk {_AMONG}", (named,))
        for heading in {heading for heading, _ in chunk_rows}:
            self._needles.text("heading", heading)
        self._blobs("digest", [digest for _, digest in chunk_rows])
        for number, _ in rows(connection, "SELECT embedding, dim FROM embeddings"):
            for kind, sql in (
                ("vector", f"SELECT vector FROM vectors_{number} WHERE chunk {_AMONG}"),
                ("code", f"SELECT code FROM codes_{number} WHERE rowid {_AMONG}"),
            ):
                self._blobs(kind, [blob for (blob,) in rows(connection, sql, (named,))])

    def _read(self, connection: apsw.Connection, row: int) -> None:
        sql = "SELECT id, title, uri, metadata, text, digest, source FROM documents WHERE document = ?"
        id_, title, uri, metadata, text, digest, source = rows(connection, sql, (row,))[0]
        for kind, content in (("id", id_), ("title", title), ("uri", uri), ("text", text)):
            self._needles.text(kind, content)
        if metadata != "{}":
            self._needles.text("metadata", metadata)
            for leaf in _leaves(json.loads(metadata)):
                self._needles.text("metadata", leaf)
        self._blobs("digest", [digest])
        if source is not None:
            self._sources.add(source)

    def _blobs(self, kind: str, blobs: Sequence[bytes]) -> None:
        for width in {len(blob) for blob in blobs if blob}:
            some = b"".join(blob for blob in blobs if len(blob) == width)
            self._needles.rows(kind, np.frombuffer(some, np.uint8).reshape(-1, width))

    def removed(self, connection: apsw.Connection) -> Targets:
        """Return what must not be left, now that they are removed; words and sources of other documents may stay."""
        words = {word for word in self._words if not keyword_index.frequency(connection, word)}
        for word in words:
            self._needles.word(word)
        for source in self._sources:
            if value(connection, "SELECT 1 FROM documents WHERE source = ? LIMIT 1", (source,)) is None:
                self._needles.text("source", source)
        return Targets(self._needles.build(), frozenset(words))


def _leaves(metadata: Any) -> Iterator[str]:
    if isinstance(metadata, dict):
        for key, member in metadata.items():
            yield key
            yield from _leaves(member)
    elif isinstance(metadata, list):
        for member in metadata:
            yield from _leaves(member)
    elif isinstance(metadata, str):
        yield metadata
    elif metadata is not None and not isinstance(metadata, bool):
        yield json.dumps(metadata)


def remaining(connection: apsw.Connection, *, vectors: bool) -> Iterator[bytes]:
    """Yield all content of the documents that remain, some megabytes at a time; with `vectors`, those as well."""
    statements = list(_TEXTS)
    for (number,) in rows(connection, "SELECT embedding FROM embeddings"):
        statements.append(f"SELECT key, value FROM codes_{number}_info")
        if vectors:
            statements += [f"SELECT vector FROM vectors_{number}", f"SELECT code FROM codes_{number}"]
    block = bytearray(_HEADER)
    for sql in statements:
        for row in connection.execute(sql):
            block += b"".join(map(_bytes, row)) + b"\0"
            if len(block) > _AT_ONCE:
                yield bytes(block)
                block.clear()
    yield bytes(block)


def _bytes(column: object) -> bytes:
    if isinstance(column, bytes):
        return column
    return b"" if column is None else str(column).encode()
