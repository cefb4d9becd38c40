"""What a filter keeps of documents in memory."""

import contextlib
import time
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from uuid import UUID

import numpy as np
import pytest

from hybridstore.errors import InputError
from hybridstore.filters import field, matches, parse, passes_all, predicate, to_dict
from hybridstore.filters.text_tests import BoundedPattern, instant

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
    "a.b": 2,
    "x": {"y": 1},
    "x.y": 2,
}


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
        ({"tags": "a"}, True),
        ({"tags": "b"}, False),
        ({"tags": "deep"}, False),
        ({"tags": None}, True),
        ({"tags": {"$ne": "a"}}, False),
        ({"tags": {"$ne": "b"}}, True),
        ({"tags": {"$in": ["b", "a"]}}, True),
        ({"tags": {"$in": ["b", "c"]}}, False),
        ({"tags": {"$nin": ["b", "a"]}}, False),
        ({"tags": {"$nin": ["b", "c"]}}, True),
        ({"tags": {"$any": ["b", "a"]}}, True),
        ({"lang": {"$any": ["de", "en"]}}, True),
        ({"tags": {"$all": ["a", 1, None]}}, True),
        ({"tags": {"$all": ["a", "b"]}}, False),
        ({"lang": {"$all": ["en"]}}, True),
        ({"lang": {"$all": []}}, True),
        ({"tags": {"$gt": 0}}, True),
        ({"tags": {"$gt": 1}}, False),
        ({"tags": {"$prefix": "a"}}, True),
        ({"tags": {"$ieq": "A"}}, True),
        ({"lang": {"$ieq": "EN"}}, True),
        ({"lang": {"$ieq": "E"}}, False),
        ({"year": {"$ieq": "2020"}}, False),
        ({"lang": {"$regex": "^e"}}, True),
        ({"lang": {"$regex": "^E"}}, False),
        ({"lang": {"$regex": "(?i)^E.$"}}, True),
        ({"year": {"$regex": "2"}}, False),
        ({"nothing": {"$regex": ""}}, False),
        ({"tags": {"$regex": "[ab]"}}, True),
        ({"@title": {"$regex": "T.*e"}}, True),
        ({"@id": {"$ieq": "X"}}, True),
        ({"tags.0": "a"}, False),
        ({"author": "Ada"}, False),
        ({"author": {"$contains": "name"}}, False),
        ({"author.name": "Ada"}, True),
        ({"author.name.first": {"$exists": False}}, True),
        ({"author.born\\.in": "London"}, True),
        ({"author.born.in": "London"}, True),  # author.born is missing, so it is the key "born.in"
        ({"$.author.born.in": "London"}, False),
        ({"$.author.name": "Ada"}, True),
        ({"a.b": 2}, True),
        ({"a\\.b": 2}, True),
        ({"$.a.b": 2}, False),
        ({"a.b.c": {"$exists": True}}, False),
        ({"x.y": 1}, True),  # the nested value counts, where there is one
        ({"x.y": 2}, False),
        ({"x\\.y": 2}, True),
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
def test_a_filter_keeps_the_matching_documents(where, expected):
    assert kept(where, id="x", title="Title", uri="file:///a") is expected


def test_no_filter_and_the_empty_mapping_restrict_nothing():
    assert parse(None) is None
    assert parse({}) is None
    assert matches(None, {})


def test_adjacent_integers_beyond_float_precision_are_distinct():
    assert kept({"n": 2**53 + 1}, {"n": 2**53 + 1})
    assert not kept({"n": float(2**53)}, {"n": 2**53 + 1})
    assert kept({"n": {"$gt": float(2**53)}}, {"n": 2**53 + 1})


def test_a_stored_integer_beyond_int64_compares_as_a_float():
    assert kept({"n": 2.0**70}, {"n": 2**70 + 1})
    assert kept({"n": {"$gt": 1e308}}, {"n": 10**400})
    assert kept({"n": {"$lt": -1e308}}, {"n": -(10**400)})


def test_metadata_may_be_any_mapping():
    assert kept({"author.name": "Ada"}, MappingProxyType({"author": MappingProxyType({"name": "Ada"})}))


NOTHING = {"a": {"$in": []}}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, True),
        ({"a": 1}, False),
        ({"$and": [{"a": 1}, {}]}, False),
        ({"$or": [{"a": 1}, {}]}, True),
        ({"$or": [{"a": 1}]}, False),
        ({"a": {"$nin": []}}, True),
        ({"a": {"$nin": [1]}}, False),
        ({"a": {"$prefix": ""}}, True),
        ({"a": {"$prefix": "b"}}, False),
        (NOTHING, False),
        ({"$not": NOTHING}, True),
        ({"$not": {"a": 1}}, False),
        ({"$not": {"a": {"$in": [1]}}}, False),
        ({"$not": {"$and": [{"a": 1}, NOTHING]}}, True),
        ({"$not": {"$and": [{"a": 1}]}}, False),
        ({"$not": {"$or": [{"a": 1}, NOTHING]}}, False),
        ({"$not": {"$or": [NOTHING, NOTHING]}}, True),
        ({"$not": {"$not": {}}}, True),
        ({"$not": {"$not": {"a": 1}}}, False),
    ],
)
def test_a_filter_that_restricts_nothing_is_recognised(where, expected):
    assert passes_all(parse({"$and": [where]})) is expected


