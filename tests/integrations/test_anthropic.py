"""Anthropic's memory tool over a store, compared with the SDK's own tool over a folder, and a whole conversation."""

import json
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.errors import MissingExtra

anthropic = pytest.importorskip("anthropic", reason="the memory tool needs the extra `anthropic`")
from anthropic.lib.tools import (  # noqa: E402
    BetaAbstractMemoryTool,
    BetaAsyncAbstractMemoryTool,
    ToolError,
    _beta_builtin_memory_tool,
)

from hybridstore.integrations.anthropic import AsyncHybridStoreMemoryTool, HybridStoreMemoryTool  # noqa: E402


@pytest.fixture
def store():
    with hs.open(":memory:", embedder="none") as store:
        yield store


@pytest.fixture
def tool(store):
    return HybridStoreMemoryTool(store)


def answer(tool, command):
    """Return a tool's answer to a command: ("outcome" or "refused", the sentence); None for an OSError."""
    try:
        return "outcome", tool.call(command)
    except ToolError as error:
        return "refused", error.content
    except OSError:  # the SDK's own tool lets those of its folder through
        return "refused", None


def pruned(folder):
    """Remove empty folders, for a store has none."""
    for item in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(item.iterdir()):
            item.rmdir()


def without_folder_sizes(outcome):
    """Put a star where a listing has a folder's size: on disk it is that of the folder's own entry."""
    header, *lines = (outcome[1] or "").split("\n")
    if not header.startswith("Here're"):
        return outcome
    starred = [
        "*\t" + line.partition("\t")[2] if n == 0 or line.endswith("/") else line for n, line in enumerate(lines)
    ]
    return outcome[0], [header, *starred]


PATHS = st.sampled_from(
    [
        *("/memories", "/memories/", "/memories/a", "/memories/a/", "/memories//a/b.md", "/memories/a/b.md"),
        *("/memories/a/b.md/c", "/memories/a/./c/d/e", "/memories/a/c", "/memories/.h/x", "/memories/a/.y"),
        *("/memories/ü%20", "/elsewhere", "memories/a"),
    ]
)
TEXTS = st.text(st.sampled_from("ab \t\n\r🙂é"), max_size=12)
LINES = st.integers(-2, 6)
COMMANDS = st.one_of(
    st.builds(lambda path, text: {"command": "create", "path": path, "file_text": text}, PATHS, TEXTS),
    st.builds(lambda path: {"command": "view", "path": path}, PATHS),
    st.builds(
        lambda path, first, last: {"command": "view", "path": path, "view_range": [first, last]}, PATHS, LINES, LINES
    ),
    st.builds(
        lambda path, old, new: {"command": "str_replace", "path": path, "old_str": old, "new_str": new},
        PATHS,
        TEXTS.map(lambda text: text[:2]),
        TEXTS,
    ),
    st.builds(
        lambda path, line, text: {"command": "insert", "path": path, "insert_line": line, "insert_text": text},
        PATHS,
        LINES,
        TEXTS,
    ),
    st.builds(lambda path: {"command": "delete", "path": path}, PATHS),
    st.builds(lambda old, new: {"command": "rename", "old_path": old, "new_path": new}, PATHS, PATHS),
)
SEEDS = [
    {"command": "create", "path": "/memories/a/b.md", "file_text": "a\nb b\n\n🙂 a\r\n"},
    {"command": "create", "path": "/memories/ü%20", "file_text": "é\n"},
]


@settings(max_examples=settings().max_examples * 3 // 5)
@given(st.lists(COMMANDS, max_size=12))
def test_every_answer_equals_that_of_the_sdks_own_tool_over_a_folder(commands):
    with tempfile.TemporaryDirectory() as folder, hs.open(":memory:", embedder="none") as store:
        theirs = _beta_builtin_memory_tool.BetaLocalFilesystemMemoryTool(folder)
        ours = HybridStoreMemoryTool(store)
        for command in [*SEEDS, *commands, {"command": "view", "path": "/memories"}]:
            expected, results = answer(theirs, command), answer(ours, command)
            pruned(theirs.memory_root)
            if expected == ("refused", None):
                assert results[0] == "refused"
            else:
                assert without_folder_sizes(results) == without_folder_sizes(expected), command
        root = Path(folder) / "memories"
        on_disk = {f"/memories/{path.relative_to(root)}": path for path in root.rglob("*") if path.is_file()}
        assert {document.id: document.text.encode() for document in store.documents()} == {
            path: file.read_bytes() for path, file in on_disk.items()
        }


def test_both_tools_are_the_sdks_memory_tool(store):
    for kind, base in (
        (HybridStoreMemoryTool, BetaAbstractMemoryTool),
        (AsyncHybridStoreMemoryTool, BetaAsyncAbstractMemoryTool),
    ):
        tool = kind(store, cache_control={"type": "ephemeral"})
        assert isinstance(tool, base)
        assert tool.to_dict() == {"type": "memory_20250818", "name": "memory", "cache_control": {"type": "ephemeral"}}
        assert base.__abstractmethods__ <= set(kind.__dict__)


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ({"command": "view"}, "Invalid `path` parameter of view: None. It should be a text."),
        ({"command": "view", "path": 5}, "`path`"),
        ({"command": "view", "path": "/memories", "view_range": "1-2"}, "`view_range`"),
        ({"command": "view", "path": "/memories", "view_range": [1, "x"]}, "`view_range`"),
        ({"command": "create", "path": "/memories/x"}, "`file_text`"),
        ({"command": "insert", "path": "/memories/f", "insert_line": "one", "insert_text": "x"}, "`insert_line`"),
        ({"command": "insert", "path": "/memories/f", "insert_text": "x"}, "`insert_line`"),
        ({"command": "str_replace", "path": "/memories/f", "new_str": "x"}, "`old_str`"),
        ({"command": "rename", "old_path": "/memories/f"}, "`new_path`"),
    ],
)
def test_missing_and_invalid_arguments_are_reported_to_the_model(store, tool, command, pattern):
    tool.files.create("/memories/f", "kept")
    kind, outcome = answer(tool, command)
    assert kind == "refused"
    assert pattern in outcome
    assert [(document.id, document.text) for document in store.documents()] == [("/memories/f", "kept")]


