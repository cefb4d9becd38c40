"""The API in one process: what each operation answers, and what it says where it cannot."""

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs it: pip install 'hybridstore[serve]'")

from fastapi.testclient import TestClient

import hybridstore as hs
from hybridstore.backends.learning import ModelVersion
from hybridstore.memory import Memory
from hybridstore.serving.http import Context, create_app, ingest_routes
from hybridstore.serving.http.context import WRITERS
from hybridstore.serving.http_access import Names

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
    assert body["answered"] in {True, False, None}
    assert len(body["hits"]) == 1
    assert client.get("/api/search", params={"q": "red valve", "max_error": 1}).status_code == 422


@pytest.mark.parametrize(
    ("where", "found"), [(["year>=2021"], {"c"}), (['{"year": 2020}'], {"a/b.md"}), (["year>0", "year<2000"], set())]
)
def test_conditions_restrict_a_search(client, where, found):
    body = client.get("/api/search", params={"q": "the valve ferry", "where": where}).json()
    assert {hit["document_id"] for hit in body["hits"]} == found


def test_a_structured_query_is_judged_and_explained(client, store):
    store.add([hs.Document(id="sun", text="solar power"), hs.Document(id="cell", text="solar power, a lithium cell")])
    query = {"q": 'solar power & ~"lithium"', "syntax": "algebra", "limit": 1}
    found = client.get("/api/search", params=query).json()
    assert [hit["document_id"] for hit in found["hits"]] == ["sun"]
    explained = client.get("/api/explain", params=query | {"norm": "godel"}).json()
    assert explained["trace"]["truths"]["norm"] == "godel"
    assert any("~" in line["text"] for line in explained["lines"])
    refused = client.get("/api/search", params=query | {"q": "solar & (power"})
    assert (refused.status_code, "never closed" in refused.json()["detail"]) == (422, True)


def test_passages_are_followed_and_the_path_is_told(client, store):
    store.add([hs.Document(id="lamp", text="The Larkfield lamp is made by Tolvanen Works.")])
    store.add([hs.Document(id="firm", text="Tolvanen Works was founded by Aino Rask.")])
    found = client.get("/api/search", params={"q": "who founded the maker of the Larkfield lamp", "hops": 2}).json()
    assert (found["path"][0]["document_id"], found["path"][0]["number"]) == ("lamp", 2)
    assert "Tolvanen Works" in found["path"][0]["query"]
    assert client.get("/api/search", params={"q": "lamp"}).json()["path"] == []


def test_a_caller_passes_other_words_and_a_server_asks_its_model(serving, memory, store):
    store.add([hs.Document(id="valve", text="The gasket wears out.")])
    client = serving(rewrite=hs.Rewrite(lambda _: "gasket"))
    found = client.get("/api/search", params={"q": "swap what", "keywords": "gasket", "answer": "a gasket"}).json()
    assert [text["kind"] for text in found["rewriting"]["texts"]] == ["keywords", "answer"]
    asked = client.get("/api/search", params={"q": "swap what", "rewrite": True}).json()
    assert (asked["rewriting"]["asked"], asked["hits"][0]["document_id"]) == (True, "valve")
    counts = client.get("/api/stats").json()["rewriting"]
    assert (counts["searches"], counts["asked"], counts["saved"]) == (1, 1, 0)
    assert any(
        "Rewrites" in line["text"]
        for line in client.get("/api/explain", params={"q": "swap what", "rewrite": True}).json()["lines"]
    )
    plain = serving()
    assert plain.get("/api/search", params={"q": "swap what"}).json()["rewriting"] is None
    refused = plain.get("/api/search", params={"q": "swap what", "rewrite": True})
    assert (refused.status_code, "--rewrite URL" in refused.text) == (422, True)


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
        ("POST /api/documents", {"data": {"text": "a"}}, 422, "not a JSON object"),
        ("POST /api/memory", {}, 422, "not a JSON object"),
        ("POST /api/ingest", {}, 422, "files: field required"),
        ("POST /api/ingest", {"data": {"a": "b"}}, 422, "files: field required"),
        ("POST /api/documents", {"json": None}, 422, "not a JSON object"),
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


