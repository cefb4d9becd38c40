"""Some hundred hostile files, most of them derived from a sound one, and what happens to whoever opens them.

    python tests/faults/hostile_files.py [--json]

prints a table: each file is opened, searched, read, checked and written to in a process of its own, which may take a
second of processor time and 200 MB, and must end in our errors or in nothing.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import apsw
import sqlite_vec

import hybridstore as hs
from hybridstore.backends.sqlite.schema import APPLICATION_ID
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import HybridstoreError

SECONDS, MEGABYTES = 1.0, 200
_GIVEN_UP = 20  # seconds after which a process is ended

TABLES = ("meta", "documents", "chunks", "embeddings", "sources", "changes", "models", "triples", "negatives", "asked")
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
DEEP = '{"a":' * 5000 + "1" + "}" * 5000
COLUMNS = {
    "meta": "x AS key, x AS value",
    "documents": "x AS document, x AS id, '' AS title, '' AS uri, '' AS format, NULL AS source, '' AS changed, "
    "x'' AS digest, '{}' AS metadata, zeroblob(100000) AS text",
    "chunks": "x AS chunk, x AS document, x AS position, 0 AS start, 0 AS stop, 0 AS first_byte, 0 AS last_byte, "
    "'' AS heading, x'' AS digest",
    "embeddings": "x AS embedding, 'f' AS fingerprint, 'r' AS reference, 8 AS dim, 'active' AS state",
}


def statements(sql: str, path: Path) -> None:
    """Run statements that no store would run, with the guards of SQLite that can be switched off switched off."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.enable_load_extension(True)
        connection.load_extension(sqlite_vec.loadable_path())
        connection.execute(
            "PRAGMA writable_schema = ON; PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF"
        )
        connection.execute(sql)


def schema_row(change: str, where: str, path: Path) -> None:
    """Change rows of the schema as text."""
    statements(f"UPDATE sqlite_schema SET {change} WHERE {where}; PRAGMA schema_version = 9999", path)


def at(offset: int, data: bytes, path: Path) -> None:
    """Overwrite bytes of the file."""
    with path.open("rb+") as file:
        file.seek(offset)
        file.write(data)


def resized(size: int, path: Path) -> None:
    """Cut the file, or extend it by a hole."""
    os.truncate(path, size)


def beside(suffix: str, data: bytes, size: int, path: Path) -> None:
    """Put a file beside the store, extended by a hole to a size."""
    side = Path(f"{path}{suffix}")
    side.write_bytes(data)
    if size:
        os.truncate(side, size)


def alone(data: bytes, size: int, path: Path) -> None:
    """Replace the whole file."""
    path.write_bytes(data)
    if size:
        os.truncate(path, size)


def cyclic(table: str, path: Path) -> None:
    """Let every child of an interior page of a table be that page itself, with more cells than it has."""
    with closing(apsw.Connection(str(path))) as connection:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        ((root,),) = connection.execute(sql, (table,)).fetchall() if table else (((1,),))
    size, start = 8192, 100 if root == 1 else 0
    cells = b"".join(root.to_bytes(4, "big") + bytes([n]) for n in range(1, 101))
    first = size - len(cells)
    header = bytes([5]) + (0).to_bytes(2, "big") + (100).to_bytes(2, "big") + first.to_bytes(2, "big") + b"\0"
    pointers = b"".join((first + 5 * n).to_bytes(2, "big") for n in range(100))
    page = header + root.to_bytes(4, "big") + pointers
    at((root - 1) * size + start, page, path)
    at((root - 1) * size + first, cells, path)


