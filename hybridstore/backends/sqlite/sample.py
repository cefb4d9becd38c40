"""The calibration as it is stored: what was measured with a sample of the vectors."""

from __future__ import annotations

import json
from dataclasses import asdict

import apsw

from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.values import Calibration, Embedding

_KEY = "background"


def read(connection: apsw.Connection) -> Calibration | None:
    """Return what was measured with the vectors that searches use; None where nothing was, or with others."""
    active = vector_tables.by_state(connection, "active")
    return applicable(value(connection, "SELECT value FROM meta WHERE key = ?", (_KEY,)), active[1] if active else None)


def applicable(stored: str | None, embedding: Embedding | None) -> Calibration | None:
    """Return the stored calibration if it is about this embedding's vectors."""
    if stored is None or embedding is None:
        return None
    calibration = Calibration(**json.loads(stored))
    return calibration if calibration.fingerprint == embedding.fingerprint else None


def write(connection: apsw.Connection, calibration: Calibration) -> None:
    """Record a calibration in place of the one before."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, json.dumps(asdict(calibration))))
