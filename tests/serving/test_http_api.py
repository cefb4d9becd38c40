"""The API in one process: what each operation answers, and what it says where it cannot."""

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'hybridstore[serve]'")

from fastapi.testclient import TestClient

import hybridstore as hs
from hybridstore.memory import Memory
from hybridstore.serving.access import Names
from hybridstore.serving.http import Context, create_app

BASE = "http://127.0.0.1:8766"


@pytest.fixture
def serving(memory):
    """Make a client of the memory's server."""
    clients = []

    def start(memory=memory, **options):
        token = options.pop("token", None)
        app = create_app(Context(memory, **options), Names.of("127.0.0.1", 8766), token=token)
        clients.append(TestClient(app, base_url=BASE))
        return clients[-1].__enter__()

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serving, store):
    store.add([hs.Document(id="a/b.md", text="The red valve leaks.", title="Valves", metadata={"year": 2020})])
    store.add([hs.Document(id="c", text="The ferry leaves at noon.", metadata={"year": 2024})])
    return serving()


def test_a_search_answers_with_hits_and_a_confidence(client):
    answer = client.get("/api/search", params={"q": "red valve", "limit": 1})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    hit = body["hits"][0]
    assert (hit["document_id"], hit["text"], hit["metadata"]) == ("a/b.md", "The red valve leaks.", {"year": 2020})
    assert hit["score"] > 0
    assert [hit["text"][start:end] for start, end in hit["highlights"]] == ["red", "valve"]
    assert "confidence" in body
    assert len(body["hits"]) == 1


@pytest.mark.parametrize(
    ("where", "found"), [(["year>=2021"], {"c"}), (['{"year": 2020}'], {"a/b.md"}), (["year>0", "year<2000"], set())]
)
def test_conditions_restrict_a_search(client, where, found):
    body = client.get("/api/search", params={"q": "the valve ferry", "where": where}).json()
    assert {hit["document_id"] for hit in body["hits"]} == found


def test_one_document_or_several_are_added_and_read_again(client):
    one = client.post("/api/documents", json={"text": "One.", "id": "../one", "metadata": {"a": [1, None]}})
    assert (one.status_code, one.json()["ids"], one.json()["added"]) == (201, ["../one"], 1)
    for body in ([{"text": "Two."}, {"text": "Three."}], {"documents": [{"text": "Two."}, {"text": "Three."}]}):
        answer = client.post("/api/documents", json=body)
        assert answer.status_code == 201
        assert len(answer.json()["ids"]) == 2
    assert answer.json()["unchanged"] == 2
    read = client.get("/api/documents/..%2Fone").json()
    assert read == {"id": "../one", "text": "One.", "title": "", "uri": "", "metadata": {"a": [1, None]}} | {
        "format": "plain"
    }


def test_a_document_is_removed_by_its_id_with_slashes(client):
    assert client.delete("/api/documents/a/b.md").json() == {"removed": 1}
    answer = client.get("/api/documents/a/b.md")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_notes_of_other_namespaces_are_neither_found_read_overwritten_nor_removed(client, store):
    other = Memory(store, "other")
    note = store.get(f"memory://other/{other.remember('The red secret is 7.').id}")
    assert client.get("/api/search", params={"q": "red secret"}).json()["hits"][0]["document_id"] == "a/b.md"
    assert client.get(f"/api/documents/{note.id}").status_code == 404
    assert client.delete(f"/api/documents/{note.id}").status_code == 404
    refused = client.post("/api/documents", json={"text": "Mine.", "id": note.id})
    assert (refused.status_code, store.get(note.id).text) == (422, "The red secret is 7.")


def test_an_answer_is_not_sent_again_until_something_is_written(client, memory):
    first = client.get("/api/search", params={"q": "valve"})
    again = {"If-None-Match": first.headers["etag"]}
    assert client.get("/api/search", params={"q": "valve"}, headers=again).status_code == 304
    memory.remember("The valve is green.")
    second = client.get("/api/search", params={"q": "valve"}, headers=again)
    assert second.status_code == 200
    assert second.headers["etag"] != first.headers["etag"]


def test_where_a_note_ends_by_itself_an_answer_is_made_anew(client, memory):
    memory.remember("The valve is green.", ttl=3600)
    assert "etag" not in client.get("/api/search", params={"q": "valve"}).headers


@pytest.mark.parametrize(
    ("request_", "options", "status", "detail"),
    [
        ("GET /api/search", {"params": {"q": "?!"}}, 422, "no words"),
        ("GET /api/search", {}, 422, "q: field required"),
        ("GET /api/search", {"params": {"q": "a", "top_k": 3}}, 422, "top_k"),
        ("GET /api/search", {"params": {"q": "a", "limit": 0}}, 422, "limit"),
        ("GET /api/search", {"params": {"q": "a", "where": "year"}}, 422, "comparison"),
        ("GET /api/nothing", {}, 404, "Not Found"),
        ("PUT /api/search", {}, 405, "Not Allowed"),
        ("POST /api/documents", {"content": b"{"}, 422, "JSON"),
        ("POST /api/documents", {"json": {"text": " "}}, 422, "empty text"),
        ("POST /api/documents", {"json": {"text": "a", "id": ""}}, 422, "id must not be empty"),
        ("POST /api/documents", {"json": {}}, 422, "text: field required"),
        ("POST /api/documents", {"json": [{"text": "a", "name": "b"}]}, 422, "0.name: extra"),
        ("POST /api/documents", {"content": b'{"text": "\\ud800"}'}, 422, "surrogate"),
        ("POST /api/documents", {"json": {"text": "a" * (5 << 20)}}, 413, "at most 4 MiB"),
    ],
)
def test_errors_are_problems_with_a_remedy(client, request_, options, status, detail):
    if "content" in options:
        options["headers"] = {"Content-Type": "application/json"}
    answer = client.request(*request_.split(), **options)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert detail in body["detail"]
    assert body["remedy"]


def test_a_read_only_server_changes_nothing(client, serving, store):
    reading = serving(read_only=True)
    assert reading.post("/api/documents", json={"text": "a"}).status_code == 403
    assert reading.delete("/api/documents/c").status_code == 403
    assert reading.get("/api/health").json()["read_only"] is True
    assert store.count() == 2
