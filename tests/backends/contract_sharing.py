"""The contract of many threads and handles, each reading one state, of revisions, and of a long walk of writes."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from made import ALL, DIM, EMBEDDING, entry, found, near, ranked, source, units

WORDS = ["apple", "berry", "cherry", "date", "elder", "fig"]


class SharingContract:
    def test_a_snapshot_is_one_state_while_another_thread_writes(self, backend):
        vectors = units(np.random.default_rng(14), 2)
        backend.put([entry("a", "word", vectors=vectors[:1])], embedding=EMBEDDING)

        def write() -> None:
            backend.put([entry("b", "word", vectors=vectors[1:])], embedding=EMBEDDING)
            backend.remove(["a"])

        with backend.snapshot():
            before = backend.state().revision
            writer = threading.Thread(target=write)
            writer.start()
            writer.join(30)
            assert not writer.is_alive()
            assert found(backend, "word") == near(backend, vectors[1]) == ["a"]
            assert (backend.count(), backend.state().revision, backend.get("a").document.text) == (1, before, "word")
        assert found(backend, "word") == near(backend, vectors[0]) == ["b"]

    def test_a_second_handle_sees_what_the_first_wrote(self, open_backend):
        one, two = open_backend(), open_backend()
        one.put([entry("a", "word")])
        assert found(two, "word") == ["a"]
        two.put([entry("b", "word")])
        assert sorted(found(one, "word")) == ["a", "b"]
        assert one.state().revision == two.state().revision == 2

    def test_many_threads_at_once_lose_nothing(self, open_backend):
        handles = [open_backend(), open_backend()]
        vectors = units(np.random.default_rng(15), 40)

        def work(number: int) -> int:
            backend = handles[number % 2]
            for step in range(5):
                n = number * 5 + step
                backend.put([entry(f"d{n}", f"word own{n}", vectors=vectors[n : n + 1])], embedding=EMBEDDING)
                with backend.snapshot():
                    ranking = ranked(backend, ("word",))
                    assert len(backend.passages(ranking.chunks.tolist())) == len(ranking) >= step + 1
                assert len(backend.nearest(vectors[n], 1, ALL)) == 1
            return backend.remove([f"d{number * 5}"])

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == [1] * 8
        assert handles[0].count() == 32
        assert len(found(handles[1], "word")) == 32
        assert handles[0].check() == []

    def test_threads_that_end_leave_room_for_others(self, backend):
        backend.put([entry("a", "word")])
        for _ in range(30):
            thread = threading.Thread(target=backend.count)
            thread.start()
            thread.join()
        assert backend.count() == 1

    def test_a_check_runs_while_others_write(self, open_backend):
        one, two = open_backend(), open_backend()
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                one.put([entry(f"d{number % 20}", f"word {number}")])
                number += 1

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            try:
                assert [two.check() for _ in range(15)] == [[]] * 15
            finally:
                stop.set()
            writing.result(30)

    # revisions, and everything at once

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
