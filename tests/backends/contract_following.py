"""The contract of the change log: a mirror kept by it equals the store, whatever happened."""

import random
from itertools import pairwise

import numpy as np
import pytest
from made import ALL, DIM, EMBEDDING, OTHER, all_chunks, entry, found, near, source, units

from hybridstore.backends.protocols import Backend

WORDS = ["apple", "berry", "cherry", "date", "elder", "fig"]


class Mirror:
    """A follower's copy of the chunk ids: kept by changes, loaded anew where the log no longer reaches back."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.revision, self.loads = backend, -1, 0
        self.chunks: set[int] = set()

    def follow(self) -> None:
        with self.backend.snapshot():
            changes = self.backend.changes(self.revision) if self.loads else None
            if changes is None:
                self.chunks, self.loads = all_chunks(self.backend), self.loads + 1
            for change in changes or ():
                run = range(change.first, change.last + 1)
                if change.kind == "added":
                    self.chunks.update(run)
                elif change.kind == "removed":
                    self.chunks.difference_update(run)
            self.revision = self.backend.revision()


class FollowingContract:
    def test_every_write_that_changes_chunks_adds_one_revision(self, backend):
        assert (backend.revision(), backend.changes(0)) == (0, [])
        backend.put([entry(f"d{n}", "text", spans=[(0, 2), (2, 4)]) for n in range(3)])
        assert backend.revision() == 1
        (change,) = backend.changes(0)
        assert (change.revision, change.kind, change.last - change.first) == (1, "added", 5)
        for nothing in (
            lambda: backend.put([]),
            lambda: backend.remove(["?"]),
            lambda: backend.remove_sources(["?"]),
        ):
            nothing()
            assert backend.revision() == 1
        backend.remove(["d1"])
        assert backend.revision() == 2
        assert [(c.kind, c.first, c.last) for c in backend.changes(1)] == [
            ("removed", change.first + 2, change.first + 3)
        ]
        assert backend.changes(2) == []

    def test_a_switch_of_embedders_makes_followers_begin_anew(self, backend):
        backend.put([entry("a", "x")])
        backend.begin(OTHER)
        backend.fill(OTHER, backend.chunks_of("a", ALL), np.ones((1, OTHER.dim), np.float32))
        assert backend.changes(1) == []  # nothing that searches see has changed yet
        backend.switch()
        assert backend.changes(1) is None
        assert backend.changes(backend.revision()) == []

    @pytest.mark.parametrize("seed", range(4))
    def test_a_mirror_equals_the_store_after_a_random_walk(self, backend, seed):
        walk, rng = random.Random(seed), np.random.default_rng(seed)
        texts: dict[str, str] = {}
        owners: dict[str, str | None] = {}
        mirror, bystander = Mirror(backend), Mirror(backend)
        mirror.follow()
        bystander.follow()

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
            if walk.random() < 0.3:
                mirror.follow()
        mirror.follow()
        bystander.follow()
        assert mirror.chunks == bystander.chunks == all_chunks(backend)
        assert mirror.loads == 1
        assert {stored.document.id: stored.document.text for stored in backend.scan()} == texts
        for word in WORDS:
            assert set(found(backend, phrases=[word])) <= {id_ for id_, text in texts.items() if word in text}
        assert set(near(backend, units(rng, 1, DIM)[0])) == set(texts)
        assert backend.check() == []
