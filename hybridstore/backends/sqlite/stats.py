"""What the file holds, counted and named in one place."""

from __future__ import annotations

from pathlib import Path

import apsw

from hybridstore.backends.sqlite import document_rows, sample, vector_tables
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.sqlite.learning import model_rows, triple_rows
from hybridstore.backends.values import Embedding, Stats


def stats(connection: apsw.Connection, path: str) -> Stats:
    """Count all there is to count; `path` tells the size, the write-ahead log included."""
    active = vector_tables.by_state(connection, "active")
    model = model_rows.active(connection)
    facts = document_rows.meta(connection)
    return Stats(
        documents=value(connection, "SELECT count(*) FROM documents"),
        chunks=value(connection, "SELECT count(*) FROM chunks"),
        vectors=value(connection, f"SELECT count(*) FROM vectors_{active[0]}") if active else 0,
        sources=value(connection, "SELECT count(*) FROM sources"),
        revision=int(str(facts["revision"])),
        bytes=sum(file.stat().st_size for file in map(Path, (path, f"{path}-wal")) if file.exists()),
        language=str(facts["language"]),
        embedding=active[1] if active else None,
        building=_embedding(connection, "building"),
        created=str(facts["created"]),
        background=sample.read(connection),
        kept=_embedding(connection, "kept"),
        model=model[0] if model else None,
        triples=triple_rows.count(connection),
    )


def _embedding(connection: apsw.Connection, state: str) -> Embedding | None:
    found = vector_tables.by_state(connection, state)
    return found[1] if found else None