def test_documents_are_listed_the_newest_first_a_part_at_a_time(client, store):
    store.add([hs.Document(id=f"d{n}", text=f"Number {n}.", metadata={"year": 1900 + n}) for n in range(3)])
    Memory(store, "other").remember("Not a document.")
    pages, offset = [], 0
    while offset is not None:
        page = client.get("/api/documents", params={"limit": 2, "offset": offset}).json()
        pages.append([document["id"] for document in page["documents"]])
        offset = page["next"]
        assert page["total"] == 5
    assert pages == [["d2", "d1"], ["d0", "c"], ["a/b.md"]]
    few = client.get("/api/documents", params={"where": "year<1902"}).json()["documents"]
    assert [(each["id"], each["beginning"], each["characters"]) for each in few] == [
        ("d1", "Number 1.", 9),
        ("d0", "Number 0.", 9),
    ]


def test_documents_are_removed_by_ids_or_by_a_filter_after_a_dry_run(client, store):
    Memory(store, "other").remember("Stays.")
    body = {"where": {"year": {"$gte": 2020}}, "dry_run": True}
    assert client.post("/api/documents/remove", json=body).json() == {"removed": 2}
    assert client.post("/api/documents/remove", json={"ids": ["c", "c", "nothing"]}).json() == {"removed": 1}
    everything = {"where": {"$or": [{"year": {"$exists": True}}, {"year": {"$exists": False}}]}}
    assert client.post("/api/documents/remove", json=everything).json() == {"removed": 1}
    assert store.count() == 1
    for wrong in ({}, {"ids": []}, {"ids": ["c"], "where": {"a": 1}}, {"where": {"a": {"$no": 1}}}):
        assert client.post("/api/documents/remove", json=wrong).status_code == 422


def test_a_purge_says_whether_the_file_is_clean(serving, tmp_path):
    with hs.open(tmp_path / "s.db", embedder="none") as store:
        store.add([hs.Document(id="a", text="The word xylograph is secret here."), "Another document."])
        client = serving(Memory(store))
        report = client.post("/api/documents/purge", json={"ids": ["a"]}).json()
        assert (report["documents"], report["clean"]) == (1, True)
        assert client.get("/api/check").json() == []
    assert b"xylograph" not in (tmp_path / "s.db").read_bytes()


def test_an_explanation_has_lines_for_people_and_the_whole_trace(client):
    body = client.get("/api/explain", params={"q": "red valve", "expect": "c"}).json()
    assert body["lines"][0] == {"text": "Query: red valve", "kind": "query"}
    assert body["trace"]["hits"][0]["document_id"] == "a/b.md"
    assert any(line["kind"] == "expected" for line in body["lines"])
    assert client.get("/api/explain", params={"q": "red", "expect": "nothing"}).status_code == 404


def test_an_explanation_of_a_document_that_is_not_visible_is_that_of_one_that_is_not_there(client, store):
    other = Memory(store, "other")
    uri = f"memory://other/{other.remember('Red.').id}"
    refused = client.get("/api/explain", params={"q": "red", "expect": uri})
    assert (refused.status_code, "there is no note or document" in refused.json()["detail"]) == (404, True)


def test_the_evidence_of_the_candidates_makes_their_scores(client):
    body = client.get("/api/evidence", params={"q": "red valve"}).json()
    first = body["candidates"][0]
    assert (first["document_id"], first["fused_rank"], first["keyword_rank"]) == ("a/b.md", 1, 1)
    assert first["keyword"] > 0
    assert 0 < first["coverage"] <= 1
    assert len(body["weights"]) == 2
    single = client.get("/api/evidence", params={"q": "red valve", "mode": "keyword"}).json()["candidates"]
    assert [each["vector_rank"] for each in single] == [None]


def test_words_are_completed_and_corrected_from_what_is_visible(client, store):
    Memory(store, "other").remember("A valkyrie.")
    assert client.get("/api/suggestions", params={"q": "the val"}).json()["queries"] == ["the valve", "the valves"]
    assert client.get("/api/suggestions", params={"q": "valfe leaks"}).json()["corrected"] == "valve leaks"
    assert client.get("/api/suggestions", params={"q": "?"}).json() == {"queries": [], "corrected": None}


def test_facets_count_the_values_of_what_passes_a_filter(client, store):
    store.add(hs.Document(text="a", metadata={"year": 2024, "tags": ["x", "y", "x"], "by": {"n.n": True}, "@odd": "z"}))
    Memory(store, "other").remember("b", metadata={"secret": 1})
    body = client.get("/api/facets").json()
    facets = {facet["name"]: facet for facet in body["facets"]}
    assert body["documents"] == 3
    assert set(facets) == {"year", "tags", "by.n\\.n", "\\@odd"}
    year = facets["year"]
    assert (year["kind"], year["documents"], year["min"], year["max"]) == ("number", 3, 2020, 2024)
    assert year["values"] == [{"value": 2024, "documents": 2}, {"value": 2020, "documents": 1}]
    assert [value["value"] for value in facets["tags"]["values"]] == ["x", "y"]
    for name, value in (("by.n\\.n", "true"), ("\\@odd", "z")):
        assert client.get("/api/documents", params={"where": f"{name}={value}"}).json()["total"] == 1
    assert client.get("/api/facets", params={"where": "year<2021"}).json()["documents"] == 1


