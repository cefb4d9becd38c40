"""The process that test_learning.py kills: it learns, promotes and changes all vectors, over and over, until then.

    python learning_process.py FILE

Each line it prints is a round's number, once all that the round keeps has been committed.
"""

import sys
from itertools import count, cycle

import numpy as np
from made import EMBEDDING, OTHER, chunks_of, entry, units

from hybridstore.backends.learning import ModelVersion, Negative, Triple
from hybridstore.backends.sqlite import SQLiteBackend

BATCH = 5  # triples kept at once


def main(path: str) -> None:
    backend = SQLiteBackend(path)
    rng = np.random.default_rng(1)
    backend.put([entry(f"d{n}", f"text {n}", vectors=units(rng, 1)) for n in range(20)], embedding=EMBEDDING)
    one, other = chunks_of(backend, "d0")[0], chunks_of(backend, "d1")[0]
    learning = backend.learning
    for number, embedding in zip(count(), cycle([OTHER, EMBEDDING]), strict=False):
        negatives = (
            Negative(chunk=other, leg="keyword", score=0.5),
            Negative(chunk=one, leg="vector", score=0.25),
        )
        made = Triple(query=f"q{number}", kind="log", positive=one, score=1.0, negatives=negatives)
        learning.add_triples([made] * BATCH)
        learning.log_queries([f"q{number}"])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        tuned = learning.propose(model(embedding, "embedder"))
        backend.begin(embedding)
        while some := backend.pending(7):
            vectors = units(rng, len(some), embedding.dim)
            backend.fill(embedding, [passage.chunk for passage in some], vectors)
        backend.switch(keep=True, promote=tuned)
        adapter = learning.propose(model(embedding, "adapter"))
        learning.promote(adapter)
        learning.promote(learning.model().previous)


def model(embedding, kind: str) -> ModelVersion:
    name = embedding.fingerprint
    return ModelVersion(
        kind=kind, source=name, target=name, reference=embedding.reference, weights=name.encode() * 5000
    )


if __name__ == "__main__":
    main(sys.argv[1])
