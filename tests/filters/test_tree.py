"""Filters built in Python, and what holds for any of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridstore.errors import InputError
from hybridstore.filters import And, Comparison, Not, Or, field, field_path, from_text, matches, parse, to_dict

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
    st.builds(Comparison, names, st.sampled_from(["gt", "gte", "lt", "lte"]), scalars.filter(lambda v: v is not None)),
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


def test_the_builder_and_the_mapping_form_give_equal_filters():
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


def test_a_field_cannot_be_looked_up_where_its_equality_would_build_a_filter():
    with pytest.raises(TypeError, match="hash"):
        _ = {field("a")}


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
def test_a_negation_keeps_the_complement(tree, metadata):
    assert matches(~tree, metadata) is not matches(tree, metadata)


def test_a_field_path_is_an_own_field_or_keys():
    assert field_path("@id") == "id"
    assert field_path("$.a..b") == (("a", "", "b"),)
    assert field_path(r"$.\@id.a\\\.b.") == (("@id", r"a\.b", ""),)
    assert field_path("$.a.@id.$x") == (("a", "@id", "$x"),)
    assert field_path("a") == field_path("$.a") == (("a",),)


def test_neighbouring_keys_may_be_one_key_with_a_dot():
    assert field_path("a.b") == (("a", "b"), ("a.b",))
    assert field_path("a.b.c") == (("a", "b", "c"), ("a", "b.c"), ("a.b", "c"), ("a.b.c",))
    assert len(field_path("a.b.c.d")) == 8
    assert field_path("a.b.c.d.e") == (("a", "b", "c", "d", "e"), ("a.b.c.d.e",))
    assert field_path(r"a\.b") == (("a.b",),)
