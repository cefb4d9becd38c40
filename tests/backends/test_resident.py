"""Copies in memory rank as SQLite does, at every revision."""

import random

import numpy as np
import pytest
from made import ALL, EMBEDDING, entry, units

from hybridstore.backends import keyword_scoring
from hybridstore.backends.resident import codes, postings
from hybridstore.backends.resident.chunk_ids import ChunkIds, best
from hybridstore.backends.sqlite import SQLiteBackend, keyword_index
from hybridstore.backends.sqlite.loader import SQLiteLoader
from hybridstore.backends.sqlite.where_sql import restricted
from hybridstore.backends.values import Restriction
from hybridstore.codecs import int8
from hybridstore.filters import parse
from hybridstore.records import KeywordQuery

DIM = EMBEDDING.dim
WORDS = [f"w{n}" for n in range(60)]


def passage(rng, id_):
    """Make an entry with words that follow Zipf's law in title, heading and body, compounds among them."""
    words = [WORDS[min(int(rng.paretovariate(0.7)) - 1, 59)] for _ in range(rng.randint(1, 40))]
    return entry(
        id_,
        " ".join([*words, rng.choice(["foo_bar", "v1.2", "getUserName", ""])]),
        title=rng.choice(["", "w3 w4", "foo_bar"]),
        heading=rng.choice(["", "w5"]),
        metadata={"n": rng.randint(0, 9)},
    )


def with_vectors(entries, rng):
    made = units(np.random.default_rng(rng.randint(0, 10**6)), len(entries))
    return [
        type(one)(one.document, one.digest, one.chunks, one.chunk_digests, made[n : n + 1], one.source)
        for n, one in enumerate(entries)
    ]


@pytest.fixture
def backend(tmp_path):
    backend = SQLiteBackend(str(tmp_path / "resident.db"))
    yield backend
    backend.close()


def assert_as_fts5(backend, terms, depth=50, restriction=ALL):
    """Compare the backend's ranking with FTS5's own, score by score; equal scores may change places."""
    ours, facts = backend.match(KeywordQuery(tuple(terms)), depth, restriction)
    with backend._connections.reading() as connection:
        condition = [] if restriction == ALL else [backend_condition(restriction)]
        theirs = keyword_index.match(
            connection, KeywordQuery(tuple(terms)), depth, *(condition[0] if condition else ("", []))
        )
        in_sql = {term.text: term for term in keyword_index.terms(connection, terms)}
    assert ours.scores == pytest.approx(theirs.scores, rel=5e-4, abs=1e-4)
    assert {term.text: term.document_frequency for term in facts} == {t: in_sql[t].document_frequency for t in in_sql}
    assert {term.text: term.idf for term in facts} == pytest.approx({text: term.idf for text, term in in_sql.items()})


def backend_condition(restriction):
    return restricted(restriction)


def test_postings_score_as_fts5_does_through_writes_of_all_kinds(backend):
    rng = random.Random(3)
    backend.put([passage(rng, f"d{n}") for n in range(200)])
    for step in range(60):
        assert_as_fts5(backend, rng.choices([*WORDS, "foo_bar", "v1.2", "user", "nowhere"], k=rng.randint(1, 8)))
        if step % 3 == 0:
            backend.remove([f"d{rng.randint(0, 260)}" for _ in range(rng.randint(1, 4))])
        else:
            backend.put([passage(rng, f"d{rng.randint(0, 260)}") for _ in range(rng.randint(1, 5))])


def test_postings_score_as_fts5_does_under_a_filter(backend):
    rng = random.Random(4)
    backend.put([passage(rng, f"d{n}") for n in range(300)])
    for bound in range(10):
        assert_as_fts5(backend, ["w1", "w2", "w9"], restriction=Restriction(parse({"n": {"$lte": bound}})))


def test_a_filter_that_lets_all_chunks_through_costs_no_more_than_none(backend):
    rng = random.Random(6)
    backend.put([passage(rng, f"d{n}") for n in range(50)])
    everything, matching = Restriction(parse({"n": {"$gte": 0}})), KeywordQuery(("w1",))

    def allowed():
        with backend.snapshot():
            return backend._memory.allowed(SQLiteLoader(backend._connections.get()), everything)

    assert len(allowed()) == 50  # how many chunks there are is known with the postings
    assert (
        backend.match(matching, 50, everything)[0].chunks.tolist()
        == backend.match(matching, 50, ALL)[0].chunks.tolist()
    )
    assert allowed() is None
    backend.put([entry("without", "w1")])
    found = backend.match(matching, 60, everything)[0].chunks.tolist()
    assert len(allowed()) == 50
    assert set(found) < set(backend.match(matching, 60, ALL)[0].chunks.tolist())


