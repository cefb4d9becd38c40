"""Parsing filters from mappings and the command line, and its errors."""

import math

import pytest

from hybridstore.errors import InputError
from hybridstore.filters import (
    MAX_CONDITIONS,
    MAX_LEVELS,
    OPERATORS,
    Filter,
    Not,
    Or,
    field,
    from_text,
    matches,
    parse,
)


@pytest.mark.parametrize(
    ("where", "message"),
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
        ({"lang": {"$eq": {"a": 1}}}, "string, number"),
        ({"lang": b"en"}, "string, number"),
        ({"lang": {"$in": "en"}}, "list of values"),
        ({"lang": {"$in": 5}}, "list of values"),
        ({"lang": {"$in": [["en"]]}}, "string, number"),
        ({"lang": {"$all": "en"}}, r"\$all of 'lang' takes a list of values"),
        ({"lang": {"$all": 5}}, r"\$all of 'lang' takes a list of values"),
        ({"a": math.nan}, "JSON number"),
        ({"a": {"$lt": math.inf}}, "JSON number"),
        ({"a": 2**63}, r"2\*\*63"),
        ({"a": {"$in": [-(2**63) - 1]}}, r"2\*\*63"),
        ({"a": {"$gt": None}}, r"\$exists"),
        ({"a": {"$prefix": 1}}, "takes text"),
        ({"a": {"$exists": 1}}, "true or false"),
        ({"a": "\ud800"}, "surrogate"),
        ({"a\ud800": 1}, "surrogate"),
        ({"a\0": 1}, "NUL"),
        ({"a\\b": 1}, "backslash"),
        ({"a\\": 1}, "backslash"),
        ({"@date": 1}, "@title"),
        ({5: 1}, "name must be a string"),
        ("year>1", "mapping"),
        ([("year", 1)], "mapping"),
    ],
)
def test_an_invalid_filter_is_rejected_with_a_remedy(where, message):
    with pytest.raises(InputError, match=message):
        parse(where)


def test_every_operator_is_named_when_one_is_unknown():
    with pytest.raises(InputError) as error:
        parse({"a": {"$like": 1}})
    assert all(f"${name}" in str(error.value) for name in OPERATORS)


def test_depth_is_bounded():
    where: dict = {"a": 1}
    for _ in range(MAX_LEVELS - 1):
        where = {"$not": where}
    assert matches(parse(where), {"a": 1}) is (MAX_LEVELS % 2 == 1)
    built = parse(where)
    for deeper in ({"$not": where}, Not(built), {"$and": [built]}):
        with pytest.raises(InputError, match="deep"):
            parse(deeper)
    where["$not"] = where
    members: list = []
    members.append({"$and": members})
    for endless in (where, {"$or": members}):
        with pytest.raises(InputError, match="deep"):
            parse(endless)


def test_size_is_bounded_but_not_that_of_a_list():
    with pytest.raises(InputError, match=r"\$in"):
        parse({"$or": [{"a": n} for n in range(MAX_CONDITIONS)]})
    assert matches(parse({"$or": [{"a": n} for n in range(MAX_CONDITIONS - 1)]}), {"a": MAX_CONDITIONS - 2})
    assert matches(parse({"a": {"$in": range(50_000)}}), {"a": 49_999})
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
def test_the_command_line_form(text, meant):
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
def test_an_invalid_command_line_filter_is_rejected(text):
    with pytest.raises(InputError):
        from_text(text)


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("year>>2020", 6, "not part of a comparison"),
        ("year=>2020", 6, "not part of a comparison"),
        ("year<>2020", 6, "not part of a comparison"),
        ("year===2020", 7, "not part of a comparison"),
        ("year >= = 2020", 9, "not part of a comparison"),
        ("year!>2020", 5, "not part of a comparison"),
        (">=2020", 1, "not part of a comparison"),
        ("year>=", 7, "a value is missing"),
        ("year", 5, "there is no comparison"),
        ("year 2020", 10, "there is no comparison"),
        ("year>2020 and lang=en", 10, "only one comparison"),
        ("year>2020,lang=en", 10, "only one comparison"),
        ("lang=en && year < 5", 8, "only one comparison"),
        ("lang='en'", 6, "quotes"),
        ("lang=''", 6, "quotes"),
        ('lang="en', 6, "quotes"),
    ],
)
def test_a_malformed_condition_is_an_error_that_shows_the_place(text, place, why):
    with pytest.raises(InputError, match=why) as raised:
        from_text(text)
    message = str(raised.value)
    assert f"at character {place}:" in message
    *_, shown, caret = message.splitlines()
    assert shown.strip() == text
    assert caret.index("^") - shown.index(text[0]) == place - 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('note=">2020"', ">2020"),
        ('lang=""', ""),
        ('note="a and b=c"', "a and b=c"),
        ("note=rock and roll", "rock and roll"),
        ("note='tis", "'tis"),
        ("note='", "'"),
        ("n=-5", -5),
        ("path=a/b, c", "a/b, c"),
    ],
)
def test_a_value_with_signs_can_be_quoted(text, value):
    assert from_text(text).value == value