def test_a_predicate_is_built_once_for_many_documents():
    passes = predicate(parse({"$or": [{"year": {"$gt": 2000}}, {"@id": "old"}], "$not": {"tags": {"$contains": "b"}}}))
    documents = [
        ({"year": 2020, "tags": ["a"]}, "new", True),
        ({"year": 2020, "tags": ["a", "b"]}, "new", False),
        ({"year": 1999}, "new", False),
        ({"year": 1999}, "old", True),
        ({}, "old", True),
        ({"year": "2020"}, "new", False),
    ]
    own = {"title": "", "uri": ""}
    assert [passes(metadata, {"id": id_, **own}) for metadata, id_, _ in documents] == [kept for *_, kept in documents]


@pytest.mark.parametrize(
    ("stored", "where", "expected"),
    [
        ("2024-05-01T02:00:00+02:00", "2024-05-01", True),
        ("2024-05-01T00:00:00Z", "2024-05-01T02:00+02:00", True),
        ("2024-05-01 00:00", "2024-05-01T00:00:00.000Z", True),
        ("2024-05", "2024-05-01", True),
        ("2024-05-01", date(2024, 5, 1), True),
        ("2024-05-01T00:00:00", datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))), True),
        ("2024-05-01", {"$in": [date(2024, 5, 1), "x", 5]}, True),
        ("2024-05-01", {"$nin": [datetime(2024, 5, 1, tzinfo=UTC)]}, False),
        ("2024-05-01T00:30:00+02:00", {"$lt": "2024-05-01"}, True),  # still April in UTC
        ("2024-04-30T23:30:00-02:00", {"$gte": "2024-05-01"}, True),
        ("2024-04-30T23:30:00-02:00", {"$gt": datetime(2024, 5, 1, 1, 29, tzinfo=UTC)}, True),
        ("2024-04-30T23:30:00-02:00", {"$gt": np.datetime64("2024-05-01T01:30")}, False),
        ("2024-05-01t00:00z", {"$lte": "2024-05-01"}, True),
        ("2024-05-01T00:00:00,5", {"$gt": "2024-05-01"}, True),
        ("none yet", {"$lt": "2024-05-01"}, False),  # no date
        ("2024-02-30", {"$lt": "2024-05-01"}, False),  # not one either
        (20240501, {"$gte": "2024-05-01"}, False),
        ("2024-05-01T00:00+02:00", {"$prefix": "2024-05-01"}, True),  # as text
        ("2024-05-01", "2024-05", False),  # a month alone is compared as text
        (["2023-01-01", "2024-05-01T02:00+02:00"], "2024-05-01", True),
        ("0001-01-01T00:00+14:00", {"$lt": "0001-01-01"}, True),
        ("9999-12-31T23:00-14:00", {"$gt": "9999-12-31T23:59"}, True),
    ],
)
def test_dates_are_compared_as_instants(stored, where, expected):
    assert kept({"d": where}, {"d": stored}) is expected


def test_an_instant_is_counted_from_1970():
    assert instant("1970-01-01") == 0
    assert instant("1969-12-31T23:59:59.999999") == -1


def test_ids_titles_and_uris_that_look_like_dates_are_text():
    assert not kept({"@id": "2024-05-01"}, {}, id="2024-05-01T00:00Z")
    assert kept({"@title": {"$gt": "2024-05-01"}}, {}, title="none")


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.int64(5), 5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (Decimal("1.50"), 1.5),
        (Decimal(7), 7),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (PurePosixPath("/a/b"), "/a/b"),
        (Colour.RED, "red"),
    ],
)
def test_values_of_other_types_are_compared_as_metadata_stores_them(value, stored):
    assert kept({"a": value}, {"a": stored})
    assert kept({"a": {"$in": [value]}}, {"a": [None, stored]})
    assert kept({"a": {"$in": np.array([1, 5])}}, {"a": 5})
    assert to_dict(field("a") == value) == {"a": stored}


@pytest.mark.parametrize("pattern", ["(a|aa)+$", "(.*a){20}b", "(x+x+)+y", "((a*)*)*b", "(?:a?){40}a{40}"])
def test_no_pattern_takes_long(pattern):
    started = time.process_time()
    with contextlib.suppress(InputError):
        kept({"a": {"$regex": pattern}}, {"a": "a" * 39 + "!"})
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("length", [12, 14])
def test_many_texts_that_each_take_a_little_too_long_are_noticed(length):
    started = time.process_time()
    texts = [f"{'b' * length}c{n}" for n in range(2000)]  # some milliseconds each
    with pytest.raises(InputError, match="takes too long"):
        sum(kept({"a": {"$regex": "(b|b)*$"}}, {"a": text}) for text in texts)
    assert time.process_time() - started < 1.0
    assert kept({"a": {"$regex": "(b|b)*$"}}, {"a": "bb"})  # the next query begins anew


def test_a_longer_text_may_take_longer():
    limits = []

    class Pattern:
        def search(self, text, timeout):
            limits.append(timeout)

    for length in (0, 10_000, 100_000):
        assert not BoundedPattern(Pattern()).found("a" * length)
    none, some, many = limits
    assert many - none == pytest.approx(10 * (some - none))
    assert none < many - none < 1.0


def test_a_pattern_that_takes_too_long_or_is_malformed_is_an_error():
    with pytest.raises(InputError, match="takes too long on a text of 61 characters"):
        kept({"a": {"$regex": "(a|aa)+$"}}, {"a": "a" * 60 + "!"})
    with pytest.raises(InputError, match=r"not a regular expression: .*\n  a\(b\n  {2}\^|missing"):
        parse({"a": {"$regex": "a(b"}})
    with pytest.raises(InputError, match="at most 1,000 characters"):
        parse({"a": {"$regex": "a" * 1001}})
    for operator in ("$regex", "$ieq"):
        with pytest.raises(InputError, match="takes text"):
            parse({"a": {operator: 5}})
