"""Both query syntaxes: the hits are what passes the query, in both legs, from memory and from SQLite."""

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError

WORDS = ["red", "rust", "rum", "blue", "bird"]
ALL = {"limit": 100, "depth": 100}
FEW = settings(
    max_examples=settings().max_examples * 3 // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module", params=[1024, 0, None], ids=["resident", "SQLite", "in memory"])
def store(tmp_path_factory, request):
    chance = random.Random(5)

    def some(most):
        return " ".join(chance.choices(WORDS, k=chance.randint(0, most)))

    place = ":memory:" if request.param is None else tmp_path_factory.mktemp("store") / "s.db"
    with hs.open(place, embedder=HashingEmbedder(32), language="none", memory=request.param or 0) as store:
        store.add(
            hs.Document(id=f"d{n}", title=some(2), text=f"# {some(2)} h\n\nplain {some(4)}\n", format="markdown")
            for n in range(40)
        )
        yield store


class Leaf(tuple):
    """(field, words, prefix): the words stand in a row in the field, the last perhaps only begun."""

    __slots__ = ()

    def __str__(self):
        field, words, prefix = self
        quoted = f'"{" ".join(words)}"' if len(words) > 1 else words[0]
        return (f"{field}:" if field else "") + quoted + "*" * prefix

    def holds(self, chunk):
        field, words, prefix = self
        rows = [chunk[field]] if field else chunk.values()
        starts = [row[n : n + len(words)] for row in rows for n in range(len(row))]
        return any(
            found[:-1] == words[:-1]
            and len(found) == len(words)
            and (found[-1].startswith(words[-1]) if prefix else found[-1] == words[-1])
            for found in starts
        )


words = st.sampled_from(WORDS)
fields = st.sampled_from(["", "", "title", "heading"])
leaves = st.one_of(
    st.builds(lambda field, word: Leaf((field, [word], False)), fields, words),
    st.builds(lambda field, *row: Leaf((field, list(row), False)), fields, words, words),
    st.builds(lambda field, start: Leaf((field, [start], True)), fields, st.sampled_from(["r", "ru", "b", "x"])),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner, inner),
    ),
    max_leaves=10,
)
EMPTY = {"title": [], "heading": [], "body": []}


def passes(tree, chunk) -> bool:
    if isinstance(tree, Leaf):
        return tree.holds(chunk)
    kind, *members = tree
    held = [passes(member, chunk) for member in members]
    return not held[0] if kind == "not" else all(held) if kind == "and" else any(held)


BINDS = {"or": 0, "and": 1, "not": 2}


def written(tree, chance, around=0) -> str:
    """Write a tree as people would: with or without the parentheses and the ANDs that can be left out."""
    if isinstance(tree, Leaf):
        return str(tree)
    kind, *members = tree
    inside = [written(member, chance, BINDS[kind] + (kind == "not")) for member in members]
    if kind == "not":
        minus = inside[0].startswith(("(", '"', *"abcdefghijklmnopqrstuvwxyz")) and chance.random() < 0.5
        text = f"-{inside[0]}" if minus else f"NOT {inside[0]}"
    else:
        joint = " OR " if kind == "or" else None
        text = inside[0]
        for each in inside[1:]:
            text += (joint or chance.choice([" AND ", " ", "  "])) + each
    enclosed = BINDS[kind] < around or chance.random() < 0.2
    return f"({text})" if enclosed else text


def found(store, query, **options):
    return {hit.chunk_id for hit in store.search(query, **ALL, **options)}


@FEW
@given(trees, st.randoms(use_true_random=False))
def test_an_expression_finds_exactly_what_passes_it(store, tree, chance):
    query = written(tree, chance)
    if passes(tree, EMPTY):
        with pytest.raises(InputError, match="no word that must occur"):
            store.search(query, syntax="advanced")
        return
    chunks = [chunk for found in store.chunks.of(store.ids()).values() for chunk in found]
    expected = {
        passage.chunk
        for passage in store.chunks.passages(chunks)
        if passes(
            tree,
            {
                "title": passage.title.split(),
                "heading": re.findall(r"\w+", passage.heading),
                "body": re.findall(r"\w+", passage.text),
            },
        )
    }
    for mode in ("keyword", "vector", "hybrid"):
        assert found(store, query, mode=mode, syntax="advanced") == expected, mode


MARKS = ['"', "“", "»", "(", ")", "-", "*", ":", " ", " AND ", " OR ", " NOT ", "title:", "heading:", "NEAR(", "{", "^"]


