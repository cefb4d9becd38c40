"""Exchanging changes over two streams: what each side lacks is sent, and nothing is changed by half."""

import io
import os
import random
import threading

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import FileRefused, HybridstoreError, InputError


def in_memory(embedder="none"):
    return hs.open(":memory:", embedder=embedder)


class Cut:
    """A stream that ends after so many bytes."""

    def __init__(self, stream, left):
        self.stream, self.left = stream, left

    def write(self, data):
        part, self.left = data[: self.left], max(self.left - len(data), 0)
        self.stream.write(part)
        if len(part) < len(data):
            self.stream.close()
            raise BrokenPipeError
        return len(data)

    def flush(self):
        if not self.stream.closed:
            self.stream.flush()

    def close(self):
        self.stream.close()


def exchange(a, b, cut=None, **options):
    """Exchange between two stores over pipes; return the reports, or errors."""
    found = {}

    def run(name, store, reader, writer):
        with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb", 0) as target:
            sink = Cut(target, cut) if cut is not None and name == "a" else target
            try:
                found[name] = store.exchange_over(source, sink, **options)
            except HybridstoreError as error:
                found[name] = error

    (here, from_b), (there, from_a) = os.pipe(), os.pipe()
    other = threading.Thread(target=run, args=("b", b, there, from_b))
    other.start()
    run("a", a, here, from_a)
    other.join()
    return found["a"], found["b"]


def texts(store):
    return {document.id: document.text for document in store.documents()}


def test_each_side_gets_what_it_lacks_and_conflicts_are_seen_on_both():
    with in_memory() as a, in_memory() as b:
        a.add([{"id": f"d{n}", "text": f"text {n}"} for n in range(30)])
        a.expect("which is first", "d0")
        first, _ = exchange(a, b)
        assert (first.documents, first.told, len(texts(b))) == (30, 1, 30)
        a.add([{"id": "d1", "text": "here"}, {"id": "d2", "text": "changed"}])
        b.add({"id": "d1", "text": "there"})
        b.remove("d3")
        b.purge("d4")
        of_a, of_b = exchange(a, b)
        assert (of_a.documents, of_b.documents, of_b.removals) == (2, 1, 2)
        assert (of_a.merged.removed, of_a.merged.purged, of_b.merged.replaced[-1]) == (["d3"], ["d4"], "d2")
        assert a.conflicts() == b.conflicts() != []
        assert texts(a) == texts(b)
        of_a, of_b = exchange(a, b)
        assert (of_a.documents, of_b.documents, of_a.read, of_a.told) == (0, 0, 0, 0)
        assert of_a.bytes < 500


def test_little_is_sent_where_little_has_changed():
    with in_memory() as a, in_memory() as b:
        a.add([{"id": f"d{n}", "text": f"text number {n}"} for n in range(3000)])
        b.merge(a)
        random_text = [random.Random(n).randbytes(500).hex() for n in range(30)]
        b.add([{"id": f"d{n}", "text": f"another text {n} {text}"} for n, text in enumerate(random_text)])
        of_a, of_b = exchange(a, b)
        assert of_a.merged.replaced == [f"d{n}" for n in range(30)]
        changed = sum(len(document.text) for document in b.documents() if document.text.startswith("another"))
        assert of_b.bytes < 1.2 * changed
        assert of_a.bytes < 11_000


def test_vectors_are_sent_where_they_are_of_use():
    embedder, other = HashingEmbedder(32), HashingEmbedder(16)
    with in_memory(embedder) as a, in_memory(embedder) as b, in_memory(other) as c:
        a.add([{"id": f"d{n}", "text": f"text {n}"} for n in range(5)])
        exchange(a, b)
        assert b.stats().vectors == 5
        c.add("own")
        sent, _ = exchange(a, c)
        assert (c.stats().vectors, c.embed()) == (1, 5)
        a.add([{"id": "new", "text": "new"}], vectors="later")
        exchange(a, b)
        assert b.embeddings.missing_count() == 2  # the other one is of another embedder
        b.embed()
        exchange(a, b)
        assert a.embeddings.missing_count() == 0
        assert sent.bytes < 2_000


def test_streams_that_end_early_leave_both_as_they_were_or_whole():
    def both():
        a, b = in_memory(), in_memory()
        a.add([{"id": f"a{n}", "text": f"text {n}"} for n in range(20)])
        b.add([{"id": f"b{n}", "text": f"text {n}"} for n in range(20)])
        return a, b

    a, b = both()
    whole, _ = exchange(a, b)
    assert len(texts(a)) == len(texts(b)) == 40
    ended = 0
    for cut in range(0, whole.bytes, max(whole.bytes // 25, 1)):
        a, b = both()
        reports = exchange(a, b, cut=cut)
        ended += sum(isinstance(report, HybridstoreError) for report in reports)
        assert {len(texts(a)), len(texts(b))} <= {20, 40}
        exchange(a, b)
        assert texts(a) == texts(b)
        for store in (a, b):
            assert store.check() == []
            store.close()
    assert ended >= 25


def test_a_dry_run_on_one_side_changes_neither():
    with in_memory() as a, in_memory() as b:
        a.add({"id": "x", "text": "one"})
        of_a, of_b = exchange(a, b, dry_run=True)
        assert (of_a.documents, of_b.merged.added, texts(b)) == (1, ["x"], {})


@pytest.mark.parametrize("said", [b"Welcome to box!\nLast login: today\n" * 5, b"", b"hybridstore exchange 1\n"])
def test_something_else_at_the_other_end_is_told(said, tmp_path):
    (tmp_path / "said").write_bytes(said + bytes(60 if said.startswith(b"hyb") else 0))
    expected = pytest.raises((InputError, FileRefused), match="the other side")
    with in_memory() as store, (tmp_path / "said").open("rb") as reader, expected:
        store.exchange_over(reader, io.BytesIO())


def test_a_stream_that_leads_back_is_told():
    here, there = os.pipe()
    expected = pytest.raises(InputError, match="lead back")
    with in_memory() as store, os.fdopen(here, "rb") as reader, os.fdopen(there, "wb") as writer, expected:
        store.exchange_over(reader, writer)
