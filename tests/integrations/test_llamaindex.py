"""A store in LlamaIndex: its contract as a vector store, its filters against LlamaIndex's own, and the retriever."""

import subprocess
import sys

import numpy as np
import pytest
from llama_index.core import Document as LlamaDocument
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.schema import (
    ImageNode,
    IndexNode,
    Node,
    NodeRelationship,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.integrations.llamaindex import HybridStoreLlamaRetriever, HybridStoreLlamaVectorStore

TEXTS = {
    "beer": "Barley, hops and yeast ferment in a tank.",
    "wine": "Grapes ferment in a barrel for months.",
    "sloop": "A sloop has one mast.",
    "ketch": "A ketch has two masts.",
}
AXES = dict(zip(TEXTS, np.eye(4).tolist(), strict=True))
FIELDS = {
    "beer": {"kind": "drink", "age": 1, "proof": 5.0, "tags": ["malt", "hops"], "note": "Cold and Clear"},
    "wine": {"kind": "drink", "age": 10, "proof": 12.5, "tags": ["grape"], "note": ""},
    "sloop": {"kind": "ship", "age": 9, "tags": [], "a.b": "dotted"},
    "ketch": {"kind": "ship", "age": 10, "proof": None, "note": "old", "@odd$\\": 1},
}


def node(name, *, source=None, embedding=None, metadata=None, text=None):
    sources = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)} if source else {}
    return TextNode(
        id_=name,
        text=TEXTS.get(name, "") if text is None else text,
        metadata=FIELDS.get(name, {}) if metadata is None else metadata,
        relationships=sources,
        embedding=embedding,
    )


def of(key, operator, value=None):
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        yield store


@pytest.fixture
def bare():
    """Return a store without an embedder, for nodes with vectors."""
    with hs.open(":memory:") as store:
        yield store


@pytest.fixture
def filled(bare):
    """Return a vector store of four nodes with orthogonal vectors."""
    vectors = HybridStoreLlamaVectorStore(bare)
    made = [node(name, source="drinks" if name in ("beer", "wine") else None, embedding=AXES[name]) for name in TEXTS]
    assert vectors.add(made) == list(TEXTS)
    return vectors


def ids(vectors, **query):
    return vectors.query(VectorStoreQuery(**({"similarity_top_k": 4} | query))).ids


def test_without_the_package_the_error_has_the_install_command():
    code = "import sys; sys.modules['llama_index.core'] = None; import hybridstore.integrations.llamaindex"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in ran.stderr
    assert "pip install 'hybridstore[llamaindex]'" in ran.stderr


# as a vector store


def test_nodes_of_every_kind_are_returned_unchanged(bare):
    nodes = [
        node(
            "beer", source="drinks", embedding=[1.0, 0.0], metadata={"list": [1, {"deep": None}], "n": 1.5, "ok": True}
        ),
        IndexNode(id_="index", text="see", index_id="other", embedding=[0.0, 1.0]),
        ImageNode(id_="image", text="a ship", image_url="https://example.org/a.png", embedding=[0.0, 1.0]),
        Node(id_="node", metadata={"a": 1}, embedding=[0.5, 0.5]),
        TextNode(
            id_="text",
            text="of a page",
            start_char_idx=3,
            end_char_idx=12,
            excluded_embed_metadata_keys=["x"],
            metadata={"x": 1},
            embedding=[0.5, 0.5],
        ),
    ]
    nodes[3].set_content("of no class of its own")
    vectors = HybridStoreLlamaVectorStore(bare)
    vectors.add(nodes)
    back = vectors.get_nodes()
    assert [type(item) for item in back] == [type(item) for item in nodes]
    for item, was in zip(back, nodes, strict=True):
        assert item.model_dump() == was.model_copy(update={"embedding": None}).model_dump()
    assert vectors.stores_text
    assert vectors.client is bare
    assert vectors.class_name() == "HybridStoreVectorStore"


def test_adding_a_node_again_replaces_it(filled):
    filled.add([node("beer", embedding=AXES["beer"], text="Stout.")])
    assert filled.client.count() == 4
    assert [item.get_content() for item in filled.get_nodes(["beer"])] == ["Stout."]
    assert filled.add([]) == []


