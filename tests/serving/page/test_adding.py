"""Adding from the page, as plain forms."""

import pytest
from lxml import html

from hybridstore.serving.http.guard import LONGEST_BODY


def status(answer, code=200):
    assert answer.status_code == code, answer.text
    return " ".join(html.fromstring(answer.text).cssselect(".notice")[0].text_content().split())


def test_files_are_read_and_what_was_not_is_named(visit, store):
    client = visit(store)
    files = [
        ("files", ("notes/a.md", b"# A\n\nAbout glaciers.")),
        ("files", ("b.pdf", b"%PDF broken")),
        ("files", ("<img src=x>.txt", b"A hostile name.")),
    ]
    said = status(client.post("/add", files=files))
    assert said.startswith("Done: 2 files read, 2 documents added.")
    assert "b.pdf:" in said
    assert sorted(store.ids()) == ["<img src=x>.txt", "notes/a.md"]
    assert "<img" not in client.get("/").text


def test_a_file_of_more_than_other_forms_may_have_is_read(visit, store):
    whole = b"A glacier moves. " * 300_000
    assert len(whole) > LONGEST_BODY
    assert status(visit(store).post("/add", files=[("files", ("log.txt", whole))])).startswith("Done: 1 file read")
    assert sum(len(store.get(id_).text) for id_ in store.ids()) >= len(whole) - 3  # it is in parts


def test_a_text_is_added_and_found(visit, store):
    client = visit(store)
    said = status(client.post("/add", data={"title": "Ice", "text": "About glaciers. <script>"}))
    assert said == "Done: 1 document added. Search"
    assert "Ice" in client.get("/?q=glaciers").text


@pytest.mark.parametrize("data", [{}, {"text": "  "}, {"title": "alone"}])
def test_nothing_to_add_is_a_sentence(visit, store, data):
    assert status(visit(store).post("/add", data=data), 422) == "Choose files, or write a text."


def test_a_server_that_changes_nothing_offers_no_form_and_takes_none(filled, visit):
    client = visit(filled, read_only=True)
    assert 'href="/add"' not in client.get("/").text
    assert "<form" not in client.get("/add").text
    assert client.post("/add", data={"text": "new"}).status_code == 403
    assert len(filled.ids()) == 4


def test_forms_of_other_pages_are_refused(visit, store):
    client = visit(store)
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert client.post("/add", data={"text": "planted"}, headers=headers).status_code == 403
    assert store.count() == 0
