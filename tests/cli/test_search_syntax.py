"""`--syntax`: both ways to write a query, from the command line."""

import json

import hybridstore as hs
from hybridstore.cli import shared_options
from hybridstore.search.advanced_syntax import SYNTAXES
from hybridstore.search.request import NORMS, PER


def ids(run, *arguments):
    return {hit["document_id"] for hit in json.loads(run("search", *arguments, "--json").stdout)["hits"]}


def test_the_offered_syntaxes_are_the_plans():
    assert shared_options.SYNTAXES == SYNTAXES
    assert (shared_options.PER, shared_options.NORMS) == (PER, NORMS)


def test_a_field_and_an_expression_reach_the_search(run):
    assert ids(run, "title:signing", "soup") == {"keys"}
    assert ids(run, 'title:"signing keys"') == {"keys"}
    assert ids(run, "soup", "E4012", "-title:signing") == {"soup"}
    assert ids(run, "--syntax", "advanced", "(onion OR E4012) -title:signing") == {"soup"}


def test_a_mistake_is_shown_below_the_query_and_nothing_is_printed(run):
    result = run("search", "--syntax", "advanced", "onion AND (soup", code=1)
    assert result.stdout == ""
    assert result.stderr == (
        "Error: the query cannot be read at character 11: this parenthesis is never closed; close it, or put it in "
        "quotes\n  onion AND (soup\n            ^\n"
    )


def test_an_expression_without_matches_has_a_helpful_message(run):
    assert "too strict" in run("search", "--syntax", "advanced", "onion", "keys").stderr


def test_explain_as_json_contains_the_syntax_and_the_restriction(run):
    outcome = json.loads(run("explain", "--syntax", "advanced", "soup OR keys", "-title:keys", "--json").stdout)
    assert outcome["syntax"] == "advanced"
    assert outcome["matching"] == ['"soup" or ("keys" and not "keys" in the title)']
    assert json.loads(run("explain", "soup", "--json").stdout)["matching"] == []


def test_passages_are_followed_and_the_path_is_told(run, db):
    with hs.open(db, embedder="none") as store:
        store.add(hs.Document(id="zurich", text="Onions arrive from Altona Farms."))
        store.add(hs.Document(id="farm", text="Altona Farms was founded in 1920."))
    found = run("search", "--hops", "2", "who founded where onions arrive from")
    assert "zurich (passage 4) led to search 2, for: Altona Farms" in found.stderr
    assert "farm" in found.stdout
    (hop,) = json.loads(run("search", "--hops", "2", "onions arrive", "--json").stdout)["path"][:1]
    assert hop["document_id"] in {"zurich", "soup"}
    assert "led to search 2" in run("explain", "--hops", "2", "onions arrive").stdout


def test_a_structured_query_is_judged_and_explained(run):
    assert ids(run, "--syntax", "algebra", '"onion" | "signing keys"', "--per", "document") == {"soup", "keys"}
    explained = run("explain", "--syntax", "algebra", "--norm", "godel", 'soup & ~"signing"').stdout
    assert "the least truth" in explained
    assert '~"signing"' in explained
    assert "is never closed" in run("search", "--syntax", "algebra", "onion & (soup", code=1).stderr
