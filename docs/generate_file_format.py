"""Writes docs/file-format.md from the schema itself; with --check, only says whether it is up to date.

python docs/generate_file_format.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from hybridstore.backends.keyword_scoring import WEIGHTS
from hybridstore.backends.sqlite.change_log import KEPT
from hybridstore.backends.sqlite.connection import PAGE_SIZE
from hybridstore.backends.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES, embedding_tables
from hybridstore.text.analysis import ANALYSIS_VERSION

PAGE = Path(__file__).parent / "file-format.md"

OPENING = """# The file format

<!-- Made by docs/generate_file_format.py from the schema; change that, then run `make docs`. -->

A store is one SQLite 3 file, version {version} of the format. Any SQLite reads the documents and the chunks:

```console
$ sqlite3 notes.db "SELECT id, title, metadata FROM documents WHERE metadata ->> 'lang' = 'en'"
```

`codes_N` needs the sqlite-vec extension. Write through hybridstore only: the tables depend on each other.

## The header

| field | value | where |
|---|---|---|
| `application_id` | `0x{application:08X}`, "{letters}" | bytes 68 to 71 |
| `user_version` | {version} | bytes 60 to 63 |
| page size | {page_size:,} bytes | bytes 16 and 17 |
| encoding | UTF-8 | bytes 56 to 59 |
| journal | write-ahead log, in `-wal` and `-shm` beside the file while it is open | bytes 18 and 19 |

A file with another `application_id`, or a larger `user_version` than a program knows, is left alone.

## The tables
"""

PER_EMBEDDING = """
## The tables of an embedding

For row N of `embeddings`, whose vectors have `dim` components (here {dim}):

```sql
{tables}
```

A vector of unit norm is kept by the codec that `meta` names (`codec`; float32 where there is none, and for fewer than 8
dimensions): float32 and float16 are `dim` little-endian numbers, int8 is `dim` bytes, the vector scaled so that its
largest component is 127 or -127, int4 two components in a byte, the first in its upper half, scaled to 7 or -7. The
length says which it is; what is shorter than float32 is scaled to unit norm when it is read. Its code is int8 of what
is kept; codes are compared by cosine. A zero vector has no code. Searches use the set whose row is `active`. While a
re-embedding is under way there is one that is `building`; one that was active may be `kept`, to be gone back to: it
loses the vectors of chunks that go and gets none of those that come. Those `added` are vector legs of their own: they
are filled with every write, and searched beside the active one once `meta` has a calibration for them, under the key
`background N`.
"""

CLOSING = """
## Facts in `meta`

| key | value |
|---|---|
| `language` | what words are stemmed as; chosen when the file is made |
| `analysis` | version of the analysis that made the keywords, now {analysis}; older ones stay in use until `reindex` |
| `revision` | number of the last change to any chunk, or to which model is active |
| `log_start` | `changes` tells of every revision after this one |
| `purging` | there from a purge's removal of rows until the file is rewritten and its log is empty |
| `folders` | the folders that are read again by `hybridstore sync`, if any: path to JSON of their options |
| `created` | when, in UTC |
| `codec` | by which vectors are kept; absent, they are float32 |
| `stamp` | a random number of the file and the count of its commits; the only row without a checksum |

## Rules

- A chunk's id is never used twice. Chunks lie within their document's text; they may overlap.
- `keywords` holds, for each chunk, the words of its document's title, of its heading and of its text, and what
  splitting them would lose (`foo_bar`, `v1.2.3`, the parts of `camelCase`). BM25 weighs the columns {weights}.
- `documents.digest` stands for all of a document's content; `chunks.digest` for what is embedded of it: title,
  heading and text.
- `changes` keeps the last {kept:,} lines.
- The active row of `models` is for vectors of the active embedding: its `target` is that one's `fingerprint`.
- What names a chunk goes with it: `feedback`, `triples` by `positive` and `origin`, `negatives`. But where a
  document is written over with a chunk of the same digest, it then names that one. Where a text of `asked`,
  `feedback` or `triples` is deleted, its bytes are overwritten (`PRAGMA secure_delete`).
- `checksum`, the last column of every table, is the CRC-32 of the row's other values in their order. Each value is a
  letter for its type (`t` text, `b` BLOB, `i` integer, `r` real, `n` null), its length in bytes, a colon, and its
  bytes: UTF-8, the BLOB, decimal digits, eight bytes little-endian, nothing.
- All tables change together, in one transaction. `hybridstore check` compares each row with its checksum, and the
  tables with each other. A file with other tables, indexes, views or triggers than these is refused.
"""


def page() -> str:
    """Give the whole page."""
    parts = [
        OPENING.format(
            version=SCHEMA_VERSION,
            application=APPLICATION_ID,
            letters=APPLICATION_ID.to_bytes(4, "big").decode(),
            page_size=PAGE_SIZE,
        )
    ]
    for comment, statements in told():
        name = re.search(r"CREATE (?:VIRTUAL )?TABLE (\w+)", statements)
        parts.append(f"\n### {name[1] if name else ''}\n\n{comment}\n\n```sql\n{statements}\n```\n")
    tables = ";\n".join(embedding_tables(1, 384)).replace("vectors_1", "vectors_N").replace("codes_1", "codes_N")
    parts.append(PER_EMBEDDING.format(dim=384, tables=f"{tables};"))
    weights = ", ".join(f"{weight:g}" for weight in WEIGHTS)
    parts.append(CLOSING.format(analysis=ANALYSIS_VERSION, kept=KEPT, weights=weights))
    return "".join(parts)


def told() -> list[tuple[str, str]]:
    """Split the schema into (comment, statements), at each comment that begins a line."""
    blocks = re.split(r"\n(?=--)", "\n" + TABLES.strip())
    found: list[tuple[list[str], list[str]]] = []
    for block in filter(str.strip, blocks):
        lines = block.strip().splitlines()
        comment = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
        statements = [line for line in lines if not line.startswith("--")]
        if found and not found[-1][1]:  # a comment of several lines
            found[-1][0].extend(comment)
            found[-1][1].extend(statements)
        else:
            found.append((comment, statements))
    return [(" ".join(comment), "\n".join(statements).strip()) for comment, statements in found]


def main(arguments: list[str]) -> int:
    """Write the page, or with --check give 1 if what is there is not what would be written."""
    if "--check" not in arguments:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE} is out of date: run `make docs`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
