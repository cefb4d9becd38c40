"""The page of a document, and hostile text on every page."""

import pytest
from lxml import html

import hybridstore as hs
from hybridstore.memory import Memory
from hybridstore.serving.page.rendering import web_link

HOSTILE = "hostile \"><img src=x onerror=alert(1)>'"


def page(client, path, **parameters):
    answer = client.get(path, params=parameters or None)
    assert answer.status_code == 200, answer.text
    return html.fromstring(answer.text)


def test_the_whole_text_is_shown_with_the_passage_in_its_place(visit, store):
    parts = [f"Paragraph {n} about the valve. " + "It goes on and on. " * 60 for n in range(6)]
    store.add(hs.Document(id="long", title="Long", text="\n\n".join(parts)))
    stored = store.stored("long")
    assert len(stored.chunks) > 3
    chunks = store.chunks.of(["long"])["long"]
    found = page(visit(store), "/document", id="long", chunk=chunks[2], q="valve")
    assert found.cssselect(".text")[0].text_content() == stored.document.text
    shown = stored.chunks[2]
    assert found.cssselect("#passage")[0].text_content().rstrip() == stored.document.text[shown.start : shown.end]
    assert {each.text_content() for each in found.cssselect(".text mark")} == {"valve"}
    around = [each.get("href") for each in found.cssselect(".steps a")]
    assert [f"chunk={chunk}" in link for chunk, link in zip((chunks[1], chunks[3]), around, strict=True)] == [True] * 2
    assert len(found.cssselect(".outline li")) == len(chunks)
    assert "Results for" in found.cssselect(".back")[0].text_content()


def test_a_very_long_text_is_shown_around_the_passage(visit):
    with hs.open(":memory:", embedder="none") as store:
        store.add(hs.Document(id="book", text="\n".join(f"Line {n} of a book." for n in range(12_000))))
        chunk = store.chunks.of(["book"])["book"][-1]
        found = page(visit(store), "/document", id="book", chunk=chunk)
    assert "Line 11999 of a book" in found.cssselect("#passage")[0].text_content()
    assert "long text" in found.cssselect(".notice")[0].text_content()


def test_pages_of_a_paper_are_named(visit, store):
    store.add(hs.Document(id="a.pdf", text="First page.\fSecond page.\fThird.", metadata={"type": "pdf"}))
    found = page(visit(store), "/document", id="a.pdf")
    assert [each.text_content() for each in found.cssselect(".pagebreak")] == ["p. 2", "p. 3"]


def test_headings_of_markdown_are_shown_as_headings_and_marks_in_code_stay(visit, store):
    text = "# The valve\n\nIt leaks.\n\n```sh\n# not a heading\n```\n\n###### Service *now*\n#tag\n"
    store.add(hs.Document(id="a.md", text=text, format="markdown"))
    found = page(visit(store), "/document", id="a.md", q="valve")
    assert [each.text_content() for each in found.cssselect(".heading")] == ["The ", "valve", "Service *now*"]
    shown = text.replace("# The", "The").replace("###### ", "")
    assert found.cssselect(".text")[0].text_content().split() == shown.split()
    store.add(hs.Document(id="plain", text="# The valve"))
    assert page(visit(store), "/document", id="plain").cssselect(".text")[0].text_content() == "# The valve"


def test_what_is_like_it_is_listed(client):
    found = page(client, "/document", id="/notes/plant/valve.md")
    assert "Pump P-101" in [each.text_content() for each in found.cssselect("aside .row > a")]


def test_a_document_that_is_not_there_or_belongs_to_others_is_not_found(filled, visit):
    client = visit(filled)
    Memory(filled, ("user", "43")).remember("a secret", id="s")
    Memory(filled, ("user", "42")).remember("my own note", id="mine")
    for name in ("nothing", "memory://user%2F43/s", "", "\0"):
        answer = client.get("/document", params={"id": name})
        assert answer.status_code in (404, 422)
        assert "a secret" not in answer.text
    assert "my own note" in client.get("/document", params={"id": "memory://user%2F42/mine"}).text
    assert "a secret" not in client.get("/", params={"q": "secret"}).text


@pytest.mark.parametrize("path", ["/", "/?q=valve", f"/?q={HOSTILE}", "/?q=valve&f.team=<script>alert(1)</script>"])
def test_stored_text_stays_text(client, path):
    answer = client.get(path)
    found = html.fromstring(answer.text)
    assert all(script.get("src", "").startswith("/static/") for script in found.iter("script"))
    assert not list(found.iter("img"))
    assert not [name for each in found.iter() for name in each.attrib if name.startswith("on") or name == "style"]
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_stored_text_stays_text_on_its_own_page(client):
    found = page(client, "/document", id=HOSTILE, q="valve")
    assert found.cssselect("h1")[0].text_content() == "Hostile <script>alert('stored')</script>"
    assert not list(found.iter("img"))
    links = [each.get("href") for each in found.iter("a")]
    assert not [link for link in links if link.startswith("javascript")]
    assert "javascript:alert(1)" in found.text_content()
    assert 'href="https://example.org/handbook"' in client.get("/document", params={"id": "web"}).text


@pytest.mark.parametrize(
    "uri",
    ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "//evil", "http:", "http://[", "file:///etc"],
)
def test_only_addresses_of_the_web_are_links(uri):
    assert web_link(uri) is None
    assert web_link("https://example.org/a") == "https://example.org/a"


def test_text_that_html_cannot_hold_is_replaced(visit, store):
    store.add(hs.Document(id="odd", title="null \0 here", text="bell \7 valve \x85 end"))
    answer = visit(store).get("/document", params={"id": "odd"})
    assert "bell \ufffd valve" in answer.text
    assert "\0" not in answer.text
