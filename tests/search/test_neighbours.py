"""Neighbours: the arithmetic, which chunks are neighbours, and that filters hold."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search.evidence import cosine_statistics
from hybridstore.search.neighbours import REACH

TALK = [
    "good morning everyone",
    "where was the honeymoon",
    "in lisbon",
    "two weeks",
    "lovely",
    "and the weather",
    "rain",
]


def around(document_id):
    """Return the turns around a turn t0, t1 …; other documents have no neighbours."""
    if not document_id.startswith("t"):
        return ()
    n = int(document_id[1:])
    return [f"t{k}" for k in range(max(n - REACH, 0), n + REACH + 1)]


@pytest.fixture(params=["talk.db", ":memory:"], ids=["SQLite", "in memory"])
def store(tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    with hs.open(request.param, embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=f"t{n}", text=text, metadata={"n": n}) for n, text in enumerate(TALK)])
        store.add([hs.Document(id=f"other{n}", text=f"stone number {n}") for n in range(30)])
        yield store


def evidence(store, query, **options):
    return store.search(query, **options).trace.evidence


def by_id(store, evidence):
    ids = store.chunks.documents(evidence.chunks.tolist())
    return {id_: evidence.at(chunk) for chunk, id_ in zip(evidence.chunks, ids, strict=True)}


def test_words_of_the_stronger_neighbour_count_half_and_vectors_are_averaged(store):
    query = "honeymoon"
    plain, light = evidence(store, query), evidence(store, query, around=around)
    alone, read = by_id(store, plain), by_id(store, light)
    vectors = {id_: store.chunks.vectors([int(plain.chunks[place])])[0] for id_, place in alone.items()}
    vector = store.embedder().embed_query(query)
    mean, deviation = cosine_statistics(store.chunks.sample()[1] @ vector)
    for n in range(len(TALK)):
        near = {k: f"t{k}" for k in range(n - REACH, n + REACH + 1) if k != n and 0 <= k < len(TALK)}
        share = {k: 0.5 if abs(k - n) == 1 else 0.25 for k in near}
        best = max(share[k] * plain.keyword[alone[id_]] for k, id_ in near.items())
        assert light.keyword[read[f"t{n}"]] == pytest.approx(plain.keyword[alone[f"t{n}"]] + best)
        mixed = vectors[f"t{n}"] + sum(0.5 * min(len(TALK[k]) / 40, 1) * vectors[id_] for k, id_ in near.items())
        cosine = float(mixed @ vector / np.linalg.norm(mixed))
        assert light.vector[read[f"t{n}"]] == pytest.approx((cosine - mean) / deviation, abs=1e-4)
    for n in range(30):
        assert light.keyword[read[f"other{n}"]] == plain.keyword[alone[f"other{n}"]]
        assert light.vector[read[f"other{n}"]] == pytest.approx(plain.vector[alone[f"other{n}"]])
    assert light.relevance == pytest.approx(plain.relevance)


def test_a_neighbour_counts_by_what_it_says_in_any_script(tmp_path):
    """Forty bytes count in full: forty Latin letters, or fourteen Chinese characters."""
    turns = ["what she said", "o" * 40, "k" * 20, "好" * 14]
    chosen = {f"t{n}": [f"t{k}" for k in (0, n)] for n in (1, 2, 3)}
    with hs.open(tmp_path / "talk.db", embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=f"t{n}", text=text) for n, text in enumerate(turns)])
        vectors = [store.chunks.vectors(store.chunks.of([f"t{n}"])[f"t{n}"])[0] for n in range(4)]
        query = store.embedder().embed_query("what she said")
        mean, deviation = cosine_statistics(store.chunks.sample()[1] @ query)
        for n, weight in ((1, 0.5), (2, 0.25), (3, 0.5)):
            near = {"t0": chosen[f"t{n}"]}
            found = evidence(store, "what she said", around=lambda id_, near=near: near.get(id_, [id_]))
            mixed = vectors[0] + weight * vectors[n]
            cosine = float(mixed @ query / np.linalg.norm(mixed))
            assert found.vector[by_id(store, found)["t0"]] == pytest.approx((cosine - mean) / deviation, abs=1e-4)


@pytest.mark.parametrize(("length", "weight"), [(120, 0.5), (240, 0.125)])
def test_a_long_turn_leans_less_on_its_neighbours(tmp_path, length, weight):
    """By the square of 120 bytes over its own length."""
    turns = ["what she said".ljust(length, "."), "o" * 40]
    with hs.open(tmp_path / "talk.db", embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=f"t{n}", text=text) for n, text in enumerate(turns)])
        vectors = [store.chunks.vectors(store.chunks.of([f"t{n}"])[f"t{n}"])[0] for n in range(2)]
        query = store.embedder().embed_query("what she said")
        mean, deviation = cosine_statistics(store.chunks.sample()[1] @ query)
        found = evidence(store, "what she said", around=lambda id_: ["t0", "t1"])
        mixed = vectors[0] + weight * vectors[1]
        cosine = float(mixed @ query / np.linalg.norm(mixed))
        assert found.vector[by_id(store, found)["t0"]] == pytest.approx((cosine - mean) / deviation, abs=1e-4)


def test_an_answer_ranks_higher_next_to_its_question(store):
    plain = [hit.document_id for hit in store.search("where was the honeymoon", limit=37)]
    light = [hit.document_id for hit in store.search("where was the honeymoon", limit=37, around=around)]
    assert light.index("t2") < plain.index("t2")
    assert light[0] == "t1"
    assert light.index("t2") <= 3


def test_neighbours_that_no_leg_found_become_candidates(store):
    candidates = evidence(store, "honeymoon", limit=1, depth=1, around=around)
    assert {"t0", "t1", "t2", "t3"} <= by_id(store, candidates).keys()
    assert list(candidates.chunks) == sorted(candidates.chunks)


def test_a_filtered_neighbour_is_neither_shown_nor_counted(store):
    where = hs.field("n") != 1
    hits = store.search("honeymoon", limit=40, where=where, around=around)
    assert "t1" not in {hit.document_id for hit in hits}
    barred = evidence(store, "honeymoon", where=where, around=around)
    assert barred.keyword[by_id(store, barred)["t2"]] == 0.0


def test_chunks_of_one_document_are_neighbours(store):
    long = "\n\n".join(f"Paragraph {n} about {word}. " * 30 for n, word in enumerate(("oak", "elm", "yew", "fir")))
    store.add(hs.Document(id="t100", text=long))
    light = evidence(store, "yew", limit=60, around=around)
    plain = evidence(store, "yew", limit=60)
    ids = store.chunks.documents(light.chunks.tolist())
    lit = [chunk for chunk, id_ in zip(light.chunks, ids, strict=True) if id_ == "t100"]
    assert len(lit) >= 3
    raised = [light.keyword[light.at(chunk)] > plain.keyword[plain.at(chunk)] for chunk in lit if plain.at(chunk)]
    assert any(raised)


def test_documents_without_neighbours_rank_as_before(store):
    plain, light = (store.search("stone", around=around_).trace for around_ in (None, lambda _: ()))
    assert [hit.document_id for hit in plain.hits] == [hit.document_id for hit in light.hits]
    assert [hit.score for hit in plain.hits] == [hit.score for hit in light.hits]


def test_neighbours_without_a_vector_are_estimated_too(store):
    store.add([{"id": f"t{n}", "text": f"turn {n} about parking"} for n in (7, 8)], vectors="later")
    plain, light = (evidence(store, "parking", limit=1, depth=1, around=around_) for around_ in (None, around))
    assert len(light.chunks) > len(plain.chunks)
    missing = {store.chunks.of([id_])[id_][0] for id_ in ("t7", "t8")}
    assert {chunk for chunk in light.chunks.tolist() if light.is_estimated(chunk)} == missing
    assert len(light.estimated) == len(light.chunks)


@pytest.mark.parametrize("how", [{"mode": "keyword"}, {"mode": "vector"}, {"fusion": "rrf"}])
def test_around_needs_the_evidence_of_both_legs(store, how):
    with pytest.raises(hs.InputError, match="around uses the evidence of both legs"):
        store.search("honeymoon", around=around, **how)


def test_without_vectors_around_changes_nothing():
    with hs.open(":memory:", embedder="none") as store:
        store.add([hs.Document(id=f"t{n}", text=text) for n, text in enumerate(TALK)])
        assert [hit.document_id for hit in store.search("honeymoon", around=around)] == ["t1"]