def test_a_replacement_left_out_is_an_empty_one(store, tool):
    tool.files.create("/memories/f", "a b")
    assert answer(tool, {"command": "str_replace", "path": "/memories/f", "old_str": " b"})[0] == "outcome"
    assert store.get("/memories/f").text == "a"


def test_users_share_a_store_and_clear_their_own(store):
    ada, bob = HybridStoreMemoryTool(store, namespace="ada"), HybridStoreMemoryTool(store, namespace="bob", largest=5)
    assert answer(ada, {"command": "create", "path": "/memories/f", "file_text": "of Ada's"})[0] == "outcome"
    assert answer(bob, {"command": "create", "path": "/memories/f", "file_text": "too long"})[0] == "refused"
    assert answer(bob, {"command": "create", "path": "/memories/f", "file_text": "short"})[0] == "outcome"
    assert bob.clear_all_memory() == "All memory cleared"
    assert [document.id for document in store.documents()] == ["ada/memories/f"]


async def test_the_asynchronous_tool_answers_the_same(store, tool):
    with hs.open(":memory:", embedder="none") as other:
        twin = AsyncHybridStoreMemoryTool(other, namespace="twin")
        for command in [
            *SEEDS,
            {"command": "view", "path": "/memories"},
            {"command": "view", "path": "/memories/a/b.md", "view_range": [2, 3]},
            {"command": "str_replace", "path": "/memories/a/b.md", "old_str": "b b", "new_str": "c"},
            {"command": "str_replace", "path": "/memories/a/b.md", "old_str": "zz", "new_str": "c"},
            {"command": "insert", "path": "/memories/a/b.md", "insert_line": 1, "insert_text": "x"},
            {"command": "rename", "old_path": "/memories/a", "new_path": "/memories/z"},
            {"command": "delete", "path": "/memories/z/b.md"},
            {"command": "delete", "path": "/memories/z/b.md"},
        ]:
            try:
                outcome = "outcome", await twin.call(command)
            except ToolError as error:
                outcome = "refused", error.content
            assert outcome == answer(tool, command)
        assert [document.id for document in other.documents()] == ["twin/memories/ü%20"]
        assert await twin.clear_all_memory() == "All memory cleared"
        assert other.count() == 0


class Api(BaseHTTPRequestHandler):
    """Plays the model: one tool call for each of the server's commands, then a last word."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        turn = len(self.server.requests) - 1
        if turn < len(self.server.commands):
            block = {"type": "tool_use", "id": f"t{turn}", "name": "memory", "input": self.server.commands[turn]}
        else:
            block = {"type": "text", "text": "Done."}
        message = {
            "id": f"m{turn}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [block],
            "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        body = json.dumps(message).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def api():
    server = HTTPServer(("127.0.0.1", 0), Api)
    server.requests = []
    server.commands = [
        {"command": "create", "path": "/memories/tea.md", "file_text": "Ada likes tea."},
        {"command": "view", "path": "/memories/../secret"},
        {"command": "view", "path": "/memories/tea.md"},
    ]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def results_of(api):
    """Return the tool results sent to the model: (text, is_error)."""
    messages = [message for request in api.requests for message in request["messages"]]
    blocks = [block for message in messages for block in message["content"] if block["type"] == "tool_result"]
    outcome = {block["tool_use_id"]: (block["content"], block.get("is_error", False)) for block in blocks}
    return [outcome[name] for name in sorted(outcome)]


WANTED = [
    ("File created successfully at: /memories/tea.md", False),
    ("Path /memories/../secret would escape /memories directory", True),
    ("Here's the content of /memories/tea.md with line numbers:\n     1\tAda likes tea.", False),
]
ASKED = {
    "max_tokens": 100,
    "model": "claude-of-the-test",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "What does Ada like?"}]}],
}


def test_a_conversation_with_the_tool_runner_fills_the_store(api, store, tool):
    with anthropic.Anthropic(api_key="none", base_url=f"http://127.0.0.1:{api.server_port}") as client:
        last = client.beta.messages.tool_runner(**ASKED, tools=[tool]).until_done()
    assert last.content[0].text == "Done."
    assert api.requests[0]["tools"] == [{"type": "memory_20250818", "name": "memory"}]
    assert results_of(api) == WANTED
    assert [hit.document_id for hit in store.search("tea")] == ["/memories/tea.md"]


async def test_a_conversation_with_the_asynchronous_tool_runner_fills_the_store(api, store):
    async with anthropic.AsyncAnthropic(api_key="none", base_url=f"http://127.0.0.1:{api.server_port}") as client:
        runner = client.beta.messages.tool_runner(**ASKED, tools=[AsyncHybridStoreMemoryTool(store)])
        last = await runner.until_done()
    assert last.content[0].text == "Done."
    assert results_of(api) == WANTED
    assert store.get("/memories/tea.md").text == "Ada likes tea."


def test_without_the_package_the_error_has_the_install_command(monkeypatch):
    for name in [name for name in sys.modules if name == "anthropic" or name.startswith("anthropic.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "anthropic", None)
    monkeypatch.delitem(sys.modules, "hybridstore.integrations.anthropic")
    with pytest.raises(MissingExtra, match=r"pip install 'hybridstore\[anthropic\]'"):
        __import__("hybridstore.integrations.anthropic")
