"""What is trained on and what is held out, and which passages are negatives of a question."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from gap import EMBEDDER, PAIRS, chunk, filled, name, question
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.backends.learning import Negative, Triple
from hybridstore.backends.values import Passage
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.tuning.training_set import collect, embed_questions, held_out, training_examples

KEPT = ["d15", "d18", "d19", "d21", "d28", "d33"]  # of d0 to d39; written down, for they must never change


def test_the_same_fifth_of_the_documents_is_held_out_for_ever():
    assert [f"d{n}" for n in range(40) if held_out(f"d{n}")] == KEPT
    assert held_out("notes.md")
    assert not held_out("")
    assert not held_out("ünïcode/path.md")
    assert sum(held_out(f"doc-{n}") for n in range(10_000)) == 2065  # 52 of 256 first bytes: 0.203


class FakeStore:
    """A store of chunks numbered from 1, and some triples; a chunk's vector is its row of the identity matrix."""

    def __init__(self, documents, triples):
        self.documents = dict(enumerate(documents, start=1))
        self.bare = set()
        self.snapshot = nullcontext
        self.learning = SimpleNamespace(triples=lambda: iter(triples))
        self.chunks = SimpleNamespace(
            passages=lambda chunks: [
                Passage(each, self.documents[each], "", "", "", "", 0, 0, {})
                for each in chunks
                if each in self.documents
            ],
            vectors=lambda chunks: np.array(
                [np.zeros(60) if each in self.bare else np.eye(60)[each] for each in chunks], np.float32
            ).reshape(-1, 60),
        )

    def examples(self, items):
        return training_examples(self, items, np.eye(len(items), dtype=np.float32))


def triple(query, positive, *, kind="labelled", wrong=(), doubted=(), origin=None):
    negatives = [Negative(chunk=each, leg="vector", score=0.1) for each in wrong]
    negatives += [Negative(chunk=each, leg="vector", score=0.1, excluded="judge") for each in doubted]
    return Triple(query=query, kind=kind, positive=positive, score=1.0, negatives=tuple(negatives), origin=origin)


def seen(learned, row):
    """Return the chunks that are negatives of a question, and the one that answers it."""
    chunks = learned.passages.argmax(axis=1)
    answer = learned.answers[row]
    left = set(learned.ignored[learned.ignored[:, 0] == row, 1].tolist())
    left |= set(np.flatnonzero(learned.documents == learned.documents[answer]).tolist())
    negatives = set(chunks[[place for place in range(len(chunks)) if place not in left]].tolist())
    return negatives, int(chunks[answer])


@st.composite
def stores(draw):
    count = draw(st.integers(1, 25))
    documents = draw(st.lists(st.sampled_from([f"d{n}" for n in range(14, 24)]), min_size=count, max_size=count))
    chunks = st.integers(1, count)
    triples = draw(
        st.lists(
            st.builds(
                triple,
                st.sampled_from(["tides", "Tides", "the moon", "waves and wind", "salt"]),
                chunks,
                kind=st.sampled_from(["log", "labelled", "endpoint"]),
                wrong=st.lists(chunks, max_size=3),
                doubted=st.lists(chunks, max_size=2),
            ),
            min_size=1,
            max_size=20,
        )
    )
    return documents, triples


@given(stores())
def test_nothing_of_a_held_out_document_is_ever_trained_on(made):
    documents, triples = made
    store = FakeStore(documents, triples)
    items = collect(store, most=0)
    learned = store.examples(items)  # all of them, though a tuning gives only those that are not held out
    for passage in learned.passages.argmax(axis=1).tolist():
        assert not held_out(store.documents[passage])
    for item in items:
        answering = {
            store.documents[each.positive] for each in triples if each.query.casefold() == item.text.casefold()
        }
        assert set(item.documents) == answering
        assert item.held_out == any(held_out(document) for document in answering)


@given(stores())
def test_nothing_that_may_answer_a_question_is_its_negative(made):
    documents, triples = made
    store = FakeStore(documents, triples)
    trained = [item for item in collect(store, most=0) if not item.held_out]
    learned = store.examples(trained)
    asked = learned.questions.argmax(axis=1) if len(learned.questions) else []
    rows = [(trained[place], *seen(learned, row)) for row, place in enumerate(asked)]
    for item, negatives, answer in rows:
        assert answer in item.answers
        assert not {store.documents[each] for each in negatives} & set(item.documents)
        for each in triples:
            if (each.query, each.kind) == (item.text, item.kind):
                assert not negatives & {negative.chunk for negative in each.negatives if negative.excluded}
    for item in trained:
        assert sorted(answer for other, _, answer in rows if other == item) == sorted(item.answers)


