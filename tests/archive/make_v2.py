"""Makes v2.db, a store as version 2 wrote it: run it once per file version, keep the file for ever.

    python tests/archive/make_v2.py tests/archive/v2.db

The documents are those of v1.db, written by this version, with what version 2 added: models, triples, questions,
feedback, and an embedding that was kept when another took its place and was given up again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import make_v1
import numpy as np

ASKED = ["why are there tides", "why are there tides", "что делать ёжику 🙂", "pump runs dry"]
WEIGHTS = bytes(range(256)) * 40  # longer than a page


def main(path: str) -> None:
    """Write the file."""
    from hybridstore.backends.learning import ModelVersion, Negative, Triple
    from hybridstore.backends.sqlite import SQLiteBackend
    from hybridstore.backends.values import Embedding, Restriction

    make_v1.main(path)
    backend = SQLiteBackend(path)
    first, other, following = (
        backend.embeddings().active,
        Embedding("kept@1", "kept", 4),
        Embedding("next@1", "next", 4),
    )
    backend.begin(other)
    fill(backend, other, 100)
    learning = backend.learning
    tuned = ModelVersion(
        kind="embedder", source="kept@1", target="kept@1", reference="kept", made="2026-01-01T00:00:00Z"
    )
    backend.switch(keep=True, promote=learning.propose(tuned))
    backend.begin(first)
    backend.switch(keep=True)
    backend.begin(following)
    fill(backend, following, 3)

    turned = {"source": first.fingerprint, "target": first.fingerprint, "reference": first.reference}
    learning.propose(ModelVersion(kind="adapter", state="refused", report={"gain": -0.5, "n": 3}, **turned))
    learning.promote(learning.propose(ModelVersion(kind="adapter", weights=WEIGHTS, report={"gain": 0.5}, **turned)))

    def chunk(id_: str) -> int:
        return backend.chunks_of([id_], Restriction()).get(id_, [])[0]

    moon = Negative(chunk=chunk("moon"), leg="keyword", score=0.25)
    comet = Negative(chunk=chunk("comet"), leg="vector", score=0.125, excluded="margin")
    learning.add_triples(
        [
            Triple(query=ASKED[0], kind="log", positive=chunk("tides"), score=0.75, negatives=(moon, comet)),
            Triple(query="Bread", kind="title", positive=chunk("bread"), score=1.0, origin=chunk("bread")),
        ]
    )
    learning.log_queries(ASKED)
    learning.add_feedback(ASKED[0], chunk("tides"), used=True)
    learning.add_feedback(ASKED[3], chunk("broth"), used=False)
    copy = Path(path).with_suffix(".compact")
    backend.backup(str(copy))
    backend.close()
    copy.replace(path)  # a backup is compact, and has no write-ahead log beside it


def fill(backend, embedding, limit: int) -> None:
    """Give up to `limit` chunks a vector."""
    some = backend.pending(limit)
    vectors = np.eye(4, dtype=np.float32)[np.arange(len(some)) % 4]
    backend.fill(embedding, [passage.chunk for passage in some], vectors)


if __name__ == "__main__":
    main(sys.argv[1])
