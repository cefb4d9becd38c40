"""Codes in memory: the sieve before them, and how they are loaded."""

from dataclasses import replace

import numpy as np
import pytest
from made import EMBEDDING, entry, units

from hybridstore.backends.resident import codes
from hybridstore.backends.resident.chunk_ids import ChunkIds, GrowingArray
from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.sqlite.loader import SQLiteLoader
from hybridstore.backends.values import Embedding
from hybridstore.codecs import int8, signs


@pytest.fixture
def backend(tmp_path):
    backend = SQLiteBackend(str(tmp_path / "codes.db"))
    yield backend
    backend.close()


def spread(rng, count, dim=256, centre=0.0):
    """Make unit vectors around some hundred topics, as embeddings are."""
    topics = np.random.default_rng(0).standard_normal((500, dim))
    made = topics[rng.integers(0, len(topics), count)] + rng.standard_normal((count, dim)) * 0.8 + centre
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def small_sieve(monkeypatch):
    """Sieve from 10,000 chunks on, in proportion."""
    monkeypatch.setattr(codes, "SIEVED", 10_000)
    monkeypatch.setattr(codes, "POOL", 1_400)


def resident(vectors, *, rows=True):
    """Make the codes of vectors as they are in memory, chunk ids from 1, with a sieve if it serves."""
    coded = int8.encode(vectors)
    chunks = ChunkIds(np.arange(1, len(vectors) + 1))
    kept = codes.ResidentCodes(1, 1, EMBEDDING, chunks, GrowingArray(coded), GrowingArray(int8.scales(coded))).sieved()
    return kept if rows else replace(kept, rows=None, scales=GrowingArray(np.empty(0, np.float32)))


@pytest.mark.parametrize("centre", [0.0, 1.0], ids=["around zero", "far from zero"])
@pytest.mark.parametrize("rows", [True, False], ids=["with int8 codes", "signs alone"])
@pytest.mark.parametrize(
    "share", [1.0, *(pytest.param(share, marks=pytest.mark.thorough) for share in (0.5, 0.1)), 0.001]
)
def test_the_nearest_pass_the_sieve_whatever_the_filter_lets_through(small_sieve, centre, rows, share):
    rng = np.random.default_rng(11)
    vectors = spread(rng, codes.SIEVED + 3_000, centre=centre)
    kept = resident(vectors, rows=rows)
    assert kept.sieve is not None
    allowed = np.flatnonzero(rng.random(len(vectors)) < share) + 1
    found = 0
    for query in spread(rng, 20, centre=centre):
        exact = vectors[allowed - 1] @ query
        wanted = allowed[np.argsort(-exact)[:10]]
        ranking, in_order = kept.nearest(query, 50, None if share == 1.0 else allowed)
        assert in_order == rows
        assert np.isin(ranking.chunks, allowed).all()
        found += np.isin(wanted, ranking.chunks).mean()
    assert found >= 0.995 * 20


def test_a_query_unlike_all_that_is_stored_bypasses_the_sieve(small_sieve):
    rng = np.random.default_rng(15)
    vectors = spread(rng, codes.SIEVED)
    kept = resident(vectors)
    found = 0
    for query in units(rng, 40, 256):
        ranking, _ = kept.nearest(query, 50, None)
        found += np.isin(np.argsort(-(vectors @ query))[:10] + 1, ranking.chunks).sum()
    assert found >= 0.97 * 400  # the sieve alone finds 88 of 100


def test_a_sieve_that_loses_neighbours_is_not_used(small_sieve):
    rng = np.random.default_rng(12)
    vectors = rng.standard_normal((codes.SIEVED, 64)).astype(np.float32)
    vectors[:, :2] *= 100  # two dimensions say all, and their signs hardly anything
    assert resident(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).sieve is None


def test_codes_added_later_pass_the_sieve_too(small_sieve):
    rng = np.random.default_rng(13)
    vectors = spread(rng, codes.SIEVED)
    kept = resident(vectors)
    more = spread(rng, 3_000)
    coded = int8.encode(more)
    grown = replace(
        kept,
        chunks=kept.chunks.with_added(np.arange(len(vectors), len(vectors) + len(more)) + 1),
        rows=kept.rows.append(len(vectors), coded),
        scales=kept.scales.append(len(vectors), int8.scales(coded)),
        sieve=kept.sieve.with_added(coded),
    )
    for place in range(0, len(more), 300):
        ranking, _ = grown.nearest(more[place], 10, None)
        assert ranking.chunks[0] == len(vectors) + place + 1
        earlier, _ = kept.nearest(more[place], 10, None)  # a reader of the state before
        assert earlier.chunks.max() <= len(vectors)


@pytest.mark.parametrize("room", ["codes", "signs"])
def test_codes_are_loaded_in_the_order_of_the_ids_wherever_vec0_puts_them(backend, monkeypatch, room):
    monkeypatch.setattr(codes, "SIEVED", 1_000)
    monkeypatch.setattr(codes.Sieve, "serves", lambda *_: True)  # there are too few to tell
    rng = np.random.default_rng(16)
    embedding = Embedding("wide@1", "wide", 256)
    vectors = spread(rng, 2_600)

    def put(first, last):
        backend.put(
            [entry(f"d{n}", vectors=vectors[n : n + 1]) for n in range(first, last)],
            embedding=embedding,
        )

    put(0, 2_500)
    backend.remove([f"d{n}" for n in range(700, 760)])
    put(2_500, 2_600)  # takes the places that were left
    kept = np.concatenate([vectors[:700], vectors[760:]])
    with backend._connections.reading() as connection:
        budget = 2**24 if room == "codes" else 2_600 * (256 // 8 + 12)
        loaded = codes.load(SQLiteLoader(connection), 1, budget)
        ids = [chunk for (chunk,) in connection.execute("SELECT chunk FROM chunks ORDER BY chunk")]
    assert loaded.chunks.ids.tolist() == ids
    coded = int8.encode(kept)
    if room == "codes":
        assert (loaded.rows.first(len(ids)) == coded).all()
    else:
        assert loaded.rows is None
        assert (loaded.sieve.planes.first(len(ids)) == signs.encode(coded, loaded.sieve.above)).all()
