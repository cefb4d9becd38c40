"""`search` and `explain`: what is printed for people, and for programs."""

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import hybridstore as hs
from hybridstore.analysis import Analyser
from hybridstore.cli.snippet import MATCH, densest, snippet

CONSOLE = Console(width=60)


def lines(text, *terms, width=60, **options):
    return snippet(text, Analyser().spans(text, terms), CONSOLE, width, **options)


def test_search_prints_rank_title_place_legs_and_text(run):
    out = run("search", "rotated", "keys", "--mode", "keyword").stdout
    assert " 1. Signing keys" in out
    assert "keys · characters 0-86 · keyword 1 · score " in out
    assert "Keys are rotated every ninety days." in out


def test_search_as_json_has_every_field_of_a_hit(run):
    found = json.loads(run("search", "soup", "--json").stdout)
    assert found.keys() == {"query", "mode", "fusion", "hits", "timings", "notes"}
    assert found["query"] == "soup"
    assert found["hits"][0].keys() == {field.name for field in fields(hs.Hit)}
    assert found["hits"][0]["document_id"] == "soup"
    assert found["notes"] == ["The store has no vectors, so only keywords were searched."]


def test_a_minus_excludes_a_word_and_is_no_option(run):
    found = json.loads(run("search", "soup", "suppe", "zwiebelsuppe", "-hour", "--json").stdout)
    assert [hit["document_id"] for hit in found["hits"]] == ["suppe"]
    every_letter = "-abcdefghijklmnopqrstuvwxyz"
    assert json.loads(run("search", "soup", every_letter, "--json").stdout)["query"] == f"soup {every_letter}"
    assert "Usage:" in run("search", "-h").stdout


def test_an_unknown_long_option_is_a_mistake_and_not_a_word(run):
    assert "Did you mean '--limit'" in run("search", "soup", "--lmit", "3", code=2).stderr
    assert json.loads(run("search", "--json", "--", "--lmit", "soup").stdout)["query"] == "--lmit soup"


def test_filters_and_limits_reach_the_search(run):
    found = json.loads(run("search", "onion", "münchen", "--where", "lang=de", "--limit", 1, "--json").stdout)
    assert [hit["document_id"] for hit in found["hits"]] == ["suppe"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["zeppelin"], "no passage holds any of these words"),
        (["soup", "--where", "lang=fr"], "try without --where"),
        (["soup", "-hour", "-onion"], "excluded word"),
    ],
)
def test_nothing_found_is_said_kindly_and_is_no_error(run, arguments, why):
    result = run("search", *arguments)
    assert result.stdout == ""
    assert why in result.stderr


def test_any_text_is_a_query(run):
    for query in ('"', "* OR )", "\udcff", "NEAR(", "a" * 5000, "🧅"):
        assert json.loads(run("search", "--json", "--", query).stdout)["query"]


def test_a_chosen_depth_below_the_limit_is_told(run):
    assert "depth" in run("search", "soup", "--limit", 5, "--depth", 2, code=1).stderr


def test_the_whole_passage_is_shown_when_asked_for(run, db):
    text = "\n".join(f"line {number} about leeks" for number in range(20))
    with hs.open(db, embedder="none") as store:
        store.add(hs.Document(id="long", text=text))
    assert "line 19" not in run("search", "leeks").stdout
    assert "line 19 about leeks" in run("search", "leeks", "--full").stdout


def test_of_near_identical_passages_one_is_shown_and_the_others_are_named(run, db):
    with hs.open(db, embedder="none") as store:
        store.add(hs.Document(id="soup-copy", text="Onion soup  takes an HOUR."))
    query = ("search", "onion", "soup")
    assert len(json.loads(run(*query, "--json").stdout)["hits"]) == 2
    (hit,) = json.loads(run(*query, "--unique", "--json").stdout)["hits"]
    assert {hit["document_id"], *hit["copies"]} == {"soup", "soup-copy"}
    assert f"the same in {hit['copies'][0]}" in run(*query, "--unique").stdout
    told = run("explain", "onion", "soup", "--unique", "--per-document", 1, "--expect", hit["copies"][0]).stdout
    assert "near-copies folded (1), at most 1 of a document (0 left out)" in told
    assert f"folded into {hit['document_id']}" in told
    assert run("search", "soup", "--diversity", 2, code=2)


def test_explain_tells_the_story_and_where_an_expected_document_was_lost(run):
    out = run("explain", "rotated", "keys", "--expect", "suppe").stdout
    assert out.startswith("Query: rotated keys\n")
    assert "suppe was no candidate: it shares no word with the query." in out.replace("the keyword leg has", "")


def test_explain_as_json_holds_both_rankings(run, db):
    with hs.open(db, embedder="none") as store:
        store.add([hs.Document(id="vectored", text="soup of the day")], vectors=[[1.0, 0.0]])
        trace = store.search("soup").trace
    found = json.loads(run("explain", "soup", "--mode", "keyword", "--expect", "soup", "--json").stdout)
    assert found["keyword"] == {"chunks": trace.keyword.chunks.tolist(), "scores": trace.keyword.scores.tolist()}
    assert found["vector"] is None
    assert found["expected"]["lost"] is None
    missing = {field.name for field in fields(hs.Trace)} - found.keys()
    assert missing == set()


def test_a_snippet_shows_the_lines_with_most_different_words():
    text = "onion\n" * 5 + "nothing\n" * 5 + "onion and leek\nsoup\n" + "nothing\n" * 5
    shown = [line.plain for line in lines(text, "onion", "leek", "soup")]
    assert "… " + "nothing" in shown
    assert "onion and leek" in shown
    assert "soup …" in shown


def test_a_snippet_marks_the_matched_words_and_only_those():
    (line,) = lines("An onion is no onionskin.", "onion")
    assert [(line.plain[span.start : span.end], span.style) for span in line.spans] == [("onion", MATCH)]


def test_a_snippet_without_a_match_is_the_beginning():
    assert [line.plain for line in lines("one\ntwo\nthree\nfour", "nine")] == ["one", "two", "three …"]


def test_a_paragraph_broken_into_lines_flows_and_code_does_not():
    prose = "The rotation is begun by the engineer on call,\nwho makes a key."
    code = "    for key in sorted(keys.rotated_last_month):\n        print(key)"
    assert lines(prose, "key", width=100)[0].plain == prose.replace("\n", " ")
    assert [line.plain for line in lines(code, "key", width=100)] == code.split("\n")


texts = st.text(st.sampled_from("onion leek\n日本語é\t\x1b "), max_size=400)


@given(texts, st.integers(10, 80), st.integers(1, 4))
def test_a_snippet_keeps_to_its_size(text, width, count):
    console = Console(width=width)
    shown = snippet(text, Analyser().spans(text, {"onion", "leek", "日本"}), console, width, lines=count)
    assert len(shown) <= count
    assert all(line.cell_len <= width + 4 and line.plain.strip() for line in shown)


@given(st.text("ab ", max_size=300), st.integers(1, 100))
def test_the_densest_stretch_lies_in_the_text_and_holds_a_match(text, size):
    spans = [(at, at + 1) for at, letter in enumerate(text) if letter == "a"]
    start, end = densest(text, spans, size)
    assert 0 <= start <= end <= len(text)
    assert end - start == min(size, len(text))
    assert not spans or size < 2 or "a" in text[start:end]