def test_nodes_without_embeddings_are_embedded_by_the_store(store):
    HybridStoreLlamaVectorStore(store).add([node(name) for name in TEXTS])
    assert store.stats().embedding.dim == 64
    results = HybridStoreLlamaVectorStore(store).query(
        VectorStoreQuery(query_str="mast of a sloop", similarity_top_k=1)
    )
    assert results.ids == ["sloop"]


def test_a_long_node_that_the_store_splits_is_found_once_and_whole():
    text = "The osprey dives. " * 40
    with hs.open(":memory:", embedder=HashingEmbedder(64, max_tokens=16)) as store:
        vectors = HybridStoreLlamaVectorStore(store)
        vectors.add([node("long", text=text), node("short", text="An osprey, a bird.")])
        assert store.stats().chunks > 10
        results = vectors.query(VectorStoreQuery(query_str="osprey dives", similarity_top_k=2))
        assert results.ids == ["long", "short"]
        assert results.nodes[0].get_content() == text
        retrieved = HybridStoreLlamaRetriever(store, similarity_top_k=2, depth=2).retrieve("osprey dives")
        assert [item.node.node_id for item in retrieved] == ["long", "short"]


def test_embeddings_for_only_some_nodes_are_rejected_and_nothing_is_written(bare):
    with pytest.raises(InputError, match="1 of 2 nodes have no embedding"):
        HybridStoreLlamaVectorStore(bare).add([node("beer", embedding=[1.0]), node("wine")])
    assert bare.count() == 0


def test_embeddings_that_do_not_fit_are_rejected(filled):
    with pytest.raises(InputError, match="3"):
        filled.add([node("x", embedding=[1.0, 0.0, 0.0], text="x")])
    with pytest.raises(InputError, match="vectors="):
        filled.add([node("x", text="x")])


def test_flat_metadata_can_be_required(bare):
    with pytest.raises(ValueError, match="must be one of"):
        HybridStoreLlamaVectorStore(bare, flat_metadata=True).add([node("beer", embedding=[1.0])])
    HybridStoreLlamaVectorStore(bare, flat_metadata=True).add([node("beer", embedding=[1.0], metadata={"a": 1})])
    assert bare.count() == 1


def test_values_other_than_stores_are_rejected():
    for made in (HybridStoreLlamaVectorStore, HybridStoreLlamaRetriever):
        with pytest.raises(InputError, match=r"hybridstore\.open"):
            made("store.db")


# deleting


def test_deleting_a_source_deletes_its_nodes_alone(filled):
    filled.delete("drinks")
    assert [item.node_id for item in filled.get_nodes()] == ["sloop", "ketch"]
    filled.delete("no such document")
    assert filled.client.count() == 2


@pytest.mark.parametrize("nothing", ["", None, "None"])
def test_deleting_no_source_deletes_nothing(filled, nothing):
    with pytest.raises(InputError, match="names no source document"):
        filled.delete(nothing)
    assert filled.client.count() == 4


def test_nodes_are_deleted_by_id_and_by_filter(filled):
    filled.delete_nodes(["beer", "unknown"])
    assert filled.client.count() == 3
    filled.delete_nodes(filters=of("kind", FilterOperator.EQ, "drink"))
    assert [item.node_id for item in filled.get_nodes()] == ["sloop", "ketch"]
    filled.delete_nodes(["sloop", "ketch"], of("age", FilterOperator.GT, 9))
    assert [item.node_id for item in filled.get_nodes()] == ["sloop"]


def test_documents_that_pass_a_filter_are_deleted_in_one_step(filled, monkeypatch):
    monkeypatch.delattr(type(filled.client._backend), "scan")  # read before, it could be something else by then
    filled.delete_nodes(filters=of("kind", FilterOperator.EQ, "drink"))
    monkeypatch.undo()
    assert [item.node_id for item in filled.get_nodes()] == ["sloop", "ketch"]


EMPTY = MetadataFilters(filters=[])


