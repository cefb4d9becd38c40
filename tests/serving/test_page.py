"""docs/mcp.md says what is so, and the example runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from mcp import Client

from hybridstore.cli.app import app
from hybridstore.memory import Memory
from hybridstore.serving.mcp_server import server

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "mcp.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def parsed(arguments):
    """Have click read a command line, as far as the command that it means; wrong options are an error."""
    context, command = click.Context(app, info_name="hybridstore"), app
    while isinstance(command, click.Group):
        context = command.make_context(context.info_name, list(arguments), parent=context)
        _, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
    return command.make_context(command.name, list(arguments), parent=context)


def test_every_configuration_starts_the_server_or_calls_it():
    started = []
    for block in map(json.loads, blocks("json")):
        servers = block.get("mcpServers") or block["servers"]
        for each in servers.values():
            if "url" in each:
                assert each["url"] == "http://127.0.0.1:8765/mcp"
                assert each["headers"]["Authorization"].startswith("Bearer ${")
            else:
                assert each["command"] == "hybridstore"
                context = parsed(each["args"])
                started.append((context.info_name, context.params["namespace"]))
    assert len(started) == 4
    assert {name for name, _ in started} == {"mcp"}


def test_vs_code_has_its_own_format():
    vs_code = [block for block in map(json.loads, blocks("json")) if "servers" in block]
    assert len(vs_code) == 2
    assert all(each["type"] in {"stdio", "http"} for block in vs_code for each in block["servers"].values())


def test_the_commands_of_the_page_can_be_run():
    commands = [line[2:].split("  #")[0].split() for block in blocks("console") for line in block.splitlines()]
    ours = [words for words in commands if words and words[0] == "hybridstore"]
    assert ours
    assert all(parsed(words[1:]).info_name == "mcp" for words in ours)


def test_the_python_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {}
    for block in blocks("python"):
        exec(compile(block, "docs/mcp.md", "exec"), space)  # noqa: S102 - our own documentation
    assert space["app"].name == "hybridstore"


async def test_the_table_names_every_tool_and_its_tokens():
    pytest.importorskip("tokenizers", reason="tokens are the default model's: pip install 'hybridstore[cpu]'")
    result = dict(re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", PAGE, re.MULTILINE))
    counted = {}
    with Memory(":memory:") as memory:
        async with Client(server(memory)) as client:
            for tool in (await client.list_tools()).tools:
                given = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
                written = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
                counted[tool.name] = str(memory.count_tokens(written))
    assert result == counted
    assert f"all nine take {round(sum(map(int, counted.values())), -2):,}" in PAGE


@pytest.mark.thorough
def test_the_example_has_its_session():
    pytest.importorskip("onnxruntime", reason="the example uses the default model: pip install 'hybridstore[cpu]'")
    ran = subprocess.run(
        [sys.executable, "examples/mcp_session.py"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    asked = re.findall(r"^> (\w+)\(", ran.stdout, re.MULTILINE)
    assert asked[:6] == ["remember", "remember", "remember", "supersede", "recall", "recall"]
    assert set(asked) >= {"search", "list", "forget", "stats"}
    first = ran.stdout.split("> recall")[1]
    assert "Anna lives in Vienna." in first
    assert "Paris" not in first
    assert "Anna lives in Paris." in ran.stdout.split("> recall")[2]
    assert "Nothing is forgotten yet" in ran.stdout
    assert "default: 3 notes" in ran.stdout
    tokens = [int(each) for each in re.findall(r"^  (\d+) tokens$", ran.stdout, re.MULTILINE)]
    assert f"{sum(tokens)} tokens for all answers." in ran.stdout
