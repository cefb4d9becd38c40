"""The HTTP server and the MCP server, as processes, over a store that HYBRIDSTORE_DB names by a URL with a password."""

import json
import os
import subprocess
import sys
import urllib.request

import pytest

import hybridstore as hs

pytest.importorskip("mcp", reason="needs pip install 'hybridstore[mcp]'")
pytest.importorskip("fastapi", reason="needs pip install 'hybridstore[serve]'")

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

SECRET = "hunter2-geheim"  # noqa: S105 - made up


@pytest.fixture
def environment(url_of):
    """Return the environment of a server whose store has a text."""
    url = url_of() + f"&password={SECRET}"
    with hs.open(url, embedder="none") as store:
        store.add(hs.Document(id="a/valve.md", text="The red valve in hall 3 leaks."))
    known = {name: value for name, value in os.environ.items() if not name.startswith("HYBRIDSTORE")}
    return {**known, "HYBRIDSTORE_DB": url}


def test_the_page_and_the_api_serve_a_store_on_a_server(environment):
    command = [sys.executable, "-m", "hybridstore", "serve", "http", "--port", "0"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in iter(server.stderr.readline, "") if line.startswith("Serving on"))
        url = line.removeprefix("Serving on ").split()[0].partition("?")[0].rstrip("/")

        def ask(path, body=None):
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=20) as answer:  # noqa: S310
                return answer.read().decode()

        found = ask("/api/search?q=leaking+valve")
        assert json.loads(found)["hits"][0]["document_id"] == "a/valve.md"
        shown = [found, ask("/"), ask("/api/stats"), ask("/?q=valve")]
        assert "hall 3" in shown[3]
        ask("/api/documents", {"documents": [{"id": "new", "text": "A pump was added."}]})
        assert "pump" in ask("/api/search?q=pump")
    finally:
        server.terminate()
        out, err = server.communicate(timeout=20)
    assert SECRET not in "".join([line, out, err, *shown])
    assert "Traceback" not in err


async def test_models_remember_and_search_in_a_store_on_a_server(environment):
    arguments = ["-m", "hybridstore", "serve", "mcp"]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
    async with Client(stdio_client(server)) as client:

        async def call(tool, **arguments):
            answer = await client.call_tool(tool, arguments)
            assert not answer.is_error, answer.content
            return answer.content[0].text

        shown = [await call("remember", text="Anna is allergic to nuts"), await call("stats")]
        assert "nuts" in await call("recall", query="what is Anna allergic to")
        assert "hall 3" in await call("search", query="valve")
    assert SECRET not in "".join(shown)
