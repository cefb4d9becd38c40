"""The calibration as it is stored: what was measured with a sample of the vectors."""

from __future__ import annotations

import json
from dataclasses import asdict

import apsw

from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.values import Calibration

_KEY = "background"


def read(connection: apsw.Connection) -> Calibration | None:
    """Give what was measured with the vectors that searches use; None where it was not, or with others."""
    told = value(connection, "SELECT value FROM meta WHERE key = ?", (_KEY,))
    if told is None:
        return None
    background = Calibration(**json.loads(told))
    active = vector_tables.by_state(connection, "active")
    return background if active is not None and active[1].fingerprint == background.fingerprint else None


def write(connection: apsw.Connection, background: Calibration) -> None:
    """Keep what was measured, in place of what was."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, json.dumps(asdict(background))))
