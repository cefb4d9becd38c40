"""`search` and `explain`: what is printed for people, and for programs."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import hybridstore as hs
from hybridstore import embedders
from hybridstore.cli.app import app
from hybridstore.cli.result_output import MATCH, print_explanation, snippet
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.ingest.places import body_start
from hybridstore.records import least_confidence
from hybridstore.search.snippets import densest, worth_showing
from hybridstore.search.trace_text import ANSWERED
from hybridstore.text.analysis import Analyser

CONSOLE = Console(width=60)


def lines(text, *terms, width=60, **options):
    return snippet(text, Analyser().spans(text, terms), CONSOLE, width, **options)


def test_search_shows_the_page_of_a_passage(run, db):
    with hs.open(db, embedder="none") as store:
        store.add(hs.Document(id="p", text="One.\n\n\fThe zebra crosses.", metadata={"type": "pdf"}))
    out = run("search", "zebra", "--mode", "keyword").stdout
    assert " 1. p, p. 1-2\n" in out
    assert "    The zebra crosses." in out
    (hit,) = json.loads(run("search", "zebra", "--json").stdout)["hits"]
    assert (hit["place"], hit["line"], hit["page"]) == ("p, p. 1-2", None, "p. 1-2")


def test_search_prints_rank_title_place_legs_and_text(run):
    out = run("search", "rotated", "keys", "--mode", "keyword").stdout
    assert " 1. Signing keys" in out
    assert "keys · characters 0-86 · keyword 1 · score " in out
    assert "Keys are rotated every ninety days." in out


def test_search_as_json_has_every_field_of_a_hit(run):
    found = json.loads(run("search", "soup", "--json").stdout)
    assert found.keys() == {
        *("query", "mode", "fusion", "legs", "confidence", "hits", "timings", "notes", "filled", "path", "rewriting"),
        "answered",
    }
    assert found["confidence"] is found["answered"] is None
    assert found["query"] == "soup"
    assert found["hits"][0].keys() == {field.name for field in fields(hs.Hit)} | {"place", "line", "page"}
    assert (found["hits"][0]["place"], found["hits"][0]["line"]) == ("soup · characters 0-25", None)
    assert found["hits"][0]["document_id"] == "soup"
    assert found["notes"] == ["The store has no vectors, so only keywords were searched."]


@pytest.mark.parametrize("how", [["--exclude", "hour"], ["--not", "hour"], ['-"hour"']])
def test_words_can_be_excluded(run, how):
    found = json.loads(run("search", "soup", "suppe", "zwiebelsuppe", *how, "--json").stdout)
    assert [hit["document_id"] for hit in found["hits"]] == ["suppe"]


def test_a_flag_is_a_word_and_not_an_option(run):
    result = run("search", "soup", "-hour", "--json")
    assert json.loads(result.stdout)["query"] == "soup -hour"
    assert "quote it" in json.loads(result.stdout)["notes"][0]
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
        (["zeppelin"], "no passage contains any of these words"),
        (["soup", "--where", "lang=fr"], "try without --where"),
        (["soup", "--not", "hour", "--not", "onion"], "excluded word"),
    ],
)
def test_no_hits_get_a_helpful_message_and_are_not_an_error(run, arguments, why):
    result = run("search", *arguments)
    assert result.stdout == ""
    assert why in result.stderr


def test_any_text_is_a_query(run):
    for query in ('"a', "* OR )", "a\udcff", "NEAR(", "a" * 5000, "🧅"):
        assert json.loads(run("search", "--json", "--", query).stdout)["query"]


@pytest.mark.parametrize("query", ["", "  ", "?!", "--- ..."])
@pytest.mark.parametrize("command", ["search", "explain", "recall"])
def test_a_query_without_words_is_an_error(run, command, query):
    result = run(command, "--", query, code=1)
    assert "has no words" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_depth_below_the_limit_is_an_error(run):
    assert "depth" in run("search", "soup", "--limit", 5, "--depth", 2, code=1).stderr


def test_full_shows_the_whole_passage(run, db):
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
    outcome = run("explain", "onion", "soup", "--unique", "--per-document", 1, "--expect", hit["copies"][0]).stdout
    assert "near-copies folded (1), at most 1 of a document (0 left out)" in outcome
    assert f"folded into {hit['document_id']}" in outcome
    assert run("search", "soup", "--diversity", 2, code=2)


def test_explain_describes_the_search_and_where_an_expected_document_was_lost(run):
    out = run("explain", "rotated", "keys", "--expect", "suppe").stdout
    assert out.startswith("Query: rotated keys\n")
    assert "suppe was no candidate: it contains none of the words searched for." in out


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


@pytest.fixture
def measured(run, db, monkeypatch):
    """Run a command on a store with vectors that it has measured."""
    monkeypatch.setattr(embedders, "load", lambda *_, **__: HashingEmbedder(64))
    with hs.open(db, embedder=HashingEmbedder(64)) as store:
        store.add([hs.Document(id=f"c{n}", text=f"the river flows past stone number {n}") for n in range(30)])
        store.reembed()
    return run


def test_hits_carry_their_relevance_and_results_their_confidence(measured):
    found = json.loads(measured("search", "onion", "soup", "--json").stdout)
    relevance = [hit["relevance"] for hit in found["hits"]]
    assert found["confidence"] == max(relevance)
    out = measured("search", "onion", "soup").stdout
    assert f" · score {found['hits'][0]['score']:.4g} · relevance {relevance[0]:.2f}" in out
    assert "relevance" not in measured("search", "onion", "soup", "--mode", "keyword").stdout


def test_a_low_confidence_is_announced_above_the_hits(measured):
    nonsense = json.loads(measured("search", "quixotic zzyzx", "--json").stdout)
    assert nonsense["confidence"] < ANSWERED == 0.5
    result = measured("search", "quixotic zzyzx")
    said = f"Probably nothing here answers this (confidence {nonsense['confidence']:.2f}); the closest passages:\n"
    assert result.stderr.startswith(said)
    assert "Probably" not in result.stdout
    assert "Probably" not in measured("search", "onion", "soup", "takes").stderr


def test_the_share_of_errors_decides_what_is_shown_as_answered(measured):
    found = json.loads(measured("search", "onion", "soup", "--json").stdout)
    assert found["answered"] is (found["confidence"] >= 0.5)
    for error in (0.3, 0.0001):
        answered = found["confidence"] >= least_confidence(error)
        result = measured("search", "onion", "soup", "--max-error", str(error))
        assert ("Probably nothing here" in result.stderr) is not answered
    measured("search", "soup", "--max-error", "1", code=2)


def test_a_least_relevance_leaves_out_what_is_below_it(measured):
    found = json.loads(measured("search", "onion", "soup", "--limit", 40, "--json").stdout)["hits"]
    kept = json.loads(measured("search", "onion", "soup", "--limit", 40, "--min-relevance", 0.5, "--json").stdout)[
        "hits"
    ]
    assert 0 < len(kept) < len(found)
    assert {hit["chunk_id"] for hit in kept} == {hit["chunk_id"] for hit in found if hit["relevance"] >= 0.5}
    nothing = measured("search", "quixotic", "zzyzx", "--min-relevance", 0.99)
    assert nothing.stdout == ""
    assert "a lower --min-relevance shows more" in nothing.stderr


def test_a_least_relevance_that_cannot_be_had_is_a_sentence(run, measured):
    assert (
        "it needs mode='hybrid', not 'keyword'"
        in measured("search", "soup", "--mode", "keyword", "--min-relevance", 0.5, code=1).stderr
    )
    assert measured("search", "soup", "--min-relevance", 2, code=2)


def test_a_least_relevance_in_a_store_of_keywords_alone_is_a_sentence(run):
    said = run("search", "soup", "--min-relevance", 0.5, code=1).stderr
    assert "min_relevance" in said
    assert "hybridstore embed" in said
    assert "Traceback" not in said


def test_explain_as_json_gives_the_evidence_of_the_hits_and_of_nothing_else(measured, db):
    found = json.loads(measured("explain", "how", "is", "onion", "soup", "made", "--limit", 2, "--json").stdout)
    with hs.open(db, embedder=HashingEmbedder(64)) as store:
        explanation = store.explain("how is onion soup made", limit=2)
    evidence = explanation.evidence
    assert [each["chunk_id"] for each in found["evidence"]] == [hit["chunk_id"] for hit in found["hits"]]
    for outcome in found["evidence"]:
        place = evidence.at(outcome["chunk_id"])
        assert outcome["coverage"] == evidence.coverage[place]
        score = explanation.weights[0] * outcome["keyword"] + explanation.weights[1] * outcome["vector"] / 12
        assert score == pytest.approx(explanation.fused.scores[explanation.fused.chunks == outcome["chunk_id"]][0])
    assert found["power"] == explanation.power > 0
    assert found["ignored"] == ["how", "is"]
    assert found["confidence"] == evidence.confidence
    assert found["alone"] == {leg: list(ids) for leg, ids in explanation.alone.items()}
    expected = json.loads(measured("explain", "onion", "--limit", 1, "--expect", "keys", "--json").stdout)["expected"]
    assert expected["lost"] == "fusion"
    assert {"limit": expected["rank"]} in expected["remedies"]


def test_on_a_terminal_an_explanation_reads_as_its_text(measured, db, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "70")
    with hs.open(db, embedder=HashingEmbedder(64)) as store:
        explanation = store.explain("where is the onion zebra soup", limit=2, expect="keys", min_relevance=0.1)
    print_explanation(explanation)
    assert capsys.readouterr().out.split() == str(explanation).split()


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


def test_a_query_is_logged_only_on_request(run, db):
    run("search", "onion", "--mode", "keyword")
    run("search", "soup", "onion", "--mode", "keyword", "--log")
    run("search", "keys", "--mode", "keyword", env={"HYBRIDSTORE_LOG_QUERIES": "1"})
    with hs.open(db) as store:
        assert [each.query for each in store.query_log()] == ["keys", "soup onion"]


@pytest.fixture
def files(db, tmp_path, monkeypatch):
    """Files in the store, one of them below the working directory in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    notes = tmp_path / "notes"
    (notes / "ops").mkdir(parents=True)
    (notes / "ops" / "runbook.md").write_text("# Runbook\n\nStart.\n\n## Valves\n\nThe zebra valve leaks.\n")
    (notes / "old").mkdir()
    (notes / "old" / "plan.md").write_text("An old plan.")
    (notes / "plan.md").write_text("A plan.")
    (notes / "tool.py").write_text('"""A tool."""\n\n\ndef turn():\n    """Turn the giraffe handle."""\n')
    with hs.open(db, embedder="none") as store:
        store.add_folder(notes)
    return notes


