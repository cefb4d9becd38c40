"""Tasks as MTEB describes them, an embedder that records what it embedded, memories and their clock."""

import os
from types import SimpleNamespace

import pytest

import hybridstore as hs
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
def task_arguments():
    """Return a function that makes the arguments of `index` and `search` about a task."""

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


class Clock:
    def __init__(self):
        self.seconds = 1_800_000_000.0

    def __call__(self):
        return self.seconds

    def pass_(self, minutes):
        self.seconds += 60 * minutes


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock of memories by one that tests set."""
    clock = Clock()
    for room in ("namespaced_memory", "langgraph"):
        monkeypatch.setattr(f"hybridstore.integrations.{room}.now", clock)
    return clock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


@pytest.fixture
def opened(path, embedder):
    """Return a function that opens memories over one file."""
    from hybridstore.integrations.langgraph import HybridStoreMemory

    made = []

    def open_(**options):
        made.append(hs.open(path, embedder=embedder))
        return HybridStoreMemory(made[-1], **options)

    yield open_
    for store in made:
        store.close()


@pytest.fixture
def memory(opened):
    return opened()
