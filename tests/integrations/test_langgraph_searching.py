"""Searching memories: by keyword and by vector, with fields, filters and the caller's Embeddings."""

import asyncio

import pytest

import hybridstore as hs
from hybridstore.errors import InputError
from hybridstore.integrations.langgraph import HybridStoreMemory


def keys(results):
    return [item.key for item in results]


def test_a_search_is_hybrid(memory, embedder):
    memory.put(("notes",), "bread", {"text": "flour and yeast"})
    memory.put(("notes",), "beer", {"text": "hops and yeast"})
    memory.put(("other",), "yeast", {"text": "yeast yeast yeast"})
    results = memory.search(("notes",), query="hops")
    assert keys(results) == ["beer", "bread"]
    assert 0.0 <= results[1].score < results[0].score <= 1.0
    assert embedder.documents[0] == '{"text": "flour and yeast"}'
    assert memory.search((), query="yeast", limit=1)[0].namespace == ("other",)
    words = HybridStoreMemory(memory.store, mode="keyword")
    assert keys(words.search(("notes",), query="hops")) == ["beer"]
    assert [item.score for item in memory.search(("notes",), query=" ")] == [None, None]  # no query at all


def test_only_the_indexed_fields_are_searched_each_with_its_own_vector(opened, embedder):
    memory = opened(index={"fields": ["title", "parts[*].text"]})
    value = {"title": "bread", "parts": [{"text": "flour"}, {"text": "yeast"}], "secret": "hops"}
    memory.put(("n",), "usual", value)
    memory.put(("n",), "own", value, index=["secret"])
    memory.put(("n",), "none", value, index=False)
    assert sorted(embedder.documents) == ["bread", "flour", "hops", "yeast"]
    words = HybridStoreMemory(memory.store, mode="keyword")
    assert keys(words.search(("n",), query="yeast")) == ["usual"]
    assert keys(words.search(("n",), query="hops")) == ["own"]
    assert memory.get(("n",), "none").value == value
    assert keys(memory.search(("n",), query="yeast"))[0] == "usual"


def test_memories_without_texts_follow_without_a_score(memory):
    for n in range(3):
        memory.put(("n",), f"plain{n}", {"text": "yeast"}, index=False)
    assert [(item.key, item.score) for item in memory.search(("n",), query="yeast", limit=2)] == [
        ("plain0", None),
        ("plain1", None),
    ]
    memory.put(("n",), "found", {"text": "yeast"})
    memory.store.reembed()  # which gives vectors to all that lack them
    results = memory.search(("n",), query="yeast")
    assert keys(results) == ["found", "plain0", "plain1", "plain2"]
    assert [item.score is None for item in results] == [False, True, True, True]
    assert keys(memory.search(("n",), query="yeast", limit=2, offset=2)) == ["plain1", "plain2"]
    memory.put(("n",), "found", {"text": "yeast"}, index=False)
    assert [item.score for item in memory.search(("n",), query="yeast")] == [None] * 4


def test_a_long_value_is_searched_to_its_end(memory, embedder):
    memory.put(("n",), "long", {"text": " ".join(f"Sentence number {n}." for n in range(400)) + " The osprey dives."})
    memory.put(("n",), "short", {"text": "An otter swims."})
    assert len(embedder.documents) > 5
    assert keys(memory.search(("n",), query="osprey")) == ["long", "short"]
    assert keys(memory.search(("n",), query="sentence number", limit=1, offset=1)) == ["short"]


def test_the_best_memories_are_found_despite_many_chunks_of_one(memory):
    many = {"parts": [f"yeast {n}" for n in range(500)]}
    memory.put(("n",), "many", many, index=["parts[*]"])
    for n in range(5):
        memory.put(("n",), f"few{n}", {"text": f"yeast among other things, number {n}"}, index=["text"])
    assert set(keys(memory.search(("n",), query="yeast", limit=6))) == {"many", *(f"few{n}" for n in range(5))}


