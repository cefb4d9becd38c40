"""What a question comes to: its positive, its hard negatives, what the guards keep out, and what the store keeps."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import Negative, Triple
from hybridstore.backends.values import Passage
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.records import Evidence
from hybridstore.search.rank_fusion import adaptive
from hybridstore.text.analysis import Analyser
from hybridstore.tuning.harvesting import HarvestSettings, harvest, keep_triples
from hybridstore.tuning.synthetic_questions import Question, from_corpus
from hybridstore.tuning.user_questions import from_log

COUNT = 30
OPEN = HarvestSettings(margin=None, near=3)


class FakeStore:
    """A store of thirty chunks in documents of their own whose evidence is given: chunk → (keyword, vector · 12)."""

    def __init__(self, evidence, *, relevance=None, documents=None, weights=(0.5, 0.5)):
        words, deviations = np.zeros(COUNT), np.zeros(COUNT)
        for chunk, (keyword, vector) in evidence.items():
            words[chunk], deviations[chunk] = keyword, 12 * vector
        relevant = np.zeros(COUNT)
        for chunk, value in (relevance or {}).items():
            relevant[chunk] = value
        self.evidence = Evidence(
            chunks=np.arange(COUNT), keyword=words, coverage=words, vector=deviations, relevance=relevant
        )
        self.documents = {chunk: f"d{chunk}" for chunk in range(COUNT)} | (documents or {})
        self.weights, self.asked, self.options = weights, [], {}
        self.analyser = Analyser("english")
        self.language, self.embeddings = "english", SimpleNamespace(active="some")
        self.chunks = SimpleNamespace(
            passages=lambda chunks: [
                Passage(chunk, self.documents[chunk], f"text {chunk}", "", "", "", 0, 0, {}) for chunk in chunks
            ],
            vectors=lambda chunks: np.eye(COUNT, dtype=np.float32)[list(chunks)],
            sample=lambda: (np.arange(COUNT), np.eye(COUNT, dtype=np.float32)),
            of=lambda documents: {
                document: [chunk for chunk, name in self.documents.items() if name == document]
                for document in documents
            },
        )

    def unlogged(self):
        return nullcontext()

    def search(self, query, **options):
        self.asked.append(query)
        self.options = options
        fused = adaptive(self.evidence, self.weights)
        trace = SimpleNamespace(query=query, terms=(), evidence=self.evidence, fused=fused)
        return SimpleNamespace(trace=trace)


# Chunk 0 answers; 1, 2 have words, 3, 4 have meaning.
ONE_SIDED = {0: (0.9, 0.9), 1: (0.8, 0.0), 2: (0.7, 0.1), 3: (0.0, 0.8), 4: (0.1, 0.7)}
KNOWN = Question("how?", "labelled", positive=0)


def one(store, question=KNOWN, settings=OPEN, **options):
    (found,) = harvest(store, [question], settings=settings, **({"judged": False} | options))
    return found


def negatives(found):
    return [(each.chunk, each.leg) for each in found.triple.negatives]


# Searching


def test_every_question_is_searched_once_at_full_depth():
    store = FakeStore(ONE_SIDED)
    list(harvest(store, [KNOWN, replace(KNOWN, positive=1), replace(KNOWN, text="why?")]))
    assert store.asked == ["how?", "why?"]
    assert store.options == {"limit": 1, "depth": 200}


def test_a_store_without_vectors_is_rejected_before_anything_is_searched():
    store = FakeStore(ONE_SIDED)
    store.embeddings.active = None
    with pytest.raises(InputError, match="reembed"):
        harvest(store, [KNOWN])
    assert store.asked == []


def test_a_question_that_only_one_leg_could_search_gives_no_triple():
    store = FakeStore(ONE_SIDED)
    store.evidence = None
    store.search = lambda *_, **__: SimpleNamespace(trace=SimpleNamespace(evidence=None, fused=[]))
    found = one(store)
    assert (found.triple, found.reason, found.disagreed) == (None, "unsearched", None)


@pytest.mark.parametrize("wrong", [{"negatives": 0}, {"near": 0}, {"margin": 0.0}, {"margin": 1.5}])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(InputError):
        HarvestSettings(**wrong)


# Negatives


def test_hard_negatives_are_near_the_top_of_one_ranking_only():
    assert negatives(one(FakeStore(ONE_SIDED))) == [(1, "keyword"), (3, "vector"), (2, "keyword"), (4, "vector")]


def test_a_passage_near_the_top_of_both_rankings_is_no_hard_negative():
    store = FakeStore(ONE_SIDED | {5: (0.85, 0.85)})
    assert 5 not in [chunk for chunk, _ in negatives(one(store))]


def test_the_highest_come_first_up_to_the_limit():
    assert negatives(one(FakeStore(ONE_SIDED), settings=replace(OPEN, negatives=2))) == [(1, "keyword"), (3, "vector")]


def test_no_negative_is_of_a_document_that_answers():
    store = FakeStore(ONE_SIDED, documents={1: "d0"})
    found = one(store, replace(KNOWN, answers=frozenset({"d3"})))
    assert [chunk for chunk, _ in negatives(found)] == [2, 4]


def test_scores_are_fused_scores():
    found = one(FakeStore(ONE_SIDED, weights=(0.25, 0.75)))
    assert found.triple.score == pytest.approx(0.9)
    assert found.triple.negatives[1].score == pytest.approx(0.25 * 0.0 + 0.75 * 0.8)


def test_known_wrong_chunks_come_first_and_pass_no_guard():
    store = FakeStore(ONE_SIDED | {5: (0.89, 0.89), 6: (0.1, 0.1)})
    found = one(
        store, replace(KNOWN, wrong=frozenset({5, 99})), settings=HarvestSettings(near=3), judge=lambda *_: "answers"
    )
    assert found.triple.negatives[0] == Negative(chunk=5, leg="keyword", score=pytest.approx(0.89))


# Positives


def test_the_best_chunk_of_a_document_known_to_answer_is_the_positive():
    store = FakeStore(ONE_SIDED | {7: (0.3, 0.3), 8: (0.4, 0.4)}, documents={7: "long", 8: "long"})
    assert one(store, Question("how?", "labelled", document="long")).triple.positive == 8


def test_an_answer_that_neither_leg_found_gives_no_triple():
    for question in (replace(KNOWN, positive=COUNT + 5), Question("how?", "labelled", document="elsewhere")):
        found = one(FakeStore(ONE_SIDED), question)
        assert (found.triple, found.reason) == (None, "lost")


def test_a_question_without_an_answer_takes_the_first_hit_if_the_store_is_sure():
    asked = Question("how?", "log")
    assert one(FakeStore(ONE_SIDED, relevance={0: 0.5}), asked).triple.positive == 0
    assert one(FakeStore(ONE_SIDED, relevance={0: 0.49}), asked).reason == "unsure"


def test_a_first_hit_that_only_one_ranking_has_near_the_top_is_no_positive():
    lonely = {0: (0.0, 0.9)} | dict.fromkeys(range(1, 5), (0.1, 0.5))
    assert one(FakeStore(lonely, relevance={0: 1.0}, weights=(0.1, 0.9)), Question("how?", "log")).reason == "unsure"


def test_a_first_hit_with_negative_feedback_is_no_positive():
    asked = Question("how?", "feedback", wrong=frozenset({0}))
    assert one(FakeStore(ONE_SIDED, relevance={0: 1.0}), asked).reason == "unsure"


# Disagreement


def test_the_legs_disagree_when_fewer_than_five_of_ten_are_the_same():
    def overlapping(count):
        both = dict.fromkeys(range(count), (0.9, 0.9))
        words = dict.fromkeys(range(10, 20 - count), (0.8, 0.0))
        return FakeStore(both | words | dict.fromkeys(range(20, 30 - count), (0.0, 0.8)))

    assert [(one(overlapping(n)).overlap, one(overlapping(n)).disagreed) for n in (4, 5)] == [(4, True), (5, False)]


def test_the_legs_disagree_when_the_positive_stands_in_one_top_ten_alone():
    alike = dict.fromkeys(range(11), (0.9, 0.9))
    assert not one(FakeStore(alike)).disagreed
    found = one(FakeStore(alike | {0: (0.95, 0.0)}))  # first by words, eleventh by meaning
    assert (found.overlap, found.disagreed, found.triple.disagreed) == (9, True, True)


# Guards


def test_a_negative_above_the_margin_is_excluded_and_recorded():
    found = one(FakeStore(ONE_SIDED), settings=replace(OPEN, margin=0.44))
    excluded = {each.chunk: each.excluded for each in found.triple.negatives}
    assert excluded == {1: "margin", 3: "margin", 2: "margin", 4: "margin"}
    found = one(FakeStore(ONE_SIDED | {1: (0.7, 0.0)}), settings=replace(OPEN, margin=0.4))
    assert {each.chunk: each.excluded for each in found.triple.negatives}[1] is None


def test_excluded_negatives_do_not_count():
    judge = {1: "answers", 3: "no", 2: "no", 4: "no"}
    found = one(
        FakeStore(ONE_SIDED), settings=replace(OPEN, negatives=2), judged=True, judge=lambda _, __, c: judge[c.chunk]
    )
    assert [(each.chunk, each.excluded) for each in found.triple.negatives] == [(1, "judge"), (3, None), (2, None)]


def test_a_judge_reads_the_question_the_positive_and_the_candidate():
    seen = []

    def judge(trace, positive, candidate):
        seen.append((trace.query, positive.text, candidate.text, candidate.document_id))
        return "no"

    one(FakeStore(ONE_SIDED), judged=True, judge=judge)
    assert seen[0] == ("how?", "text 0", "text 1", "d1")


def test_a_better_answer_replaces_a_positive_that_was_not_known():
    asked = Question("how?", "log")
    judge = lambda _, __, candidate: "better" if candidate.chunk == 3 else "no"  # noqa: E731
    found = one(FakeStore(ONE_SIDED, relevance={0: 0.9}), asked, judged=True, judge=judge)
    assert (found.triple.positive, found.triple.promoted) == (3, True)
    assert found.triple.score == pytest.approx(0.4)
    assert {0, 3}.isdisjoint(chunk for chunk, _ in negatives(found))


@pytest.mark.parametrize("known", [KNOWN, Question("how?", "crop", 0, 0), Question("how?", "labelled", document="d0")])
def test_a_known_answer_stays_whatever_the_judge_prefers(known):
    found = one(FakeStore(ONE_SIDED), known, judged=True, judge=lambda *_: "better")
    assert (found.triple.positive, found.triple.promoted) == (0, False)
    assert {each.excluded for each in found.triple.negatives} == {"judge"}


# A real store


PARTS = ("valve", "gasket", "flange", "bearing", "piston", "rotor", "stator", "bushing", "sprocket", "spindle")
PLACES = ("northern workshop", "old pumping station", "paint shop", "foundry by the canal", "tool room")


@pytest.fixture
def store(tmp_path):
    with hs.open(tmp_path / "parts.db", embedder=HashingEmbedder()) as store:
        store.add(
            [
                hs.Document(
                    id=f"{part}-{place.split()[0]}",
                    title=f"The {part} in the {place}",
                    text=f"Every {part} of the {place} is inspected in autumn and greased with lithium soap. "
                    f"A worn {part} hums at low speed; then the crew of the {place} takes it apart on a bench.",
                )
                for part in PARTS
                for place in PLACES
            ]
        )
        yield store


def test_a_harvest_is_kept_in_the_store_and_read_again(store):
    reports = []
    found = keep_triples(store, harvest(store, from_corpus(store, most=40)), progress=reports.append)
    assert reports == found
    triples = list(store.learning.triples())
    assert [replace(each, number=0) for each in triples] == [each.triple for each in found if each.triple]
    assert len(triples) > 30
    assert any(each.negatives for each in triples)


def test_a_harvests_searches_are_not_logged(tmp_path):
    with hs.open(tmp_path / "log.db", embedder=HashingEmbedder(), log_queries=True) as store:
        store.add([hs.Document(id=part, text=f"The {part} is greased in autumn.") for part in PARTS])
        store.search("a person asks")
        assert len(list(harvest(store, from_log(store)))) == 1
        assert len(list(harvest(store, [Question("a program asks", "log")]))) == 1
        assert [each.query for each in store.query_log()] == ["a person asks"]


def test_a_new_harvest_replaces_the_one_before_or_adds_to_it(store):
    for replaced, count in ((False, 1), (False, 2), (True, 1)):
        keep_triples(store, harvest(store, from_corpus(store, most=1, kinds=("crop",))), replace=replaced)
        assert store.learning.count_triples() == count


def test_a_harvest_without_triples_leaves_those_from_before(store):
    keep_triples(store, harvest(store, from_corpus(store, most=1, kinds=("crop",))))
    keep_triples(store, harvest(store, []), replace=True)
    assert store.learning.count_triples() == 1


def test_triples_made_before_an_interruption_are_stored(store):
    def breaking():
        yield from harvest(store, from_corpus(store, most=3, kinds=("crop",)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_triples(store, breaking())
    assert store.learning.count_triples() == 3


def test_a_near_copy_of_the_answer_is_never_a_negative(store):
    text = store.get("valve-tool").text
    store.add(
        [hs.Document(id=f"copy-{n}", title="The valve in the tool room", text=text + f" Copy {n}.") for n in range(3)]
    )
    copies = {
        chunk
        for n in range(3)
        for chunk in [hit.chunk_id for hit in store.search(f"copy {n}", limit=60)]
        if store.chunks.passages([chunk])[0].document_id.startswith("copy")
    }
    for each in harvest(store, from_corpus(store, most=60)):
        if each.triple and store.chunks.passages([each.triple.positive])[0].document_id == "valve-tool":
            assert copies.isdisjoint(n.chunk for n in each.triple.negatives if n.excluded is None)


def test_triples_are_values():
    assert isinstance(one(FakeStore(ONE_SIDED)).triple, Triple)
