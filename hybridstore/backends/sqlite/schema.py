"""Today's whole schema, and how a file says that it is ours.

The tables `vectors_N` and `codes_N` are made when embedding N is first written, because their shape depends on
the vectors' length; everything else is made with the file.
"""

from __future__ import annotations

APPLICATION_ID = 0x48594253  # "HYBS", at byte 68 of the file
SCHEMA_VERSION = 7  # `PRAGMA user_version`

# FTS5 reads tokens that the analyser made, so its own tokenizer must only split at spaces: `ascii` takes every
# non-ASCII character as part of a token, and these are the ASCII characters that compounds keep.
TOKENIZER = "ascii tokenchars '-_./\\:@+#&'"

# The last column of every table of ours, see `checksums`. The default is for files that are migrated.
CHECKSUM = "checksum INTEGER NOT NULL DEFAULT 0"

# Migration 1 makes these too, in their first form.
LEARNING = """
-- Versions of what stands between a question and the vectors searched; at most one is active, and while none is, the
-- embedder is asked as it is. AUTOINCREMENT: a number is never used twice, so a copy in memory can trust it. `report`
-- is what was measured about it, `previous` the version that was active before. `weights` come last, as long texts do.
CREATE TABLE models (
    model INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('adapter', 'drift', 'embedder')),
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('candidate', 'refused', 'active', 'retired')),
    made TEXT NOT NULL,
    previous INTEGER,
    report TEXT NOT NULL CHECK (json_type(report) = 'object'),
    weights BLOB NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX models_active ON models (state) WHERE state = 'active';

-- A question, a chunk that answers it, and the chunk its words were taken from, if it was not a person who asked.
CREATE TABLE triples (
    triple INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    positive INTEGER NOT NULL,
    origin INTEGER,
    score REAL NOT NULL,
    disagreed INTEGER NOT NULL CHECK (disagreed IN (0, 1)),
    promoted INTEGER NOT NULL CHECK (promoted IN (0, 1)),
    query TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX triples_positive ON triples (positive);
CREATE INDEX triples_origin ON triples (origin) WHERE origin IS NOT NULL;

-- Chunks that only look as if they answered a triple's question: the leg that ranked them high, their fused score, and
-- which guard doubted that they do not answer it.
CREATE TABLE negatives (
    triple INTEGER NOT NULL,
    position INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    leg TEXT NOT NULL CHECK (leg IN ('keyword', 'vector')),
    score REAL NOT NULL,
    excluded TEXT,
    checksum INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (triple, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX negatives_chunk ON negatives (chunk);

-- What people asked, if the store was told to keep it: how often, and when last.
CREATE TABLE asked (
    query TEXT PRIMARY KEY,
    times INTEGER NOT NULL,
    last TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What callers said about hits: whether a chunk was of use for a question. No index holds the text, so that it stands
-- in one place only.
CREATE TABLE feedback (
    feedback INTEGER PRIMARY KEY,
    chunk INTEGER NOT NULL,
    used INTEGER NOT NULL CHECK (used IN (0, 1)),
    told TEXT NOT NULL,
    query TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX feedback_chunk ON feedback (chunk);
"""

# Migration 4 makes this.
EXPECTATIONS = """
-- Queries whose answers are known: the document of this id is to be among the first `within`. No index holds text.
CREATE TABLE expectations (
    expectation INTEGER PRIMARY KEY,
    document_id TEXT NOT NULL,
    within INTEGER NOT NULL CHECK (within > 0),
    made TEXT NOT NULL,
    query TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
"""

