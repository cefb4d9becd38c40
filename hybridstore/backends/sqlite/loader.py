"""The loader of SQLite files: what the copies in memory read, out of FTS5's, sqlite-vec's and our own tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.keyword_scoring import COLUMNS, WEIGHTS
from hybridstore.backends.resident.loader import Codes, FieldPath, FieldTexts, Ids, Postings
from hybridstore.backends.sqlite import change_log, document_rows, keyword_index, vector_tables
from hybridstore.backends.sqlite.connection import REVISION, fact, rows, value
from hybridstore.backends.sqlite.stored_values import check_types, integers, whole_number
from hybridstore.backends.sqlite.where_sql import path_of, restricted
from hybridstore.backends.values import ChunkChange, Embedding, Passage, Restriction
from hybridstore.codecs import int8
from hybridstore.records import Ranking

_FTS5_VERSION = 4  # of FTS5's own tables, as in `keywords_config`
_WEIGHTS = np.zeros(16, np.float32)  # of a column, by the length of its name: no two are equally long
_WEIGHTS[[len(column) for column in COLUMNS]] = WEIGHTS
# fts5vocab's tables of a word's columns and of its occurrences; temporary, so that the file does not have them.
_VOCABULARY = """
    CREATE VIRTUAL TABLE IF NOT EXISTS temp.word_columns USING fts5vocab ('main', 'keywords', 'col');
    CREATE VIRTUAL TABLE IF NOT EXISTS temp.occurrences USING fts5vocab ('main', 'keywords', 'instance');
