"""Makes v3.db, a store as version 3 wrote it: run it once per file version, keep the file for ever.

    python tests/archive/make_v3.py tests/archive/v3.db

It has what v2.db has, written by this version, with a checksum in every row.
"""

from __future__ import annotations

import sys

import make_v2

if __name__ == "__main__":
    make_v2.main(sys.argv[1])
