"""Prepared batches: what was divided and embedded elsewhere makes the store that `add` makes."""

import copy
import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.store import prepared, prepared_schema

pa = pytest.importorskip("pyarrow")

BY_HAND = HashingEmbedder(32, max_tokens=24)
DOCUMENTS = [
    hs.Document(
        id=f"d{n}",
        title=f"Part {n}",
        text=f"# Chapter {n}\n\n" + f"The valve {n} leaks at 4 bar. " * (n % 7 + 1),
        metadata={"year": 2000 + n, "tags": ["a", None, 1.5]},
        format=("plain", "markdown")[n % 2],
    )
    for n in range(30)
] + [hs.Document(id="zero", text="nul \0 and é"), hs.Document(id="title", text="", title="Only a title")]


def contents(store: hs.Store) -> list[tuple]:
    return [
        (stored.document, stored.chunks, stored.vectors.tolist(), store.digests([stored.document.id]))
        for stored in sorted(store.scan(vectors=True), key=lambda stored: stored.document.id)
    ]


def of_process(documents: list[hs.Document]) -> list:
    return list(hs.prepare(documents, BY_HAND))


def added(documents=DOCUMENTS, path=":memory:", **options) -> hs.Store:
    store = hs.open(path, embedder=BY_HAND)
    store.add(documents, **options)
    return store


@pytest.mark.parametrize("in_file", [False, True])
def test_the_store_is_the_one_that_add_makes(tmp_path, in_file):
    calls, made = [], []
    places = (tmp_path / "a.db", tmp_path / "b.db") if in_file else (":memory:", ":memory:")
    with added(path=places[0]) as plain, hs.open(places[1], embedder=BY_HAND) as store:
        batches = list(hs.prepare(DOCUMENTS, BY_HAND, progress=lambda *done: made.append(done)))
        report = store.add_prepared(batches, progress=calls.append)
        assert (report.added, report.embedded) == (32, 0)
        assert made[-1] == (32, report.chunks)
        assert calls[-1] == report
        assert contents(store) == contents(plain)
        assert store.state().calibration == plain.state().calibration is not None
        for query in ("valve 3", "a leak in chapter 5", "title"):
            found, expected = store.search(query), plain.search(query)
            assert [(hit.document_id, hit.score, hit.relevance) for hit in found] == [
                (hit.document_id, hit.score, hit.relevance) for hit in expected
            ]
            assert found.confidence == expected.confidence is not None
        assert store.add(DOCUMENTS).unchanged == 32
        assert store.add_prepared(batches).unchanged == 32
        assert store.check() == []


@pytest.mark.thorough  # 5 s: two processes are started
def test_processes_prepare_and_one_writes(tmp_path):
    parts = [DOCUMENTS[n::3] for n in range(3)]
    with (
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool,
        added() as plain,
        hs.open(tmp_path / "a.db", embedder=BY_HAND) as store,
    ):
        report = store.add_prepared(batch for batches in pool.map(of_process, parts) for batch in batches)
        assert report.added == 32
        assert contents(store) == contents(plain)


def test_whole_documents_stay_whole():
    with added(chunk=False) as plain, hs.open(":memory:", embedder=BY_HAND) as store:
        store.add_prepared(hs.prepare(DOCUMENTS, BY_HAND, chunk=False))
        assert contents(store) == contents(plain)
        assert store.add(DOCUMENTS, chunk=False).unchanged == 32


def test_a_new_store_takes_the_embedder_of_the_batches(tmp_path, model, texts):
    """The model travels as its name: it is loaded again where it is unpickled."""
    documents = [hs.Document(id=name, text=text) for name, text in texts.items()]
    again = copy.copy(model)
    assert (again.fingerprint, again.threads, again.device) == (model.fingerprint, 1, "cpu")
    assert copy.copy(model) is again
    assert len(pickle.dumps(model)) < 200
    with hs.open(tmp_path / "a.db") as store, hs.open(":memory:", embedder=model) as plain:
        store.add_prepared(hs.prepare(documents, again))
        plain.add(documents)
        found, expected = store.search("the chain is broken"), plain.search("the chain is broken")
        assert [hit.document_id for hit in found] == [hit.document_id for hit in expected]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-5)
        assert found.confidence == pytest.approx(expected.confidence, abs=1e-5)
        assert store.stats().embedding.reference == model.reference


def test_a_model_that_differs_where_it_arrives_is_refused(model):
    make, (name, _, *options) = model.__reduce__()
    with pytest.raises(hs.ModelUnavailable, match="other@1 was sent here"):
        make(name, "other@1", *options)


def test_a_replaced_document_and_one_that_comes_twice():
    with hs.open(":memory:", embedder=BY_HAND) as store:
        store.add(hs.Document(id="a", text="old"))
        twice = [hs.Document(id="a", text="first"), hs.Document(id="a", text="last")]
        assert store.add_prepared(hs.prepare(twice, BY_HAND)).replaced == 1
        assert store.get("a").text == "last"


@pytest.mark.parametrize("how", ["table", "reader", "batch", "tables", "large", "pandas", "parquet"])
def test_batches_come_in_any_arrow_form(how, tmp_path):
    batches = list(hs.prepare(DOCUMENTS[:5], BY_HAND))
    table = pa.Table.from_batches(batches)
    if how == "pandas":
        pytest.importorskip("pandas")
        forms = pa.Table.from_pandas(table.to_pandas(), schema=prepared_schema())
    elif how == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(table, tmp_path / "a.parquet")
        forms = pq.read_table(tmp_path / "a.parquet")
    else:
        large = table.set_column(1, "text", table.column("text").cast(pa.large_string()))
        forms = {"table": table, "reader": table.to_reader(), "batch": batches[0], "tables": [table.slice(2)],
                 "large": large.append_column("more", [[1] * 5])}[how]  # fmt: skip
    with hs.open(":memory:", embedder=BY_HAND) as store, added(DOCUMENTS[2 if how == "tables" else 0 : 5]) as plain:
        store.add_prepared(forms)
        assert contents(store) == contents(plain)


