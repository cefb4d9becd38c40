"""Results as tables: their columns, types and cells."""

import json
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import ClassVar

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import MissingExtra
from hybridstore.tables import Column, Tabular

pa = pytest.importorskip("pyarrow", reason="tables need the extra `arrow`: pip install 'hybridstore[arrow]'")
pd = pytest.importorskip("pandas", reason="frames need the extra `pandas`: pip install 'hybridstore[pandas]'")

DOCUMENTS = [
    hs.Document(id="bread", title="Bread", uri="b.md", text="Flour, water and yeast.", metadata={"n": 1, "ü": [None]}),
    hs.Document(id="beer", text="Barley, hops and yeast; 酵母 too."),
    hs.Document(id="ale", text="Barley, hops and yeast; 酵母 too.", metadata={"deep": {"x": 0.5}}),
]
TYPES = {
    "chunk_id": "int64",
    "document_id": "string",
    "text": "string",
    "title": "string",
    "uri": "string",
    "heading": "string",
    "start": "int64",
    "end": "int64",
    "metadata": "string",
    "score": "double",
    "rank": "int64",
    "keyword_rank": "int64",
    "keyword_score": "double",
    "vector_rank": "int64",
    "vector_score": "double",
    "copies": "list<item: string>",
    "relevance": "double",
}


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(32, max_tokens=32)) as store:
        store.add(DOCUMENTS)
        yield store


@pytest.fixture
def results(store):
    return store.search("yeast hops", unique=True)


def test_the_columns_are_the_fields_of_a_hit():
    assert [column.name for column in hs.Results.columns] == [field.name for field in fields(hs.Hit)] == list(TYPES)


def test_a_row_has_the_values_of_its_hit(results):
    table = results.to_arrow()
    assert {field.name: str(field.type) for field in table.schema} == TYPES
    assert table.num_rows == len(results) == 2
    for row, hit in zip(table.to_pylist(), results, strict=True):
        for name, cell in row.items():
            expected = getattr(hit, name)
            if name == "metadata":
                assert json.loads(cell) == expected
            else:
                assert cell == (list(expected) if name == "copies" else expected), name
    assert any(table["copies"].to_pylist())


def test_dictionaries_are_ready_for_json(results):
    rows = results.to_dicts()
    assert [list(row) for row in rows] == [list(TYPES)] * 2
    assert json.loads(json.dumps(rows)) == rows
    assert {row["document_id"]: row["metadata"] for row in rows}["bread"] == {"n": 1, "ü": [None]}
    assert rows == [hit.to_dict() for hit in results]


def test_a_trace_is_ready_for_json(store, results):
    trace = results.trace.to_dict()
    assert json.dumps(trace)
    assert trace.keys() - {"confidence", "cosines"} == {field.name for field in fields(results.trace)}
    assert trace["hits"] == results.to_dicts()
    assert trace["fused"]["chunks"] == results.trace.fused.chunks.tolist()
    assert [row["chunk_id"] for row in trace["evidence"]] == [hit.chunk_id for hit in results]
    assert store.search("yeast -stone title:bread", mode="keyword").trace.to_dict()["matching"] == [
        '"bread" in the title'
    ]


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "vector"])
def test_the_schema_is_the_same_without_hits_and_with_one_leg(store, mode):
    full = store.search("yeast", mode=mode).to_arrow()
    none = store.search("yeast", mode=mode, where={"n": 77}).to_arrow()
    assert none.num_rows == 0
    assert none.schema == full.schema
    assert full.num_rows == 3
    assert (full["vector_rank"].null_count == 3) is (mode == "keyword")
    assert not full.schema.field("text").nullable
    assert full.schema.field("keyword_rank").nullable


def test_a_frame_has_the_same_types_whether_ranks_are_missing_or_not(store):
    frames = [store.search("yeast", mode=mode).to_pandas() for mode in ("hybrid", "keyword", "vector")]
    frames.append(store.search("yeast", where={"n": 77}).to_pandas())
    assert [len(frame) for frame in frames] == [3, 3, 3, 0]
    for frame in frames[1:]:
        assert frame.dtypes.to_dict() == frames[0].dtypes.to_dict()
    assert frames[0]["rank"].tolist() == [1, 2, 3]
    assert frames[1]["vector_rank"].isna().all()


