"""A store in LangChain, beyond LangChain's own suites: searches, scores, storage and errors."""

import asyncio
import importlib
import sys

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import InMemoryRecordManager, index
from pydantic import ValidationError

import hybridstore as hs
from hybridstore.errors import InputError, MissingExtra
from hybridstore.integrations.langchain import HybridStoreRetriever, HybridStoreVectorStore

TEXTS = ["flour and yeast make bread", "hops and yeast make beer", "grapes make wine", "a sloop has one mast"]
METADATAS = [{"kind": "food", "n": 1}, {"kind": "drink", "n": 2}, {"kind": "drink", "n": 3}, {"kind": "ship", "n": 4}]
IDS = ["bread", "beer", "wine", "sloop"]
PLACES = {"alpha": [1.0, 0.0], "beta": [0.9, 0.1], "gamma": [0.0, 1.0]}


class Placed(Embeddings):
    """Texts at the places they name, and how often they were asked for."""

    def __init__(self):
        self.documents, self.queries = [], []

    def embed_documents(self, texts):
        self.documents.append(list(texts))
        return [PLACES[text.split()[0]] for text in texts]

    def embed_query(self, text):
        self.queries.append(text)
        return PLACES[text.split()[0]]


@pytest.fixture
def store(embedder):
    with hs.open(":memory:", embedder=embedder) as store:
        yield store


@pytest.fixture
def vectors(store):
    made = HybridStoreVectorStore(store)
    made.add_texts(TEXTS, METADATAS, ids=IDS)
    return made


@pytest.fixture
def placed():
    with HybridStoreVectorStore(":memory:", Placed()) as made:
        made.add_texts(["alpha", "beta", "gamma rays"], ids=["a", "b", "c"])
        yield made


def ids(documents):
    return [document.id for document in documents]


def test_without_the_package_the_error_has_the_install_command(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "langchain_core"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "hybridstore.integrations.langchain", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'hybridstore\[langchain\]'"):
        importlib.import_module("hybridstore.integrations.langchain")


def test_a_search_is_the_stores_hybrid_search(vectors, store):
    for query in ("yeast", "what makes bread", "one mast"):
        hits = store.search(query, limit=3)
        assert vectors.similarity_search_with_score(query, k=3) == [
            (Document(id=hit.document_id, page_content=hit.text, metadata=hit.metadata), hit.score) for hit in hits
        ]
        assert ids(vectors.similarity_search(query, k=3)) == [hit.document_id for hit in hits]


@pytest.mark.parametrize("mode", ["keyword", "vector"])
def test_the_mode_can_be_chosen_for_all_searches_or_for_one(vectors, store, mode):
    expected = [hit.document_id for hit in store.search("hops yeast", limit=4, mode=mode)]
    assert ids(vectors.similarity_search("hops yeast", mode=mode)) == expected
    assert ids(HybridStoreVectorStore(store, mode=mode).similarity_search("hops yeast")) == expected


def test_a_filter_is_a_mapping_or_a_filter_object(vectors):
    assert set(ids(vectors.similarity_search("yeast", filter={"kind": "drink"}))) == {"beer", "wine"}
    assert ids(vectors.similarity_search("yeast", filter=hs.field("n") > 3)) == ["sloop"]
    assert ids(vectors.similarity_search_with_score("x", filter={"kind": "none"})) == []
    with pytest.raises(InputError, match=r"a filter .*mapping"):
        vectors.similarity_search("yeast", filter=lambda _: True)


def test_embeddings_make_all_vectors_and_no_model_runs(placed):
    assert placed.embeddings.documents == [["alpha", "beta", "gamma rays"]]
    assert ids(placed.similarity_search("alpha", k=3)) == ["a", "b", "c"]
    assert placed.embeddings.queries == ["alpha"]
    assert placed.store.stats().embedding.reference == "given"
    assert placed.store.stats().vectors == 3
    assert placed.similarity_search_with_score("alpha", mode="vector")[1] == (
        Document(id="b", page_content="beta"),
        pytest.approx(0.9 / np.hypot(0.9, 0.1)),
    )


def test_keywords_count_as_well_as_external_vectors(placed):
    assert ids(placed.similarity_search("alpha rays", k=1, mode="vector")) == ["a"]
    assert set(ids(placed.similarity_search("alpha rays", mode="keyword"))) == {"a", "c"}
    assert placed.embeddings.queries == ["alpha rays"]  # keywords need no vector


def test_a_vector_is_searched_without_words(vectors, placed, embedder):
    assert ids(placed.similarity_search_by_vector([0.0, 2.0], k=1)) == ["c"]
    assert placed.embeddings.queries == []
    searched = embedder.embed_query(TEXTS[2]).tolist()
    assert ids(vectors.similarity_search_by_vector(searched, k=1, filter={"kind": "drink"})) == ["wine"]
    assert ids(asyncio.run(vectors.asimilarity_search_by_vector(searched, k=1))) == ["wine"]


def test_relevance_is_calibrated_and_between_0_and_1(vectors, store):
    store.add([f"filler number {n} about nothing" for n in range(40)])  # enough to be measured
    hits = store.search("hops and yeast", limit=3)
    assert all(hit.relevance is not None for hit in hits)
    results = vectors.similarity_search_with_relevance_scores("hops and yeast", k=3)
    assert [score for _, score in results] == [hit.relevance for hit in hits]
    assert asyncio.run(vectors.asimilarity_search_with_relevance_scores("hops and yeast", k=3)) == results
    threshold = max(hit.relevance for hit in hits)
    retriever = vectors.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": threshold, "k": 3}
    )
    assert ids(retriever.invoke("hops and yeast")) == [hit.document_id for hit in hits if hit.relevance >= threshold]