def test_what_held_is_recalled_and_forgotten_with_its_history(client):
    first = client.post("/api/memory", json={"text": "Anna lives in Bonn.", "occurred_at": "2026-01-01T00:00:00Z"})
    assert (first.status_code, first.json()["status"]) == (201, "added")
    moved = {"text": "Anna lives in Kiel.", "occurred_at": "2026-03-01T00:00:00Z", "supersedes": [first.json()["id"]]}
    second = client.post("/api/memory", json=moved).json()
    assert second["status"] == "superseded"
    texts = [note["text"] for note in client.get("/api/memory").json()["notes"]]
    assert texts == ["Anna lives in Kiel."]
    then = {"as_of": "2026-02-01T00:00:00Z"}
    assert client.get("/api/memory", params=then).json()["notes"][0]["text"] == "Anna lives in Bonn."
    recalled = client.get("/api/memory/recall", params={"q": "where does Anna live?"} | then).json()
    assert [item["note"]["text"] for item in recalled["items"]] == ["Anna lives in Bonn."]
    assert "Bonn" in recalled["text"]
    history = client.get("/api/memory/history", params={"id": second["id"]}).json()
    assert [note["text"] for note in history] == ["Anna lives in Bonn.", "Anna lives in Kiel."]
    assert client.get("/api/memory/note", params={"id": second["id"]}).json()["supersedes"] == [first.json()["id"]]
    target = {"ids": [second["id"]]}
    assert len(client.post("/api/memory/forget", json=target).json()["notes"]) == 2
    assert client.get("/api/memory").json()["total"] == 1
    assert len(client.post("/api/memory/forget", json=target | {"dry_run": False}).json()["notes"]) == 2
    assert client.get("/api/memory").json() == {"notes": [], "total": 0, "next": None}


def test_a_conversation_is_remembered(client):
    messages = [{"role": "user", "content": "I moved to Kiel."}, {"role": "assistant", "content": "Noted."}]
    body = client.post("/api/memory", json={"messages": messages, "session": "chat/7"}).json()
    assert body["added"] == 2
    assert client.get("/api/memory", params={"session": "chat/7"}).json()["total"] == 2
    assert client.get("/api/memory/note", params={"id": body["ids"][0]}).json()["text"] == "I moved to Kiel."


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("memory", {}, "either a text or messages"),
        ("memory", {"text": "a", "messages": [{"role": "user", "content": "b"}]}, "either a text or messages"),
        ("memory", {"text": "a", "ttl": 0}, "ttl"),
        ("memory", {"messages": [{"nothing": 1}], "session": ""}, "session"),
        ("memory/forget", {}, "by ids or by a filter"),
        ("memory/forget", {"where": {"a": {"$no": 1}}}, "unknown operator"),
        ("models/promote", {"number": None, "forced": True}, "forced"),
        ("feedback", {"query": "a", "chunk_id": -1}, "chunk_id"),
    ],
)
def test_bodies_that_cannot_be_used_are_problems(client, path, body, detail):
    answer = client.post(f"/api/{path}", json=body)
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_versions_are_listed_promoted_and_rolled_back(client, store):
    proposed = ModelVersion(
        kind="adapter", source="x@1", target=store.embeddings.active.fingerprint, reference="x", report={"n": 1}
    )
    store.learning.propose(proposed)
    listed = client.get("/api/models").json()
    assert (listed["active"], listed["versions"][0]["report"]) == (None, {"n": 1})
    refused = store.learning.propose(replace(proposed, state="refused"))
    assert "refused by the gate" in client.post("/api/models/promote", json={"number": refused}).json()["detail"]
    assert client.post("/api/models/promote", json={"number": 7}).status_code == 404
    assert client.post("/api/models/rollback").status_code == 422