FILTERED = {
    "one": {"n": 1, "kind": "a", "at": "2024-05-01", "deep": {"x": 1, "y": [1, 2]}, "odd.key$@\\": "v"},
    "two": {"n": 2.5, "kind": "b", "at": "2025-01-01", "deep": {"x": 2}},
    "ten": {"n": 10, "kind": "a", "flag": True},
    "text": {"n": "9", "kind": None},
    "none": {},
}


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({"kind": "a"}, ["one", "ten"]),
        ({"kind": None}, ["text", "none"]),
        ({"n": {"$gt": 2}}, ["two", "ten", "text"]),
        ({"n": {"$gte": 2.5, "$lt": 10}}, ["two", "text"]),
        ({"n": {"$lte": 1.0}}, ["one"]),
        ({"n": 1.0}, ["one"]),
        ({"n": {"$eq": 10}}, ["ten"]),
        ({"n": {"$ne": 10}}, ["one", "two", "text", "none"]),
        ({"at": {"$gte": "2024-06"}}, ["two"]),
        ({"flag": True}, ["ten"]),
        ({"deep": {"x": {"$gt": 1}}}, ["two"]),
        ({"deep": {"x": 1, "y": [1, {"$lt": 3}]}}, ["one"]),
        ({"deep": {}}, ["one", "two"]),
        ({"odd.key$@\\": "v"}, ["one"]),
        ({"odd.key$@\\": {"$eq": "v", "$ne": "w"}}, ["one"]),
        ({"kind": "a", "n": {"$gt": 1}}, ["ten"]),
        ({"kind": "nothing"}, []),
        ({"absent": {"$gt": 0}}, []),
        ({}, list(FILTERED)),
    ],
    ids=str,
)
def test_a_filter_compares_numbers_as_numbers(memory, filter_, expected):
    for key, value in FILTERED.items():
        memory.put(("n",), key, value)
        memory.put(("elsewhere",), key, value)
    assert keys(memory.search(("n",), filter=filter_)) == expected
    assert sorted(keys(memory.search(("n",), filter=filter_, query="kind"))) == sorted(expected)
    assert keys(memory.search(("n",), filter=filter_, limit=1, offset=1)) == expected[1:2]


def test_the_callers_embeddings_make_the_vectors(path):
    queries = []

    async def embed(texts):
        queries.append(list(texts))
        return [[1.0, 0.0] if "yeast" in text else [0.0, 1.0] for text in texts]

    async def scenario():
        with HybridStoreMemory(path, index={"embed": embed, "dims": 2, "fields": ["text"]}, mode="vector") as memory:
            await memory.aput(("n",), "bread", {"text": "yeast"})
            await memory.aput(("n",), "boat", {"text": "mast"})
            results = await memory.asearch(("n",), query="what has yeast")
            assert [(item.key, round(item.score, 5)) for item in results] == [("bread", 1.0), ("boat", 0.0)]
            await memory.aput(("n",), "bread", {"text": "yeast and flour"}, ttl=5)
            await memory.aget(("n",), "bread")  # puts its end off
            assert [item.key for item in await memory.asearch(("n",), query="mast")] == ["boat", "bread"]
            with pytest.raises(ValueError, match="async function"):
                memory.search(("n",), query="mast")

    asyncio.run(scenario())
    assert queries == [["yeast"], ["mast"], ["what has yeast"], ["yeast and flour"], ["mast"]]
    with pytest.raises(InputError, match=r"pass index\['embed'\]"):
        HybridStoreMemory(path)


def test_embeddings_that_do_not_fit_are_rejected(opened, path):
    memory = opened()
    memory.put(("a",), "k", {"n": 1})
    with pytest.raises(InputError, match="made by remembering@32"):
        opened(index={"embed": lambda texts: [[1.0]] * len(texts)})
    for embed, outcome in (
        (lambda texts: [[1.0]] * len(texts), r"\['dims'\] is 2, but index\['embed'\] returns vectors of length 1"),
        (lambda _: [], "returned 0 vectors for 1 texts"),
    ):
        other = HybridStoreMemory(path.with_name("other.db"), index={"embed": embed, "dims": 2})
        with other, pytest.raises(InputError, match=outcome):
            other.put(("a",), "k", {"n": 1})
    with (
        hs.open(path.with_name("own.db"), embedder=memory.store.embedder()) as own,
        pytest.raises(InputError, match="made by remembering@32"),  # it would pass for the embedder's
    ):
        HybridStoreMemory(own, index={"embed": lambda texts: [[1.0] * 32] * len(texts)}).put(("a",), "k", {"n": 1})
