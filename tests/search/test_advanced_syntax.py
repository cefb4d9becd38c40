"""The advanced syntax: how queries are parsed, and the messages for errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.search.advanced_syntax import MAX_LEVELS, MAX_WORDS, parse_query
from hybridstore.search.query_plan import plan
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import AllOf, AnyOf, NotOf, WordSequence, passes_empty

ENGLISH = Analyser()
A, B, C, D = (WordSequence((letter,)) for letter in "abcd")


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("a", A),
        ("a AND b", AllOf((A, B))),
        ("a b", AllOf((A, B))),
        ("a AND b c", AllOf((A, B, C))),
        ("a OR b", AnyOf((A, B))),
        ("a OR b AND c", AnyOf((A, AllOf((B, C))))),
        ("a b OR c d", AnyOf((AllOf((A, B)), AllOf((C, D))))),
        ("(a OR b) c", AllOf((AnyOf((A, B)), C))),
        ("(a OR (b OR c))", AnyOf((A, B, C))),
        ("a AND (b AND (c AND d))", AllOf((A, B, C, D))),
        ("((a))", A),
        ("a a", AllOf((A,))),
        ("a NOT b", AllOf((A, NotOf(B)))),
        ("a AND NOT b OR c", AnyOf((AllOf((A, NotOf(B))), C))),
        ("a NOT b c", AllOf((A, NotOf(B), C))),
        ("a -b", AllOf((A, NotOf(B)))),
        ("a -(b OR c)", AllOf((A, NotOf(AnyOf((B, C)))))),
        ('a -"b c"', AllOf((A, NotOf(WordSequence(("b", "c")))))),
        ("NOT NOT a", A),
        ("NOT (NOT a)", A),
        ('"a b"', WordSequence(("a", "b"))),
        ("“a b” „c“ «d»", AllOf((WordSequence(("a", "b")), C, D))),
        ('a"b"c', AllOf((A, B, C))),
        ("a(b)c", AllOf((A, B, C))),
        ("well-known", WordSequence(("well", "known"))),
        ("-5 a", AllOf((WordSequence(("5",)), A))),
        ("title:a", WordSequence(("a",), "title")),
        ('Title:"a b"', WordSequence(("a", "b"), "title")),
        ("heading:a -title:b", AllOf((WordSequence(("a",), "heading"), NotOf(WordSequence(("b",), "title"))))),
        ("title:OR", WordSequence(("or",), "title")),
        ("tıtle:a", WordSequence(("titl", "a"))),  # a Turkish dotless i
        ("subtitle:a", WordSequence(("subtitl", "a"))),
        ("note:a", WordSequence(("note", "a"))),
        ('"AND"', WordSequence(("and",))),
        ("a and b", AllOf((A, WordSequence(("and",)), B))),
        ("rotat*", WordSequence(("rotat*",))),
        ("title:rotat*", WordSequence(("rotat*",), "title")),
        ("foo_ba*", WordSequence(("foo", "ba*"))),
        ("happy*", AnyOf((WordSequence(("happy*",)), WordSequence(("happi",))))),  # the index holds `happi`
        ("C++", WordSequence(("c++",))),
        (
            "title:C++",
            AllOf((WordSequence(("c",), "title"), WordSequence(("c++",)))),
        ),  # whole identifiers are in no field
        ("東", WordSequence(("东*",))),
        ("東京*", WordSequence(("东京*",))),
    ],
)
def test_a_query_is_parsed_as(query, expression):
    assert parse_query(query, ENGLISH) == expression


@pytest.mark.parametrize(
    ("query", "place", "why"),
    [
        ("a (b", 3, "never closed"),
        ("a (", 3, "never closed"),
        ("a) b", 2, "closes none"),
        (") a", 1, "closes none"),
        ("a () b", 3, "is empty"),
        ('a "b', 3, "no partner"),
        ('title:"b', 7, "no partner"),
        ("a »", 3, "no partner"),
        ("a AND", 3, 'AND needs a word after it; to search for the word itself, put it in quotes: "AND"'),
        ("a OR OR b", 3, "OR needs a word after it"),
        ("a AND NOT", 7, "NOT needs a word after it"),
        ("OR a", 1, "OR needs a word before it"),
        ("(AND a)", 2, "AND needs a word before it"),
        ("a -AND b", 4, "AND needs a word before it"),
        ("a && b", 3, "no word in this"),
        ('a ""', 3, "no word in this"),
        ("a - b", 3, "no word in this"),
        ("a *", 3, "no word in this"),
        ("*a", 1, "can only end a word"),
        ("a*b", 1, "can only end a word"),
        ("a title: b", 3, "directly after title:"),
        ("heading:(a OR b)", 1, "directly after heading:"),
        ("NOT a", 1, "no word that must occur"),
        ("-a -b", 1, "no word that must occur"),
        ("a OR NOT b", 6, "no word that must occur"),
        ("a OR (b OR -c) OR d", 6, "no word that must occur"),
    ],
)
def test_an_error_is_shown_at_its_place(query, place, why):
    with pytest.raises(InputError) as error:
        parse_query(query, ENGLISH)
    message, shown, caret = str(error.value).split("\n")
    assert f"at character {place}:" in message
    assert why in message
    assert shown.strip() == query
    assert caret == " " * (place + 1) + "^"


@pytest.mark.parametrize("query", ["", "  ", "\n"])
def test_an_empty_query_is_an_error(query):
    with pytest.raises(InputError, match="is empty; write"):
        parse_query(query, ENGLISH)


def test_a_long_query_is_cut_around_the_error_and_wide_characters_are_wide():
    with pytest.raises(InputError) as error:
        parse_query("word\n" * 100 + "東京 *x " + "more " * 100, ENGLISH)
    _, shown, caret = str(error.value).split("\n")
    assert "character 504:" in str(error.value)
    assert shown.startswith("  …")
    assert shown.endswith("…")
    assert len(caret) - 1 == shown.index("*") + 2  # two columns wider than they are long
    assert len(shown) < 80


def test_negations_are_allowed_with_a_word_that_must_occur():
    assert not passes_empty(parse_query("a (b OR NOT c) -(d -b)", ENGLISH))
    assert parse_query("a AND (b OR NOT c)", ENGLISH) == AllOf((A, AnyOf((B, NotOf(C)))))


def nested(levels: int) -> str:
    return "a (b OR " * (levels // 2) + "c" + ")" * (levels // 2)


def test_depth_and_size_are_bounded():
    parse_query(nested(MAX_LEVELS), ENGLISH)
    parse_query("(" * MAX_LEVELS + "a" + ")" * MAX_LEVELS, ENGLISH)
    for deep in (nested(MAX_LEVELS + 2), "(" * 9_000, "(" * (MAX_LEVELS + 1) + "a" + ")" * (MAX_LEVELS + 1)):
        with pytest.raises(InputError, match="nested more than 12"):
            parse_query(deep, ENGLISH)
    parse_query(" OR ".join(f"w{n}" for n in range(MAX_WORDS)), ENGLISH)
    for large in (" ".join(f"w{n}" for n in range(MAX_WORDS + 1)), f'"{"w " * (MAX_WORDS + 1)}"'):
        with pytest.raises(InputError, match="more than 256 words"):
            parse_query(large, ENGLISH)
    assert parse_query("NOT " * 1001 + "a b", ENGLISH) == AllOf((NotOf(A), B))


def test_the_embedder_gets_only_the_positive_words():
    planned = plan('title:Mars ("red planets" OR rotat*) NOT (moon -title:Mars)', ENGLISH, "advanced")
    assert planned.text == "Mars red planets rotat"
    assert planned.keyword.terms == ("mar", "red", "planet", "rotat*")
    assert (planned.phrases, planned.excluded, planned.keyword.phrases) == ((), (), ())
    assert len(planned.keyword.matching) == 3


@given(st.lists(st.sampled_from([*'"“”«»()-*: ', " AND ", " OR ", " NOT ", "title:", "red ", "\ud800"]) | st.text()))
def test_any_text_is_parsed_or_an_input_error(pieces):
    query = "".join(pieces)
    try:
        planned = plan(query, ENGLISH, "advanced")
    except InputError as error:
        assert "the query" in str(error)  # noqa: PT017 - either outcome is right
        return
    assert planned.keyword.terms
    assert planned.keyword.matching
    assert len(planned.text) <= len(query)


@pytest.mark.parametrize(("query", "tokens"), [("\u4f1a*", ("\u4f1a*",)), ("ab\u4f1a*", ("ab", "\u4f1a*"))])
def test_a_single_character_that_is_a_prefix_already_gets_no_second_star(query, tokens):
    assert parse_query(query, Analyser("english")).tokens == tokens
