"""Makes v4.db, a store as version 4 wrote it: run it once per file version, keep the file for ever.

    python tests/archive/make_v4.py tests/archive/v4.db

It has what v3.db has, and an added vector leg with its calibration.
"""

from __future__ import annotations

import sys
from contextlib import closing

import make_v2
import numpy as np

from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.values import Calibration, Embedding

LEG = Embedding("leg@1", "leg", 4)


def main(path: str) -> None:
    make_v2.main(path)
    with closing(SQLiteBackend(path)) as backend:
        backend.add_leg(LEG)
        while some := backend.pending(7, LEG.fingerprint):
            backend.fill(LEG, [passage.chunk for passage in some], np.full((len(some), 4), 0.5, np.float32))
        backend.calibrate(
            Calibration(fingerprint="leg@1", chunks=10, power=3.0, chance=0.2, spread=0.1, agreement={"made@1": 0.5})
        )


if __name__ == "__main__":
    main(sys.argv[1])
