"""Structured queries as values: joined, printed, read back, written as JSON, and refused where they make no sense."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridstore as hs
from hybridstore import about, field, query_from, where, words
from hybridstore.search.algebra import Conjunction, Disjunction, Negation

texts = st.one_of(
    st.sampled_from(
        ["solar power", "C++", 'a "quoted" one', "AND", "not -x", "R&D (draft)", "über [alles]", "2 * b", "a\\"]
    ),
    st.text(min_size=1, max_size=20).filter(lambda text: any(map(str.isalnum, text))),
)
weights = st.sampled_from([0.5, 2.0, 1.25, 3e-7])
alphas = st.sampled_from([0.5, 0.25, 1.5])
leaves = st.one_of(
    texts.map(about),
    st.builds(lambda text, to, by: about(text).more(to, by), texts, st.sampled_from(["cheap", "old cars"]), alphas),
    st.builds(lambda text, to, by: about(text).less(to, by), texts, st.sampled_from(["cheap", "old cars"]), alphas),
    st.builds(words, texts, st.sampled_from(["", "title", "heading"])),
    st.sampled_from([where({"year": {"$gte": 2020}}), where(field("tags").in_(["a]", 'b"'])), where({"x.y": None})]),
)
queries = st.recursive(
    st.one_of(leaves, st.builds(lambda leaf, weight: leaf * weight, leaves, weights)),
    lambda below: st.one_of(
        st.builds(lambda a, b: a & b, below, below),
        st.builds(lambda a, b: a | b, below, below),
        below.map(lambda a: ~a),
        st.builds(lambda a, weight: weight * a, below, weights),
    ),
    max_leaves=6,
).filter(lambda query: query.weight < 50)


@given(queries)
def test_every_query_is_read_back_from_its_text_its_json_and_its_repr(query):
    assert query_from(str(query)) == query
    assert query_from(query.to_dict()) == query
    assert eval(repr(query), {"about": about, "words": words, "where": where}) == query  # noqa: S307 - our own repr
    assert pickle.loads(pickle.dumps(query)) == query  # noqa: S301 - pickled here
    assert hash(query) == hash(query_from(query.to_dict()))


@given(st.text(alphabet='ab &|~-()[]{}"+*=>0.:ANDORT\\', max_size=40))
def test_any_text_is_a_query_or_an_error_that_shows_its_place(text):
    try:
        query = query_from(text)
    except hs.InputError:
        return
    assert query_from(str(query)) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("solar power & storage & ~lithium", about("solar power") & about("storage") & ~about("lithium")),
        (
            "solar AND storage -lithium battery",
            about("solar") & about("storage") & ~about("lithium") & about("battery"),
        ),
        (
            'a (b | c) -"x y" [year>=2020]',
            about("a") & (about("b") | about("c")) & ~words("x y") & (field("year") >= 2020),
        ),
        ("a & b | c", (about("a") & about("b")) | about("c")),
        ("2 * (a | b) & c", 2 * (about("a") | about("b")) & about("c")),
        ("phone {+cheap} {-0.3 gaming}", about("phone").more("cheap").less("gaming", 0.3)),
        ('title:"keys" OR about:"a & b"', words("keys", "title") | about("a & b")),
        ("well-known R&D -x", about("well-known R&D") & ~about("x")),
        ('{"all": [{"about": "a"}, {"not": {"words": "b"}}]}', about("a") & ~words("b")),
    ],
)
def test_the_text_syntax(text, query):
    assert query_from(text) == query


def test_joining_flattens_and_negating_twice_changes_nothing():
    a, b, c = map(about, "abc")
    assert (a & b & c) == Conjunction((a, b, c)) == a & (b & c)
    assert (a | b | c) == Disjunction((a, b, c))
    assert (2 * (a & b) & c) == Conjunction((2 * (a & b), c))
    assert ~~a == a
    assert ~(2 * a) == 2 * ~a == Negation(a, 2.0)
    assert 2 * (3 * a) == 6 * a


def test_filters_join_from_either_side():
    recent, topic = field("year") >= 2020, about("solar")
    assert recent & topic == where(recent) & topic
    assert topic | recent == topic | where(recent)
    with pytest.raises(hs.InputError, match="filters combine"):
        recent & "solar"


@pytest.mark.parametrize(
    "make",
    [
        lambda: about(""),
        lambda: about("?!"),
        lambda: about(3),
        lambda: about("x" * 10_001),
        lambda: words("a", "body"),
        lambda: where({}),
        lambda: about("a") & "b",
        lambda: bool(about("a")),
        lambda: about("a") * 0,
        lambda: about("a") * float("nan"),
        lambda: about("a") * 1_000,
        lambda: about("a") * True,
        lambda: about("a").more("b", 0),
        lambda: about("a").less("b", float("inf")),
        lambda: about("a").more(""),
        lambda: Conjunction((about("a"),)),
        lambda: Conjunction((about("a"), "b")),
        lambda: query_from(3),
        lambda: query_from({}),
        lambda: query_from({"about": "a", "words": "b"}),
        lambda: query_from({"about": "a", "colour": "b"}),
        lambda: query_from({"about": "a", "weight": "2"}),
        lambda: query_from({"about": "a", "directions": [["b"]]}),
        lambda: query_from({"all": "ab"}),
        lambda: query_from({"where": "year>1"}),
        lambda: query_from('{"all": [1'),
        lambda: query_from("(" * 500 + "a" + ")" * 500),
        lambda: query_from("~" * 5_000 + "a"),
        lambda: query_from({"any": [{"about": str(n)} for n in range(33)]}),
        lambda: query_from(" | ".join(f'"{n}"' for n in range(200))),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(hs.InputError):
        make()


def test_a_text_without_a_word_is_an_empty_query():
    with pytest.raises(hs.EmptyQuery):
        query_from("  ")


@pytest.mark.parametrize("text", ['about("solar")', "a & ~words(lithium)", "(field(year) >= 2020)"])
def test_python_in_a_text_is_not_taken_for_words(text):
    with pytest.raises(hs.InputError, match="is Python"):
        query_from(text)
    assert query_from("about (solar)") == about("about") & about("solar")


def test_a_nested_mapping_is_refused_before_python_runs_out_of_levels():
    value = {"about": "a"}
    for _ in range(5_000):
        value = {"not": value}
    with pytest.raises(hs.InputError, match="levels"):
        query_from(value)
