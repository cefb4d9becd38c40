"""Makes v7.db, a store as version 7 wrote it: run it once per file version, keep the file for ever.

    python tests/archive/make_v7.py tests/archive/v7.db

It has what v6.db has, and says that it keeps vectors as float16.
"""

from __future__ import annotations

import sys
from contextlib import closing

import make_v6

from hybridstore.backends.sqlite import SQLiteBackend


def main(path: str) -> None:
    make_v6.main(path)
    with closing(SQLiteBackend(path)) as backend:
        backend.recode("float16")


if __name__ == "__main__":
    main(sys.argv[1])
