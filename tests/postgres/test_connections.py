"""Connections to a server: waiting for writers, connections that break, and what a server's errors mean."""

import threading

import psycopg
import pytest
from made import entry, found

import hybridstore as hs
from hybridstore.errors import HybridstoreError, InputError, StoreBusy, StoreDamaged, StoreRefused


def test_a_writer_that_waits_too_long_says_for_how_long(open_backend):
    one, two = open_backend(), open_backend(busy_timeout=0.2)
    one.put([entry("a", "word")])
    with one._connections.atomic(), pytest.raises(StoreBusy) as raised:
        two.put([entry("b", "word")])
    assert raised.value.waited == 0.2
    two.put([entry("b", "word")])
    assert sorted(found(one, "word")) == ["a", "b"]


def test_readers_do_not_wait_for_a_writer(open_backend):
    one, two = open_backend(), open_backend(busy_timeout=0.2)
    one.put([entry("a", "word")])
    with one._connections.atomic() as connection:
        connection.execute("DELETE FROM documents")
        assert found(two, "word") == ["a"]


def test_connections_that_were_ended_are_replaced(open_backend, server):
    backend = open_backend()
    backend.put([entry("a", "word")])
    threads = [threading.Thread(target=lambda: found(backend, "word")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ours = [connection.info.backend_pid for connection in backend._connections._primary.opened]
    assert ours
    with psycopg.connect(server, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS ours (pid)", (ours,))
    assert found(backend, "word") == ["a"]
    backend.put([entry("b", "word")])
    assert backend.count() == 2


def test_a_write_within_a_snapshot_is_refused(open_backend):
    backend = open_backend()
    with backend.snapshot(), pytest.raises(InputError, match="snapshot"):
        backend.put([entry("a", "word")])


def test_a_statement_that_the_server_ends_is_told(url_of):
    url = f"{url_of()}&options=-c%20statement_timeout%3D1"
    with pytest.raises(StoreRefused, match="ended the statement"):
        hs.open(url, embedder="none")


def test_a_closed_store_says_so(open_backend):
    backend = open_backend()
    backend.close()
    backend.close()
    for use in (
        backend.count,
        lambda: backend.put([entry("a", "word")]),
        lambda: list(backend.scan()),
        backend.learning.models,
    ):
        with pytest.raises(HybridstoreError, match=r"hybridstore\.open"):
            use()


def test_a_table_that_somebody_changed_is_damage(open_backend):
    backend = open_backend()
    backend.put([entry("a", "word")])
    with backend._connections.bare() as connection:
        connection.execute("ALTER TABLE documents DROP COLUMN title")
    with pytest.raises(StoreDamaged, match="title"):
        backend.get("a")


def test_a_check_repairs_what_can_be_derived(open_backend):
    backend = open_backend()
    backend.put([entry(name, f"shared words of {name}") for name in ("one", "two", "three")])
    with backend._connections.bare() as connection:
        connection.execute("DELETE FROM postings WHERE word = 'two'")
        connection.execute("UPDATE chunks SET tokens = ' x \n  \n  \n  ' WHERE position = 0 AND document = 1")
        connection.execute("UPDATE facts SET value = '7' WHERE key = 'chunks'")
    assert len(backend.check()) == 3
    assert all(problem.repaired for problem in backend.check(repair=True))
    assert backend.check() == []
    assert found(backend, "two") == ["two"]
