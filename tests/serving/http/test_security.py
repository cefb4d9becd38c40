"""What was tried against the server and held, page and API alike; and all operations with whatever fits their types."""

import socket

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'hybridstore[serve]'")

from fastapi.testclient import TestClient
from hypothesis import given, settings

import hybridstore as hs
from hybridstore.memory import Memory
from hybridstore.serving.http import Context, create_app
from hybridstore.serving.http_access import Names

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a server that lives for a test
SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
HOST = "127.0.0.1:8766"


@pytest.fixture
def client(memory, store):
    """A store in which every text that somebody else may have written is a script."""
    store.add(
        [
            hs.Document(
                id=f"{SCRIPT}.md",
                text=f"# {SCRIPT}\n\nvalve {SCRIPT}",
                title=SCRIPT,
                uri="javascript:alert(1)",
                metadata={SCRIPT: SCRIPT, "path": SCRIPT},
                format="markdown",
            )
        ]
    )
    memory.remember(f"valve {SCRIPT}", metadata={SCRIPT: SCRIPT}, session=SCRIPT)
    Memory(store, "other").remember("valve valhalla")
    with TestClient(create_app(Context(memory), Names.of("127.0.0.1", 8766)), base_url=f"http://{HOST}") as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?q=valve",
        "/?q=valve&part=true",
        f"/?q={SCRIPT}",
        "/why?q=valve",
        f"/document?id={SCRIPT}.md",
        f"/document?id={SCRIPT}",
        "/api/suggestions?q=val",
        "/api/search?q=valve",
        f"/api/search?q={SCRIPT}&where={SCRIPT}",
        "/api/explain?q=valve",
        "/api/evidence?q=valve",
        "/api/documents",
        f"/api/documents/{SCRIPT}",
        "/api/facets",
        "/api/memory",
        "/api/memory/recall?q=valve",
        f"/{SCRIPT}",
    ],
)
def test_a_stored_script_is_never_markup_and_notes_of_others_never_shown(client, path):
    answer = client.get(path)
    assert answer.status_code < 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "access-control-allow-origin" not in answer.headers
    assert "valhalla" not in answer.text
    if answer.headers["content-type"].startswith("text/html"):
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert 'href="javascript:' not in answer.text
    else:
        assert answer.headers["content-type"] in ("application/json", "application/problem+json")


def test_a_note_of_another_namespace_is_not_shown_by_any_name(client, store):
    hidden = next(id_ for id_ in store.ids() if id_.startswith("memory://other/"))
    for path in ("/document", "/api/memory/note", "/api/memory/history"):
        answer = client.get(path, params={"id": hidden})
        assert (answer.status_code, "valhalla" in answer.text) == (404, False)
    assert client.get("/why", params={"q": "valve", "expect": hidden}).text.count("valhalla") == 0
    assert client.post("/api/memory/forget", json={"ids": [hidden], "dry_run": False}).status_code == 404
    assert client.post("/api/documents/remove", json={"ids": [hidden]}).json() == {"removed": 0}
    assert client.post("/api/documents/purge", json={"ids": [hidden]}).status_code == 422
    assert hidden in store.ids()


def test_any_input_that_fits_its_type_is_answered_without_a_server_error(memory, store):
    schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
    store.add(["The red valve leaks.", "The ferry leaves at noon."])
    app = create_app(Context(memory), Names.of("127.0.0.1", 8766))
    tried = 0
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers={"Host": HOST})
    examples = max(settings.default.max_examples // 8, 2)
    for operation in (each.ok() for each in schema.get_all_operations()):
        if operation.path == "/api/events":  # it does not end
            continue

        @settings(max_examples=examples, database=None)
        @given(case=operation.as_strategy())
        def answered(case):
            answer = case.call(headers={"Host": HOST})
            assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.text}"

        answered()
        tried += 1
    assert tried >= 30


def raw(guarded, request):
    """Send bytes, and return all that is answered."""
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as client:
        head = f"Host: 127.0.0.1:{guarded.port}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n"
        client.sendall(request.replace(b"HEAD\r\n", head.encode()))
        parts = []
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "target",
    [
        b"/../../../../etc/passwd",
        b"/static/../../../../../etc/passwd",
        b"/static/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        b"/static/%2e%2e/%2e%2e/routes.py",
        b"/static//etc/passwd",
        b"/static/..%5c..%5croutes.py",
        b"/static/%00",
        b"/api/documents/..%2f..%2f..%2f..%2fetc%2fpasswd",
        b"/api/documents//etc/passwd",
        b"/document?id=/etc/passwd",
        b"//evil.example/",
        b"http://evil.example/",
    ],
)
def test_no_path_leads_to_a_file_or_elsewhere(guarded, target):
    answer = raw(guarded, b"GET " + target + b" HTTP/1.1\r\nHEAD\r\n\r\n")
    status = int(answer.split()[1])
    assert 400 <= status < 500
    assert b"root:" not in answer
    assert b"location:" not in answer.lower()


