"""What a file knows about its own vectors: a sample of them, and the numbers measured with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.sqlite import vector_tables
from hybridstore.backends.sqlite.connection import value
from hybridstore.backends.values import Calibration

SAMPLED = 256  # vectors: they tell mean and deviation of a query's cosines to a twentieth
_KEY = "background"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some chunks' vectors at a revision: ids (n,) ascending, vectors (n, dim)."""

    revision: int
    number: int
    chunks: NDArray[np.int64]
    vectors: NDArray[np.float32]


def sample(connection: apsw.Connection, revision: int, before: Sample | None) -> Sample:
    """Give at most 256 vectors spread evenly over the ids, and over time; no other knowledge goes into the choice.

    The steps are powers of two, so that a chunk that is added changes little and what was read `before` can stay.
    """
    active = vector_tables.by_state(connection, "active")
    number, dim = (active[0], active[1].dim) if active else (0, 0)
    chunks = _chosen(connection, number) if active else np.empty(0, np.int64)
    if before is not None and before.number == number and np.array_equal(before.chunks, chunks):
        return Sample(revision, number, before.chunks, before.vectors)
    kept: dict[int, NDArray[np.float32]] = {}
    if before is not None and before.number == number:
        kept = dict(zip(before.chunks.tolist(), before.vectors, strict=True))
    missing = [chunk for chunk in chunks.tolist() if chunk not in kept]
    if missing:
        found, vectors = vector_tables.fetch(connection, number, dim, missing)
        kept.update(zip(found.tolist(), vectors, strict=True))
    listed = [kept[chunk] for chunk in chunks.tolist()]
    return Sample(revision, number, chunks, np.array(listed, np.float32).reshape(len(listed), dim))


def _chosen(connection: apsw.Connection, number: int) -> NDArray[np.int64]:
    last = value(connection, f"SELECT max(chunk) FROM vectors_{number}")
    if last is None:
        return np.empty(0, np.int64)
    step = 1
    while last // step >= SAMPLED:
        step *= 2
    chosen = _first_of_each(connection, number, step)
    while step > 1:  # where many ids are gone, most steps are empty: smaller ones find more
        step //= 2
        finer = _first_of_each(connection, number, step)
        if len(finer) > SAMPLED:
            break
        chosen = finer
    return chosen


def _first_of_each(connection: apsw.Connection, number: int, step: int) -> NDArray[np.int64]:
    """Give the first chunk of each step of ids that has any, SAMPLED and one more at most."""
    sql = f"""WITH RECURSIVE picked(chunk) AS (
                  SELECT min(chunk) FROM vectors_{number}
                  UNION ALL
                  SELECT (SELECT min(chunk) FROM vectors_{number} WHERE chunk >= (picked.chunk / :step + 1) * :step)
                  FROM picked WHERE picked.chunk IS NOT NULL LIMIT :most)
              SELECT chunk FROM picked WHERE chunk IS NOT NULL"""
    found = connection.execute(sql, {"step": step, "most": SAMPLED + 1})
    return np.fromiter((chunk for (chunk,) in found), np.int64)


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
