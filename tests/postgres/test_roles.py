"""Roles with least rights: what docs/scale.md grants is enough for what it says, and what is lacking is told."""

import re
import uuid
from pathlib import Path

import psycopg
import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import StoreRefused

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
GRANTS = re.search(r"```sql\n(.*?)```", PAGE, re.DOTALL)[1]
EMBEDDER = HashingEmbedder(64)


@pytest.fixture
def as_role(server, url_of):
    """Return a function from a role of the page to the URL of a store as that role."""
    names = {role: f"{role}_{uuid.uuid4().hex[:8]}" for role in ("owner", "writer", "reader")}
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names.values():
            connection.execute(f"CREATE ROLE {name} LOGIN")
        database = connection.info.dbname
        url = url_of("roles")
        schema = "hybridstore_" + url.rpartition("store=")[2]

        def grant(statements):
            text = statements.replace("hybridstore_notes", schema).replace("DATABASE team", f"DATABASE {database}")
            for role, name in names.items():
                text = re.sub(rf"\b{role}\b", name, text)
            connection.execute(text)

        created, _, used = GRANTS.partition("\n\n")
        grant(created)
        yield lambda role: f"{url}&user={names[role]}", lambda: grant(used)
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
        for name in names.values():
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_an_owner_a_writer_and_a_reader_have_what_they_need_and_no_more(as_role):
    url, grant = as_role
    with pytest.raises(StoreRefused, match="does not permit"):
        hs.open(url("writer"))
    with hs.open(url("owner"), embedder=EMBEDDER) as store:
        store.add([hs.Document(id=f"d{n}", text=f"The valve number {n} leaks.") for n in range(30)])
    with pytest.raises(StoreRefused, match="does not permit"):
        hs.open(url("reader"))
    grant()
    with hs.open(url("writer"), embedder=EMBEDDER, log_queries=True) as store:
        store.add(hs.Document(id="d1", text="The pump stops."))
        store.remove("d2")
        assert store.search("pump")[0].document_id == "d1"
        store.feedback("pump", store.search("pump")[0])
        store.expect("pump", "d1")
        assert store.purge("d3").documents == 1
        assert store.check() == []
        with pytest.raises(StoreRefused, match="does not permit"):
            store.reembed(HashingEmbedder(32))  # makes a table
    with hs.open(url("reader"), embedder=EMBEDDER) as store:
        assert store.search("pump")[0].document_id == "d1"
        assert store.check() == []
        with pytest.raises(StoreRefused, match="does not permit"):
            store.add("another")
    with hs.open(url("owner"), embedder=EMBEDDER) as store:
        store.drop_expectation("pump", "d1")  # it would be tried on a copy
        store.reembed(HashingEmbedder(32))
    with hs.open(url("reader"), embedder=HashingEmbedder(32)) as store:
        assert store.search("The pump stops.", mode="vector")  # from a table that was made since
