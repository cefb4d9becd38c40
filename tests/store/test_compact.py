"""Store.compact: space is given back while others read and write, and where it cannot be the report says why."""

import threading

import apsw
import pytest

import hybridstore as hs
from hybridstore.backends.sqlite import purge
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileRefused, Unsupported


@pytest.fixture
def filled(tmp_path):
    """A store, the half of which was removed."""
    path = tmp_path / "store.db"
    with hs.open(path, embedder=HashingEmbedder(32), busy_timeout=0.5) as store:
        store.add({"id": f"d{n}", "text": f"the valve {n} leaks " * 50} for n in range(200))
        store.remove(f"d{n}" for n in range(100))
        yield store


def test_the_file_alone_holds_the_store_and_is_smaller(filled, tmp_path):
    report = filled.compact()
    assert report.after == (tmp_path / "store.db").stat().st_size < 0.8 * report.before
    assert (tmp_path / "store.db-wal").stat().st_size == 0
    assert report.seconds > 0
    assert (filled.check(), filled.count()) == ([], 100)
    assert filled.compact().after <= report.after  # and again


def test_others_read_and_write_while_it_is_compacted(filled, tmp_path):
    errors = []

    def work() -> None:
        try:
            with hs.open(tmp_path / "store.db", embedder=HashingEmbedder(32)) as other:
                for n in range(20):
                    other.add({"id": f"new{n}", "text": f"a new pump {n}"})
                    assert other.search(f"pump {n}").trace.hits[0].document_id == f"new{n}"
        except Exception as error:  # noqa: BLE001 - the thread's, shown below
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        filled.compact()
    thread.join()
    assert not errors
    assert (filled.check(), filled.count()) == ([], 120)


def test_where_another_still_reads_the_old_state_the_report_says_so(filled, tmp_path):
    with hs.open(tmp_path / "store.db", embedder="none") as other:
        scan = other.documents()
        with other.snapshot():
            next(scan)
            report = filled.compact()
            assert "another process still reads" in report.remedy
            assert other.count() == 100
    assert filled.compact().remedy == ""


def test_where_there_is_no_room_it_is_one_error_and_nothing_changes(filled, monkeypatch):
    monkeypatch.setattr(purge, "_rewrite", lambda _: apsw.FullError("database or disk is full"))
    with pytest.raises(FileRefused, match="disk is full"):
        filled.compact()
    assert (filled.check(), filled.count()) == ([], 100)


def test_what_has_no_file_or_is_only_read_is_refused(filled, tmp_path):
    with (
        hs.open(tmp_path / "store.db", embedder="none", read_only=True) as store,
        pytest.raises(FileRefused, match="opened for reading alone"),
    ):
        store.compact()
    with hs.open(":memory:", embedder="none") as store, pytest.raises(Unsupported, match="no file to compact"):
        store.compact()
