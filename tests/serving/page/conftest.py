"""A store with hostile text, and clients of its page without a browser."""

import numpy as np
import pytest

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import Memory
from hybridstore.search.transforms import Adapter, write

pytest.importorskip("fastapi", reason="the page is served with FastAPI: pip install 'hybridstore[serve]'")

from starlette.testclient import TestClient

from hybridstore.serving.http import Context, create_app
from hybridstore.serving.http_access import Names

SCRIPT = "<script>alert('stored')</script>"
BREAKOUT = "\"><img src=x onerror=alert(1)>'"


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        yield store


@pytest.fixture
def filled(store):
    """Give a store of a few documents of several kinds."""
    store.add(
        [
            hs.Document(
                id="/notes/plant/valve.md",
                title="Valve log",
                text="# Valve log\n\nThe valve in hall 3 leaks above 4 bar.\n\n## Service\n\nShut the inlet first.",
                uri="/notes/plant/valve.md",
                metadata={"path": "/notes/plant/valve.md", "type": "md", "year": 2024, "team": "operations"},
                format="markdown",
            ),
            hs.Document(
                id="/notes/ops/pump.md",
                title="Pump P-101",
                text="The pump feeds the valve of hall 3.",
                metadata={"path": "/notes/ops/pump.md", "type": "md", "year": 2021, "team": "maintenance"},
            ),
            hs.Document(id="web", title="Handbook", text="The valve handbook.", uri="https://example.org/handbook"),
            hs.Document(
                id=f"hostile {BREAKOUT}",
                title=f"Hostile {SCRIPT}",
                text=f"A valve {SCRIPT} and {BREAKOUT}",
                uri="javascript:alert(1)",
                metadata={"team": SCRIPT, BREAKOUT: BREAKOUT, "year": 2024},
            ),
        ]
    )
    return store


@pytest.fixture
def version(store, filled):
    """Give a model version, which turns queries a little."""
    embedding = store.embeddings.active
    direction = np.full(embedding.dim, 0.01, np.float32)
    weights = write(Adapter(embedding.fingerprint, direction[:, None], direction[None]))
    own = embedding.fingerprint
    return ModelVersion(kind="adapter", source=own, target=own, reference=embedding.reference, weights=weights)


@pytest.fixture
def visit():
    """Make a client of a store's page, which looks at it as a browser without scripts does."""
    clients = []

    def client_of(store, **options):
        context = Context(Memory(store, ("user", "42")), **options)
        app = create_app(context, Names.of("127.0.0.1", 80, ["127.0.0.1"]))
        clients.append(TestClient(app, base_url="http://127.0.0.1"))
        return clients[-1]

    yield client_of
    for client in clients:
        client.close()


@pytest.fixture
def client(filled, visit):
    return visit(filled)