def test_readers_of_the_capsule_interface_accept_results(results):
    assert pa.table(results) == results.to_arrow()
    assert pa.RecordBatchReader.from_stream(results).read_all() == results.to_arrow()
    narrow = pa.schema([pa.field(name, pa.large_string() if name == "text" else kind) for name, kind in (
        (field.name, field.type) for field in results.to_arrow().schema)])  # fmt: skip
    assert pa.RecordBatchReader.from_stream(results, schema=narrow).schema.field("text").type == pa.large_string()
    assert pd.DataFrame.from_arrow(results)["text"].tolist() == [hit.text for hit in results]


def test_any_sequence_becomes_a_table_by_naming_its_columns():
    @dataclass(frozen=True)
    class Note:
        text: str
        weight: float
        tags: tuple[str, ...] = ()

    class Notes(Tabular, list):
        columns: ClassVar = (Column("text"), Column("weight", "number"), Column("tags", "texts"))

    notes = Notes([Note("a", 1.0, ("x", "y")), Note("b", 2.0)])
    assert notes.to_arrow().to_pydict() == {"text": ["a", "b"], "weight": [1.0, 2.0], "tags": [["x", "y"], []]}
    assert notes.to_dicts() == [
        {"text": "a", "weight": 1.0, "tags": ["x", "y"]},
        {"text": "b", "weight": 2.0, "tags": []},
    ]
    assert Notes().to_arrow().schema == notes.to_arrow().schema


def test_many_rows_come_in_several_batches():
    class Numbers(Tabular):
        columns: ClassVar = (Column("n", "integer"),)

        def rows(self):
            return ({"n": n} for n in range(2_500))

    table = Numbers().to_arrow()
    assert table["n"].to_pylist() == list(range(2_500))
    assert table["n"].num_chunks == 3


@pytest.mark.parametrize(
    ("package", "method"), [("pyarrow", "to_arrow"), ("pyarrow", "to_pandas"), ("pandas", "to_pandas")]
)
def test_without_the_package_the_error_says_how_to_install_it(monkeypatch, results, package, method):
    monkeypatch.setitem(sys.modules, package, None)
    extra = {"pyarrow": "arrow", "pandas": "pandas"}[package]
    with pytest.raises(MissingExtra, match=rf"pip install 'hybridstore\[{extra}\]'"):
        getattr(results, method)()
    assert results.to_dicts()  # needs neither


def test_a_search_loads_neither_arrow_nor_pandas():
    code = "import hybridstore as hs, sys\nwith hs.open(':memory:', embedder='none') as s: s.add('x'); s.search('x')\n"
    code += "print([m for m in ('pyarrow', 'pandas') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_all_documents_come_out_as_a_stream_and_go_into_another_store(store):
    reader = store.to_arrow()
    assert isinstance(reader, pa.RecordBatchReader)
    table = reader.read_all()
    assert table.column_names == ["id", "text", "title", "uri", "metadata", "format"]
    assert table["id"].to_pylist() == ["bread", "beer", "ale"]
    assert store.to_arrow({"@id": "ale"}).read_all()["id"].to_pylist() == ["ale"]
    assert store.to_arrow({"@id": "nobody"}).read_all().schema == table.schema
    with hs.open(":memory:", embedder=HashingEmbedder(32, max_tokens=32)) as other:
        assert other.add(store.to_arrow()).added == 3
        assert list(other.documents()) == list(store.documents())
        assert other.add(table).unchanged == 3


def test_a_chunk_has_its_vector_in_the_stream(store):
    text = "\n\n".join(f"A paragraph that speaks of {word} alone." * 9 for word in ("apples", "pears", "plums"))
    store.add(hs.Document(id="long", text=text))
    with hs.open(":memory:", embedder="none") as plain:
        plain.add("no vectors here")
        assert plain.to_arrow(vectors=True).read_all()["vectors"].to_pylist() == [None]
    table = store.to_arrow(vectors=True).read_all()
    assert str(table.schema.field("vectors").type) == "list<item: fixed_size_list<item: float>[32]>"
    for row in table.to_pylist():
        chunks = store.chunks.of([row["id"]])[row["id"]]
        assert row["vectors"] == store.chunks.vectors(chunks).tolist()
    assert len(table["vectors"].to_pylist()[-1]) > 1
