"""The contract of both legs: what they find, in which order, under which restrictions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import (
    ALL,
    DIM,
    EMBEDDING,
    FEW,
    all_chunks,
    chunks_of,
    entry,
    found,
    ids_of,
    near,
    ranked,
    restriction,
    units,
)

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.records import KeywordQuery
from hybridstore.text.analysis import Analyser

OPERATORS = [
    "and",
    "or",
    "not",
    "near",
    "near/2",
    "a:b",
    "body:x",
    "-x",
    "^x",
    "(",
    ")",
    "{",
    "+",
    "*",
    "'",
    "\0",
    "%",
    "x*",
    "🙂*",
    "ß",
]
PLANETS: dict[str, tuple[str, dict]] = {
    "red": ("The red planet Mars", {"order": 4, "kind": "rock"}),
    "giant": ("The giant planet Jupiter has a red spot", {"order": 5, "kind": "gas"}),
    "blue": ("Earth, the blue planet", {"order": 3, "kind": "rock"}),
    "star": ("A red giant is a star", {"order": 0}),
}


def brute_force(vectors: np.ndarray, query: np.ndarray, depth: int) -> list[int]:
    return np.argsort(-(vectors @ query).astype(np.float64), kind="stable")[:depth].tolist()


def clustered(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """Give unit vectors around few centres, so close together that rounding to a byte can confuse them."""
    centres = units(rng, 5, dim)
    rows = centres[rng.integers(0, 5, count)] + rng.normal(scale=0.01, size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class SearchingContract:
    @pytest.fixture
    def planets(self, backend):
        vectors = units(np.random.default_rng(7), len(PLANETS))
        backend.put(
            [
                entry(id_, text, metadata=metadata, vectors=vectors[n : n + 1])
                for n, (id_, (text, metadata)) in enumerate(PLANETS.items())
            ],
            embedding=EMBEDDING,
        )
        return backend

    def test_any_term_matches_and_the_best_comes_first(self, planets):
        assert found(planets, "mars jupiter") in (["red", "giant"], ["giant", "red"])
        assert found(planets, "blue planet")[0] == "blue"
        assert set(found(planets, "blue planet")) == {"blue", "red", "giant"}
        assert found(planets, "saturn") == []

    def test_tokens_are_listed_from_a_beginning_on_in_order_as_they_are_now(self, planets):
        assert planets.vocabulary([("pla", 5)]) == [("planet", 3)]
        assert planets.vocabulary([("", 3)]) == sorted(planets.vocabulary([("", 100)]))[:3]
        assert planets.vocabulary([("zzz", 5)]) == planets.vocabulary([]) == []
        planets.put([entry("plan", "A plan of places 🙂 with plasma")])
        assert planets.vocabulary([("pla", 5)]) == [("place", 1), ("plan", 1), ("planet", 3), ("plasma", 1)]
        several = planets.vocabulary([("zzz", 5), ("plat", 1), ("pla", 2), ("plane", 9)])
        assert several == [("place", 1), ("plan", 1), ("planet", 3)]
        planets.remove(["plan"])
        assert planets.vocabulary([("pla", 5)]) == [("planet", 3)]

    def test_scores_fall_and_are_higher_for_better(self, planets):
        ranking = ranked(planets, ("red", "giant"))
        assert ranking.chunks.dtype == np.int64
        assert ranking.scores.dtype == np.float64
        assert (np.diff(ranking.scores) <= 0).all()
        assert ranking.scores[0] > 0

    def test_a_repeated_term_counts_repeatedly(self, backend):
        backend.put(
            [
                entry("a", "apple and more"),
                entry("b", "berry and more"),
                *(entry(f"c{n}", "other") for n in range(5)),
            ]
        )
        assert found(backend, "")[:1] == []
        for twice, first in (("appl", "a"), ("berri", "b")):
            ranking = ranked(backend, ("appl", "berri", twice))
            assert backend.passages([int(ranking.chunks[0])])[0].document_id == first

    def test_a_phrase_is_words_in_order(self, planets):
        assert found(planets, phrases=["red planet"]) == ["red"]
        assert found(planets, phrases=["planet red"]) == []
        assert found(planets, "giant", phrases=["red giant"]) == ["star"]
        assert found(planets, phrases=["red", "giant"]) in (["star", "giant"], ["giant", "star"])

    def test_a_star_asks_for_a_prefix(self, planets):
        hits = ranked(planets, ("plan*",))
        assert len(hits) == 3
        assert len(ranked(planets, phrases=[("red", "plan*")])) == 1
        assert planets.holds(("red", "plan*"), ALL)
        assert not planets.holds(("blue", "gi*"), ALL)

    def test_an_excluded_phrase_is_never_found(self, planets):
        assert set(found(planets, "red", excluded=["red giant"])) == {"red", "giant"}
        assert set(found(planets, "planet", excluded=["mars", "jupiter"])) == {"blue"}
        assert set(near(planets, np.eye(DIM, dtype=np.float32)[0], excluded=["planet"])) == {"star"}

    def test_a_filter_restricts_both_legs(self, planets):
        query = np.eye(DIM, dtype=np.float32)[0]
        for where, expected in [
            ({"kind": "rock"}, {"red", "blue"}),
            ({"order": {"$gte": 4}}, {"red", "giant"}),
            ({"$not": {"kind": "rock"}}, {"giant", "star"}),
            ({"@id": "star"}, {"star"}),
            ({"kind": "ice"}, set()),
        ]:
            assert set(near(planets, query, where=where)) == expected
            assert set(found(planets, "planet star", where=where)) == expected
        assert set(near(planets, query, where={"kind": "rock"}, phrases=["blue planet"])) == {"blue"}

    def test_depth_is_the_most_there_can_be(self, planets):
        query = np.eye(DIM, dtype=np.float32)[0]
        for depth in (0, 1, 2, 4, 100):
            assert len(found(planets, "planet star", depth=depth)) == min(depth, 4)
            assert near(planets, query, depth) == near(planets, query)[:depth]

    def test_a_query_of_nothing_finds_nothing(self, planets):
        assert found(planets, "") == []
        assert not planets.holds(("saturn",), ALL)

    @FEW
    @given(st.lists(st.text() | st.sampled_from(OPERATORS), min_size=1, max_size=6))
    def test_any_text_is_a_safe_query(self, open_backend, pieces):
        backend = open_backend("safe")
        if not backend.count():
            backend.put([entry("a", "and or not near x body a:b 🙂 ß")])
        analyser = Analyser(backend.language)
        text = " ".join(pieces).encode("utf-8", "replace").decode()
        terms, phrase = analyser.terms(text), analyser.phrase(text)
        phrases = (phrase,) if phrase else ()
        for words, must in ((terms, ()), (terms, phrases), ((), phrases)):
            assert len(ranked(backend, words, must, Restriction(phrases=must))) <= 1
        assert len(ranked(backend, ("x",), (), Restriction(excluded=phrases))) <= 1
        _, facts = backend.match(KeywordQuery(terms), 5, ALL)
        assert [fact.text for fact in facts] == list(dict.fromkeys(terms))

    def test_very_many_terms_and_phrases_are_safe(self, planets):
        many = tuple(f"word{n}" for n in range(3000))
        assert len(ranked(planets, ("mar", *many))) == 1
        assert len(ranked(planets, phrases=[many])) == 0
        barred = Restriction(excluded=tuple((word,) for word in many))
        assert len(ranked(planets, ("mar",), (), barred)) == 1
        every = Restriction(phrases=tuple((word,) for word in many))
        assert len(ranked(planets, ("mar",), (), every)) == 0

    def test_a_term_says_in_how_many_chunks_it_is(self, backend):
        backend.put([entry(f"d{n}", "common " + ("rare " if n < 3 else "") + f"own{n}") for n in range(20)])
        backend.remove(["d0", "d19"])
        backend.put([entry("d1", "common now")])
        _, (common, rare, gone) = backend.match(KeywordQuery(("common", "rare", "own19", "rare")), 5, ALL)
        _, (prefix,) = backend.match(KeywordQuery(("own*",)), 5, ALL)
        assert [(t.text, t.document_frequency, t.count) for t in (common, rare, gone)] == [
            ("common", 18, 1),
            ("rare", 1, 2),
            ("own19", 0, 1),
        ]
        assert prefix.document_frequency == 17
        assert gone.idf > rare.idf > common.idf > 0
        assert rare.idf == pytest.approx(math.log((18 - 1 + 0.5) / (1 + 0.5)))

    @pytest.mark.parametrize("make", [units, clustered])
    @pytest.mark.parametrize("dim", [16, 384])
    def test_nearest_is_the_exact_cosine_order(self, backend, make, dim):
        rng = np.random.default_rng(8)
        vectors, count = make(rng, 1500, dim), 1500
        embedding = type(EMBEDDING)("big@1", "big", dim)
        backend.put(
            [entry(f"d{n}", vectors=vectors[n : n + 1], metadata={"n": n}) for n in range(count)],
            embedding=embedding,
        )
        wanted = [*units(rng, 4, dim), vectors[17], vectors[700]]
        for query in wanted:
            for depth in (1, 10, 200):
                ranking = backend.nearest(query, depth, ALL)
                exact = np.sort((vectors @ query).astype(np.float64))[::-1][:depth]
                # compared by score: equal vectors may swap
                assert np.allclose(ranking.scores[:64], exact[:64], atol=1e-6)
                assert np.allclose(ranking.scores, exact, atol=0.01 if dim > 16 else 0.02)
            for below in (1, 15, 150, 1499):
                limits = restriction(backend, {"n": {"$lt": below}})
                exact = np.sort((vectors[:below] @ query).astype(np.float64))[::-1][:10]
                assert np.allclose(backend.nearest(query, 10, limits).scores, exact, atol=1e-6)

    def test_equally_near_chunks_come_in_the_order_of_their_ids(self, backend):
        same = np.repeat(units(np.random.default_rng(9), 1), 6, axis=0)
        backend.put([entry(f"d{n}", vectors=same[n : n + 1]) for n in range(6)], embedding=EMBEDDING)
        chunks = backend.nearest(same[0], 6, ALL).chunks.tolist()
        assert chunks == sorted(chunks)

    def test_zero_vectors_are_kept_and_disturb_nothing(self, backend):
        vectors = units(np.random.default_rng(10), 3000)
        vectors[::2] = 0.0
        vectors[10] = -0.0
        backend.put([entry(f"d{n}", vectors=vectors[n : n + 1]) for n in range(3000)], embedding=EMBEDDING)
        for query in units(np.random.default_rng(16), 5):
            assert near(backend, query, 5) == [f"d{n}" for n in brute_force(vectors, query, 5)]
        assert near(backend, np.zeros(DIM, np.float32), 5) == []
        assert backend.stats().vectors == 3000
        assert not backend.chunk_vectors("d0").popitem()[1].any()
        assert backend.check() == []

    def test_vectors_come_in_the_order_asked_for_and_zeros_where_there_is_none(self, backend):
        backend.put([entry("without", "text")])
        assert backend.vectors(chunks_of(backend, "without")).shape == (1, 0)
        made = units(np.random.default_rng(17), 3)
        backend.put([entry(f"d{n}", vectors=made[n : n + 1]) for n in range(3)], embedding=EMBEDDING)
        first, second, third = (chunks_of(backend, f"d{n}")[0] for n in range(3))
        (without,) = chunks_of(backend, "without")
        given = backend.vectors([third, without, first, 10**9, second, third])
        assert (given.dtype, given.shape) == (np.float32, (6, DIM))
        nothing = np.zeros((1, DIM), np.float32)
        assert np.array_equal(given, np.concatenate([made[2:], nothing, made[:1], nothing, made[1:2], made[2:]]))
        assert backend.vectors([]).shape == (0, DIM)

    def test_there_is_nothing_near_without_vectors(self, backend):
        backend.put([entry("a", "text")])
        assert near(backend, np.ones(DIM, np.float32)) == []

    def test_a_query_vector_of_another_length_is_refused(self, planets):
        with pytest.raises(InputError, match=str(DIM)):
            planets.nearest(np.ones(DIM + 1, np.float32), 5, ALL)

    def test_chunks_of_a_document_are_given_within_the_restriction(self, backend):
        backend.put([entry("a", "red planet, blue planet", spans=[(0, 10), (12, 23)], metadata={"k": 1})])
        first, second = chunks_of(backend, "a")
        assert chunks_of(backend, "a", restriction(backend, phrases=["red"])) == [first]
        assert chunks_of(backend, "a", restriction(backend, excluded=["red"])) == [second]
        assert chunks_of(backend, "a", restriction(backend, {"k": 2})) == []

    def test_chunks_lead_to_their_documents_and_back(self, backend):
        text = "one two three"
        backend.put(
            [
                entry("b", text, spans=[(0, 3), (4, 7), (8, 13)]),
                entry("a", "four", metadata={"n": 1}),
                entry("c", "five"),
            ]
        )
        among = backend.chunks_of(["c", "b", "nowhere", "a"], ALL)
        assert among == {id_: chunks_of(backend, id_) for id_ in "abc"}
        assert len(among["b"]) == 3
        everyone = [*among["b"], *among["a"]]
        assert backend.documents_of(everyone) == ["b", "b", "b", "a"]
        assert backend.documents_of([*reversed(everyone), 10**9]) == ["a", "b", "b", "b"]
        assert backend.chunks_of(["a", "b", "c"], restriction(backend, {"n": {"$gte": 1}})) == {"a": among["a"]}
        assert backend.chunks_of([], ALL) == {}
        backend.remove(["b"])
        assert backend.documents_of(everyone) == ["a"]
        assert backend.chunks_of(["b"], ALL) == {}

    # ties

    @pytest.mark.parametrize("seed", range(3))
    def test_where_scores_tie_the_smaller_chunk_id_comes_first(self, backend, seed):
        rng = np.random.default_rng(seed)
        vector = units(rng, 1)
        names = [f"d{n}" for n in rng.permutation(120)]
        backend.put([entry(name, "plum fig kiwi", vectors=vector) for name in names], embedding=EMBEDDING)
        backend.remove(names[10:20])
        backend.put([entry(name, "plum fig kiwi", vectors=vector) for name in reversed(names[5:15])])
        backend.put([entry("other", "melon")])
        chunks = sorted(all_chunks(backend) - set(chunks_of(backend, "other")))
        queries = KeywordQuery(("plum",)), KeywordQuery(("plu*",)), KeywordQuery((), (("fig", "kiwi"),))
        for depth in (7, 64, 100, 1000):
            assert (
                backend.nearest(vector[0], depth, ALL).chunks.tolist() == chunks_with_vectors(backend, chunks)[:depth]
            )
            for query in queries:
                assert backend.match(query, depth, ALL)[0].chunks.tolist() == chunks[:depth]

    def test_a_ranking_does_not_depend_on_the_order_of_writes(self, open_backend):
        rng = np.random.default_rng(4)
        texts = [" ".join(rng.choice(["plum", "fig", "kiwi"], 3)) for _ in range(40)]
        vectors = units(rng, 6)[rng.integers(0, 6, 40)]
        entries = [entry(f"d{n}", text, vectors=vectors[n : n + 1]) for n, text in enumerate(texts)]
        rankings = []
        for order in (np.arange(40), rng.permutation(40)):
            backend = open_backend(f"store{len(rankings)}")
            backend.put([entries[n] for n in order], embedding=EMBEDDING)
            keyword = ranked(backend, ("plum", "fig"))
            nearest = backend.nearest(vectors[0], 1000, ALL)
            rankings.append(
                [
                    sorted(zip((-r.scores).round(5).tolist(), ids_of(backend, r.chunks), strict=True))
                    for r in (keyword, nearest)
                ]
            )
            for ranking in (keyword, nearest):
                order_of_ranks = list(zip((-ranking.scores).tolist(), ranking.chunks.tolist(), strict=True))
                assert order_of_ranks == sorted(order_of_ranks)
        assert rankings[0] == rankings[1]


def chunks_with_vectors(backend: Backend, chunks: list[int]) -> list[int]:
    return [chunk for chunk, vector in zip(chunks, backend.vectors(chunks), strict=True) if vector.any()]
