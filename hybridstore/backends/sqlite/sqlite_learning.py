# ruff: noqa: D102 - the protocol says what each method promises
"""What one file has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from hybridstore.backends.learning import Expectation, Feedback, LoggedQuestion
from hybridstore.backends.sqlite import learning_rows, model_rows, vector_tables
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.backends.sqlite.connection import Connections
from hybridstore.backends.sqlite.translation import translated
from hybridstore.backends.stored_learning import StoredLearning


@translated
class SQLiteLearning(StoredLearning[apsw.Connection]):
    """LearningBackend for SQLite."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections, model_rows, learning_rows, Log, vector_tables.write_calibration)

    def absorb(
        self,
        *,
        queries: Sequence[LoggedQuestion] = (),
        feedback: Sequence[Feedback] = (),
        expectations: Sequence[Expectation] = (),
        forgotten: Mapping[str, str] | None = None,
        dropped: Sequence[Expectation] = (),
    ) -> None:
        with self._connections.atomic() as connection:
            if forgotten:
                learning_rows.forget_until(connection, forgotten)
            if dropped:
                learning_rows.remove_expectations(connection, dropped)
            learning_rows.absorb(connection, queries, feedback, expectations)