@pytest.mark.parametrize(
    "name",
    ["notes/ops/runbook.md", "./notes/ops/runbook.md", "ops/runbook.md", "runbook.md", "book.md", "runbook.md:7"],
)
def test_a_document_is_named_by_a_path_a_name_or_the_end_of_one(run, files, name):
    assert run("get", name).stdout.startswith("# Runbook")
    assert run("explain", "valve", "--expect", name, "--json").stdout.count('"not_stored"') == 0
    assert "notes/ops/runbook.md" in run("explain", "valve", "--expect", name).stdout
    run("remove", name, "--yes")
    assert "no document" in run("get", name, code=1).stderr


def test_an_ambiguous_name_lists_the_candidates_and_changes_nothing(run, files):
    for command in (["get", "plan.md"], ["remove", "plan.md", "--yes"], ["explain", "plan", "--expect", "plan.md"]):
        said = run(*command, code=1).stderr
        assert "'plan.md' may mean any of 2 documents" in said
        assert "\n  notes/old/plan.md\n  notes/plan.md" in said
    assert run("get", "notes/plan.md").stdout == "A plan.\n"  # a path is exact


def test_text_and_code_are_placed_by_line_relative_to_the_working_directory(run, files):
    assert "    notes/tool.py:1 · keyword 1" in run("search", "giraffe").stdout
    assert run("search", "zebra").stdout.splitlines()[1].startswith("    notes/ops/runbook.md:")
    (hit,) = json.loads(run("search", "giraffe", "--json").stdout)["hits"]
    assert (hit["place"], hit["line"], hit["page"]) == ("notes/tool.py:1", 1, None)


