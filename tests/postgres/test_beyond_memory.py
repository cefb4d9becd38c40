"""What the server does where copies do not fit into memory: it sieves vectors, narrows filters, is asked few times."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import entry
from test_where import documents, trees

import hybridstore as hs
from hybridstore.backends.batches import compact_json
from hybridstore.backends.postgres import filtering, sieve, vector_tables
from hybridstore.backends.resident import codes
from hybridstore.backends.values import Embedding, Restriction
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.filters import matches

COUNT, DIM = 3_000, 256
EMBEDDING = Embedding("spread@1", "spread", DIM)


def clustered(seed, count):
    """Return unit vectors around a hundred topics, as close to them as paragraphs of one text."""
    rng, topics = np.random.default_rng(seed), np.random.default_rng(0).standard_normal((100, DIM))
    made = topics[rng.integers(0, len(topics), count)] + rng.standard_normal((count, DIM)) * 0.6
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def sieved(open_backend, monkeypatch):
    """Return a backend beyond memory whose sieve lets 400 through, and its vectors; reading all codes is an error."""
    monkeypatch.setattr(codes, "POOL", 266)
    monkeypatch.setattr(sieve, "POOL", 400)
    monkeypatch.setattr(sieve, "SIEVED", 1_000)
    vectors = clustered(1, COUNT)
    backend = open_backend(memory=0)
    for first in range(0, COUNT, 1_000):
        numbers = range(first, first + 1_000)
        some = [entry(f"d{n}", "x", metadata={"n": n % 100}, vectors=vectors[n : n + 1]) for n in numbers]
        backend.put(some, embedding=EMBEDDING)
    return backend, vectors


@pytest.mark.parametrize("below", [None, 60, 20, 5], ids=["all", "most", "some", "few"])
def test_the_server_lets_the_nearest_through_whatever_the_filter(sieved, monkeypatch, below):
    backend, vectors = sieved
    allowed = np.arange(COUNT) if below is None else np.flatnonzero(np.arange(COUNT) % 100 < below)
    restriction = Restriction(None if below is None else hs.field("n") < below)
    scan, scanned = vector_tables.scan, []
    monkeypatch.setattr(vector_tables, "scan", lambda *asked: scanned.append(asked) or scan(*asked))
    found = 0
    for query in clustered(2, 10):
        ranking = backend.nearest(query, 50, restriction)
        exact = vectors[allowed] @ query
        found += np.isin(ranking.chunks[:10], allowed[np.argsort(-exact)[:10]] + 1).sum()
        assert ranking.scores[:10] == pytest.approx((vectors[ranking.chunks - 1] @ query)[:10], abs=1e-6)
    assert found >= 98
    assert len(scanned) < 7  # queries that the sieve is not trusted with


def test_a_query_unlike_all_vectors_is_compared_with_all_of_them(sieved):
    backend, vectors = sieved
    for query in np.eye(DIM, dtype=np.float32)[:5]:
        assert (
            backend.nearest(query, 10, Restriction()).chunks.tolist()
            == (np.argsort(-vectors @ query)[:10] + 1).tolist()
        )


def test_signs_follow_their_vectors_and_a_check_repairs_them(sieved):
    backend, vectors = sieved
    backend.remove(["d0"])
    backend.put([entry("d1", "y", vectors=-vectors[1:2])], embedding=EMBEDDING)
    assert backend.check() == []
    with backend._connections.atomic() as connection:
        connection.execute("UPDATE signs_1 SET signs = ~signs WHERE chunk = 5")
        connection.execute("DELETE FROM signs_1 WHERE chunk = 6")
        connection.execute("INSERT INTO signs_1 SELECT 9999, signs FROM signs_1 WHERE chunk = 7")
    (problem,) = backend.check(repair=True)
    assert (problem.count, problem.repaired) == (3, True)
    assert backend.check() == []


def test_a_store_of_before_gets_signs_when_it_is_opened_to_write(open_backend):
    backend = open_backend()
    vectors = clustered(3, 20)
    vectors[3] = 0
    backend.put([entry("d", "x" * 20, spans=[(n, n + 1) for n in range(20)], vectors=vectors)], embedding=EMBEDDING)
    with backend._connections.atomic() as connection:
        connection.execute("DROP TABLE signs_1")
        connection.execute("UPDATE facts SET value = '1' WHERE key = 'version'")
    with pytest.raises(hs.errors.StoreRefused, match="open it once to write"):
        open_backend(read_only=True)
    assert open_backend().check() == []


@given(rows=st.lists(documents, min_size=1, max_size=8), filters=st.lists(trees, min_size=1, max_size=6))
@settings(max_examples=settings().max_examples * 4)
def test_what_the_server_leaves_out_does_not_pass(rows, filters):
    for tree in filters:
        condition, values = filtering._narrowed(tree)
        python = condition.replace("AND", "and").replace("OR", "or").replace("true", "True")
        for metadata, id_, title, uri in rows:
            stored, left = compact_json(metadata).encode(), iter(values)
            held = re.sub(r"position\(%s::bytea IN metadata\) > 0", lambda _: str(next(left) in stored), python)  # noqa: B023
            if "sha256" not in held and matches(tree, metadata, id=id_, title=title, uri=uri):
                assert eval(held), condition  # noqa: S307 - what stands there is True, False, and, or


def test_filters_are_narrowed_to_what_may_pass():
    narrowed = {
        hs.field("year") == 1999: [b'"year":1999', b'"year":[', b'"year": '],
        hs.field("a.b") == "x": [
            each for key in (b'"a.b":', b'"b":') for each in (key + b'"x"', key + b"[", key + b" ")
        ],
        hs.field("day") == "2024-05-01": [b'"day"'],
        hs.field("n") > 5: [b'"n"'],
        (hs.field("n") == 5) | (hs.field("m") != 5): [],
        hs.field("x").in_(["a", 'quoted "b"']): [b'"x"'],
        hs.field("x").prefix("a") & hs.field("y").exists(): [b'"x":"a', b'"x":[', b'"x": ', b'"y"'],
    }
    for tree, expected in narrowed.items():
        assert filtering._narrowed(tree)[1] == expected


@pytest.mark.parametrize(("memory", "most"), [(64, 8), (0, 10)])
def test_a_search_asks_the_server_a_few_times(url_of, monkeypatch, memory, most):
    texts = [hs.Document(id=f"d{n}", text=f"word{n % 7} other{n % 5} text{n}") for n in range(60)]
    with hs.open(url_of(), embedder=HashingEmbedder(64), memory=memory) as store:
        store.add(texts)
        store.search("word3 text10")
        asked = []
        execute = hs.backends.postgres.connection.Connection.execute
        monkeypatch.setattr(
            hs.backends.postgres.connection.Connection,
            "execute",
            lambda self, query, *a, **k: asked.append(query) or execute(self, query, *a, **k),
        )
        store.search("word4 unknwon text11")
        assert len(asked) <= most, chr(10).join(" ".join(str(a).split())[:100] for a in asked)
