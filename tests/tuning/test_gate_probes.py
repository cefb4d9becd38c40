"""The gate's questions: how they are asked, what they are worth, and that asking touches nothing."""

import math
import random

import numpy as np
import pytest
from gap import EMBEDDER, PAIRS, chunk, filled, name, question, random_adapter, version
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.search import transforms
from hybridstore.tuning import gate_probes, model_versions
from hybridstore.tuning.gate_probes import TASKS, Probe, found, make, values
from hybridstore.tuning.training_set import LabelledQuestion

SOME = PAIRS[::4]


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
    assert gate_probes._ndcg(documents, right) == pytest.approx(found / sum(gains[: len(right)]))


def state(store, tmp_path):
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if not path.name.endswith("-shm")}
    return store.state().revision, store.state().calibration, files


def hits(trial, pair):
    """Return the hits of a question in a trial, as the gate searches for it."""
    return trial.search(question(pair), EMBEDDER.embed_query(question(pair)), limit=10).hits


@pytest.mark.parametrize("active", [None, 7])
def test_a_trial_of_a_version_gives_what_promoting_it_gives_and_touches_nothing(store, tmp_path, active):
    learning = store.learning
    if active:
        model_versions.promote(store, learning.propose(version(random_adapter(seed=active))))
    candidate = version(random_adapter(seed=1, size=3.0))
    before = state(store, tmp_path)
    plain = [hits(store.trial(None), pair) for pair in SOME]
    as_it_is = [hits(store.trial(learning.model()), pair) for pair in SOME]
    as_it_would_be = [hits(store.trial(candidate), pair) for pair in SOME]
    assert state(store, tmp_path) == before
    assert as_it_is == [store.search(question(pair)).trace.hits for pair in SOME]
    assert (plain == as_it_is) == (active is None)
    assert as_it_would_be != as_it_is
    model_versions.promote(store, learning.propose(candidate))
    assert as_it_would_be == [store.search(question(pair)).trace.hits for pair in SOME]
    model_versions.promote(store, None)
    assert plain == [store.search(question(pair)).trace.hits for pair in SOME]


def test_a_store_is_measured_once_for_each_version_that_is_tried(tmp_path):
    class Counted(HashingEmbedder):
        asked = 0

        def embed_query(self, text):
            self.asked += 1
            return super().embed_query(text)

    counted = Counted(EMBEDDER.dim)
    with filled(tmp_path / "gap.db", counted, triples=False) as store:
        candidate, vector = version(random_adapter(counted)), counted.embed_query("harbour")
        for model in (None, candidate):
            found(store, "harbour", vector, model)
        counted.asked = 0
        for model in (None, candidate, None, candidate):
            assert len(found(store, "harbour", vector, model)) == 5
        assert counted.asked == 0
        store.add("another revision")
        counted.asked = 0
        found(store, "harbour", vector, candidate)
        assert counted.asked > 0


def test_a_probe_is_worth_where_its_documents_stand(store):
    vectors = {pair: store.chunks.vectors([chunk(store, name(pair))])[0] for pair in PAIRS[:2]}
    first, second = PAIRS[:2]
    other = found(store, "", vectors[first], None)[1]
    asked = [
        Probe("log", "", vectors[first], frozenset({name(first)})),
        Probe("log", "", vectors[first], frozenset({other})),
        Probe("log", "", vectors[second], frozenset({"not there"})),
        Probe("crop", "", vectors[first], frozenset({name(first)}), dict.fromkeys(TASKS[1:], frozenset({other}))),
    ]
    told = []
    worth = values(store, asked, None, progress=lambda *each: told.append(each))
    assert set(worth) == set(TASKS)
    assert worth["find"] == [1.0, pytest.approx(1 / math.log2(3)), 0.0, 1.0]
    for task in TASKS[1:]:
        assert all(math.isnan(each) for each in worth[task][:3])
        assert worth[task][3] == 1.0  # the question's own document is left out before its kin are counted
    assert told == [(4, 4)]


