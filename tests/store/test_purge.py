"""Store.purge: by id, with the queries that are not written yet, and nothing else."""

import pytest

import hybridstore as hs
from hybridstore.errors import InputError


def scores(store) -> list[tuple[str, float]]:
    return [(hit.document_id, hit.score) for hit in store.search("a chain tool for the bicycle", limit=20)]


def test_documents_are_purged_by_id(store, path, texts):
    store.add([{"id": name, "text": text, "metadata": {"owner": f"{name} private"}} for name, text in texts.items()])
    purged = store.purge("helmet")
    assert (purged.documents, purged.clean, purged.remedy) == (1, True, "")
    assert b"helmet" not in path.read_bytes()
    assert store.purge(name for name in ["lock", "rust", "unknown"]).missing == ("unknown",)
    assert store.count() == len(texts) - 3
    assert store.check() == []
    assert store.purge("saddle", verify=False).clean is None


def test_what_remains_is_found_as_in_a_store_that_never_had_it(store, counting, texts):
    store.add([{"id": name, "text": text} for name, text in texts.items()])
    gone = ["helmet", "lock", "chain"]
    assert scores(store)
    store.purge(gone)
    with hs.open(":memory:", embedder=counting()) as other:
        other.add([{"id": name, "text": text} for name, text in texts.items()])
        other.remove(gone)
        assert scores(store) == scores(other)


@pytest.mark.parametrize("ids", ["", ["a", ""], [1], [None], b"a"])
def test_what_is_no_id_purges_nothing(store, ids):
    store.add([{"id": "a", "text": "one"}, {"id": "b", "text": "two"}])
    with pytest.raises(InputError):
        store.purge(ids)
    assert store.count() == 2


def test_no_ids_purge_nothing(store):
    store.add([{"id": "a", "text": "one"}])
    assert (store.purge([]).documents, store.count()) == (0, 1)


def test_a_question_that_waits_to_be_kept_goes_too(path, embedder, texts):
    with hs.open(path, embedder=embedder, log_queries=True) as store:
        store.add([{"id": name, "text": text} for name, text in texts.items()])
        store.search("when must a helmet be replaced")
        store.search("how is a chain replaced")
        assert store.purge("helmet").questions == 1
        assert [each.query for each in store.query_log()] == ["how is a chain replaced"]
    assert b"helmet" not in b"".join(file.read_bytes() for file in path.parent.glob("store.db*"))
