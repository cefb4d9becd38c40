"""A memory with a clock that tests set, over an embedder that takes no time."""

from datetime import UTC, datetime

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

    def __call__(self):
        return self.now

    def wind(self, *, days=0.0, seconds=0.0):
        self.now += 86_400 * days + seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


@pytest.fixture
def memory(request, clock):
    """Return a memory in memory, or in a file if the test uses `path`."""
    place = request.getfixturevalue("path") if "path" in request.fixturenames else ":memory:"
    with hs.Memory(place, ("user", "42"), embedder=HashingEmbedder(64), clock=clock) as memory:
        yield memory
