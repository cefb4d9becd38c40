# ruff: noqa: D102 - the protocol says what each method promises
"""LearningBackend for SQLite: one transaction for each method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import apsw

from hybridstore.backends.learning import (
    Expectation,
    Feedback,
    LoggedQuestion,
    ModelVersion,
    Triple,
    check_triples,
)
from hybridstore.backends.sqlite import chunk_references, learning_rows, model_rows, vector_tables
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.connection import Connections
from hybridstore.backends.sqlite.translation import translated
from hybridstore.backends.values import Calibration

_READ_AT_ONCE = 200  # triples held in memory at once


@translated
class SQLiteLearning:
    """What one file has learned; the active version stays in memory, for every search reads it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._active: ModelVersion | None = None

    # models

    def model(self) -> ModelVersion | None:
        with self._connections.reading() as connection:
            active = model_rows.active(connection)
            return None if active is None else self.known(connection, *active)

    def known(self, connection: apsw.Connection, number: int, previous: int | None) -> ModelVersion:
        """Return the active version of this number, from memory where it is there: weights never change."""
        model = self._active
        if model is None or model.number != number:
            model = model_rows.read(connection, number)
        elif model.previous != previous:
            model = replace(model, previous=previous)
        self._active = model
        return model

    def models(self) -> list[ModelVersion]:
        with self._connections.reading() as connection:
            return model_rows.listed(connection)

    def propose(self, model: ModelVersion) -> int:
        with self._connections.atomic() as connection:
            return model_rows.propose(connection, model)

    def version(self, number: int) -> ModelVersion:
        with self._connections.reading() as connection:
            return model_rows.read(connection, number)

    def promote(self, number: int | None, *, calibration: Calibration | None = None) -> ModelVersion | None:
        with self._connections.atomic() as connection, Log(connection) as log:
            if model_rows.promote(connection, number):
                log.advance()
                if calibration is not None:
                    vector_tables.write_calibration(connection, calibration)
            return None if number is None else model_rows.read(connection, number)

    # triples

    def add_triples(self, kept: Sequence[Triple]) -> None:
        check_triples(kept)
        with self._connections.atomic() as connection:
            learning_rows.add_triples(connection, kept)

    def triples(self, *, kind: str | None = None, limit: int | None = None) -> Iterator[Triple]:
        with self._connections.reading() as connection:  # a caller may add some meanwhile, which are not read
            last, end, left = 0, learning_rows.next_triple(connection), limit
        while left is None or left > 0:
            wanted = _READ_AT_ONCE if left is None else min(left, _READ_AT_ONCE)
            with self._connections.reading() as connection:
                page = learning_rows.triple_page(connection, kind, (last, end), wanted)
            yield from page
            if len(page) < wanted:
                return
            last, left = page[-1].number, None if left is None else left - len(page)

    def count_triples(self) -> int:
        with self._connections.reading() as connection:
            return learning_rows.count_triples(connection)

    def drop_triples(self) -> int:
        with self._connections.atomic() as connection:
            return learning_rows.drop_triples(connection)

    # what people asked, and what they said about the answers

    def log_queries(self, queries: Sequence[str]) -> None:
        with self._connections.atomic() as connection:
            learning_rows.log_queries(connection, queries)

    def query_log(self) -> list[LoggedQuestion]:
        with self._connections.reading() as connection:
            return learning_rows.query_log(connection)

    def forget_queries(self, queries: Sequence[str] | None = None) -> int:
        with self._connections.atomic() as connection:
            return learning_rows.forget_queries(connection, queries)

    def add_feedback(self, query: str, chunk: int, *, used: bool) -> None:
        with self._connections.atomic() as connection:
            learning_rows.add_feedback(connection, query, chunk, used=used)

    def move_feedback(self, chunks: Mapping[int, int]) -> None:
        with self._connections.atomic() as connection:
            chunk_references.move_feedback(connection, chunks)

    def feedback(self) -> list[Feedback]:
        with self._connections.reading() as connection:
            return learning_rows.feedback(connection)

    # what is expected of searches

    def expect(self, query: str, document_id: str, within: int) -> None:
        with self._connections.atomic() as connection:
            learning_rows.expect(connection, query, document_id, within)

    def expectations(self) -> list[Expectation]:
        with self._connections.reading() as connection:
            return learning_rows.expectations(connection)

    def drop_expectations(self, expectations: Sequence[Expectation]) -> int:
        with self._connections.atomic() as connection:
            return learning_rows.drop_expectations(connection, expectations)

    def move_expectations(self, documents: Mapping[str, str]) -> int:
        with self._connections.atomic() as connection:
            return learning_rows.move_expectations(connection, documents)
