"""The quality suites: their cases and how these are judged."""

import random
from pathlib import Path

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search.request import FUSIONS

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
STRATEGIES = ["vector", "keyword", *(f"hybrid ({name})" for name in FUSIONS)]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))


@pytest.fixture
def sample(tmp_path):
    import sample_stores

    return sample_stores.made_up(tmp_path, embedder=HashingEmbedder())


@pytest.fixture
def chance():
    return random.Random("a test")


# Cases and how they are judged


def test_every_suite_makes_reproducible_cases_that_can_pass(sample, monkeypatch):
    import attributes
    import floods
    import identifiers
    import judging
    import long_queries
    import operators
    import run
    import sizes
    import typos

    for room, name, fewer in (
        (attributes, "PEOPLE", 60),
        (attributes, "ASKED", 10),
        (floods, "FLOODS", 2),
        (long_queries, "QUESTIONS", 5),
        (long_queries, "LONG", 2),
        (typos, "QUESTIONS", 8),
        (identifiers, "PLANTED", 8),
        (operators, "EXCLUSIONS", 8),
        (sizes, "LARGE", 300),
        (sizes, "ASKED", 10),
    ):
        monkeypatch.setattr(room, name, fewer)
    for suite in run.SUITES.values():
        result = judging.judged(suite, sample, seed=3, all_cases=True)
        assert result["n"] == len(result["cases"]) == sum(result["kinds"].values()) > 0
        assert list(result["strategies"]) == STRATEGIES
        assert max(row["passed"] for row in result["strategies"].values()) > 0.1, suite.name
        again = [case for made in suite.make(sample, random.Random(f"{suite.name} 3")) for case in made.cases]
        assert [case.description for case in again] == [case["expected"] for case in result["cases"]]


def test_a_case_passes_only_if_all_expectations_hold(tmp_path):
    from cases import Case
    from judging import outcome

    with hs.open(tmp_path / "three.db", embedder="none") as store:
        store.add(
            [{"id": "a", "text": "pump pump pump"}, {"id": "b", "text": "pump inlet"}, {"id": "c", "text": "soup"}]
        )
        way = {"mode": "keyword"}
        both = Case(kind="", query="pump", expected=("a", "b"), within=2)
        assert outcome(store, both, way).passed
        found = outcome(store, Case(kind="", query="pump", expected=("a", "c"), within=2), way)
        assert (found.passed, found.recall, found.rank) == (False, 0.5, 1)
        assert outcome(store, Case(kind="", query="pump", expected=("a", "c"), within=2, every=False), way).passed
        assert not outcome(store, Case(kind="", query="inlet pump", expected=("a",), within=1), way).passed
        low = Case(kind="", query="pump", check=lambda _, results: len(results) / 4, least=0.6)
        assert not outcome(store, low, way).passed
        crash = outcome(store, Case(kind="", query="pump", options={"limit": 0}), way)
        assert not crash.passed
        assert crash.error.startswith("InputError: limit must be")


def test_means_are_taken_over_all_cases_and_over_each_kind():
    from cases import Case
    from judging import Outcome, means_of

    one = Outcome(Case(kind="x", query="", expected=("a",)), passed=True, rank=1, recall=1.0)
    two = Outcome(Case(kind="y", query="", expected=("a",)), passed=False, rank=4, recall=0.0)
    three = Outcome(Case(kind="y", query=""), passed=True, value=0.5)
    means = means_of([one, two, three])
    assert means["passed"] == pytest.approx(2 / 3)
    assert (means["mrr"], means["recall"], means["value"]) == ((1 + 1 / 4) / 2, 0.5, 0.5)
    assert (means["y/mrr"], means["y/passed"], means["x/recall"]) == (0.25, 0.5, 1.0)
    assert "x/value" not in means


def test_an_existing_store_is_copied_and_never_changed(tmp_path):
    import run
    import sample_stores
    from judging import judged

    path = tmp_path / "given.db"
    with hs.open(path, embedder="none") as store:
        store.add([{"id": f"d{n}", "text": f"Passage number {n} about valve V{n}00 and pumps."} for n in range(30)])
    before = path.read_bytes()
    (tmp_path / "own").mkdir()
    sample = sample_stores.of_store(path, tmp_path / "own")
    for name in ("identifiers", "phrases", "odd questions"):
        judged(run.SUITES[name], sample, seed=0)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["given.db", "own"]


# Suites


