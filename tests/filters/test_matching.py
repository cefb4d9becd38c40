"""What a filter keeps of documents in memory."""

import pytest

from hybridstore.filters import matches, parse, predicate

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
