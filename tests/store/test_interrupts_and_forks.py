"""An exception that a signal raises at any moment, and a fork at any moment, leave a store that reads and writes."""

import os
import signal
import sys
import threading
import time
import traceback

import pytest

import hybridstore as hs
from hybridstore.backends.in_memory import MemoryBackend
from hybridstore.errors import FileRefused

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and setitimer")
STOPS = 400  # moments, from the start of a use to its end


class Stopped(BaseException):
    """What the signal raises."""


armed = False


def stop(_number: int, _frame: object) -> None:
    if armed:
        raise Stopped


@pytest.fixture
def alarm():
    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def second(store: hs.Store) -> hs.Store:
    """Open the same store again."""
    backend = store._backend
    if isinstance(backend, MemoryBackend):
        return hs.Store(MemoryBackend(shared=backend.shared), embedder="none")
    return hs.open(store.location, embedder="none")


@pytest.mark.usefixtures("alarm")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an import that was stopped
@pytest.mark.parametrize("name", ["x.db", ":memory:"])
def test_a_signal_at_any_moment_leaves_a_store_that_reads_and_writes(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    kept = []  # as a notebook keeps the last traceback, and with it the frames
    with hs.open(name, embedder="none") as store, second(store) as other:
        store.add([{"id": f"d{n}", "text": f"text {n}"} for n in range(20)])

        def use(n: int) -> None:
            store.add({"id": f"n{n}", "text": "new"})
            with store.snapshot():
                store.count(), store.search("text", mode="keyword")
            list(store.documents())
            store.remove(f"n{n - 1}")

        use(-2)  # imports what it needs
        began = time.perf_counter()
        use(-1)
        took = (time.perf_counter() - began) * 1.2
        stopped = 0
        global armed  # noqa: PLW0603 - the handler reads it
        for n in range(STOPS):
            signal.setitimer(signal.ITIMER_REAL, max(took * (n % 97 + 1) / 97, 1e-5))
            try:
                armed = True
                use(n)
                armed = False
            except Stopped as error:
                armed = False
                stopped += 1
                kept.append(error)
            signal.setitimer(signal.ITIMER_REAL, 0)
            other.add({"id": "counter", "text": f"count {n}"})
            assert store.get("counter").text == f"count {n}"
        assert stopped > STOPS / 10  # on a busy machine the first use takes longer than the others
        kept.clear()
        store.add("last")
        assert store.check() == []
        assert other.count() == store.count()


def child(work) -> int:
    """Run a function in a forked child; return its exit code, -9 where it took longer than 20 s."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - told by the exit code
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -9


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_forked_while_other_threads_read_and_write_uses_the_store_and_others(tmp_path):
    with hs.open(tmp_path / "x.db", embedder="none") as store:
        store.add([{"id": f"d{n}", "text": f"text {n}"} for n in range(200)])
        over = threading.Event()

        def write(name: str) -> None:
            n = 0
            while not over.is_set():
                store.add({"id": f"{name}{n % 50}", "text": f"text {n}"})
                n += 1

        def read() -> None:
            while not over.is_set():
                store.search("text", mode="keyword")

        threads = [threading.Thread(target=write, args=(name,)) for name in "ab"] + [threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        try:
            for n in range(30):

                def work(n: int = n) -> None:
                    store.add({"id": f"child{n}", "text": "of a child"})
                    assert len(store.search("text", mode="keyword"))
                    with hs.open(tmp_path / f"new{n}.db", embedder="none") as new:
                        new.add("in a new store")
                    store.close()

                assert child(work) == 0
                assert store.get(f"child{n}").text == "of a child"
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert store.check() == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_forked_while_a_store_in_memory_is_being_written_writes_to_it():
    with hs.open(":memory:", embedder="none") as store:
        store.add("one")
        written, over = threading.Event(), threading.Event()

        def write() -> None:
            with store._backend.shared.lock:
                written.set()
                over.wait()

        thread = threading.Thread(target=write)
        thread.start()
        written.wait()
        assert child(lambda: store.add("two")) == 0
        over.set()
        thread.join()
        assert store.count() == 1


def test_a_store_that_is_being_written_by_the_thread_that_forks_is_refused_in_the_child(tmp_path):
    with hs.open(tmp_path / "x.db", embedder="none") as store, hs.open(tmp_path / "y.db", embedder="none") as other:
        store.add("one")
        with store._backend._connections.atomic():

            def work() -> None:
                with pytest.raises(FileRefused, match="forked"):
                    store.count()
                with pytest.raises(FileRefused, match="forked"):
                    hs.open(tmp_path / "x.db")
                other.add("from the child")

            assert child(work) == 0
        store.add("two")
        assert (store.count(), other.count()) == (2, 1)


def test_a_forked_child_that_ends_leaves_the_parents_log_in_place(tmp_path):
    with hs.open(tmp_path / "x.db", embedder="none") as store:
        store.add("one")

        def work() -> None:
            store.add("two")
            store.close()

        assert child(work) == 0
        assert child(store.close) == 0
        store.add("three")
        assert store.count() == 3
        assert store.check() == []
