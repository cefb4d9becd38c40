"""Texts longer than the embedder's window, kept as one chunk: the vectors see all of them."""

import numpy as np
import pytest

import hybridstore as hs

LONG = " ".join(f"filler{n}" for n in range(200)) + " zebra giraffe okapi"
OTHERS = ["zebra crossing in the town", "an ordinary note", "nothing of the kind"]


def vector_of(store: hs.Store, document_id: str) -> np.ndarray:
    (chunk,) = store.chunks.of([document_id])[document_id]
    return store.chunks.vectors([chunk])[0]


@pytest.fixture(params=["file", "memory"])
def place(request, tmp_path):
    return ":memory:" if request.param == "memory" else tmp_path / "long.db"


def test_a_text_longer_than_the_window_is_found_by_its_end(place, counting):
    with hs.open(place, embedder=counting()) as store:
        store.add([hs.Document(id="long", text=LONG), *OTHERS], chunk=False)
        hits = store.search("okapi giraffe", mode="vector")
        assert hits[0].document_id == "long"
        assert (hits[0].start, hits[0].end) == (0, len(LONG))
        assert store.check() == []


def test_no_window_is_longer_than_the_embedder_reads(place, counting):
    embedder = counting()
    with hs.open(place, embedder=embedder) as store:
        store.add(hs.Document(id="long", text=LONG, title="A title"), chunk=False)
    windows = [text for text in embedder.documents if "filler" in text]
    assert len(windows) > 6
    assert all(len(embedder.token_starts(text)) <= embedder.max_tokens for text in windows)
    assert " ".join(windows).split() == ["A", "title.", *LONG.split()]


@pytest.mark.parametrize("when", ["now", "later"])
def test_the_vector_is_the_same_whenever_it_is_made(place, counting, when):
    with hs.open(place, embedder=counting()) as store:
        store.add(hs.Document(id="long", text=LONG), chunk=False, vectors=None if when == "now" else "later")
        store.embed()
        made = vector_of(store, "long")
        assert np.linalg.norm(made) == pytest.approx(1.0)
        assert store.reembed(counting(name="other")) == 1
        assert store.reembed(counting()) == 1
        assert np.allclose(vector_of(store, "long"), made, atol=1e-6)


def test_long_texts_are_committed_a_few_at_a_time(place, counting, monkeypatch):
    monkeypatch.setattr("hybridstore.store.chunk_vectors._PORTION", len(LONG) + 1)
    with hs.open(place, embedder=counting()) as store:
        store.add([hs.Document(id=f"long{n}", text=f"{LONG} {n}") for n in range(3)], chunk=False, vectors="later")
        calls = []
        assert store.embed(progress=lambda done, of: calls.append((done, of))) == 3
        assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_windows_count_by_their_length(place, counting):
    beginning = " ".join(f"word{n}" for n in range(30))
    with hs.open(place, embedder=counting()) as store:
        store.add([hs.Document(id="a", text=beginning), hs.Document(id="b", text=f"{beginning} more")], chunk=False)
        longer, (end,) = vector_of(store, "b"), counting().embed_documents(["more"])
        expected = len(beginning + " ") * vector_of(store, "a") + len("more") * end
        assert np.allclose(longer, expected / np.linalg.norm(expected), atol=1e-6)


def test_scripts_without_spaces_are_divided_too(place, counting):
    with hs.open(place, embedder=counting(max_tokens=34)) as store:
        store.add(
            [hs.Document(id="long", text="。".join("天地玄黃宇宙洪荒" for _ in range(60)) + "。鯨魚")], chunk=False
        )
        assert store.search("鯨魚", mode="vector")[0].document_id == "long"
        assert store.check() == []