def test_queried_pairs_of_attributes_are_unambiguous(chance):
    import attributes
    from nouns import NOUNS

    from hybridstore.text.analysis import Analyser

    people, right = attributes.population(chance)
    assert len({each.name for each in people}) == attributes.PEOPLE
    for thing, couple in right.items():
        having = {each.name for each in people if {*" ".join(each.likes).split()} >= {*thing.split()}}
        assert having == set(couple)
    assert {len(each.likes) for each in people} == {attributes.LIKED}
    stems = [Analyser().terms(noun) for noun in NOUNS]
    assert len(set(stems)) == len(stems)


def test_misspelt_words_are_in_no_document(sample):
    import sample_stores
    import typos

    known = sample_stores.vocabulary(sample.documents())
    (setting,) = typos.misspelt(sample, random.Random(5))
    right = [case for case in setting.cases if case.kind == "spelt right"]
    for case in setting.cases:
        unknown = [
            word for word in sample_stores.words(case.query) if not known[word] and word not in sample_stores.STOP_WORDS
        ]
        before = {word for each in right if each.expected == case.expected for word in sample_stores.words(each.query)}
        assert len(set(unknown) - before) == (case.kind != "spelt right")
    assert [way("planet", 2) for way in (typos.swapped, typos.dropped, typos.doubled, typos.slipped)] == [
        "plnaet", "plnet", "plaanet", "plsnet",
    ]  # fmt: skip


def test_scattered_words_above_a_phrase_fail(tmp_path):
    from operators import _phrase_first

    check = _phrase_first(("signing", "keys"))
    with hs.open(tmp_path / "keys.db", embedder="none") as store:
        store.add(
            [
                {"id": "phrase", "text": "rotate signing keys"},
                {"id": "loose", "text": "signing signing, then keys keys"},
            ]
        )
        assert check(None, store.search('"signing keys"')) == 1
        assert [hit.document_id for hit in store.search("signing keys")] == ["loose", "phrase"]
        assert check(None, store.search("signing keys")) == 0
        assert check(None, store.search("soup")) == 0


def test_order_after_an_exclusion_is_counted_in_pairs():
    from operators import in_order

    assert in_order([1, 3, 8]) == 1
    assert in_order([3, 1, 8]) == 2 / 3
    assert in_order([5]) == 1


def test_a_hit_with_an_excluded_word_scores_zero(tmp_path):
    from operators import _without

    with hs.open(tmp_path / "pumps.db", embedder="none") as store:
        store.add([{"id": "a", "text": "pump inlet"}, {"id": "b", "text": "pump valve"}])
        check = _without("pump", "valve")
        assert check(store.search, store.search('pump -"valve"')) == 1
        assert check(store.search, store.search("pump")) == 0


def test_a_long_question_has_most_of_its_words_from_its_document(sample):
    import long_queries

    texts = {each.id: each.text for each in sample.documents()}
    (setting,) = long_queries.long_questions(sample, random.Random(2))
    for case in setting.cases:
        assert len(case.query.split()) == long_queries.WORDS
        (own,) = case.expected
        share = len(set(texts[own].split()) & set(case.query.split())) / len(set(texts[own].split()))
        assert share > 0.6


def test_near_copies_displace_the_right_document_in_one_leg(sample):
    import floods

    for setting in floods.given(sample, random.Random(4)):
        assert len(setting.cases) == 4 * floods.FLOODS
        for case in setting.cases:
            leg, options = case.kind.split()[0], {**case.options, "unique": False}
            found = setting.store.search(case.query, mode=leg, limit=floods.DEPTH, **options)
            assert {hit.document_id.rpartition("-")[0] for hit in found} == {case.expected[0].removesuffix("-right")}
            assert case.expected[0] not in {hit.document_id for hit in found}


def test_vectors_have_the_requested_cosine_and_words_are_distinct():
    import vectors

    generator = np.random.default_rng(0)
    centre = vectors.unit(generator)
    assert vectors.near(centre, 0.7, generator) @ centre == pytest.approx(0.7, abs=1e-5)
    assert len({vectors.word(number) for number in range(0, 388_416, 7)}) == len(range(0, 388_416, 7))


def test_foreign_questions_share_a_word_with_their_passage():
    from multilingual_passages import PASSAGES

    for rows in PASSAGES.values():
        for passage, question in rows:
            assert {*passage.lower().rstrip(".।").split()} & {*question.lower().rstrip(";?؟").split()}, question
