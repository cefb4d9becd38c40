"""Filling: words find added text at once, and the vectors follow, in any number of processes at once."""

import random
import re
import threading
import time
import zlib
from contextlib import suppress

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, ModelUnavailable
from hybridstore.evaluation import Qrels, Run, score
from hybridstore.search import provisional
from hybridstore.store import calibration, filling

TEXTS = [f"passage {n} about {word}" for n, word in enumerate(["sun", "moon", "tides", "comets", "waves"] * 8)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(filling, "_AT_ONCE", 6)
    monkeypatch.setattr(filling, "_SPREAD", 12)


class StoppedHereError(Exception):
    pass


def stop_after(count):
    def progress(done, _):
        if done >= count:
            raise StoppedHereError

    return progress


def missing_texts(store):
    return {passage.text for passage in store.embeddings.pending(1000)}


@pytest.mark.parametrize("place", ["store.db", ":memory:"])
def test_text_is_found_by_words_at_once_and_by_meaning_when_it_is_embedded(tmp_path, embedder, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hs.open(place, embedder=embedder) as store:
        report = store.add(TEXTS, vectors="later")
        assert (report.added, report.embedded, embedder.documents) == (40, 0, [])
        assert store.embeddings.missing_count() == 40
        results = store.search("comets")
        assert results[0].text.endswith("comets")
        assert results.trace.filled == 0.0
        assert store.search("comets", mode="vector").trace.notes[0].startswith("Meaning: 0 % of passages so far")
        calls = []
        assert store.embed(progress=lambda done, of: calls.append((done, of))) == 40
        assert calls == [(min(6 * n, 40), 40) for n in range(8)]
        assert (store.embeddings.missing_count(), store.check(), sorted(embedder.documents)) == (0, [], sorted(TEXTS))
        trace = store.search("comets").trace
        assert (trace.filled, trace.notes, trace.evidence.estimated) == (1.0, (), None)
        assert store.embed() == 0


def test_filling_leads_to_the_same_store_as_embedding_at_once(embedder):
    with hs.open(":memory:", embedder=embedder) as later, hs.open(":memory:", embedder=embedder) as now:
        later.add(TEXTS, vectors="later")
        later.embed()
        now.add(TEXTS)
        for query in ("comets", "moon and tides", "passage 7"):
            found, expected = later.search(query), now.search(query)
            assert [hit.text for hit in found] == [hit.text for hit in expected]
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected])
        assert later.state().calibration == now.state().calibration


def test_a_stopped_filling_goes_on_where_it_stopped(path, embedder):
    with hs.open(path, embedder=embedder) as store:
        store.add(TEXTS, vectors="later")
        with pytest.raises(StoppedHereError):
            store.embed(progress=stop_after(12))
        assert store.embeddings.missing_count() == 28
        assert store.embed(limit=10) == 10
        assert store.embed() == 18
        assert sorted(embedder.documents) == sorted(TEXTS)


def test_some_of_everywhere_come_first_then_what_was_found_then_the_newest(embedder):
    with hs.open(":memory:", embedder=embedder) as store:
        store.add(TEXTS, vectors="later")
        store.embed(limit=12)
        there = [TEXTS.index(text) for text in embedder.documents]
        assert (min(there), max(there)) == (0, 39)
        assert max(np.diff(sorted(there))) <= 8
        found = store.search("passage 3", mode="keyword")[0].text
        assert store.search("passage 3").trace.filled < 1.0
        before = missing_texts(store)
        store.embed(limit=6)
        assert found in embedder.documents
        assert not {hit.text for hit in store.search("passage 3", limit=3)} & missing_texts(store)
        store._found.clear()
        newest = sorted(missing_texts(store), key=TEXTS.index)[-6:]
        store.embed(limit=6)
        assert missing_texts(store) == before - set(embedder.documents)
        assert not set(newest) & missing_texts(store)


def test_what_the_query_log_asks_for_comes_before_the_newest(path, embedder):
    with hs.open(path, embedder=embedder, log_queries=True) as store:
        store.add(TEXTS, vectors="later")
        store.embed(limit=12)
        for _ in range(3):
            store.search("comets", mode="keyword")
    with hs.open(path, embedder=embedder) as store:
        asked = {text for text in missing_texts(store) if text.endswith("comets")}
        assert asked
        store.embed(limit=6)
        assert not asked & missing_texts(store)


