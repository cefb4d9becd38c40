"""Reading tables as documents: what columns become, and errors that name the row and column of a bad cell."""

import datetime as dt
import math
import sys
from dataclasses import fields
from decimal import Decimal

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError, MissingExtra
from hybridstore.tables import DOCUMENT_COLUMNS, documents_from, pages_from

pa = pytest.importorskip("pyarrow", reason="tables need the extra `arrow`: pip install 'hybridstore[arrow]'")
pd = pytest.importorskip("pandas", reason="frames need the extra `pandas`: pip install 'hybridstore[pandas]'")

ROWS = {
    "text": ["bread and butter", "beer"],
    "id": ["a", None],
    "title": [None, "On beer"],
    "uri": ["x.md", None],
    "format": ["markdown", None],
    "year": [1999, None],
}


MOMENT = dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(8)) as store:
        yield store


class OnlyArray:
    """A batch that gives only `__arrow_c_array__`."""

    def __init__(self, batch):
        self._batch = batch

    def __arrow_c_array__(self, requested_schema=None):
        return self._batch.__arrow_c_array__(requested_schema)


def forms():
    table = pa.table(ROWS)
    (batch,) = table.to_batches()
    return {
        "a table": table,
        "a batch": batch,
        "a reader": table.to_reader(),
        "an array of structs": batch.to_struct_array(),
        "something with __arrow_c_array__ alone": OnlyArray(batch),
        "a frame of pandas": pd.DataFrame(ROWS),
        "dictionary-encoded and large texts": table.set_column(0, "text", table["text"].dictionary_encode()).set_column(
            1, "id", table["id"].cast(pa.large_string())
        ),
        "string views": table.set_column(0, "text", table["text"].cast(pa.string_view())),
    }


def test_the_columns_are_a_documents_fields():
    assert {column.name for column in DOCUMENT_COLUMNS} == {field.name for field in fields(hs.Document)}


@pytest.mark.parametrize("form", list(forms()))
def test_any_arrow_table_can_be_added(store, form):
    assert store.add(forms()[form]).added == 2
    first, second = store.documents()
    assert first == hs.Document(id="a", text="bread and butter", uri="x.md", metadata={"year": 1999}, format="markdown")
    assert (second.text, second.title, second.uri, second.format, second.metadata) == (
        "beer",
        "On beer",
        "",
        "plain",
        {},
    )
    assert second.id  # made from the content
    assert store.add(forms()[form]).unchanged == 2


@pytest.mark.parametrize(
    ("cells", "metadata"),
    [
        (pa.array([{"a": 1, "b": None, "c": {"d": "x"}}, None]), [{"a": 1, "c": {"d": "x"}}, {}]),
        (pa.array(['{"a": [1, null]}', None]), [{"a": [1, None]}, {}]),
        (pa.array(["{}", " {} "]), [{}, {}]),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), [{"a": 1}, {}]),
        (pa.array([[("a", None)], []], pa.map_(pa.string(), pa.string())), [{"a": None}, {}]),
        (pa.nulls(2), [{}, {}]),
    ],
    ids=["structs", "JSON", "empty objects", "maps", "maps with null", "nothing but null"],
)
def test_metadata_is_structs_maps_or_json(cells, metadata):
    documents = documents_from(pa.table({"text": ["x", "y"], "metadata": cells}))
    assert [document["metadata"] for document in documents] == metadata


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (pa.array([True, None]), [True]),
        (pa.array([0.5, 1.0], pa.float32()), [0.5, 1.0]),
        (pa.array(["ü", None], pa.large_string()), ["ü"]),
        (pa.array([["a", None], []]), [["a", None], []]),
        (pa.array([[1.0], None], pa.list_(pa.float64(), 1)), [[1.0]]),
        (pa.array([{"d": dt.date(2024, 2, 29)}, None]), [{"d": "2024-02-29"}]),
        (pa.array([MOMENT.replace(tzinfo=None), None]), ["2024-02-29T12:30:00"]),
        (pa.array([MOMENT, None], pa.timestamp("ns", "UTC")), ["2024-02-29T12:30:00+00:00"]),
        (pa.array([dt.time(1, 2, 3), None]), ["01:02:03"]),
        (pa.array([2**64 - 1, 0], pa.uint64()), [2**64 - 1, 0]),
        (pa.array(["b", "b"]).dictionary_encode(), ["b", "b"]),
        (pa.nulls(2), []),
    ],
    ids=str,
)  # fmt: skip
def test_other_columns_become_metadata_under_their_names(cells, values):
    documents = documents_from(pa.table({"text": ["x", "y"], "extra": cells}))
    assert [document["metadata"]["extra"] for document in documents if "metadata" in document] == values


def test_a_column_takes_precedence_over_the_same_key_in_metadata():
    table = pa.table({"text": ["x", "y"], "metadata": ['{"a": 1, "b": 2}'] * 2, "a": [3, None]})
    assert [document["metadata"] for document in documents_from(table)] == [{"a": 3, "b": 2}, {"a": 1, "b": 2}]


