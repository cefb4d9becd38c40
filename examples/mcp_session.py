"""A session with the store as an MCP server: what a model's client does, and how many tokens each answer costs it.

    python examples/mcp_session.py

Starts `hybridstore serve mcp` as a child over standard input and output, as Claude Desktop and others do, remembers
three facts, supersedes one of them, asks, and prints both sides. Needs `pip install 'hybridstore[cpu,mcp]'`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters


class Session:
    """Calls tools, prints what is asked and answered, and adds up what the answers cost."""

    def __init__(self, client: Client) -> None:
        self.client, self.tokens = client, 0

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Give a tool's answer as data; print its text, which is what a model reads."""
        written = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
        answer = await self.client.call_tool(tool, arguments)
        text = getattr(answer.content[0], "text", "")
        print(f"> {tool}({written})")
        print("".join(f"  {line}\n" for line in text.splitlines()), end="")
        if answer.is_error or answer.structured_content is None:
            print("  refused\n")
            return {}
        self.tokens += answer.structured_content["tokens"]
        print(f"  {answer.structured_content['tokens']} tokens\n")
        return answer.structured_content


async def talk(folder: Path) -> None:
    """Have the session, with a store and a paper in this folder."""
    papers = folder / "papers"
    papers.mkdir()
    (papers / "trains.md").write_text(
        "# Night trains\n\nThe night train from Vienna to Rome leaves at 19:18 and has a dining car.\n"
    )
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "hybridstore", "--db", str(folder / "notes.db"), "serve", "mcp", "--root", str(papers)],
        cwd=Path(__file__).parent.parent,
    )
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        print(f"{client.server_info.name if client.server_info else 'A server'} offers {len(tools)} tools:")
        print(f"  {', '.join(tool.name for tool in tools)}\n")
        session = Session(client)
        lives = await session.call("remember", text="Anna lives in Paris.", occurred_at="2024-05-01")
        await session.call("remember", text="Anna is allergic to nuts.", occurred_at="2024-06-12")
        code = await session.call("remember", text="The door code of the office is 4711.")
        await session.call("supersede", id=lives["id"], text="Anna lives in Vienna.", occurred_at="2025-11-03")
        await session.call("recall", query="Which city does Anna live in?")
        await session.call("recall", query="Which city does Anna live in?", as_of="2024-12-24")
        await session.call("ingest", paths=["."])
        await session.call("search", query="when does the sleeper to Italy depart", kind="documents", limit=1)
        await session.call("list")
        await session.call("forget", ids=[code["id"]])
        await session.call("ingest", paths=["../notes.db"])
        await session.call("stats")
        print(f"{session.tokens} tokens for all answers.")


def main() -> None:
    """Have the session in a folder that is removed in the end."""
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(talk, Path(folder).resolve())


if __name__ == "__main__":
    main()