def test_relevance_of_external_vectors_is_the_score(placed):
    placed.add_texts(["alpha one"], ids=["d"])
    results = placed.similarity_search_with_relevance_scores("alpha one", k=4)
    assert [score for _, score in results] == [score for _, score in placed.similarity_search_with_score("alpha one")]
    assert all(0.0 <= score <= 1.0 for _, score in results)
    opposite = placed.similarity_search_with_relevance_scores("x", vector=[-1.0, -1.0], mode="vector")
    assert [score for _, score in opposite] == [0.0] * 4
    with pytest.raises(InputError, match="no upper bound"):
        placed.similarity_search_with_relevance_scores("alpha", mode="keyword")


def test_marginal_relevance_prefers_different_documents(placed):
    assert ids(placed.max_marginal_relevance_search("alpha", k=2, lambda_mult=1.0)) == ["a", "b"]
    assert ids(placed.max_marginal_relevance_search("alpha", k=2, lambda_mult=0.0)) == ["a", "c"]
    assert ids(placed.max_marginal_relevance_search("alpha", k=2, fetch_k=2, lambda_mult=0.0)) == ["a", "b"]
    assert ids(placed.max_marginal_relevance_search_by_vector([1.0, 0.0], k=2, lambda_mult=0.0)) == ["a", "c"]
    retriever = placed.as_retriever(search_type="mmr", search_kwargs={"k": 2, "lambda_mult": 0.0})
    assert ids(asyncio.run(retriever.ainvoke("alpha"))) == ["a", "c"]
    assert ids(placed.max_marginal_relevance_search("alpha", filter={"@id": "b"})) == ["b"]
    with pytest.raises(InputError, match="lambda_mult from 0 to 1"):
        placed.max_marginal_relevance_search("alpha", lambda_mult=1.5)


def test_a_known_id_is_replaced_and_a_missing_one_is_made(vectors):
    made = vectors.add_documents([Document(id="bread", page_content="rye bread"), Document(page_content="rye bread")])
    assert made[0] == "bread"
    assert made[1] not in IDS
    assert vectors.store.count() == 5
    assert vectors.get_by_ids(["bread"]) == [Document(id="bread", page_content="rye bread")]
    again = vectors.add_texts(["rye bread", "rye bread"], [{"n": 1}, {"n": 2}])  # two documents, if alike
    assert len({*again, made[1]}) == 3
    assert [item.metadata for item in vectors.get_by_ids(again)] == [{"n": 1}, {"n": 2}]


def test_metadata_are_returned_unchanged(vectors):
    metadata = {"nested": {"list": [1, 2.5, None, True, "é🙂"]}, "hybridstore": "mine"}
    vectors.add_texts(["odd metadata"], [metadata], ids=["odd"])
    assert vectors.get_by_ids(["odd"])[0].metadata == metadata
    assert vectors.similarity_search("odd metadata", k=1)[0].metadata == metadata
    with pytest.raises(InputError, match="is of the type object"):
        vectors.add_texts(["x"], [{"when": object()}])


def test_documents_are_returned_in_the_requested_order_without_unknown_ones(vectors):
    assert ids(vectors.get_by_ids(["wine", "nobody", "bread", "wine"])) == ["wine", "bread"]


