"""What a store holds as a whole: the state that every search reads, the folders, and the statistics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.postgres import learning_rows, model_rows, vector_tables
from hybridstore.backends.postgres.change_log import REVISION
from hybridstore.backends.postgres.connection import Connection, rows, value
from hybridstore.backends.postgres.keyword_search import TOTALS
from hybridstore.backends.postgres.schema import set_fact
from hybridstore.backends.protocols import SearchState
from hybridstore.backends.values import Embedding, Stats, VectorLeg
from hybridstore.records import CorpusStatistics, Folder

# One statement, for it is one round trip. A row for each embedding that is searched, or one without any.
_STATE = """
    SELECT (SELECT value::bigint FROM facts WHERE key = 'revision'),
           (SELECT value::bigint FROM facts WHERE key = 'chunks'),
           (SELECT value::bigint FROM facts WHERE key = 'tokens'),
           model, previous, embeddings.state, embedding, fingerprint, embeddings.reference, dim,
           (SELECT value FROM facts
            WHERE key = CASE embeddings.state WHEN 'active' THEN 'background' ELSE 'background ' || embedding END)
    FROM (SELECT 1) AS one
    LEFT JOIN embeddings ON embeddings.state IN ('active', 'added')
    LEFT JOIN models ON models.state = 'active'
    ORDER BY embedding
"""
_FOLDERS = "folders"  # its key among the facts


def state(connection: Connection, known: Callable[[Connection, int, int | None], ModelVersion]) -> SearchState:
    """Read what every search needs first, and let the transaction remember it; see the protocol."""
    found = rows(connection, _STATE)
    revision, chunks, tokens, model, previous = found[0][:5]
    memo: dict[object, object] = {REVISION: revision, TOTALS: CorpusStatistics(chunks, tokens), "active": []}
    embedding, measured, legs = None, None, []
    for *_, searched, number, fingerprint, reference, dim, stored in (row for row in found if row[5] is not None):
        its = Embedding(fingerprint, reference, dim)
        memo[searched if searched == "active" else ("leg", fingerprint)] = [(number, fingerprint, reference, dim)]
        applicable = vector_tables.applicable_calibration(stored, its)
        if searched == "active":
            embedding, measured = its, applicable
        elif applicable is not None:
            legs.append(VectorLeg(embedding=its, calibration=applicable))
    if connection.memo is not None:
        connection.memo.update(memo)
    return SearchState(
        chunks=chunks,
        embedding=embedding,
        calibration=measured,
        model=None if model is None else known(connection, model, previous),
        revision=revision,
        legs=tuple(legs),
    )


def folders(connection: Connection) -> dict[str, Folder]:
    """Return the folders that are remembered, by path."""
    stored = json.loads(value(connection, "SELECT value FROM facts WHERE key = %s", _FOLDERS) or "{}")
    lists = {path: {name: tuple(facts[name]) for name in ("include", "exclude")} for path, facts in stored.items()}
    return {path: Folder(**facts | lists[path]) for path, facts in stored.items()}


def write_folders(connection: Connection, remembered: Iterable[Folder]) -> None:
    """Record the folders that are remembered, and no others."""
    set_fact(connection, _FOLDERS, json.dumps({folder.path: asdict(folder) for folder in remembered}))


def stats(connection: Connection) -> Stats:
    """Return what the store holds; its size is that of its tables with their indexes, on the server's disk."""
    active, embeddings = vector_tables.by_state(connection, "active"), vector_tables.embeddings(connection)
    model = model_rows.active(connection)
    facts = dict(rows(connection, "SELECT key, value FROM facts"))
    size = """SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c JOIN pg_namespace AS n
              ON n.oid = relnamespace WHERE nspname = current_schema() AND relkind = 'r'"""
    return Stats(
        documents=value(connection, "SELECT count(*) FROM documents"),
        chunks=int(facts["chunks"]),
        vectors=value(connection, f"SELECT count(*) FROM vectors_{active[0]}") if active else 0,
        sources=value(connection, "SELECT count(*) FROM sources"),
        revision=int(facts["revision"]),
        bytes=value(connection, size),
        language=facts["language"],
        embedding=embeddings.active,
        building=embeddings.building,
        analysis=int(facts["analysis"]),
        created=facts["created"],
        background=vector_tables.calibration(connection),
        kept=embeddings.kept,
        model=model[0] if model else None,
        triples=learning_rows.count_triples(connection),
        legs=vector_tables.legs(connection),
    )