def test_what_is_expected_is_kept_tested_and_dropped(client, memory, store):
    new = {"query": "red valve", "document_id": "a/b.md"}
    kept = client.post("/api/expectations", json=new)
    assert (kept.status_code, kept.json()["rank"], kept.json()["holds"]) == (201, 1, True)
    assert client.post("/api/expectations", json=new | {"document_id": "nowhere"}).status_code == 404
    assert client.post("/api/expectations", json=new | {"query": " "}).status_code == 422
    assert client.post("/api/expectations", json=new | {"within": 0}).status_code == 422
    before = set(store.ids())
    memory.remember("The red valve.")
    (note,) = set(store.ids()) - before
    store.expect("red valve", note)  # a note, which the API for documents does not show
    assert [each["document_id"] for each in client.get("/api/expectations").json()["expectations"]] == ["a/b.md"]
    assert client.get("/api/expectations/test").json()["failed"] == 0
    store.remove("a/b.md")
    (failed,) = client.get("/api/expectations/test").json()["results"]
    assert (failed["holds"], failed["stored"], failed["rank"]) == (False, False, None)
    where = {"q": "red valve", "document_id": "a/b.md"}
    assert [client.delete("/api/expectations", params=where).json()["dropped"] for _ in range(2)] == [True, False]


def test_questions_are_logged_if_wanted_listed_and_removed(serving, tmp_path):
    with hs.open(tmp_path / "s.db", embedder="none", log_queries=True) as store:
        store.add("The red valve.")
        client = serving(Memory(store))
        for log in (True, False):
            hit = client.get("/api/search", params={"q": f"red valve {log}", "log": log}).json()["hits"][0]
        feedback = {"query": "red valve", "chunk_id": hit["chunk_id"]}
        assert client.post("/api/feedback", json=feedback).status_code == 204
        assert client.post("/api/feedback", json=feedback | {"chunk_id": 99}).status_code == 404
        assert [each["query"] for each in client.get("/api/queries").json()["queries"]] == ["red valve True"]
        assert client.delete("/api/queries", params={"q": "red valve True"}).json()["removed"] == 1
        assert client.get("/api/queries").json() == {"queries": [], "total": 0}


def test_stats_count_what_is_visible(client, memory, store):
    memory.remember("A note.")
    Memory(store, "other").remember("Hidden.")
    body = client.get("/api/stats").json()
    assert (body["documents"], body["notes"], body["without_vectors"]) == (2, 1, 0)
    assert body["file"]["embedding"]["dim"] > 0
    assert body["name"]


def test_openai_s_search_has_its_shape(client, store):
    other = Memory(store, "other")
    other.remember("The red valve is secret.")
    body = {"query": ["red valve"], "max_num_results": 5, "filters": {"type": "eq", "key": "year", "value": 2020}}
    answer = client.post("/api/v1/vector_stores/any/search", json=body).json()
    assert answer["object"] == "vector_store.search_results.page"
    assert [(each["file_id"], each["attributes"]) for each in answer["data"]] == [("a/b.md", {"year": 2020})]
    assert client.post("/api/v1/vector_stores/any/search", json={"query": []}).status_code == 422


def test_files_are_read_under_their_own_names_and_what_cannot_be_is_named(client, store):
    files = [
        ("files", ("notes/pump.md", b"# Pump\n\nThe pump hums.", "text/markdown")),
        ("files", ("notes/rows.csv", b"name,colour\nvalve,red\npump,blue\n", "text/csv")),
        ("files", ("../../etc/passwd", b"root", "text/plain")),
        ("files", (".hidden", b"hidden", "text/plain")),
        ("files", ("picture.bin", bytes(range(256)), "image/png")),
        ("files", ("n" * 300 + ".txt", b"long", "text/plain")),
    ]
    body = client.post("/api/ingest", files=files).json()
    assert (body["files"], body["files_total"], body["added"]) == (6, 6, 3)
    assert len(body["failed"]) == 4
    assert all("/tmp" not in failure["reason"] for failure in body["failed"])  # noqa: S108 - not a path that is used
    document = client.get("/api/documents/notes/pump.md").json()
    assert (document["uri"], document["metadata"]["path"]) == ("notes/pump.md", "notes/pump.md")
    fewer = [("files", ("notes/rows.csv", b"name,colour\nvalve,red\n", "text/csv"))]
    assert client.post("/api/ingest", files=fewer).json()["removed"] == 1
    assert [id_ for id_ in store.ids() if "csv" in id_] == ["notes/rows.csv#row=1"]


def test_the_progress_of_files_is_sent_as_events(client):
    files = [("files", (f"{n}.txt", f"Text {n}.", "text/plain")) for n in range(3)]
    with client.stream("POST", "/api/ingest/stream", files=files) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line.removeprefix("event: ") for line in answer.iter_lines() if line.startswith("event: ")]
    assert events == ["progress", "progress", "done"]
    assert client.get("/api/documents/2.txt").json()["text"] == "Text 2."


