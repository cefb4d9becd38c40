"""The gate's queries: how they are made and evaluated, and that this changes nothing in the store."""

import math
import random
import time

import numpy as np
import pytest
from gap import EMBEDDER, PAIRS, chunk, filled, name, question, random_adapter, version
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search import transforms
from hybridstore.tuning import gate, model_versions
from hybridstore.tuning.adapter_tuning import rank_documents
from hybridstore.tuning.gate import GateQuery, evaluate, gate_queries
from hybridstore.tuning.training_set import LabelledQuestion

SOME = PAIRS[::4]
TASKS = list(gate.TASKS)


@pytest.fixture
def store(tmp_path):
    with filled(tmp_path / "gap.db", triples=False) as store:
        yield store


def person(text, *documents):
    return LabelledQuestion(text=text, kind="log", answers=(1,), documents=documents)


def cut(store, text, document):
    number = chunk(store, document)
    return LabelledQuestion(text=text, kind="crop", answers=(number,), documents=(document,), origin=number)


@given(st.lists(st.integers(0, 30), unique=True, max_size=25), st.sets(st.integers(0, 30), min_size=1, max_size=15))
def test_the_measure_is_ndcg_at_ten(ranked, relevant):
    documents, right = [str(n) for n in ranked], frozenset(str(n) for n in relevant)
    gains = [1 / math.log2(2 + place) for place in range(10)]
    found = sum(gain for gain, document in zip(gains, documents, strict=False) if document in right)
    assert gate._ndcg(documents, right) == pytest.approx(found / sum(gains[: len(right)]))


def state(store, tmp_path):
    """Return all that a store holds, its files' bytes included, once its log is written back."""
    deadline = time.monotonic() + 20
    while any(path.stat().st_size for path in tmp_path.glob("*-wal")) and time.monotonic() < deadline:
        time.sleep(0.05)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.endswith("-shm")}
    return store.state().revision, store.state().calibration, files


def hits(store, model, pair):
    """Return the hits of a question in a trial of a version."""
    return store.trial(model).search(question(pair), EMBEDDER.embed_query(question(pair)), limit=10).hits


def top(store, text, vector, model):
    """Return the documents that a question finds first."""
    return rank_documents(store, model, [text], [vector])(0)


@pytest.mark.parametrize("active", [None, 7])
def test_a_trial_returns_what_promotion_would_and_changes_nothing(store, tmp_path, active):
    learning = store.learning
    if active:
        model_versions.promote(store, learning.propose(version(random_adapter(seed=active))))
    candidate = version(random_adapter(seed=1, size=3.0))
    before = state(store, tmp_path)
    plain = [hits(store, None, pair) for pair in SOME]
    active_hits = [hits(store, learning.model(), pair) for pair in SOME]
    promoted = [hits(store, candidate, pair) for pair in SOME]
    assert state(store, tmp_path) == before
    assert active_hits == [store.search(question(pair)).trace.hits for pair in SOME]
    assert (plain == active_hits) == (active is None)
    assert promoted != active_hits
    model_versions.promote(store, learning.propose(candidate))
    assert promoted == [store.search(question(pair)).trace.hits for pair in SOME]
    model_versions.promote(store, None)
    assert plain == [store.search(question(pair)).trace.hits for pair in SOME]


def test_a_store_is_calibrated_once_for_each_version_that_is_tried(tmp_path):
    class Counted(HashingEmbedder):
        asked = 0

        def embed_query(self, text):
            self.asked += 1
            return super().embed_query(text)

    counted = Counted(EMBEDDER.dim)
    with filled(tmp_path / "gap.db", counted, triples=False) as store:
        candidate, vector = version(random_adapter(counted)), counted.embed_query("harbour")
        for model in (None, candidate):
            top(store, "harbour", vector, model)
        counted.asked = 0
        for model in (None, candidate, None, candidate):
            assert len(top(store, "harbour", vector, model)) == 5
        assert counted.asked == 0
        store.add("another revision")
        counted.asked = 0
        top(store, "harbour", vector, candidate)
        assert counted.asked > 0


def test_a_query_is_scored_by_the_ranks_of_its_documents(store):
    vectors = {pair: store.chunks.vectors([chunk(store, name(pair))])[0] for pair in PAIRS[:2]}
    first, second = PAIRS[:2]
    other = top(store, "", vectors[first], None)[1]
    asked = [
        GateQuery("log", "", vectors[first], frozenset({name(first)})),
        GateQuery("log", "", vectors[first], frozenset({other})),
        GateQuery("log", "", vectors[second], frozenset({"not there"})),
        GateQuery("crop", "", vectors[first], frozenset({name(first)}), dict.fromkeys(TASKS[1:], frozenset({other}))),
    ]
    reports = []
    worth = evaluate(store, asked, None, progress=lambda *report: reports.append(report))
    assert set(worth) == set(TASKS)
    assert worth["find"] == [1.0, pytest.approx(1 / math.log2(3)), 0.0, 1.0]
    for task in TASKS[1:]:
        assert all(math.isnan(each) for each in worth[task][:3])
        assert worth[task][3] == 1.0  # the question's own document is left out before the similar ones are counted
    assert reports == [(4, 4)]