@FEW
@given(st.lists(st.sampled_from([*MARKS, *WORDS, "C++", "東京", "\0", "\ud800"]) | st.text(), max_size=12))
def test_any_text_is_a_query(store, pieces):
    query = "red ".join(["", *pieces, ""])
    for mode in ("keyword", "hybrid"):
        assert len(store.search(query, mode=mode)) <= 10
        try:
            store.search(query, mode=mode, syntax="advanced")
        except InputError as error:
            assert "the query" in str(error)  # noqa: PT017 - either outcome is right


@pytest.fixture
def manuals():
    with hs.open(":memory:", embedder=HashingEmbedder(32)) as store:
        store.add(
            [
                hs.Document(id="pump", title="Pump manual", text="Close the inlet before service.", metadata={"n": 1}),
                hs.Document(id="valve", title="Valve manual", text="A pump stands behind it.", metadata={"n": 2}),
                hs.Document(id="c", title="Vitamin C", text="About scurvy."),
                hs.Document(id="cpp", title="C++ in depth", text="Templates make C happy."),
                hs.Document(id="guide", text="# Safety\n\nWear happiness and gloves.\n", format="markdown"),
            ]
        )
        yield store


def ids(store, query, **options):
    return {hit.document_id for hit in store.search(query, **options)}


def test_a_field_restricts_both_legs(manuals):
    for mode in ("keyword", "vector", "hybrid"):
        assert ids(manuals, "title:pump", mode=mode) == {"pump"}
        assert ids(manuals, 'title:"pump manual"', mode=mode) == {"pump"}
        assert ids(manuals, "heading:safety gloves", mode=mode) == {"guide"}
        assert "pump" not in ids(manuals, "manual -title:pump", mode=mode)
    assert ids(manuals, "manual -title:pump", mode="keyword") == {"valve"}
    assert ids(manuals, "title:C++") == {"cpp"}
    assert ids(manuals, "title:C") == {"c", "cpp"}


def test_a_field_that_nothing_satisfies_is_let_go_and_it_is_said(manuals):
    results = manuals.search("title:inlet", mode="keyword")
    assert [hit.document_id for hit in results] == ["pump"]
    assert results.trace.notes == ('No passage has "inlet" in the title, so it was searched for anywhere.',)
    assert results.trace.matching == ()
    within = manuals.search("title:pump", where={"n": 2}, mode="keyword")
    assert [hit.document_id for hit in within] == ["valve"]
    assert len(within.trace.notes) == 1
    assert not manuals.search("pump -title:inlet").trace.notes
    assert not manuals.search("title:inlet", syntax="advanced").trace.notes
    assert ids(manuals, "title:inlet", syntax="advanced") == set()


def test_a_prefix_is_compared_with_stems_and_finds_the_word_itself(manuals):
    assert ids(manuals, "happ*", syntax="advanced") == {"cpp", "guide"}
    assert "cpp" in ids(manuals, "happy*", syntax="advanced")
    assert ids(manuals, "title:pum*", syntax="advanced", mode="keyword") == {"pump"}


def test_an_unknown_syntax_is_rejected(manuals):
    with pytest.raises(InputError, match="choose one of simple, advanced"):
        manuals.search("a", syntax="lucene")


def test_operators_are_plain_words_in_the_simple_syntax(manuals):
    assert "valve" in ids(manuals, "(pump NOT inlet)", mode="keyword")
    assert "pump" in ids(manuals, "(pump NOT inlet)", mode="keyword")
    assert ids(manuals, "pump NOT inlet", syntax="advanced", mode="keyword") == {"valve"}


def test_an_explanation_shows_the_restriction_and_which_part_lost_a_document(manuals):
    query = "manual (title:pump OR title:valve) NOT behind"
    explanation = manuals.explain(query, syntax="advanced", expect="valve")
    assert 'Must match: "manual"; "pump" in the title or "valve" in the title; not "behind".' in str(explanation)
    assert explanation.expected.lost == "restricted"
    assert explanation.expected.story.endswith('of its chunks that pass the rest fail at: not "behind".')
    assert explanation.syntax == "advanced"
    lost = manuals.explain(query, syntax="advanced", expect="guide").expected
    assert lost.story.endswith('fail at: "manual".')
    assert manuals.explain(query, syntax="advanced", expect="pump").expected.lost is None
    simple = manuals.explain("manual title:pump", expect="valve").expected
    assert (simple.lost, simple.story.endswith('fail at: "pump" in the title.')) == ("restricted", True)


def test_a_document_that_passes_is_followed_through_the_legs(manuals):
    expected = manuals.explain("manual AND pump", syntax="advanced", mode="keyword", limit=1, expect="valve").expected
    assert (expected.lost, expected.keyword_rank) == ("fusion", 2)
