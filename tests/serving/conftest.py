"""A memory and documents without a model, and a client that asks a server of them."""

import json
from contextlib import asynccontextmanager

import pytest

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import Memory

pytest.importorskip("mcp", reason="the server is made with the MCP SDK: pip install 'hybridstore[mcp]'")

from mcp import Client

from hybridstore.serving.mcp_server import server


class Asked:
    """A client whose answers are checked: text and data are there, and both are within the budget."""

    def __init__(self, client, count, budget):
        self.client, self.count, self.budget = client, count, budget

    async def __call__(self, tool, **arguments):
        answer = await self.client.call_tool(tool, arguments)
        text = answer.content[0].text
        assert [part.type for part in answer.content] == ["text"]
        assert self.count(text) <= self.budget
        assert not answer.is_error, text
        dumped = json.dumps(answer.structured_content, ensure_ascii=False, separators=(",", ":"))
        assert self.count(dumped) <= self.budget
        assert answer.structured_content["tokens"] == self.count(text)
        return answer.structured_content

    async def refused(self, tool, **arguments):
        """Give the sentence with which a call is refused."""
        answer = await self.client.call_tool(tool, arguments)
        assert answer.is_error
        assert answer.structured_content is None
        assert self.count(answer.content[0].text) <= self.budget
        return answer.content[0].text

    async def pages(self, tool, **arguments):
        """Give the items of all pages, page by page."""
        found = [await self(tool, **arguments)]
        while cursor := found[-1].get("cursor"):
            found.append(await self(tool, **arguments, cursor=cursor))
            assert len(found) < 1000
        return [page["items"] for page in found]


@pytest.fixture
def store():
    with hs.open(":memory:", embedder=HashingEmbedder()) as store:
        yield store


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The file of a store with one text, for servers in processes of their own."""
    path = tmp_path_factory.mktemp("http") / "notes.db"
    with hs.open(path, embedder="none") as store:
        store.add("The harbour is closed.")
    return path


@pytest.fixture
def memory(store):
    return Memory(store, ("user", "42"))


@pytest.fixture
def asking():
    """Connect to a server of a memory."""

    @asynccontextmanager
    async def connect(memory, *, budget=2000, **options):
        async with Client(server(memory, budget=budget, **options)) as client:
            yield Asked(client, memory.count_tokens, budget)

    return connect