"""
_PAGE = 4096  # rows that SQLite returns as one text a column: a row each would take twice as long


@dataclass(frozen=True, slots=True)
class SQLiteLoader:
    """Reads through a connection inside a read transaction; `resident.loader.Loader` says what each method returns."""

    connection: apsw.Connection
    leg: str | None = None
    _known_columns: dict[str, dict[str, int]] = field(default_factory=dict)

    def revision(self) -> int:
        """Return the revision that the transaction reads."""
        sql = "SELECT value FROM meta WHERE key = 'revision'"
        return fact(self.connection, REVISION, lambda: whole_number(value(self.connection, sql)))

    def changes(self, since: int) -> list[ChunkChange] | None:
        """Return the lines of the change log."""
        return change_log.changes(self.connection, since)

    def lengths(self, limit: int) -> tuple[Ids, NDArray[np.float32]] | None:
        """Read FTS5's table of sizes; None also where the index is in a format that is not read here."""
        first, last, count = rows(self.connection, "SELECT min(id), max(id), count(*) FROM keywords_docsize")[0]
        version = value(self.connection, "SELECT v FROM keywords_config WHERE k = 'version'")
        if count > limit or version != _FTS5_VERSION:
            return None
        ordered = "FROM keywords_docsize ORDER BY id"
        if not count:
            ids = np.empty(0, np.int64)
        elif last - first + 1 == count:
            ids = np.arange(first, last + 1)
        else:
            ids = integers(value(self.connection, f"SELECT group_concat(id, char(10)) FROM (SELECT id {ordered})"))
        # One text instead of a row each: a third of the time.
        sizes = value(self.connection, f"SELECT group_concat(hex(sz), '') FROM (SELECT sz {ordered})")
        return ids, summed_sizes(bytes.fromhex(sizes or ""), count)

    def frequencies(self, words: Sequence[str]) -> list[int]:
        """Count with fts5vocab."""
        self._require_vocabulary()
        counts = [self._columns(word) for word in words]
        return [
            next(iter(count.values()), 0) if len(count) < 2 else keyword_index.frequency(self.connection, word)
            for word, count in zip(words, counts, strict=True)
        ]

    def postings(self, words: Sequence[str]) -> list[Postings]:
        """Read with fts5vocab: all occurrences of a word as one text, which takes a fifth of a row each.

        Of a word in a single column, as most are where there are no titles, chunks alone are read: in two thirds of
        the time.
        """
        self._require_vocabulary()
        postings = []
        for word in words:
            columns = list(self._columns(word))
            number = "doc" if len(columns) == 1 else "doc * 16 + length(col)"
            sql = f"SELECT group_concat({number}, ' ') FROM temp.occurrences WHERE term = ?"
            numbers = integers(value(self.connection, sql, (word,)) or "", " ")
            postings.append(_summed(numbers, columns[0] if len(columns) == 1 else None))
        return postings

    def _columns(self, word: str) -> dict[str, int]:
        """Return the columns that contain a word, and the number of chunks that have it there."""
        if word not in self._known_columns:
            sql = "SELECT col, doc FROM temp.word_columns WHERE term = ?"
            self._known_columns[word] = dict(rows(self.connection, sql, (word,)))
        return self._known_columns[word]

    def _require_vocabulary(self) -> None:
        if not self._known_columns:
            self.connection.execute(_VOCABULARY, can_cache=False)  # a rollback takes the tables with it

    def passages(self, chunks: Sequence[int]) -> list[Passage]:
        """Read chunks and their documents."""
        return document_rows.passages(self.connection, chunks)

    def embedding(self) -> tuple[int, Embedding] | None:
        """Return the active embedding and its number, or the leg's."""
        return vector_tables.of_leg(self.connection, self.leg)

    def coded(self, limit: int) -> Ids | None:
        """Read the ids out of vec0's blobs: 1,024 to a blob, and a bit each for those in use.

        vec0 uses places again that were freed, so the ids need not ascend.
        """
        parts = [rowids[used] for _, used, rowids in self._blocks()]
        if sum(map(len, parts)) > limit:
            return None
        ids = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
        if np.any(ids[1:] == ids[:-1]):
            raise apsw.CorruptError("a chunk has two codes")
        return ids

    def code_blocks(self, sample: int | None = None) -> Iterator[tuple[Ids, Codes]]:
        """Read the codes out of vec0's blobs, about ten times as fast as row by row."""
        blocks, (_, embedding) = self._blocks(), self._active()
        dim = embedding.dim
        step = 1 if sample is None else max(len(blocks) // sample, 1)
        sql = f"SELECT vectors FROM codes_{self._number()}_vector_chunks00 WHERE rowid = ?"
        for block, used, rowids in blocks[::step]:
            if used.any():
                blob = value(self.connection, sql, (block,))
                if type(blob) is not bytes or len(blob) != len(used) * dim:
                    raise apsw.CorruptError("a block of codes has not the length of its chunks")
                codes = np.frombuffer(blob, np.int8).reshape(len(used), dim)
                yield (rowids, codes) if used.all() else (rowids[used], codes[used])

    def _blocks(self) -> list[tuple[int, NDArray[np.bool_], Ids]]:
        """Return vec0's blobs: the number of each, which of its places are in use, and the ids there."""
        sql = f"SELECT chunk_id, validity, rowids FROM codes_{self._number()}_chunks ORDER BY chunk_id"
        found = rows(self.connection, sql)
        for _, validity, rowids in found:
            if type(validity) is not bytes or type(rowids) is not bytes or len(rowids) != 64 * len(validity):
                raise apsw.CorruptError("a block of codes has not the length of its chunks")
        return [
            (
                block,
                np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little").view(np.bool_),
                np.frombuffer(rowids, "<i8"),
            )
            for block, validity, rowids in found
        ]

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
        """Make codes of the vectors, whose rows are read sooner; a zero vector has no direction and no code."""
        ids, vectors = self.vectors(chunks)
        some = vectors.any(axis=1)
        return ids[some], int8.encode(vectors[some])

    def scan(
        self,
        query: NDArray[np.float32],
        count: int,
        restriction: Restriction,
        allowed: Callable[[], Ids | None],  # noqa: ARG002 - SQL restricts
    ) -> Ranking:
        """Ask vec0."""
        return vector_tables.scan(self.connection, self._number(), query, count, *restricted(restriction))

    def first_vectors(self, step: int, limit: int, shift: int = 0) -> Ids:
        """Seek the first chunk of each step, one after the other."""
        table = f"vectors_{self._number()}"
        sql = f"""WITH RECURSIVE picked(chunk) AS (
                      SELECT min(chunk) FROM {table}
                      UNION ALL
                      SELECT (SELECT min(chunk) FROM {table}
                              WHERE chunk >= ((picked.chunk + :shift) / :step + 1) * :step - :shift)
                      FROM picked WHERE picked.chunk IS NOT NULL LIMIT :limit)
                  SELECT chunk FROM picked WHERE chunk IS NOT NULL"""
        chunks = self.connection.execute(sql, {"step": step, "limit": limit, "shift": shift})
        return np.fromiter((chunk for (chunk,) in chunks), np.int64)

    def last_vector(self) -> int | None:
        """Return the largest id."""
        last: int | None = value(self.connection, f"SELECT max(chunk) FROM vectors_{self._number()}")
        return last

    def _active(self) -> tuple[int, Embedding]:
        active = self.embedding()
        if active is None:
            raise LookupError("there is no active embedding")
        return active

    def _number(self) -> int:
        return self._active()[0]

    def owners(self, chunks: Sequence[int] | None = None) -> tuple[Ids, Ids]:
        """Read all chunks' documents page by page, or those of some."""
        if chunks is not None:
            sql = "SELECT chunk, document FROM chunks WHERE chunk IN (SELECT value FROM json_each(?)) ORDER BY chunk"
            found = rows(self.connection, sql, (json.dumps(chunks),))
            for pair in found:
                check_types(pair, "ii")
            pairs = np.array(found, np.int64).reshape(-1, 2)
            return pairs[:, 0], pairs[:, 1]
        pages = [np.empty((2, 0), np.int64)]
        for page in self._pages("chunks", "chunk", ["document"]):
            ids, owners = (integers(column or "") for column in page)
            if len(ids) != len(owners):
                raise apsw.CorruptError("there are chunks without a document")
            pages.append(np.array([ids, owners]))
        ids, owners = np.concatenate(pages, axis=1)
        return ids, owners

    def metadata(self, documents: Sequence[int]) -> list[str]:
        """Read metadata as JSON."""
        sql = "SELECT document, metadata FROM documents WHERE document IN (SELECT value FROM json_each(?))"
        texts = dict(rows(self.connection, sql, (json.dumps(documents),)))
        if missing := [document for document in documents if document not in texts]:
            raise apsw.CorruptError(f"document {missing[0]} of a chunk is not there")
        return [texts[document] for document in documents]

    def columns(self, paths: Sequence[FieldPath]) -> tuple[Ids, list[FieldTexts]]:
        """Read fields of all documents in one pass."""
        terms = [
            f"json_quote({path})" if isinstance(path, str) else f"coalesce({'metadata -> ?, ' * len(path)}'')"
            for path in paths
        ]
        json_paths = [path_of(way) for path in paths if not isinstance(path, str) for way in path]
        known: list[dict[str, int]] = [{"": 0} for _ in paths]
        parts: list[list[NDArray[np.intp]]] = [[np.empty(0, np.intp)] for _ in paths]
        documents = [np.empty(0, np.int64)]
        for page in self._pages("documents", "document", terms, json_paths):
            documents.append(integers(page[0]))
            for lines, codes, part in zip(page[1:], known, parts, strict=True):
                texts = (lines or "").split("\n")
                if len(texts) != len(documents[-1]):
                    raise apsw.CorruptError("a document has no value where one belongs")
                for text in dict.fromkeys(texts):
                    codes.setdefault(text, len(codes))
                part.append(np.fromiter(map(codes.__getitem__, texts), np.intp, len(texts)))
        fields = [(list(codes), np.concatenate(part)) for codes, part in zip(known, parts, strict=True)]
        return np.concatenate(documents), fields

    def _pages(
        self, table: str, key: str, terms: Sequence[str], bindings: Sequence[object] = ()
    ) -> Iterator[tuple[str, ...]]:
        """Return a table's positive integer key, and terms of its columns, each joined by line ends, page by page."""
        joined = ", ".join(f"group_concat({term}, char(10))" for term in [key, *terms])
        # All are joined in one pass over the same rows, so they agree on the order, whatever it is.
        sql = f"SELECT max({key}), {joined} FROM (SELECT * FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {_PAGE})"
        last: int | None = 0
        while True:
            last, *texts = rows(self.connection, sql, (*bindings, last))[0]
            if last is None:
                return
            yield tuple(texts)

    def passing(self, restriction: Restriction) -> Ids:
        """Select the chunks that pass."""
        condition, bindings = restricted(restriction)
        sql = condition or "SELECT chunk FROM chunks"
        ids = np.fromiter((chunk for (chunk,) in self.connection.execute(sql, tuple(bindings))), np.int64)
        ids.sort()
        return ids


def _summed(occurrences: NDArray[np.int64], column: str | None) -> Postings:
    """Add up the weights of each chunk's occurrences: chunks, all in one column, or chunk · 16 + length of column."""
    chunks = occurrences if column else occurrences >> 4
    if np.any(chunks[1:] < chunks[:-1]):  # nothing promises the order that FTS5 has them in
        order = np.argsort(chunks, kind="stable")
        chunks, occurrences = chunks[order], occurrences[order]
    firsts = np.flatnonzero(np.diff(chunks, prepend=-1))
    if column:
        weighted = np.diff(firsts, append=len(chunks)) * _WEIGHTS[len(column)]
    else:
        weights = _WEIGHTS[occurrences & 15]
        weighted = np.add.reduceat(weights, firsts) if len(firsts) else weights
    return chunks[firsts], weighted.astype(np.float32, copy=False)


def summed_sizes(sizes: bytes, count: int) -> NDArray[np.float32]:
    """Add up each row's varints, one a column, all rows at once."""
    data = np.frombuffer(sizes, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if len(ends) != count * len(WEIGHTS):
        raise apsw.CorruptError("the keyword index's sizes do not fit its columns")
    values = data[ends].astype(np.int32)
    widths = np.diff(ends, prepend=-1)
    for back in range(1, int(widths.max(initial=1))):
        more = np.flatnonzero(widths > back)
        values[more] += (data[ends[more] - back] & 0x7F).astype(np.int32) << (7 * back)
    lengths: NDArray[np.float32] = values.reshape(count, len(WEIGHTS)).sum(axis=1).astype(np.float32)
    return lengths
