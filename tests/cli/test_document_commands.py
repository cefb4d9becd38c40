"""`get`, `list` and `remove`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.cli.document_commands import _compares
from hybridstore.filters import And, Not, Or, field, matches


def ids(db):
    with hs.open(db, embedder="none") as store:
        return [document.id for document in store.documents()]


def test_get_prints_the_text_as_it_was_added(run):
    assert run("get", "soup").stdout == "Onion soup takes an hour.\n"


def test_get_gives_a_program_escape_sequences_too(run, db):
    with hs.open(db, embedder="none") as store:
        store.add(hs.Document(id="log", text="\x1b[31mred\x1b[0m"))
    assert run("get", "log").stdout == "\x1b[31mred\x1b[0m\n"


def test_get_as_json_has_every_field(run):
    document = json.loads(run("get", "keys", "--json").stdout)
    assert document["metadata"] == {"lang": "en", "year": 2024}
    assert document.keys() == {"id", "text", "title", "uri", "metadata", "format"}


def test_get_of_an_unknown_id_says_where_the_ids_are(run):
    assert "no document has the id 'nope'; `hybridstore list`" in run("get", "nope", code=1).stderr


def test_list_gives_a_program_one_line_of_columns_for_each_document(run):
    assert run("list").stdout.splitlines() == [
        "keys\tSigning keys\t\t1",
        "soup\t\tmenu.txt\t1",
        "suppe\t\t\t1",
    ]


def test_list_as_json_is_one_list_even_when_nothing_passes(run):
    assert [row["id"] for row in json.loads(run("list", "--json", "--limit", 2).stdout)] == ["keys", "soup"]
    assert json.loads(run("list", "--json", "--where", "lang=fr").stdout) == []


def test_conditions_given_several_times_must_all_hold(run):
    found = json.loads(run("list", "--json", "--where", "lang=en", "--where", "year<=2020").stdout)
    assert found == [{"id": "soup", "title": "", "uri": "menu.txt", "chunks": 1}]


def test_a_filter_that_is_none_is_an_error_with_examples(run):
    assert "write year>=2020" in run("list", "--where", "what is this", code=1).stderr


def test_remove_asks_first_and_keeps_everything_on_no(run, db):
    result = run("remove", "soup", "keys", input="n\n")
    assert "Remove 2 documents of 3?" in result.stderr
    assert "Nothing was removed." in result.stderr
    assert len(ids(db)) == 3


def test_remove_removes_on_yes(run, db):
    assert "Removed 1 document." in run("remove", "soup", input="y\n").stderr
    assert ids(db) == ["keys", "suppe"]


def test_remove_without_a_terminal_removes_nothing_and_names_the_option(run, db):
    assert "--yes" in run("remove", "soup", code=130, input="").stderr
    assert len(ids(db)) == 3


def test_unknown_ids_are_named_and_the_others_removed(run, db):
    result = run("remove", "soup", "nope", "--yes", code=1)
    assert "No document has the id, path or name 'nope'." in result.stderr
    assert ids(db) == ["keys", "suppe"]


def test_remove_by_filter_removes_the_matches_and_nothing_else(run, db):
    assert "Removed 2 documents." in run("remove", "--where", "year=2020", "--yes").stderr
    assert ids(db) == ["keys"]
    assert "No document matches" in run("remove", "--where", "year=1900", "--yes").stderr


@pytest.mark.parametrize(
    "where",
    ["{}", '{"$and": []}', '{"$not": {"$or": []}}', '{"$or": [{}, {"lang": "en"}]}', '{"lang": {"$nin": []}}'],
)
def test_an_empty_filter_never_removes_everything(run, db, where):
    assert "has no condition" in run("remove", "--where", where, "--yes", code=2).stderr
    assert len(ids(db)) == 3


@pytest.mark.parametrize("arguments", [[], ["soup", "--where", "lang=de"]])
def test_remove_needs_ids_or_a_filter(run, db, arguments):
    assert "either one by one or by --where" in run("remove", *arguments, "--yes", code=2).stderr
    assert len(ids(db)) == 3


leaves = st.sampled_from([field("a") == 1, field("b").exists()])
trees = st.recursive(
    leaves | st.just(And(())) | st.just(Or(())),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts)))
        | inner.map(Not)
    ),
)


@given(trees)
def test_a_filter_without_an_empty_part_and_without_not_never_passes_a_bare_document(tree):
    def has_not(node):
        return isinstance(node, Not) or any(map(has_not, getattr(node, "filters", ())))

    if _compares(tree) and not has_not(tree):
        assert not matches(tree, hs.Document(id="x", text=""))


def test_the_terminal_shows_escape_sequences_as_pictures(run, db, monkeypatch):
    with hs.open(db, embedder="none") as store:
        store.add(hs.Document(id="evil", title="\x1b[31mred", text="bell\x07 \x9b2J end"))
    monkeypatch.setattr("hybridstore.cli.document_commands.sys.stdout.isatty", lambda: True, raising=False)
    found = run("search", "bell", "end").stdout
    assert "\x1b" not in found
    assert "\x9b" not in found
    assert "␛[31mred" in found
    assert "bell␇" in found


@pytest.mark.parametrize("command", [["list"], ["remove", "--yes"], ["search", "soup"]])
def test_a_misspelt_field_is_told(run, command):
    result = run(*command, "--where", "yeer=2020")
    assert "No document has the field 'yeer'" in result.stderr