def test_a_version_transforms_the_queries_vectors(store):
    dim = EMBEDDER.dim
    backwards = transforms.Adapter(
        EMBEDDER.fingerprint, np.eye(dim, dtype=np.float32), -2 * np.eye(dim, dtype=np.float32)
    )
    vector = store.chunks.vectors([chunk(store, name(PAIRS[0]))])[0]
    asked = [GateQuery("log", "", vector, frozenset({name(PAIRS[0])}))]
    assert evaluate(store, asked, None)["find"] == [1.0]
    assert evaluate(store, asked, version(backwards))["find"] == [0.0]


def test_a_document_removed_meanwhile_is_found_by_no_version(store):
    (query,) = gate_queries(store, [cut(store, "some words", name(PAIRS[0]))], np.ones((1, EMBEDDER.dim), np.float32))
    store.remove(name(PAIRS[0]))
    for model in (None, version(random_adapter())):
        assert evaluate(store, [query], model)["find"] == [0.0]
    gone = [LabelledQuestion(text="a", kind="crop", answers=(10**6,), documents=("gone",), origin=10**6)]
    (made,) = gate_queries(store, gone, np.ones((1, EMBEDDER.dim), np.float32))
    assert not made.similar["words"]


def test_peoples_questions_keep_their_words_and_synthetic_ones_lose_some(store):
    text = " ".join(f"word{n}" for n in range(40))
    items = [person(text, "a", "b"), cut(store, text, name(PAIRS[0])), cut(store, "single", name(PAIRS[0]))]
    vectors = np.eye(3, EMBEDDER.dim, dtype=np.float32)
    reports = []
    asked, made, single = gate_queries(store, items, vectors, progress=lambda *report: reports.append(report))
    assert (asked.text, asked.answers, dict(asked.similar), asked.document) == (text, frozenset({"a", "b"}), {}, "a")
    shown = made.text.split()
    assert 8 < len(shown) < 32
    assert shown == [word for word in text.split() if word in shown]
    assert single.text == "single"
    assert [query.vector.argmax() for query in (asked, made, single)] == [0, 1, 2]
    assert reports[-1] == (3, 3)
    again = gate_queries(store, items, vectors)
    assert [query.text for query in again] == [text, made.text, "single"]
    assert gate_queries(store, items, vectors, seed=1)[1].text != made.text


def test_half_of_a_text_without_spaces_is_shown():
    text = "春天的海边有一座很老的灯塔没有人知道是谁建的"
    shown = gate._half(text, random.Random(1))
    assert len(shown) == len(text) // 2
    assert shown in text
    assert gate._half("海", random.Random(1)) == "海"


def test_a_documents_similar_documents_are_others_that_its_text_finds(store):
    first, second = PAIRS[0]
    (query,) = gate_queries(store, [cut(store, "any", name(PAIRS[0]))], np.ones((1, EMBEDDER.dim), np.float32))
    sharing = {name(pair) for pair in PAIRS if {first, second} & set(pair)}
    assert set(query.similar) == set(TASKS) - {"find"}
    for documents in query.similar.values():
        assert name(PAIRS[0]) not in documents
        assert documents & sharing
    assert query.similar["words"] >= sharing - {name(PAIRS[0])} or len(query.similar["words"]) == 30


def test_quotes_and_minus_signs_in_a_passage_restrict_nothing(tmp_path):
    with hs.open(tmp_path / "signs.db", embedder=EMBEDDER) as store:
        store.add(
            [
                hs.Document(id="a", text='The "old lighthouse" title:keeper -lamp', title="one"),
                hs.Document(id="b", text="A lamp for the keeper", title="two"),
                hs.Document(id="c", text="The lighthouse is old", title="three"),
            ]
        )
        (query,) = gate_queries(store, [cut(store, "any", "a")], np.ones((1, EMBEDDER.dim), np.float32))
    assert query.similar["words"] == {"b", "c"}


def test_similar_documents_are_the_plain_embedders_whatever_is_active(store):
    items, vectors = [cut(store, "any", name(pair)) for pair in PAIRS[:5]], np.ones((5, EMBEDDER.dim), np.float32)
    plain = [query.similar for query in gate_queries(store, items, vectors)]
    model_versions.promote(store, store.learning.propose(version(random_adapter(size=5.0))))
    assert [query.similar for query in gate_queries(store, items, vectors)] == plain
