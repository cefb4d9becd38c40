"""I/O faults at any call of SQLite: only errors of hybridstore come out, and what was acknowledged is there."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from vfs import KINDS, installed

import hybridstore as hs
from hybridstore.errors import FileDamaged, HybridstoreError

POINTS = 5  # of each operation and kind, spread over its calls; `make faults` tries more
DOCUMENTS = [{"id": f"d{n}", "text": f"document {n} is about pumps and word{n}"} for n in range(40)]
NEW = [{"id": f"d{n}", "text": f"changed {n}"} for n in range(5)] + [{"id": "new", "text": "new"}]
OPEN = {"embedder": "none", "busy_timeout": 0.2}


def vectors(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)


def learn(store: hs.Store) -> None:
    store.feedback("pumps", store.chunks.of(["d3"])["d3"][0])


OPERATIONS = {
    "open": lambda store: hs.open(store.location, **OPEN).close(),
    "add": lambda store: store.add(NEW, vectors=vectors(6)),
    "remove": lambda store: store.remove(["d1", "d2"]),
    "remove_where": lambda store: store.remove_where({"@id": {"$prefix": "d1"}}),
    "purge": lambda store: store.purge(["d7"]),
    "compact": lambda store: store.compact(),
    "feedback": learn,
    "forget": lambda store: store.forget_queries("pumps"),
    "backup": lambda store: store.backup(Path(store.location).with_name("backup.db")),
    "check": lambda store: store.check(),
    "repair": lambda store: store.check(repair=True),
    "search": lambda store: store.search("pumps", vector=vectors(1)[0]),
    "filter": lambda store: store.search("pumps", mode="keyword", where={"@id": {"$prefix": "d1"}}),
    "scan": lambda store: list(store.scan(vectors=True)),
    "stats": lambda store: store.stats(),
    "close": lambda store: store.close(),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("base") / "x.db"
    with hs.open(path, embedder="none", log_queries=True) as store:
        store.add(DOCUMENTS, vectors=vectors(40))
        store.search("pumps", mode="keyword")
    return path


def texts(store: hs.Store) -> dict[str, str]:
    return {str(document.id): document.text for document in store.documents()}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_fault_at_any_call_is_one_clear_error_and_loses_nothing(base, tmp_path, name):
    operation = OPERATIONS[name]
    with installed() as faults:
        for kind in (*KINDS, "full"):
            call = "write" if kind == "full" else kind
            calls = _run(base, tmp_path / f"{kind} 0", operation, faults, (call, 0, kind))
            for n in sorted({int(at) for at in np.linspace(1, calls, POINTS)} if calls else ()):
                _run(base, tmp_path / f"{kind} {n}", operation, faults, (call, n, kind))


def _error_of(call) -> HybridstoreError | None:
    try:
        call()
    except HybridstoreError as error:
        return error
    return None


def _run(base: Path, folder: Path, operation, faults, fault: tuple[str, int, str]) -> int:
    """Do it in a copy of the store with a fault; return the number of calls."""
    folder.mkdir()
    path = folder / "x.db"
    shutil.copy(base, path)
    kind, n, error = fault
    with hs.open(path, **OPEN) as store:
        store.add({"id": "acknowledged", "text": "before"}, vectors=vectors(1))
        before = texts(store)
        faults.fail(kind, n, error=error, lasting=error == "full")
        raised = _error_of(lambda: operation(store))
        assert not isinstance(raised, FileDamaged), raised
        faults.stop()
        calls = faults.counts[kind]
    with hs.open(path, **OPEN) as store:
        if operation is OPERATIONS["purge"] and store.check():
            store.compact()  # as `check` says where a purge did not end
        assert store.check() == []
        after = texts(store)
        assert raised is None or after == before or operation is OPERATIONS["purge"], (fault, raised)
        assert after["acknowledged"] == "before"
        store.add({"id": "again", "text": "it works"}, vectors=vectors(1))
    if (copy := folder / "backup.db").exists():
        with hs.open(copy, **OPEN) as store:
            assert texts(store) == before
    shutil.rmtree(folder)
    return calls
