"""Reindexing: a store of an earlier analysis works as it is, and `reindex` gives it the current one."""

import shutil
from pathlib import Path

import pytest

import hybridstore as hs
from hybridstore.backends.keyword_scoring import index_columns
from hybridstore.backends.sqlite import keyword_check
from hybridstore.backends.sqlite.change_log import Log
from hybridstore.text.analysis import ANALYSIS_VERSION
from hybridstore.text.analysis_versions import analyser_of

ARCHIVE = Path(__file__).parent.parent / "archive"


@pytest.mark.parametrize("name", ["v1.db", "v2.db", "v3.db"])
def test_an_older_store_works_with_its_own_analysis_until_it_is_reindexed(tmp_path, name):
    path = tmp_path / "old.db"
    shutil.copy(ARCHIVE / name, path)
    with hs.open(path, embedder="none") as store, hs.open(path, embedder="none") as other:
        assert store.stats().analysis == 1
        store.add([hs.Document(id="new", text="send an e-mail about 1 000 000 sha256Hashes")])
        assert [hit.document_id for hit in store.search("e-mail", mode="keyword", limit=1)] == ["new"]
        assert not store.search("1000000", mode="keyword")
        assert not [problem for problem in store.check() if "keyword" in problem.what]
        vectors = store.stats().vectors
        assert store.reindex() == store.stats().chunks
        assert (store.stats().analysis, store.stats().vectors) == (ANALYSIS_VERSION, vectors)
        for each in (store, other):  # another process follows, for reading and for writing
            assert [hit.document_id for hit in each.search("1000000", mode="keyword")] == ["new"]
        other.add([hs.Document(id="newer", text="in all 2 000 000")])
        assert [hit.document_id for hit in store.search("2000000", mode="keyword")] == ["newer"]
        assert not [problem for problem in store.check() if "keyword" in problem.what]


def test_a_store_of_version_3_joins_numbers_as_it_did_until_it_is_reindexed(tmp_path):
    path = tmp_path / "third.db"
    with hs.open(path, embedder="none") as store:
        connections = store._backend._connections
        with connections.atomic() as connection, Log(connection) as log:
            keyword_check.rebuild(connection, log, analyser_of("english", 3))
    with hs.open(path, embedder="none") as store:
        store.add("the years 2019 2020 were two")
        assert store.stats().analysis == 3
        assert store.search("20192020", mode="keyword")
        assert not store.check()
        store.reindex()
        assert not store.search("20192020", mode="keyword")
        assert not store.check()


def test_a_reindexing_that_stops_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "old.db"
    shutil.copy(ARCHIVE / "v3.db", path)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with hs.open(path, embedder="none") as store:
        monkeypatch.setattr(keyword_check, "set_fact", stopped)
        with pytest.raises(KeyboardInterrupt):
            store.reindex()
        monkeypatch.undo()
        assert store.stats().analysis == 1
        assert not [problem for problem in store.check() if "keyword" in problem.what]


def test_a_store_in_memory_is_of_the_current_analysis():
    with hs.open(":memory:", embedder="none") as store:
        store.add("one text")
        assert store.stats().analysis == ANALYSIS_VERSION
        assert store.reindex() == 1


def test_each_version_indexes_the_names_of_files_as_it_did():
    written = "notes", "", "text", "/home/me/budget.txt"
    columns = [
        index_columns(analyser_of("english", version), *written)[0] for version in range(1, ANALYSIS_VERSION + 1)
    ]
    assert columns == ["note", *["note home me budget txt"] * (ANALYSIS_VERSION - 1)]