@pytest.mark.parametrize(
    "filters",
    [
        None,
        EMPTY,
        MetadataFilters(filters=[EMPTY], condition=FilterCondition.OR),
        MetadataFilters(filters=[], condition=FilterCondition.NOT),
        of("kind", FilterOperator.NIN, []),
        MetadataFilters(filters=[EMPTY, *of("kind", FilterOperator.EQ, "drink").filters], condition=FilterCondition.OR),
    ],
    ids=["none", "empty", "nested", "not", "nin", "or"],
)
def test_a_delete_without_a_restriction_is_rejected(filled, filters):
    with pytest.raises(InputError, match="clear"):
        filled.delete_nodes(filters=filters)
    filled.delete_nodes([])
    filled.delete_nodes([], filters)
    assert filled.client.count() == 4


def test_clear_removes_everything(filled):
    filled.clear()
    assert filled.client.count() == 0
    assert filled.get_nodes() == []


# querying


def test_modes_use_their_legs(filled):
    like_wine = {"query_str": "masts yeast", "query_embedding": AXES["wine"]}
    assert ids(filled, **like_wine, similarity_top_k=1) == ["wine"]
    assert set(ids(filled, **like_wine, mode=VectorStoreQueryMode.TEXT_SEARCH)) == {"beer", "sloop", "ketch"}
    assert set(ids(filled, **like_wine, mode=VectorStoreQueryMode.SPARSE)) == {"beer", "sloop", "ketch"}
    assert len(ids(filled, **like_wine, mode=VectorStoreQueryMode.SPARSE, sparse_top_k=1)) == 1
    assert set(ids(filled, **like_wine, mode=VectorStoreQueryMode.HYBRID)) == set(TEXTS)
    assert len(ids(filled, **like_wine, mode=VectorStoreQueryMode.HYBRID, hybrid_top_k=2)) == 2
    assert ids(filled, **like_wine, mode=VectorStoreQueryMode.HYBRID, alpha=1)[0] == "wine"
    assert "wine" not in ids(filled, **like_wine, mode=VectorStoreQueryMode.HYBRID, alpha=0)


def test_a_query_with_a_vector_needs_no_text(filled):
    results = filled.query(VectorStoreQuery(query_embedding=[0.0, 3.0, 1.0, 0.0], similarity_top_k=2))
    assert results.ids == ["wine", "sloop"]
    assert results.similarities == pytest.approx([3 / 10**0.5, 1 / 10**0.5], abs=1e-6)
    assert [item.get_content() for item in results.nodes] == [TEXTS["wine"], TEXTS["sloop"]]


def test_mmr_skips_similar_nodes(bare):
    vectors = HybridStoreLlamaVectorStore(bare)
    angles = {"a": 0.0, "b": 0.05, "c": 1.2}
    vectors.add([node(name, text=name, embedding=[np.cos(at), np.sin(at)]) for name, at in angles.items()])
    query = {"query_embedding": [1.0, 0.0], "similarity_top_k": 2, "mode": VectorStoreQueryMode.MMR}
    assert ids(vectors, **query, mmr_threshold=1.0) == ["a", "b"]
    assert ids(vectors, **query, mmr_threshold=0.1) == ["a", "c"]
    assert vectors.query(VectorStoreQuery(**query), mmr_threshold=0.1).ids == ["a", "c"]


def test_a_query_is_restricted_to_ids_and_sources(filled):
    here = {"query_embedding": AXES["beer"]}
    assert ids(filled, **here, node_ids=["wine", "ketch"]) == ["wine", "ketch"]
    assert ids(filled, **here, doc_ids=["drinks"]) == ["beer", "wine"]
    assert ids(filled, **here, doc_ids=["drinks"], node_ids=["wine", "ketch"]) == ["wine"]
    assert len(ids(filled, **here, node_ids=[], doc_ids=[])) == 4  # as an index asks that knows no ids
    assert ids(filled, **here, filters=of("kind", FilterOperator.EQ, "ship"), similarity_top_k=1) == ["sloop"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"mode": VectorStoreQueryMode.SVM, "query_str": "x"}, "default, mmr, hybrid, text_search, sparse"),
        ({"mode": VectorStoreQueryMode.HYBRID, "query_str": "x", "alpha": 0.5}, "leave alpha out"),
        ({"mode": VectorStoreQueryMode.HYBRID, "query_embedding": [1.0] * 4}, "query_str"),
        ({"mode": VectorStoreQueryMode.TEXT_SEARCH}, "query_str"),
        ({}, "query_str"),
        ({"query_str": "x"}, "vector="),
        ({"query_embedding": [1.0, 2.0]}, "4 dimensions"),
        ({"query_embedding": [1.0] * 4, "embedding_field": "other"}, "one vector for each node"),
        ({"query_embedding": [1.0] * 4, "similarity_top_k": 0}, "at least 1"),
    ],
)
def test_an_invalid_query_is_rejected_with_a_reason(filled, query, message):
    with pytest.raises(InputError, match=message):
        filled.query(VectorStoreQuery(**query))


