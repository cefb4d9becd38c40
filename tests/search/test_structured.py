"""Searches for structured queries: against brute force, the laws of their logic, and what they find."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore import about, where, words
from hybridstore.backends.values import Restriction
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.records import KeywordQuery
from hybridstore.search.algebra import About, Conjunction, Disjunction, Negation, Where, Words
from hybridstore.search.conditions import alternatives
from hybridstore.search.evidence import EvidenceCollector, KeywordEvidence
from hybridstore.search.rank_fusion import by_power
from hybridstore.search.truth import aligned, conjunction, disjunction

TOPICS = ["solar power", "storage", "lithium battery", "wind", "grain barn", "river mill"]
ALL = where({"year": {"$gte": 0}})
NORMS = ["product", "lukasiewicz", "godel"]
ENERGY = [
    hs.Document(
        id=f"{n:02}",
        text=" ".join(topic for bit, topic in enumerate(TOPICS) if n >> bit & 1) + f" note number {n}",
        metadata={"year": 2000 + n % 4},
    )
    for n in range(64)
]
REPORT = hs.Document(
    id="report", text="# Sun\n\nAll about solar power.\n\n# Cells\n\nA lithium battery ages.\n", format="markdown"
)


@pytest.fixture(scope="module")
def energy():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add(ENERGY)
        yield store


graded = st.recursive(
    st.sampled_from(TOPICS).map(about),
    lambda below: st.one_of(
        st.builds(lambda a, b: a & b, below, below),
        st.builds(lambda a, b: a | b, below, below),
        below.map(lambda a: ~a),
        st.builds(lambda a, weight: weight * a, below, st.sampled_from([0.5, 3.0])),
    ),
    max_leaves=5,
)
conditions = st.sampled_from(
    [
        None,
        where({"year": 2001}),
        ~where({"year": {"$lt": 2002}}),
        words("note number"),
        words("solar power"),
        ~words("wind"),
    ]
)


def joined(values, norm):
    if norm == "product":
        return math.prod(values)
    return max(0.0, sum(values) - len(values) + 1) if norm == "lukasiewicz" else min(values)


def scalar(query, truth, norm):
    """The truth of a query from those of its leaves, one number at a time."""
    match query:
        case About() | Words() | Where():
            return truth(query)
        case Negation(member):
            return 1 - scalar(member, truth, norm)
        case Conjunction(members):
            return joined([scalar(each, truth, norm) ** each.weight for each in members], norm)
        case Disjunction(members):
            return 1 - joined([(1 - scalar(each, truth, norm)) ** each.weight for each in members], norm)


def brute_force(store, query, condition, norm):
    """Judge every chunk that meets the condition, with the evidence of all of them; {chunk: truth}."""
    backend = store._backend
    state = backend.state()
    whole = [chunk for each in backend.chunks_of(backend.ids(), Restriction()).values() for chunk in each]
    passages = {each.chunk: each for each in backend.passages(whole)}
    chunks = np.array(sorted(chunk for chunk, each in passages.items() if meets(each, condition)), np.int64)
    leaves = {}
    for topic in TOPICS:
        vector = store.embedder().embed_query(topic)
        _, terms = backend.match(KeywordQuery(store.analyser.terms(topic)), 1, Restriction())
        collector = EvidenceCollector(backend, KeywordEvidence(terms, state.chunks), vector, state.calibration)
        found = collector.of_chunks(chunks)
        words_weight, meaning_weight = by_power(collector.power)
        mean, deviation = collector._cosine_statistics
        chance = (state.calibration.chance - mean) / deviation
        score = words_weight * found.keyword + meaning_weight * (found.vector - chance) / 12
        leaves[topic] = dict(zip(chunks.tolist(), 1 / (1 + np.exp(-22 * (score - 0.55 * words_weight))), strict=True))
    for group in alternatives(query):
        moved = aligned([np.array(list(leaves[leaf.text].values())) for leaf in group])
        leaves |= {
            leaf.text: dict(zip(chunks.tolist(), truths, strict=True))
            for leaf, truths in zip(group, moved, strict=True)
        }
    weight = 1.0 if condition is None else query.weight
    return {
        chunk: scalar(query, lambda leaf, chunk=chunk: leaves[leaf.text][chunk], norm) ** weight
        for chunk in chunks.tolist()
    }


def meets(passage, condition):
    match condition:
        case None:
            return True
        case Negation(member):
            return not meets(passage, member)
        case Words(text):
            return text in passage.text
        case _:
            return hs.filters.matches(condition.filter, passage.metadata)


@given(graded, conditions, st.sampled_from(NORMS))
def test_a_search_is_brute_force_over_all_chunks(energy, query, condition, norm):
    whole = query if condition is None else query & condition
    expected = {chunk: truth for chunk, truth in brute_force(energy, query, condition, norm).items() if truth > 0}
    if scalar(whole, lambda _: 0.0, norm) > 0:
        with pytest.raises(hs.InputError, match="nearly everything"):
            energy.search(whole)
        return
    results = energy.search(whole, limit=64, norm=norm)
    found = {hit.chunk_id: hit.score for hit in results}
    assert found == pytest.approx({chunk: expected[chunk] for chunk in found}, abs=0.02)
    left_out = [truth for chunk, truth in expected.items() if chunk not in found]
    assert max(left_out, default=0) <= 1e-6 + max(found.values(), default=0)  # Łukasiewicz rounds to exactly 0
    assert [hit.score for hit in results] == sorted(found.values(), reverse=True)


@given(graded, graded, graded, st.sampled_from(NORMS))
def test_order_and_grouping_do_not_matter(energy, a, b, c, norm):
    assert same(energy, a & b, b & a, norm)
    assert same(energy, a | b, b | a, norm)
    assert same(energy, Conjunction((Conjunction((a, b)), c)), Conjunction((a, Conjunction((b, c)))), norm)
    assert same(energy, Disjunction((Disjunction((a, b)), c)), Disjunction((a, Disjunction((b, c)))), norm)


@given(graded, graded, st.sampled_from(NORMS))
def test_de_morgans_laws_hold(energy, a, b, norm):
    assert same(energy, ~(a & b), ~a | ~b, norm)
    assert same(energy, ~(a | b), ~a & ~b, norm)


@given(graded)
def test_godels_norm_is_idempotent(energy, query):
    query = query.with_weight(1.0)
    assert same(energy, Conjunction((query, query)), query, "godel")
    assert same(energy, Disjunction((query, query)), query, "godel")


def test_alternatives_have_a_common_level_of_noise_and_keep_their_own_order():
    generator = np.random.default_rng(1)
    level = generator.uniform(0.001, 0.01, 100)
    one, other = np.concatenate([[0.9], level]), np.concatenate([[0.2], 40 * level])
    moved = aligned([one, other])
    assert np.sort(moved[0])[-30] == pytest.approx(np.sort(moved[1])[-30])
    assert [each.argsort().tolist() for each in moved] == [one.argsort().tolist(), other.argsort().tolist()]
    assert moved[0][0] > one[0]
    assert moved[1].max() < other.max()
    assert aligned([one, one])[0] == pytest.approx(one)
    assert aligned([one[:20], other[:20]])[1].tolist() == other[:20].tolist()  # too few to know noise


def same(store, one, other, norm):
    """Whether two queries have the same truths; within a filter, as some would be true of nearly everything."""
    first, second = (
        {hit.chunk_id: hit.score for hit in store.search(Conjunction((each, ALL)), limit=64, norm=norm)}
        for each in (one, other)
    )
    return {k: v for k, v in first.items() if v > 1e-9} == pytest.approx(
        {k: v for k, v in second.items() if v > 1e-9}, abs=1e-9
    )


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.lists(st.floats(0, 1), min_size=2, max_size=5),
    st.sampled_from(NORMS),
)
def test_norms_are_monotone_and_bounded_by_their_members(low, high, norm):
    pairs = list(zip(low, high, strict=False))
    less = [np.array([min(pair)]) for pair in pairs]
    more = [np.array([max(pair)]) for pair in pairs]
    for join in (conjunction, disjunction):
        assert 0 <= join(less, norm)[0] <= join(more, norm)[0] + 1e-12 <= 1 + 1e-12
    assert conjunction(more, norm)[0] <= min(more)[0] + 1e-12
    assert disjunction(more, norm)[0] >= max(more)[0] - 1e-12


def test_one_about_ranks_as_its_text_does(energy):
    plain = energy.search("solar power storage", limit=30)
    graded = energy.search(about("solar power storage"), limit=30)
    assert [hit.chunk_id for hit in graded] == [hit.chunk_id for hit in plain]


def test_a_conjunction_puts_first_what_has_all_and_a_negation_what_has_none(energy):
    wanted = energy.search(about("solar power") & about("grain barn") & ~about("lithium battery"), limit=16)
    for hit in wanted[:4]:
        assert "solar" in hit.text
        assert "grain" in hit.text
        assert "lithium" not in hit.text


def test_an_answer_need_not_be_among_the_first_of_any_part():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add([f"amber amber amber {n}" for n in range(30)] + [f"copper copper copper {n}" for n in range(30)])
        store.add(hs.Document(id="both", text="copper, amber"))
        assert store.search(about("amber") & about("copper"), limit=1, depth=3)[0].document_id == "both"


def test_passages_of_one_document_meet_conditions_together():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=f"{n}", text=f"plain words about nothing in particular {n}") for n in range(70)])
        store.add(REPORT)
        together = about("solar power") & words("lithium battery")
        assert store.search(together, limit=3)[0].score < 0.01
        results = store.search(together, limit=3, per="document")
        assert [hit.document_id for hit in results] == ["report"]
        parts = results.trace.truths.of(results[0].chunk_id)
        assert parts[0]["truth"] == pytest.approx(parts[1]["truth"] * parts[2]["truth"])
        assert parts[1]["chunk_id"] != parts[2]["chunk_id"]
        without = store.search(about("solar power") & ~words("lithium battery"), limit=80, per="document")
        assert "report" not in without


def test_a_filter_alone_leads_to_all_that_pass(energy):
    hits = energy.search(where({"year": 2001}) & ~about("wind"), limit=64)
    assert {hit.metadata["year"] for hit in hits} == {2001}
    assert len(hits) == 16
    assert "wind" not in hits[0].text


def test_alternatives_may_be_filters_or_words(energy):
    hits = energy.search(words("solar power lithium") | where({"year": 2003}) & words("river mill"), limit=64)
    assert len(hits) == 16
    assert all(hit.score == 1.0 for hit in hits)


@pytest.mark.parametrize(
    "query", [~about("wind"), about("wind") | ~about("storage"), ~(about("wind") & about("storage"))]
)
def test_what_nearly_everything_would_answer_is_refused(energy, query):
    with pytest.raises(hs.InputError, match="nearly everything"):
        energy.search(query)


def test_a_direction_moves_the_meaning_and_keeps_the_words(energy):
    query = about("wind").more("grain barn", 2.0).less("storage", 0.5)
    results = energy.search(query, limit=64)
    ranks = {hit.text: hit.rank for hit in results}
    assert ranks["wind grain barn note number 24"] < ranks["storage wind note number 10"]
    assert results.trace.query == "wind {+2 grain barn} {-0.5 storage}"
    vectors = [store_vector(energy, text) for text in ("wind", "grain barn", "storage")]
    moved = vectors[0] + 2.0 * vectors[1] - 0.5 * vectors[2]
    collected = results.trace.truths.parts[0].evidence
    stored = energy._backend.vectors(collected.chunks.tolist())
    cosines = stored @ (moved / np.linalg.norm(moved))
    scale = collected.cosines
    assert collected.vector == pytest.approx((cosines - scale.mean) / scale.deviation, abs=0.05)


def store_vector(store, text):
    return store.embedder().embed_query(text)


@pytest.mark.parametrize("mode", ["keyword", "vector"])
def test_one_leg_is_enough(energy, mode):
    hits = energy.search(about("solar power") & about("grain barn"), mode=mode, limit=4)
    assert "solar" in hits[0].text
    assert "grain" in hits[0].text


def test_a_store_without_vectors_judges_by_words():
    with hs.open(":memory:", embedder="none") as store:
        store.add(ENERGY)
        results = store.search(about("solar power") & about("grain barn") & ~about("wind"), limit=4)
        assert "solar" in results[0].text
        assert "grain" in results[0].text
        assert "wind" not in results[0].text
        assert "no vectors" in results.notes[0]


def test_the_explanation_says_how_true_each_part_is(energy):
    query = about("solar power") & (words("note") | 2 * about("storage")) & ~about("wind")
    told = energy.explain(query, limit=2, expect="08")
    text = str(told)
    assert 'solar power & ("note" | 2 * storage) & ~wind' in text
    assert "storage (weight 2)" in text
    assert "08 was ranked" in text
    assert "what it lacks most is solar power" in text
    parts = told.to_dict()["truths"]["hits"][0]
    assert [part["level"] for part in parts] == [0, 1, 1, 2, 2, 1, 2]
    assert parts[0]["truth"] == told.hits[0].score == told.hits[0].relevance
    assert energy.explain("solar & ~wind", syntax="algebra", limit=1).hits[0].score > 0.4


def test_options_that_make_no_sense_are_refused(energy):
    for options in (
        {"fusion": "rrf"},
        {"around": lambda _: ()},
        {"vector": [1.0] * 64},
        {"per": "page"},
        {"norm": "mean"},
    ):
        with pytest.raises(hs.InputError):
            energy.search(about("wind"), **options)
    for options in ({"per": "document"}, {"norm": "godel"}):
        with pytest.raises(hs.InputError, match="structured"):
            energy.search("wind", **options)


def test_min_relevance_excluded_words_and_selection_apply(energy):
    query = about("wind") & about("storage")
    assert all(hit.score >= 0.5 for hit in energy.search(query, min_relevance=0.5, limit=64))
    assert "best passage" in energy.search(query & about("zebra"), min_relevance=0.9).notes[-1]
    assert not any("solar" in hit.text for hit in energy.search(query, exclude=["solar"], limit=20))
    assert len(energy.search(query, per_document=1, unique=True, diversity=0.3, limit=5)) == 5
