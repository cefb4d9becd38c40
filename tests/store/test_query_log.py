"""The query log: written only if enabled, in batches, and never while a search waits."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import Triple
from hybridstore.evaluation import Collection, evaluate
from hybridstore.search.algebra_text import replayed
from hybridstore.serving import overview
from hybridstore.store.query_log import BATCH
from hybridstore.tuning.user_questions import from_log

TEXTS = {"chain": "Push the pin out with a chain tool.", "lamp": "The lamp flickers when its wire is loose."}


@pytest.fixture
def opened(path, embedder):
    """Open the same store again and again."""
    stores = []

    def again(**options):
        stores.append(hs.open(path, **({"embedder": embedder, "log_queries": True} | options)))
        return stores[-1]

    with hs.open(path, embedder=embedder) as store:
        store.add([hs.Document(id=name, text=text) for name, text in TEXTS.items()])
    yield again
    for store in stores:
        store.close()


def asked(store) -> dict[str, int]:
    return {each.query: each.times for each in store.query_log()}


def test_nothing_is_kept_unless_it_is_wanted(opened):
    store = opened(log_queries=False)
    store.search("where is the pin")
    store.close()
    assert asked(opened(log_queries=False)) == {}


def test_questions_are_kept_when_the_store_is_closed(opened):
    store, other = opened(), opened()
    for query in ("loose wire", "  loose wire\n", "pin"):
        store.search(query)
    assert asked(other) == {}
    store.close()
    store.close()
    assert asked(other) == {"loose wire": 2, "pin": 1}


def test_reading_the_log_includes_what_is_not_written_yet(opened):
    store = opened()
    store.search("pin")
    assert asked(store) == asked(opened()) == {"pin": 1}


def test_many_questions_are_written_before_the_store_is_closed(opened):
    store, other = opened(), opened()
    for n in range(BATCH):
        store.search(f"question {n}", mode="keyword")
    deadline = time.monotonic() + 20
    while len(other.query_log()) < BATCH and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(other.query_log()) == BATCH


def test_programs_questions_are_not_kept(opened):
    store = opened()
    store.explain("explained", expect="lamp")
    with store.unlogged():
        store.search("unlogged")
    with pytest.raises(hs.InputError):
        store.search("refused", limit=0)
    for nothing in ("", " \n"):
        with pytest.raises(hs.InputError):
            store.search(nothing)
    store.search("long " * 1000)
    store.search("person's")
    assert asked(store) == {"person's": 1}


def test_an_evaluation_is_not_kept(opened, tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "lamp", "text": "The lamp flickers."}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "evaluated"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tlamp\t1\n")
    store = opened()
    assert evaluate(store, Collection(tmp_path), split="test").n == 1
    assert asked(store) == {}


def test_another_thread_goes_on_being_logged(opened):
    store = opened()
    with store.unlogged(), ThreadPoolExecutor(1) as other:
        other.submit(store.search, "from the other thread").result()
        with store.unlogged():
            pass
        store.search("after an inner block")
    assert asked(store) == {"from the other thread": 1}


def test_no_question_is_lost_or_counted_twice_by_many_threads(opened):
    store = opened()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: store.search(f"q{n % 10}", mode="keyword"), range(300)))
    assert asked(store) == {f"q{n}": 30 for n in range(10)}


def test_a_search_does_not_wait_for_a_file_that_is_being_written(opened):
    store, other = opened(busy_timeout=60.0), opened()
    with other._backend._connections.atomic():
        done = threading.Event()

        def search():
            for n in range(BATCH + 5):
                store.search(f"q{n}", mode="keyword")
            done.set()

        thread = threading.Thread(target=search)
        thread.start()
        assert done.wait(20)
    thread.join()
    assert len(asked(store)) == BATCH + 5


def test_a_file_that_stays_busy_costs_questions_and_says_so(opened):
    store, other = opened(busy_timeout=0.05), opened()
    store.search("lost")
    with other._backend._connections.atomic(), pytest.warns(RuntimeWarning, match=r"1 queries were not written"):
        store.close()
    with pytest.raises(hs.HybridstoreError, match="closed"):
        store.count()
    assert asked(other) == {}


def test_what_could_not_be_written_waits_for_the_next_time(opened):
    store, other = opened(busy_timeout=0.01), opened()
    with other._backend._connections.atomic():
        for n in range(BATCH + 1):
            store.search(f"q{n}", mode="keyword")
        with pytest.raises(hs.FileBusy):
            store.query_log()
    assert len(asked(store)) == BATCH + 1


def test_questions_can_be_forgotten_with_what_was_made_of_them(opened):
    store = opened()
    chunk = store.search("pin")[0].chunk_id
    store.search("wire")
    store.feedback("pin", chunk)
    store.learning.add_triples([Triple(query="pin", kind="log", positive=chunk, score=1.0)])
    assert store.forget_queries([" pin ", "never asked"]) == 1
    assert asked(store) == {"wire": 1}
    assert (store.learning.feedback(), store.stats().triples) == ([], 0)
    assert store.forget_queries("wire") == 1
    assert store.forget_queries() == 0


def test_the_last_word_on_a_hit_is_kept(opened):
    store = opened(log_queries=False)
    hit = store.search("loose wire")[0]
    store.feedback("loose wire ", hit)
    store.feedback("loose wire", np.int64(hit.chunk_id), used=False)
    (feedback,) = store.learning.feedback()
    assert (feedback.query, feedback.chunk, feedback.document_id, feedback.used) == (
        "loose wire",
        hit.chunk_id,
        hit.document_id,
        False,
    )


def test_feedback_on_a_removed_chunk_is_rejected(opened):
    store = opened()
    hit = store.search("loose wire")[0]
    store.remove(hit.document_id)
    with pytest.raises(hs.NotFound, match="search again"):
        store.feedback("loose wire", hit)


@pytest.mark.parametrize("hit", ["lamp", 1.5, None, True, 2**70])
def test_feedback_on_what_is_not_a_hit_is_rejected(opened, hit):
    with pytest.raises(hs.InputError, match="chunk"):
        opened().feedback("loose wire", hit)


@pytest.mark.parametrize("query", ["", "  ", None, 3])
def test_feedback_without_a_query_is_rejected(opened, query):
    store = opened()
    with pytest.raises(hs.InputError, match="query"):
        store.feedback(query, store.search("wire")[0])


def test_forgetting_what_is_not_a_text_is_rejected(opened):
    with pytest.raises(hs.InputError, match="text"):
        opened().forget_queries([b"wire"])


def test_a_structured_query_is_kept_as_one_and_taught_from_by_none(opened, path):
    store = opened()
    query = hs.about("pin") & ~hs.words("lamp")
    found = [hit.document_id for hit in store.search(query)]
    store.search("loose wire")
    texts = {logged.query for logged in store.query_log()}
    (kept,) = texts - {"loose wire"}
    assert replayed(kept) == query
    assert [hit.document_id for hit in store.search(replayed(kept))] == found
    assert [question.text for question in from_log(store)] == ["loose wire"]
    assert {each["query"] for each in overview.learning(store)["queries"]} == {str(query), "loose wire"}
    assert replayed('{"a": 1}') == '{"a": 1}'
    assert store.forget_queries(kept) == 1
