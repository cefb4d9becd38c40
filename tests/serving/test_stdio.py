"""Over standard input and output, with the default model, as programs start it; and the command that does so."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters

import hybridstore as hs
from hybridstore.cli import serve_command as command
from hybridstore.cli.app import app
from hybridstore.memory import Memory
from hybridstore.serving import mcp_server


def parameters(path, *options):
    return StdioServerParameters(
        command=sys.executable, args=["-m", "hybridstore", "--db", str(path), "serve", "mcp", *options]
    )


@pytest.mark.thorough
async def test_a_program_starts_it_and_talks_over_its_input_and_output(tmp_path):
    pytest.importorskip("onnxruntime", reason="the default model: pip install 'hybridstore[cpu]'")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "pump.md").write_text("# Pump P-101\n\nError E4012 means that the pump runs dry.\n")
    path = tmp_path / "notes.db"
    async with Client(parameters(path, "--namespace", "user/42", "--root", str(tmp_path / "papers"))) as client:
        assert client.server_info.name == "hybridstore"
        assert len((await client.list_tools()).tools) == 9
        old = (await client.call_tool("remember", {"text": "Anna lives in Paris."})).structured_content["id"]
        await client.call_tool("remember", {"text": "Anna is allergic to nuts."})
        await client.call_tool("supersede", {"id": old, "text": "Anna moved to Rome."})
        recalled = await client.call_tool("recall", {"query": "In which city is Anna's flat?"})
        texts = [item["text"] for item in recalled.structured_content["items"]]
        assert texts[0] == "Anna moved to Rome."
        assert "Anna lives in Paris." not in texts
        assert (await client.call_tool("ingest", {"paths": ["."]})).structured_content["added"] == 1
        found = await client.call_tool("search", {"query": "what does it mean when the machine lacks water"})
        assert found.structured_content["items"][0]["title"] == "Pump P-101"
        assert (await client.call_tool("fetch", {"id": "/etc/passwd"})).is_error
    with Memory(path, ("user", "42")) as memory:
        assert len(memory.notes()) == 2


async def test_a_client_of_the_older_protocol_is_answered_too(tmp_path):
    hs.open(tmp_path / "notes.db", embedder="none").close()
    async with Client(parameters(tmp_path / "notes.db", "--embedder", "none"), mode="legacy") as client:
        assert not (await client.call_tool("remember", {"text": "One."})).is_error
        assert "One." in (await client.call_tool("recall", {"query": "one"})).content[0].text


def test_nothing_but_the_protocol_is_written_to_standard_output(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "hybridstore", "--db", str(tmp_path / "n.db"), "serve", "mcp", "--embedder", "none"],
        input='this is no JSON\n{"jsonrpc": "2.0", "id": 7, "method": "ping"}\n',
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0
    assert all(line.startswith('{"jsonrpc"') for line in ran.stdout.splitlines())


async def test_a_store_that_is_only_read_is_not_made(tmp_path):
    result = CliRunner().invoke(app, ["--db", str(tmp_path / "no.db"), "serve", "mcp", "--read-only"])
    assert result.exit_code == 1
    assert "there is no such store" in result.output
    assert not (tmp_path / "no.db").exists()


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        (["--budget", "10"], "at least 256 tokens"),
        (["--root", "nowhere"], "is not a folder"),
        (["--http", "--token", "short"], "at least 16"),
        (["--http", "--host", "0.0.0.0"], "--allow-host"),  # noqa: S104 - refused
        (["--namespace", "a//b"], "a namespace must be"),
    ],
)
def test_invalid_options_are_an_error_message(tmp_path, options, outcome):
    arguments = ["--db", str(tmp_path / "n.db"), "serve", "mcp", "--embedder", "none", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert outcome in result.output
    assert "Traceback" not in result.output


def test_the_commands_defaults_are_the_servers():
    assert (command.BUDGET, command.PORT) == (mcp_server.BUDGET, mcp_server.PORT)


def test_without_the_sdk_its_extra_is_named():
    code = (
        "import sys\nsys.modules['mcp'] = None\n"
        "from hybridstore.errors import MissingExtra\n"
        "try:\n    import hybridstore.serving.mcp_server\n"
        "except MissingExtra as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "serving a store to models needs mcp: pip install 'hybridstore[mcp]'"


def test_help_does_not_load_the_sdk():
    code = (
        "import sys\nfrom hybridstore.cli import main\nsys.argv = ['hybridstore', 'serve', 'mcp', '--help']\n"
        "try: main()\nexcept SystemExit: pass\nsys.stderr.write(str('mcp' in sys.modules or 'numpy' in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "False"
