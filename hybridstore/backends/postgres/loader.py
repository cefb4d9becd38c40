"""The loader of a store on a server: what the copies in memory read, many rows in one value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.postgres import (
    change_log,
    document_rows,
    keyword_search,
    posting_blocks,
    sieve,
    vector_tables,
)
from hybridstore.backends.postgres.connection import Connection, rows, value
from hybridstore.backends.postgres.filtering import documents_passing
from hybridstore.backends.postgres.packed import ids, numbers
from hybridstore.backends.resident.loader import Codes, FieldPath, FieldTexts, Ids, Postings
from hybridstore.backends.values import ChunkChange, Embedding, Passage, Restriction
from hybridstore.filters.matching import value_at
from hybridstore.records import Ranking

_MISSING = object()


@dataclass(frozen=True, slots=True)
class PostgresLoader:
    """Reads through a connection inside a read transaction; `resident.loader.Loader` says what each method returns."""

    connection: Connection
    leg: str | None = None
    serving: dict[int, bool] = field(default_factory=dict)  # see `sieve.nearest`

    def revision(self) -> int:
        """Return the revision that the transaction reads."""
        return change_log.revision(self.connection)

    def changes(self, since: int) -> list[ChunkChange] | None:
        """Return the lines of the change log."""
        return change_log.changes(self.connection, since)

    def lengths(self, limit: int) -> tuple[Ids, NDArray[np.float32]] | None:
        """Read all chunks' lengths."""
        if keyword_search.totals(self.connection).chunks > limit:
            return None
        chunks, lengths = numbers(self.connection, ["chunk", "length"], "FROM chunks ORDER BY chunk")
        return chunks, lengths.astype(np.float32)

    def frequencies(self, words: Sequence[str]) -> list[int]:
        """Count the entries of the words' blocks."""
        found = keyword_search.frequencies(self.connection, words)
        return [found[word] for word in words]

    def postings(self, words: Sequence[str]) -> list[Postings]:
        """Read the words' blocks."""
        found = posting_blocks.occurrences(self.connection, words)
        return [(found[word].chunks, found[word].weighted.astype(np.float32)) for word in words]

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        """Read chunks and their documents."""
        return document_rows.passages(self.connection, chunks) if chunks else []

    def embedding(self) -> tuple[int, Embedding] | None:
        """Return the active embedding and its number, or the leg's."""
        return vector_tables.of_leg(self.connection, self.leg)

    def coded(self, limit: int) -> Ids | None:
        """Read the ids of the chunks that have signs, which are those that have a code."""
        table = f"signs_{self._active()[0]}"
        many = keyword_search.totals(self.connection).chunks > limit
        if limit < 1 or (many and value(self.connection, f"SELECT 1 FROM {table} OFFSET %s LIMIT 1", limit)):
            return None
        return ids(self.connection, "chunk", f"FROM {table}")

    def code_blocks(self, sample: int | None = None) -> Iterator[tuple[Ids, Codes]]:
        """Read the codes block by block, or about so many blocks of those there are."""
        number, embedding = self._active()
        blocks = vector_tables.code_blocks(self.connection, number, embedding.dim)
        if sample is None:
            return blocks
        count = value(self.connection, f"SELECT count(*) FROM vectors_{number} WHERE code IS NOT NULL")
        return islice(blocks, 0, None, max(count // vector_tables.CODES_AT_ONCE // sample, 1))

    def vectors(self, chunks: Sequence[int]) -> tuple[Ids, NDArray[np.float32]]:
        """Read exact vectors."""
        active = self.embedding()
        if active is None:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        return vector_tables.fetch(self.connection, active[0], active[1].dim, chunks)

    def exact(self, chunks: Sequence[int]) -> NDArray[np.float32]:
        """Read exact vectors that are all there."""
        number, embedding = self._active()
        return vector_tables.exact(self.connection, number, embedding.dim, chunks)

    def codes_of(self, chunks: Sequence[int]) -> tuple[Ids, Codes]:
        """Read codes."""
        number, embedding = self._active()
        return vector_tables.codes_of(self.connection, number, embedding.dim, "%s::bigint[]", list(chunks))

    def scan(
        self,
        query: NDArray[np.float32],
        count: int,
        restriction: Restriction,  # noqa: ARG002 - by `allowed`
        allowed: Callable[[], Ids | None],
    ) -> Ranking:
        """Let the server sieve."""
        chunks = keyword_search.totals(self.connection).chunks
        return sieve.nearest(self.connection, self._active()[0], query, count, allowed(), chunks, self.serving)

    def first_vectors(self, step: int, limit: int, shift: int = 0) -> Ids:
        """Seek the first chunk of each step, one after the other."""
        table = f"vectors_{self._active()[0]}"
        statement = f"""WITH RECURSIVE picked(chunk) AS (
                            SELECT min(chunk) FROM {table}
                            UNION ALL
                            SELECT (SELECT min(chunk) FROM {table}
                                    WHERE chunk >= ((picked.chunk + %s) / %s + 1) * %s - %s)
                            FROM picked WHERE picked.chunk IS NOT NULL)
                        SELECT chunk FROM picked WHERE chunk IS NOT NULL LIMIT %s"""
        found = rows(self.connection, statement, shift, step, step, shift, limit)
        return np.array([chunk for (chunk,) in found], np.int64)

    def last_vector(self) -> int | None:
        """Return the largest id."""
        last: int | None = value(self.connection, f"SELECT max(chunk) FROM vectors_{self._active()[0]}")
        return last

    def _active(self) -> tuple[int, Embedding]:
        active = self.embedding()
        if active is None:
            raise LookupError("there is no active embedding")
        return active

    def owners(self, chunks: Sequence[int] | None = None) -> tuple[Ids, Ids]:
        """Read all chunks' documents, or those of some."""
        among, values = ("", []) if chunks is None else ("WHERE chunk = ANY(%s::bigint[])", [list(chunks)])
        rest = f"FROM chunks {among} ORDER BY chunk"
        found, owners = numbers(self.connection, ["chunk", "document"], rest, *values)
        return found, owners

    def metadata(self, documents: Sequence[int]) -> list[str]:
        """Read metadata as JSON."""
        statement = "SELECT document, metadata FROM documents WHERE document = ANY(%s::bigint[])"
        texts = dict(rows(self.connection, statement, list(documents)))
        return [texts[document].decode() for document in documents]

    def columns(self, paths: Sequence[FieldPath]) -> tuple[Ids, list[FieldTexts]]:
        """Read fields of all documents in one pass."""
        known: list[dict[str, int]] = [{"": 0} for _ in paths]
        codes: list[list[int]] = [[] for _ in paths]
        documents: list[int] = []
        for found in documents_passing(self.connection, None):
            documents.append(found.document)
            for path, texts, part in zip(paths, known, codes, strict=True):
                held = found.own[path] if isinstance(path, str) else value_at(found.metadata, path, _MISSING)
                text = "" if held is _MISSING else json.dumps(held, ensure_ascii=False, separators=(",", ":"))
                part.append(texts.setdefault(text, len(texts)))
        fields = [(list(texts), np.array(part, np.intp)) for texts, part in zip(known, codes, strict=True)]
        return np.array(documents, np.int64), fields

    def passing(self, restriction: Restriction) -> Ids:
        """Find the chunks that pass."""
        return keyword_search.passing(self.connection, restriction)
