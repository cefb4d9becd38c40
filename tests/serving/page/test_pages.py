"""The store at a glance, its memory and what it learned, and the plain forms on these pages."""

import json

import pytest
from lxml import html

import hybridstore as hs
from hybridstore.memory import Memory

SCRIPT = "<script>alert(1)</script>"


def page(answer, code=200):
    assert answer.status_code == code, answer.text
    found = html.fromstring(answer.text)
    assert all(each.get("src") or each.get("type") == "application/json" for each in found.iter("script"))
    assert not [name for each in found.iter() for name in each.attrib if name.startswith("on") or name == "style"]
    return found


def texts(found, selector):
    return [" ".join(each.text_content().split()) for each in found.cssselect(selector)]


@pytest.fixture
def remembering(store):
    memory = Memory(store, ("user", "42"))
    memory.remember("Anna lives in Paris", id="home", occurred_at="2026-01-10")
    memory.remember("Anna lives in Rome", id="home", occurred_at="2026-03-01")
    memory.remember(f"Anna likes {SCRIPT}", id="likes", occurred_at="2026-02-01")
    Memory(store, ("user", "43")).remember("A secret of Berta", id="secret")
    return store


def test_the_store_is_shown_at_a_glance_and_its_map_with_a_question(client):
    found = page(client.get("/glance"))
    assert "4 documents" in texts(found, ".hs-figures")[0]
    assert "By kind" in texts(found, "h2")
    assert "what is stored is what was written" in page(client.get("/glance?check=true")).text_content()
    drawn = page(client.get("/map", params={"q": "valve"}))
    assert drawn.cssselect("hs-map svg")
    assert "The cross is “valve”" in drawn.text_content()
    assert not page(client.get("/map?part=true")).cssselect("html > head > title")
    assert page(client.get("/map", params={"q": "?"}), 422) is not None


def test_an_empty_store_has_all_pages(store, visit):
    client = visit(store)
    for path in ("/glance", "/map", "/memory", "/learning", "/memory?q=anything"):
        assert texts(page(client.get(path)), "h1")


def test_memory_shows_one_namespace_through_time(remembering, visit):
    client = visit(remembering)
    found = page(client.get("/memory"))
    assert "Anna lives in Paris" in texts(found, ".hs-facts")[0]
    assert "secret" not in found.text_content().lower()
    recalled = page(client.get("/memory", params={"q": "where does Anna live", "as_of": "2026-02-02"}))
    assert "Anna lives in Paris" in texts(recalled, "[data-note]")[0]
    recalled = page(client.get("/memory", params={"q": "where does Anna live"}))
    assert any("Rome" in text for text in texts(recalled, "[data-note]"))
    assert not any("Paris" in text for text in texts(recalled, "[data-note]"))
    wrong = page(client.get("/memory", params={"q": "Anna", "as_of": "yesterday"}))
    assert "not a time in ISO 8601" in texts(wrong, ".notice")[0]


def test_a_note_lists_its_versions(remembering, visit):
    note = Memory(remembering, ("user", "42")).get("home")
    found = page(visit(remembering).get("/document", params={"id": note.uri}))
    assert texts(found, "h1") == ["Anna lives in Rome"]
    links = [each for each in found.cssselect("aside a") if "Anna lives" in each.text_content()]
    assert [each.text_content() for each in links[:2]] == ["Anna lives in Paris", "Anna lives in Rome"]
    assert texts(page(visit(remembering).get(links[0].get("href"))), "h1") == ["Anna lives in Paris"]


def test_a_fact_is_remembered_replaces_another_and_is_forgotten_after_a_look(remembering, visit):
    client, memory = visit(remembering), Memory(remembering, ("user", "42"))
    form = {"text": "Anna lives in Oslo", "day": "2026-05-01", "replaces": "home"}
    assert texts(page(client.post("/memory/remember", data=form)), ".notice") == ["Remembered."]
    assert [note.text for note in memory.history("home")][-1] == "Anna lives in Oslo"
    assert texts(page(client.post("/memory/remember", data={"text": " "}), 422), ".notice")
    asked = page(client.post("/memory/forget", data={"id": [note.id for note in memory.notes()]}))
    assert "This would forget 4 notes" in " ".join(texts(asked, ".notice form"))
    assert memory.get("likes")
    hidden = [(each.get("name"), each.get("value")) for each in asked.cssselect(".notice form input")]
    done = page(client.post("/memory/forget", data={"id": [v for n, v in hidden if n == "id"], "dry_run": "false"}))
    assert "4 notes forgotten" in texts(done, ".notice")[0]
    assert [note.id for note in memory.notes()] == []
    assert "Choose the notes" in texts(page(client.post("/memory/forget"), 422), ".notice")[0]
    assert page(client.post("/memory/forget", data={"id": "secret"}), 422).cssselect(".notice")
    assert remembering.count() == 1


def test_versions_are_made_active_and_rolled_back(filled, version, visit):
    number = filled.learning.propose(version)
    client = visit(filled)
    assert f"{number}: adapter, candidate" in texts(page(client.get("/learning")), "option")[0]
    done = page(client.post("/learning/promote", data={"version": number}))
    assert texts(done, ".notice") == [f"Version {number} is active now."]
    assert filled.learning.model().number == number
    assert texts(page(client.post("/learning/rollback")), ".notice") == ["The plain embedder is active now."]
    assert filled.learning.model() is None
    for data in ({"version": "9"}, {"version": "x"}, {"version": "-1"}):
        assert texts(page(client.post("/learning/promote", data=data), 422), ".notice")


