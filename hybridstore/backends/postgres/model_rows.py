"""The rows of model versions: proposed, promoted, retired."""

from __future__ import annotations

from typing import Any

from hybridstore.backends.batches import timestamp
from hybridstore.backends.learning import ModelVersion, report_json, storable
from hybridstore.backends.postgres import vector_tables
from hybridstore.backends.postgres.connection import Connection, rows
from hybridstore.backends.postgres.packed import json_object
from hybridstore.backends.postgres.schema import next_numbers
from hybridstore.errors import InputError, NotFound

_COLUMNS = "model, kind, source, target, reference, state, made, previous, report"
_NAMES = ("number", *_COLUMNS.split(", ")[1:], "weights")


def active(connection: Connection) -> tuple[int, int | None] | None:
    """Return the active version's number and that of the one before it: all that can change while it is active."""
    found = rows(connection, "SELECT model, previous FROM models WHERE state = 'active'")
    return (found[0][0], found[0][1]) if found else None


def read(connection: Connection, number: int) -> ModelVersion:
    """Return one version with its weights; raises NotFound."""
    found = rows(connection, f"SELECT {_COLUMNS}, weights FROM models WHERE model = %s", number)
    if not found:
        reason = f"no model has the number {number}; `hybridstore model history` shows those there are"
        raise NotFound(str(number), reason)
    return _model(found[0])


def listed(connection: Connection) -> list[ModelVersion]:
    """Return all versions, oldest first, without their weights."""
    return [_model(row) for row in rows(connection, f"SELECT {_COLUMNS} FROM models ORDER BY model")]


def _model(row: tuple[Any, ...]) -> ModelVersion:
    facts = dict(zip(_NAMES, row, strict=False))
    return ModelVersion(**facts | {"report": json_object(facts["report"])})


def propose(connection: Connection, model: ModelVersion) -> int:
    """Add a version; return its number."""
    report = report_json(model)
    number = next_numbers(connection, "model")
    names = [storable(name) for name in (model.source, model.target, model.reference)]
    row = (number, model.kind, *names, model.state, model.made or timestamp(), model.previous, report, model.weights)
    connection.execute("INSERT INTO models VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", row)
    return number


def promote(connection: Connection, number: int | None) -> bool:
    """Make a version the active one and retire the one before; return False if it is active already.

    Going back to the version that the active one names as `previous` leaves that one's own `previous` unchanged, so
    that going back again goes further back; where that would be a cycle, the cycle is opened.
    """
    before = active(connection)
    if number == (before[0] if before else None):
        return False
    if number is not None:
        target, searched = read(connection, number).target, vector_tables.by_state(connection, "active")
        if searched is None or searched[1].fingerprint != target:
            there = f"the store's are of {searched[1].fingerprint}" if searched else "the store has none"
            raise InputError(
                f"model {number} is for vectors of {target}, and {there}; `hybridstore reembed` makes them"
            )
    connection.execute("UPDATE models SET state = 'retired' WHERE state = 'active'")
    if number is not None:
        connection.execute("UPDATE models SET state = 'active' WHERE model = %s", (number,))
        if before is None or before[1] != number:
            _link(connection, number, before[0] if before else None)
        elif before[0] in _before(connection, number):
            _link(connection, before[0], None)
    return True


def _link(connection: Connection, number: int, previous: int | None) -> None:
    connection.execute("UPDATE models SET previous = %s WHERE model = %s", (previous, number))


def _before(connection: Connection, number: int) -> set[int]:
    """Return all versions before this one."""
    statement = """WITH RECURSIVE back(model) AS (
                       SELECT previous FROM models WHERE model = %s
                       UNION SELECT previous FROM models JOIN back USING (model))
                   SELECT model FROM back WHERE model IS NOT NULL"""
    return {model for (model,) in rows(connection, statement, number)}


def retire_others(connection: Connection, fingerprint: str) -> None:
    """Retire the active version if it is for other vectors than this embedder's."""
    statement = "UPDATE models SET state = 'retired' WHERE state = 'active' AND target <> %s"
    connection.execute(statement, (fingerprint,))
