"""The contract of sharing: many threads and handles at once, each reading one state."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from made import ALL, EMBEDDING, entry, found, near, ranked, units


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
