"""Merging with a store on a server: it comes to hold what files and stores in memory hold, whatever was changed."""

import sys
from pathlib import Path

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder

sys.path.append(str(Path(__file__).parents[1] / "store"))

from merging_world import FolderWorld, World, over_streams, state


class Counting(HashingEmbedder):
    """Counts the passages that it embeds."""

    count = 0

    def embed_documents(self, texts):
        self.count += len(texts)
        return super().embed_documents(texts)


@pytest.mark.parametrize("seed", range(3))
def test_a_server_a_file_and_memory_that_were_changed_apart_come_to_hold_the_same(seed, url_of, tmp_path, monkeypatch):
    places = (url_of("one"), tmp_path / "file.db", ":memory:", url_of("two"))
    world = World(seed, 4, lambda number: hs.open(places[number], embedder="none"), monkeypatch)
    for _ in range(40):
        world.step()
    world.settle()
    first, *others = map(state, world.stores)
    for other in others:
        assert other == first
    for store in world.stores:
        assert store.check() == []
        store.close()


def test_a_file_is_merged_with_a_server_and_back_with_its_vectors(url_of, tmp_path):
    embedder = Counting(64)
    with hs.open(url_of(), embedder=embedder) as server, hs.open(tmp_path / "file.db", embedder=embedder) as file:
        server.add([hs.Document(id=f"s{n}", text=f"The valve number {n} leaks.") for n in range(20)])
        file.add([hs.Document(id=f"f{n}", text=f"The pump number {n} stops.") for n in range(20)])
        server.add(hs.Document(id="both", text="As the server has it."))
        file.add(hs.Document(id="both", text="As the file has it."))
        made = embedder.count
        report = server.merge(file)
        assert len(report.added) == 20
        assert report.conflicts
        file.merge(server)
        assert embedder.count == made
        assert state(server) == state(file)
        assert server.embeddings.missing_count() == file.embeddings.missing_count() == 0
        for query in ("pump 7", "valve 3", "server has"):
            assert [hit.document_id for hit in server.search(query)] == [hit.document_id for hit in file.search(query)]
        assert not server.merge(file).added
        file.purge("f3")
        assert server.merge(tmp_path / "file.db").purged == ["f3"]
        server.remove("s4")
        assert file.merge(url_of()).removed == ["s4"]
        assert server.stats().documents == file.stats().documents


@pytest.mark.parametrize("seed", range(2))
def test_servers_exchange_through_a_folder_and_over_streams_as_files_do(seed, url_of, tmp_path, monkeypatch):
    places = (url_of("one"), ":memory:", url_of("two"))
    world = FolderWorld(seed, 3, lambda n: hs.open(places[n], embedder="none"), monkeypatch, tmp_path)
    for _ in range(25):
        world.step()
    world.settle()
    first, *others = map(state, world.stores)
    assert [other == first for other in others] == [True, True]
    world.stores[0].add({"id": "late", "text": "added on the server"})
    over_streams(world.stores[0], world.stores[1])
    assert world.stores[1].get("late").text == "added on the server"
    for store in world.stores:
        store.close()
