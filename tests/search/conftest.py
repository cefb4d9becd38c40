"""A store of a crowd of like passages and a few odd ones, for the tests of explanations."""

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder

CROWD = [hs.Document(id=f"c{n}", text=f"the river flows past stone number {n}") for n in range(40)]
ODD = [
    hs.Document(id="castle", title="A castle", text="a castle stands by the river", metadata={"lang": "en"}),
    hs.Document(id="burg", text="eine Burg", metadata={"lang": "de"}),
    hs.Document(id="far", text="quantum chromodynamics"),
]


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder(64)) as store:
        store.add(CROWD + ODD)
        yield store


@pytest.fixture
def crowd():
    return CROWD


@pytest.fixture
def odd():
    return ODD