def test_queries_that_were_asked_are_listed_and_nothing_in_them_runs(visit, tmp_path):
    with hs.open(tmp_path / "s.db", embedder="none", log_queries=True) as store:
        store.add("A valve.")
        client = visit(store)
        client.get("/", params={"q": f"valve {SCRIPT}"})
        assert f"valve {SCRIPT}" in texts(page(client.get("/learning")), ".hs-learning th")


def test_a_server_that_changes_nothing_shows_all_and_takes_no_form(remembering, visit):
    client = visit(remembering, read_only=True)
    for path in ("/memory", "/learning"):
        assert not page(client.get(path)).cssselect("form[method=post]")
    for path in ("/memory/remember", "/memory/forget", "/learning/promote", "/learning/rollback"):
        assert client.post(path, data={"text": "x", "id": "home"}).status_code == 403


REPORT = {
    "made": "2026-03-01 10:00 UTC",
    "collection": "plant",
    "split": "test",
    "queries": 300,
    "metrics": ["ndcg@10", "mrr@10"],
    "modes": {"keyword": [0.41, 0.5], "hybrid": [0.47, 0.55]},
    "differences": [["hybrid - keyword", "ndcg@10", 0.06, 0.02, 0.1]],
    "about": {"embedder": "MiniLM"},
}


def test_evaluations_kept_beside_the_store_are_shown_with_their_intervals(tmp_path, visit):
    path = tmp_path / "s.db"
    hostile = REPORT | {"collection": SCRIPT, "about": {SCRIPT: SCRIPT}, "modes": {f'{SCRIPT}"x': [0, 0]}}
    broken = [REPORT | {"queries": "many"}, REPORT | {"differences": [[1]]}, REPORT | {"modes": 3}, [], {}, None]
    broken.append(REPORT | {"differences": [["a", "ndcg@10", float("nan"), 0, 0]]})
    with hs.open(path, embedder="none") as store:
        client = visit(store)
        assert "How well it searches" not in client.get("/learning").text
        lines = [json.dumps(each) for each in (hostile, *broken, REPORT)]
        path.with_name("s.db-evaluations").write_text("\n".join([*lines[:-1], "no JSON", lines[-1]]) + "\n")
        shown = client.get("/learning").text
    root = html.fromstring(shown)
    card = next(each for each in root.cssselect(".hs-card") if "How well it searches" in each.text_content())
    words = " ".join(card.text_content().split())
    assert "plant, test, 300 queries" in words
    assert "hybrid0.4700.550" in words
    assert "hybrid - keyword" in words
    assert card.cssselect("svg")
    assert shown.count("Measured before") == 1  # the hostile one, as text
    assert "<script>alert" not in shown
    assert "<img" not in shown


def test_a_page_says_that_nothing_is_sent_only_where_that_is_so(visit, tmp_path):
    with hs.open(tmp_path / "notes.db", embedder="none") as store:
        said = [
            page(visit(store, **options).get("/")).cssselect("footer")[0].text_content()
            for options in ({}, {"exchanges": True}, {"publishes": True})
        ]
    assert all("in one file on this machine" in sentence for sentence in said)
    assert ["Nothing is sent anywhere" in sentence for sentence in said] == [True, False, False]


def test_conflicts_are_listed_in_all_versions_and_one_is_kept(store, visit):
    client = visit(store)
    assert "Conflicts" not in texts(page(client.get("/")), "nav a")
    with hs.open(":memory:", embedder="none") as phone:
        ours, phones = Memory(store, ("user", "42")), Memory(phone, ("user", "42"))
        old = ours.remember("Anna lives in Paris").id
        Memory(store, ("user", "43")).remember("A secret of Berta", id="secret")
        phone.merge(store)
        Memory(store, ("user", "43")).remember("A secret of Berta, changed", id="secret")
        Memory(phone, ("user", "43")).remember("A secret of Berta, too", id="secret")
        store.add({"id": "plan", "text": f"At nine {SCRIPT}"})
        phone.add({"id": "plan", "text": "At ten"})
        ours.remember("Anna lives in Rome", id="rome", supersedes=old)
        phones.remember("Anna lives in Oslo", id="oslo", supersedes=old)
        store.merge(phone)
    assert "Conflicts" in texts(page(client.get("/")), "nav a")
    found = page(client.get("/conflicts"))
    assert len(found.cssselect("section")) == 2
    assert {"plan", "rome", "oslo"} <= set(texts(found, "h2"))
    assert "secret" not in found.text_content()
    ids = [each.get("value") for each in found.cssselect("input[name=id]")]
    (copy,) = [id_ for id_ in ids if id_.startswith("plan~")]
    text = store.get(copy).text
    page(client.post("/conflicts/keep", data={"id": copy}))
    found = page(client.post("/conflicts/keep", data={"id": "oslo"}))
    assert "Nothing was changed on two devices." in found.text_content()
    assert store.get("plan").text == text
    assert [note.id for note in ours.notes()] == ["oslo"]
    page(client.post("/conflicts/keep", data={"id": "plan"}), 422)
    assert "Conflicts" not in texts(page(client.get("/")), "nav a")