def test_a_table_is_prepared_as_add_reads_it():
    table = pa.table({"text": ["one", "two"], "year": [1, 2]})
    with hs.open(":memory:", embedder=BY_HAND) as store:
        store.add_prepared(hs.prepare(table, BY_HAND))
        assert [document.metadata for document in store.documents()] == [{"year": 1}, {"year": 2}]


def test_nothing_prepared_adds_nothing():
    with hs.open(":memory:", embedder=BY_HAND) as store:
        assert store.add_prepared(hs.prepare([], BY_HAND)) == hs.AddReport()
        assert store.add_prepared(prepared_schema().empty_table()) == hs.AddReport()


def changed(name: str, value) -> pa.Table:
    """Return a prepared table with one cell of its second row, or of that one's first chunk, replaced."""
    table = pa.Table.from_batches(hs.prepare(DOCUMENTS[:3], BY_HAND))
    rows = table.to_pylist()
    cells = rows[1]["chunks"][0] if name in rows[1]["chunks"][0] else rows[1]
    cells[name] = value(cells[name]) if callable(value) else value
    return pa.Table.from_pylist(rows, schema=prepared_schema())


def facts(**changes) -> callable:
    return lambda text: json.dumps(json.loads(text) | changes)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (lambda: changed("text", "other"), "'d1' was changed after"),
        (lambda: changed("text", None), "'d1' cannot be stored"),
        (lambda: changed("metadata", "[1]"), "cannot be stored"),
        (lambda: changed("metadata", "{"), "cannot be stored"),
        (lambda: changed("format", "word"), "cannot be stored"),
        (lambda: changed("start", 3), "'d1' was changed after"),
        (lambda: changed("end", None), "changed|cannot"),
        (lambda: changed("heading", "other"), "'d1' was changed after"),
        (lambda: changed("chunks", []), "'d1' was changed after"),
        (lambda: changed("chunks", None), "'d1' was changed after"),
        (lambda: changed("vector", [1.0]), "not 32 numbers long"),
        (lambda: changed("vector", None), "not 32 numbers long"),
        (lambda: changed("vector", [2.0] + [0.0] * 31), "unit norm"),
        (lambda: changed("vector", [float("nan")] * 32), "unit norm"),
        (lambda: changed("prepared", "{}"), "different embedders"),
        (lambda: changed("prepared", facts(chunker=0)).slice(1, 1), "another version"),
        (lambda: changed("prepared", "{}").slice(1, 1), "does not say"),
        (lambda: changed("prepared", "[" * 100_000).slice(1, 1), "does not say"),
        (lambda: changed("prepared", facts(dim="32")).slice(1, 1), "does not say"),
        (lambda: pa.table({"text": ["a"]}), "lack the column 'id'"),
        (lambda: "text", "not str"),
        (lambda: [hs.Document(text="a")], "not Document"),
        (lambda: changed("text", "x").set_column(7, "chunks", [pa.array([1, 2, 3])]), "types"),
    ],
)
def test_what_is_not_as_it_was_prepared_is_refused_and_nothing_of_it_written(table, reason):
    with hs.open(":memory:", embedder=BY_HAND) as store:
        store.add("before")
        with pytest.raises(hs.InputError, match=reason):
            store.add_prepared(table())
        assert store.count() == 1


def test_batches_of_another_embedder_are_refused(tmp_path):
    other = HashingEmbedder(32, max_tokens=25)
    batches = list(hs.prepare("a text", other))
    with hs.open(":memory:", embedder=BY_HAND) as store, pytest.raises(hs.EmbedderMismatch, match="prepare them with"):
        store.add_prepared(batches)
    with hs.open(tmp_path / "a.db") as store:
        store.add_prepared(batches)
        with pytest.raises(hs.EmbedderMismatch, match="were prepared with"):
            store.add_prepared(hs.prepare("another text", BY_HAND))
        assert store.count() == 1


def test_batches_before_one_that_fails_stay_and_a_batch_is_one_commit(tmp_path):
    good = pa.Table.from_batches(hs.prepare(DOCUMENTS[3:6], BY_HAND))
    with hs.open(tmp_path / "a.db", embedder=BY_HAND) as store:
        with pytest.raises(hs.InputError):
            store.add_prepared([good, changed("text", "other"), good])
        assert (store.count(), store.stats().revision) == (3, 1)
        store.add_prepared(good)
        assert store.search("valve").confidence is not None


def test_large_inputs_come_in_several_batches(monkeypatch):
    monkeypatch.setattr(prepared, "_CHARACTERS", 300)
    batches = list(hs.prepare(iter(DOCUMENTS), BY_HAND))
    assert len(batches) > 3
    assert sum(map(len, batches)) == 32


@pytest.mark.parametrize("documents", [b"bytes", 7, [7], {"txt": "a"}, [""]])
def test_what_is_no_document_is_refused(documents):
    with pytest.raises(hs.InputError):
        list(hs.prepare(documents, BY_HAND))


def test_zero_vectors_and_texts_that_come_twice_are_kept():
    class Zero(HashingEmbedder):
        def embed_documents(self, texts):
            return super().embed_documents(texts) * np.array([[text != "nothing"] for text in texts], np.float32)

    batches = list(hs.prepare(["nothing", "a", {"id": "b", "text": "a"}], Zero(32, max_tokens=24)))
    with hs.open(":memory:", embedder=BY_HAND) as store:
        assert store.add_prepared(batches).added == 3
        assert store.check() == []