@pytest.mark.parametrize("target", ["/api/documents", "/api/ingest", "/api/ingest/stream"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(guarded, target, chunked):
    if chunked and "ingest" in target:
        pytest.skip("its limit is a gibibyte")
    size = (1 << 30) + 1 if "ingest" in target else (4 << 20) + 1
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = f"POST {target} HTTP/1.1\r\nHEAD\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode()
    body = b"".join(b"10000\r\n" + b" " * 0x10000 + b"\r\n" for _ in range(65)) if chunked else b""
    assert raw(guarded, head + body).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "request_",
    [
        b'POST /api/documents HTTP/1.1\r\nHEAD\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n{"text": "a"}',
        b"POST /api/documents HTTP/1.1\r\nHEAD\r\nContent-Length: 13\r\n\r\n" + b'{"text": "a"}',
        b"POST /api/ingest HTTP/1.1\r\nHEAD\r\nContent-Type: multipart/form-data\r\nContent-Length: 2\r\n\r\nab",
        b"GET /api/health HTTP/1.1\r\nHEAD\r\nHost: evil.example\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHEAD\r\nAuthorization: Bearer other-token-of-some-length\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"NOTHING\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHEAD\r\n\r\n",
        b"GET /api/events HTTP/1.1\r\nHEAD\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nOrigin: http://evil\r\n\r\n",
    ],
)
def test_requests_of_other_kinds_are_refused(guarded, request_):
    status = int(raw(guarded, request_).split()[1])
    assert 400 <= status < 500
    assert guarded.ask("/api/health", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_head_is_answered_wherever_get_is(client):
    described = [path for path, methods in client.app.openapi()["paths"].items() if "get" in methods]
    assert len(described) > 15
    for path in (*described, "/", "/why", "/document", "/glance", "/map", "/memory", "/learning", "/add"):
        headers = {"sec-fetch-site": "none"}
        got = None if path == "/api/events" else client.get(path, headers=headers)
        head = client.head(path, headers=headers)
        assert head.content == b""
        if got is not None:
            assert (head.status_code, head.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert client.head("/api/ingest").status_code == 405


FORMS = ("/add", "/memory/remember", "/memory/forget", "/learning/promote", "/learning/rollback")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{HOST}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
        {"Host": "evil.example"},
        {"Host": f"{HOST}.evil.example"},
    ],
)
def test_no_operation_that_writes_is_open_to_other_pages(client, store, headers):
    described = client.app.openapi()["paths"].items()
    writing = [(path, method) for path, methods in described for method in methods if method != "get"]
    writing += [(path, "post") for path in (*FORMS, "/command/search")]
    assert len(writing) > 15
    before = client.app.state.context.revision()
    for path, method in writing:
        for body in ({"json": {"text": "Planted."}}, {"data": {"text": "Planted."}}, {"files": {"files": b"Planted."}}):
            answer = client.request(method, path, headers=headers, **body if method == "post" else {})
            assert answer.status_code in (403, 421), (path, method)
            assert "access-control-allow-origin" not in answer.headers
    assert (
        client.options("/api/documents", headers=headers | {"Access-Control-Request-Method": "POST"}).status_code >= 400
    )
    assert client.app.state.context.revision() == before


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/health HTTP/1.1\r\nHEAD\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHEAD\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHEAD\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"GET /api/health HTTP/1.1\r\nHEAD\r\nCookie: " + b"a=b; " * 4_000 + b"\r\n\r\n",
    ],
)
def test_headers_that_are_too_large_are_refused(guarded, head):
    try:
        answer = raw(guarded, head)
    except ConnectionError:
        answer = b""  # closed before all was sent
    assert not answer or 400 <= int(answer.split()[1]) < 500
    assert guarded.ask("/api/health", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_nothing_that_is_sent_reaches_the_server_s_output(path, process):
    served = process(path)
    for target in ("/%0d%0aFORGED%1b[31m", "/api/documents/%0aFORGED", "/api/search?q=%0aFORGED%1b]0;x%07"):
        assert served.ask(target, User_Agent="FORGED")[0] in (200, 404)
    served.ask("/api/documents", {"text": "FORGED", "id": "\nFORGED\x1b[31m"})
    served.ask("/api/documents", {"text": 1, "FORGED\n": 2})
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        client.sendall(b"FORGED \x1b[31m\r\n\r\n")
        client.recv(4096)
    assert "FORGED" not in served.stop()
