"""The search page without JavaScript: results, facets, suggestions, and what a newcomer sees first."""

import pytest
from lxml import html

import hybridstore as hs
from hybridstore.serving.page.facets import Choice, facets


def page(client, path, status=200, **parameters):
    answer = client.get(path, params=parameters or None)
    assert answer.status_code == status, answer.text
    return html.fromstring(answer.text)


def titles(found):
    return [each.text_content() for each in found.cssselect(".hit h2")]


def text(found, selector):
    return [" ".join(each.text_content().split()) for each in found.cssselect(selector)]


def test_a_search_shows_each_document_once_with_its_place_and_the_words_marked(client):
    found = page(client, "/", q="valve leaks")
    assert titles(found)[0] == "Valve log"
    assert "plant/valve.md:1" in text(found, ".where")[0]
    assert {"valve", "leaks"} <= {word.lower() for word in text(found, ".hit mark")}
    assert found.cssselect("#q")[0].get("value") == "valve leaks"
    link = found.cssselect(".hit h2 a")[0].get("href")
    assert "#passage" in link
    assert page(client, link.partition("#")[0]).cssselect("#passage")


def test_an_empty_store_says_how_to_fill_it(store, visit):
    found = page(visit(store), "/")
    assert text(found, "h1") == ["Add something to search"]
    assert "hybridstore --db" in text(found, ".commands")[0]
    read_only = page(visit(store, read_only=True), "/")
    assert "--read-only" in read_only.text_content()


def test_the_first_page_says_what_is_there_and_what_was_added_last(client):
    found = page(client, "/")
    assert "4 documents" in text(found, ".lede")[0]
    assert text(found, ".row > a")[0].startswith("Hostile")
    assert {"Valve log", "Pump P-101"} <= set(text(found, ".examples a"))


def test_facets_filter_and_count_what_they_would_leave(client):
    found = page(client, "/", q="valve")
    by_name = {each.get("data-facet"): each for each in found.cssselect(".facet")}
    teams = {label.text_content().split()[0]: label for label in by_name["team"].cssselect("label")}
    assert text(teams["operations"], ".count") == ["1"]
    chosen = page(client, "/", **{"q": "valve", "f.team": "operations"})
    assert titles(chosen) == ["Valve log"]
    assert len(chosen.cssselect('[data-facet="team"] input')) == 3  # the others can still be chosen
    assert chosen.cssselect('[data-facet="team"] input[checked]')[0].get("value") == "operations"
    both = client.get("/", params=[("q", "hall"), ("f.team", "operations"), ("f.team", "maintenance")])
    assert set(titles(html.fromstring(both.text))) == {"Valve log", "Pump P-101"}
    assert titles(page(client, "/", **{"q": "valve", "f.year": "2021"})) == ["Pump P-101"]
    assert set(titles(page(client, "/", **{"q": "valve", "min.year": "2022", "f.type": "md"}))) == {"Valve log"}
    assert titles(page(client, "/", **{"q": "valve", "f.folder": "/notes/ops/"})) == ["Pump P-101"]


def test_a_range_that_is_none_is_explained(client):
    assert "not a number or a day" in text(page(client, "/", **{"q": "valve", "min.year": "soon"}), ".notice")[0]


def test_a_typing_error_is_pointed_out_and_a_filter_that_leaves_nothing_too(client):
    found = page(client, "/", q="handbok", **{"f.type": "pdf"})
    assert "Nothing was found" in text(found, ".notice")[0]
    assert text(found, ".notice a")[0] == "search without them"
    links = text(page(client, "/", q="handbok"), ".notice a")
    assert links == ["handbook"]


def test_while_typing_the_last_word_is_completed_and_nothing_is_logged(visit, tmp_path):
    with hs.open(tmp_path / "s.db", embedder="none", log_queries=True) as store:
        store.add(["The valve leaks.", "Another handbook."])
        client = visit(store)
        found = page(client, "/", q="the hand", typing="true", part="true")
        assert "Another handbook." in " ".join(text(found, ".passage"))
        assert "handbook" in text(found, ".summary strong")[0]
        assert not store.query_log()
        parts = client.get("/", params={"q": "the hand", "part": "true", "typing": "1", "facets": "false"}).text
        assert 'id="results"' in parts
        assert 'id="facets"' not in parts
        assert client.get("/api/suggestions", params={"q": "the hand"}).json()["queries"] == ["the handbook"]
        page(client, "/", q="valve")
        assert [each.query for each in store.query_log()] == ["valve"]


def test_a_query_without_words_and_one_too_long_are_no_failures(client):
    assert "at least one word" in text(page(client, "/", q="?!"), ".notice")[0]
    assert client.get("/", params={"q": "x" * 10_001}).status_code == 422
    for limit in (-5, 10**9):
        assert titles(page(client, "/", q="valve", limit=limit))


def test_dates_and_many_numbers_become_ranges_and_names_are_no_facets():
    documents = {
        str(n): {"day": f"2024-01-{n + 1:02}", "size": n, "name": f"n{n}", "tags": ["a", "b"][: n % 2 + 1], "deep": {}}
        for n in range(20)
    }
    made = {each.name: each for each in facets(documents, Choice.of([("min.size", "3")]))}
    assert set(made) == {"day", "size", "tags"}
    assert (made["day"].kind, made["day"].low, made["day"].high) == ("date", "2024-01-01", "2024-01-20")
    assert (made["size"].kind, made["size"].chosen_low, made["size"].active) == ("number", "3", True)
    assert {(value.text, value.count) for value in made["tags"].values} == {("a", 20), ("b", 10)}


@pytest.mark.parametrize("value", ["2024", 2024, 1.5, True, "true", 'a"b', "", "null"])
def test_a_value_keeps_its_type_in_a_query_string(store, value):
    store.add([hs.Document(id="x", text="word one", metadata={"v": value}), hs.Document(id="y", text="word two")])
    made = facets({"x": {"v": value}, "y": {"v": "other"}}, Choice.of([]))
    parameters = [each.parameter for facet in made for each in facet.values if each.text != "other"]
    for parameter in parameters:
        where = Choice.of([("f.v", parameter)]).filter()
        assert [hit.document_id for hit in store.search("word", where=where)] == ["x"]
    assert parameters or value == ""
