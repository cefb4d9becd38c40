"""Today's whole schema, and how a file says that it is ours.

The tables `vectors_N` and `codes_N` are made when embedding N is first written, because their shape depends on
the vectors' length; everything else is made with the file.
"""

from __future__ import annotations

APPLICATION_ID = 0x48594253  # "HYBS", at byte 68 of the file
SCHEMA_VERSION = 1  # `PRAGMA user_version`

# FTS5 reads tokens that the analyser made, so its own tokenizer must only split at spaces: `ascii` takes every
# non-ASCII character as part of a token, and these are the ASCII characters that compounds keep.
TOKENIZER = "ascii tokenchars '-_./\\:@+#&'"

# BM25 weights of title, heading, body, compounds: 1.5 for titles gained .002 to .007 nDCG@10 on collections that have
# them and 2.0 lost as much on one (docs/experiments.md); a compound repeats what its words already say.
WEIGHTS = (1.5, 1.0, 1.0, 0.5)

TABLES = f"""
-- One row a fact about the file: format settings and the revision counter.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- A document as it was given. `text` comes last so that reading the rest does not walk a long text's pages.
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
    text TEXT NOT NULL
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
    digest BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX chunks_document ON chunks (document, position);

-- The keyword index, by chunk. It holds the analyser's tokens, not the text (contentless).
CREATE VIRTUAL TABLE keywords USING fts5 (
    title, heading, body, compounds,
    content = '', contentless_delete = 1, tokenize = "{TOKENIZER}"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (keywords, row);

-- Which embedder made which vectors. One row is active; another may be building.
CREATE TABLE embeddings (
    embedding INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL,
    reference TEXT NOT NULL,
    dim INTEGER NOT NULL,
    state TEXT NOT NULL UNIQUE CHECK (state IN ('active', 'building'))
) STRICT;

-- Files whose documents were read to the end, as they were then.
CREATE TABLE sources (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What each revision did to chunks, in runs of consecutive ids, for whoever keeps a copy in memory.
CREATE TABLE changes (
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('added', 'removed', 'embedded')),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_revision ON changes (revision);
"""


def embedding_tables(embedding: int, dim: int) -> tuple[str, str]:
    """Give the DDL of one embedding's tables: exact vectors in plain rows, int8 codes for scanning.

    A point look-up of 200 rows takes 0.1-0.4 ms from a plain table and 38 ms from vec0; a scan of 50,000 codes
    is vec0's to do. Codes are scaled vector by vector and compared by cosine, so no global scale is needed.
    """
    return (
        f"CREATE TABLE vectors_{embedding} (chunk INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT",
        f"CREATE VIRTUAL TABLE codes_{embedding} USING vec0 (code int8[{dim}] distance_metric=cosine)",
    )
