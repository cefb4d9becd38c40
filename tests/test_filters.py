"""Filters: what they mean in memory, how they are written, and what is refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.filters import (
    MAX_CONDITIONS,
    MAX_LEVELS,
    OPERATORS,
    And,
    Comparison,
    Filter,
    Not,
    Or,
    field,
    from_text,
    matches,
    parse,
    place_of,
    to_dict,
)

PAPER = {
    "year": 2020,
    "score": 0.5,
    "lang": "en",
    "open": True,
    "note": None,
    "tags": ["a", 1, True, None, ["deep"]],
    "author": {"name": "Ada", "born.in": "London"},
    "@type": "article",
    "$price": 3,
    "": "nameless",
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
names = st.text(st.sampled_from("ab_é"), min_size=1, max_size=3)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
comparisons = st.one_of(
    st.builds(Comparison, names, st.sampled_from(["eq", "ne", "contains"]), scalars),
    st.builds(
        Comparison, names, st.sampled_from(["gt", "gte", "lt", "lte"]), scalars.filter(lambda v: v is not None)
    ),
    st.builds(Comparison, names, st.sampled_from(["in", "nin"]), st.lists(scalars, max_size=3)),
    st.builds(Comparison, names, st.just("prefix"), texts),
    st.builds(Comparison, names, st.just("exists"), st.booleans()),
)
trees = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=8,
)


def kept(where, metadata=PAPER, **own):
    return matches(parse(where), metadata, **own)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"year": 2020}, True),
        ({"year": 2020.0}, True),
        ({"year": "2020"}, False),
        ({"year": {"$ne": "2020"}}, True),
        ({"year": {"$gte": 2020, "$lt": 2021}}, True),
        ({"year": {"$gt": 2020}}, False),
        ({"year": {"$lte": 2019.5}}, False),
        ({"year": {"$lt": "z"}}, False),
        ({"open": True}, True),
        ({"open": 1}, False),
        ({"open": {"$gt": False}}, True),
        ({"score": False}, False),
        ({"note": None}, True),
        ({"note": {"$ne": None}}, False),
        ({"nothing": None}, False),
        ({"nothing": {"$ne": None}}, True),
        ({"nothing": {"$nin": [1]}}, True),
        ({"nothing": {"$in": [None]}}, False),
        ({"nothing": {"$lt": 5}}, False),
        ({"$not": {"nothing": {"$lt": 5}}}, True),
        ({"note": {"$exists": True}}, True),
        ({"note": {"$exists": False}}, False),
        ({"nothing": {"$exists": False}}, True),
        ({"lang": {"$in": ["de", "en"]}}, True),
        ({"lang": {"$in": []}}, False),
        ({"lang": {"$nin": []}}, True),
        ({"lang": {"$gt": "e"}}, True),
        ({"lang": {"$prefix": "e"}}, True),
        ({"lang": {"$prefix": "E"}}, False),
        ({"lang": {"$prefix": ""}}, True),
        ({"year": {"$prefix": ""}}, False),
        ({"lang": {"$contains": "n"}}, True),
        ({"lang": {"$contains": "N"}}, False),
        ({"lang": {"$contains": 1}}, False),
        ({"year": {"$contains": 2020}}, False),
        ({"tags": {"$contains": "a"}}, True),
        ({"tags": {"$contains": 1.0}}, True),
        ({"tags": {"$contains": False}}, False),
        ({"tags": {"$contains": None}}, True),
        ({"tags": {"$contains": "deep"}}, False),
        ({"tags": "a"}, False),
        ({"tags.0": "a"}, False),
        ({"author": "Ada"}, False),
        ({"author": {"$contains": "name"}}, False),
        ({"author.name": "Ada"}, True),
        ({"author.name.first": {"$exists": False}}, True),
        ({"author.born\\.in": "London"}, True),
        ({"author.born.in": "London"}, False),
        ({"\\@type": "article"}, True),
        ({"\\$price": 3}, True),
        ({"": "nameless"}, True),
        ({"lang": "en", "year": 1}, False),
        ({"$or": [{"lang": "de"}, {"year": 2020}]}, True),
        ({"$or": [{"lang": "de"}, {"year": 1}], "open": True}, False),
        ({"$and": []}, True),
        ({"$or": []}, False),
        ({"$not": {}}, False),
        ({"$or": [{}]}, True),
        ({"@id": "x"}, True),
        ({"@title": {"$contains": "itl"}}, True),
        ({"@uri": {"$prefix": "file:"}}, True),
        ({"@uri": {"$ne": 5}}, True),
    ],
)
def test_a_filter_keeps_what_it_says(where, expected):
    assert kept(where, id="x", title="Title", uri="file:///a") is expected


def test_no_filter_and_the_empty_mapping_restrict_nothing():
    assert parse(None) is None
    assert parse({}) is None
    assert matches(None, {})


def test_neighbours_beyond_float_precision_stay_apart():
    assert kept({"n": 2**53 + 1}, {"n": 2**53 + 1})
    assert not kept({"n": float(2**53)}, {"n": 2**53 + 1})
    assert kept({"n": {"$gt": float(2**53)}}, {"n": 2**53 + 1})


def test_a_stored_integer_beyond_int64_compares_as_a_float():
    assert kept({"n": 2.0**70}, {"n": 2**70 + 1})
    assert kept({"n": {"$gt": 1e308}}, {"n": 10**400})
    assert kept({"n": {"$lt": -1e308}}, {"n": -(10**400)})


def test_the_builder_builds_what_the_mapping_says():
    year = field("year")
    pairs = [
        (year == 1, {"year": 1}),
        (year != 1, {"year": {"$ne": 1}}),
        (year > 1, {"year": {"$gt": 1}}),
        (year >= 1, {"year": {"$gte": 1}}),
        (year < 1, {"year": {"$lt": 1}}),
        (year <= 1, {"year": {"$lte": 1}}),
        (1 <= year, {"year": {"$gte": 1}}),  # noqa: SIM300 - the mirrored form is what is tested
        (year.in_([1, 2]), {"year": {"$in": [1, 2]}}),
        (year.nin(n for n in (1, 2)), {"year": {"$nin": [1, 2]}}),
        (year.contains(1), {"year": {"$contains": 1}}),
        (year.prefix("1"), {"year": {"$prefix": "1"}}),
        (year.exists(), {"year": {"$exists": True}}),
        (year.exists(False), {"year": {"$exists": False}}),
        ((year > 1) & (year < 5) & (year != 3), {"year": {"$gt": 1, "$lt": 5, "$ne": 3}}),
        ((year > 1) | ~(year == 0), {"$or": [{"year": {"$gt": 1}}, {"$not": {"year": 0}}]}),
        (parse({"$and": [year == 1, {"a": 2}]}), {"$and": [{"year": 1}, {"a": 2}]}),
    ]
    for built, written in pairs:
        assert built == parse(written)


def test_equal_to_one_and_equal_to_true_are_two_filters():
    assert parse({"a": 1}) != parse({"a": True})
    assert parse({"a": {"$in": [1]}}) != parse({"a": {"$in": [True]}})
    assert len({field("a") == 1, field("a") == True, field("a") == 1.0}) == 2  # noqa: E712 - it builds


def test_a_chain_or_an_and_between_filters_is_an_error():
    with pytest.raises(InputError, match="&"):
        _ = 1 < field("a") < 5
    with pytest.raises(InputError, match="&"):
        _ = (field("a") == 1) and (field("b") == 2)
    with pytest.raises(InputError, match="brackets"):
        _ = (field("a") == 1) & 5


@given(trees)
def test_a_filter_survives_its_mapping_form_and_json(tree):
    assert parse(to_dict(tree)) == tree
    assert from_text(json.dumps(to_dict(tree))) == tree


@given(trees, st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=4))
def test_a_negation_keeps_exactly_the_rest(tree, metadata):
    assert matches(~tree, metadata) is not matches(tree, metadata)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"year": {"$gtee": 1}}, r"\$gte, "),
        ({"year": {"gte": 1}}, r'\$gte.*"author.name"'),
        ({"author": {"name": "Ada"}}, '"author.name"'),
        ({"author": {"$eq": 1, "name": "Ada"}}, "'name'"),
        ({"year": {}}, "no keys"),
        ({"$nor": []}, r"\$and, \$or"),
        ({"$and": {"a": 1}}, "list of filters"),
        ({"$or": [1]}, "mapping"),
        ({"$not": 5}, "mapping"),
        ({"lang": ["en"]}, r"\$in"),
        ({"lang": {"$eq": {"a": 1}}}, "text, number"),
        ({"lang": b"en"}, "text, number"),
        ({"lang": {"$in": "en"}}, "list of values"),
        ({"lang": {"$in": 5}}, "list of values"),
        ({"lang": {"$in": [["en"]]}}, "text, number"),
        ({"a": math.nan}, "JSON number"),
        ({"a": {"$lt": math.inf}}, "JSON number"),
        ({"a": 2**63}, r"2\*\*63"),
        ({"a": {"$in": [-(2**63) - 1]}}, r"2\*\*63"),
        ({"a": {"$gt": None}}, r"\$exists"),
        ({"a": {"$prefix": 1}}, "a text"),
        ({"a": {"$exists": 1}}, "true or false"),
        ({"a": "\ud800"}, "surrogate"),
        ({"a\ud800": 1}, "surrogate"),
        ({"a\0": 1}, "NUL"),
        ({"a\\b": 1}, "backslash"),
        ({"a\\": 1}, "backslash"),
        ({"@date": 1}, "@title"),
        ({5: 1}, "name is text"),
        ("year>1", "mapping"),
        ([("year", 1)], "mapping"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_remedy(where, says):
    with pytest.raises(InputError, match=says):
        parse(where)


def test_every_operator_is_named_when_one_is_unknown():
    with pytest.raises(InputError) as error:
        parse({"a": {"$like": 1}})
    assert all(f"${name}" in str(error.value) for name in OPERATORS)


def test_depth_is_bounded():
    where: dict = {"a": 1}
    for _ in range(MAX_LEVELS - 1):
        where = {"$not": where}
    assert kept(where, {"a": 1}) is (MAX_LEVELS % 2 == 1)
    built = parse(where)
    for deeper in ({"$not": where}, Not(built), {"$and": [built]}):
        with pytest.raises(InputError, match="deep"):
            parse(deeper)
    where["$not"] = where
    with pytest.raises(InputError, match="deep"):
        parse(where)


def test_size_is_bounded_but_not_that_of_a_list():
    with pytest.raises(InputError, match=r"\$in"):
        parse({"$or": [{"a": n} for n in range(MAX_CONDITIONS)]})
    assert kept({"$or": [{"a": n} for n in range(MAX_CONDITIONS - 1)]}, {"a": MAX_CONDITIONS - 2})
    assert kept({"a": {"$in": range(50_000)}}, {"a": 49_999})
    shared: Filter = field("a") == 1
    for _ in range(40):  # 2**40 paths through 40 objects
        shared = Or((shared, shared))
    with pytest.raises(InputError, match="large"):
        parse(shared)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("year>=2020", {"year": {"$gte": 2020}}),
        (" year <= 2020.5 ", {"year": {"$lte": 2020.5}}),
        ("year>1", {"year": {"$gt": 1}}),
        ("year<1", {"year": {"$lt": 1}}),
        ("lang=en", {"lang": "en"}),
        ("lang==en", {"lang": "en"}),
        ('lang="2020"', {"lang": "2020"}),
        ("lang!=null", {"lang": {"$ne": None}}),
        ("open=true", {"open": True}),
        ("title=", {"title": ""}),
        ("title=a = b?", {"title": "a = b?"}),
        ("x=NaN", {"x": "NaN"}),
        ("@title~two words", {"@title": {"$contains": "two words"}}),
        ("tags~3", {"tags": {"$contains": 3}}),
        ("version^=3.1", {"version": {"$prefix": "3.1"}}),
        ('version^="3', {"version": {"$prefix": '"3'}}),
        ('version^="3"', {"version": {"$prefix": "3"}}),
        ("author.name=Ada", {"author.name": "Ada"}),
        ("note?", {"note": {"$exists": True}}),
        ('{"year": {"$gte": 2020}, "lang": "en"}', {"year": {"$gte": 2020}, "lang": "en"}),
        ("{}", {"$and": []}),
    ],
)
def test_the_command_line_form_means(text, meant):
    assert from_text(text) == parse(meant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "year",
        "?",
        "=1",
        '{"a": 1',
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": ' * 100_000,
        "a=[1]",
        "a=1e999",
        "a>null",
        '{"a": ' + "1" * 5000 + "}",
    ],
)
def test_a_command_line_form_that_means_nothing_is_refused(text):
    with pytest.raises(InputError):
        from_text(text)


def test_a_place_is_a_column_or_a_path_of_keys():
    assert place_of("@id") == "id"
    assert place_of("a..b") == ("a", "", "b")
    assert place_of(r"\@id.a\\\.b.") == ("@id", r"a\.b", "")
    assert place_of("a.@id.$x") == ("a", "@id", "$x")