async def test_the_asynchronous_methods_do_the_same(bare):
    vectors = HybridStoreLlamaVectorStore(bare)
    assert await vectors.async_add([node(name, source=name, embedding=AXES[name]) for name in TEXTS]) == list(TEXTS)
    results = await vectors.aquery(VectorStoreQuery(query_embedding=AXES["ketch"], similarity_top_k=1))
    assert results.ids == ["ketch"]
    await vectors.adelete("ketch")
    await vectors.adelete_nodes(["sloop"])
    assert [item.node_id for item in await vectors.aget_nodes()] == ["beer", "wine"]
    await vectors.aclear()
    assert bare.count() == 0


# filters


COMPARED = [
    ("kind", FilterOperator.EQ, "ship"),
    ("age", FilterOperator.EQ, 10),
    ("age", FilterOperator.EQ, 10.0),
    ("kind", FilterOperator.NE, "ship"),
    ("proof", FilterOperator.NE, 5.0),
    ("age", FilterOperator.GT, 9),
    ("age", FilterOperator.GTE, 9),
    ("age", FilterOperator.LT, 9.5),
    ("age", FilterOperator.LTE, 9),
    ("proof", FilterOperator.GT, 5),
    ("kind", FilterOperator.GT, "drink"),
    ("kind", FilterOperator.IN, ["ship", "plane"]),
    ("age", FilterOperator.IN, [1, 9]),
    ("kind", FilterOperator.NIN, ["ship"]),
    ("proof", FilterOperator.NIN, [5.0]),
    ("tags", FilterOperator.ANY, ["hops", "grape"]),
    ("tags", FilterOperator.ALL, ["hops", "malt"]),
    ("tags", FilterOperator.CONTAINS, "grape"),
    ("note", FilterOperator.CONTAINS, "and"),
    ("note", FilterOperator.TEXT_MATCH, "Cold"),
    ("note", FilterOperator.TEXT_MATCH, "cold"),
    ("note", FilterOperator.TEXT_MATCH_INSENSITIVE, "cOLD"),
    ("note", FilterOperator.TEXT_MATCH_INSENSITIVE, "c.ld"),
    ("note", FilterOperator.IS_EMPTY, None),
    ("tags", FilterOperator.IS_EMPTY, None),
    ("proof", FilterOperator.IS_EMPTY, None),
    ("a.b", FilterOperator.EQ, "dotted"),
    ("@odd$\\", FilterOperator.EQ, 1),
    ("nowhere", FilterOperator.NE, "x"),
]


@pytest.mark.parametrize(("key", "operator", "value"), COMPARED, ids=lambda part: str(getattr(part, "value", part)))
def test_an_operator_keeps_what_llamaindex_itself_keeps(filled, key, operator, value):
    filters = of(key, operator, value)
    keeps = build_metadata_filter_fn(FIELDS.__getitem__, filters)
    assert {item.node_id for item in filled.get_nodes(filters=filters)} == set(filter(keeps, FIELDS))


@pytest.mark.parametrize("condition", FilterCondition)
def test_a_condition_joins_as_llamaindex_itself_does(filled, condition):
    parts = [MetadataFilter(key="age", value=10), MetadataFilter(key="kind", value="ship")]
    filters = MetadataFilters(filters=parts, condition=condition)
    keeps = build_metadata_filter_fn(FIELDS.__getitem__, filters)
    results = {item.node_id for item in filled.get_nodes(filters=filters)}
    assert results == set(filter(keeps, FIELDS))
    assert 0 < len(results) < 4


