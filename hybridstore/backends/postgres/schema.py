"""The schema of a store on a server, made and migrated step by step under a lock.

Everything that comes from people is `bytea` in UTF-8, words included: `text` holds no NUL and takes its encoding and
its order from the database, and `jsonb` loses the order of keys. Metadata is the JSON it was given as.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from psycopg import sql

from hybridstore.backends.postgres.connection import Connection, rows, value
from hybridstore.backends.postgres.transactions import Connections
from hybridstore.errors import InputError, StoreRefused

OLDEST_SERVER = 140000  # PostgreSQL 14: client_connection_check_interval
# Of all migrations in this database: two clients that open a new store at once make it one after the other.
_MIGRATION_LOCK = 0x48594253  # "HYBS"

TABLES = """
-- One row a fact about the store: settings, counters, what was measured. The row `revision` is the lock for writing.
CREATE TABLE facts (key text COLLATE "C" PRIMARY KEY, value text NOT NULL) WITH (fillfactor = 50);

CREATE TABLE documents (
    document bigint PRIMARY KEY,
    id bytea NOT NULL,
    title bytea NOT NULL,
    uri bytea NOT NULL,
    format bytea NOT NULL,
    source bytea,
    changed text NOT NULL,
    digest bytea NOT NULL,
    metadata bytea NOT NULL,
    text bytea NOT NULL
);
-- Not unique indexes on the text itself, which may be longer than an entry of a B-tree: by digest, then compared.
CREATE UNIQUE INDEX documents_id ON documents (sha256(id));
CREATE INDEX documents_source ON documents (sha256(source)) WHERE source IS NOT NULL;
-- Not compressed, so that a chunk's bytes are read without the rest.
ALTER TABLE documents ALTER text SET STORAGE EXTERNAL;

-- A chunk is a span of its document's text: [start, stop) in characters, [first_byte, last_byte) in UTF-8. `tokens` are
-- the analyser's, a line for each column, with a space before and after each; `length` is how many there are.
CREATE TABLE chunks (
    chunk bigint PRIMARY KEY,
    document bigint NOT NULL,
    position int NOT NULL,
    start int NOT NULL,
    stop int NOT NULL,
    first_byte int NOT NULL,
    last_byte int NOT NULL,
    length int NOT NULL,
    heading bytea NOT NULL,
    digest bytea NOT NULL,
    tokens bytea NOT NULL
);
CREATE UNIQUE INDEX chunks_document ON chunks (document, position);

-- The chunks of a word, a row for each block of chunk ids: see `posting_blocks`.
CREATE TABLE postings (
    word bytea NOT NULL,
    block bigint NOT NULL,
    entries bytea NOT NULL,
    PRIMARY KEY (word, block)
);

CREATE TABLE embeddings (
    embedding bigint PRIMARY KEY,
    fingerprint text NOT NULL,
    reference text NOT NULL,
    dim int NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'building', 'kept', 'added'))
);
CREATE UNIQUE INDEX embeddings_state ON embeddings (state) WHERE state <> 'added';

CREATE TABLE sources (
    key bytea NOT NULL,
    digest text NOT NULL,
    size bigint NOT NULL,
    modified_ns bigint NOT NULL
);
CREATE UNIQUE INDEX sources_key ON sources (sha256(key));

CREATE TABLE changes (
    line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('added', 'removed', 'embedded')),
    first bigint NOT NULL,
    last bigint NOT NULL
);
CREATE INDEX changes_revision ON changes (revision);

CREATE TABLE models (
    model bigint PRIMARY KEY,
    kind text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    reference text NOT NULL,
    state text NOT NULL CHECK (state IN ('candidate', 'refused', 'active', 'retired')),
    made text NOT NULL,
    previous bigint,
    report text NOT NULL,
    weights bytea NOT NULL
);
CREATE UNIQUE INDEX models_active ON models (state) WHERE state = 'active';

CREATE TABLE triples (
    triple bigint PRIMARY KEY,
    kind bytea NOT NULL,
    positive bigint NOT NULL,
    origin bigint,
    score float8 NOT NULL,
    disagreed bool NOT NULL,
    promoted bool NOT NULL,
    query bytea NOT NULL
);
CREATE INDEX triples_positive ON triples (positive);
CREATE INDEX triples_origin ON triples (origin) WHERE origin IS NOT NULL;

CREATE TABLE negatives (
    triple bigint NOT NULL,
    position int NOT NULL,
    chunk bigint NOT NULL,
    leg text NOT NULL,
    score float8 NOT NULL,
    excluded bytea,
    PRIMARY KEY (triple, position)
);
CREATE INDEX negatives_chunk ON negatives (chunk);

CREATE TABLE asked (query bytea NOT NULL, times bigint NOT NULL, last text NOT NULL);
CREATE UNIQUE INDEX asked_query ON asked (sha256(query));

CREATE TABLE feedback (
    feedback bigint PRIMARY KEY,
    chunk bigint NOT NULL,
    used bool NOT NULL,
    told text NOT NULL,
    query bytea NOT NULL
);
CREATE INDEX feedback_chunk ON feedback (chunk);

CREATE TABLE expectations (
    expectation bigint PRIMARY KEY,
    document_id bytea NOT NULL,
    within int NOT NULL CHECK (within > 0),
    made text NOT NULL,
    query bytea NOT NULL
);
CREATE UNIQUE INDEX expectations_of ON expectations (sha256(document_id), sha256(query));

