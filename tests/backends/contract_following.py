"""The contract of revisions, and of everything at once: a random walk of writes."""

import random
from itertools import pairwise

import numpy as np
import pytest
from made import DIM, EMBEDDING, entry, found, near, source, units

WORDS = ["apple", "berry", "cherry", "date", "elder", "fig"]


class FollowingContract:
    def test_every_write_that_changes_chunks_adds_one_revision(self, backend):
        assert backend.state().revision == 0
        backend.put([entry(f"d{n}", "text", spans=[(0, 2), (2, 4)]) for n in range(3)])
        assert backend.state().revision == 1
        for nothing in (
            lambda: backend.put([]),
            lambda: backend.remove(["?"]),
            lambda: backend.remove_sources(["?"]),
        ):
            nothing()
            assert backend.state().revision == 1
        backend.remove(["d1"])
        assert backend.state().revision == 2

    @pytest.mark.parametrize("seed", range(4))
    def test_a_store_holds_what_it_should_after_a_random_walk(self, backend, seed):
        walk, rng = random.Random(seed), np.random.default_rng(seed)
        texts: dict[str, str] = {}
        owners: dict[str, str | None] = {}

        def put() -> None:
            entries = []
            for id_ in walk.sample([f"d{n}" for n in range(12)], walk.randint(1, 4)):
                text = " ".join(walk.choices(WORDS, k=walk.randint(1, 5)))
                cuts = [0, *sorted(walk.sample(range(len(text)), min(2, len(text) - 1))), len(text)]
                spans = list(pairwise(cuts))
                owner = walk.choice([None, "S", "T"])
                changed = texts.get(id_) != text
                texts[id_] = text
                owners[id_] = owner if changed or owner else owners[id_]
                vectors = units(rng, len(spans))
                # The same text is the same entry, however it was cut: the digest stands for the text here.
                made = entry(id_, text, spans=spans, vectors=vectors, source=owner)
                entries.append(
                    type(made)(made.document, text.encode(), made.chunks, made.chunk_digests, vectors, owner)
                )
            backend.put(entries, embedding=EMBEDDING)

        def remove() -> None:
            ids = walk.sample([f"d{n}" for n in range(12)], 2)
            assert backend.remove(ids) == sum(id_ in texts for id_ in ids)
            for id_ in ids:
                texts.pop(id_, None)

        def finish() -> None:
            key = walk.choice("ST")
            here = [id_ for id_ in texts if owners[id_] == key]
            kept = frozenset(walk.sample(here, len(here) // 2))
            backend.put([], embedding=EMBEDDING, finished={source(key): kept})
            for id_ in set(here) - kept:
                texts.pop(id_)

        for _ in range(60):
            walk.choices([put, remove, finish], weights=[6, 2, 1])[0]()
            if walk.random() < 0.3:  # whatever is kept in memory follows
                assert set(found(backend, WORDS[0])) <= {id_ for id_, text in texts.items() if WORDS[0] in text}
        assert {stored.document.id: stored.document.text for stored in backend.scan()} == texts
        for word in WORDS:
            assert set(found(backend, phrases=[word])) <= {id_ for id_, text in texts.items() if word in text}
        assert set(near(backend, units(rng, 1, DIM)[0])) == set(texts)
        assert backend.check() == []
