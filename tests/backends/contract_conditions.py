"""The contract of writing on a condition: a document is replaced, or removed, only if it still is what was read."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from made import chunks_of, entry, found, source

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Conflict
from hybridstore.errors import InputError
from hybridstore.records import AddReport


def state(backend: Backend) -> tuple:
    return backend.state().revision, [(stored, chunks_of(backend, stored.document.id)) for stored in backend.scan()]


def add_one(backend: Backend, id_: str) -> int:
    """Increment the number in a document's text, retrying on conflicts; return how many there were."""
    conflicts = 0
    while True:
        digest = backend.digests([id_]).get(id_)
        number = int(backend.get(id_).document.text) + 1 if digest else 1
        time.sleep(0.0002)  # the others get their turn between reading and writing, however fast the backend is
        try:
            backend.put([replace(entry(id_, str(number)), replaces=digest)])
        except Conflict:
            conflicts += 1
        else:
            return conflicts


class ConditionsContract:
    def test_a_document_is_replaced_while_it_is_what_was_read(self, backend):
        old, new = entry("a", "old words"), entry("a", "new words")
        assert backend.put([replace(old, replaces=None)]) == AddReport(added=1, chunks=1)
        assert backend.put([replace(new, replaces=old.digest)]) == AddReport(replaced=1, chunks=1)
        assert (found(backend, "old"), found(backend, "new")) == ([], ["a"])

    @pytest.mark.parametrize(("there", "replaces"), [("old", "other"), ("old", None), (None, "old")])
    def test_a_document_that_is_something_else_is_left_with_the_whole_batch(self, backend, there, replaces):
        backend.put([entry("kept", "as it was"), *([entry("a", there)] if there else [])])
        before = state(backend)
        replaced = replaces and entry("a", replaces).digest
        with pytest.raises(Conflict) as error:
            backend.put(
                [entry("first", "lost"), replace(entry("a", "new"), replaces=replaced), entry("last", "lost")],
                finished={source("A"): frozenset()},
                removing=["kept"],
            )
        stored = entry("a", there).digest if there else None
        assert (error.value.document_id, error.value.replaces, error.value.stored) == ("a", replaced, stored)
        assert state(backend) == before
        assert backend.sources() == {}

    def test_the_condition_is_held_against_the_same_content_too(self, backend):
        same = entry("a", "same")
        backend.put([same])
        assert backend.put([replace(same, replaces=same.digest)]) == AddReport(unchanged=1)
        assert backend.put([replace(same, chunks=(), chunk_digests=(), replaces=same.digest)]) == AddReport(unchanged=1)
        for without in ({}, {"chunks": (), "chunk_digests": ()}):
            with pytest.raises(Conflict):
                backend.put([replace(same, replaces=None, **without)])

    def test_the_condition_sees_what_the_same_call_has_written(self, backend):
        one, two = entry("a", "one"), entry("a", "two")
        assert backend.put([replace(one, replaces=None), replace(two, replaces=one.digest)]) == AddReport(
            added=1, replaced=1, chunks=2
        )
        with pytest.raises(Conflict):
            backend.put([replace(one, replaces=two.digest), replace(two, replaces=two.digest)])
        assert backend.get("a").document.text == "two"

    def test_documents_are_written_and_others_removed_in_one_step(self, backend):
        backend.put([entry("a", "x", source="A"), entry("b", "y")], finished={source("A"): frozenset({"a"})})
        before = backend.state().revision
        report = backend.put([entry("c", "z")], removing=["a", "a", "unknown"])
        assert report == AddReport(added=1, removed=1, chunks=1)
        assert [stored.document.id for stored in backend.scan()] == ["b", "c"]
        assert (backend.state().revision, backend.sources()) == (before + 1, {})
        assert backend.put([], removing=["b"]) == AddReport(removed=1)
        assert backend.check() == []

    def test_a_document_takes_the_place_of_another_that_is_still_what_was_read(self, backend):
        old, other = entry("old", "an old word", source="A"), entry("other", "another word")
        backend.put([old, other], finished={source("A"): frozenset({"old"})})
        before = backend.state().revision
        new = replace(entry("new", "a new word"), replaces=None)
        assert backend.put([new], removing={"old": old.digest}) == AddReport(added=1, removed=1, chunks=1)
        assert (backend.state().revision, backend.sources()) == (before + 1, {})
        assert (found(backend, "old"), sorted(found(backend, "word"))) == ([], ["new", "other"])
        assert backend.put([], removing={}) == AddReport()
        assert backend.check() == []

    @pytest.mark.parametrize("there", ["changed", None])
    def test_a_document_to_be_removed_that_is_something_else_is_left_with_the_whole_batch(self, backend, there):
        backend.put([entry("kept", "as it was"), *([entry("a", there)] if there else [])])
        before = state(backend)
        read = entry("a", "as it was read").digest
        with pytest.raises(Conflict) as error:
            backend.put(
                [entry("new", "never written"), entry("kept", "never changed")],
                finished={source("A"): frozenset()},
                removing={"a": read},
            )
        stored = entry("a", there).digest if there else None
        assert (error.value.document_id, error.value.replaces, error.value.stored) == ("a", read, stored)
        assert (state(backend), backend.sources()) == (before, {})

    def test_what_a_finished_source_no_longer_has_can_be_removed_on_a_condition_too(self, backend):
        gone = entry("gone", "x", source="A")
        backend.put([gone], finished={source("A"): frozenset({"gone"})})
        report = backend.put([], finished={source("A", "d2"): frozenset()}, removing={"gone": gone.digest})
        assert (report, backend.count()) == (AddReport(removed=1), 0)

    def test_a_document_cannot_be_written_and_removed_at_once(self, backend):
        for removing in (["b", "a"], {"b": b"0" * 16, "a": entry("a", "x").digest}):
            with pytest.raises(InputError, match="'a'"):
                backend.put([entry("a", "x")], removing=removing)
        assert backend.count() == 0

    def test_threads_that_race_lose_no_change(self, open_backend):
        handles = [open_backend(), open_backend()]

        def work(number: int) -> int:
            return sum(add_one(handles[number % 2], "counter") for _ in range(25))

        with ThreadPoolExecutor(4) as pool:
            conflicts = sum(pool.map(work, range(4)))
        assert handles[0].get("counter").document.text == "100"
        assert conflicts > 0  # else nothing was proved
