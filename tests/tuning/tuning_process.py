"""The processes of test_adapter_tuning.py: `answers FILE` prints answers, `loop FILE` tunes and rolls back.

The second runs until it is killed. It learns the same each time, so that there are only two sets of answers.
"""

import hashlib
import sys

from gap import EMBEDDER, SETTINGS, answers

import hybridstore as hs
from hybridstore.tuning.adapter_tuning import tune
from hybridstore.tuning.model_versions import rollback


def seen(store):
    """Return all that can be seen of a store's answers that nothing measured goes into, as one short text."""
    found = [
        [[(hit.document_id, hit.rank, hit.score, hit.vector_rank, hit.vector_score) for hit in hits] for hits in some]
        for some in (answers(store, mode="vector"), answers(store, fusion="rrf"))
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def main(what, path):
    with hs.open(path, embedder=EMBEDDER if what == "loop" else None, threads=1) as store:
        if what == "answers":
            sys.stdout.write(seen(store))
            return
        while True:
            sys.stdout.write("tuning\n")
            sys.stdout.flush()
            if not tune(store, settings=SETTINGS, most=0).promoted:
                sys.stdout.write("refused\n")
            rollback(store)


if __name__ == "__main__":
    main(*sys.argv[1:])