def events_of(client, files):
    with client.stream("POST", "/api/ingest/stream", files=files) as answer:
        lines = list(answer.iter_lines())
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    return list(zip(kinds, [json.loads(line[6:]) for line in lines if line.startswith("data: ")], strict=True))


def test_progress_within_a_large_file_is_sent_and_a_stop_keeps_what_was_read(serving, store, monkeypatch):
    monkeypatch.setattr("hybridstore.serving.http.ingest_routes._LOOK", 0.02)
    rows, client = [f"valve {n}" for n in range(30)], serving()
    context, plain = client.app.state.context, ingest_routes.read

    def slowly(path, stop_after=99):
        for number, document in enumerate(plain(path)):
            time.sleep(0.02)
            if number == stop_after:
                context.stopping.set()
            yield document

    files = [("files", ("rows.csv", "\n".join(["name", *rows]), "text/csv"))]
    monkeypatch.setattr(ingest_routes, "read", slowly)
    *within, (last, done) = events_of(client, files)
    assert (last, done["added"], done["reading"]) == ("done", 30, None)
    read = [each["reading"]["documents"] for _, each in within]
    assert len(set(read)) > 3
    assert read == sorted(read)
    assert {each["reading"]["file"] for _, each in within} == {"rows.csv"}
    store.remove(store.ids())
    monkeypatch.setattr(ingest_routes, "read", lambda path: slowly(path, 10))
    kind, stopped = events_of(client, files)[-1]
    assert (kind, "add the files again" in stopped["detail"]) == ("error", True)
    context.stopping.clear()
    monkeypatch.setattr(ingest_routes, "read", plain)
    again = client.post("/api/ingest", files=files).json()
    assert again["added"] + again["unchanged"] == 30


def test_a_saved_page_keeps_its_address_and_nothing_is_fetched(client, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", None)
    page = b"<!-- saved from url=(0026)https://example.org/valves --><title>Valves</title><p>They leak."
    body = client.post("/api/ingest", files=[("files", ("saved/page.html", page))]).json()
    assert body["added"] == 1
    document = client.get("/api/documents/saved/page.html").json()
    assert (document["uri"], document["title"]) == ("https://example.org/valves", "Valves")
    assert client.post("/api/ingest", data={"files": "http://127.0.0.1:9/"}).status_code == 422


def test_what_takes_long_is_made_once_for_each_state_of_the_store(serving, store, memory):
    context = serving().app.state.context
    made, begun = [], threading.Barrier(4)

    def make():
        made.append(context.revision())
        time.sleep(0.05)
        return made[-1]

    def ask(_):
        begun.wait(20)
        return context.cached("facets", make)

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ask, range(4))) == set(made)
    assert len(made) == 1
    store.add("The red valve leaks.")
    assert context.cached("facets", make) == made[-1] == context.revision()
    assert len(made) == 2
    for number in range(100):
        context.cached(number, lambda: None)
    assert len(context._kept) == 16
    with pytest.raises(ZeroDivisionError):
        context.cached("broken", lambda: 1 / 0)
    assert context.cached("broken", lambda: 2) == 2
    memory.remember("The ferry leaves soon.", ttl=3600)
    assert [context.cached("timed", lambda n=n: n) for n in range(2)] == [0, 1]  # it may expire at any moment


def test_neither_slow_searches_nor_a_write_keep_another_search_waiting(serving, store, monkeypatch):
    store.add("The red valve leaks.")
    client, go, entered = serving(), threading.Event(), threading.Semaphore(0)
    search, add = store.search, store.add

    def slow(query, **how):
        if query == "slow":
            entered.release()
            assert go.wait(20)
        return search(query, **how)

    def slow_add(*arguments, **how):
        entered.release()
        assert go.wait(20)
        return add(*arguments, **how)

    monkeypatch.setattr(store, "search", slow)
    monkeypatch.setattr(store, "add", slow_add)
    with ThreadPoolExecutor(10) as threads:
        slow_ones = [threads.submit(client.get, "/api/search", params={"q": "slow"}) for _ in range(3)]
        writes = [threads.submit(client.post, "/api/documents", json={"text": f"Text {n}."}) for n in range(6)]
        for _ in range(3 + WRITERS):
            assert entered.acquire(timeout=20)
        try:
            assert client.get("/api/search", params={"q": "valve"}).json()["hits"]
        finally:
            go.set()
        assert [each.result(20).status_code for each in slow_ones + writes] == [200] * 3 + [201] * 6


def test_the_reference_page_is_up_to_date():
    generator = Path(__file__).parents[3] / "docs" / "generate_http.py"
    ran = subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
