"""Re-embedding a store while it is in use."""

import threading
import time

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.errors import EmbedderMismatch, InputError
from hybridstore.records import Chunk
from hybridstore.store import reembed

TEXTS = [f"passage {n} about {word}" for n, word in enumerate(["sun", "moon", "tides", "comets", "waves"] * 4)]


@pytest.fixture
def filled(store):
    store.add(TEXTS)
    return store


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(reembed, "_AT_ONCE", 6)


class InterruptedHereError(Exception):
    pass


def stop_after(count: int):
    def progress(done: int, of: int) -> None:
        assert done <= of
        if done >= count:
            raise InterruptedHereError

    return progress


def test_every_chunk_gets_a_vector_of_the_other_embedder(filled, counting):
    other = counting("other", dim=16)
    calls = []
    assert filled.reembed(other, progress=lambda done, of: calls.append((done, of))) == 20
    assert calls == [(6, 20), (12, 20), (18, 20), (20, 20)]
    assert sorted(other.documents) == sorted(TEXTS)
    stats = filled.stats()
    assert (stats.embedding.fingerprint, stats.embedding.dim, stats.vectors, stats.building) == (
        "other@16",
        16,
        20,
        None,
    )
    other.queries.clear()  # what the store asked itself
    assert filled.search("moon")[0].vector_rank is not None
    assert other.queries == ["moon"]
    assert filled.check() == []


def test_the_store_that_changed_it_goes_on_with_the_new_one(filled, counting, path):
    other = counting("other", dim=16)
    filled.reembed(other)
    filled.add("one more text")
    assert other.documents[-1] == "one more text"
    with pytest.raises(EmbedderMismatch):
        hs.open(path, embedder=counting())
    with hs.open(path, embedder=counting("other", dim=16)) as again:
        assert len(again.search("moon", mode="vector", limit=30)) == 21


def test_an_interrupted_change_goes_on_where_it_stopped(filled, counting):
    with pytest.raises(InterruptedHereError):
        filled.reembed(counting("other"), progress=stop_after(12))
    assert filled.stats().embedding.fingerprint == "counting@32"
    assert filled.stats().building.fingerprint == "other@32"
    assert filled.search("moon")[0].vector_rank is not None
    filled.add("added meanwhile")
    again = counting("other")
    assert filled.reembed(again) == 9
    assert len(again.documents) == 9
    assert filled.stats().embedding.fingerprint == "other@32"
    assert filled.check() == []


def test_what_was_begun_goes_on_without_being_named(path, counting, monkeypatch, filled):
    with pytest.raises(InterruptedHereError):
        filled.reembed(counting("other"), progress=stop_after(6))
    monkeypatch.setattr("hybridstore.embedders.load", lambda name, **_: counting(name))
    with hs.open(path) as follower:
        assert follower.reembed() == 14
        assert follower.stats().embedding.fingerprint == "other@32"


def test_naming_the_old_embedder_gives_the_change_up(filled, counting, embedder):
    with pytest.raises(InterruptedHereError):
        filled.reembed(counting("other"), progress=stop_after(6))
    assert filled.reembed(embedder) == 0
    assert filled.stats().building is None
    assert filled.stats().embedding.fingerprint == embedder.fingerprint


def test_missing_vectors_of_the_files_own_embedder_are_made(path, filled, embedder):
    with hs.open(path, embedder="none") as without:
        without.add(["keywords only", "and another"])
        with pytest.raises(InputError, match="name the embedder"):
            without.reembed()
    assert [problem.count for problem in filled.check()] == [2]
    assert filled.reembed() == 2
    assert filled.check() == []
    assert filled.search("keywords only", mode="vector", limit=1)[0].text == "keywords only"
    assert filled.reembed() == 0


def test_a_store_filled_without_vectors_can_get_them(plain, counting):
    plain.add(TEXTS)
    assert plain.reembed(counting()) == 20
    assert plain.stats().vectors == 20
    assert plain.search("moon")[0].vector_rank is not None


def test_given_vectors_can_be_replaced_by_made_ones(path, counting):
    with hs.open(path) as store:
        store.add(["sun", "moon"], vectors=[[1.0, 0.0], [0.0, 1.0]])
        assert store.reembed(counting()) == 2
        assert store.search("moon", mode="vector", limit=1)[0].text == "moon"