# Migration 5 makes this.
REMOVALS = """
-- What is left of removed documents and forgotten queries, so that a merge with another store does not bring them back:
-- a digest of the id, the version of the removal ('' if it was a purge, or the document is there again), and how often
-- the document was purged.
CREATE TABLE removals (
    key BLOB PRIMARY KEY,
    version TEXT NOT NULL,
    purges INTEGER NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""

EMBEDDINGS = """
-- Which embedder made which vectors. One row is active; another may be building, and one that was active may be kept,
-- so that what replaced it can be undone. Those added are vector legs of their own beside the active one.
CREATE TABLE embeddings (
    embedding INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL,
    reference TEXT NOT NULL,
    dim INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'building', 'kept', 'added')),
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX embeddings_state ON embeddings (state) WHERE state <> 'added';
"""

TABLES = f"""
-- One row a fact about the file: format settings, the revision counter, and the stamp, which tells the file from others
-- and from its own earlier states: 16 hexadecimal digits chosen at random and 16 that count its commits.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- A document as it was given. `changed` is when it was written; of a document that was replaced, a number that orders
-- changes of the same time, the number of its purges, and the beginnings of the digests of what it replaced follow.
-- `text` comes last so that reading the rest does not walk a long text's pages.
CREATE TABLE documents (
    document INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    uri TEXT NOT NULL,
    format TEXT NOT NULL,
    source TEXT,
    changed TEXT NOT NULL,
    digest BLOB NOT NULL,
    metadata TEXT NOT NULL CHECK (json_type(metadata) = 'object'),
    text TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX documents_source ON documents (source) WHERE source IS NOT NULL;

-- A chunk is a span of its document's text: [start, stop) in characters, [first_byte, last_byte) in UTF-8.
-- AUTOINCREMENT: a chunk id is never used twice, so followers of the change log can trust it.
CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents,
    position INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    first_byte INTEGER NOT NULL,
    last_byte INTEGER NOT NULL,
    heading TEXT NOT NULL,
    digest BLOB NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX chunks_document ON chunks (document, position);

-- The keyword index, by chunk. It holds the analyser's tokens, not the text (contentless).
CREATE VIRTUAL TABLE keywords USING fts5 (
    title, heading, body, compounds,
    content = '', contentless_delete = 1, tokenize = "{TOKENIZER}"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (keywords, row);

{EMBEDDINGS}
-- Files whose documents were read to the end, as they were then.
CREATE TABLE sources (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What each revision did to chunks, in runs of consecutive ids, for whoever keeps a copy in memory.
CREATE TABLE changes (
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('added', 'removed', 'embedded')),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    checksum INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX changes_revision ON changes (revision);
{LEARNING}{EXPECTATIONS}{REMOVALS}"""


_STATES = "NOT NULL CHECK (state IN ('active', 'building', 'kept', 'added'))"
_STATES_BEFORE = "NOT NULL UNIQUE CHECK (state IN ('active', 'building', 'kept'))"
_ONE_A_STATE = "CREATE UNIQUE INDEX embeddings_state ON embeddings (state) WHERE state <> 'added';\n"


def tables_of_version(version: int) -> str:
    """Return the DDL of what a file of this version was made with, embeddings' tables aside."""
    tables = TABLES
    if version < 6:
        tables = tables.removesuffix(REMOVALS)
    if version < 5:
        tables = tables.removesuffix(EXPECTATIONS)
    if version < 4:
        tables = tables.replace(_ONE_A_STATE, "").replace(_STATES, _STATES_BEFORE)
    if version < 3:
        tables = tables.replace(f",\n    {CHECKSUM}", "")
    if version < 2:
        tables = tables.removesuffix(learning_of_version(2))
        tables = tables.replace("('active', 'building', 'kept')", "('active', 'building')")
    return tables


def learning_of_version(version: int) -> str:
    """Return the DDL of the tables of learning as a file of this version, from 2 on, was made with."""
    return LEARNING if version >= 3 else LEARNING.replace(f",\n    {CHECKSUM}", "")


def embedding_tables(embedding: int, dim: int, version: int = SCHEMA_VERSION) -> tuple[str, str]:
    """Return the DDL of one embedding's tables: exact vectors in plain rows, int8 codes for scanning.

    A point look-up of 200 rows takes 0.1-0.4 ms from a plain table and 38 ms from vec0; a scan of 50,000 codes
    is vec0's to do. Codes are scaled vector by vector and compared by cosine, so no global scale is needed.
    """
    more = f", {CHECKSUM}" if version >= 3 else ""
    return (
        f"CREATE TABLE vectors_{embedding} (chunk INTEGER PRIMARY KEY, vector BLOB NOT NULL{more}) STRICT",
        f"CREATE VIRTUAL TABLE codes_{embedding} USING vec0 (code int8[{dim}] distance_metric=cosine)",
    )