-- What is left of removed documents, forgotten queries and dropped expectations, by which stores are merged.
CREATE TABLE removals (key bytea PRIMARY KEY, version text NOT NULL, purges bigint NOT NULL);
"""
# Their next number, or what there is of them.
COUNTERS = ("chunk", "document", "embedding", "model", "triple", "feedback", "expectation", "chunks", "tokens")


def embedding_tables(number: int, dim: int) -> str:
    """Return the DDL of one embedding's tables: exact float32 vectors, codes and signs of those that are not zero.

    Vectors are `bytea` and not pgvector's type: clients compare codes in memory, and read exact vectors of a few
    candidates, so that the extension would only be one more thing that a server has to have. Neither is compressed.
    """
    return f"""
        CREATE TABLE vectors_{number} (chunk bigint PRIMARY KEY, vector bytea NOT NULL, code bytea);
        ALTER TABLE vectors_{number} ALTER vector SET STORAGE EXTERNAL, ALTER code SET STORAGE EXTERNAL;
        {signs_table(number, dim)}"""


def signs_table(number: int, dim: int) -> str:
    """Return the DDL of the signs of codes, a bit a dimension, apart: all of them are read for a search."""
    return f"CREATE TABLE signs_{number} (chunk bigint PRIMARY KEY, signs bit({dim}) NOT NULL)"


def _create(connection: Connection, language: str, analysis: int, store: str) -> None:
    connection.execute(TABLES)
    facts = {"store": json.dumps(store), "language": language, "analysis": str(analysis), "revision": "0"}
    facts |= {"log_start": "0", "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    facts |= dict.fromkeys((f"next_{name}" for name in COUNTERS[:-2]), "1") | dict.fromkeys(COUNTERS[-2:], "0")
    for key, fact in facts.items():
        connection.execute("INSERT INTO facts VALUES (%s, %s)", (key, fact))


def _add_signs(connection: Connection, *_: object) -> None:
    """Make the signs of the codes there are: some ten thousand a second."""
    for number, dim in rows(connection, "SELECT embedding, dim FROM embeddings"):
        connection.execute(signs_table(number, dim))
        connection.execute(f"""
            INSERT INTO signs_{number}
            SELECT chunk, (SELECT string_agg(CASE WHEN get_byte(code, at) BETWEEN 1 AND 127 THEN '1' ELSE '0' END, ''
                                             ORDER BY at) FROM generate_series(0, {dim - 1}) AS at)::bit({dim})
            FROM vectors_{number} WHERE code IS NOT NULL""")


# Each runs in one transaction that ends by recording its number. The first makes the store.
_MIGRATIONS: tuple[Callable[[Connection, str, int, str], None], ...] = (_create, _add_signs)
VERSION = len(_MIGRATIONS)


def prepare(connections: Connections, *, language: str | None, analysis: int, create: bool) -> None:
    """Make the store if it is not there, migrate it, and check that it is the one that was named.

    Opening a store that needs nothing writes nothing and takes no lock.
    """
    address, where = connections.address, connections.location
    with connections.bare() as connection:
        if connection.info.server_version < OLDEST_SERVER:
            raise StoreRefused(where, "the server is older than PostgreSQL 14; use a newer one")
        version = _version(connection, address.schema)
        if version < VERSION:
            if connections.read_only or (not version and not create):
                missing = "there is no such store; add documents to create it, or check its name"
                raise StoreRefused(where, missing if not version else "it must be migrated: open it once to write")
            _migrate(connection, address.schema, address.store, language or "english", analysis)
    if version > VERSION:
        raise StoreRefused(where, "it was made by a newer hybridstore; run `pip install --upgrade hybridstore`")
    with connections.reading() as connection:
        facts = dict(rows(connection, "SELECT key, value FROM facts WHERE key IN ('language', 'store')"))
    if json.loads(facts["store"]) != address.store:
        raise StoreRefused(where, f"its schema holds the store {facts['store']}; choose another name")
    if language not in (None, facts["language"]):
        raise InputError(
            f"{where} was made with language={facts['language']!r} and cannot be opened with {language!r}: its keyword "
            "index would not fit; leave language= out, or make another store and import an export of this one"
        )


def _version(connection: Connection, schema: str) -> int:
    """Return the number of migrations that a store has had; 0 where there is none."""
    if value(connection, "SELECT to_regclass(%s)::text", f'"{schema}".facts') is None:
        return 0
    return int(value(connection, "SELECT value FROM facts WHERE key = 'version'") or 0)


def _migrate(connection: Connection, schema: str, store: str, language: str, analysis: int) -> None:
    for number, migration in enumerate(_MIGRATIONS, start=1):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            if _version(connection, schema) >= number:
                continue
            if not value(connection, "SELECT 1 FROM pg_namespace WHERE nspname = %s", schema):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            migration(connection, language, analysis, store)
            set_fact(connection, "version", str(number))


def set_fact(connection: Connection, key: str, fact: str) -> None:
    """Record a fact in place of the one before."""
    connection.execute(
        "INSERT INTO facts VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, fact)
    )


def add_to(connection: Connection, **numbers: int) -> list[int]:
    """Add to counters; return what each was."""
    statement = """UPDATE facts SET value = (value::bigint + number)::text
                   FROM unnest(%s::text[], %s::bigint[]) AS added (counter, number) WHERE key = counter
                   RETURNING counter, value::bigint - number"""
    before = dict(rows(connection, statement, list(numbers), list(numbers.values())))
    return [int(before[counter]) for counter in numbers]


def next_numbers(connection: Connection, what: str, count: int = 1) -> int:
    """Return the first of so many numbers that were never given to a chunk, a document, a model and so on."""
    return add_to(connection, **{f"next_{what}": count})[0]
