"""Selection: near-copies, the cap per document and diversity; as a function, then through a store."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.search.selection import Candidates, SelectionRequest, bag, same_words, select

LONG = " ".join(f"word{chr(97 + n)}" for n in range(24))


def candidates(texts, vectors=None, documents=None, scores=None):
    count = len(texts)
    return Candidates(
        scores=np.linspace(1.0, 0.5, count) if scores is None else np.array(scores, float),
        vectors=np.empty((count, 0), np.float32) if vectors is None else np.array(vectors, np.float32),
        documents=documents or [f"d{n}" for n in range(count)],
        texts=texts,
    )


def test_a_text_of_other_case_and_spacing_is_folded_into_the_best_ranked():
    selected = select(candidates(["One  text.", "other", "one text.", "ONE\ntext."]), 4, SelectionRequest(unique=True))
    assert (selected.shown, selected.folded) == ([0, 1], {2: 0, 3: 0})


def test_texts_of_similar_vectors_are_folded_only_if_their_words_are_the_same():
    texts = [LONG, f"{LONG} extra", f"{LONG} 7", "something else entirely"]
    close = [[1.0, 0.0]] * 4
    assert select(candidates(texts, close), 4, SelectionRequest(unique=True)).folded == {1: 0}
    apart = np.eye(4)
    assert select(candidates(texts, apart), 4, SelectionRequest(unique=True)).folded == {}


def test_another_number_makes_another_text():
    assert same_words(bag(LONG + " 1999 a"), bag(LONG + " a 1999"))
    assert not same_words(bag(LONG + " 1998"), bag(LONG + " 1999"))
    assert not same_words(bag(LONG + " E4012"), bag(LONG + " E4013"))
    assert not same_words(bag("the first quarter"), bag("the second quarter"))
    assert not same_words(bag(""), bag(""))


def test_scripts_without_spaces_are_compared_character_by_character():
    text = "東京都は日本の首都であり、人口は約千四百万人である。世界最大の都市圏"
    assert same_words(bag(text), bag(text + "だ"))
    assert not same_words(bag(text), bag(text[:12]))


def test_empty_texts_have_no_copies():
    assert select(candidates(["", " ", "a"]), 3, SelectionRequest(unique=True)).shown == [0, 1, 2]


def test_no_more_than_per_document_chunks_of_a_document_are_shown():
    selected = select(candidates(list("abcdef"), documents=list("xxyxyz")), 6, SelectionRequest(per_document=1))
    assert (selected.shown, sorted(selected.capped)) == ([0, 2, 5], [1, 3, 4])
    two = select(candidates(list("abcdef"), documents=list("xxyxyz")), 4, SelectionRequest(per_document=2))
    assert (two.shown, two.capped) == ([0, 1, 2, 4], [3])


def test_diversity_is_the_formula_of_the_paper():
    angles = np.radians([0, 10, 80])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    given_ = candidates(list("abc"), vectors, scores=[1.0, 0.9, 0.0])
    # After 0: (1 - d) · .9 - d · cos 10° against (1 - d) · 0 - d · cos 80°; they are equal at d = .527.
    assert select(given_, 2, SelectionRequest(diversity=0.5)).shown == [0, 1]
    assert select(given_, 2, SelectionRequest(diversity=0.6)).shown == [0, 2]


def test_of_copies_the_best_ranked_is_shown_whatever_diversity_prefers():
    vectors = [[1, 0, 0], [0.9, np.sqrt(1 - 0.81), 0], [0.85, np.sqrt(1 - 0.85**2), 0]]
    selected = select(candidates(["a", "same", "same"], vectors), 3, SelectionRequest(unique=True, diversity=1.0))
    assert (selected.shown, selected.folded) == ([0, 1], {2: 1})


def test_nothing_to_select_from():
    assert select(candidates([]), 5, SelectionRequest(unique=True, per_document=1, diversity=0.5)).shown == []


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=20),
    st.integers(1, 10),
    st.booleans(),
    st.none() | st.integers(1, 3),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_every_selection_obeys_its_options(pairs, limit, unique, most, diversity):
    texts, documents = [text for text, _ in pairs], [document for _, document in pairs]
    vectors = np.random.default_rng(len(pairs)).normal(size=(len(pairs), 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    selected = select(candidates(texts, vectors, documents), limit, SelectionRequest(unique, most, diversity))
    shown = selected.shown
    left_out = [*selected.folded, *selected.capped]
    assert len(shown) <= limit
    assert len({*shown, *left_out}) == len(shown) + len(left_out)
    assert len(shown) == limit or len(shown) + len(left_out) == len(pairs)
    assert not unique or len({texts[n] for n in shown}) == len(shown)
    assert most is None or all(sum(documents[n] == d for n in shown) <= most for d in "xyz")
    assert diversity or shown == sorted(shown)
    assert all(into in shown and into < n for n, into in selected.folded.items())


@pytest.mark.parametrize(
    "options",
    [
        {"unique": 1},
        {"per_document": 0},
        {"per_document": True},
        {"per_document": 1.5},
        {"diversity": 1.1},
        {"diversity": float("nan")},
        {"diversity": "much"},
    ],
)
def test_invalid_options_are_rejected(options):
    with pytest.raises(InputError, match=next(iter(options))):
        SelectionRequest(**options)


COPIES = [
    hs.Document(id="one", text="The pump runs dry when the inlet is closed."),
    hs.Document(id="two", text="the pump  runs dry when the inlet is closed."),
    hs.Document(id="three", text="The pump was painted green."),
    *(hs.Document(id=f"n{n}", text=f"A pump stands in hall {chr(97 + n)}.") for n in range(20)),
]


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64, max_tokens=48)) as store:
        store.add(COPIES)
        yield store


def test_copies_are_shown_without_unique(store):
    query = "pump runs dry when the inlet is closed"
    plainly = store.search(query, limit=2)
    assert {hit.document_id for hit in plainly} == {"one", "two"}
    assert (plainly.trace.selection, plainly[0].copies) == (None, ())
    unique = store.search(query, limit=2, unique=True)
    assert unique[0].document_id == plainly[0].document_id
    assert unique[0].copies == (plainly[1].document_id,)
    assert unique[1].document_id not in {"one", "two"}
    assert [hit.rank for hit in unique] == [1, 2]
    assert unique.trace.selection.folded == {plainly[1].chunk_id: plainly[0].chunk_id}


def test_the_selection_looks_deeper_until_the_limit_is_filled():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=f"c{n}", text="pump " * 3) for n in range(60)])
        store.add("pump and more words that are about something else")
        results = store.search("pump", limit=2, unique=True, mode="keyword")
        assert len(results) == 2
        assert results.trace.selection.looked > 4
        assert len(results[0].copies) == 59


def test_chunks_of_a_document_are_capped_and_all_are_found_without(store):
    text = "\n\n".join(f"The turbine number {n} spins. " + "filler words here " * 12 for n in range(6))
    store.add(hs.Document(id="long", text=text))
    several = [hit.document_id for hit in store.search("turbine", mode="keyword")]
    assert several.count("long") > 1
    once = store.explain("turbine", mode="keyword", per_document=1, expect="long")
    assert [hit.document_id for hit in once.hits] == ["long"]
    assert once.expected.lost is None
    assert f"{len(several) - 1} more of its chunks were left out by per_document=1" in once.expected.story


def test_diversity_moves_dissimilar_passages_up_and_works_without_vectors(store):
    first = store.search("pump runs dry inlet", limit=3)
    varied = store.search("pump runs dry inlet", limit=3, diversity=0.9)
    assert varied[0].chunk_id == first[0].chunk_id
    assert [hit.chunk_id for hit in varied] != [hit.chunk_id for hit in first]
    with hs.open(":memory:", embedder="none") as plain:
        plain.add(COPIES)
        same = [hit.document_id for hit in plain.search("pump inlet", diversity=0.9)]
        assert same == [hit.document_id for hit in plain.search("pump inlet")]


def test_the_explanation_of_a_folded_document_names_the_one_shown(store):
    query = "pump runs dry when the inlet is closed"
    shown, gone = (hit.document_id for hit in store.search(query, limit=2))
    explanation = store.explain(query, limit=2, unique=True, expect=gone)
    assert explanation.expected.lost == "selection"
    assert f"folded into {shown} at rank 1" in explanation.expected.story
    assert "near-copies folded (1)" in str(explanation)
    assert f"the same in {gone}" in str(explanation)


def test_an_expected_document_that_diversity_passed_over_is_explained(store):
    query = "pump runs dry when the inlet is closed"
    second = store.search(query, limit=2)[1].document_id
    expected = store.explain(query, limit=2, diversity=1.0, expect=second).expected
    assert expected.lost == "selection"
    assert "diversity 1" in expected.story
