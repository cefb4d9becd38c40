"""What a store holds of documents, gathered before they go; and what all others hold, where it may stand as well."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import numpy as np

from hybridstore.backends.keyword_scoring import index_columns
from hybridstore.backends.sqlite import document_rows, keyword_index
from hybridstore.backends.sqlite.connection import rows, value
from hybridstore.backends.sqlite.purging.byte_search import Gathering, Needles
from hybridstore.text.analysis import Analyser

_AMONG = "IN (SELECT value FROM json_each(?))"
_AT_ONCE = 2**22  # bytes given together
_HEADER = b"SQLite format 3\0"  # begins every file
# What may hold words of a document that goes, and is not of it. Columns stand as they do in a row, so that what two of
# them make up together, side by side, is known too. People's questions are not among it: those go with the document.
_TEXTS = (
    "SELECT id, title, uri, format, source, changed, digest, metadata, text FROM documents",
    "SELECT heading, digest FROM chunks",
    "SELECT key, value FROM meta",
    "SELECT fingerprint, reference FROM embeddings",
    "SELECT key, digest FROM sources",
    "SELECT kind, source, target, reference, state, made, report FROM models",
    "SELECT DISTINCT kind FROM triples",
    "SELECT DISTINCT leg, excluded FROM negatives",
    "SELECT DISTINCT last FROM asked",
    "SELECT DISTINCT told FROM feedback",
    "SELECT k, v FROM keywords_config",
    "SELECT type, name, tbl_name, sql FROM sqlite_master",
    "SELECT term FROM vocabulary",
)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What was sought for: the needles, and the words of the keyword index that only these documents held."""

    needles: Needles = field(default_factory=Needles)
    words: frozenset[str] = frozenset()

    def __add__(self, other: Holdings) -> Holdings:
        return Holdings(self.needles + other.needles, self.words | other.words)


class Held:
    """What documents hold, read while they are there; `gone` tells it once they are not."""

    def __init__(
        self, connection: apsw.Connection, analyser: Analyser, ids: Iterable[str], found: Sequence[int]
    ) -> None:
        self._gathering = Gathering()
        self._words: set[str] = set()
        for id_ in ids:
            self._gathering.text("id", id_)
        self._sources: set[str] = set()
        chunks: list[int] = []
        for row in found:
            chunks += document_rows.chunk_ids(connection, row)
            self._read(connection, row)
        for passage in document_rows.passages(connection, chunks):
            for column in index_columns(analyser, passage.title, passage.heading, passage.text):
                self._words.update(column.split())
        named = json.dumps(chunks)
        found_ = rows(connection, f"SELECT heading, digest FROM chunks WHERE chunk {_AMONG}", (named,))
        for heading in {heading for heading, _ in found_}:
            self._gathering.text("heading", heading)
        self._blobs("digest", [digest for _, digest in found_])
        for number, _ in rows(connection, "SELECT embedding, dim FROM embeddings"):
            for kind, sql in (
                ("vector", f"SELECT vector FROM vectors_{number} WHERE chunk {_AMONG}"),
                ("code", f"SELECT code FROM codes_{number} WHERE rowid {_AMONG}"),
            ):
                self._blobs(kind, [blob for (blob,) in rows(connection, sql, (named,))])

    def _read(self, connection: apsw.Connection, row: int) -> None:
        sql = "SELECT id, title, uri, metadata, text, digest, source FROM documents WHERE document = ?"
        id_, title, uri, metadata, text, digest, source = rows(connection, sql, (row,))[0]
        for kind, each in (("id", id_), ("title", title), ("uri", uri), ("text", text)):
            self._gathering.text(kind, each)
        if metadata != "{}":
            self._gathering.text("metadata", metadata)
            for leaf in _leaves(json.loads(metadata)):
                self._gathering.text("metadata", leaf)
        self._blobs("digest", [digest])
        if source is not None:
            self._sources.add(source)

    def _blobs(self, kind: str, blobs: Sequence[bytes]) -> None:
        for width in {len(blob) for blob in blobs if blob}:
            some = b"".join(blob for blob in blobs if len(blob) == width)
            self._gathering.rows(kind, np.frombuffer(some, np.uint8).reshape(-1, width))

    def gone(self, connection: apsw.Connection) -> Holdings:
        """Say what is to be nowhere any more, now that they are gone: words and sources that others have may stay."""
        words = {word for word in self._words if not keyword_index.frequency(connection, word)}
        for word in words:
            self._gathering.word(word)
        for source in self._sources:
            if value(connection, "SELECT 1 FROM documents WHERE source = ? LIMIT 1", (source,)) is None:
                self._gathering.text("source", source)
        return Holdings(self._gathering.needles(), frozenset(words))


def _leaves(metadata: Any) -> Iterator[str]:
    if isinstance(metadata, dict):
        for key, each in metadata.items():
            yield key
            yield from _leaves(each)
    elif isinstance(metadata, list):
        for each in metadata:
            yield from _leaves(each)
    elif isinstance(metadata, str):
        yield metadata
    elif metadata is not None and not isinstance(metadata, bool):
        yield json.dumps(metadata)


def remaining(connection: apsw.Connection, *, vectors: bool) -> Iterator[bytes]:
    """Give all that the documents hold that are there, as bytes, some megabytes at a time; `vectors` too if wanted."""
    statements = list(_TEXTS)
    for (number,) in rows(connection, "SELECT embedding FROM embeddings"):
        statements.append(f"SELECT key, value FROM codes_{number}_info")
        if vectors:
            statements += [f"SELECT vector FROM vectors_{number}", f"SELECT code FROM codes_{number}"]
    together = bytearray(_HEADER)
    for sql in statements:
        for row in connection.execute(sql):
            together += b"".join(map(_bytes, row)) + b"\0"
            if len(together) > _AT_ONCE:
                yield bytes(together)
                together.clear()
    yield bytes(together)


def _bytes(column: object) -> bytes:
    if isinstance(column, bytes):
        return column
    return b"" if column is None else str(column).encode()