def test_a_version_is_asked_with_its_own_turn(store):
    dim = EMBEDDER.dim
    backwards = transforms.Adapter(
        EMBEDDER.fingerprint, np.eye(dim, dtype=np.float32), -2 * np.eye(dim, dtype=np.float32)
    )
    vector = store.chunks.vectors([chunk(store, name(PAIRS[0]))])[0]
    asked = [Probe("log", "", vector, frozenset({name(PAIRS[0])}))]
    assert values(store, asked, None)["find"] == [1.0]
    assert values(store, asked, version(backwards))["find"] == [0.0]


def test_a_document_removed_meanwhile_is_found_by_no_version(store):
    (probe,) = make(store, [cut(store, "some words", name(PAIRS[0]))], np.ones((1, EMBEDDER.dim), np.float32))
    store.remove(name(PAIRS[0]))
    for model in (None, version(random_adapter())):
        assert values(store, [probe], model)["find"] == [0.0]
    gone = [LabelledQuestion(text="a", kind="crop", answers=(10**6,), documents=("gone",), origin=10**6)]
    (made,) = make(store, gone, np.ones((1, EMBEDDER.dim), np.float32))
    assert not made.kin["words"]


def test_people_are_asked_in_their_own_words_and_made_questions_lose_some(store):
    text = " ".join(f"word{n}" for n in range(40))
    items = [person(text, "a", "b"), cut(store, text, name(PAIRS[0])), cut(store, "single", name(PAIRS[0]))]
    vectors = np.eye(3, EMBEDDER.dim, dtype=np.float32)
    told = []
    asked, made, single = make(store, items, vectors, progress=lambda *each: told.append(each))
    assert (asked.text, asked.answers, dict(asked.kin), asked.unit) == (text, frozenset({"a", "b"}), {}, "a")
    shown = made.text.split()
    assert 8 < len(shown) < 32
    assert shown == [word for word in text.split() if word in shown]
    assert single.text == "single"
    assert [probe.vector.argmax() for probe in (asked, made, single)] == [0, 1, 2]
    assert told[-1] == (3, 3)
    again = make(store, items, vectors)
    assert [probe.text for probe in again] == [text, made.text, "single"]
    assert make(store, items, vectors, seed=1)[1].text != made.text


def test_half_of_a_text_without_spaces_is_shown():
    text = "春天的海边有一座很老的灯塔没有人知道是谁建的"
    shown = gate_probes._some(text, random.Random(1))
    assert len(shown) == len(text) // 2
    assert shown in text
    assert gate_probes._some("海", random.Random(1)) == "海"


def test_a_documents_kin_are_others_that_its_text_finds(store):
    first, second = PAIRS[0]
    (probe,) = make(store, [cut(store, "any", name(PAIRS[0]))], np.ones((1, EMBEDDER.dim), np.float32))
    sharing = {name(pair) for pair in PAIRS if {first, second} & set(pair)}
    assert set(probe.kin) == set(TASKS) - {"find"}
    for documents in probe.kin.values():
        assert name(PAIRS[0]) not in documents
        assert documents & sharing
    assert probe.kin["words"] >= sharing - {name(PAIRS[0])} or len(probe.kin["words"]) == 30


def test_quotes_and_minus_signs_in_a_passage_restrict_nothing(tmp_path):
    with hs.open(tmp_path / "signs.db", embedder=EMBEDDER) as store:
        store.add(
            [
                hs.Document(id="a", text='The "old lighthouse" title:keeper -lamp', title="one"),
                hs.Document(id="b", text="A lamp for the keeper", title="two"),
                hs.Document(id="c", text="The lighthouse is old", title="three"),
            ]
        )
        (probe,) = make(store, [cut(store, "any", "a")], np.ones((1, EMBEDDER.dim), np.float32))
    assert probe.kin["words"] == {"b", "c"}


def test_kin_are_the_plain_embedders_whatever_is_active(store):
    items, vectors = [cut(store, "any", name(pair)) for pair in PAIRS[:5]], np.ones((5, EMBEDDER.dim), np.float32)
    plain = [probe.kin for probe in make(store, items, vectors)]
    model_versions.promote(store, store.learning.propose(version(random_adapter(size=5.0))))
    assert [probe.kin for probe in make(store, items, vectors)] == plain
