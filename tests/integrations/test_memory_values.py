"""Values and filters of memories without a store: the prefilter keeps everything that passes."""

import json

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.filters import matches, parse
from hybridstore.integrations.memory_values import check_filter, json_copy, matches_path, passes, prefilter

KEYS = st.sampled_from(["a", "b", "a.b", "$x", "@id", "\\", "", "é", "a\nb"])
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.sampled_from(["", "a", "1", "é"]))
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3))
WANTED = st.one_of(
    VALUES, st.dictionaries(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), PLAIN, min_size=1)
)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, WANTED, max_size=2))
def test_the_prefilter_keeps_every_value_that_passes(value, expected):
    try:
        check_filter(expected)
    except InputError:
        reject()
    narrow = parse(prefilter(expected, "value"))
    if passes(value, expected):
        assert matches(narrow, {"value": value})


@given(st.dictionaries(KEYS, st.sampled_from(["x", "y"]), max_size=4), KEYS, st.sampled_from(["x", "y"]))
def test_the_prefilter_of_a_text_is_exact(value, key, text):
    narrow = prefilter({key: text}, "value")
    if narrow.filters:  # a key that is not printable is looked at one by one
        assert matches(narrow, {"value": value}) is passes(value, {key: text})


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_json_copy_is_equal(value):
    copy = json_copy(value)
    assert copy == value
    assert json.loads(json.dumps(copy)) == value


@pytest.mark.parametrize(
    ("expected", "left"),
    [
        (3, [3, 3.0, True, False]),
        ({"$eq": 0.1}, [0.1, True, False]),
        ({"$gt": 3}, [3, 3.0, 7, 10**30, True, False, "10", "x"]),
        ({"$gte": 0.1, "$lt": 3}, [0.1, 3, 3.0, True, False, "10", "x"]),
        ({"$ne": 3}, [3, 3.0, 7, 10**30, 0.1, True, False, "10", "x", None]),
        ({"$gt": 10**20}, [3, 3.0, 7, 10**30, 0.1, True, False, "10", "x", None]),
        ("x", ["x"]),
        (None, [3, 3.0, 7, 10**30, 0.1, True, False, "10", "x", None]),
    ],
    ids=str,
)
def test_the_prefilter_of_numbers_keeps_few_others(expected, left):
    values = [3, 3.0, 7, 10**30, 0.1, True, False, "10", "x", None]
    narrow = prefilter({"k": expected}, "value")
    stored = [value for value in values if matches(narrow, {"value": {"k": value}})]
    assert sorted(map(repr, stored)) == sorted(map(repr, left))
    assert all(value in stored for value in values if passes({"k": value}, {"k": expected}))


def test_tuples_become_lists():
    assert json_copy({"a": (1, (2,))}) == {"a": [1, [2]]}


@pytest.mark.parametrize(
    ("value", "expected", "answer"),
    [
        (2**53 + 1, {"$gt": 2**53}, True),  # whole numbers are compared as such
        (10**400, {"$gt": 1.5}, True),
        ("10", {"$gt": 9}, True),
        ("10", {"$gt": "9"}, True),
        ("abc", {"$gt": "abb"}, True),
        ("abc", {"$gt": 1}, False),
        (None, {"$lt": 1}, False),
        ([1], {"$lt": 2}, False),
        (True, {"$gte": 1}, True),
        (1, {"$eq": True}, True),
        (None, {"$ne": 1}, True),
        ([1, 2], [1], False),
        ({"x": 1, "y": 2}, {"x": 1}, True),
        (5, {"x": 1}, False),
    ],
    ids=str,
)
def test_values_are_compared_as_langgraph_compares_them(value, expected, answer):
    assert passes({"k": value}, {"k": expected}) is answer


@pytest.mark.parametrize(
    ("kind", "path", "answer"),
    [
        ("prefix", ("a",), True),
        ("prefix", ("*", "b"), True),
        ("prefix", ("b",), False),
        ("suffix", ("c",), True),
        ("suffix", ("b", "*"), True),
        ("suffix", ("a",), False),
        ("prefix", (), True),
        ("suffix", (), True),
        ("prefix", ("a", "b", "c", "d"), False),
    ],
)
def test_a_namespace_matches_a_path(kind, path, answer):
    assert matches_path(("a", "b", "c"), kind, path) is answer
