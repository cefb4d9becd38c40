"""What one file has learned."""

from __future__ import annotations

import apsw

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