def test_an_unnamed_pandas_index_is_ignored_and_a_named_one_is_a_column():
    frame = pd.DataFrame({"text": ["x", "y", "z"], "n": [1, 2, 3]})
    assert list(documents_from(frame[frame.n > 1])) == [
        {"text": "y", "metadata": {"n": 2}},
        {"text": "z", "metadata": {"n": 3}},
    ]
    named = pd.DataFrame({"text": ["x"]}, index=pd.Index(["one"], name="id"))
    assert list(documents_from(named)) == [{"text": "x", "id": "one"}]


VECTORS = [[3.0, 4.0], [0.0, 2.0]]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32(), 2), pa.list_(pa.float64()), pa.large_list(pa.float16())], ids=str
)
def test_a_vector_column_replaces_the_vectors_argument(store, kind):
    with hs.open(":memory:") as from_column, hs.open(":memory:") as from_argument:
        cells = pa.array([[np.float16(x) for x in row] for row in VECTORS], kind)
        table = pa.table({"text": ["x", "y"], "id": ["a", "b"], "vector": cells})
        assert from_column.add(table).added == 2
        from_argument.add([{"text": "x", "id": "a"}, {"text": "y", "id": "b"}], vectors=VECTORS)
        assert from_column.digests(["a", "b"]) == from_argument.digests(["a", "b"])
        assert from_column.add(table.slice(1)).unchanged == 1  # a slice's own rows, not those before it
        hits = from_column.search("", mode="vector", vector=[0.6, 0.8])
        assert [(hit.document_id, round(hit.vector_score, 6)) for hit in hits] == [("a", 1.0), ("b", 0.8)]
        assert all("metadata" not in document for document in documents_from(table))


def test_a_frame_of_arrays_gives_vectors():
    frame = pd.DataFrame({"text": ["x", "y"], "vector": [np.array(row) for row in VECTORS]})
    (page,) = pages_from(frame)
    assert page.vectors.dtype == np.float32
    assert page.vectors.tolist() == VECTORS


def test_vectors_can_be_passed_with_a_table_that_has_none():
    with hs.open(":memory:") as store:
        assert store.add(pa.table({"text": ["x", "y"]}), vectors=VECTORS).added == 2
        assert store.stats().vectors == 2
        with pytest.raises(InputError, match="leave one of them out"):
            store.add(pa.table({"text": ["x"], "vector": [[1.0, 2.0]]}), vectors=[[1.0, 2.0]])


NAN = math.nan
OFFSETS = np.array([0, 1, 2], np.int32)
BAD = {
    "no text column": ({"txt": ["x"]}, r"no column 'text', only 'txt'"),
    "no columns": ({}, "no column 'text', only none"),
    "text that is numbers": ({"text": [1]}, r"column 'text' is int64, not text"),
    "ids that are numbers": ({"text": ["x"], "id": [5]}, r"column 'id' is int64, not text; cast"),
    "a null text": ({"text": ["x", None]}, r"column 'text', row 1 \(counted from 0\): is null"),
    "nothing but null texts": ({"text": pa.nulls(1)}, r"column 'text', row 0"),
    "an empty id": ({"text": ["x", "y"], "id": ["a", ""]}, r"row 1 \(counted from 0\): an id must not be empty"),
    "an unknown format": ({"text": ["x", "y"], "format": [None, "pdf"]}, r"row 1 .*format .*'pdf'"),
    "metadata that is numbers": ({"text": ["x"], "metadata": [1]}, r"column 'metadata' is int64"),
    "metadata that is not JSON": ({"text": ["x", "y"], "metadata": ["{}", "{"]}, r"'metadata', row 1 .*not valid"),
    "metadata that is not an object": ({"text": ["x"], "metadata": ["[1]"]}, r"'metadata', row 0 .*object: \[1\]"),
    "a key twice": (
        {"text": ["x"], "metadata": pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64()))},
        r"column 'metadata', row 0 .*a key twice",
    ),
    "keys that are numbers": (
        {"text": ["x"], "m": pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64()))},
        r"column 'm' has maps with keys of type int64",
    ),
    "NaN in a column": ({"text": ["x", "y"], "n": [1.0, NAN]}, r"column 'n', row 1 .*is nan"),
    "infinity deep in a column": ({"text": ["x"], "n": [{"a": [math.inf]}]}, r"column 'n', row 0 .*is inf"),
    "bytes": ({"text": ["x"], "b": [b"x"]}, r"column 'b' is binary, which metadata cannot hold"),
    "decimals deep in a column": ({"text": ["x"], "b": [[Decimal("1.5")]]}, r"column 'b' is decimal"),
    "durations": ({"text": ["x"], "d": [dt.timedelta(1)]}, r"column 'd' is duration"),
    "a null vector": ({"text": ["x", "y"], "vector": [[1.0], None]}, r"column 'vector', row 1 .*is null"),
    "a vector of another length": ({"text": ["x", "y"], "vector": [[1.0], [1.0, 2.0]]}, r"row 1 .*2 numbers.*has 1"),
    "an empty vector": ({"text": ["x"], "vector": pa.array([[]], pa.list_(pa.float32()))}, r"row 0 .*has 0 numbers"),
    "a vector with null": ({"text": ["x", "y"], "vector": [[1.0], [None]]}, r"column 'vector', row 1 .*null, NaN"),
    "a vector with infinity": ({"text": ["x"], "vector": [[math.inf]]}, r"column 'vector', row 0 .*beyond float32"),
    "vectors of whole numbers": ({"text": ["x"], "vector": [[1]]}, r"column 'vector' is list<.*int64>"),
    "many vectors per row": ({"text": ["x"], "vectors": [[[1.0]]]}, r"'vectors' has many vectors per row; .*import"),
    "text that is not UTF-8": (
        {"text": pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(OFFSETS), pa.py_buffer(b"a\xff")])},
        r"column 'text', row 1 .*cannot be read",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "message"), BAD.values(), ids=BAD)
