"""One of the processes in test_processes.py: adds numbered documents until it is told to stop, or is killed.

    python writing_process.py FILE NAME SECONDS

Each line it prints is a document that has been committed.
"""

import sys
import time

import numpy as np
from made import EMBEDDING, entry, units

from hybridstore.backends.sqlite import SQLiteBackend


def main(path: str, name: str, seconds: float) -> None:
    backend = SQLiteBackend(path)
    rng = np.random.default_rng(len(name))
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        ids = [f"{name}{number + n}" for n in range(5)]
        backend.put([entry(id_, f"word {id_}", vectors=units(rng, 1)) for id_ in ids], embedding=EMBEDDING)
        sys.stdout.write("".join(f"{id_}\n" for id_ in ids))
        sys.stdout.flush()
        number += 5
        if number % 50 == 0:
            backend.remove([f"{name}{number - 50}"])
            sys.stdout.write(f"-{name}{number - 50}\n")
            sys.stdout.flush()
    backend.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