def test_the_store_may_be_named_after_the_command(run, db, tmp_path):
    for command in (["search", "soup"], ["get", "soup"], ["model", "list"], ["info"]):
        assert CliRunner().invoke(app, [*command, "--db", str(db)]).exit_code == 0
    missing = CliRunner().invoke(app, ["--db", str(db), "search", "soup", "--db", str(tmp_path / "no.db")])
    assert "no such store" in missing.output


def test_an_empty_store_says_so(tmp_path):
    with hs.open(tmp_path / "e.db", embedder="none"):
        pass
    for command in (["search", "soup"], ["list"], ["info"]):
        result = CliRunner().invoke(app, [*command, "--db", str(tmp_path / "e.db")])
        assert "The store is empty" in result.stderr


def test_a_documents_passages_are_listed_together_and_leave_room_for_others(run, db):
    text = "\n\n".join(f"## Part {n}\n\nZebra number {n} eats grass. {'Grass is green. ' * 60}" for n in range(6))
    with hs.open(db, embedder="none") as store:
        store.add([hs.Document(id="many", title="Many", text=text, format="markdown"),
                   hs.Document(id="one", title="One", text="A zebra " + "is a horse with stripes. " * 30)])  # fmt: skip
    out = run("search", "zebra").stdout
    assert out.count("Many\n") + out.count("Many  ") == 1
    assert out.count("    many · characters") == 3
    assert "One\n" in out
    ids = [hit["document_id"] for hit in json.loads(run("search", "zebra", "--json").stdout)["hits"]]
    assert ids.count("many") == 6  # programs get all