def test_a_backend_without_memory_ranks_alike(tmp_path):
    rng = random.Random(5)
    roomy = SQLiteBackend(str(tmp_path / "one.db"))
    tight = SQLiteBackend(str(tmp_path / "one.db"), memory=0)
    roomy.put(with_vectors([passage(rng, f"d{n}") for n in range(400)], rng), embedding=EMBEDDING)
    for query in units(np.random.default_rng(1), 20):
        for restriction in (ALL, Restriction(parse({"n": 3})), Restriction(parse({"n": {"$gt": 4}}))):
            ours, theirs = roomy.nearest(query, 10, restriction), tight.nearest(query, 10, restriction)
            assert ours.chunks.tolist() == theirs.chunks.tolist()
    roomy.close()
    tight.close()


def test_following_the_log_equals_loading_again(tmp_path):
    rng = random.Random(6)
    writer = SQLiteBackend(str(tmp_path / "two.db"))
    reader = SQLiteBackend(str(tmp_path / "two.db"))  # as another process would
    writer.put(with_vectors([passage(rng, f"d{n}") for n in range(300)], rng), embedding=EMBEDDING)
    steps_followed = 0
    for _ in range(40):
        writer.put(with_vectors([passage(rng, f"d{rng.randint(0, 400)}") for _ in range(3)], rng), embedding=EMBEDDING)
        writer.remove([f"d{rng.randint(0, 400)}"])
        with reader._connections.reading() as connection:
            loader = SQLiteLoader(connection)
            followed = reader._memory.codes(loader)
            anew = codes.load(loader, followed.revision, 2**30)
            words, words_anew = reader._memory.postings(loader), postings.load(loader, followed.revision, 2**20)
        alive = followed.chunks.mask(None)
        alive = np.ones(len(followed.chunks), bool) if alive is None else alive
        assert followed.chunks.ids[alive].tolist() == anew.chunks.ids.tolist()
        assert (followed.rows.first(len(alive))[alive] == anew.rows.first(len(anew.chunks))).all()
        assert followed.scales.first(len(alive))[alive] == pytest.approx(anew.scales.first(len(anew.chunks)))
        kept = words.chunks.mask(None)
        kept = np.ones(len(words.chunks), bool) if kept is None else kept
        assert words.chunks.ids[kept].tolist() == words_anew.chunks.ids.tolist()
        assert (
            words.lengths.first(len(kept))[kept].tolist() == words_anew.lengths.first(len(words_anew.chunks)).tolist()
        )
        steps_followed += len(alive) > alive.sum()
    assert steps_followed > 20, "hardly anything was followed: the copies were loaded anew"
    writer.close()
    reader.close()


def test_a_reader_of_an_older_state_does_not_get_a_newer_copy(tmp_path):
    rng = random.Random(7)
    backend = SQLiteBackend(str(tmp_path / "three.db"))
    other = SQLiteBackend(str(tmp_path / "three.db"))
    backend.put(with_vectors([passage(rng, "a"), passage(rng, "b")], rng), embedding=EMBEDDING)
    with backend.snapshot():
        query = units(np.random.default_rng(0), 1)[0]
        before = backend.nearest(query, 10, ALL).chunks.tolist()
        other.put(with_vectors([passage(rng, "c")], rng), embedding=EMBEDDING)
        assert len(other.nearest(query, 10, ALL)) == 3
        assert backend.nearest(query, 10, ALL).chunks.tolist() == before
    assert len(backend.nearest(query, 10, ALL)) == 3
    backend.close()
    other.close()


def test_a_very_common_word_is_left_out_of_a_big_store_unless_nothing_else_is_found(backend):
    backend.put([entry(f"d{n}", f"the {'rare' if n == 7 else 'other'} w{n}") for n in range(1200)])
    both, facts = backend.match(KeywordQuery(("the", "rare")), 10, ALL)
    assert [(term.text, term.used) for term in facts] == [("the", False), ("rare", True)]
    assert facts[0].document_frequency == 1200
    assert len(both) == 1
    assert len(backend.match(KeywordQuery(("the",)), 10, ALL)[0]) == 10


