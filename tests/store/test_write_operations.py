"""Store.replace: additions, changes and removals in one step, and nothing where another process was first."""

import threading

import pytest

import hybridstore as hs
from hybridstore.errors import InputError, NotFound
from hybridstore.records import AddReport


def test_documents_take_the_place_of_others_in_one_step(store):
    store.add([{"id": "a", "text": "apples"}, {"id": "b", "text": "berries"}, {"id": "c", "text": "cherries"}])
    before = store.stats().revision
    report = store.replace(
        [store.get("a"), store.get("b")], [{"id": "b", "text": "blackberries"}, {"id": "d", "text": "dates"}]
    )
    assert report == AddReport(added=1, replaced=1, removed=1, chunks=2, embedded=2)
    assert [(each.id, each.text) for each in store.documents()] == [
        ("b", "blackberries"),
        ("c", "cherries"),
        ("d", "dates"),
    ]
    assert store.stats().revision == before + 1
    assert store.check() == []


def test_nothing_before_is_an_add_of_what_must_be_new(store):
    assert store.replace([], [{"id": "a", "text": "first"}]).added == 1
    assert store.replace([], [{"id": "a", "text": "second"}]) is None
    assert store.get("a").text == "first"


def test_nothing_after_is_a_removal(store):
    store.add([{"id": "a", "text": "apples"}, {"id": "b", "text": "berries"}])
    assert store.replace(list(store.documents()), []).removed == 2
    assert store.count() == 0


def test_nothing_at_all_changes_nothing(store):
    assert store.replace([], []) == AddReport()
    assert store.stats().revision == 0


@pytest.mark.parametrize("change", [{"text": "other"}, {"title": "other"}, {"metadata": {"n": 1}}, None])
def test_a_document_that_changed_or_went_meanwhile_is_left_as_it_is_now(store, change):
    store.add([{"id": "a", "text": "apples"}, {"id": "b", "text": "berries"}])
    read = [store.get("a"), store.get("b")]
    if change is None:
        store.remove("a")
    else:
        store.add({"id": "a", "text": "apples", **change})
    now = list(store.documents())
    assert store.replace(read, [{"id": "a", "text": "mine"}]) is None
    assert list(store.documents()) == now


def test_a_document_added_with_its_vector_can_be_replaced(store):
    store.add([{"id": "a", "text": "apples"}], vectors=[[1.0] + [0.0] * 31])
    assert store.replace([store.get("a")], [{"id": "a", "text": "pears"}]).replaced == 1
    assert store.get("a").text == "pears"


def test_a_document_changed_while_it_was_embedded_is_not_overwritten(path, embedder, store):
    store.add({"id": "a", "text": "apples"})
    read = store.get("a")

    def meanwhile(texts, embed=embedder.embed_documents):
        if texts == ["mine"]:
            with hs.open(path, embedder="none") as other:
                other.add({"id": "a", "text": "theirs"})
        return embed(texts)

    embedder.embed_documents = meanwhile
    assert store.replace([read], [{"id": "a", "text": "mine"}]) is None
    assert store.get("a").text == "theirs"


def test_of_many_who_count_on_one_document_none_is_lost(path):
    with hs.open(path, embedder="none") as store:
        store.add({"id": "count", "text": "0"})

        def count():
            for _ in range(5):
                while True:
                    read = store.get("count")
                    if store.replace([read], [{"id": "count", "text": str(int(read.text) + 1)}]):
                        break

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.get("count").text == "20"


def test_more_text_than_a_batch_takes_is_still_one_step(store):
    long = [{"id": f"d{n}", "text": f"word{n} " * 20_000} for n in range(3)]
    with pytest.raises(InputError, match="format"):
        store.replace([], [*long, {"id": "bad", "text": "x", "format": "pdf"}])
    assert store.count() == 0
    assert store.replace([], long).added == 3
    assert store.stats().revision == 1


def test_an_id_that_comes_twice_is_rejected(store):
    with pytest.raises(InputError, match="'a' comes twice"):
        store.replace([], [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}])
    with pytest.raises(NotFound):
        store.get("a")