def test_the_list_ends_where_relevance_does_unless_a_limit_asks_for_more(db, run):
    embedder = HashingEmbedder(64)
    path = db.with_name("h.db")
    with hs.open(path, embedder=embedder) as store:
        store.add([f"{word} is here" for word in ("zebra", "house", "boat", "sky", "sea", "wall")])
        trace = store.search("zebra").trace
    assert [hit.score for hit in worth_showing(trace)] == [
        hit.score for hit in trace.hits if hit.score > trace.hits[0].score / 10
    ]
    assert 0 < len(worth_showing(trace)) < len(trace.hits)


FRONT = "---\ntitle: Beans\ndate: 2024-04-01\nzylophone: quartzite\n---\n\n# Beans\n\nPlant the beans in April.\n"


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        (FRONT, "# Beans"),
        (FRONT.replace("\n", "\r\n"), "# Beans"),
        ("+++\n# TOML\n\ntitle = 'Beans'\n+++\nPlant beans", "Plant"),
        ("---\n# no fields\n\nBeans\n---\nPlant beans", "---"),  # two rules
        ("---\ntitle: Beans\n---\n", "---"),  # nothing else is there
        ("---\ntitle: Beans without an end", "---"),
        ("Plant\n---\ntitle: x\n---\n", "Plant"),
    ],
)
def test_a_passage_begins_after_the_front_matter(text, starts):
    assert text[body_start(text, "md") :].startswith(starts)
    assert body_start(text, "txt") == 0


def test_front_matter_is_searched_but_shown_only_where_it_is_what_was_found(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("beans.md").write_text(FRONT)
    run("add", "beans.md", "--embedder", "none")
    for how in ([], ["--full"]):
        shown = run("search", "when to plant beans", *how).stdout
        assert "Plant the beans in April." in shown
        assert "2024-04-01" not in shown
        assert "beans.md:7 ·" in shown
        assert "zylophone: quartzite" in run("search", "quartzite", *how).stdout


def test_a_file_is_named_without_its_suffix_too_and_explained_by_its_relative_path(run, files):
    assert run("get", "runbook").stdout == run("get", "notes/ops/runbook.md").stdout
    said = run("explain", "zebra", "--expect", "runbook").stdout
    assert "1. notes/ops/runbook.md" in said
    assert str(Path.cwd()) not in said
    assert str(Path.cwd()) in run("explain", "zebra", "--json").stdout


def test_explain_writes_a_page_in_one_file_and_prints_json_beside_it_if_asked_to(run, tmp_path):
    page = tmp_path / "why.html"
    outcome = run("explain", "onion soup", "--expect", "keys", "--html", page)
    assert outcome.stdout == ""
    assert str(page) in outcome.stderr
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "Where is “Signing keys”?" in text or "Where is “keys”?" in text
    assert json.loads(run("explain", "onion", "--html", page, "--json").stdout)["query"] == "onion"
    assert "“onion”" in page.read_text("utf-8")
    outcome = run("explain", "onion", "--html", tmp_path / "none" / "why.html", code=1)
    assert "cannot be written" in outcome.stderr


def test_a_rewriter_needs_its_model_and_its_failure_is_told(run):
    assert "belong together" in run("search", "soup", "--rewrite", "http://127.0.0.1:9/v1", code=2).stderr
    how = ("--rewrite", "http://127.0.0.1:9/v1", "--rewrite-model", "small")
    found = run("search", "soup", *how)
    assert "The question was not rewritten: " in found.stderr
    assert "in vain" not in found.stderr  # a note says it once
    assert "soup" in found.stdout
    assert json.loads(run("search", "soup", *how, "--json").stdout)["rewriting"]["asked"]
    assert "Asked for rewrites in vain" in run("explain", "soup", *how).stdout
