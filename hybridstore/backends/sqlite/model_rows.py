"""The rows of model versions: proposed, promoted, retired."""

from __future__ import annotations

import time
from typing import Any

import apsw

from hybridstore.backends.learning import ModelVersion, report_json, storable
from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.checksums import change, insertion, next_number
from hybridstore.backends.sqlite.connection import rows
from hybridstore.backends.sqlite.stored_values import json_object
from hybridstore.errors import InputError, NotFound

_ACTIVE = "SELECT model, previous FROM models WHERE state = 'active'"
_COLUMNS = "model, kind, source, target, reference, state, made, previous, report"

_RETIRE, _ACTIVATE = change("models", state="'retired'"), change("models", state="'active'")
_LINK = change("models", previous="?1")


def active(connection: apsw.Connection) -> tuple[int, int | None] | None:
    """Return the active version's number and that of the one before it: all that can change while it is active."""
    row: tuple[Any, ...] | None = connection.execute(_ACTIVE).fetchone()
    return None if row is None else (row[0], row[1])


def read(connection: apsw.Connection, number: int) -> ModelVersion:
    """Return one version with its weights; raises NotFound."""
    matches = rows(connection, f"SELECT {_COLUMNS}, weights FROM models WHERE model = ?", (number,))
    if not matches:
        reason = f"no model has the number {number}; `hybridstore model history` shows those there are"
        raise NotFound(str(number), reason)
    return _model(*matches[0])


def listed(connection: apsw.Connection) -> list[ModelVersion]:
    """Return all versions, oldest first, without their weights."""
    return [_model(*row) for row in rows(connection, f"SELECT {_COLUMNS} FROM models ORDER BY model")]


def _model(  # noqa: PLR0917 - a row's columns
    number: int,
    kind: str,
    source: str,
    target: str,
    reference: str,
    state: str,
    made: str,
    previous: int | None,
    report: str,
    weights: bytes = b"",
) -> ModelVersion:
    return ModelVersion(
        kind=kind,
        source=source,
        target=target,
        reference=reference,
        state=state,
        report=json_object(report),
        weights=weights,
        number=number,
        made=made,
        previous=previous,
    )


def propose(connection: apsw.Connection, model: ModelVersion) -> int:
    """Add a version; return its number."""
    report = report_json(model)
    number = next_number(connection, "models")
    connection.execute(
        insertion("models"),
        (
            number,
            model.kind,
            storable(model.source),
            storable(model.target),
            storable(model.reference),
            model.state,
            model.made or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            model.previous,
            report,
            model.weights,
        ),
    )
    return number


def promote(connection: apsw.Connection, number: int | None) -> bool:
    """Make a version the active one and retire the one before; return False if it is active already.

    Going back to the version that the active one names as `previous` leaves that one's own `previous` unchanged, so
    that going back again goes further back; where that would be a cycle, the cycle is opened.
    """
    before = active(connection)
    if number == (before[0] if before else None):
        return False
    target = None
    if number is not None:
        target = read(connection, number).target
        searched = vector_tables.by_state(connection, "active")
        if searched is None or searched[1].fingerprint != target:
            there = f"the file's are of {searched[1].fingerprint}" if searched else "the file has none"
            raise InputError(
                f"model {number} is for vectors of {target}, and {there}; `hybridstore reembed` makes them"
            )
    connection.execute(f"{_RETIRE} WHERE state = 'active'")
    if number is not None:
        connection.execute(f"{_ACTIVATE} WHERE model = ?", (number,))
        if before is None or before[1] != number:
            connection.execute(f"{_LINK} WHERE model = ?2", (before and before[0], number))
        elif before[0] in _before(connection, number):
            connection.execute(f"{_LINK} WHERE model = ?2", (None, before[0]))
    return True


def _before(connection: apsw.Connection, number: int) -> set[int]:
    """Return all versions before this one."""
    sql = """WITH RECURSIVE back(model) AS (
                 SELECT previous FROM models WHERE model = ?
                 UNION SELECT previous FROM models JOIN back USING (model))
             SELECT model FROM back WHERE model IS NOT NULL"""
    return {model for (model,) in connection.execute(sql, (number,))}


def retire_others(connection: apsw.Connection, fingerprint: str) -> None:
    """Retire the active version if it is for other vectors than this embedder's."""
    connection.execute(f"{_RETIRE} WHERE state = 'active' AND target <> ?", (fingerprint,))
