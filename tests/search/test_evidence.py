"""Evidence: every formula compared with the same computed from the texts and vectors themselves."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.backends.values import Calibration, Restriction
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.records import Evidence, KeywordQuery, Ranking, Term
from hybridstore.search.evidence import EvidenceCollector, KeywordEvidence, cosine_statistics, relevance_of
from hybridstore.text.analysis import Analyser

K1, B = 1.2, 0.75
TITLE, HEADING, BODY, COMPOUND = 1.5, 1.0, 1.0, 0.5
PARTS = ("valve", "pump", "pressure", "inlet", "paint", "green", "bar", "hall", "of", "the")
NONE = Ranking(np.empty(0, np.int64), np.empty(0))
ANALYSER = Analyser("english")


def documents(first: int, last: int) -> list[hs.Document]:
    rng = np.random.default_rng(first)
    return [
        hs.Document(
            id=f"d{n}",
            title=" ".join(rng.choice(PARTS, int(rng.integers(0, 3)))),
            text=" ".join(["the", *rng.choice(PARTS, int(rng.integers(1, 12))), f"part-{n % 9}"]),
        )
        for n in range(first, last)
    ]


@pytest.fixture(params=[("one.db", 1024), ("one.db", 0), (":memory:", 0)], ids=["resident", "SQLite", "in memory"])
def store(tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    name, budget = request.param
    with hs.open(name, embedder=HashingEmbedder(), memory=budget) as store:
        store.add(documents(0, 40))
        yield store


def counted(store) -> dict[int, tuple[dict[str, float], int]]:
    """Return each chunk's weighted frequencies by token, and its length in tokens."""
    counts = {}
    for document in store.documents():
        (chunk,) = store.chunks.of([document.id])[document.id]
        titles, bodies = ANALYSER.index(document.title), ANALYSER.index(document.text)
        columns = ((titles[0], TITLE), (bodies[0], BODY), (f"{titles[1]} {bodies[1]}", COMPOUND))
        frequencies: dict[str, float] = {}
        for column, weight in columns:
            for token in column.split():
                frequencies[token] = frequencies.get(token, 0.0) + weight
        counts[chunk] = frequencies, sum(len(column.split()) for column, _ in columns)
    return counts


def by_hand(store, tokens: tuple[str, ...], chunks: list[int]) -> tuple[list[float], list[float]]:
    """Return keyword evidence and coverage, computed from the texts alone."""
    known = counted(store)
    average = sum(length for _, length in known.values()) / len(known)
    rarest = math.log(1 + len(known))
    weights = {}
    for token in tokens:
        df = sum(token in frequencies for frequencies, _ in known.values())
        idf = math.log(1 + (len(known) - df + 0.5) / (df + 0.5))
        mixed = any(a.isdigit() != b.isdigit() and not {a, b} & set(".,") for a, b in pairwise(token))
        weights[token] = rarest * (idf / rarest) ** 1.25 * (2 if mixed or "_" in token else 1)
    most = sum(weights[token] for token in tokens) + 0.5
    sums, shares = [], []
    for chunk in chunks:
        frequencies, length = known[chunk]
        norm = K1 * (1 - B + B * length / average)
        sums.append(sum(weights[t] * frequencies[t] / (frequencies[t] + norm) for t in tokens if t in frequencies))
        shares.append(sum(weights[t] for t in weights if t in frequencies) / (sum(weights.values()) + 0.5))
    best = max(sums, default=0.0) or 1.0
    scores = [(total / math.sqrt(best * most) + 0.3 * share) / 1.3 for total, share in zip(sums, shares, strict=True)]
    return scores, shares


def gathered(store, query: str) -> Evidence:
    evidence = store.search(query).trace.evidence
    assert evidence is not None
    return evidence


def assert_by_hand(store, query: str) -> None:
    evidence = gathered(store, query)
    counting = [term for term in store.search(query).trace.terms if term.used or term.idf > 1e-5]
    tokens = tuple(token for term in counting for token in [term.text] * term.count)
    scores, shares = by_hand(store, tokens, evidence.chunks.tolist())
    assert evidence.keyword == pytest.approx(scores, abs=5e-4)
    assert evidence.coverage == pytest.approx(shares, abs=1e-6)


QUERIES = [
    "inlet valve",
    "valve",
    "pump pump pressure",
    "part-3 green hall",
    "zeppelin valve",
    "zeppelin",
    "of the",
    '"part-3" hall',
]


@pytest.mark.parametrize("query", QUERIES)
def test_keyword_evidence_is_the_formula(store, query):
    assert_by_hand(store, query)


def test_keyword_evidence_is_the_formula_after_chunks_were_added_and_removed(store):
    for query in QUERIES:
        gathered(store, query)  # fills the copies in memory
    store.add(documents(40, 48))
    store.remove(["d3", "d41"])
    store.add(hs.Document(id="d7", text="zeppelin zeppelin hall"))
    for query in QUERIES:
        assert_by_hand(store, query)