def test_a_question_with_several_answers_comes_once_for_each():
    store = FakeStore(
        ["a", "b", "d", "d"], [triple("tides", 1), triple("tides", 3), triple("salt", 2), triple("tides", 1)]
    )
    (tides, salt) = collect(store, most=0)
    assert (tides.answers, tides.documents, salt.answers) == ((1, 3), ("a", "d"), (2,))
    learned = store.examples([tides, salt])
    assert learned.questions.argmax(axis=1).tolist() == [0, 0, 1]
    assert [seen(learned, row) for row in range(3)] == [({2}, 1), ({2}, 3), ({1, 3}, 2)]


def test_passages_of_the_same_document_are_ignored_and_those_that_a_guard_doubted():
    store = FakeStore(["a", "a", "b", "d", "e"], [triple("tides", 1, wrong=[2, 3, 4], doubted=[5]), triple("salt", 5)])
    learned = store.examples(collect(store, most=0))
    assert sorted(learned.passages.argmax(axis=1).tolist()) == [1, 2, 3, 4, 5]
    assert seen(learned, 0) == ({3, 4}, 1)
    assert seen(learned, 1) == ({1, 2, 3, 4}, 5)


def test_an_answer_in_one_triple_is_no_negative_of_another():
    store = FakeStore(["a", "b", "d"], [triple("tides", 1, wrong=[2, 3]), triple("tides", 2, wrong=[1])])
    (item,) = collect(store, most=0)
    assert (item.answers, item.negatives) == ((1, 2), (3,))


def test_the_same_words_of_another_kind_have_all_their_answers_too():
    kept = KEPT[0]
    store = FakeStore(["a", kept], [triple("Tides", 1, kind="log"), triple("tides", 2, kind="labelled")])
    items = collect(store, most=0)
    assert [(item.kind, item.documents, item.held_out) for item in items] == [
        ("log", ("a", kept), True),
        ("labelled", (kept, "a"), True),
    ]


def test_passages_without_a_vector_and_those_that_are_gone_are_left_out():
    store = FakeStore(["a", "b", "e", "d"], [triple("tides", 1, wrong=[2, 3, 4]), triple("salt", 2)])
    items = collect(store, most=0)
    store.bare.add(2)
    del store.documents[3]
    learned = store.examples(items)
    assert learned.passages.argmax(axis=1).tolist() == [1, 4]
    assert learned.questions.argmax(axis=1).tolist() == [0]
    store.documents.clear()
    nothing = store.examples(items)
    assert (len(nothing.questions), len(nothing.passages), nothing.ignored.shape) == (0, 0, (0, 2))


def test_one_document_of_many_passages_needs_no_pairs():
    store = FakeStore(["a"] * 40 + ["b"], [triple(f"q{n}", n) for n in range(1, 42)])
    learned = store.examples(collect(store, most=0))
    assert learned.ignored.shape == (0, 2)
    assert seen(learned, 0) == ({41}, 1)
    assert seen(learned, 40) == (set(range(1, 41)), 41)


def test_triples_made_of_the_text_are_ignored_and_those_of_an_endpoint_used():
    store = FakeStore(
        ["a", "b"], [triple("a crop of it", 1, kind="crop", origin=1), triple("why?", 2, kind="endpoint", origin=2)]
    )
    assert [item.text for item in collect(store, most=0)] == ["why?"]


LONG = (
    "The {0} stands by the {1} and is painted each spring. Nobody knows who built the {0}, but the {1} is far older. "
    "Some say that a {2} was found below the {1} in the year of the great {3}, and that it is kept in the town hall."
)


@pytest.fixture
def written(tmp_path):
    """Return a store of texts long enough to be asked about."""
    words = [f"{start}{end}" for start in "bdfgklmnpr" for end in ("ala", "ero", "ino", "otu")]
    with hs.open(tmp_path / "written.db", embedder=HashingEmbedder(32)) as store:
        store.add(
            [
                hs.Document(id=f"d{n}", text=LONG.format(*(words[(n * step) % 40] for step in (1, 3, 7, 9))))
                for n in range(40)
            ]
        )
        yield store


