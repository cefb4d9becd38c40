"""A ranking contract: a file, memory and a server give the same answers, in memory and beyond it."""

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import ALL, EMBEDDING, entry, units
from test_where import documents, trees

import hybridstore as hs
from hybridstore.backends.in_memory import MemoryBackend
from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.values import Restriction
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.filters import matches
from hybridstore.records import KeywordQuery

WORDS = [f"word{n}" for n in range(80)]
COUNT = 400


def text(rng, most=60):
    """Return words of a skewed distribution, so that some are in most chunks and most in few."""
    return " ".join(rng.choices(WORDS, weights=[1 / (n + 1) for n in range(len(WORDS))], k=rng.randint(1, most)))


@pytest.fixture
def backends(open_backend, tmp_path):
    """Return the same documents in all of them, some replaced and some removed since."""
    made = {
        "memory": MemoryBackend(),
        "file": SQLiteBackend(str(tmp_path / "file.db")),
        "server": open_backend("server"),
        "server beyond memory": open_backend("beyond", memory=0),
    }
    vectors = units(np.random.default_rng(1), COUNT, EMBEDDING.dim)
    for backend in made.values():
        rng = random.Random(2)
        for first in range(0, COUNT, 100):
            backend.put(
                [
                    entry(
                        f"d{n}",
                        text(rng),
                        title=text(rng, 4),
                        metadata={"n": n % 10},
                        vectors=vectors[n : n + 1],
                    )
                    for n in range(first, first + 100)
                ],
                embedding=EMBEDDING,
            )
        backend.put([entry(f"d{n}", text(rng), vectors=vectors[n : n + 1]) for n in range(20)], embedding=EMBEDDING)
        backend.remove([f"d{n}" for n in range(30, 50)])
    yield made
    made["memory"].close()
    made["file"].close()


def test_keywords_find_the_same_chunks_with_the_same_scores(backends):
    rng = random.Random(3)
    limits = [ALL, Restriction(hs.field("n") < 3), Restriction(phrases=(("word1", "word0"),), excluded=(("word7",),))]
    for number in range(60):
        terms = tuple(rng.choices(WORDS, k=rng.randint(1, 8)))
        phrases = ((terms[0], rng.choice(WORDS[:5])),) if number % 3 == 0 else ()
        terms = (*terms, "word1*") if number % 5 == 0 else terms
        query, restriction = KeywordQuery(terms, phrases, ()), limits[number % 3]
        expected, facts = backends["memory"].match(query, COUNT, restriction)
        scores = dict(zip(expected.chunks.tolist(), expected.scores.tolist(), strict=True))
        for name, backend in backends.items():
            ranking, terms_there = backend.match(query, COUNT, restriction)
            assert set(ranking.chunks.tolist()) == scores.keys(), (name, query)
            expected_here = [scores[chunk] for chunk in ranking.chunks.tolist()]
            # Copies in memory keep impacts in 16 bits: a term is off by up to 1.7e-5 of its largest score.
            assert ranking.scores == pytest.approx(expected_here, rel=5e-5, abs=1e-4), name
            assert [(term.text, term.document_frequency) for term in terms_there] == [
                (term.text, term.document_frequency) for term in facts
            ]


def test_vectors_rank_the_first_64_in_the_same_order(backends):
    queries = units(np.random.default_rng(4), 20, EMBEDDING.dim)
    for query, restriction in zip(queries, [ALL, Restriction(hs.field("n") >= 5)] * 10, strict=True):
        expected = backends["memory"].nearest(query, 100, restriction)
        for name, backend in backends.items():
            ranking = backend.nearest(query, 100, restriction)
            assert ranking.chunks[:64].tolist() == expected.chunks[:64].tolist(), name
            assert ranking.scores[:64] == pytest.approx(expected.scores[:64], abs=1e-6)


def test_the_first_ten_of_both_legs_are_the_same(url_of, tmp_path):
    rng = random.Random(5)
    texts = [hs.Document(id=f"d{n}", text=text(rng), title=text(rng, 3)) for n in range(200)]
    places = {"file": tmp_path / "file.db", "memory": ":memory:", "server": url_of()}
    queries = [" ".join(rng.choices(WORDS, k=rng.randint(1, 6))) for _ in range(20)]
    found = {}
    for name, place in places.items():
        with hs.open(place, embedder=HashingEmbedder(64)) as store:
            store.add(texts)
            found[name] = [[(hit.document_id, hit.score) for hit in store.search(query)] for query in queries]
    for name in ("memory", "server"):
        for there, expected in zip(found[name], found["file"], strict=True):
            scores = dict(expected)
            assert {id_ for id_, _ in there} == scores.keys(), name
            # Passages whose scores are less apart may change places: those that differ are by at most as much.
            assert [scores[id_] for id_, _ in there] == pytest.approx([score for _, score in expected], abs=1e-3)
            assert [score for _, score in there] == pytest.approx([score for _, score in expected], abs=2e-3)


@pytest.fixture
def kept(open_backend):
    """Return a function from documents and filters to those that a server keeps, in memory and beyond it."""

    def kept(rows, filters):
        name = f"filters{next(names)}"
        backend = open_backend(name)
        entries = [
            entry(f"{n}{id_}", "word", title=title, uri=uri, metadata=metadata)
            for n, (metadata, id_, title, uri) in enumerate(rows)
        ]
        backend.put(entries)
        beyond = open_backend(name, memory=0)
        answers = []
        for tree in filters:
            ids = backend.ids(tree)
            restricted = [
                each.match(KeywordQuery(("word",), (), ()), 100, Restriction(tree))[0] for each in (backend, beyond)
            ]
            assert [sorted(backend.documents_of(found.chunks.tolist())) for found in restricted] == [sorted(ids)] * 2
            answers.append(ids)
        backend.close()
        beyond.close()
        return answers

    names = iter(range(10_000))
    return kept


@settings(
    max_examples=max(settings().max_examples // 5, 3), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(documents, min_size=1, max_size=8), filters=st.lists(trees, min_size=1, max_size=6))
def test_filters_keep_the_same_documents_with_every_operator(kept, rows, filters):
    for tree, ids in zip(filters, kept(rows, filters), strict=True):
        assert ids == [
            f"{n}{id_}"
            for n, (metadata, id_, title, uri) in enumerate(rows)
            if matches(tree, metadata, id=f"{n}{id_}", title=title, uri=uri)
        ]