def test_deleting_nothing_deletes_nothing(vectors):
    assert vectors.delete([]) is True
    with pytest.raises(InputError, match="delete takes ids"):
        vectors.delete()
    with pytest.raises(InputError, match="delete takes ids"):
        asyncio.run(vectors.adelete(None, where={}))
    assert vectors.store.count() == 4
    assert vectors.delete(["wine", "nobody"]) is True
    assert vectors.store.count() == 3


def test_texts_are_embedded_and_committed_batch_by_batch():
    with HybridStoreVectorStore(":memory:", Placed()) as made:
        with pytest.raises(KeyError):
            made.add_texts(["alpha", "beta", "gamma", "unknown place"], ids=list("abcd"), batch_size=3)
        assert made.embeddings.documents == [["alpha", "beta", "gamma"], ["unknown place"]]
        assert made.store.count() == 3
        with pytest.raises(InputError, match="batch_size must be at least 1"):
            made.add_texts(["alpha"], batch_size=0)


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ({"metadatas": [{}]}, "2 texts but 1 metadatas"),
        ({"ids": ["a", "b", "c"]}, "2 texts but 3 ids"),
        ({"ids": ["a", 5]}, "id 5 must be a string"),
        ({"namespace": "x"}, "not namespace"),
    ],
)
def test_invalid_texts_are_rejected_and_none_is_added(store, arguments, outcome):
    with pytest.raises(InputError, match=outcome):
        HybridStoreVectorStore(store).add_texts(["one", "two"], **arguments)
    assert store.count() == 0


def test_a_search_rejects_invalid_arguments(vectors, store):
    with pytest.raises(InputError, match="does not take score_threshhold; it takes around, depth"):
        vectors.similarity_search("yeast", score_threshhold=0.5)
    with pytest.raises(InputError, match="k must be a whole number of at least 1"):
        vectors.similarity_search("yeast", k=0)
    with pytest.raises(InputError, match="mode 'semantic' is not known"):
        HybridStoreVectorStore(store, mode="semantic")


@pytest.mark.parametrize("where", [None, {"kind": "food"}])
def test_two_filters_are_rejected(vectors, where):
    with pytest.raises(InputError, match="filter and where are the same"):
        vectors.similarity_search("yeast", filter={"kind": "ship"}, where=where)


def test_a_file_has_vectors_of_one_kind(tmp_path, embedder, vectors):
    with pytest.raises(InputError, match="made by remembering@32"):
        HybridStoreVectorStore(vectors.store, Placed())
    with (
        hs.open(tmp_path / "own.db", embedder=embedder) as own,
        pytest.raises(InputError, match="made by remembering@32"),
    ):
        HybridStoreVectorStore(own, Placed()).add_texts(["alpha"])  # it would pass for the embedder's
    with HybridStoreVectorStore(tmp_path / "given.db", Placed()) as given:
        given.add_texts(["alpha"])
    with pytest.raises(InputError, match="pass the Embeddings that made them"):
        HybridStoreVectorStore(tmp_path / "given.db")
    with HybridStoreVectorStore(tmp_path / "given.db", mode="keyword") as words:
        assert len(words.similarity_search("alpha")) == 1


def test_from_texts_fills_a_file_that_can_be_opened_again(tmp_path):
    path = tmp_path / "made.db"
    HybridStoreVectorStore.from_texts(
        ["alpha", "beta"], Placed(), [{"n": 1}, {"n": 2}], ids=["a", "b"], store=path
    ).close()
    made = asyncio.run(
        HybridStoreVectorStore.afrom_documents([Document(id="c", page_content="gamma")], Placed(), store=path)
    )
    with made:
        assert set(ids(made.get_by_ids(["a", "b", "c"]))) == {"a", "b", "c"}
        assert ids(made.similarity_search("gamma", k=1)) == ["c"]


def test_a_callers_store_stays_open(store):
    with HybridStoreVectorStore(store) as made:
        made.add_texts(["one"])
    assert store.count() == 1


