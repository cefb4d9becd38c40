"""Store.add: what it accepts, writes and embeds, and what it rejects without writing anything."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.errors import EmbedderMismatch, HybridstoreError, InputError, NotFound
from hybridstore.records import AddReport

LONG = "\n\n".join(
    f"Paragraph {n} tells of {word} and of nothing else at all, at some length."
    for n, word in enumerate(["apples", "berries", "cherries", "dates", "elders", "figs", "grapes", "hazels"])
)


def ids(store) -> list[str]:
    return [document.id for document in store.documents()]


def test_texts_documents_and_mappings_can_be_mixed(store):
    report = store.add(
        ["a text", hs.Document(id="d", text="a document"), {"id": "m", "text": "a mapping", "metadata": {"x": 1}}]
    )
    assert (report.added, report.chunks, report.embedded) == (3, 3, 3)
    assert store.get("d").text == "a document"
    assert store.get("m").metadata == {"x": 1}
    assert store.add("one text").added == 1
    assert store.add(hs.Document(text="one document")).added == 1
    assert store.add({"text": "one mapping"}).added == 1
    assert store.add(f"text {n}" for n in range(3)).added == 3
    assert store.count() == 9


def test_nothing_is_nothing(store):
    assert store.add([]) == AddReport()
    assert store.add([], vectors=[]) == AddReport()
    assert store.stats().embedding is None


def test_a_document_comes_back_as_it_was(store):
    document = hs.Document(
        id="a",
        text="Text\0 🙂",
        title="T",
        uri="u",
        metadata={"deep": {"list": [1, None]}, "n": 0.5},
        format="markdown",
    )
    store.add(document)
    assert store.get("a") == document
    with pytest.raises(NotFound, match="hybridstore list"):
        store.get("b")


def test_an_id_made_from_the_content_makes_the_same_text_one_document(store):
    assert store.add("same").added == 1
    assert store.add("same").unchanged == 1
    (id_,) = ids(store)
    assert store.remove(id_) == 1


def test_the_same_content_again_embeds_and_writes_nothing(store, embedder):
    store.add(hs.Document(id="a", text="text", metadata={"x": 1, "y": 2}))
    before, revision = len(embedder.documents), store.stats().revision
    assert store.add(hs.Document(id="a", text="text", metadata={"y": 2, "x": 1})) == AddReport(unchanged=1)
    assert (len(embedder.documents), store.stats().revision) == (before, revision)


@pytest.mark.parametrize(
    "changed",
    [{"text": "other"}, {"title": "other"}, {"uri": "other"}, {"metadata": {"x": 2}}, {"format": "code"}],
    ids=lambda changed: next(iter(changed)),
)
def test_any_change_of_content_replaces(store, changed):
    store.add({"id": "a", "text": "text", "metadata": {"x": 1}})
    report = store.add({"id": "a", "text": "text", "metadata": {"x": 1}, **changed})
    assert report.replaced == 1
    assert store.count() == 1
    field, value = next(iter(changed.items()))
    assert getattr(store.get("a"), field) == value


def test_only_changed_chunks_are_embedded_again(store, embedder):
    first = store.add(hs.Document(id="a", text=LONG))
    assert first.embedded == first.chunks > 4
    embedder.documents.clear()
    second = store.add(hs.Document(id="a", text=LONG.replace("hazels", "walnuts")))
    assert (second.replaced, second.chunks) == (1, first.chunks)
    assert second.embedded == len(embedder.documents) < first.chunks
    assert all("walnuts" in text for text in embedder.documents)
    assert store.check() == []
    assert "walnuts" in store.search("walnuts", mode="vector", limit=1)[0].text


def test_metadata_alone_embeds_nothing_again(store, embedder):
    store.add(hs.Document(id="a", text=LONG))
    embedder.documents.clear()
    assert store.add(hs.Document(id="a", text=LONG, metadata={"new": True})).embedded == 0
    assert embedder.documents == []
    assert store.check() == []


def test_the_same_chunk_in_many_documents_is_embedded_once(store, embedder):
    report = store.add([hs.Document(id=f"d{n}", text="the same words") for n in range(10)])
    assert (report.added, report.embedded, len(embedder.documents)) == (10, 1, 1)
    assert len(store.search("same words", mode="vector")) == 10


def test_chunks_keep_exact_offsets_and_fit_the_window(store, embedder):
    store.add(hs.Document(id="a", text=LONG, title="A title"))
    hits = store.search("paragraph apples berries figs", limit=100)
    assert len(hits) > 4
    for hit in hits:
        assert LONG[hit.start : hit.end] == hit.text
        assert len(embedder.token_starts(hit.text)) <= embedder.max_tokens
    assert all(text.startswith("A title.\n") for text in embedder.documents)


def test_without_chunking_a_document_is_one_chunk(store):
    assert store.add(hs.Document(id="a", text=LONG)).chunks > 1
    report = store.add(hs.Document(id="a", text=LONG), chunk=False)
    assert (report.replaced, report.chunks) == (1, 1)
    hit = store.search("hazels", limit=1)[0]
    assert (hit.start, hit.end) == (0, len(LONG))
    assert store.add(hs.Document(id="a", text=LONG), chunk=False).unchanged == 1
    assert store.check() == []


def test_duplicate_ids_in_one_call_keep_the_last(store):
    report = store.add([{"id": "a", "text": "first"}, {"id": "b", "text": "other"}, {"id": "a", "text": "last"}])
    assert (report.added, report.replaced) == (2, 1)
    assert store.get("a").text == "last"
    assert not store.search("first", mode="keyword")


def test_many_duplicates_are_one_commit(store):
    report = store.add(["the same text"] * 50 + ["another"])
    assert (report.added, report.unchanged) == (2, 49)
    assert store.stats().revision == 1


def test_given_vectors_run_no_model(store, embedder):
    vectors = np.random.default_rng(1).normal(size=(3, 32))
    report = store.add([{"id": f"d{n}", "text": LONG} for n in range(3)], vectors=vectors)
    assert (report.added, report.chunks, report.embedded) == (3, 3, 0)
    assert embedder.documents == []
    assert store.stats().embedding.fingerprint == embedder.fingerprint
    best = store.search("", vector=vectors[1] * 5, mode="vector", limit=1)[0]
    assert best.document_id == "d1"
    assert best.vector_score == pytest.approx(1.0, abs=1e-6)
    assert store.add([{"id": "d0", "text": LONG}], vectors=vectors[:1]).unchanged == 1
    assert store.add([{"id": "d0", "text": LONG}], vectors=vectors[1:2]).replaced == 1


def test_given_vectors_need_no_embedder_at_all(path):
    with hs.open(path) as store:
        store.add(["one", "two"], vectors=np.eye(4)[:2])
        assert store.search("", vector=np.eye(4)[1], mode="vector", limit=1)[0].text == "two"
        with pytest.raises(InputError, match="vectors="):
            store.add("three")
        with pytest.raises(InputError, match="vector="):
            store.search("one")
        assert [hit.text for hit in store.search("one", mode="keyword")] == ["one"]
        with pytest.raises(InputError, match="4"):
            store.add(["three"], vectors=np.eye(5)[:1])
        assert store.count() == 2


def test_a_zero_vector_is_kept_and_found_by_word(store):
    store.add(["one", "two"], vectors=[[0.0] * 32, [1.0] + [0.0] * 31])
    assert {hit.text for hit in store.search("one two")} == {"one", "two"}
    assert store.check() == []


def test_progress_tells_of_every_batch(store):
    reports: list[AddReport] = []
    report = store.add((f"text number {n}" for n in range(300)), progress=reports.append)
    assert reports[-1] == report
    assert [step.embedded for step in reports] == sorted(step.embedded for step in reports)
    assert len(reports) > 2


def test_what_was_committed_before_an_error_stays(store):
    def texts():
        for n in range(2500):
            yield f"text {n}"
        raise RuntimeError("the reader broke")

    with pytest.raises(RuntimeError, match="broke"):
        store.add(texts(), vectors=None)
    assert 0 < store.count() < 2500
    assert store.check() == []


def test_removing(store):
    store.add([{"id": id_, "text": f"text {id_}"} for id_ in "abcd"])
    assert store.remove("a") == 1
    assert store.remove(["b", "unknown"]) == 1
    assert store.remove(id_ for id_ in "c") == 1
    assert store.remove([]) == 0
    assert ids(store) == ["d"]
    for wrong in ([5], [None], [b"d"]):
        with pytest.raises(InputError, match="id is a text"):
            store.remove(wrong)


def test_a_store_without_an_embedder_adds_without_vectors(plain):
    report = plain.add([LONG])
    assert report.embedded == 0
    assert report.chunks >= 1
    assert plain.stats().embedding is None


def test_another_embedder_is_rejected_when_the_store_is_opened(path, store, counting):
    store.add("text")
    with pytest.raises(EmbedderMismatch, match="hybridstore reembed --embedder other") as error:
        hs.open(path, embedder=counting("other"))
    assert (error.value.stored, error.value.given) == ("counting@32", "other@32")
    with hs.open(path, embedder=counting()) as again:
        assert again.search("text")[0].text == "text"


def test_a_closed_store_says_so(store):
    store.close()
    store.close()
    for use in (store.count, lambda: store.add("x"), lambda: store.search("x"), lambda: store.remove("x")):
        with pytest.raises(HybridstoreError, match="closed"):
            use()


def test_a_store_in_memory_works_and_is_its_own(embedder):
    with hs.open(":memory:", embedder=embedder) as one, hs.open(":memory:", embedder=embedder) as two:
        one.add("text")
        assert (one.count(), two.count()) == (1, 0)
        assert one.search("text")[0].text == "text"