def test_codes_keep_the_order_of_exact_cosines():
    rng = np.random.default_rng(8)
    vectors, queries = units(rng, 5000, 64), units(rng, 30, 64)
    stored = int8.encode(vectors)
    for query in queries:
        exact = vectors @ query
        assert int8.scan(stored, int8.scales(stored), query) == pytest.approx(exact, abs=0.01)
        nearest = set(np.argsort(-exact)[:10].tolist())
        assert nearest <= set(best(int8.scan(stored, int8.scales(stored), query), 25).tolist())


def test_a_zero_vector_has_a_zero_code_and_no_likeness():
    stored = int8.encode(np.zeros((1, 4), np.float32))
    assert stored.tolist() == [[0, 0, 0, 0]]
    assert int8.scan(stored, int8.scales(stored), np.array([1, 0, 0, 0], np.float32)).tolist() == [0.0]


@pytest.mark.parametrize("count", [1, 3, 50, 5000])
@pytest.mark.parametrize("size", [0, 1, 10, 1000, 4001])
def test_best_returns_the_largest_in_order_with_ties_by_place(size, count):
    scores = np.random.default_rng(size + count).integers(-3, 40, size).astype(np.float32)
    wanted = np.lexsort((np.arange(size), -scores))
    assert best(scores, count).tolist() == wanted[:count].tolist()
    above = [place for place in wanted.tolist() if scores[place] > 0]
    assert best(scores, count, floor=0.0).tolist() == above[:count]


def test_places_with_and_without_gaps():
    for ids in ([4, 5, 6, 7], [4, 6, 9], []):
        chunks = ChunkIds(np.array(ids, np.int64))
        wanted = np.array([1, 4, 6, 7, 9, 12])
        assert [ids[place] for place in chunks.places(wanted)] == [id_ for id_ in wanted if id_ in ids]


def test_rescoring_returns_exact_cosines(backend):
    rng = random.Random(9)
    made = units(np.random.default_rng(9), 100)
    entries = [passage(rng, f"d{n}") for n in range(100)]
    entries = [type(e)(e.document, e.digest, e.chunks, e.chunk_digests, made[n : n + 1]) for n, e in enumerate(entries)]
    backend.put(entries, embedding=EMBEDDING)
    query = units(np.random.default_rng(10), 1)[0]
    ranking = backend.nearest(query, 10, ALL)
    assert ranking.scores == pytest.approx(np.sort(made @ query)[::-1][:10], abs=1e-6)


def test_without_memory_nothing_is_kept(tmp_path):
    rng = random.Random(7)
    tight = SQLiteBackend(str(tmp_path / "one.db"), memory=0)
    tight.put(with_vectors([passage(rng, f"d{n}") for n in range(50)], rng), embedding=EMBEDDING)
    with tight._connections.reading() as connection:
        assert tight._memory.postings(SQLiteLoader(connection)) is None
        assert tight._memory.codes(SQLiteLoader(connection)) is None
    tight.close()


def test_words_searched_for_often_stay_when_memory_is_short():
    def posting(rows):
        return postings.Posting(1, np.zeros(rows, np.int32), np.zeros(rows, np.uint16), 1.0)

    terms = postings.PostingCache(budget=6 * 100)
    terms.put("often", posting(40))
    for round_ in range(5):
        assert terms.get("often", 1) is not None, "a word of every question was forgotten"
        for n in range(4):
            terms.put(f"once {round_} {n}", posting(20))
    assert terms.get("once 0 0", 1) is None
    assert terms.get("once 4 3", 1) is not None


def test_changes_followed_half_and_followed_again_count_once(backend, monkeypatch):
    backend.put([entry(f"d{n}", "pump") for n in range(30)])
    assert_as_fts5(backend, ["pump", "valve"])
    backend.put([entry("new", "valve pump"), entry("newer", "valve")])
    analysed, stops = keyword_scoring.index_columns, [KeyboardInterrupt]

    def interrupted(analyser, title, heading, text, uri):
        if text == "valve" and stops:
            raise stops.pop()
        return analysed(analyser, title, heading, text, uri)

    monkeypatch.setattr(keyword_scoring, "index_columns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.match(KeywordQuery(("valve",)), 10, ALL)
    assert_as_fts5(backend, ["pump", "valve"])