def test_conditions_nest(filled):
    ships = MetadataFilters(filters=[MetadataFilter(key="kind", value="drink")], condition=FilterCondition.NOT)
    young = MetadataFilter(key="age", value=2, operator=FilterOperator.LT)
    either = MetadataFilters(filters=[ships, young], condition=FilterCondition.OR)
    both = MetadataFilters(filters=[either, MetadataFilter(key="age", value=10, operator=FilterOperator.NE)])
    assert [item.node_id for item in filled.get_nodes(filters=both)] == ["beer", "sloop"]
    assert len(filled.get_nodes(filters=EMPTY)) == 4


def test_text_match_of_a_list_is_about_its_elements(filled):
    sensitive = filled.get_nodes(filters=of("tags", FilterOperator.TEXT_MATCH, "grape"))
    assert [node.node_id for node in sensitive] == ["wine"]
    insensitive = filled.get_nodes(filters=of("tags", FilterOperator.TEXT_MATCH_INSENSITIVE, "GRAP"))
    assert [node.node_id for node in insensitive] == ["wine"]


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        (FilterOperator.TEXT_MATCH_INSENSITIVE, 5, "takes a text"),
        (FilterOperator.TEXT_MATCH, 5, "takes a text"),
        (FilterOperator.ANY, "hops", "takes a list"),
        (FilterOperator.ALL, [], "takes a list"),
        (FilterOperator.IN, "hops", "takes a list"),
        (FilterOperator.GT, None, "null has no order"),
        (FilterOperator.EQ, ["hops"], r"use \$in"),
    ],
)
def test_invalid_values_of_an_operator_are_rejected(filled, operator, value, message):
    with pytest.raises(InputError, match=message):
        filled.get_nodes(filters=of("note", operator, value))


# in an index


def test_an_index_over_a_store_inserts_retrieves_and_deletes(bare):
    index = VectorStoreIndex.from_vector_store(
        HybridStoreLlamaVectorStore(bare), embed_model=MockEmbedding(embed_dim=8)
    )
    for name, text in TEXTS.items():
        index.insert(LlamaDocument(text=text, id_=name, metadata={"kind": FIELDS[name]["kind"]}))
    assert bare.stats().vectors == 4
    asked = index.as_retriever(
        similarity_top_k=1, vector_store_query_mode="text_search", filters=of("kind", FilterOperator.EQ, "ship")
    )
    results = asked.retrieve("has two masts")
    assert [(item.node.ref_doc_id, item.node.metadata["kind"]) for item in results] == [("ketch", "ship")]
    assert len(index.as_retriever(similarity_top_k=3).retrieve("anything")) == 3
    index.delete_ref_doc("ketch")
    assert [item.node.ref_doc_id for item in asked.retrieve("has two masts")] == ["sloop"]


def test_a_storage_context_fills_a_store_that_another_index_reads(tmp_path):
    path, model = tmp_path / "store.db", MockEmbedding(embed_dim=8)
    with hs.open(path) as store:
        context = StorageContext.from_defaults(vector_store=HybridStoreLlamaVectorStore(store))
        documents = [LlamaDocument(text=text, id_=name) for name, text in TEXTS.items()]
        VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=model)
        context.persist(tmp_path / "storage")
    with hs.open(path) as store:
        index = VectorStoreIndex.from_vector_store(HybridStoreLlamaVectorStore(store), embed_model=model)
        results = index.as_retriever(similarity_top_k=1, vector_store_query_mode="hybrid").retrieve("barley and hops")
        assert [item.node.get_content() for item in results] == [TEXTS["beer"]]
        assert results[0].node.ref_doc_id == "beer"
        assert store.check() == []


# the retriever


