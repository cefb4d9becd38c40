"""Makes v5.db, a store as version 5 wrote it: run it once per file version, keep the file for ever.

    python tests/archive/make_v5.py tests/archive/v5.db

It has what v4.db has, and an expectation of each of two documents.
"""

from __future__ import annotations

import sys
from contextlib import closing

import make_v4

from hybridstore.backends.sqlite import SQLiteBackend


def main(path: str) -> None:
    make_v4.main(path)
    with closing(SQLiteBackend(path)) as backend:
        for query, document_id in zip(("why are there tides", "что делать ёжику 🙂"), backend.ids(), strict=False):
            backend.learning.expect(query, document_id, 3)


if __name__ == "__main__":
    main(sys.argv[1])
