"""The contract of learning: models, triples, questions and feedback, and that all of it goes with its documents."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import EMBEDDING, FEW, OTHER, chunks_of, entry, texts, units

from hybridstore.backends.learning import ModelVersion, Negative, Triple
from hybridstore.backends.protocols import Backend
from hybridstore.errors import InputError, NotFound

VECTORS = units(np.random.default_rng(31), 12)
ADAPTER = ModelVersion(
    kind="adapter",
    source=EMBEDDING.fingerprint,
    target=EMBEDDING.fingerprint,
    reference=EMBEDDING.reference,
    report={"gain": 0.25, "queries": [1, 2], "note": "ünlike"},
    weights=b"\x00weights" * 3000,
)


def chunk(backend: Backend, id_: str) -> int:
    return chunks_of(backend, id_)[0]


def triple(backend: Backend, query: str, positive: str, *negatives: str, **fields) -> Triple:
    bad = tuple(
        Negative(chunk=chunk(backend, id_), leg="vector", score=0.5 / place)
        for place, id_ in enumerate(negatives, start=1)
    )
    return Triple(
        **{"kind": "log", "score": 0.5} | fields, query=query, positive=chunk(backend, positive), negatives=bad
    )


class LearningContract:
    @pytest.fixture
    def taught(self, backend):
        """Give a store of six documents of one chunk each."""
        backend.put([entry(f"d{n}", f"text {n}", vectors=VECTORS[n : n + 1]) for n in range(6)], embedding=EMBEDDING)
        return backend

    # models

    def test_a_new_store_has_no_model(self, taught):
        assert (taught.learning.model(), taught.learning.models(), taught.stats().model) == (None, [], None)

    def test_a_model_comes_back_as_it_was_proposed(self, taught):
        number = taught.learning.propose(ADAPTER)
        (listed,) = taught.learning.models()
        assert (listed.number, listed.state, listed.weights, listed.previous) == (number, "candidate", b"", None)
        assert (listed.kind, listed.source, listed.target, listed.reference) == (
            "adapter",
            *[EMBEDDING.fingerprint] * 2,
            "made",
        )
        assert listed.report == ADAPTER.report
        assert listed.made.endswith("Z")
        assert taught.learning.model() is None
        assert taught.learning.promote(number).weights == taught.learning.model().weights == ADAPTER.weights

    def test_the_active_model_is_the_one_promoted_last(self, taught):
        first, second = taught.learning.propose(ADAPTER), taught.learning.propose(ADAPTER)
        assert second > first >= 1
        for number in (first, second):
            taught.learning.promote(number)
            assert taught.learning.model().number == taught.stats().model == number
        assert [each.state for each in taught.learning.models()] == ["retired", "active"]
        assert taught.learning.promote(None) is None
        assert taught.learning.model() is None
        assert [each.state for each in taught.learning.models()] == ["retired", "retired"]

    def test_going_back_again_and_again_ends_at_the_plain_embedder(self, taught):
        numbers = [taught.learning.propose(ADAPTER) for _ in range(3)]
        for number in numbers:
            taught.learning.promote(number)
        walked = []
        while (model := taught.learning.model()) is not None:
            walked.append(model.number)
            taught.learning.promote(model.previous)
        assert walked == numbers[::-1]

    def test_an_older_model_promoted_out_of_turn_goes_back_to_the_one_it_replaced(self, taught):
        first, second, third = (taught.learning.propose(ADAPTER) for _ in range(3))
        for number in (first, second, third, first):
            taught.learning.promote(number)
        assert taught.learning.model().previous == third

    def test_only_a_promotion_that_changes_something_adds_a_revision(self, taught):
        before = taught.state().revision
        number = taught.learning.propose(ADAPTER)
        taught.learning.add_triples([triple(taught, "q", "d0")])
        taught.learning.log_queries(["q"])
        taught.learning.add_feedback("q", chunk(taught, "d0"), used=True)
        assert taught.learning.promote(None) is None
        assert taught.state().revision == before
        taught.learning.promote(number)
        taught.learning.promote(number)
        assert taught.state().revision == before + 1
        taught.learning.promote(None)
        assert taught.state().revision == before + 2

    def test_another_handle_sees_a_promotion(self, taught, open_backend):
        other = open_backend()
        first, second = taught.learning.propose(ADAPTER), taught.learning.propose(ADAPTER)
        for number in (first, second, first):
            taught.learning.promote(number)
            assert other.learning.model() == taught.learning.model()
            assert other.learning.model().number == number
        taught.learning.promote(None)
        assert other.learning.model() is None

    def test_a_snapshot_keeps_its_model(self, taught, open_backend):
        first, second = taught.learning.propose(ADAPTER), taught.learning.propose(ADAPTER)
        taught.learning.promote(first)
        other = open_backend()
        with other.snapshot():
            assert other.learning.model().number == first
            taught.learning.promote(second)
            assert other.learning.model().number == first
        assert other.learning.model().number == second

    def test_an_unknown_model_cannot_be_promoted(self, taught):
        with pytest.raises(NotFound, match="model history"):
            taught.learning.promote(7)

    def test_a_model_for_other_vectors_cannot_be_promoted(self, taught, open_backend):
        fields = {"kind": "drift", "source": "x@1", "reference": "x", "target": OTHER.fingerprint}
        number = taught.learning.propose(ModelVersion(**fields))
        with pytest.raises(InputError, match=r"other@1.*made@1"):
            taught.learning.promote(number)
        empty = open_backend("empty")
        with pytest.raises(InputError, match="has none"):
            empty.learning.promote(empty.learning.propose(ModelVersion(**fields)))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"kind": "spell"},
            {"state": "active"},
            {"state": "new"},
            {"report": {"x": float("nan")}},
            {"report": {"x": {1}}},
        ],
        ids=str,
    )
    def test_a_model_that_cannot_be_kept_is_refused(self, taught, wrong):
        fields = {"kind": "adapter", "source": "a", "target": "a", "reference": "a"} | wrong
        with pytest.raises(InputError):
            taught.learning.propose(ModelVersion(**fields))
        assert taught.learning.models() == []

    # triples

    def test_triples_come_back_as_they_were_kept(self, taught):
        excluded = Negative(chunk=chunk(taught, "d3"), leg="keyword", score=0.125, excluded="judge")
        plain = triple(taught, "one", "d0", "d1", "d2")
        kept = [
            Triple(**_fields(plain) | {"negatives": (*plain.negatives, excluded)}),
            triple(
                taught,
                "two",
                "d1",
                kind="title",
                origin=chunk(taught, "d1"),
                disagreed=False,
                promoted=True,
                score=-1.5,
            ),
        ]
        taught.learning.add_triples(kept)
        found = list(taught.learning.triples())
        assert [Triple(**_fields(each) | {"number": 0}) for each in found] == kept
        assert found[0].number < found[1].number
        assert taught.learning.count_triples() == taught.stats().triples == 2

    def test_triples_are_given_by_kind_and_no_more_than_asked_for(self, taught):
        many = [triple(taught, f"q{n}", "d0", "d1", kind=("title", "log")[n % 2]) for n in range(450)]
        taught.learning.add_triples(many)
        assert [each.query for each in taught.learning.triples()] == [each.query for each in many]
        titles = [each.query for each in many if each.kind == "title"]
        assert [each.query for each in taught.learning.triples(kind="title")] == titles
        assert [each.query for each in taught.learning.triples(kind="title", limit=201)] == titles[:201]
        assert list(taught.learning.triples(kind="nothing such")) == list(taught.learning.triples(limit=0)) == []

    def test_reading_triples_ends_although_the_reader_adds_some(self, taught):
        taught.learning.add_triples([triple(taught, f"q{n}", "d0") for n in range(250)])
        read = []
        for each in taught.learning.triples():
            read.append(each.query)
            assert len(read) <= 250
            taught.learning.add_triples([triple(taught, "another", "d0")])
        assert read == [f"q{n}" for n in range(250)]

    def test_triples_of_chunks_that_are_gone_are_left_out(self, taught):
        stale = [
            triple(taught, "positive", "d0"),
            triple(taught, "origin", "d1", origin=chunk(taught, "d0")),
            triple(taught, "negative", "d1", "d0", "d2"),
        ]
        taught.remove(["d0"])
        taught.learning.add_triples(stale)
        (kept,) = taught.learning.triples()
        assert (kept.query, [each.chunk for each in kept.negatives]) == ("negative", [chunk(taught, "d2")])

    def test_triples_can_be_dropped(self, taught):
        taught.learning.add_triples([triple(taught, "q", "d0", "d1")] * 3)
        assert taught.learning.drop_triples() == 3
        assert taught.learning.drop_triples() == taught.learning.count_triples() == 0
        assert taught.check() == []

    def test_a_triple_that_cannot_be_kept_is_refused_with_all_the_others(self, taught):
        good = triple(taught, "good", "d0")
        for bad in (
            triple(taught, "bad", "d0", score=float("nan")),
            Triple(**_fields(good) | {"negatives": (Negative(chunk=good.positive, leg="nose", score=1.0),)}),
        ):
            with pytest.raises(InputError):
                taught.learning.add_triples([good, bad])
        assert taught.learning.count_triples() == 0

    # what people asked

    def test_the_log_counts_each_question(self, taught):
        taught.learning.log_queries(["b", "a", "b"])
        taught.learning.log_queries(["b", "c"])
        found = taught.learning.query_log()
        assert [(each.query, each.times) for each in found] == [("b", 3), ("a", 1), ("c", 1)]
        assert all(each.last.endswith("Z") for each in found)

    @FEW
    @given(st.lists(texts, unique=True, max_size=6), st.data())
    def test_any_question_can_be_kept_and_forgotten(self, open_backend, queries, data):
        learning = open_backend().learning
        learning.forget_queries()
        learning.log_queries(queries)
        assert {each.query for each in learning.query_log()} == set(queries)
        gone = data.draw(st.sets(st.sampled_from(queries))) if queries else set()
        assert learning.forget_queries([*gone, "never asked, this one"]) == len(gone)
        assert {each.query for each in learning.query_log()} == set(queries) - gone
        assert learning.forget_queries() == len(queries) - len(gone)

    def test_half_of_a_surrogate_pair_harms_nothing(self, taught):
        taught.learning.log_queries(["odd \ud83d"])
        assert [each.query for each in taught.learning.query_log()] == ["odd ?"]
        assert taught.learning.forget_queries(["odd \ud83d"]) == 1

    def test_what_was_made_of_a_question_is_forgotten_with_it(self, taught):
        taught.learning.log_queries(["mine", "other"])
        for query in ("mine", "other", "unlogged"):
            taught.learning.add_triples([triple(taught, query, "d0", "d1")])
            taught.learning.add_feedback(query, chunk(taught, "d2"), used=True)
        assert taught.learning.forget_queries(["mine"]) == 1
        assert {each.query for each in taught.learning.triples()} == {"other", "unlogged"}
        assert {each.query for each in taught.learning.feedback()} == {"other", "unlogged"}
        assert taught.learning.forget_queries() == 1
        assert {each.query for each in taught.learning.feedback()} == {"unlogged"}
        assert taught.learning.forget_queries(["unlogged"]) == 0
        assert (taught.learning.feedback(), taught.learning.count_triples()) == ([], 0)
        assert taught.check() == []

    # what they said about the answers

    def test_the_last_word_on_a_chunk_counts(self, taught):
        first, second = chunk(taught, "d0"), chunk(taught, "d1")
        taught.learning.add_feedback("q", first, used=True)
        taught.learning.add_feedback("q", second, used=True)
        taught.learning.add_feedback("r", first, used=True)
        taught.learning.add_feedback("q", first, used=False)
        told = [(each.query, each.document_id, each.chunk, each.used) for each in taught.learning.feedback()]
        assert told == [("q", "d1", second, True), ("r", "d0", first, True), ("q", "d0", first, False)]

    def test_a_word_on_a_chunk_that_is_gone_is_refused(self, taught):
        gone = chunk(taught, "d0")
        taught.remove(["d0"])
        with pytest.raises(NotFound, match="search again"):
            taught.learning.add_feedback("q", gone, used=True)
        assert taught.learning.feedback() == []

    # all of it goes with its documents

    @pytest.mark.parametrize("way", ["removed", "replaced", "its source removed"])
    def test_what_names_a_document_goes_with_it(self, taught, way):
        taught.put([entry("s", "from a file", vectors=VECTORS[6:7], source="/file")], embedding=EMBEDDING)
        taught.learning.add_triples(
            [
                triple(taught, "positive", "s", "d1"),
                triple(taught, "origin", "d1", "d2", origin=chunk(taught, "s")),
                triple(taught, "negative", "d1", "d2", "s", "d3"),
                triple(taught, "other", "d1", "d2"),
            ]
        )
        for id_ in ("s", "d1"):
            taught.learning.add_feedback("q", chunk(taught, id_), used=True)
        if way == "removed":
            taught.remove(["s"])
        elif way == "replaced":
            taught.put([entry("s", "another text", vectors=VECTORS[7:8])], embedding=EMBEDDING)
        else:
            taught.remove_sources(["/file"])
        found = {each.query: [negative.chunk for negative in each.negatives] for each in taught.learning.triples()}
        assert found == {
            "negative": [chunk(taught, "d2"), chunk(taught, "d3")],
            "other": [chunk(taught, "d2")],
        }
        assert [each.document_id for each in taught.learning.feedback()] == ["d1"]
        assert taught.check() == []

    def test_what_names_a_chunk_stays_while_its_words_do(self, taught):
        def two(first: str, second: str, vectors, **fields):
            text = first + second
            spans = [(0, len(first)), (len(first), len(text))]
            return entry("two", text, spans=spans, vectors=vectors, **fields)

        taught.put([two("stays ", "goes", VECTORS[6:8])], embedding=EMBEDDING)
        stays, goes = chunks_of(taught, "two")
        for number, positive in enumerate((stays, goes)):
            taught.learning.add_feedback(f"q{number}", positive, used=True)
            made = triple(taught, f"q{number}", "d1", "d2", origin=positive)
            taught.learning.add_triples([made])
        other = triple(taught, "other", "d1", "d2", "d3")
        bad = (Negative(chunk=stays, leg="keyword", score=1.0), *other.negatives)
        taught.learning.add_triples([replace(other, negatives=bad)])
        new = two("longer than it was ", "stays ", VECTORS[6:8][::-1], metadata={"said": "again"})
        taught.put([new], embedding=EMBEDDING)
        _, now = chunks_of(taught, "two")
        assert now not in {stays, goes}
        assert [(each.query, each.chunk) for each in taught.learning.feedback()] == [("q0", now)]
        found = {each.query: each for each in taught.learning.triples()}
        assert sorted(found) == ["other", "q0"]
        assert found["q0"].origin == now
        assert found["other"].negatives[0].chunk == now
        assert taught.check() == []
        taught.remove(["two"])
        assert taught.learning.feedback() == []
        assert [each.query for each in taught.learning.triples()] == ["other"]

    def test_equal_chunks_of_a_document_keep_what_is_said_about_each(self, taught):
        spans = [(0, 2), (2, 4), (4, 6)]
        taught.put([entry("same", "a a a ", spans=spans)])
        before = chunks_of(taught, "same")
        for number, one in enumerate(before):
            taught.learning.add_feedback(f"q{number}", one, used=True)
        taught.put([entry("same", "a a a ", spans=spans[:2], metadata={"new": 1})])
        after = chunks_of(taught, "same")
        assert [(each.query, each.chunk) for each in taught.learning.feedback()] == [("q0", after[0]), ("q1", after[1])]

    def test_feedback_is_handed_over_where_there_is_none(self, taught):
        first, second, third, fourth = (chunk(taught, f"d{n}") for n in range(4))
        for query, one, used in (
            ("a", first, True),
            ("b", first, False),
            ("b", second, True),
            ("c", second, True),
            ("c", third, False),
            ("d", fourth, True),
        ):
            taught.learning.add_feedback(query, one, used=used)
        gone = chunk(taught, "d5")
        taught.remove(["d5"])
        taught.learning.move_feedback({first: third, second: third, fourth: gone})
        told = {(each.query, each.chunk): each.used for each in taught.learning.feedback()}
        assert told == {
            ("a", third): True,
            ("b", third): True,
            ("c", third): False,
            ("d", fourth): True,
        }
        assert taught.check() == []

    # expectations

    def test_an_expectation_comes_back_once_with_the_rank_named_last(self, taught):
        for query, id_, within in (("why ünlike\ud800", "d1", 5), ("q", "d2", 1), ("q", "d1", 10), ("q", "d2", 3)):
            taught.learning.expect(query, id_, within)
        expected = taught.learning.expectations()
        assert [(each.query, each.document_id, each.within) for each in expected] == [
            ("why ünlike?", "d1", 5),
            ("q", "d2", 3),
            ("q", "d1", 10),
        ]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", each.made) for each in expected)
        with pytest.raises(NotFound):
            taught.learning.expect("q", "nowhere", 10)
        assert taught.learning.drop_expectations([replace(expected[1], within=99)]) == 1
        assert taught.learning.drop_expectations([expected[1]]) == 0
        assert taught.learning.expectations() == [expected[0], expected[2]]
        assert taught.check() == []

    def test_an_expectation_outlives_its_document_until_a_purge(self, taught):
        for id_ in ("d1", "d2", "d3"):
            taught.learning.expect(f"where is {id_}", id_, 10)
        taught.put([entry("d1", "another text")])
        taught.remove(["d2"])
        assert [each.document_id for each in taught.learning.expectations()] == ["d1", "d2", "d3"]
        taught.purge(["d1", "d2"])
        assert [each.document_id for each in taught.learning.expectations()] == ["d3"]

    def test_expectations_that_quote_what_is_purged_or_forgotten_go(self, taught):
        taught.put([entry("secret", "the zeppelin lands at noon")])
        taught.learning.expect("when does the zeppelin land", "d1", 10)
        taught.learning.expect("text 1", "d1", 10)
        taught.purge(["secret"])
        assert [each.query for each in taught.learning.expectations()] == ["text 1"]
        taught.learning.forget_queries(["text 1"])
        assert taught.learning.expectations() == []

    def test_expectations_move_to_another_document(self, taught):
        for query, id_ in (("a", "d1"), ("b", "d1"), ("a", "d3")):
            taught.learning.expect(query, id_, 4)
        assert taught.learning.move_expectations({"d1": "d3", "d9": "d2"}) == 2
        moved = {(each.query, each.document_id, each.within) for each in taught.learning.expectations()}
        assert moved == {("a", "d3", 4), ("b", "d3", 4)}

    @FEW
    @given(st.data())
    def test_no_row_names_a_chunk_that_is_gone(self, open_backend, data):
        backend = open_backend()
        learning = backend.learning
        backend.remove([stored.document.id for stored in backend.scan()])
        ids = [f"d{n}" for n in range(5)]
        backend.put([entry(id_, f"text {id_}") for id_ in ids])
        some = st.sampled_from(ids)
        for number in range(data.draw(st.integers(1, 6))):
            origin = data.draw(st.none() | some)
            made = triple(
                backend,
                f"q{number}",
                data.draw(some),
                *data.draw(st.lists(some, max_size=3)),
                origin=origin and chunk(backend, origin),
            )
            learning.add_triples([made])
            learning.add_feedback(f"q{number}", chunk(backend, data.draw(some)), used=data.draw(st.booleans()))
        gone = data.draw(st.sets(some))
        dead = {chunk(backend, id_) for id_ in gone}
        expected = [
            Triple(**_fields(each) | {"negatives": tuple(n for n in each.negatives if n.chunk not in dead)})
            for each in learning.triples()
            if not {each.positive, each.origin} & dead
        ]
        heard = [each for each in learning.feedback() if each.chunk not in dead]
        backend.remove(gone)
        assert list(learning.triples()) == expected
        assert learning.feedback() == heard
        assert backend.check() == []


def _fields(each: Triple) -> dict[str, object]:
    return {name: getattr(each, name) for name in Triple.__slots__}