def test_the_retriever_searches_any_store_with_the_stores_own_embedder(store):
    text = "# Boats\n\nA sloop has one mast.\n\n## Larger\n\nA ketch has two masts."
    store.add([hs.Document(id="boats", title="On boats", uri="boats.md", text=text, format="markdown")])
    store.add("Grapes ferment in a barrel.")
    results = HybridStoreLlamaRetriever(store, similarity_top_k=2).retrieve("ketch with two masts")
    hits = store.search("ketch with two masts", limit=2)
    assert [item.node.get_content() for item in results] == [hit.text for hit in hits]
    assert [item.score for item in results] == [hit.score for hit in hits]
    best, hit = results[0].node, hits[0]
    assert best.ref_doc_id == "boats"
    assert best.metadata["title"] == "On boats"
    assert best.metadata["uri"] == "boats.md"
    assert (best.start_char_idx, best.end_char_idx) == (hit.start, hit.end)
    assert text[hit.start : hit.end] == best.get_content()
    assert len({item.node.node_id for item in results}) == 2


def test_the_retriever_passes_on_search_options(store):
    HybridStoreLlamaVectorStore(store).add([node(name) for name in TEXTS])
    ships = HybridStoreLlamaRetriever(store, filters=of("kind", FilterOperator.EQ, "ship"), where={"age": 10})
    assert [item.node.node_id for item in ships.retrieve("ferment")] == ["ketch"]
    words = HybridStoreLlamaRetriever(store, mode="keyword", similarity_top_k=1)
    assert [item.node.metadata for item in words.retrieve("yeast")] == [FIELDS["beer"]]
    assert HybridStoreLlamaRetriever(store, mode="keyword").retrieve("nothing of the kind whatever") == []
    for options in ({"limit": 3}, {"vector": [1.0]}):
        with pytest.raises(InputError, match="similarity_top_k"):
            HybridStoreLlamaRetriever(store, **options)
    with pytest.raises(InputError, match="telepathy"):
        HybridStoreLlamaRetriever(store, mode="telepathy").retrieve("yeast")


def test_the_retriever_uses_a_bundles_embedding(filled):
    retriever = HybridStoreLlamaRetriever(filled.client, mode="vector", similarity_top_k=1)
    assert [item.node.node_id for item in retriever.retrieve(QueryBundle("x", embedding=AXES["sloop"]))] == ["sloop"]
    with pytest.raises(InputError, match="vector="):
        retriever.retrieve("x")


async def test_the_retriever_works_asynchronously(store):
    HybridStoreLlamaVectorStore(store).add([node(name) for name in TEXTS])
    results = await HybridStoreLlamaRetriever(store, similarity_top_k=1).aretrieve("one mast of a sloop")
    assert [item.node.node_id for item in results] == ["sloop"]


def test_a_query_is_logged_once_however_often_the_store_searches():
    with hs.open(":memory:", embedder=HashingEmbedder(64, max_tokens=16), log_queries=True) as store:
        HybridStoreLlamaVectorStore(store).add([node("long", text="The osprey dives. " * 40), node("beer")])
        HybridStoreLlamaRetriever(store, similarity_top_k=2).retrieve("osprey")
        assert [(asked.query, asked.times) for asked in store.query_log()] == [("osprey", 1)]


def test_documents_that_llamaindex_did_not_write_are_nodes_too(store):
    store.add([hs.Document(id="plain", title="A title", text="Hops grow on poles.", metadata={"kind": "plant"})])
    vectors = HybridStoreLlamaVectorStore(store)
    (results,) = vectors.get_nodes(filters=of("kind", FilterOperator.EQ, "plant"))
    assert (results.node_id, results.get_content()) == ("plain", "Hops grow on poles.")
    assert results.metadata == {"title": "A title", "kind": "plant"}
    result = vectors.query(VectorStoreQuery(query_str="hops on poles", similarity_top_k=1, doc_ids=["plain"]))
    assert result.nodes[0].ref_doc_id == "plain"
    vectors.delete("plain")
    assert store.count() == 0


def test_the_default_model_finds_documents_by_meaning():
    with hs.open(":memory:") as store:
        HybridStoreLlamaVectorStore(store).add([node(name) for name in TEXTS])
        results = HybridStoreLlamaRetriever(store, similarity_top_k=1).retrieve("alcohol made of fruit")
        assert [item.node.node_id for item in results] == ["wine"]