def test_bad_cells_are_reported_by_column_and_row_and_nothing_is_written(store, columns, message):
    with pytest.raises(InputError, match=message):
        store.add(pa.table(columns))
    assert store.count() == 0
    assert store.stats().revision == 0


def test_duplicate_column_names_are_rejected(store):
    with pytest.raises(InputError, match="two columns 'n'"):
        store.add(pa.table([pa.array(["x"]), pa.array([1]), pa.array([2])], names=["text", "n", "n"]))


def test_a_bad_last_row_of_a_large_batch_is_reported_before_anything_is_written(store):
    texts = [f"text {n}" for n in range(4_500)] + [None]
    with pytest.raises(InputError, match=r"column 'text', row 4500 "):
        store.add(pa.table({"text": texts}), progress=lambda _: pytest.fail("something was written"))
    assert store.count() == 0


def test_a_bad_row_of_a_later_batch_is_counted_over_all_batches():
    batches = [pa.record_batch({"text": ["a", "b"]}), pa.record_batch({"text": ["c", None]})]
    documents = documents_from(pa.Table.from_batches(batches))
    assert [next(documents)["text"], next(documents)["text"]] == ["a", "b"]
    with pytest.raises(InputError, match="row 3 "):
        next(documents)


def test_batches_are_read_one_at_a_time():
    read = []

    def batches():
        for n in range(3):
            read.append(n)
            yield pa.record_batch({"text": [f"text {n}"]})

    documents = documents_from(pa.RecordBatchReader.from_batches(pa.schema({"text": pa.string()}), batches()))
    assert next(documents) == {"text": "text 0"}
    assert read == [0]
    assert len(list(documents)) == 2


def test_batches_with_vectors_of_different_lengths_are_rejected():
    kind = pa.list_(pa.float32())
    batches = [pa.record_batch({"text": ["a"], "vector": pa.array([row], kind)}) for row in ([1.0], [1.0, 2.0])]
    pages = pages_from(pa.Table.from_batches(batches))
    assert next(pages).vectors.shape == (1, 1)
    with pytest.raises(InputError, match=r"row 1 .*has 2 numbers, but the first vector has 1"):
        next(pages)


def test_a_table_without_rows_adds_nothing(store):
    assert store.add(pa.table({"text": pa.array([], pa.string())})) == hs.AddReport()
    kind = pa.list_(pa.float32())
    assert store.add(pa.table({"text": pa.array([], pa.string()), "vector": pa.array([], kind)})) == hs.AddReport()


def test_objects_that_are_not_tables_are_rejected(store):
    with pytest.raises(InputError, match="the ChunkedArray cannot be read as a table"):
        store.add(pa.chunked_array([["a text"]]))
    mixed = pd.DataFrame({"text": ["x", 5]}, dtype=object)
    with pytest.raises(InputError, match="the DataFrame cannot be read as a table"):
        store.add(mixed)
    with pytest.raises(InputError, match="no column 'text'"):
        store.add(pa.array([{"a": 1}]))
    assert store.count() == 0


def test_a_broken_stream_is_reported(store):
    def batches():
        yield pa.record_batch({"text": ["fine"]})
        raise pa.ArrowInvalid("the wire was cut")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"text": pa.string()}), batches())
    with pytest.raises(InputError, match=r"RecordBatchReader cannot be read as a table: .*the wire was cut"):
        store.add(reader)


def test_results_of_one_store_go_into_another(store):
    store.add([{"id": "a", "text": "bread", "metadata": {"x": [1]}}, {"id": "b", "text": "beer"}])
    with hs.open(":memory:", embedder="none") as other:
        assert other.add(store.search("bread beer")).added == 2
        documents = {document.metadata["document_id"]: document for document in other.documents()}
        assert documents["a"].text == "bread"
        assert documents["a"].metadata["x"] == [1]


def test_without_pyarrow_the_error_says_how_to_install_it(monkeypatch, store):
    frame = pd.DataFrame({"text": ["x"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'hybridstore\[arrow\]'"):
        store.add(frame)