@settings(max_examples=settings().max_examples * 3 // 10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*PARTS, "zeppelin", "part-1", "part-2"]), min_size=1, max_size=12).map(" ".join))
def test_keyword_evidence_is_the_formula_for_any_words(store, query):
    assert_by_hand(store, query)
    evidence = gathered(store, query)
    for part in (evidence.keyword, evidence.coverage):
        assert ((part >= 0) & (part <= 1)).all()


def test_every_candidate_of_either_leg_has_evidence_of_both(store):
    trace = store.search("inlet valve", limit=5, depth=6).trace
    assert trace.evidence.chunks.tolist() == sorted({*trace.keyword.chunks.tolist(), *trace.vector.chunks.tolist()})
    assert {len(part) for part in (trace.evidence.keyword, trace.evidence.coverage, trace.evidence.vector)} == {
        len(trace.evidence.chunks)
    }
    whole = gathered(store, "inlet valve")
    for chunk, place in ((chunk, whole.at(chunk)) for chunk in trace.evidence.chunks.tolist()):
        assert trace.evidence.vector[trace.evidence.at(chunk)] == pytest.approx(whole.vector[place], abs=0.1)
    assert whole.at(10**9) is None
    assert whole.at(0) is None


def test_a_word_that_no_chunk_contains_takes_weight_from_the_others(store):
    with_it, without = gathered(store, "inlet valve zeppelin"), gathered(store, "inlet valve")
    for chunk, points in zip(without.chunks.tolist(), without.keyword.tolist(), strict=True):
        assert with_it.keyword[with_it.at(chunk)] < points or points == 0
    assert with_it.coverage.max() < without.coverage.max() / 2
    assert not gathered(store, "zeppelin").keyword.any()


def test_words_that_every_chunk_contains_weigh_next_to_nothing(store):
    common, rare = gathered(store, "the"), gathered(store, "part-3")
    assert 0 < common.keyword.max() < 0.1
    assert common.coverage.max() < 0.05
    assert rare.keyword.max() > 0.6
    both = gathered(store, "the part-3")
    assert abs(both.keyword.max() - rare.keyword.max()) < 0.1


def test_an_identifier_weighs_twice_as_much_as_a_word_as_rare():
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        store.add([f"filler number {n} is here" for n in range(20)])
        store.add([hs.Document(id=text, text=f"{text} among others") for text in ("zeppelin", "e4012x")])
        parts = gathered(store, "zeppelin e4012x")
        word, named = (parts.coverage[parts.at(store.chunks.of([id_])[id_][0])] for id_ in ("zeppelin", "e4012x"))
    assert named == pytest.approx(2 * word)


def test_a_chunk_that_contains_more_of_the_words_has_more_evidence():
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        store.add([f"filler number {n} is here" for n in range(20)])
        store.add([hs.Document(id=text, text=text) for text in ("inlet valve here", "valve hall here", "green hall x")])
        parts = gathered(store, "inlet valve")
        both, one, none = (
            parts.keyword[parts.at(store.chunks.of([id_])[id_][0])]
            for id_ in ("inlet valve here", "valve hall here", "green hall x")
        )
    assert both > one > none == 0


def test_vector_evidence_is_the_z_score_of_the_cosine_among_those_of_the_sample(store):
    query = "inlet valve pressure"
    evidence = gathered(store, query)
    vector = HashingEmbedder().embed_query(query)
    sample = store.chunks.sample()[1] @ vector
    n = len(sample)
    mean = (sample.sum() + 4 * 0.1) / (n + 4)
    deviation = math.sqrt((n * sample.var() + 16 * 0.1**2) / (n + 16))
    cosines = store.chunks.vectors(evidence.chunks.tolist()) @ vector
    assert evidence.vector == pytest.approx((cosines - mean) / deviation, abs=0.05)


def test_relevance_is_the_logistic_formula(store):
    measured = store.state().calibration
    query = "inlet valve pressure"
    evidence = gathered(store, query)
    cosines = store.chunks.vectors(evidence.chunks.tolist()) @ HashingEmbedder().embed_query(query)
    above = (cosines - measured.chance) / measured.spread
    assert measured.chunks < 64
    above = above + 3.0 * evidence.coverage
    above -= (1 - measured.chunks / 64) * (above.max() - above)
    logits = 1.35 * (above - 2.4)
    assert evidence.relevance == pytest.approx(1 / (1 + np.exp(-logits)), abs=0.02)
    assert evidence.confidence == evidence.relevance.max()


@pytest.mark.parametrize("chunks", [64, 100_000])
def test_from_64_chunks_on_a_chunk_is_as_relevant_as_its_own_cosine_says(chunks):
    measured = Calibration(fingerprint="x", chunks=chunks, power=4.0, chance=0.2, spread=0.1)
    cosines, coverage = np.array([0.2, 0.5, 0.9]), np.array([0.0, 0.2, 1.0])
    expected = 1 / (1 + np.exp(-1.35 * ((cosines - 0.2) / 0.1 + 3.0 * coverage - 2.4)))
    assert (relevance_of(cosines, coverage, measured) == expected).all()
    fewer = replace(measured, chunks=32)
    assert relevance_of(cosines, coverage, fewer)[1] < expected[1]
    assert relevance_of(cosines, coverage, fewer)[2] == expected[2]


def test_cosines_any_number_of_deviations_away_are_relevant_or_not():
    crowded = Calibration(fingerprint="x", chunks=100, power=4.0, chance=0.5, spread=1e-9)
    assert relevance_of(np.array([-1.0, 0.9]), np.zeros(2), crowded).tolist() == pytest.approx([0.0, 1.0])


def test_a_missing_vector_is_estimated_from_the_words_and_a_zero_one_is_not(tmp_path):
    with hs.open(tmp_path / "one.db", embedder=HashingEmbedder()) as store:
        store.add(documents(0, 20))
        with hs.open(tmp_path / "one.db", embedder="none") as plain:
            plain.add(hs.Document(id="bare", text="inlet valve"))
        evidence = store.search("inlet valve").trace.evidence
        place = evidence.at(store.chunks.of(["bare"])["bare"][0])
        assert evidence.estimated.tolist() == (evidence.chunks == evidence.chunks[place]).tolist()
        known = ~evidence.estimated & (evidence.keyword > 0)  # the others were found by their vectors
        keyword, vector = evidence.keyword[known], evidence.vector[known]
        rows = np.stack([keyword, np.ones(len(keyword))], axis=1)
        usual = 8 * np.array([[0.05, 0.18], [0.18, 1.0]])
        line = np.linalg.solve(rows.T @ rows + usual, rows.T @ vector + usual @ [5.0, 0.0])
        assert evidence.vector[place] == pytest.approx(line @ [evidence.keyword[place], 1.0], abs=1e-6)
        mean, deviation = cosine_statistics(store.chunks.sample()[1] @ HashingEmbedder().embed_query("inlet valve"))
        measured = store.state().calibration
        cosines = mean + deviation * evidence.vector
        assert evidence.relevance == pytest.approx(relevance_of(cosines, evidence.coverage, measured))
        with store.writer(vectors="later") as writer:
            writer.add(hs.Document(id="zero", text="of the"))
        (zero,) = store.chunks.of(["zero"])["zero"]
        store.embeddings.fill(store.embeddings.active, [zero], np.zeros((1, store.embeddings.active.dim), np.float32))
        evidence = store.search("inlet valve of the").trace.evidence
        if (place := evidence.at(zero)) is not None:
            assert (evidence.vector[place], evidence.estimated[place]) == (0.0, False)


def test_without_a_query_vector_there_is_only_keyword_evidence(store):
    keyword, terms = store._backend.match(KeywordQuery(("valv",)), 10, Restriction())
    words = KeywordEvidence(terms, store.state().chunks)
    evidence = EvidenceCollector(store._backend, words, None, None).of_legs(keyword, NONE)
    assert evidence.keyword.max() > 0
    assert not evidence.vector.any()
    assert evidence.relevance is evidence.confidence is None


def test_without_candidates_there_is_no_evidence(store):
    query = HashingEmbedder().embed_query("valve")
    for terms in ((), (Term("zeppelin", 0, 5.0),)):
        words = KeywordEvidence(terms, store.state().chunks)
        evidence = EvidenceCollector(store._backend, words, query, None).of_legs(NONE, NONE)
        assert {len(part) for part in (evidence.chunks, evidence.keyword, evidence.coverage, evidence.vector)} == {0}


def test_there_is_no_relevance_without_a_calibration(store):
    store.embeddings.calibrate(Calibration(fingerprint="another", chunks=1, power=4.0, chance=0.2, spread=0.1))
    assert gathered(store, "valve").relevance is None
    assert store.search("valve")[0].relevance is None


def test_without_a_sample_the_cosine_statistics_are_the_usual_ones():
    assert cosine_statistics(np.empty(0, np.float32)) == (0.1, 0.1)
    mean, deviation = cosine_statistics(np.array([0.5], np.float32))
    assert mean == pytest.approx((0.5 + 0.4) / 5)
    assert deviation == pytest.approx(math.sqrt(16 * 0.01 / 17))


def test_a_large_sample_outweighs_the_usual_statistics():
    cosines = np.random.default_rng(3).normal(0.3, 0.05, 256).astype(np.float32)
    mean, deviation = cosine_statistics(cosines)
    assert mean == pytest.approx(cosines.mean(), abs=0.005)
    assert deviation == pytest.approx(cosines.std(), abs=0.005)


@given(st.lists(st.floats(-1, 1, width=32), max_size=40))
def test_the_deviation_is_never_zero(cosines):
    mean, deviation = cosine_statistics(np.array(cosines, np.float32))
    assert deviation > 0.01
    assert -1 <= mean <= 1
