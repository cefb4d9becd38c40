"""The second stage: a reranker's scores, its budget, what a search and its explanation say, and what is refused."""

import time

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.errors import InputError

NOTES = {
    "boil": "Boil the water for tea. Tea, tea, tea.",
    "ship": "The ship carried tea from Canton.",
    "tax": "The tax on tea was hated in Boston.",
    "milk": "Milk goes into the tea last, some say.",
}


class Scripted:
    """Scores texts by a table of words; notes what it was asked."""

    def __init__(self, scores, seconds=0.0):
        self.name, self.scores, self.seconds, self.read = "scripted", scores, seconds, []

    def score(self, query, texts):
        time.sleep(self.seconds)
        self.read += texts
        return [max((score for word, score in self.scores.items() if word in text), default=0.0) for text in texts]


@pytest.fixture(params=[":memory:", "notes.db"])
def store(request, tmp_path):
    path = request.param if request.param == ":memory:" else tmp_path / request.param
    with hs.open(path, embedder="none") as store:
        store.add([{"id": id_, "text": text} for id_, text in NOTES.items()])
        yield store


def ids(results):
    return [hit.document_id for hit in results]


def test_the_best_passages_come_in_the_rerankers_order_and_their_scores_are_weighed(store):
    plain = store.search("tea")
    reranker = Scripted({"Boston": 1.0, "Canton": 0.9})
    results = store.search("tea", rerank=hs.Rerank(reranker, weight=1.0))
    assert ids(results)[:2] == ["tax", "ship"]
    assert [hit.score for hit in results] == pytest.approx([1.0, 0.9, 0.0, 0.0])
    assert ids(results)[2:] == [id_ for id_ in ids(plain) if id_ in ("boil", "milk")]  # ties stay in their order
    half = {hit.document_id: hit.score for hit in store.search("tea", rerank=reranker)}
    best = max(*(hit.score for hit in plain), 1.0)
    for hit in plain:
        given = {"tax": 1.0, "ship": 0.9}.get(hit.document_id, 0.0)
        assert half[hit.document_id] == pytest.approx(0.5 * hit.score / best + 0.5 * given)


def test_only_the_best_are_read_and_none_that_was_not_read_comes_before_one_that_was(store):
    plain = ids(store.search("tea"))
    reranker = Scripted({"": 0.0, NOTES[plain[-1]][:9]: 1.0})
    results = store.search("tea", rerank=hs.Rerank(reranker, depth=2))
    assert len(reranker.read) == 2
    assert set(ids(results)[:2]) == set(plain[:2])
    assert ids(results)[2:] == plain[2:]


def test_every_passage_down_to_the_depth_is_read_once(tmp_path):
    with hs.open(tmp_path / "many.db", embedder="none") as store:
        store.add([f"Tea number {n}." for n in range(13)])
        reranker = Scripted({"number 12.": 1.0, "number 11.": 0.9})
        results = store.search("tea", rerank=hs.Rerank(reranker, depth=13, weight=1.0))
    assert sorted(reranker.read) == sorted(f"Tea number {n}." for n in range(13))
    assert [hit.text for hit in results[:2]] == ["Tea number 12.", "Tea number 11."]


def test_reading_stops_when_its_time_is_over_but_never_before_the_first_passages(tmp_path):
    with hs.open(tmp_path / "many.db", embedder="none") as store:
        store.add([f"Tea number {n}." for n in range(30)])
        slow = Scripted({}, seconds=0.05)
        results = store.search("tea", rerank=hs.Rerank(slow, milliseconds=1.0))
    assert 0 < len(slow.read) < 30
    assert len(results) == 10
    assert len(results.trace.second.scores) == len(slow.read)


def test_the_trace_and_its_explanation_say_what_was_read(store):
    before = ids(store.search("tea")).index("tax") + 1
    explanation = store.explain("tea", rerank=Scripted({"Boston": 1.0}))
    assert explanation.second.name == "scripted"
    assert explanation.to_dict()["second"]["weight"] == 0.5
    assert "Read again by scripted: the best 4; its score weighs 0.50." in str(explanation)
    assert f"scripted gave it 1.000; the search ranked it {before}" in str(explanation)
    assert "rerank" in explanation.timings
    assert store.search("tea").trace.second is None


def test_title_and_heading_are_read_with_the_text_and_a_search_that_finds_nothing_reads_nothing(store):
    store.add({"id": "jam", "title": "Preserves", "text": "# Marmalade\n\nOranges are boiled."})
    reranker = Scripted({})
    store.search("oranges", rerank=reranker)
    assert any("Preserves" in text and "Marmalade" in text and "Oranges" in text for text in reranker.read)
    reranker.read.clear()
    assert not store.search("xylophone", rerank=reranker)
    assert not reranker.read


@pytest.mark.parametrize("wrong", [[0.5], ["high"] * 4, [np.nan] * 4, [7.0] * 4, None])
def test_what_is_no_score_is_refused(store, wrong):
    reranker = Scripted({})
    reranker.score = lambda _query, _texts: wrong
    with pytest.raises(InputError, match="from 0 to 1 for each"):
        store.search("tea", rerank=reranker)


@pytest.mark.parametrize("options", [{"depth": 0}, {"weight": 0}, {"weight": 2}, {"milliseconds": 0}])
def test_invalid_options_are_refused(options):
    with pytest.raises(InputError, match="of reranking must be"):
        hs.Rerank(Scripted({}), **options)


def test_anything_else_than_a_reranker_is_refused(store):
    with pytest.raises(InputError, match="an object with a name and a method score"):
        store.search("tea", rerank="cross-encoder")
