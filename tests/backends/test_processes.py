"""Several processes on one file: nothing is lost, nothing fails, and a killed one leaves a sound file."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from contract_conditions import add_one
from made import ALL, EMBEDDING, all_chunks, entry, found, ranked, units

from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.errors import FileBusy, HybridstoreError

HERE = Path(__file__).parent
VECTORS = units(np.random.default_rng(1), 4)


def writer(path: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "writing_process.py"), str(path), name, str(seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def committed(output: str) -> set[str]:
    """Give the documents that a writer said it has, less those it said it removed."""
    lines = output.split("\n")[:-1]  # the last may be cut short
    return {line for line in lines if not line.startswith("-")} - {line[1:] for line in lines if line.startswith("-")}


def together(path: Path, seconds: float) -> None:
    writers = [writer(path, name, seconds) for name in "ab"]
    # Pipes are read as they fill: a writer that cannot print would wait.
    told: dict[str, tuple[str, str]] = {}
    readers = [
        threading.Thread(target=lambda n=n, w=w: told.update({n: w.communicate()}))
        for n, w in zip("ab", writers, strict=True)
    ]
    for reader in readers:
        reader.start()
    searches, most = 0, 0
    with closing(SQLiteBackend(str(path))) as backend:
        while any(reader.is_alive() for reader in readers):
            with backend.snapshot():
                count = backend.count()
                by_word, by_vector = ranked(backend, ("word",), depth=10**6), backend.nearest(VECTORS[0], 50, ALL)
                assert len(by_word) == count
                assert len(by_vector) == min(50, count)
                assert len(backend.passages(by_vector.chunks.tolist())) == len(by_vector)
            searches, most = searches + 1, max(most, count)
        expected: set[str] = set()
        for name, process in zip("ab", writers, strict=True):
            output, errors = told[name]
            assert (process.returncode, errors) == (0, "")
            expected |= committed(output)
        assert {stored.document.id for stored in backend.scan()} == expected
        assert len(expected) > 20
        assert most > 0
        assert searches > 0
        assert backend.check() == []


@pytest.mark.parametrize("seconds", [1, pytest.param(5, marks=pytest.mark.thorough)])
def test_two_processes_add_while_one_searches(tmp_path, seconds):
    together(tmp_path / "store.db", seconds)


@pytest.mark.slow
def test_two_processes_add_while_one_searches_for_a_minute(tmp_path):
    together(tmp_path / "store.db", 60)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 3))])
def test_a_killed_process_leaves_a_sound_file_with_all_that_was_committed(tmp_path, seed):
    path = tmp_path / "store.db"
    process = writer(path, "k", 60)
    time.sleep(0.6 + random.Random(seed).random())
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=30)
    with closing(SQLiteBackend(str(path))) as backend:
        there = {stored.document.id for stored in backend.scan()}
        unsaid = committed(output) - there  # at most the one whose removal was committed but not yet said
        assert len(unsaid) <= 1
        assert all(int(id_[1:]) % 50 == 0 for id_ in unsaid)
        assert len(there - committed(output)) <= 5  # at most what was committed but not yet said
        assert backend.check() == []
        backend.put([entry("after", "after", vectors=VECTORS[:1])], embedding=EMBEDDING)
        assert found(backend, "after") == ["after"]


def open_and_put(path: str, name: str, start) -> None:
    start.wait(30)
    with closing(SQLiteBackend(path)) as backend:
        backend.put([entry(name, "word", vectors=VECTORS[:1])], embedding=EMBEDDING)


@pytest.mark.parametrize(
    "attempt", [0, *(pytest.param(attempt, marks=pytest.mark.thorough) for attempt in range(1, 3))]
)
def test_many_processes_make_one_file_at_once(tmp_path, attempt):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    path = str(tmp_path / "store.db")
    processes = [context.Process(target=open_and_put, args=(path, f"p{n}", start)) for n in range(8)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    with closing(SQLiteBackend(path)) as backend:
        assert {stored.document.id for stored in backend.scan()} == {f"p{n}" for n in range(8)}
        assert backend.check() == []


def count_up(path: str, start, conflicts) -> None:
    with closing(SQLiteBackend(path)) as backend:
        start.wait(30)
        lost = sum(add_one(backend, "counter") for _ in range(30))
    with conflicts.get_lock():
        conflicts.value += lost


def test_processes_that_race_lose_no_change(tmp_path):
    context = multiprocessing.get_context("fork")
    path, start, conflicts = str(tmp_path / "store.db"), context.Event(), context.Value("i", 0)
    processes = [context.Process(target=count_up, args=(path, start, conflicts)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 3
    with closing(SQLiteBackend(path)) as backend:
        assert backend.get("counter").document.text == "90"
        assert backend.check() == []
    assert conflicts.value > 0  # else nothing was proved


def add_in_child(backend: SQLiteBackend, name: str) -> None:
    for n in range(20):
        backend.put([entry(f"{name}{n}", "word", vectors=VECTORS[:1])], embedding=EMBEDDING)
    assert len(found(backend, "word")) >= 20


def test_a_store_can_be_used_on_both_sides_of_a_fork(tmp_path):
    with closing(SQLiteBackend(str(tmp_path / "store.db"))) as backend:
        backend.put([entry("before", "word", vectors=VECTORS[:1])], embedding=EMBEDDING)
        assert found(backend, "word") == ["before"]
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=add_in_child, args=(backend, name)) for name in "xy"]
        for child in children:
            child.start()
        add_in_child(backend, "z")
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0]
        assert backend.count() == len(found(backend, "word")) == 61
        assert backend.check() == []


def test_a_writer_waits_only_as_long_as_it_was_told_to(tmp_path):
    path = str(tmp_path / "store.db")
    with closing(SQLiteBackend(path)) as one, closing(SQLiteBackend(path, busy_timeout=0.2)) as two:
        two.put([entry("before", "word")])
        with one._connections.atomic():
            began = time.monotonic()
            with pytest.raises(FileBusy, match="busy_timeout"):
                two.put([entry("a", "word")])
            assert 0.15 < time.monotonic() - began < 5
            assert found(two, "word") == ["before"]  # readers do not wait
        two.put([entry("a", "word")])
        assert two.count() == 2


def test_closing_breaks_off_what_other_threads_do(tmp_path):
    backend = SQLiteBackend(str(tmp_path / "store.db"))
    backend.put([entry(f"d{n}", f"word own{n}") for n in range(200)])
    ends: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                all_chunks(backend)
        except HybridstoreError as error:
            ends.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    backend.close()
    for thread in threads:
        thread.join(10)
    assert [str(error).partition(";")[0] for error in ends] == ["this store is closed"] * 4
