"""A store in Haystack, beyond Haystack's own suites: fidelity, vectors, filters, the retriever, pipelines."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from haystack import Document, Pipeline
from haystack.components.builders import PromptBuilder
from haystack.components.writers import DocumentWriter
from haystack.core.errors import DeserializationError, SerializationError
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.integrations.haystack import HybridStoreDocumentStore, HybridStoreHaystackRetriever

TEXTS = {
    "beer": "Barley, hops and yeast ferment in a tank.",
    "wine": "Grapes ferment in a barrel for months.",
    "sloop": "A sloop has one mast.",
    "ketch": "A ketch has two masts.",
}
AXES = dict(zip(TEXTS, np.eye(4).tolist(), strict=True))


def made(name, **fields):
    return Document(id=name, content=TEXTS.get(name), **fields)


def ids(documents):
    return [document.id for document in documents]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "store.db")


@pytest.fixture
def documents(path, remembering):
    """Return a document store that embeds, and records what it embedded."""
    embedder = remembering(dim=64)
    with HybridStoreDocumentStore(path, embedder=embedder) as store:
        store.embedded = embedder.documents
        yield store


@pytest.fixture
def brought(tmp_path):
    """Return a document store of four Documents with orthogonal vectors of their own."""
    with HybridStoreDocumentStore(tmp_path / "brought.db") as store:
        store.write_documents([made(name, embedding=AXES[name]) for name in TEXTS])
        yield store


def test_without_the_package_the_error_has_the_install_command():
    code = "import sys; sys.modules['haystack'] = None; import hybridstore.integrations.haystack"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in ran.stderr
    assert "pip install 'hybridstore[haystack]'" in ran.stderr


# what was written comes back

EVERY_KIND = [
    Document(id="none"),
    Document(id="empty", content=""),
    Document(id="blob", blob=ByteStream(b"\x00\xff", meta={"a": [1]}, mime_type="image/png")),
    Document(id="bare blob", content="both", blob=ByteStream(b"")),
    Document(id="score", content="x", score=0.25),
    Document(id="no score", content="x", score=0.0),
    Document(id="exact", content="x", embedding=[0.1, 1 / 3]),
    Document(id="short", content="x", embedding=[0.5, -2.0]),
    Document(id="zero", content="x", embedding=[0.0, 0.0]),
    Document(id="sparse", content="x", sparse_embedding=SparseEmbedding(indices=[1, 5], values=[0.1, 0.2])),
    Document(id="meta", content="x", meta={"n": 1, "f": 1.0, "b": True, "null": None, "l": [1, {"d": "2020-01-01"}]}),
    Document(
        id="nested", content="x", meta={"a": {"date": "2020-01-01", "b": {"c": {}}}, "odd.key": "2020-01-01T00:00Z"}
    ),
]


@pytest.mark.parametrize("embedder", [None, "none", HashingEmbedder(2)], ids=["file's", "none", "own"])
def test_documents_of_every_kind_come_back_equal(path, embedder):
    with HybridStoreDocumentStore(path, embedder=embedder) as store:
        assert store.write_documents(EVERY_KIND) == len(EVERY_KIND)
        assert store.filter_documents() == EVERY_KIND
        store.close()
        assert store.filter_documents() == EVERY_KIND  # it opens again
        again = store.filter_documents({"field": "id", "operator": "in", "value": ["score", "exact"]})
        assert again == [item for item in EVERY_KIND if item.id in ("score", "exact")]
        (lacking,) = store.store.check()
        assert "without a vector" in lacking.what
        assert lacking.count == (3 if isinstance(embedder, HashingEmbedder) else 9)  # what has nothing to embed, or all


def test_a_models_embedding_is_stored_in_four_bytes_a_number(brought):
    single = np.random.default_rng(1).normal(size=4).astype(np.float32)
    brought.write_documents(
        [Document(id="short", embedding=single.tolist()), Document(id="long", embedding=[1 / 3] * 4)]
    )
    stored = {item.id: item.metadata["_haystack"]["embedding"] for item in brought.store.documents() if not item.text}
    assert len(stored["short"]) < len(stored["long"])
    assert brought.filter_documents({"field": "id", "operator": "==", "value": "short"})[0].embedding == single.tolist()


def test_a_file_filled_from_haystack_reads_like_any_other(documents):
    documents.write_documents([made("beer", meta={"kind": "drink"})])
    assert documents.store.get("beer") == hs.Document(id="beer", text=TEXTS["beer"], metadata={"kind": "drink"})


def test_documents_that_haystack_did_not_write_are_documents_too(documents):
    documents.store.add([hs.Document(id="d", text="Hops.", title="On hops", uri="h.md", metadata={"kind": "plant"})])
    (results,) = documents.filter_documents({"field": "meta.kind", "operator": "==", "value": "plant"})
    assert results == Document(id="d", content="Hops.", meta={"kind": "plant", "title": "On hops", "uri": "h.md"})
    assert documents.update_by_filter({"field": "kind", "operator": "==", "value": "plant"}, {"kind": "herb"}) == 1
    assert documents.store.get("d") == hs.Document(
        id="d", text="Hops.", title="On hops", uri="h.md", metadata={"kind": "herb"}
    )
    assert documents.embedded == ["On hops.\nHops."]


# writing


def test_a_write_that_fails_writes_nothing(documents):
    documents.write_documents([made("beer")])
    for unfit, error, message in [
        ([made("wine"), made("beer")], DuplicateDocumentError, "OVERWRITE"),
        ([made("wine"), made("wine")], DuplicateDocumentError, "'wine'"),
        ([made("wine"), made("sloop", embedding=[1.0])], InputError, "1 dimensions, and the store's vectors 64"),
        ([made("wine", embedding=[1.0]), made("sloop", embedding=[1.0, 0.0])], InputError, "different lengths: 1, 2"),
        ([made("wine"), made("sloop", meta={"when": object()})], InputError, "is of the type object"),
        ([made("wine"), made("sloop", meta={"_haystack": 1})], InputError, "rename it"),
        ([made("wine"), made("sloop", embedding=[float("nan")] * 64)], InputError, "finite"),
    ]:
        with pytest.raises(error, match=message):
            documents.write_documents(unfit)
        assert ids(documents.filter_documents()) == ["beer"]


def test_policies_decide_about_known_ids(documents):
    documents.write_documents([made("beer"), made("wine")])
    newer = [Document(id="beer", content="Stout."), made("sloop"), made("sloop")]
    assert documents.write_documents(newer, DuplicatePolicy.SKIP) == 1
    assert documents.store.get("beer").text == TEXTS["beer"]
    assert documents.write_documents(newer, DuplicatePolicy.OVERWRITE) == 3
    assert documents.filter_documents()[0].content == "Stout."
    assert ids(documents.filter_documents()) == ["beer", "wine", "sloop"]
    assert documents.write_documents([]) == 0


def test_documents_without_content_get_no_vector(documents):
    documents.write_documents(
        [made("beer"), Document(id="blank"), Document(id="picture", blob=ByteStream(b"x")), made("wine")]
    )
    assert documents.embedded == [TEXTS["beer"], TEXTS["wine"]]
    assert ids(documents.filter_documents()) == ["beer", "blank", "picture", "wine"]
    assert set(ids(documents.search("a drink", mode="vector"))) == {"beer", "wine"}


# deleting and updating


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        {},
        {"operator": "AND", "conditions": []},
        {"operator": "NOT", "conditions": [{"operator": "OR", "conditions": []}]},
        {"field": "meta.kind", "operator": "not in", "value": []},
    ],
)
def test_a_change_whose_filter_restricts_nothing_is_rejected(brought, nothing):
    before = brought.filter_documents()
    with pytest.raises(FilterError, match="delete_all_documents"):
        brought.delete_by_filter(nothing)
    with pytest.raises(FilterError, match="restricts nothing"):
        brought.update_by_filter(nothing, {"a": 1})
    brought.delete_documents([])
    assert brought.filter_documents() == before


def test_an_update_embeds_nothing_and_preserves_every_vector(documents):
    documents.write_documents(
        [made("beer", meta={"n": 1}), made("wine", embedding=[1.0] * 64, meta={"n": 1}), made("sloop")]
    )
    documents.write_documents([Document(id="long", content="The osprey dives. " * 40, meta={"n": 1})])
    chunks = documents.store.stats().chunks
    assert chunks > 10
    vectors = {item.document.id: item.vectors for item in documents.store.scan(vectors=True)}
    documents.embedded.clear()
    meta = {"n": 2, "date": "2020-01-01T00:00:00+02:00"}
    assert documents.update_by_filter({"field": "n", "operator": "==", "value": 1}, meta) == 3
    assert documents.embedded == []
    assert documents.store.stats().chunks == documents.store.stats().vectors == chunks
    for item in documents.store.scan(vectors=True):
        np.testing.assert_array_equal(item.vectors, vectors[item.document.id])
    assert [item.meta for item in documents.filter_documents()] == [meta, meta, {}, meta]
    wine = documents.filter_documents({"field": "id", "operator": "==", "value": "wine"})
    assert wine == [made("wine", embedding=[1.0] * 64, meta=meta)]
    before = {"field": "meta.date", "operator": "<", "value": "2020-01-01T00:00:00+00:00"}
    assert documents.count_documents_by_filter(before) == 3
    with pytest.raises(InputError, match="rename it"):
        documents.update_by_filter(before, {"_haystack": {}})
    # Written again as it is now it is the same document.
    documents.write_documents(documents.filter_documents(), DuplicatePolicy.OVERWRITE)
    assert documents.embedded == []


def test_documents_that_pass_a_filter_are_deleted_in_one_step(brought, monkeypatch):
    before = brought.count_documents()
    monkeypatch.delattr(type(brought.store._backend), "scan")  # read before, it could be something else by then
    first = brought.store.ids(None)[0]
    assert brought.delete_by_filter({"field": "id", "operator": "==", "value": first}) == 1
    assert brought.count_documents() == before - 1


@pytest.mark.parametrize("change", ["written", "removed", "no longer meant"])
def test_an_update_undoes_no_concurrent_change(path, monkeypatch, change):
    own = HashingEmbedder()
    with HybridStoreDocumentStore(path, embedder=own) as documents, hs.open(path, embedder=own) as other:
        documents.write_documents([Document(id=item, content=item, meta={"n": 1}) for item in ("a", "b")])
        scan = documents.store._backend.scan

        def meanwhile(where, **options):
            results = list(scan(where, **options))
            if options.get("vectors"):
                monkeypatch.undo()
                if change == "removed":
                    other.remove("a")
                else:
                    other.add(hs.Document(id="a", text="newer", metadata={"n": 1 if change == "written" else 2}))
            return iter(results)

        monkeypatch.setattr(documents.store._backend, "scan", meanwhile)
        updated = documents.update_by_filter({"field": "meta.n", "operator": "==", "value": 1}, {"seen": True})
        there = {document.id: (document.text, document.metadata) for document in other.documents()}
    expected = {"written": ("newer", {"n": 1, "seen": True}), "no longer meant": ("newer", {"n": 2})}
    assert there.get("a") == expected.get(change)
    assert there["b"][1] == {"n": 1, "seen": True}
    assert updated == (2 if change == "written" else 1)


def test_an_update_in_a_store_without_vectors(path):
    with HybridStoreDocumentStore(path, embedder="none") as store:
        store.write_documents([made("beer"), made("wine")])
        assert store.update_by_filter({"field": "id", "operator": "==", "value": "wine"}, {"red": True}) == 1
        assert store.filter_documents() == [made("beer"), made("wine", meta={"red": True})]
        assert ids(store.search("grapes", top_k=1)) == ["wine"]


# filters

METAS = [
    {"n": 1, "s": "a", "d": "2020-01-01"},
    {"n": 1.5, "s": "b", "d": "2020-01-01T00:00:00"},
    {"n": -3, "s": "", "d": "2020-01-01T01:00:00+02:00"},
    {"n": None, "s": "2020", "d": "2019-12-31T23:00:00Z"},
    {"s": "A", "d": "2020-01-02T00:00:00-05:00", "deep": {"n": 1, "d": "2021-05-05"}},
    {"n": 10**6, "s": "2020-01-01", "d": None, "deep": {"n": None}},
    {"deep": None},
    {"deep": {"n": 2, "d": "2021-05-05T00:00:00.000001"}, "@odd$\\": 1},
]
DAYS = ["2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00", "2019-12-31 23:00:00"]
CONDITIONS = [
    *(
        (name, sign, value)
        for name in ("n", "meta.n", "meta.deep.n")
        for sign in ("==", "!=")
        for value in (1, 1.5, None)
    ),
    *(("meta.n", sign, value) for sign in (">", ">=", "<", "<=") for value in (1, -3.5, None)),
    *(("meta.d", sign, day) for sign in ("==", "!=", ">", ">=", "<", "<=") for day in DAYS),
    *(("meta.d", sign, datetime(2020, 1, 1, tzinfo=UTC)) for sign in ("==", ">", "<=")),
    *(("meta.deep.d", sign, "2021-05-05") for sign in ("==", "!=", ">", ">=")),
    *(("meta.s", sign, ["a", "2020-01-01", None]) for sign in ("in", "not in")),
    *(("meta.d", sign, [*DAYS[2:], 5]) for sign in ("in", "not in")),
    *(("meta.n", sign, []) for sign in ("in", "not in")),
    ("meta.s", "==", "A"),
    ("meta.@odd$\\", "==", 1),
    ("meta.nowhere.at.all", "==", None),
    ("id", "==", "3"),
    ("id", "in", ["3", "4", "x"]),
    ("id", "!=", "3"),
]


@pytest.fixture(scope="module")
def filed(tmp_path_factory):
    path = tmp_path_factory.mktemp("filters") / "store.db"
    with HybridStoreDocumentStore(path, embedder="none") as store:
        store.write_documents([Document(id=str(n), meta=meta) for n, meta in enumerate(METAS)])
        yield store


def reference(condition):
    """Return the ids that Haystack itself keeps, without Documents that make it fail."""
    stored = []
    for n, meta in enumerate(METAS):
        try:
            if document_matches_filter(condition, Document(id=str(n), meta=meta)):
                stored.append(str(n))
        except FilterError:
            continue
    return stored


@pytest.mark.parametrize(("name", "sign", "value"), CONDITIONS)
def test_a_comparison_keeps_what_haystack_itself_keeps(filed, name, sign, value):
    condition = {"field": name, "operator": sign, "value": value}
    assert ids(filed.filter_documents(condition)) == reference(condition)
    for group in ("AND", "OR", "NOT"):
        joined = {"operator": group, "conditions": [condition, {"field": "s", "operator": "!=", "value": "a"}]}
        assert ids(filed.filter_documents(joined)) == reference(joined)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"field": "content", "operator": "==", "value": "x"}, "'content'"),
        ({"field": 5, "operator": "==", "value": "x"}, "by 5"),
        ({"field": "n", "operator": "=", "value": 1}, "'=' is not a comparison"),
        ({"field": "n", "operator": [], "value": 1}, "is not a comparison"),
        ({"operator": "XOR", "conditions": []}, "'XOR' does not join conditions"),
        ({"operator": "AND", "conditions": {}}, "a list of filters"),
        ({"operator": "AND", "conditions": ["n"]}, "a dictionary"),
        (["n"], "a dictionary"),
        ({"field": "n", "operator": "==", "value": [1]}, r"\$in"),
        ({"field": "n", "operator": ">", "value": "2020-13-01"}, "cannot be ordered"),
        ({"field": "id", "operator": ">", "value": "2020-01-01"}, "cannot be ordered"),
        ({"field": "n", "operator": "in", "value": "abc"}, "takes a list"),
        ({"field": "n", "operator": "==", "value": 2**70}, r"2\*\*63"),
    ],
)
def test_an_invalid_filter_is_rejected(filed, condition, message):
    for ask in (filed.filter_documents, filed.delete_by_filter, lambda outcome: filed.search("x", filters=outcome)):
        with pytest.raises(FilterError, match=message):
            ask(condition)
    assert filed.count_documents() == len(METAS)


def test_a_filter_that_contains_itself_is_rejected(filed):
    endless = {"operator": "NOT", "conditions": []}
    endless["conditions"].append(endless)
    with pytest.raises(FilterError, match="nested too deep"):
        filed.filter_documents(endless)


# what stands in meta


def test_meta_is_summarised_as_haystack_does(filed):
    theirs = InMemoryDocumentStore()
    theirs.write_documents([Document(id=str(n), meta=meta) for n, meta in enumerate(METAS)])
    for name in ("s", "d", "n", "nowhere"):
        queries = {"metadata_field": f"meta.{name}", "size": 3, "from_": 1, "search_term": "0"}
        assert filed.get_metadata_field_unique_values(**queries) == theirs.get_metadata_field_unique_values(**queries)
        assert filed.get_metadata_field_min_max(name) == theirs.get_metadata_field_min_max(name)
    counted = {"filters": {}, "metadata_fields": ["meta.s", "deep", "n"]}
    assert filed.count_unique_metadata_by_filter(**counted) == theirs.count_unique_metadata_by_filter(**counted)
    fields = filed.get_metadata_fields_info()
    assert fields.keys() == theirs.get_metadata_fields_info().keys()
    assert fields["n"] == {"type": "float"}  # whole numbers and others
    assert filed.get_metadata_field_min_max("deep.n") == {"min": 1, "max": 2}


def test_values_of_two_kinds_have_no_minimum(documents):
    documents.write_documents([Document(id="1", meta={"a": 1, "b": True}), Document(id="2", meta={"a": "1", "b": "x"})])
    assert documents.get_metadata_field_min_max("a") == {"min": None, "max": None}
    assert documents.get_metadata_fields_info() == {"a": {"type": "keyword"}, "b": {"type": "keyword"}}


# searching


def test_the_stores_embedder_embeds_the_query(documents):
    documents.write_documents(
        [made(name, meta={"kind": "drink" if name in ("beer", "wine") else "ship"}) for name in TEXTS]
    )
    results = HybridStoreHaystackRetriever(documents, top_k=2).run("a sloop has a mast")["documents"]
    hits = documents.store.search("a sloop has a mast", limit=2)
    assert ids(results) == [hit.document_id for hit in hits]
    assert [item.score for item in results] == [hit.score for hit in hits]
    assert replace(results[0], score=None) == made("sloop", meta={"kind": "ship"})
    drinks = {"field": "meta.kind", "operator": "==", "value": "drink"}
    assert set(ids(HybridStoreHaystackRetriever(documents).run("mast", filters=drinks)["documents"])) == {
        "beer",
        "wine",
    }


def test_a_long_document_is_found_by_its_part_and_returned_whole(documents):
    text = "Sentence after sentence of no note. " * 10 + "The osprey dives. " + "Nothing more of note here. " * 10
    documents.write_documents([Document(id="long", content=text, meta={"a": 1}), made("beer")])
    assert documents.store.stats().chunks > 5
    results = documents.search("note osprey sentence")
    assert [(item.id, item.content) for item in results] == [("long", text), ("beer", TEXTS["beer"])]
    part = documents.search("osprey dives", passages=True, top_k=1)[0]
    assert "osprey dives" in part.content
    assert part.content == text[part.meta["start"] : part.meta["end"]]
    assert (part.meta["a"], part.meta["document_id"]) == (1, "long")
    several = HybridStoreHaystackRetriever(documents, passages=True, top_k=4).run("note osprey sentence")["documents"]
    assert len(set(ids(several))) == 4


def test_documents_can_be_stored_as_one_chunk(path, remembering):
    with HybridStoreDocumentStore(path, embedder=remembering(), chunk=False) as store:
        store.write_documents([Document(id="long", content="The osprey dives. " * 40)])
        assert store.store.stats().chunks == 1
        store.update_by_filter({"field": "id", "operator": "==", "value": "long"}, {"a": 1})
        store.write_documents(store.filter_documents(), DuplicatePolicy.OVERWRITE)
        assert store.store.stats().revision == 2  # the last write changed nothing


def test_external_vectors_are_searched_with_an_external_query_vector(brought):
    retriever = HybridStoreHaystackRetriever(brought, mode="vector", top_k=1, return_embedding=True)
    (results,) = retriever.run("anything", query_embedding=[0.1, 0.0, 2.0, 0.0])["documents"]
    assert results == made("sloop", embedding=AXES["sloop"], score=results.score)
    assert results.score == pytest.approx(2 / (4.01**0.5), abs=1e-6)
    assert (
        HybridStoreHaystackRetriever(brought, top_k=1).run("x", query_embedding=AXES["beer"])["documents"][0].embedding
        is None
    )
    with pytest.raises(InputError, match="vector="):
        retriever.run("anything")
    with pytest.raises(InputError, match="4 dimensions"):
        retriever.run("anything", query_embedding=[1.0])
    words = HybridStoreHaystackRetriever(brought, mode="keyword", top_k=1)
    assert ids(words.run("two masts of a ketch")["documents"]) == ["ketch"]


def test_documents_without_vectors_are_found_by_keyword(brought):
    brought.write_documents(
        [Document(id="loom", content="A loom weaves.")]
    )  # also into a file that has vectors already
    assert brought.store.stats().vectors == 4
    assert "loom" not in ids(brought.search("a loom", mode="vector", query_embedding=[1.0] * 4))
    assert "loom" in ids(brought.search("a loom", query_embedding=[1.0] * 4))


def test_a_file_has_vectors_of_one_kind(path, brought, remembering):
    with HybridStoreDocumentStore(path, embedder=remembering(dim=4)) as store:
        store.write_documents([made("beer")])
        store.write_documents([made("wine", embedding=AXES["wine"])])  # the embedder's own, by the caller's word
        assert store.store.stats().embedding.fingerprint == "remembering@4"
        assert store.store.stats().vectors == 2
    with pytest.raises(InputError, match="4"):
        brought.write_documents([Document(id="x", content="x", embedding=[1.0])])


def test_a_retrievers_filters_are_replaced_or_joined(brought):
    brought.update_by_filter({"field": "id", "operator": "in", "value": ["beer", "wine"]}, {"kind": "drink"})
    drinks = {"field": "meta.kind", "operator": "==", "value": "drink"}
    not_beer = {"field": "id", "operator": "!=", "value": "beer"}
    queries = {"query": "x", "query_embedding": [1.0] * 4, "filters": not_beer}
    replaces = HybridStoreHaystackRetriever(brought, filters=drinks)
    joins = HybridStoreHaystackRetriever(brought, filters=drinks, filter_policy="merge")
    assert set(ids(replaces.run("x", query_embedding=[1.0] * 4)["documents"])) == {"beer", "wine"}
    assert set(ids(replaces.run(**queries)["documents"])) == {"wine", "sloop", "ketch"}
    assert set(ids(joins.run(**queries)["documents"])) == {"wine"}


def test_a_retriever_rejects_invalid_arguments(brought):
    with pytest.raises(InputError, match="not InMemoryDocumentStore"):
        HybridStoreHaystackRetriever(InMemoryDocumentStore())
    with pytest.raises(InputError, match="at least 1"):
        HybridStoreHaystackRetriever(brought, top_k=0)
    retriever = HybridStoreHaystackRetriever(brought, mode="keyword")
    assert retriever.run("mast", top_k=0) == {"documents": []}
    with pytest.raises(InputError, match="at least 1"):
        retriever.run("mast", top_k=-1)
    with pytest.raises(InputError, match="telepathy"):
        HybridStoreHaystackRetriever(brought, mode="telepathy").run("mast")


# in pipelines


def question_pipeline(documents):
    pipeline = Pipeline()
    pipeline.add_component(
        "retriever", HybridStoreHaystackRetriever(documents, mode="keyword", top_k=1, filter_policy="merge")
    )
    template = "{% for d in documents %}{{ d.content }}{% endfor %} {{ question }}"
    pipeline.add_component("prompt", PromptBuilder(template, required_variables="*"))
    pipeline.connect("retriever.documents", "prompt.documents")
    return pipeline


def test_a_pipeline_writes_and_answers_and_goes_to_yaml_and_back(path):
    documents = HybridStoreDocumentStore(path, embedder="none", language="german", chunk=False)
    writing = Pipeline()
    writing.add_component("writer", DocumentWriter(documents, policy=DuplicatePolicy.SKIP))
    assert writing.run({"writer": {"documents": [made(name) for name in TEXTS]}}) == {
        "writer": {"documents_written": 4}
    }
    queries = {"retriever": {"query": "zwei masts, ketch"}, "prompt": {"question": "How many?"}}
    pipeline = question_pipeline(documents)
    answer = pipeline.run(queries)
    assert answer == {"prompt": {"prompt": "A ketch has two masts. How many?"}}
    documents.close()
    text = pipeline.dumps()
    with pytest.raises(DeserializationError, match="allow"):
        Pipeline.loads(text)
    again = Pipeline.loads(text, allowed_modules=["hybridstore.*"])
    assert again.to_dict() == pipeline.to_dict()
    assert again.run(queries) == answer
    store = again.get_component("retriever").document_store
    assert store.store.stats().language == "german"
    store.close()
    rewriting = Pipeline.loads(writing.dumps(), allowed_modules=["hybridstore.*"])
    assert rewriting.to_dict() == writing.to_dict()


async def test_a_pipeline_runs_asynchronously(path):
    with HybridStoreDocumentStore(path, embedder="none") as documents:
        await documents.write_documents_async([made(name) for name in TEXTS])
        pipeline = Pipeline()
        pipeline.add_component("retriever", HybridStoreHaystackRetriever(documents, mode="keyword", top_k=1))
        results = await pipeline.run_async({"retriever": {"query": "grapes in a barrel"}})
        assert ids(results["retriever"]["documents"]) == ["wine"]
        assert ids(await documents.search_async("grapes", top_k=1)) == ["wine"]
        assert HybridStoreDocumentStore.search_async.__name__ == "search_async"


def test_an_embedder_without_a_name_cannot_be_serialized(path, tmp_path):
    with pytest.raises(SerializationError, match="HashingEmbedder"):
        HybridStoreHaystackRetriever(HybridStoreDocumentStore(path, embedder=HashingEmbedder(8))).to_dict()
    outcome = HybridStoreDocumentStore(path, embedder=tmp_path).to_dict()
    assert outcome["init_parameters"]["embedder"] == str(tmp_path)
    assert HybridStoreDocumentStore.from_dict(outcome).to_dict() == outcome


def test_the_file_is_opened_when_first_used(path, tmp_path):
    HybridStoreHaystackRetriever(HybridStoreDocumentStore(path))
    assert list(tmp_path.iterdir()) == []


def test_the_default_model_finds_documents_by_meaning(path):
    with HybridStoreDocumentStore(path) as documents:
        documents.write_documents([made(name) for name in TEXTS])
        assert documents.store.stats().embedding.dim == 384
        results = HybridStoreHaystackRetriever(documents, top_k=1).run("alcohol made of fruit")["documents"]
        assert ids(results) == ["wine"]
