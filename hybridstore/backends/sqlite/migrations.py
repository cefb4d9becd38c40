"""Creating files and migrating older ones, step by step, to the current schema.

Each migration is one transaction that ends by setting `user_version`. A file that is not a hybridstore, or newer than
this version knows, is refused before anything is written to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import apsw

from hybridstore.backends.sqlite.checksums import COLUMNS, VECTOR_COLUMNS, set_fact, write_all
from hybridstore.backends.sqlite.connection import PAGE_SIZE, Connections, connect, rows, value
from hybridstore.backends.sqlite.encryption import PLAIN, refuse_plain
from hybridstore.backends.sqlite.file_creation import refuse_side_files, wait_until_created, why_refused
from hybridstore.backends.sqlite.file_identity import new_stamp
from hybridstore.backends.sqlite.schema import (
    APPLICATION_ID,
    CHECKSUM,
    EMBEDDINGS,
    EXPECTATIONS,
    REMOVALS,
    SCHEMA_VERSION,
    TABLES,
    learning_of_version,
)
from hybridstore.backends.sqlite.translation import why_not_opened
from hybridstore.backends.sqlite.vector_tables import CODEC, codec_name
from hybridstore.errors import FileRefused, InputError
from hybridstore.whole_files import whole_file

_HEADER = 100  # bytes of SQLite's file header
_READABLE = 6  # the oldest version that is read as it is: no later migration changes anything in a file


def prepare(
    connections: Connections, *, language: str | None, analysis: int, create: bool, codec: str | None = None
) -> None:
    """Create the file if it does not exist, migrate it to the current schema, and check its language and codec.

    Opening a file that needs nothing writes nothing and takes no lock.
    """
    path = connections.path
    connections.file.check_log()
    if connections.access.read_only:
        _check_readable(connections)
        _check_made_with(connections, language, codec)
        return
    if not recognise(path, connections.key):
        if not create:
            raise FileRefused(path, "there is no such file; add documents to create it, or check the path")
        _create_file(connections, language or "english", analysis, codec)
    with connections.reading() as connection:
        version = value(connection, "PRAGMA user_version")
        journal = value(connection, "PRAGMA journal_mode")
    if journal != "wal":  # the process that created it was killed
        _switch_to_wal(connections.get(), connections.busy_timeout)
    _refuse_newer(path, version)
    if version == 0:  # the process that created it was killed, and SQLite has rolled back
        _create(connections.file.path, connections, language or "english", analysis, codec)
    elif version < SCHEMA_VERSION:
        _migrate(connections)
    _check_made_with(connections, language, codec)


def _check_readable(connections: Connections) -> None:
    """Raise FileRefused for a file that would have to be created or changed before it can be read."""
    path = connections.path
    if connections.access.vfs is None and not recognise(path, connections.key):
        raise FileRefused(path, "there is no such file to read; check the path")
    with connections.reading() as connection:
        application, version = (value(connection, f"PRAGMA {name}") for name in ("application_id", "user_version"))
    if application != APPLICATION_ID:
        raise FileRefused(path, "is a SQLite file of another program")
    _refuse_newer(path, version)
    if version < _READABLE:
        raise FileRefused(
            path,
            f"has file version {version}, and to be read it must be migrated to {SCHEMA_VERSION}: open it once without "
            "read_only, or a copy of it",
        )


def _check_made_with(connections: Connections, language: str | None, codec: str | None) -> None:
    path = connections.path
    with connections.reading() as connection:
        stored = value(connection, "SELECT value FROM meta WHERE key = 'language'")
        if codec is not None and codec != (kept := codec_name(connection)):
            raise InputError(
                f"{path} keeps its vectors as {kept}, not {codec}; leave codec= out, or change it with "
                f"`hybridstore recode {codec}`"
            )
    if language is not None and language != stored:
        raise InputError(
            f"{path} was made with language={stored!r} and cannot be opened with {language!r}: its keyword index "
            "would not fit; leave language= out, or make a new file and import an export of this one"
        )


def recognise(path: str, key: str | None = None) -> bool:
    """Return whether the file exists and is a hybridstore; raises FileRefused for any other file."""
    try:
        size = Path(path).stat().st_size
        if size == 0:
            wait_until_created(path)
            return False
        # By SQLite: a process that opens and closes a file by itself loses the locks that SQLite holds on it.
        with closing(apsw.Connection(str(Path(path).absolute()), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            header = connection.read("main", 0, 0, _HEADER)[1]
    except FileNotFoundError:
        refuse_side_files(path)
        return False
    except OSError as error:
        raise FileRefused(path, f"cannot be read: {error.strerror}") from error
    except apsw.CantOpenError as error:
        raise FileRefused(path, why_not_opened(path)) from error
    if key is not None:
        refuse_plain(path, header)
        return True  # what is inside is seen when it is decrypted
    if not header.startswith(PLAIN) or size < _HEADER:
        raise FileRefused(
            path,
            "is not a SQLite file, so not a hybridstore file either, unless it is encrypted: then pass key=, or set "
            "HYBRIDSTORE_KEY for commands; it was left unchanged",
        )
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise FileRefused(path, "is a SQLite file of another program; it was left unchanged")
    _refuse_newer(path, int.from_bytes(header[60:64], "big"))
    return True


def _refuse_newer(path: str, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise FileRefused(
            path,
            f"was written by a newer hybridstore (file version {version}, this one knows {SCHEMA_VERSION}); "
            "run `pip install --upgrade hybridstore`",
        )


def _migrate(connections: Connections) -> None:
    done = False
    while not done:
        with connections.atomic() as connection:
            version = value(connection, "PRAGMA user_version")  # again, now that no other process can migrate
            if done := version >= SCHEMA_VERSION:
                continue
            MIGRATIONS[version](connection)
            connection.execute(f"PRAGMA user_version = {version + 1}")


def _learn(connection: apsw.Connection) -> None:
    """1 -> 2: the tables of learning; an embedding may be kept."""
    _remake_embeddings(
        connection,
        """CREATE TABLE embeddings (
    embedding INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL,
    reference TEXT NOT NULL,
    dim INTEGER NOT NULL,
    state TEXT NOT NULL UNIQUE CHECK (state IN ('active', 'building', 'kept'))
) STRICT""",
    )
    connection.execute(learning_of_version(2))


def _remake_embeddings(connection: apsw.Connection, ddl: str) -> None:
    """Make the table of embeddings anew with the same rows, as SQLite cannot change a CHECK."""
    # The old table is renamed, not the new one, whose text would then differ from that of a new file; the renamed one
    # takes its row of sqlite_sequence with it.
    last = value(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'embeddings'")
    connection.execute("ALTER TABLE embeddings RENAME TO embeddings_before")
    connection.execute(ddl)
    connection.execute("INSERT INTO embeddings SELECT * FROM embeddings_before ORDER BY embedding")
    connection.execute("DROP TABLE embeddings_before")
    if last is not None:  # no number is reused, not even of embeddings that were removed
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'embeddings'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('embeddings', ?)", (last,))


def _sum(connection: apsw.Connection) -> None:
    """2 -> 3: a checksum in every row."""
    numbers = [number for (number,) in rows(connection, "SELECT embedding FROM embeddings")]
    tables = dict(COLUMNS) | {f"vectors_{number}": VECTOR_COLUMNS for number in numbers}
    del tables["expectations"], tables["removals"]  # which later migrations make
    for table, columns in tables.items():
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {CHECKSUM}")
        write_all(connection, table, columns)


def _add_legs(connection: apsw.Connection) -> None:
    """3 -> 4: vectors of several embedders may be searched."""
    _remake_embeddings(connection, EMBEDDINGS)


def _expect(connection: apsw.Connection) -> None:
    """4 -> 5: queries whose answers are known."""
    connection.execute(EXPECTATIONS)


def _remember_removals(connection: apsw.Connection) -> None:
    """5 -> 6: what is left of removed documents."""
    connection.execute(REMOVALS)


def _recode(_: apsw.Connection) -> None:
    """6 -> 7: vectors may be kept by another codec than float32, which earlier versions would not see."""


# version -> the migration of a file of that version to the next
MIGRATIONS: Mapping[int, Callable[[apsw.Connection], None]] = {
    1: _learn,
    2: _sum,
    3: _add_legs,
    4: _expect,
    5: _remember_removals,
    6: _recode,
}


def _create_file(connections: Connections, language: str, analysis: int, codec: str | None) -> None:
    """Create a file that is not there, under its name only when it is whole; fill one that is there and empty."""
    path = connections.path
    if not os.path.exists(path):  # noqa: PTH110 - False for any path
        try:
            with whole_file(path, replace=False) as part:
                _create(str(part), connections, language, analysis, codec)
        except FileExistsError:
            return  # another process was first
        except (OSError, ValueError) as error:
            raise FileRefused(path, why_refused(path, error)) from error
    else:
        _create(path, connections, language, analysis, codec)


def _create(path: str, connections: Connections, language: str, analysis: int, codec: str | None) -> None:
    # Before WAL is switched on, so that the main file has its application id from the first moment.
    connection = connect(path, connections.busy_timeout, create=True, key=connections.key)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("BEGIN IMMEDIATE")
        if value(connection, "SELECT count(*) FROM sqlite_master") == 0:  # else another process was first
            connection.execute(TABLES)
            facts: dict[str, str | int] = {"language": language, "analysis": analysis, "revision": 0, "log_start": 0}
            facts["stamp"] = new_stamp()
            if codec is not None:
                facts[CODEC] = codec
            facts["created"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            for key, fact in facts.items():
                set_fact(connection, key, fact)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        _switch_to_wal(connection, connections.busy_timeout)
    finally:
        connection.close()


def _switch_to_wal(connection: apsw.Connection, busy_timeout: float) -> None:
    # Changing the journal mode ignores the busy handler, and two processes may be creating the file at once.
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = wal").fetchall()
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
