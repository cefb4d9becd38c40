"""What the file holds, counted and named in one place."""

from __future__ import annotations

from pathlib import Path

import apsw

from hybridstore.backends.sqlite import document_rows, sample, vector_tables
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.sqlite.learning import model_rows, triple_rows
from hybridstore.backends.values import Stats


def stats(connection: apsw.Connection, path: str) -> Stats:
    """Count all there is to count; the size of the file at `path` includes the write-ahead log."""
    active, embeddings = vector_tables.by_state(connection, "active"), vector_tables.embeddings(connection)
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
        embedding=embeddings.active,
        building=embeddings.building,
        created=str(facts["created"]),
        background=sample.read(connection),
        kept=embeddings.kept,
        model=model[0] if model else None,
        triples=triple_rows.count(connection),
    )