def test_langchains_indexing_adds_skips_and_cleans_up(vectors):
    records = InMemoryRecordManager("notes")
    records.create_schema()
    first = [Document(page_content=f"note {n}", metadata={"source": f"{n}.txt"}) for n in range(3)]
    outcome = index(first, records, vectors, cleanup="full", source_id_key="source", key_encoder="sha256")
    assert (outcome["num_added"], outcome["num_deleted"]) == (3, 0)
    outcome = index(first[:2], records, vectors, cleanup="full", source_id_key="source", key_encoder="sha256")
    assert (outcome["num_added"], outcome["num_skipped"], outcome["num_deleted"]) == (0, 2, 1)
    assert vectors.store.count() == 4 + 2


def test_a_retrievers_documents_have_their_scores_and_ranks(vectors, store):
    retriever = HybridStoreRetriever(store=store, k=3)
    hits = store.search("hops and yeast", limit=3)
    results = retriever.invoke("hops and yeast")
    assert ids(results) == [hit.document_id for hit in hits]
    for document, hit in zip(results, hits, strict=True):
        outcome = document.metadata.pop("hybridstore")
        assert document.metadata == hit.metadata
        assert document.page_content == hit.text
        assert outcome["score"] == hit.score
        assert outcome["rank"] == hit.rank
        assert (outcome["keyword_rank"], outcome["vector_rank"]) == (hit.keyword_rank, hit.vector_rank)
        assert (outcome["start"], outcome["end"], outcome["chunk_id"]) == (hit.start, hit.end, hit.chunk_id)
        assert outcome["relevance"] == hit.relevance
    assert store.get("beer").metadata == METADATAS[1]


@pytest.mark.parametrize(
    "options",
    [
        {"where": {"kind": "drink"}},
        {"where": hs.field("n") < 3},
        {"fusion": "rrf"},
        {"mode": "keyword"},
        {"syntax": "advanced", "mode": "keyword"},
        {"diversity": 0.9},
        {"syntax": "algebra", "norm": "godel"},
        {"hops": 2},
        {"per_document": 1, "unique": True, "depth": 50},
        {"min_relevance": 0.4},
    ],
    ids=str,
)
def test_a_retriever_searches_with_its_options(vectors, store, options):
    store.add([f"filler number {n} about nothing" for n in range(40)])
    expected = [hit.document_id for hit in store.search("yeast OR mast", limit=4, **options)]
    assert ids(HybridStoreRetriever(store=store, **options).invoke("yeast OR mast")) == expected
    assert ids(HybridStoreRetriever(store=store).invoke("yeast OR mast", **options)) == expected
    assert ids(asyncio.run(HybridStoreRetriever(store=store).ainvoke("yeast OR mast", **options))) == expected


def test_a_retriever_embeds_queries_with_the_embeddings(placed):
    retriever = HybridStoreRetriever(store=placed.store, embedding=placed.embeddings, k=1)
    assert ids(retriever.invoke("gamma")) == ["c"]
    assert placed.embeddings.queries == ["gamma"]
    with pytest.raises(ValidationError, match="pass the Embeddings"):
        HybridStoreRetriever(store=placed.store)


def test_a_retriever_rejects_invalid_options_at_once(store):
    with pytest.raises(ValidationError, match="fusion 'magic' is not known"):
        HybridStoreRetriever(store=store, fusion="magic")
    with pytest.raises(ValidationError, match="k must be a whole number"):
        HybridStoreRetriever(store=store, k=0)
    with pytest.raises(InputError, match="does not take treshold"):
        HybridStoreRetriever(store=store).invoke("x", treshold=1)


def test_passages_of_a_long_document_are_found_with_their_offsets(store):
    long = " ".join(f"Sentence number {n} says nothing of note." for n in range(30)) + " The osprey dives."
    store.add(hs.Document(id="long", text=long, title="Birds"))
    (results,) = HybridStoreRetriever(store=store, k=1).invoke("osprey")
    outcome = results.metadata["hybridstore"]
    assert results.id == "long"
    assert results.page_content == long[outcome["start"] : outcome["end"]] != long
    assert outcome["title"] == "Birds"


def test_it_works_with_the_default_model(tmp_path):
    pytest.importorskip("onnxruntime", reason="the default model needs the extra `cpu`")
    with HybridStoreVectorStore.from_texts(TEXTS, None, METADATAS, ids=IDS, store=tmp_path / "real.db") as made:
        assert ids(made.as_retriever(search_kwargs={"k": 1}).invoke("sailing boat")) == ["sloop"]
        assert ids(made.similarity_search("alcoholic beverage", k=2, filter={"kind": "drink"})) != ["sloop"]
        assert ids(HybridStoreRetriever(store=made.store, k=1).invoke("something to drink with grapes")) == ["wine"]
