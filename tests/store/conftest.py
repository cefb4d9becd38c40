"""Stores on a temporary file, with an embedder that counts what it is asked."""

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder


class CountingEmbedder(HashingEmbedder):
    """A HashingEmbedder that remembers every text it embedded; `name` and `dim` make it another embedder."""

    def __init__(self, name: str = "counting", dim: int = 32, max_tokens: int = 32) -> None:
        super().__init__(dim, max_tokens=max_tokens)
        self.fingerprint = f"{name}@{dim}"
        self.reference = name
        self.documents: list[str] = []
        self.queries: list[str] = []

    def embed_documents(self, texts):
        self.documents += texts
        return super().embed_documents(texts)

    def embed_query(self, text):
        self.queries.append(text)
        return super().embed_documents([text])[0]


@pytest.fixture
def counting() -> type[CountingEmbedder]:
    return CountingEmbedder


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(path, embedder):
    with hs.open(path, embedder=embedder) as store:
        yield store


@pytest.fixture
def plain(tmp_path):
    with hs.open(tmp_path / "plain.db", embedder="none") as store:
        yield store
