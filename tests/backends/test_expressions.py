"""Expressions as the SQLite backend obeys them: by one FTS5 query, which must never be one too many for its parser."""

import numpy as np
import pytest
from made import EMBEDDING, chunks_of, entry, ids_of, units

from hybridstore.backends.sqlite import SQLiteBackend
from hybridstore.backends.values import Restriction
from hybridstore.filters import parse
from hybridstore.records import KeywordQuery
from hybridstore.search.advanced_syntax import MAX_LEVELS, MAX_WORDS, SYNTAXES, parse_query
from hybridstore.text.expressions import AllOf, AnyOf, NotOf, WordSequence, nesting, passes_empty

RED, BLUE, GIANT = (WordSequence((word,)) for word in ("red", "blue", "giant"))
IN_TITLE = WordSequence(("red",), "title")


@pytest.fixture(params=[1024, 0], ids=["resident", "sqlite"])
def backend(tmp_path, request):
    backend = SQLiteBackend(str(tmp_path / "store.db"), memory=request.param, language="none")
    vectors = units(np.random.default_rng(3), 5)
    texts = ["red planet", "blue planet", "red giant", "blue giant", "planet"]
    titles = ["", "red", "", "giant red", ""]
    backend.put(
        [
            entry(f"d{n}", text, title=title, heading="giant" * (n == 4), vectors=vectors[n : n + 1], metadata={"n": n})
            for n, (text, title) in enumerate(zip(texts, titles, strict=True))
        ],
        embedding=EMBEDDING,
    )
    yield backend
    backend.close()


@pytest.mark.parametrize(
    ("matching", "expected"),
    [
        ((RED,), {"d0", "d1", "d2", "d3"}),
        ((IN_TITLE,), {"d1", "d3"}),
        ((NotOf(IN_TITLE),), {"d0", "d2", "d4"}),
        ((WordSequence(("gi*",), "heading"),), {"d4"}),
        ((WordSequence(("red", "pl*")),), {"d0"}),
        ((WordSequence(("giant", "red")),), {"d3"}),  # within one column: not "red" + "blue giant"
        ((RED, NotOf(BLUE)), {"d0", "d2"}),
        ((RED, NotOf(BLUE), NotOf(GIANT)), {"d0"}),
        ((AnyOf((AllOf((BLUE, GIANT)), AllOf((RED, GIANT)))),), {"d2", "d3"}),
        ((NotOf(AnyOf((RED, BLUE))),), {"d4"}),
        ((NotOf(AllOf((RED, GIANT))),), {"d0", "d1", "d4"}),
        ((AnyOf((BLUE, NotOf(RED))),), {"d1", "d3", "d4"}),
        ((GIANT, AnyOf((BLUE, NotOf(RED)))), {"d3", "d4"}),
        ((NotOf(NotOf(BLUE)),), {"d1", "d3"}),
        ((AnyOf((RED, NotOf(RED))),), {"d0", "d1", "d2", "d3", "d4"}),
        ((AllOf((RED, NotOf(RED))),), set()),
    ],
)
def test_both_legs_find_what_an_expression_lets_through(backend, matching, expected):
    limits = Restriction(matching=matching)
    query = units(np.random.default_rng(4), 1)[0]
    words = KeywordQuery(("red", "blue", "giant", "planet"))
    for _ in range(2):  # the second time from what is remembered
        assert set(ids_of(backend, backend.nearest(query, 10, limits).chunks)) == expected
        assert set(ids_of(backend, backend.match(words, 10, limits)[0].chunks)) == expected
    filtered = Restriction(parse({"n": {"$lt": 3}}), matching=matching)
    expected = {id_ for id_ in expected if id_ < "d3"}
    assert set(ids_of(backend, backend.nearest(query, 10, filtered).chunks)) == expected
    assert {id_ for n in range(5) if chunks_of(backend, id_ := f"d{n}", filtered)} == expected


def deepest(kind: str):
    """Make a tree of MAX_LEVELS levels whose FTS5 query needs as many parentheses as can be."""
    tree = WordSequence(("red", "pl*"), "title")
    while nesting(tree) < MAX_LEVELS:
        if kind == "or":
            tree = AllOf((RED, AnyOf((BLUE, tree)))) if nesting(tree) < MAX_LEVELS - 1 else AnyOf((BLUE, tree))
        elif kind == "not":
            tree = AllOf((RED, NotOf(BLUE), NotOf(tree)))
        else:
            tree = (
                AllOf((RED, BLUE, NotOf(GIANT), NotOf(AnyOf((IN_TITLE, NotOf(AllOf((RED, NotOf(tree)))))))))
                if (nesting(tree) < MAX_LEVELS - 2)
                else AllOf((RED, NotOf(GIANT), NotOf(tree)))
            )
    return tree


@pytest.mark.parametrize("kind", ["or", "not", "mixed"])
def test_the_deepest_expression_that_can_be_read_can_be_searched(backend, kind):
    tree = deepest(kind)
    assert nesting(tree) == MAX_LEVELS
    for each in (tree, NotOf(tree), AllOf((tree, NotOf(WordSequence(("none",)))))):
        chunks_of(backend, "d0", Restriction(matching=(each,)))
        backend.match(KeywordQuery(("red",)), 5, Restriction(matching=(each, NotOf(tree))))


@pytest.mark.parametrize("operator", [" OR ", " AND ", " NOT "])
def test_the_largest_expression_that_can_be_read_can_be_searched(backend, operator):
    words = [f"w{n}" for n in range(MAX_WORDS - 1)]
    tree = parse_query(operator.join(["red", *words]), backend.analyser)
    assert not passes_empty(tree)
    expected = [] if operator == " AND " else ["d0", "d1", "d2", "d3"]
    found, _ = backend.match(KeywordQuery(("red", *words)), 10, Restriction(matching=(tree,)))
    assert sorted(ids_of(backend, found.chunks)) == expected


def test_what_passes_by_common_words_alone_is_found_by_the_keyword_leg(tmp_path):
    """In a larger store words in most chunks are not scored; an expression may let chunks through by these alone."""
    backend = SQLiteBackend(str(tmp_path / "large.db"), language="none")
    backend.put([entry(f"d{n}", "common" + " rare" * (n < 40) + " stone" * (n % 3 == 0)) for n in range(1200)])
    query = KeywordQuery(("rare", "common"))
    by_common = Restriction(
        matching=(AnyOf((WordSequence(("rare",)), WordSequence(("common",)))), NotOf(WordSequence(("stone",))))
    )
    for restriction, passing in ((by_common, 800), (Restriction(matching=(WordSequence(("stone",)),)), 400)):
        assert len(backend.match(query, 2000, restriction)[0]) == passing
    ranking, terms = backend.match(query, 10, by_common)
    assert (len(ranking), [term.used for term in terms]) == (10, [True, False])  # enough without it
    backend.close()


def test_there_are_three_syntaxes():
    assert SYNTAXES == ("simple", "advanced", "algebra", "web")
