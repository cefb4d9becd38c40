"""Nothing is sent: each command is watched by strace, with an empty home, without a network, and not in CI.

Native code, such as ONNX Runtime's telemetry, is invisible to Python's audit hooks, so its system calls are looked at.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import hybridstore as hs

pytest.importorskip("onnxruntime", reason="without a model there is nothing that could send: 'hybridstore[cpu]'")
STRACE = shutil.which("strace")
# In CI the runtime's telemetry is silent by itself, which is why it was not seen for long.
SILENCING = ("CI", "ORT_DISABLE_TELEMETRY", "HAYSTACK_TELEMETRY_ENABLED", "DO_NOT_TRACK", "GITHUB_ACTIONS", "TF_BUILD")
LEAVING = re.compile(r"^\d+ +(connect|bind|sendto|sendmsg|sendmmsg)\(.*AF_INET6?")
LOCAL = re.compile(r"inet_addr\(\"127\.0\.0\.1\"\)|inet_pton\(AF_INET6, \"::1\"")
LOOK_UP = re.compile(r"resolv\.conf|nscd/socket|\"/etc/hosts\"|htons\(53\)")
WHAT = ["harbour", "mill", "quarry", "dairy", "tannery", "bakery", "sawmill", "smithy", "cellar", "orchard", "brewery"]
WHEN = ["May", "June", "autumn", "spring", "a storm", "Lent", "the fair", "harvest", "August", "frost", "rain"]
INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
)


class Watched:
    """Runs Python under strace with a home folder of its own."""

    def __init__(self, folder):
        self.folder, self.home, self.calls = folder, folder / "home", []
        self.home.mkdir()

    def run(self, *arguments, text="", alone=True, codes=(0,)):
        """Return (network calls that leave the machine or look up a name, files written below the home folder)."""
        dropped = {*SILENCING, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HYBRIDSTORE_CACHE"}
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        log = self.folder / "calls"
        # In a network namespace of its own nothing can be reached, wherever such a thing is allowed.
        apart = ["unshare", "--map-root-user", "--net"] if alone and _can_unshare() else []
        strace = [STRACE, "-f", "-qq", "--seccomp-bpf", "-s", "64", "-e", "trace=%network,openat", "-o", str(log)]
        ran = subprocess.run(
            [*apart, *strace, sys.executable, *map(str, arguments)],
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment | {"HOME": str(self.home)},
        )
        assert ran.returncode in codes, ran.stderr
        self.calls = calls = log.read_text(errors="replace").splitlines()
        assert len(calls) > 50  # it was watched
        network = [call for call in calls if LEAVING.search(call) and not LOCAL.search(call)]
        looked = [call for call in calls if LOOK_UP.search(call) and "ENOENT" not in call]
        files = [str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file()]
        return network + looked, [file for file in files if not file.startswith(".cache/hybridstore/models/verified/")]


def _can_unshare():
    command = ["unshare", "--map-root-user", "--net", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def can_watch(tmp_path_factory):
    if STRACE is None:
        pytest.skip("strace is not installed, so that nothing is sent is not proved here: apt install strace")
    try:
        Watched(tmp_path_factory.mktemp("trial")).run("-c", "import json, ssl, email, http.client, sqlite3")
    except AssertionError as error:
        pytest.skip(f"strace may not trace here, so that nothing is sent is not proved: {error}")


@pytest.fixture
def watched(can_watch, tmp_path):
    return Watched(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "notes.db"
    with hs.open(path) as store:
        store.add(
            hs.Document(id=f"{what}-{when}", title=f"The {what}", text=f"During {when} the {what} is closed to all.")
            for what in WHAT
            for when in WHEN
        )
    return path


@pytest.fixture
def db(filled, tmp_path):
    return shutil.copy(filled, tmp_path / "notes.db")


COMMANDS = {
    "add": ("add", "{folder}"),
    "search": ("search", "when is the port shut"),
    "explain": ("explain", "harbour in May"),
    "remember": ("remember", "Anna moved to Rome."),
    "recall": ("recall", "Where is Anna?"),
    "check": ("check",),
    "reembed": ("reembed", "--embedder", "all-MiniLM-L6-v2"),
    "evaluate": ("evaluate", "{folder}/kitchen"),
    "harvest": ("harvest", "--labelled", "{folder}/judged.jsonl"),
    "tune": ("tune", "--labelled", "{folder}/judged.jsonl", "--most", "60", "--questions", "60", "--epochs", "1"),
    "serve": ("serve", "mcp"),
    "doctor": ("doctor",),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "search" else pytest.mark.thorough) for name in COMMANDS]
)
def test_a_command_sends_nothing_looks_up_nothing_and_leaves_no_file_in_the_home(name, watched, db, tmp_path):
    folder = tmp_path / "text"
    (folder / "kitchen" / "qrels").mkdir(parents=True)
    (folder / "kitchen" / "corpus.jsonl").write_text('{"_id": "d", "title": "", "text": "The ferry leaves at noon."}\n')
    (folder / "kitchen" / "queries.jsonl").write_text('{"_id": "q", "text": "when does the boat leave"}\n')
    (folder / "kitchen" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    judged = ({"query": f"{what} {when}", "document": f"{what}-{when}"} for what in WHAT for when in WHEN)
    (folder / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in judged))
    arguments = [argument.format(folder=folder) for argument in COMMANDS[name]]
    text = f"{INITIALIZE}\n" if name == "serve" else ""
    assert watched.run("-m", "hybridstore", "--db", db, *arguments, text=text) == ([], [])


SERVED = """
import os, socket, sys, threading, time, urllib.request
from hybridstore.memory import Memory
from hybridstore.serving.mcp_server import serve
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
def client():
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
               "Authorization": "Bearer a-token-of-some-length"}
    call = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", '
    call += b'"params": {"name": "recall", "arguments": {"query": "x"}}}'
    request = urllib.request.Request(f"http://127.0.0.1:{port}/mcp", call, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(300):
        time.sleep(0.2)
        try:
            answer = opener.open(request, timeout=60).read()
        except urllib.error.URLError:
            continue
        os._exit(0 if b"result" in answer else 1)
    os._exit(2)
threading.Thread(target=client).start()
serve(Memory(sys.argv[1]), transport="http", port=port, token="a-token-of-some-length")
"""


PAGE = """
import os, socket, sys, threading, time, urllib.request
from hybridstore.memory import Memory
from hybridstore.serving.http import serve
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
def client():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(300):
        time.sleep(0.2)
        try:
            answers = [opener.open(f"http://127.0.0.1:{port}{path}", timeout=60).read()
                       for path in ("/?q=ferry", "/api/search?q=ferry", "/api/stats")]
        except urllib.error.URLError:
            continue
        os._exit(0 if all(answers) else 1)
    os._exit(2)
threading.Thread(target=client).start()
serve(Memory(sys.argv[1]), port=port)
"""


@pytest.mark.thorough
def test_serving_a_page_sends_nothing(watched, db):
    pytest.importorskip("fastapi", reason="the server needs it: pip install 'hybridstore[serve]'")
    assert watched.run("-c", PAGE, db, alone=False) == ([], [])


@pytest.mark.thorough
def test_serving_over_http_sends_nothing(watched, db):
    pytest.importorskip("mcp", reason="the server is made with the MCP SDK: pip install 'hybridstore[mcp]'")
    # A new namespace's loopback is down, so this one is watched in the usual one.
    assert watched.run("-c", SERVED, db, alone=False) == ([], [])


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("langchain", "langchain_core"),
        ("langgraph", "langgraph"),
        ("llamaindex", "llama_index.core"),
        ("haystack", "haystack"),
        ("anthropic", "anthropic"),
        ("openai", "hybridstore"),
        ("mteb", "hybridstore"),
    ],
)
@pytest.mark.thorough
def test_importing_an_integration_sends_nothing_and_writes_nothing(module, package, watched):
    pytest.importorskip(package, reason=f"hybridstore[{module}]")
    network, files = watched.run("-c", f"import hybridstore.integrations.{module}")
    # Some HTTP clients try whether this machine has IPv6, by a port of its own.
    assert (network, files) == ([], [])


def test_what_is_sent_and_written_is_seen(watched):
    """The other tests can fail: a look-up is seen, and the runtime's telemetry where it is on."""
    network, _ = watched.run("-c", "import socket\ntry: socket.getaddrinfo('a.example', 80)\nexcept OSError: pass")
    assert network
    _, files = watched.run("-c", "import onnxruntime")
    from importlib.metadata import version

    if tuple(map(int, version("onnxruntime").split(".")[:2])) >= (1, 29) and sys.platform == "linux":
        assert any("onnxruntime" in file for file in files)


def test_a_runtime_that_the_program_imported_first_is_reported(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in SILENCING}
    command = "import {first}, sys\nfrom hybridstore.cli import main\nsys.argv[1:] = ['doctor', '--json']\nmain()"
    said = {}
    for first in ("onnxruntime", "hybridstore, onnxruntime"):
        ran = subprocess.run(
            [sys.executable, "-c", command.format(first=first)],
            capture_output=True,
            text=True,
            check=False,
            env=environment | {"HOME": str(tmp_path)},
        )
        said[first] = next(finding for finding in json.loads(ran.stdout) if finding["what"] == "telemetry")
    assert said["hybridstore, onnxruntime"]["ok"] is True
    assert said["onnxruntime"]["ok"] is None
    assert "ORT_DISABLE_TELEMETRY=1" in said["onnxruntime"]["remedy"]


RST = """
.. include:: {secret}

.. raw:: html
   :file: {secret}

.. raw:: html
   :url: http://198.51.100.1/x

.. csv-table:: t
   :url: http://198.51.100.1/x

.. csv-table:: t
   :file: {secret}

.. literalinclude:: {secret}

.. image:: http://198.51.100.1/x
"""
HTML = """<!DOCTYPE html [<!ENTITY x SYSTEM "file://{secret}">]><link rel=stylesheet href=http://198.51.100.1/a>
<p>&x; hello<img src=http://198.51.100.1/a><iframe src="file://{secret}"></iframe><script src="file://{secret}"></script>"""
ENTITIES = '<!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}"><!ENTITY y SYSTEM "http://198.51.100.1/e">]>'
RELATIONS = """
<Relationship Id="rIdX" Type="{type}/attachedTemplate" Target="http://198.51.100.1/t" TargetMode="External"/>
<Relationship Id="rIdY" Type="{type}/subDocument" Target="file://{secret}" TargetMode="External"/></Relationships>"""


def word_file(secret):
    """Return a Word file with external entities and relationships."""
    docx = pytest.importorskip("docx", reason="python-docx comes with the extra `files`")
    plain, hostile = io.BytesIO(), io.BytesIO()
    document = docx.Document()
    document.add_paragraph("hello ENTITY")
    document.save(plain)
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(hostile, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            if name == "word/document.xml":
                text = text.replace(b"?>", b"?>" + ENTITIES.format(secret=secret).encode(), 1)
                text = text.replace(b"ENTITY<", b"&x; &y;<")
            if name == "word/_rels/document.xml.rels":
                text = text.replace(b"</Relationships>", RELATIONS.format(type=kind, secret=secret).encode())
            target.writestr(name, text)
    return hostile.getvalue()


@pytest.mark.parametrize("kind", ["rst", "html", "docx"])
def test_a_document_makes_its_reader_open_no_other_file_and_no_address(kind, watched, tmp_path):
    secret = tmp_path / "secret-of-another"
    secret.write_text("TOPSECRET")
    content = word_file(secret) if kind == "docx" else {"rst": RST, "html": HTML}[kind].format(secret=secret).encode()
    (tmp_path / f"evil.{kind}").write_bytes(b"hello\n" + content if kind == "rst" else content)
    db = tmp_path / "evil.db"
    command = ("-m", "hybridstore", "--db", db, "add", "--embedder", "none", tmp_path / f"evil.{kind}")
    assert watched.run(*command, codes=(0, 1)) == ([], [])  # 1: the file is refused
    assert not [call for call in watched.calls if secret.name in call]
    with hs.open(db, embedder="none") as store:
        assert store.count() == (kind != "docx")
        assert not any("TOPSECRET" in document.text for document in store.documents())
