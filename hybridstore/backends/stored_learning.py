# ruff: noqa: D102 - the protocol says what each method promises
"""LearningBackend for databases: one transaction for each method, whatever the SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from hybridstore.backends.change_runs import ChangeRuns
from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion, ModelVersion, Triple, check_triples
from hybridstore.backends.values import Calibration

_READ_AT_ONCE = 200  # triples held in memory at once

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
C_contra = TypeVar("C_contra", contravariant=True)


class Transactions(Protocol[C_co]):
    """Where transactions come from."""

    def reading(self) -> AbstractContextManager[C_co]: ...

    def atomic(self) -> AbstractContextManager[C_co]: ...

    def close(self) -> None: ...


class ModelRows(Protocol[C_contra]):
    """The rows of model versions, through a connection."""

    def active(self, connection: C_contra, /) -> tuple[int, int | None] | None: ...

    def read(self, connection: C_contra, number: int, /) -> ModelVersion: ...

    def listed(self, connection: C_contra, /) -> list[ModelVersion]: ...

    def propose(self, connection: C_contra, model: ModelVersion, /) -> int: ...

    def promote(self, connection: C_contra, number: int | None, /) -> bool: ...


class LearningRows(Protocol[C_contra]):
    """The rows of triples, the query log, feedback and expectations, through a connection."""

    def add_triples(self, connection: C_contra, triples: Sequence[Triple], /) -> None: ...

    def next_triple(self, connection: C_contra, /) -> int: ...

    def triple_page(
        self, connection: C_contra, kind: str | None, between: tuple[int, int], limit: int, /
    ) -> list[Triple]: ...

    def count_triples(self, connection: C_contra, /) -> int: ...

    def drop_triples(self, connection: C_contra, /) -> int: ...

    def log_queries(self, connection: C_contra, queries: Sequence[str], /) -> None: ...

    def query_log(self, connection: C_contra, /) -> list[LoggedQuestion]: ...

    def forget_queries(self, connection: C_contra, queries: Sequence[str] | None, /) -> int: ...

    def add_feedback(self, connection: C_contra, query: str, chunk: int, /, *, used: bool) -> None: ...

    def move_feedback(self, connection: C_contra, moved: Mapping[int, int], /) -> None: ...

    def feedback(self, connection: C_contra, /) -> list[Feedback]: ...

    def expect(self, connection: C_contra, query: str, document_id: str, within: int, /) -> None: ...

    def expectations(self, connection: C_contra, /) -> list[Expectation]: ...

    def drop_expectations(self, connection: C_contra, dropped: Sequence[Expectation], /) -> int: ...

    def move_expectations(self, connection: C_contra, documents: Mapping[str, str], /) -> int: ...


class StoredLearning(Generic[C]):
    """What one store has learned; the active version stays in memory, for every search reads it."""

    def __init__(
        self,
        connections: Transactions[C],
        models: ModelRows[C],
        learning: LearningRows[C],
        log: Callable[[C], AbstractContextManager[ChangeRuns]],
        calibrate: Callable[[C, Calibration], None],
    ) -> None:
        self._connections, self._models, self._rows = connections, models, learning
        self._log, self._calibrate = log, calibrate
        self._active: ModelVersion | None = None

    # models

    def model(self) -> ModelVersion | None:
        with self._connections.reading() as connection:
            active = self._models.active(connection)
            return None if active is None else self.known(connection, *active)

    def known(self, connection: C, number: int, previous: int | None) -> ModelVersion:
        """Return the active version of this number, from memory where it is there: weights never change."""
        model = self._active
        if model is None or model.number != number:
            model = self._models.read(connection, number)
        elif model.previous != previous:
            model = replace(model, previous=previous)
        self._active = model
        return model

    def models(self) -> list[ModelVersion]:
        with self._connections.reading() as connection:
            return self._models.listed(connection)

    def propose(self, model: ModelVersion) -> int:
        with self._connections.atomic() as connection:
            return self._models.propose(connection, model)

    def version(self, number: int) -> ModelVersion:
        with self._connections.reading() as connection:
            return self._models.read(connection, number)

    def promote(self, number: int | None, *, calibration: Calibration | None = None) -> ModelVersion | None:
        with self._connections.atomic() as connection, self._log(connection) as log:
            if self._models.promote(connection, number):
                log.advance()
                if calibration is not None:
                    self._calibrate(connection, calibration)
            return None if number is None else self._models.read(connection, number)

    # triples

    def add_triples(self, triples: Sequence[Triple]) -> None:
        check_triples(triples)
        with self._connections.atomic() as connection:
            self._rows.add_triples(connection, triples)

    def triples(self, *, kind: str | None = None, limit: int | None = None) -> Iterator[Triple]:
        with self._connections.reading() as connection:  # a caller may add some meanwhile, which are not read
            last, end, left = 0, self._rows.next_triple(connection), limit
        while left is None or left > 0:
            wanted = _READ_AT_ONCE if left is None else min(left, _READ_AT_ONCE)
            with self._connections.reading() as connection:
                page = self._rows.triple_page(connection, kind, (last, end), wanted)
            yield from page
            if len(page) < wanted:
                return
            last, left = page[-1].number, None if left is None else left - len(page)

    def count_triples(self) -> int:
        with self._connections.reading() as connection:
            return self._rows.count_triples(connection)

    def drop_triples(self) -> int:
        with self._connections.atomic() as connection:
            return self._rows.drop_triples(connection)

    # what people asked, and what they said about the answers

    def log_queries(self, queries: Sequence[str]) -> None:
        with self._connections.atomic() as connection:
            self._rows.log_queries(connection, queries)

    def query_log(self) -> list[LoggedQuestion]:
        with self._connections.reading() as connection:
            return self._rows.query_log(connection)

    def forget_queries(self, queries: Sequence[str] | None = None) -> int:
        with self._connections.atomic() as connection:
            return self._rows.forget_queries(connection, queries)

    def add_feedback(self, query: str, chunk: int, *, used: bool) -> None:
        with self._connections.atomic() as connection:
            self._rows.add_feedback(connection, query, chunk, used=used)

    def move_feedback(self, chunks: Mapping[int, int]) -> None:
        with self._connections.atomic() as connection:
            self._rows.move_feedback(connection, chunks)

    def feedback(self) -> list[Feedback]:
        with self._connections.reading() as connection:
            return self._rows.feedback(connection)

    # what is expected of searches

    def expect(self, query: str, document_id: str, within: int) -> None:
        with self._connections.atomic() as connection:
            self._rows.expect(connection, query, document_id, within)

    def expectations(self) -> list[Expectation]:
        with self._connections.reading() as connection:
            return self._rows.expectations(connection)

    def drop_expectations(self, expectations: Sequence[Expectation]) -> int:
        with self._connections.atomic() as connection:
            return self._rows.drop_expectations(connection, expectations)

    def move_expectations(self, documents: Mapping[str, str]) -> int:
        with self._connections.atomic() as connection:
            return self._rows.move_expectations(connection, documents)