def test_two_processes_hardly_do_the_same_work_and_lose_nothing(path, counting):
    first, second = counting(), counting()
    texts = [f"text number {n}" for n in range(240)]
    with hs.open(path, embedder=first) as one, hs.open(path, embedder=second) as other:
        one.add(texts, vectors="later")
        random.seed(1)
        go = threading.Barrier(2)  # both embed a block, then both store it
        for each in (first, second):
            plain = each.embed_documents
            each.embed_documents = lambda texts, plain=plain: (_meet(go), plain(texts))[1]
        threads = [threading.Thread(target=store.embed) for store in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.embeddings.missing_count() == 0
        assert one.check() == []
        assert {*first.documents, *second.documents} == set(texts)
        assert len(first.documents) + len(second.documents) < 1.25 * len(texts)


def _meet(barrier):
    with suppress(threading.BrokenBarrierError):  # the other one is done
        barrier.wait(timeout=2)


def test_a_document_that_is_replaced_or_removed_meanwhile_is_right(path, counting):
    slow = counting()
    with hs.open(path, embedder=slow) as store, hs.open(path, embedder=counting()) as other:
        store.add([hs.Document(id=f"d{n}", text=f"text number {n}") for n in range(12)], vectors="later")
        plain = slow.embed_documents

        def meanwhile(texts):
            slow.embed_documents = plain
            other.add(hs.Document(id="d0", text="another text"), vectors="later")
            other.add(hs.Document(id="d5", text="a third text"))
            other.remove("d11")
            return plain(texts)

        slow.embed_documents = meanwhile
        store.embed()
        assert (store.embeddings.missing_count(), store.count(), store.check()) == (0, 11, [])
        for name in ("d0", "d5"):
            (chunk,) = store.chunks.of([name])[name]
            expected = counting().embed_query(store.get(name).text)
            assert store.chunks.vectors([chunk])[0] == pytest.approx(expected, abs=1e-6)


def test_a_replaced_document_keeps_the_vectors_of_chunks_that_did_not_change(store, embedder):
    paragraphs = [f"Paragraph {n} is about {n} things that are all different from each other." for n in range(20)]
    store.add(hs.Document(id="long", text="\n\n".join(paragraphs)))
    made = len(embedder.documents)
    store.add(hs.Document(id="long", text="\n\n".join([*paragraphs, "And one more."])), vectors="later")
    assert len(embedder.documents) == made
    assert 1 <= store.embeddings.missing_count() <= 2
    store.embed()
    assert len(embedder.documents) - made <= 2


def test_a_reembedding_while_vectors_are_made_ends_with_its_own(path, counting):
    old, new = counting(), counting("other", dim=16)
    with hs.open(path, embedder=old) as store:
        store.add(TEXTS, vectors="later")
        plain = old.embed_documents

        def meanwhile(texts):
            old.embed_documents = plain
            with hs.open(path, embedder="none") as other:
                other.reembed(new)
            return plain(texts)

        old.embed_documents = meanwhile
        assert store.embed() == 0
    with hs.open(path, embedder=new) as store:
        assert (store.embeddings.missing_count(), store.stats().vectors, store.check()) == (0, 40, [])


def test_an_unfinished_reembedding_is_left_alone(path, counting):
    with hs.open(path, embedder=counting()) as store:
        store.add(TEXTS)
        with pytest.raises(StoppedHereError):
            store.reembed(counting("other"), progress=stop_after(6))
        store.add("one more", vectors="later")
        assert (store.embed(), store.embeddings.missing_count()) == (0, 0)
        assert store.reembed(counting("other")) == 41 - 6 or store.stats().vectors == 41


def test_the_store_is_calibrated_when_there_are_some_vectors_and_again_at_the_end(store, monkeypatch):
    measured = []
    measure = calibration._measured

    def counted(*arguments):
        found = measure(*arguments)
        measured.append(found.calibration)
        return found

    monkeypatch.setattr(calibration, "_measured", counted)
    store.add([f"{text} number {n}" for n, text in enumerate(TEXTS * 3)], vectors="later")
    store.embed()
    counts = [each.chunks for each in measured]
    assert counts[0] <= 12
    assert counts[-1] == 120
    assert len(counts) <= 6
    assert store.state().calibration == measured[-1]


@pytest.mark.parametrize("vectors", ["now", "sooner or later", ""])
def test_another_word_than_later_is_refused(store, vectors):
    with pytest.raises(InputError, match="later"):
        store.add("text", vectors=vectors)


def test_few_documents_are_embedded_at_once_and_many_later(store, monkeypatch, embedder):
    monkeypatch.setattr("hybridstore.store.writer._SOON", 300)
    with store.writer(vectors="soon") as writer:
        for text in TEXTS[:10]:
            writer.add(hs.Document(text=text))
    assert (writer.report.embedded, store.embeddings.missing_count()) == (10, 0)
    with store.writer(vectors="soon") as writer:
        for text in TEXTS[10:]:
            writer.add(hs.Document(text=text))
    assert (writer.report.embedded, store.embeddings.missing_count()) == (0, 30)


def test_vectors_are_made_in_the_background_while_others_add_text(path, embedder, counting, monkeypatch):
    monkeypatch.setattr(filling, "_LOOK", 0.01)
    with hs.open(path, embedder=embedder) as store, hs.open(path, embedder=counting()) as other:
        with filling.in_background(store):
            other.add(TEXTS, vectors="later")
            assert eventually(lambda: not store.embeddings.missing_count() and store.count() == 40)
            store.add("one more", vectors="later")
            assert eventually(lambda: not store.embeddings.missing_count())
        store.add("and another", vectors="later")
        assert store.embeddings.missing_count() == 1
        assert len(embedder.documents) == 41


def eventually(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_leaving_the_background_stops_between_two_blocks(path, embedder, monkeypatch):
    monkeypatch.setattr(filling, "_LOOK", 0.01)
    begun, plain = threading.Event(), embedder.embed_documents
    embedder.embed_documents = lambda texts: (begun.set(), time.sleep(0.05), plain(texts))[2]
    with hs.open(path, embedder=embedder) as store:
        store.add([f"text number {n}" for n in range(600)], vectors="later")
        with filling.in_background(store):
            assert begun.wait(20)
        assert 0 < store.stats().vectors < 600
        assert store.check()[0].what.startswith("chunks without a vector")


def test_leaving_the_background_keeps_what_was_made_of_a_slow_block(path, embedder, monkeypatch):
    monkeypatch.setattr(filling, "_AT_ONCE", 128)
    monkeypatch.setattr(filling, "_LOOK", 0.01)
    begun, plain = threading.Event(), embedder.embed_documents
    embedder.embed_documents = lambda texts: (begun.set(), time.sleep(0.1 * len(texts)), plain(texts))[2]
    with hs.open(path, embedder=embedder) as store:
        store.add([f"text number {n}" for n in range(500)], vectors="later")
        with filling.in_background(store):
            assert begun.wait(20)
            time.sleep(1.0)
            started = time.monotonic()
        assert time.monotonic() - started < 2.0  # a block takes 12.8 s
        made = store.stats().vectors
        assert 0 < made < 128
        assert store.embeddings.missing_count() == 500 - made


def test_an_embedder_that_fails_in_the_background_is_told_and_stops_nothing_else(path, embedder, monkeypatch):
    monkeypatch.setattr(filling, "_LOOK", 0.01)

    def fail(_):
        raise ModelUnavailable("counting", "its file is gone")

    with hs.open(path, embedder=embedder) as store:
        store.add(TEXTS, vectors="later")
        embedder.embed_documents = fail
        told = []
        monkeypatch.setattr(filling.warnings, "warn", lambda sentence, *_, **__: told.append(sentence))
        with filling.in_background(store):
            assert eventually(lambda: told)
            assert store.search("comets", mode="keyword")
        assert "its file is gone" in told[0]
        assert len(told) == 1


class TopicEmbedder(HashingEmbedder):
    """Knows a text's topic by the first of its topic's words, roughly: near to its topic, and to chance."""

    def embed_documents(self, texts):
        rows = []
        for text in texts:
            topic = re.search(r"w([0-9]+)x", text)
            own = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(self.dim)
            centre = np.random.default_rng(int(topic[1]) if topic else 999).standard_normal(self.dim)
            rows.append(own + 0.7 * centre)
        return (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def topics():
    """Return documents of 24 topics, queries with three words of a topic, and the judgments."""
    rng = random.Random(7)
    documents, queries, grades = [], {}, {}
    for topic in range(24):
        words = [f"w{topic}x{n}" for n in range(12)]
        for n in range(10):
            text = [*rng.sample(words, rng.randrange(1, 5)), *(f"noise{rng.randrange(60)}" for _ in range(12))]
            rng.shuffle(text)
            documents.append(hs.Document(id=f"t{topic}d{n}", text=" ".join(text)))
        for n in range(3):
            queries[f"q{topic}.{n}"] = " ".join([*rng.sample(words, 3), f"noise{rng.randrange(60)}"])
            grades[f"q{topic}.{n}"] = {f"t{topic}d{n}": 1 for n in range(10)}
    return documents, queries, Qrels(grades)


def quality(store, queries, judged, mode):
    hits = {id_: store.search(text, mode=mode, limit=20) for id_, text in queries.items()}
    run = Run.from_ranked({id_: [(hit.document_id, hit.score) for hit in found] for id_, found in hits.items()})
    return score(run, judged, ["ndcg@10"]).mean("ndcg@10")


@pytest.mark.parametrize("seed", range(2))
def test_with_half_of_the_vectors_hybrid_beats_words_and_no_passage_is_lower_for_lack_of_one(topics, seed, monkeypatch):
    documents, queries, judged = topics
    embedder = TopicEmbedder(64)
    with hs.open(":memory:", embedder=embedder) as whole, hs.open(":memory:", embedder=embedder) as half:
        whole.add(documents)
        half.add(documents, vectors="later")
        missing = half.embeddings.pending(1000)
        given = random.Random(seed).sample(missing, len(missing) // 2)
        vectors = embedder.embed_documents([passage.text for passage in given])
        half.embeddings.fill(half.embeddings.active, [passage.chunk for passage in given], vectors)
        half.calibrate()
        words, hybrid = (quality(half, queries, judged, mode) for mode in ("keyword", "hybrid"))
        assert words < hybrid < quality(whole, queries, judged, "hybrid")
        differences, scores = [], {True: [], False: []}
        for query in queries.values():
            part, full = half.search(query).trace, whole.search(query).trace
            assert part.filled == 0.5
            assert "50 % of passages so far" in part.notes[0]
            by_words = np.isin(part.evidence.chunks, part.keyword.chunks)
            for estimated in (True, False):
                chosen = part.evidence.chunks[by_words & (part.evidence.estimated == estimated)]
                scores[estimated] += part.fused.scores[np.isin(part.fused.chunks, chosen)].tolist()
            chosen = part.evidence.chunks[part.evidence.estimated]
            both = np.intersect1d(chosen, full.evidence.chunks)
            estimates = part.evidence.vector[part.evidence.chunks.searchsorted(both)]
            differences += (estimates - full.evidence.vector[full.evidence.chunks.searchsorted(both)]).tolist()
        assert abs(np.mean(differences)) < 0.25  # standard deviations
        monkeypatch.setattr(provisional, "USED", False)
        by_words = [half.search(query).trace.evidence for query in queries.values()]
        exact = [whole.search(query).trace.evidence for query in queries.values()]
        coarse = [
            part.vector[place] - full.vector[full.at(chunk)]
            for part, full in zip(by_words, exact, strict=True)
            for place, chunk in enumerate(part.chunks.tolist())
            if part.estimated[place] and full.at(chunk) is not None
        ]
        assert np.square(differences).mean() < np.square(coarse).mean()  # a student knows more than a line
        assert quality(half, queries, judged, "hybrid") < hybrid
        assert np.mean(scores[True]) == pytest.approx(np.mean(scores[False]), rel=0.1)


def test_words_alone_decide_while_the_first_few_vectors_are_made(topics):
    documents, queries, _ = topics
    with hs.open(":memory:", embedder=TopicEmbedder(64)) as store:
        store.add(documents, vectors="later")
        before = [store.search(query) for query in list(queries.values())[:5]]
        store.embed(limit=30)
        for result in before:
            again = store.search(result.trace.query)
            assert [(hit.chunk_id, hit.score) for hit in again] == [(hit.chunk_id, hit.score) for hit in result]
            assert again.trace.filled == 0.125
            assert store.search(result.trace.query, min_relevance=0.0).trace.evidence is not None
        assert store.search("nothing of the kind").trace.evidence is not None  # only meaning finds something


def test_the_trace_says_what_is_estimated(topics):
    documents, queries, _ = topics
    with hs.open(":memory:", embedder=TopicEmbedder(64)) as store:
        store.add(documents, vectors="later")
        store.embed(limit=100)
        query = next(iter(queries.values()))
        explanation = store.explain(query)
        assert str(explanation).count("estimated from its words") == sum(
            explanation.evidence.is_estimated(hit.chunk_id) for hit in explanation.hits
        )
        plain = explanation.to_dict()
        assert any(each["estimated"] for each in plain["evidence"])
        assert plain["filled"] == explanation.filled < 1.0
