"""Makes v6.db, a store as version 6 wrote it: run it once per file version, keep the file for ever.

    python tests/archive/make_v6.py tests/archive/v6.db

It has what v5.db has, a document that was replaced, and what is left of one that was removed and of one purged.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace

import make_v5

from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.values import Entry
from hybridstore.store.inputs import content_digest


def main(path: str) -> None:
    make_v5.main(path)
    with closing(SQLiteBackend(path)) as backend:
        stored = backend.get("note")
        entries = [
            Entry(document, content_digest(document, whole=False), stored.chunks, [b"0" * 16] * len(stored.chunks))
            for name in ("removed", "purged")
            for document in [replace(stored.document, id=name)]
        ]
        backend.put(entries)
        backend.remove(["removed"])
        backend.purge(["purged"])


if __name__ == "__main__":
    main(sys.argv[1])
