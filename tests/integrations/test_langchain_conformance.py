"""LangChain's own suites for vector stores and retrievers, for both kinds of vectors."""

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.integrations.langchain import HybridStoreRetriever, HybridStoreVectorStore

TEXTS = ["Bread wants flour and yeast.", "Beer wants hops and yeast.", "Wine wants grapes.", "A sloop has one mast."]


class TestWithEmbeddings(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self):
        with HybridStoreVectorStore(":memory:", self.get_embeddings()) as store:
            yield store


class TestWithEmbeddingsAndNoWords(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self):
        with HybridStoreVectorStore(":memory:", self.get_embeddings(), mode="vector") as store:
            yield store


class TestWithTheStoresEmbedder(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self):
        with hs.open(":memory:", embedder=HashingEmbedder()) as store:
            yield HybridStoreVectorStore(store)


class RetrieverSuite(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def filled(self, tmp_path):
        with self.opened(tmp_path / "store.db") as self.store:
            yield

    @property
    def retriever_constructor(self):
        return HybridStoreRetriever

    @property
    def retriever_query_example(self):
        return "what wants yeast"


class TestRetriever(RetrieverSuite):
    def opened(self, path):
        store = hs.open(path, embedder=HashingEmbedder())
        store.add(TEXTS)
        return store

    @property
    def retriever_constructor_params(self):
        return {"store": self.store}


class TestRetrieverWithEmbeddings(RetrieverSuite):
    embedding = DeterministicFakeEmbedding(size=6)

    def opened(self, path):
        store = hs.open(path)
        store.add(TEXTS, vectors=self.embedding.embed_documents(TEXTS))
        return store

    @property
    def retriever_constructor_params(self):
        return {"store": self.store, "embedding": self.embedding}