def test_given_vectors_are_taken_over_by_the_embedder_that_made_them(path, counting):
    made = counting()
    vectors = made.embed_documents(["sun", "moon"])
    with hs.open(path) as store:
        store.add(["sun", "moon"], vectors=vectors)
        with store.writer(embed=False) as writer:
            writer.add_chunked(hs.Document(text="star"), [Chunk(0, 4)])
        made.documents.clear()
        with pytest.raises(InputError, match=r"reembed\(NAME, adopt=True\)"):
            store.search("moon")
        with pytest.raises(InputError, match="this store has vectors of given@32"):
            store.reembed(counting("other", 16), adopt=True)
        assert store.reembed(made, adopt=True) == 3
        assert made.documents == ["star"]
        results = store.search("moon")
        assert results[0].text == "moon"
        assert results.confidence is not None
        assert store.check() == []
        with pytest.raises(InputError, match="adopt takes over vectors that their caller passed"):
            store.reembed(made, adopt=True)
    with hs.open(path, embedder=made) as store:
        assert np.allclose(store.stored(store.ids()[1], vectors=True).vectors, vectors[1:])


def test_an_empty_store_changes_at_once(store, counting):
    other = counting("other")
    assert store.reembed(other) == 0
    store.add("text")
    assert other.documents == ["text"]


def test_searches_and_writes_go_on_while_it_changes(path, filled, counting, monkeypatch):
    monkeypatch.setattr("hybridstore.embedders.load", lambda name, **_: counting(name))
    failures: list[BaseException] = []
    stop = threading.Event()

    def use(work) -> None:
        try:
            with hs.open(path) as follower:
                while not stop.is_set():
                    work(follower)
        except BaseException as error:  # noqa: BLE001 - shown below, in the main thread
            failures.append(error)

    numbers = iter(range(10**6))
    threads = [
        threading.Thread(target=use, args=(lambda s: s.search("moon")[0].vector_rank is not None,)),
        threading.Thread(target=use, args=(lambda s: s.add(f"more {next(numbers)}"),)),
    ]
    for thread in threads:
        thread.start()
    try:
        for name in ("second", "third", "fourth"):
            filled.reembed(counting(name))
            time.sleep(0.3)  # others get round to noticing, as they would beside a model
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failures == []
    filled.reembed()
    assert filled.stats().vectors == filled.stats().chunks > 20
    assert filled.check() == []


def test_two_who_change_it_at_once_both_end_well(path, filled, counting):
    ends: list[int | BaseException] = []

    def change() -> None:
        try:
            with hs.open(path, embedder="none") as other:
                ends.append(other.reembed(counting("other")))
        except BaseException as error:  # noqa: BLE001 - shown below
            ends.append(error)

    threads = [threading.Thread(target=change) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(isinstance(end, int) for end in ends), ends
    assert filled.stats().embedding.fingerprint == "other@32"
    assert filled.check() == []


def tuned(store, embedder) -> int:
    """Propose a model that stands for a change to this embedder; give its number."""
    name = embedder.fingerprint
    return store.learning.propose(ModelVersion(kind="embedder", source=name, target=name, reference=embedder.reference))


def test_vectors_that_were_kept_are_gone_back_to_at_once(filled, embedder, counting):
    other = counting("other")
    assert filled.reembed(other, keep=True) == 20
    assert filled.stats().kept.fingerprint == embedder.fingerprint
    filled.add("a passage that came later")
    assert filled.reembed(embedder, keep=True) == 1
    assert filled.stats().embedding.fingerprint == embedder.fingerprint
    assert filled.stats().kept.fingerprint == other.fingerprint
    assert filled.search("passage that came later")[0].text == "a passage that came later"
    assert filled.check() == []


def test_a_model_is_promoted_with_its_vectors(filled, counting):
    other = counting("other")
    number = tuned(filled, other)
    with pytest.raises(InterruptedHereError):
        filled.reembed(other, keep=True, promote=number, progress=stop_after(6))
    assert (filled.stats().model, filled.stats().kept) == (None, None)
    assert filled.reembed(other, keep=True, promote=number) == 14
    assert filled.stats().model == number
    assert filled.search("moon")[0].vector_rank is not None


def test_a_model_is_promoted_where_its_vectors_are_there_already(filled, counting):
    other = counting("other")
    filled.reembed(other)
    number = tuned(filled, other)
    assert filled.reembed(other, promote=number) == 0
    assert filled.stats().model == number


def test_a_model_for_other_vectors_is_rejected_before_any_is_made(filled, counting):
    other = counting("other")
    for number in (tuned(filled, counting("third")), 99):
        with pytest.raises(InputError, match="other@32"):
            filled.reembed(other, promote=number)
    assert (other.documents, filled.stats().building) == ([], None)
