"""Evaluating a store on a collection: with rankings made up to the letter, and with the real store."""

import inspect
import json
from contextlib import nullcontext
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

import hybridstore.store as stores
from hybridstore.errors import InputError
from hybridstore.evaluation import Collection, evaluate, index
from hybridstore.evaluation.judgments import Qrels, Run, read_run, write_run
from hybridstore.evaluation.metrics import score

# The package's `evaluate` is the function; this is the room it stands in.
evaluating = import_module("hybridstore.evaluation.runner")

EMPTY = {"q1": [], "q2": [], "q3": []}


class Letters:
    """An embedder that counts letters: no meaning, but real vectors."""

    dim, max_tokens, fingerprint = 26, 10_000, "letters@1"

    def embed_documents(self, texts):
        return np.stack([self.embed_query(text) for text in texts]) if texts else np.empty((0, 26), np.float32)

    def embed_query(self, text):
        counts = np.array([text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"], np.float32)
        counts += 0.01  # a text without letters has a direction too
        return counts / np.linalg.norm(counts)

    def token_starts(self, text):
        return range(len(text))


class Found(list):
    """Results with the part of a Trace that is read."""

    def __init__(self, hits, fusion, timings):
        super().__init__(hits)
        self.trace = SimpleNamespace(fusion=fusion, timings=timings)


class ChosenRankings:
    """Answers each query text with the chunks it was told to, and remembers what it was asked."""

    def __init__(self, collection, chunks, relevance=None):
        text = {query.text: query.id for query in collection.queries().values()}
        self.chunks, self.ids, self.asked, self.relevance = chunks, text, [], relevance

    unlogged = staticmethod(nullcontext)

    def search(self, query, *, limit=10, where=None, mode="hybrid", fusion="usual"):
        self.asked.append(SimpleNamespace(query=query, limit=limit, where=where, mode=mode, fusion=fusion))
        hits = [
            SimpleNamespace(document_id=document, score=1 / rank, relevance=self.relevance and self.relevance / rank)
            for rank, document in enumerate(self.chunks[self.ids[query]], start=1)
        ]
        known = sum(asked.query == query for asked in self.asked) > 1  # a store embeds a query once
        return Found(hits[:limit], fusion, {"embed": 0.0 if known or mode == "keyword" else 7.0})


def test_a_document_ranks_where_its_best_chunk_does(folder):
    collection = Collection(folder)
    store = ChosenRankings(collection, {**EMPTY, "q1": ["wine", "beer", "beer", "wine", "bread"]})
    result = evaluate(store, collection, modes=["keyword"])
    assert result.run("keyword").documents("q1") == ("wine", "beer", "bread")
    assert result.values("keyword", "mrr@10") == {"q1": 0.5, "q2": 0, "q3": 0}


def test_more_chunks_are_asked_for_until_there_are_enough_documents(folder):
    collection = Collection(folder)
    chunks = ["wine"] * 5 + ["beer"] * 5 + ["bread"] * 5 + ["cheese"]
    store = ChosenRankings(collection, dict.fromkeys(EMPTY, chunks))
    result = evaluate(store, collection, modes=["hybrid"], limit=3)
    assert result.run("hybrid").documents("q3") == ("wine", "beer", "bread")
    # 3 and 6 chunks hold too few documents; what was learned from the first query serves the others at once
    assert [asked.limit for asked in store.asked] == [3, 6, 12, 12, 12]


def test_a_query_without_results_counts_as_zero_and_what_cannot_be_asked_is_left_out(folder):
    collection = Collection(folder)
    result = evaluate(ChosenRankings(collection, {**EMPTY, "q2": ["cheese"]}), collection, modes=["vector"])
    assert result.n == 3
    assert result.left_out == ("q4",)
    assert result.unknown_queries == ("ghost",)
    assert result.unknown_documents == ("lost",)
    assert result.values("vector", "recall@10") == {"q1": 0, "q2": 0.5, "q3": 0}  # "lost" counts as not found
    assert result.mean("vector", "mrr@10") == pytest.approx(1 / 3)
    assert result.worst("vector", count=2) == ("q1", "q3")


def test_documents_that_are_the_query_itself_can_be_left_out(tmp_path, write):
    queries = [{"_id": "a", "text": "the same words"}]
    corpus = [{"_id": name, "text": text} for name, text in (("a", "x"), ("twin", " the same words\n"), ("b", "y"))]
    collection = Collection(write(tmp_path / "c", corpus, queries, [("a", "b", 1)]))
    store = ChosenRankings(collection, {"a": ["twin", "a", "b"]})
    with_them = evaluate(store, collection, modes=["keyword"], limit=1)
    assert with_them.run("keyword").documents("a") == ("twin",)
    without = evaluate(store, collection, modes=["keyword"], limit=1, leave_out_identical=True)
    assert without.run("keyword").documents("a") == ("b",)


def test_each_query_searches_only_its_group(folder):
    collection = Collection(folder)
    store = ChosenRankings(collection, EMPTY)
    evaluate(store, collection, modes=["keyword"], where_group="g")
    assert [asked.where for asked in store.asked] == [{"g": 2}, {"g": 1}, {"g": 1}]
    with pytest.raises(InputError, match="'q1' has no 'session' in its metadata"):
        evaluate(store, collection, where_group="session")


def test_modes_are_handed_on_and_progress_is_told(folder):
    collection, told = Collection(folder), []
    store = ChosenRankings(collection, EMPTY)
    evaluate(store, collection, queries=2, progress=lambda *step: told.append(step))
    assert [(asked.mode, asked.fusion) for asked in store.asked[::2]] == [
        ("hybrid", "usual"),
        ("keyword", "usual"),
        ("vector", "usual"),
    ]
    assert told[:2] == [("hybrid", 1, 2), ("hybrid", 2, 2)]
    assert len(told) == 6


def test_each_fusion_named_is_measured_by_itself(folder, monkeypatch):
    monkeypatch.setattr(evaluating, "FUSIONS", ("one", "two"))
    collection, told = Collection(folder), []
    store = ChosenRankings(collection, {**EMPTY, "q2": ["cheese"]})
    result = evaluate(store, collection, fusions=["two", "one"], queries=2, progress=lambda *step: told.append(step))
    assert [(asked.mode, asked.fusion) for asked in store.asked[::2]] == [
        ("hybrid", "two"),
        ("hybrid", "one"),
        ("keyword", "usual"),
        ("vector", "usual"),
    ]
    assert result.hybrids == ("hybrid (two)", "hybrid (one)")
    assert result.legs == ("keyword", "vector")
    assert result.measured("hybrid") is result.modes["hybrid (two)"]
    assert told[2] == ("hybrid (one)", 1, 2)
    found = result.to_dict()
    assert found["hybrid"] == found["hybrid (two)"]
    assert (found["hybrid"]["fusion"], found["hybrid (one)"]["fusion"]) == ("two", "one")
    assert "fusion" not in found["keyword"]


def test_the_scores_are_kept_in_an_order_that_can_be_read_from_them(folder):
    collection = Collection(folder)
    store = ChosenRankings(collection, {**EMPTY, "q1": ["beer", "wine", "wine", "bread"]})
    run = evaluate(store, collection, modes=["keyword"]).run("keyword")
    assert run.ranked["q1"] == (("beer", 1.0), ("wine", 1 / 2), ("bread", 1 / 4))


def test_every_search_that_needs_the_querys_vector_pays_for_it(folder):
    collection = Collection(folder)
    result = evaluate(ChosenRankings(collection, EMPTY), collection, queries=2)
    # the searches themselves take no time here; the 7 s are added where the vector was remembered, and only there
    assert [measured.latency(50) // 7 for measured in result.modes.values()] == [0, 0, 1]


def test_the_confidence_is_the_relevance_of_the_first_document(folder):
    collection = Collection(folder)
    store = ChosenRankings(collection, {**EMPTY, "q1": ["beer", "wine"], "q2": ["cheese"]}, relevance=0.8)
    result = evaluate(store, collection)
    assert result.measured("hybrid").relevance == {"q1": {"beer": 0.8, "wine": 0.4}, "q2": {"cheese": 0.8}}
    assert result.measured("hybrid").confidence == {"q1": 0.8, "q2": 0.8}
    found = result.to_dict()["hybrid"]
    assert found["confidence"] == pytest.approx(0.8)
    assert found["calibration_error"] == pytest.approx((2 * (1 - 0.8) + 0.4) / 3)  # wine is not relevant
    without = evaluate(ChosenRankings(collection, EMPTY), collection)
    assert without.measured("hybrid").confidence == {}
    assert "confidence" not in without.to_dict()["hybrid"]


def test_judgments_can_come_from_elsewhere(folder):
    collection = Collection(folder)
    store = ChosenRankings(collection, {**EMPTY, "unjudged": ["wine"]})
    result = evaluate(store, collection, split="mine", qrels=Qrels({"unjudged": {"wine": 1}}))
    assert (result.split, result.n, result.mean("hybrid")) == ("mine", 1, 1.0)
    assert result.texts == {"unjudged": "grapes"}


def test_the_metrics_asked_for_are_the_ones_told(folder):
    collection = Collection(folder)
    store = ChosenRankings(collection, {**EMPTY, "q2": ["wine", "cheese"]})
    result = evaluate(store, collection, modes=["keyword"], metrics=["map", "p@1", "map"])
    found = result.to_dict()["keyword"]
    assert found["map"] == pytest.approx(1 / 2 / 2 / 3)
    assert list(found)[:3] == ["map", "p@1", "p50_ms"]
    assert result.mean("keyword", "mrr@10") == pytest.approx(1 / 2 / 3)  # another one can still be asked for


def test_queries_can_be_chosen_by_number_or_by_id(folder):
    collection = Collection(folder)
    store = ChosenRankings(collection, EMPTY)
    assert list(evaluate(store, collection, modes=["keyword"], queries=2).values("keyword")) == ["q1", "q2"]
    assert list(evaluate(store, collection, modes=["keyword"], queries=["q3"]).values("keyword")) == ["q3"]
    with pytest.raises(InputError, match="query 'q4' has no text or no relevant document"):
        evaluate(store, collection, queries=["q3", "q4"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modes": ["lexical"]}, "unknown mode 'lexical'; choose from hybrid, keyword, vector"),
        ({"split": "train"}, "no split 'train'"),
        ({"fusions": ["mixing"]}, "unknown fusion 'mixing'; choose from .*rrf"),
        ({"metrics": ["map", "best"]}, "unknown metric 'best'"),
        ({"metrics": []}, "at least one metric, such as ndcg@10"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"queries": 0}, "queries must be at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(folder, options, words):
    collection = Collection(folder)
    with pytest.raises(InputError, match=words):
        evaluate(ChosenRankings(collection, EMPTY), collection, **options)


def test_a_mode_that_was_not_evaluated_is_refused(folder):
    collection = Collection(folder)
    result = evaluate(ChosenRankings(collection, EMPTY), collection, modes=["keyword"])
    with pytest.raises(InputError, match="'hybrid' was not evaluated; there is keyword"):
        result.run("hybrid")


def test_the_dictionary_holds_the_means_the_counts_and_the_latencies(folder):
    collection = Collection(folder)
    result = evaluate(ChosenRankings(collection, {**EMPTY, "q2": ["cheese"]}), collection)
    found = result.to_dict()
    assert (found["collection"], found["split"], found["n"], found["limit"]) == ("kitchen", "test", 3, 100)
    assert (found["left_out"], found["unknown_queries"], found["unknown_documents"]) == (1, 1, 1)
    for mode in ("hybrid", "keyword", "vector"):
        assert found[mode]["ndcg@10"] == pytest.approx(result.mean(mode, "ndcg@10"))
        assert found[mode]["mrr@10"] == pytest.approx(1 / 3)
        assert found[mode]["no_results"] == 2
        assert 0 <= found[mode]["p50_ms"] <= found[mode]["p95_ms"]
        assert found[mode]["worst"] == ["q1", "q3", "q2"]


def test_the_real_store_is_indexed_once_and_finds_what_is_relevant(tmp_path, folder):
    collection = Collection(folder)
    with stores.open(tmp_path / "x.db", embedder="none") as store:
        assert index(store, collection).added == 5
        again = index(store, collection)
        assert (again.added, again.replaced, again.unchanged) == (0, 0, 5)
        result = evaluate(store, collection, modes=["keyword"])
    assert result.run("keyword").documents("q1")[0] == "beer"  # the only one with both words
    assert result.values("keyword", "mrr@10") == {"q1": 1.0, "q2": 1.0, "q3": 0.0}
    again = Run.from_scores({query: dict(ranked) for query, ranked in result.run("keyword").ranked.items()})
    assert score(again, collection.qrels()).values["mrr@10"].items() >= result.values("keyword", "mrr@10").items()


def test_the_real_store_finds_documents_by_their_chunks(tmp_path, write):
    words = np.random.default_rng(0).permutation([f"word{i}" for i in range(4000)])
    corpus = [{"_id": f"d{i}", "text": " common. ".join(words[400 * i : 400 * (i + 1)])} for i in range(10)]
    queries = [{"_id": f"q{i}", "text": f"common {words[400 * i + 350]}"} for i in range(10)]
    collection = Collection(write(tmp_path / "c", corpus, queries, [(f"q{i}", f"d{i}", 1) for i in range(10)]))
    with stores.open(tmp_path / "x.db", embedder="none") as store:
        assert index(store, collection, chunk=True).chunks > 20
        result = evaluate(store, collection, modes=["keyword"], limit=10)
    assert result.mean("keyword", "mrr@10") == 1
    assert all(len(result.run("keyword").documents(query["_id"])) == 10 for query in queries)


def test_only_documents_of_many_windows_are_chunked_by_default(tmp_path, write):
    short, long = "beer and bread", " ".join(f"wine {n}." for n in range(1000))
    corpus = [{"_id": "a", "text": short}, {"_id": "b", "text": long}, {"_id": "c", "text": short * 20}]
    collection = Collection(write(tmp_path / "c", corpus, [{"_id": "q", "text": "wine 999"}], [("q", "b", 1)]))
    with stores.open(tmp_path / "x.db", embedder="none") as store:
        seen = []
        report = index(store, collection, progress=seen.append)
        assert (report.added, seen[-1]) == (3, report)
        assert report.chunks > 10
        assert {id_: len(chunks) for id_, chunks in store.chunks.of(["a", "b", "c"]).items()} == {
            "a": 1,
            "b": report.chunks - 2,
            "c": 1,
        }
        assert index(store, collection).unchanged == 3
    with stores.open(tmp_path / "y.db", embedder="none") as store:
        assert index(store, collection, chunk=False).chunks == 3


def test_the_real_store_is_measured_in_all_three_modes(tmp_path, folder):
    collection = Collection(folder)
    with stores.open(tmp_path / "x.db", embedder=Letters()) as store:
        index(store, collection)
        result = evaluate(store, collection)
        again = evaluate(store, collection)
    assert without_times(again) == without_times(result)
    assert result.measured("hybrid").fusion == default_fusion()
    for mode in ("hybrid", "keyword", "vector"):
        write_run(result.run(mode), tmp_path / "a.run")
        assert read_run(tmp_path / "a.run").documents("q1") == result.run(mode).documents("q1")
        assert not result.run(mode).ranked["q1"][0][1].is_integer()  # a score, no count of ranks
    vector, keyword, hybrid = (result.run(mode) for mode in ("vector", "keyword", "hybrid"))
    assert len(vector.documents("q3")) == 5  # every document has a vector
    assert keyword.documents("q3") == ()
    assert hybrid.documents("q3") == vector.documents("q3")
    best = max(collection.corpus(), key=lambda document: cosine(document, "zeppelin"))
    assert vector.documents("q3")[0] == best.id


def without_times(result):
    found = result.to_dict()
    for mode in result.modes:
        del found[mode]["p50_ms"], found[mode]["p95_ms"]
    return json.dumps(found)


def default_fusion():
    return inspect.signature(stores.Store.search).parameters["fusion"].default


def cosine(document, query):
    letters = Letters()
    return letters.embed_query(f"{document.title} {document.text}") @ letters.embed_query(query)


def test_chosen_legs_are_measured_beside_the_modes(tmp_path, folder):
    with stores.open(tmp_path / "store.db", embedder=Letters()) as store:
        index(store, Collection(folder))
        result = evaluate(store, Collection(folder), legs=[["keyword", "letters"], ["keyword"]])
        assert list(result.modes) == ["hybrid", "keyword", "vector", "keyword + letters"]
        assert result.run("keyword + letters").documents("q1") == result.run("hybrid").documents("q1")
        assert result.hybrids == ("hybrid", "keyword + letters")
        with pytest.raises(InputError, match="this store has no leg 'numbers'; its legs are keyword, letters"):
            evaluate(store, Collection(folder), legs=[["keyword", "numbers"]])