def hostile() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield names, and what makes a sound store hostile."""
    for table in TABLES:
        columns = COLUMNS.get(table, "x AS a, x AS b")
        view = f"DROP TABLE {table}; CREATE VIEW {table} AS {ENDLESS} {columns} FROM n"
        yield f"an endless view as {table}", partial(statements, view)
        body = "BEGIN UPDATE documents SET text = 'overwritten'; END"
        trigger = f"CREATE TRIGGER t AFTER INSERT ON {table} {body}"
        yield f"a trigger on {table}", partial(statements, trigger)
        grown = f"ALTER TABLE {table} ADD COLUMN extra TEXT"
        yield f"one column more in {table}", partial(statements, grown)
    for event in ("BEFORE DELETE", "AFTER UPDATE", "BEFORE INSERT"):
        for table in ("documents", "chunks", "vectors_1", "keywords_data"):
            trigger = f"CREATE TRIGGER t {event} ON {table} BEGIN {ENDLESS} count(*) FROM n; END"
            yield f"an endless trigger {event} on {table}", partial(statements, trigger)
    for table, column in (("documents", "title"), ("chunks", "heading"), ("vectors_1", "vector"), ("models", "kind")):
        index = f"CREATE INDEX slow ON {table} (length(hex({column} || zeroblob(1000000))))"
        yield f"an index on an expression of {table}", partial(statements, index)
        check = f"replace(sql, 'NOT NULL', 'NOT NULL CHECK (length(hex(zeroblob(100000000))) > {len(column)})')"
        yield f"an expensive CHECK in {table}", partial(schema_row, f"sql = {check}", f"name = '{table}'")
        generated = "replace(sql, ') STRICT', ', g TEXT AS (hex(zeroblob(100000000)))) STRICT')"
        yield f"a generated column in {table}", partial(schema_row, f"sql = {generated}", f"name = '{table}'")
    for name, sql in {
        "a table more": "CREATE TABLE extra (a)",
        "a view more": f"CREATE VIEW extra AS {ENDLESS} x FROM n",
        "an FTS5 table more": "CREATE VIRTUAL TABLE extra USING fts5 (a)",
        "a vec0 table more": "CREATE VIRTUAL TABLE extra USING vec0 (v float[4096])",
        "an FTS5 table as documents": "DROP TABLE documents; CREATE VIRTUAL TABLE documents USING fts5 (id, text)",
        "a vocabulary of another table": "CREATE TABLE o (a); DROP TABLE vocabulary; "
        "CREATE VIRTUAL TABLE vocabulary USING fts5vocab (o, row)",
        "statistics": "CREATE TABLE IF NOT EXISTS x (a); ANALYZE",
        "a control character in a name": 'CREATE TABLE "\x1b[31m\u202e" (a)',
        "a thousand tables": "".join(f"CREATE TABLE extra{n} (a);" for n in range(1000)),
        "codes of a million dimensions": "UPDATE embeddings SET dim = 1000000",
        "no dimensions": "UPDATE embeddings SET dim = 0",
        "other dimensions": "UPDATE embeddings SET dim = dim * 2",
        "an unknown embedder": "UPDATE embeddings SET reference = '../../etc/passwd'",
        "a revision of text": "UPDATE meta SET value = 'many' WHERE key = 'revision'",
        "a revision beyond all": f"UPDATE meta SET value = {2**63 - 1} WHERE key = 'revision'",
        "a language of none": "UPDATE meta SET value = 'klingon' WHERE key = 'language'",
        "an analysis of text": "UPDATE meta SET value = 'x' WHERE key = 'analysis'",
        "an analysis to come": "UPDATE meta SET value = 99 WHERE key = 'analysis'",
        "no facts": "DELETE FROM meta",
        "a calibration of nonsense": "INSERT OR REPLACE INTO meta (key, value) VALUES ('background', '[1, {}]')",
        "a calibration of NaN": 'UPDATE meta SET value = replace(value, \'"power": \', \'"power": NaN, "x": \') '
        "WHERE key = 'background'",
        "metadata that is not JSON": "UPDATE documents SET metadata = '{'",
        "metadata that is deep": f"UPDATE documents SET metadata = '{DEEP}'",
        "spans beyond everything": f"UPDATE chunks SET first_byte = -9, last_byte = {2**62}",
        "ids of bytes": "UPDATE documents SET text = text || x'ff'",
        "vectors cut short": "UPDATE vectors_1 SET vector = substr(vector, 1, 3)",
        "vectors of infinities": "UPDATE vectors_1 SET vector = "
        "CAST(replace(hex(vector), '00', '7F') AS BLOB) WHERE chunk = 1",
        "no vectors": "DELETE FROM vectors_1",
        "codes without places": "UPDATE codes_1_chunks SET validity = x'ff'",
        "codes with other ids": "UPDATE codes_1_chunks SET rowids = zeroblob(length(rowids))",
        "codes with ids cut short": "UPDATE codes_1_chunks SET rowids = x'01'",
        "codes cut short": "UPDATE codes_1_vector_chunks00 SET vectors = x'01'",
        "codes of nothing": "DELETE FROM codes_1_vector_chunks00",
        "blocks of codes of nothing": "DELETE FROM codes_1_chunks",
        "rows of codes elsewhere": "UPDATE codes_1_rowids SET chunk_id = 99, chunk_offset = 99999999",
        "a change log beyond everything": f"UPDATE changes SET first = 1, last = {2**62}",
        "a sequence at its end": f"UPDATE sqlite_sequence SET seq = {2**63 - 1}",
        "keywords of zeros": "UPDATE keywords_data SET block = zeroblob(length(block))",
        "keywords of ones": "UPDATE keywords_data SET block = x'ffffffffffffffffffff'",
        "keywords without structure": "DELETE FROM keywords_data WHERE id = 10",
        "keywords without averages": "DELETE FROM keywords_data WHERE id = 1",
        "keywords with averages of nothing": "UPDATE keywords_data SET block = x'808080' WHERE id = 1",
        "keywords of huge averages": f"UPDATE keywords_data SET block = x'{'ff' * 9 * 5}' WHERE id = 1",
        "keywords of a huge structure": f"UPDATE keywords_data SET block = x'{'00' * 4 + 'ff' * 27}' WHERE id = 10",
        "keywords of another version": "UPDATE keywords_config SET v = 5",
        "sizes of nothing": "UPDATE keywords_docsize SET sz = x''",
        "sizes without an end": "UPDATE keywords_docsize SET sz = x'ffffffffffff'",
        "an active model of nonsense": "INSERT INTO models (kind, source, target, reference, state, made, report, "
        "weights) SELECT 'adapter', fingerprint, fingerprint, reference, 'active', '', 'not JSON', x'00' "
        "FROM embeddings",
        "an adapter cut short": "INSERT INTO models (kind, source, target, reference, state, made, report, weights) "
        "SELECT 'adapter', fingerprint, fingerprint, reference, 'active', '', '{}', x'0102' FROM embeddings",
    }.items():
        yield name, partial(statements, sql)
    for name, (change, where) in {
        "a schema of nonsense": ("sql = 'nonsense'", "name = 'chunks'"),
        "a schema without SQL": ("sql = NULL", "name = 'documents'"),
        "a schema of a megabyte": ("sql = sql || printf('%1000000s', '')", "name = 'chunks'"),
        "a schema of a hundred megabytes": ("sql = sql || printf('%100000000s', '')", "name = 'chunks'"),
        "a schema of bytes": ("sql = CAST(sql AS BLOB)", "name = 'chunks'"),
        "another kind": ("type = 'view'", "name = 'documents'"),
        "a root beyond the file": ("rootpage = 999999", "name = 'documents'"),
        "a root in the schema": ("rootpage = 1", "name = 'documents'"),
        "two names for one": ("name = 'documents', tbl_name = 'documents'", "name = 'sources'"),
        "a shadow table as a view": (f"type = 'view', sql = 'CREATE VIEW keywords_data AS {ENDLESS} x FROM n'",
                                     "name = 'keywords_data'"),
        "a shadow table with a CHECK": ("sql = replace(sql, 'sz BLOB', 'sz BLOB CHECK (hex(zeroblob(1e8)) > 1)')",
                                        "name = 'keywords_docsize'"),
        "codes with another shadow table": ("sql = replace(sql, 'rowids BLOB', 'rowids TEXT')",
                                            "name = 'codes_1_chunks'"),
    }.items():  # fmt: skip
        yield name, partial(schema_row, change, where)
    ours = b"SQLite format 3\0" + bytes(52) + APPLICATION_ID.to_bytes(4, "big") + bytes(28)
    for name, make in {
        "an id of ours and nothing else": partial(alone, ours, 0),
        "an id of ours and a terabyte of nothing": partial(alone, ours, 2**40),
        "a terabyte behind a sound store": partial(resized, 2**40),
        "half a page": partial(resized, 4000),
        "a page size of 65536": partial(at, 16, b"\0\1"),
        "a page size of 512": partial(at, 16, b"\2\0"),
        "a page size of 7": partial(at, 16, b"\0\7"),
        "an unknown journal": partial(at, 18, b"\x09\x09"),
        "no room in a page": partial(at, 20, b"\xff"),
        "absurd fractions": partial(at, 21, b"\0\0\0"),
        "four billion pages": partial(at, 28, b"\xff\xff\xff\xff"),
        "a free list of four billion": partial(at, 32, b"\xff" * 8),
        "an unknown schema format": partial(at, 44, b"\0\0\0\x09"),
        "UTF-16": partial(at, 56, b"\0\0\0\2"),
        "version 0": partial(at, 60, b"\0\0\0\0"),
        "version 1": partial(at, 60, b"\0\0\0\1"),
        "a version to come": partial(at, 60, b"\0\0\0\x63"),
        "a negative version": partial(at, 60, b"\xff\xff\xff\xff"),
        "a first page of zeros": partial(at, 100, bytes(8092)),
        "a first page of ones": partial(at, 100, b"\xff" * 8092),
        "a log of nonsense": partial(beside, "-wal", b"nonsense" * 5000, 0),
        "a log of a terabyte": partial(beside, "-wal", bytes.fromhex("377f0682002de218") + bytes(64), 2**40),
        "a journal of nonsense": partial(beside, "-journal", bytes.fromhex("d9d505f920a163d7") + b"\xff" * 600, 0),
        "a journal of a terabyte": partial(beside, "-journal", bytes.fromhex("d9d505f920a163d7") + b"\1" * 600, 2**40),
        "a shared memory of nonsense": partial(beside, "-shm", b"\xff" * 32768, 0),
        "a circle in the schema": partial(cyclic, ""),
        "a circle in the embeddings": partial(cyclic, "embeddings"),
        "a circle in the facts": partial(cyclic, "meta"),
    }.items():
        yield name, make


def sound(path: Path) -> None:
    """Make the store that the others are derived from."""
    with hs.open(path, embedder=HashingEmbedder(64)) as store:
        store.add(
            hs.Document(id=f"d{n}", title=f"title {n}", text=f"the valve {n} leaks\n" * 20, metadata={"n": n})
            for n in range(40)
        )


@dataclass(frozen=True)
class Outcome:
    """What came of opening and using a file: "refused", "harmless", or what it should not be."""

    name: str
    result: str
    seconds: float
    megabytes: float
    message: str


def use(path: Path) -> tuple[str, str]:
    """Do everything with a file; return the result and the first message."""
    messages: list[str] = []
    try:
        store = hs.open(path, embedder=HashingEmbedder(64), create=False)
    except HybridstoreError as error:
        return "refused", str(error)
    for step in (
        store.stats,
        lambda: store.search("valve leaks"),
        lambda: store.search("valve", where={"n": {"$gte": 3}}, unique=True, diversity=0.3),
        lambda: store.search('"the valve" 7', mode="keyword", syntax="advanced"),
        lambda: str(store.explain("valve", expect="d7")),
        lambda: store.get("d1"),
        lambda: sum(1 for _ in store.documents()),
        store.check,
        lambda: store.add(hs.Document(id="new", text="a new valve")),
        lambda: store.search("new valve"),
        lambda: store.remove("d3"),
        lambda: store.check(repair=True),
        store.close,
    ):
        try:
            step()
        except HybridstoreError as error:
            messages.append(str(error))
        except Exception as error:  # noqa: BLE001 - what should not happen is to be seen
            return "raw error", f"{type(error).__name__}: {error}"
    return "harmless", messages[0] if messages else ""


def tried(name: str, path: Path) -> Outcome:
    """Use a file in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(_GIVEN_UP)
        before = resource.getrusage(resource.RUSAGE_SELF)
        result, message = use(path)
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        megabytes = (after.ru_maxrss - before.ru_maxrss) / 1024
        os.write(writing, json.dumps([result, seconds, megabytes, message[:2000]]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        ended = os.waitstatus_to_exitcode(status)
        return Outcome(name, "hang" if ended == -signal.SIGALRM else f"crash {ended}", _GIVEN_UP, 0, "")
    return Outcome(name, *json.loads(answer))


def run(folder: Path) -> Iterator[Outcome]:
    """Make each file in the folder, try it, and remove it."""
    base = folder / "sound.db"
    sound(base)
    yield tried("a sound store", shutil.copy(base, folder / "tried.db"))
    for name, make in hostile():
        for left in folder.glob("*tried.db*"):
            left.unlink()
        path = Path(shutil.copy(base, folder / "tried.db"))
        try:
            make(path)
        except apsw.Error as error:
            raise RuntimeError(name) from error
        yield tried(name, path)


def main() -> None:
    """Print a line of JSON for each file with --json, else a table."""
    as_json = "--json" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        for outcome in run(Path(folder)):
            line = f"{outcome.result:10} {outcome.seconds:5.2f} s {outcome.megabytes:5.0f} MB  {outcome.name:42} "
            sys.stdout.write((json.dumps(asdict(outcome)) if as_json else line + ascii(outcome.message)[:150]) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
