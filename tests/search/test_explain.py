"""An explanation says what a search did, and why each hit is where it is."""

import re

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.records import Trace


def test_the_text_describes_the_search(store):
    explanation = store.explain('castle -"stone" "the river"')
    story = str(explanation)
    for part in (
        'Query: castle -"stone" "the river"',
        "both legs",
        'Must contain: "the river"',
        "Must not contain: stone",
        "castle (in 1, idf ",
        "Keyword leg: 1 candidate, BM25 ",
        "Vector leg: 1 candidate, cosine ",
        "Fused by adaptive: the keyword leg weighs ",
        "the legs share 1 of their top 10.",
        "The keyword leg alone: 1. castle *.",
        "The vector leg alone: 1. castle *. (* is among the hits)",
        "1. castle  A castle  [0:28]",
        "keyword rank 1 (BM25 ",
        "vector rank 1 (cosine ",
        "Milliseconds: plan ",
    ):
        assert part in story, part


def test_it_says_which_part_of_a_text_longer_than_the_window_is_nearest():
    filling = " ".join(f"word{n}" for n in range(60))
    text = f"{filling} the castle by the river {filling}"
    with hs.open(":memory:", embedder=HashingEmbedder(64, max_tokens=22)) as store:
        store.add([{"id": "long", "title": "A title", "text": text}, {"id": "short", "text": "the river"}], chunk=False)
        explanation = store.explain("castle by the river")
        alone = store.explain("castle by the river", mode="keyword")
    long, short = (next(hit for hit in explanation.hits if hit.document_id == id_) for id_ in ("long", "short"))
    found = re.search(r"nearest at \[(\d+):(\d+)\], part (\d) of (\d) \(cosine 0", explanation.windows[long.chunk_id])
    start, end, part, parts = map(int, found.groups())
    assert "castle by" in text[start:end]
    assert len(text[start:end].split()) <= 20
    assert 1 < part < parts
    assert found.group() in str(explanation)
    assert short.chunk_id not in explanation.windows
    assert not alone.windows


def test_an_explanation_is_the_trace_of_the_same_search(store):
    explanation = store.explain("castle river", limit=3)
    trace = store.search("castle river", limit=3).trace
    assert isinstance(explanation, Trace)
    for name in ("query", "mode", "terms", "hits", "weights", "limit", "depth", "revision", "notes"):
        assert getattr(explanation, name) == getattr(trace, name)
    assert explanation.fused.chunks.tolist() == trace.fused.chunks.tolist()


def test_terms_carry_their_frequencies_and_whether_they_were_used(store):
    terms = {term.text: term for term in store.search('castle castles "the river" zebra').trace.terms}
    assert (terms["castl"].count, terms["castl"].document_frequency, terms["castl"].used) == (2, 1, True)
    assert terms["zebra"].document_frequency == 0
    assert (terms["river"].document_frequency, terms["river"].used) == (41, False)  # in the phrase alone
    assert terms["castl"].idf > terms["river"].idf


def test_many_terms_are_summed_up(store):
    story = str(store.explain(" ".join(f"word{n}" for n in range(20)), mode="keyword"))
    assert "and 8 more" in story


def test_a_fused_score_is_written_as_the_sum_that_it_is(store):
    explanation = store.explain("castle by the river", limit=5)
    sums = re.findall(r"score (\S+) = (\S+) × (\S+) \(.*?\) \+ (\S+) × (\S+) \(", str(explanation))
    assert len(sums) == 5
    for hit, numbers in zip(explanation.hits, sums, strict=True):
        score, keyword_weight, keyword, vector_weight, vector = map(float, numbers)
        assert score == pytest.approx(hit.score, abs=0.0006)
        assert keyword_weight * keyword + vector_weight * vector == pytest.approx(hit.score, abs=0.002)


def test_other_fusions_and_single_legs_show_ranks_instead_of_a_sum(store):
    story = str(store.explain("castle by the river", fusion="rrf", limit=1))
    assert "Fused by rrf, weights 1 and 1; the legs share" in story
    assert re.search(r"\n   score 0\.03\d\d: keyword rank \d+ \(BM25 \S+\) \+ vector rank \d+ \(cosine \S+\)\n", story)
    assert "Fused by" not in str(store.explain("castle by the river", mode="vector"))
    assert "Fused by convex, weights 0.5 and 0.5" in str(store.explain("castle", fusion="convex"))


def test_relevance_and_confidence_are_shown_where_they_are_known(store):
    explanation = store.explain("castle by the river", limit=2)
    confidence = explanation.evidence.confidence
    assert f"answer: {confidence:.2f}" in str(explanation)
    assert f"; relevance {explanation.hits[0].relevance:.2f}" in str(explanation)
    alone = str(store.explain("castle by the river", mode="keyword"))
    assert "answer" not in alone
    assert "relevance" not in alone


def test_candidates_below_the_threshold_are_counted(store):
    explanation = store.explain("quantum chromodynamics", min_relevance=0.5)
    relevance = explanation.evidence.relevance
    below = int((relevance < 0.5).sum())
    assert 0 < below < len(relevance)
    assert f"Less relevant than 0.5, and left out: {below} of {len(relevance)} candidates." in str(explanation)


def test_a_leg_alone_names_the_documents_it_would_rank_first(store):
    for query in ("castle by the river", "eine Burg", "number 7"):
        alone = store.explain(query).alone
        for leg in ("keyword", "vector"):
            first = dict.fromkeys(hit.document_id for hit in store.search(query, mode=leg))
            assert alone[leg] == tuple(first)[:3], (query, leg)
    assert store.explain("castle", mode="vector").alone == {}


def test_a_document_of_many_chunks_is_named_once():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add(hs.Document(id="long", text="\n\n".join(f"Turbine {n}. " + "word " * 200 for n in range(5))))
        store.add(hs.Document(id="short", text="A turbine spins"))
        assert sorted(store.explain("turbine").alone["keyword"]) == ["long", "short"]


def test_a_title_that_is_the_id_is_shown_once():
    with hs.open(":memory:", embedder="none") as store:
        store.add(hs.Document(id="zlib", title="zlib", text="compress"))
        assert "1. zlib  [0:8]" in str(store.explain("zlib"))


def test_a_store_without_vectors_describes_its_only_leg():
    with hs.open(":memory:", embedder="none") as store:
        store.add([hs.Document(id=f"p{n}", text=f"pump number{n}") for n in range(9)])
        story = str(store.explain("pump number3"))
    assert "score 0." in story
    assert "keyword rank 1 (BM25 " in story
    assert "Fused by" not in story


def test_an_unknown_power_of_the_vectors_is_stated():
    with hs.open(":memory:", embedder="none") as store:
        store.add([{"id": f"n{n}", "text": f"thing {n}"} for n in range(8)], vectors=np.eye(8))
        explanation = store.explain("thing 3", vector=np.eye(8)[3])
    assert explanation.power is None
    assert "The power of this store's vectors is unknown" in str(explanation)
    assert "answer" not in str(explanation)


def test_ignored_words_and_unknown_words_are_named(store):
    story = str(store.explain("where is the castle of zebras"))
    assert "In no passage: zebras." in story
    assert "Ignored, because they only carry the grammar: where, is, the, of." in story
