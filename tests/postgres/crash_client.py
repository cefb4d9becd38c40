"""A client that adds three documents at a time to a store, and writes down what was acknowledged: URL, FILE, NAME."""

import sys
import time
from pathlib import Path

import hybridstore as hs
from hybridstore.errors import HybridstoreError


def main(url: str, acknowledged: str, name: str) -> None:
    """Write until killed; a server that is away is waited for."""
    number = 0
    with Path(acknowledged).open("a") as log:
        while True:
            try:
                with hs.open(url, embedder="none", create=False) as store:
                    while True:
                        ids = [f"{name}-{number}-{part}" for part in range(3)]
                        store.add([hs.Document(id=id_, text=f"shared words of {id_}") for id_ in ids])
                        log.write(f"{name}-{number}\n")
                        log.flush()
                        if number % 5 == 4:
                            log.write(f"?{name}-{number - 4}\n")  # from here on it may be gone
                            log.flush()
                            store.remove([f"{name}-{number - 4}-{part}" for part in range(3)])
                            log.write(f"-{name}-{number - 4}\n")
                            log.flush()
                        number += 1
                        assert len(store.search("shared words", limit=3)) == 3
            except HybridstoreError:
                number += 1  # what was under way may be there or not, but not half
                time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
