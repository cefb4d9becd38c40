"""Tasks as MTEB describes them, and an embedder that remembers what it embedded."""

import os
from types import SimpleNamespace

import pytest

from hybridstore.embedders.hashing import HashingEmbedder

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read when haystack is imported; tests tell nobody anything


class RememberingEmbedder(HashingEmbedder):
    def __init__(self, name="remembering", dim=32):
        super().__init__(dim, max_tokens=16)
        self.fingerprint = f"{name}@{dim}"
        self.documents, self.queries = [], []

    def embed_documents(self, texts):
        self.documents += texts
        return super().embed_documents(texts)

    def embed_query(self, text):
        self.queries.append(text)
        return super().embed_documents([text])[0]


@pytest.fixture
def remembering():
    return RememberingEmbedder


@pytest.fixture
def embedder():
    return RememberingEmbedder()


@pytest.fixture
def told():
    """Make what `index` and `search` are told of a task."""

    def make(name="Kitchen", subset="default", split="test", languages=("eng-Latn",)):
        metadata = SimpleNamespace(name=name, eval_langs=languages)
        return {
            "task_metadata": metadata,
            "hf_subset": subset,
            "hf_split": split,
            "encode_kwargs": {},
            "num_proc": None,
        }

    return make