def test_no_question_made_of_a_held_out_documents_text_is_trained_on(written):
    items = collect(written, most=300)
    trained = [item for item in items if not item.held_out]
    assert {document for item in items for document in item.documents if held_out(document)} == set(KEPT)
    assert {item.origin for item in items} == {item.answers[0] for item in items}
    learned = training_examples(written, trained, embed_questions(written, [item.text for item in trained]))
    kept = written.chunks.vectors([chunk(written, document) for document in KEPT])
    assert len(learned.passages) == 34
    assert not (learned.passages[:, None] == kept[None]).all(axis=2).any()


def test_the_questions_are_deterministic_and_limited(written):
    assert collect(written, most=50) == collect(written, most=50)
    assert len(collect(written, most=50)) == 50
    assert collect(written, most=50) != collect(written, most=50, seed=1)


def test_documents_removed_meanwhile_are_not_trained_on(written):
    items = [item for item in collect(written, most=100) if not item.held_out]
    vectors = embed_questions(written, [item.text for item in items])
    written.remove(["d0", "d1", "d2"])
    learned = training_examples(written, items, vectors)
    assert len(learned.passages) == 31
    assert len(learned.questions) == sum(not {"d0", "d1", "d2"} & set(item.documents) for item in items)


def test_a_store_without_questions_is_rejected(tmp_path):
    with hs.open(tmp_path / "short.db", embedder=HashingEmbedder(8)) as store:
        store.add("too short to be asked about")
        for most in (0, 100):
            with pytest.raises(InputError, match=r"nothing to learn from.*hybridstore harvest"):
                collect(store, most=most)
        with pytest.raises(InputError, match="most must be at least 1"):
            collect(store, most=-1)


def test_questions_are_embedded_in_order_and_each_once(tmp_path):
    class Counted(HashingEmbedder):
        asked = 0

        def embed_query(self, text):
            self.asked += 1
            return super().embed_query(text)

    counted, reports = Counted(EMBEDDER.dim), []
    with filled(tmp_path / "gap.db", counted, triples=False) as store:
        counted.asked = 0
        texts = [question(pair) for pair in (*PAIRS[:3], *PAIRS[:2], *PAIRS[:3])]
        vectors = embed_questions(store, texts, progress=lambda *report: reports.append(report))
        assert counted.asked == 3
    np.testing.assert_array_equal(vectors, [EMBEDDER.embed_query(text) for text in texts])
    assert reports == [(3, 3)]


def test_an_embedder_that_takes_many_questions_is_given_many(tmp_path):
    class Many(HashingEmbedder):
        def embed_queries(self, texts):
            return self.embed_documents(texts)[:, ::-1]

    with filled(tmp_path / "gap.db", Many(EMBEDDER.dim), triples=False) as store:
        vectors = embed_questions(store, ["one", "two"])
    np.testing.assert_array_equal(vectors, EMBEDDER.embed_documents(["one", "two"])[:, ::-1])


def test_a_store_without_vectors_cannot_embed_questions(tmp_path):
    with hs.open(tmp_path / "words.db", embedder="none") as store:
        store.add("words alone")
        with pytest.raises(InputError, match="no vectors to learn for"):
            embed_questions(store, ["words"])


def test_a_labelled_question_of_the_made_up_store_is_its_pair(tmp_path):
    with filled(tmp_path / "gap.db") as store:
        items = collect(store, most=0)
        assert [(item.text, item.documents) for item in items] == [(question(pair), (name(pair),)) for pair in PAIRS]
        assert all(item.origin is None for item in items)


def test_questions_are_embedded_as_questions_in_their_order(written):
    asked, embedder = ["a worn valve", "the foreman's desk"], written.embedder()
    assert np.array_equal(embed_questions(written, asked), np.stack([embedder.embed_query(text) for text in asked]))
    assert embed_questions(written, []).shape == (0, embedder.dim)


def test_a_store_without_vectors_embeds_no_questions(tmp_path):
    with hs.open(tmp_path / "plain.db", embedder="none") as store, pytest.raises(InputError, match="no vectors"):
        embed_questions(store, [])
