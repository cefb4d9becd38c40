"""The store as LangGraph's memory: what is kept, found, ends, is refused, and how it works inside of a graph."""

import asyncio
import importlib
import subprocess
import sys
import threading
from operator import attrgetter
from typing import TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

import hybridstore as hs
from hybridstore.errors import InputError, MissingExtra
from hybridstore.integrations import memories
from hybridstore.integrations.langgraph import HybridStoreMemory

ODD = {
    "": {
        "deep": [
            [],
            {},
            [None, True, False, 0, -1, 2**70, 0.1, 1e300, -0.0, "é🙂\n\0", {"$and": 1, "a.b": 2, "@id": 3}],
        ]
    },
    "text": "",
    "langgraph:": "x" * 5000,
}


class Clock:
    def __init__(self):
        self.seconds = 1_800_000_000.0

    def __call__(self):
        return self.seconds

    def pass_(self, minutes):
        self.seconds += 60 * minutes


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(memories, "now", clock)
    monkeypatch.setattr("hybridstore.integrations.langgraph.now", clock)
    return clock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


@pytest.fixture
def opened(path, embedder):
    made = []

    def open_(**options):
        made.append(hs.open(path, embedder=embedder))
        return HybridStoreMemory(made[-1], **options)

    yield open_
    for store in made:
        store.close()


@pytest.fixture
def memory(opened):
    return opened()


def keys(found):
    return [item.key for item in found]


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("langgraph.store")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "hybridstore.integrations.langgraph")
    with pytest.raises(MissingExtra, match=r"pip install 'hybridstore\[langgraph\]'"):
        importlib.import_module("hybridstore.integrations.langgraph")


@pytest.mark.parametrize("index", [None, False, ["text"]], ids=str)
def test_a_value_of_any_shape_comes_back_as_it_was(memory, opened, index):
    memory.put(("a", "b"), "odd", ODD, index=index)
    for each in (memory, opened()):  # after opening the file again too
        item = each.get(("a", "b"), "odd")
        assert item.value == ODD
        assert repr(item.value) == repr(ODD)  # True is not 1, -0.0 not 0
        assert (item.namespace, item.key) == (("a", "b"), "odd")
        assert [found.value for found in each.search(("a",))] == [ODD]
    item.value["text"] = "changed by the caller"
    assert memory.get(("a", "b"), "odd").value == ODD


@pytest.mark.parametrize("key", ["", ".", "..", "a..b", "key.with.dots", "é🙂", "\n", "*", "x" * 3000, "langgraph:"])
def test_any_text_can_be_a_key(memory, key):
    places = [("a",), ("a", "b"), ("a", "b", "c"), ("ab",), ("a/b",), ("*",)]
    for n, namespace in enumerate(places):
        memory.put(namespace, key, {"n": n})
    assert [memory.get(namespace, key).value["n"] for namespace in places] == [0, 1, 2, 3, 4, 5]
    assert memory.list_namespaces() == sorted(places)
    assert keys(memory.search(("a", "b"))) == [key, key]
    memory.delete(("a",), key)
    assert memory.get(("a",), key) is None
    assert memory.get(("a", "b"), key).value == {"n": 1}


def test_a_memory_knows_when_it_was_made_and_when_it_was_changed(memory, clock):
    memory.put(("a",), "k", {"n": 1})
    first = memory.get(("a",), "k")
    assert first.created_at == first.updated_at
    assert first.created_at.timestamp() == clock.seconds
    assert first.created_at.utcoffset().total_seconds() == 0
    clock.pass_(1)
    memory.put(("a",), "k", {"n": 2})
    second = memory.get(("a",), "k")
    assert second.created_at == first.created_at
    assert second.updated_at.timestamp() == clock.seconds
    memory.delete(("a",), "k")
    memory.put(("a",), "k", {"n": 3})
    assert memory.get(("a",), "k").created_at.timestamp() == clock.seconds


def test_the_reads_of_a_batch_come_before_its_writes_and_the_last_write_counts(memory):
    memory.put(("a",), "k", {"n": 0})
    answers = memory.batch(
        [
            PutOp(("a",), "k", {"n": 1}),
            GetOp(("a",), "k"),
            PutOp(("a",), "new", {"n": 2}),
            SearchOp(("a",)),
            PutOp(("a",), "k", {"n": 3}),
            PutOp(("a",), "new", None),
            ListNamespacesOp(),
        ]
    )
    assert answers[0] is answers[2] is answers[4] is answers[5] is None
    assert answers[1].value == {"n": 0}
    assert [item.value for item in answers[3]] == [{"n": 0}]
    assert answers[6] == [("a",)]
    assert memory.get(("a",), "k").value == {"n": 3}
    assert memory.get(("a",), "new") is None
    assert memory.batch(iter([])) == []


def test_a_search_goes_by_words_and_by_meaning(memory, embedder):
    memory.put(("notes",), "bread", {"text": "flour and yeast"})
    memory.put(("notes",), "beer", {"text": "hops and yeast"})
    memory.put(("other",), "yeast", {"text": "yeast yeast yeast"})
    found = memory.search(("notes",), query="hops")
    assert keys(found) == ["beer", "bread"]
    assert 0.0 <= found[1].score < found[0].score <= 1.0
    assert embedder.documents[0] == '{"text": "flour and yeast"}'
    assert memory.search((), query="yeast", limit=1)[0].namespace == ("other",)
    words = HybridStoreMemory(memory.store, mode="keyword")
    assert keys(words.search(("notes",), query="hops")) == ["beer"]
    assert [item.score for item in memory.search(("notes",), query=" ")] == [None, None]  # no query at all


def test_only_the_fields_of_the_index_are_searched_each_by_itself(opened, embedder):
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


def test_what_is_not_indexed_follows_without_a_score(memory):
    for n in range(3):
        memory.put(("n",), f"plain{n}", {"text": "yeast"}, index=False)
    assert [(item.key, item.score) for item in memory.search(("n",), query="yeast", limit=2)] == [
        ("plain0", None),
        ("plain1", None),
    ]
    memory.put(("n",), "found", {"text": "yeast"})
    memory.store.reembed()  # which gives vectors to all that lack them
    found = memory.search(("n",), query="yeast")
    assert keys(found) == ["found", "plain0", "plain1", "plain2"]
    assert [item.score is None for item in found] == [False, True, True, True]
    assert keys(memory.search(("n",), query="yeast", limit=2, offset=2)) == ["plain1", "plain2"]
    memory.put(("n",), "found", {"text": "yeast"}, index=False)
    assert [item.score for item in memory.search(("n",), query="yeast")] == [None] * 4


def test_a_long_value_is_searched_to_its_end(memory, embedder):
    memory.put(("n",), "long", {"text": " ".join(f"Sentence number {n}." for n in range(400)) + " The osprey dives."})
    memory.put(("n",), "short", {"text": "An otter swims."})
    assert len(embedder.documents) > 5
    assert keys(memory.search(("n",), query="osprey")) == ["long", "short"]
    assert keys(memory.search(("n",), query="sentence number", limit=1, offset=1)) == ["short"]


def test_the_best_memories_are_found_behind_many_chunks_of_one(memory):
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
    ("filter_", "wanted"),
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
def test_a_filter_compares_numbers_as_numbers(memory, filter_, wanted):
    for key, value in FILTERED.items():
        memory.put(("n",), key, value)
        memory.put(("elsewhere",), key, value)
    assert keys(memory.search(("n",), filter=filter_)) == wanted
    assert sorted(keys(memory.search(("n",), filter=filter_, query="kind"))) == sorted(wanted)
    assert keys(memory.search(("n",), filter=filter_, limit=1, offset=1)) == wanted[1:2]


def test_namespaces_are_listed_by_prefix_suffix_and_depth(memory):
    for namespace in [("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "c", "f"), ("z",)]:
        memory.put(namespace, "k", {"x": 1})
    assert memory.list_namespaces(prefix=("a", "b"), max_depth=3) == [("a", "b", "c"), ("a", "b", "d")]
    assert memory.list_namespaces(prefix=("a", "*", "d")) == [("a", "b", "d", "e"), ("a", "b", "d", "i")]
    assert memory.list_namespaces(suffix=("*", "f")) == [("a", "c", "f")]
    assert memory.list_namespaces(prefix=("a",), suffix=("i",)) == [("a", "b", "d", "i")]
    assert memory.list_namespaces(limit=2, offset=3) == [("a", "c", "f"), ("z",)]
    assert memory.list_namespaces(prefix=("a", "b", "c", "d", "e")) == []
    memory.delete(("z",), "k")
    assert ("z",) not in memory.list_namespaces()


def test_what_has_expired_is_not_seen_at_once_and_swept_later(memory, clock):
    memory.put(("a",), "short", {"text": "yeast"}, ttl=1)
    memory.put(("a", "plain"), "short", {"text": "yeast"}, ttl=1, index=False)
    memory.put(("b",), "long", {"text": "yeast"}, ttl=10.5)
    memory.put(("c",), "ever", {"text": "yeast"})
    clock.pass_(0.99)
    assert keys(memory.search((), refresh_ttl=False)) == ["short", "short", "long", "ever"]
    clock.pass_(0.01)
    assert memory.get(("a",), "short") is None
    assert keys(memory.search(())) == ["long", "ever"]
    assert set(keys(memory.search((), query="yeast"))) == {"long", "ever"}
    assert memory.list_namespaces() == [("b",), ("c",)]
    assert memory.store.count() == 4
    assert memory.sweep_ttl() == 2
    assert memory.sweep_ttl() == 0
    assert memory.store.count() == 2
    assert memory.store.check() == []


def test_reading_puts_off_the_end_unless_told_not_to(memory, clock):
    for key in ("got", "found", "asked", "left", "plain"):
        memory.put((key,), key, {"text": f"yeast {key}"}, ttl=10, index=False if key == "plain" else None)
    clock.pass_(8)
    embedded = len(memory.store.embedder().documents)
    assert memory.get(("got",), "got") is not None
    assert keys(memory.search(("found",))) == ["found"]
    assert keys(memory.search(("asked",), query="yeast")) == ["asked"]
    assert memory.get(("plain",), "plain") is not None
    assert memory.get(("left",), "left", refresh_ttl=False) is not None
    assert keys(memory.search(("left",), refresh_ttl=False)) == ["left"]
    assert len(memory.store.embedder().documents) == embedded  # no model runs for it
    assert memory.store.stats().vectors == 5
    clock.pass_(9)
    assert sorted(keys(memory.search((), refresh_ttl=False))) == ["asked", "found", "got", "plain"]
    assert keys(memory.search(("got",), query="yeast", refresh_ttl=False)) == ["got"]
    got = memory.get(("got",), "got", refresh_ttl=False)
    assert got.updated_at == got.created_at  # a read is no change
    clock.pass_(1)
    assert memory.search(()) == []
    assert memory.store.check() == []


def test_a_write_begins_the_time_again_and_can_end_it(memory, clock):
    memory.put(("a",), "k", {"n": 1}, ttl=1)
    clock.pass_(0.9)
    memory.put(("a",), "k", {"n": 2}, ttl=1)
    clock.pass_(0.9)
    memory.put(("a",), "k", {"n": 3})
    clock.pass_(1000)
    assert memory.get(("a",), "k").value == {"n": 3}
    memory.put(("a",), "over", {"n": 1}, ttl=1)
    clock.pass_(2)
    memory.put(("a",), "over", {"n": 2}, ttl=1)
    assert memory.get(("a",), "over").created_at.timestamp() == clock.seconds  # it is another memory


def test_the_ttl_config_says_what_is_usual(opened, clock):
    memory = opened(ttl={"default_ttl": 10, "refresh_on_read": False, "sweep_interval_minutes": 60})
    memory.put(("a",), "usual", {"n": 1})
    memory.put(("a",), "ever", {"n": 1}, ttl=None)
    clock.pass_(9)
    assert len(memory.search(())) == 2
    clock.pass_(1)
    assert keys(memory.search(())) == ["ever"]
    memory.put(("a",), "new", {"n": 1})  # the sweep of the first write was not long ago
    assert memory.store.count() == 3
    clock.pass_(60)
    memory.put(("a",), "newer", {"n": 1})
    assert memory.store.count() == 2
    never = opened(ttl={"sweep_interval_minutes": None})
    clock.pass_(600)
    never.put(("a",), "newest", {"n": 1}, ttl=1)
    assert never.store.count() == 3


def test_putting_off_never_brings_back_what_another_has_changed(memory, opened, clock, monkeypatch):
    other = opened()
    for change, left in (
        (lambda: other.put(("a",), "k", {"n": 2}), {"n": 2}),
        (lambda: other.delete(("a",), "k"), None),
    ):
        memory.put(("a",), "k", {"n": 1}, ttl=1)
        backend = memory.store.backend
        written = backend.put

        def late(entries, change=change, written=written, **told):
            change()
            return written(entries, **told)

        with monkeypatch.context() as patch:
            patch.setattr(backend, "put", late)
            assert memory.get(("a",), "k").value == {"n": 1}
        after = memory.get(("a",), "k")
        assert (None if after is None else after.value) == left


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"x": float("nan")}, "is nan"),
        ({"x": {1: "a"}}, "has the key 1"),
        ({"x": [object()]}, r"\['x'\]\[0\] is a object"),
        ({"x": b"bytes"}, "is a bytes"),
        ({"x": "\ud800"}, "half of a character"),
        (["no mapping"], "a memory is a mapping"),
    ],
    ids=str,
)
def test_what_is_not_json_is_refused_and_nothing_is_written(memory, value, told):
    with pytest.raises(InputError, match=told):
        memory.batch([PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", value)])
    assert memory.store.count() == 0


def test_a_value_too_deep_is_refused_and_one_nearly_so_is_not(memory):
    def nested(levels):
        value = {}
        for _ in range(levels):
            value = {"a": value}
        return value

    memory.put(("a",), "deep", nested(200))
    assert memory.get(("a",), "deep").value == nested(200)
    with pytest.raises(InputError, match="over 200 levels"):
        memory.put(("a",), "deeper", nested(201))


@pytest.mark.parametrize(
    ("op", "error", "told"),
    [
        (PutOp(("a.b",), "k", {}), InvalidNamespaceError, "'a.b' of"),
        (PutOp(("",), "k", {}), InvalidNamespaceError, "is no label"),
        (GetOp(("a", 5), "k"), InvalidNamespaceError, "5 of"),
        (GetOp("ab", "k"), InvalidNamespaceError, "a namespace is a tuple"),
        (SearchOp(("a.b",)), InvalidNamespaceError, "is no label"),
        (ListNamespacesOp((MatchCondition("prefix", ("a.b",)),)), InvalidNamespaceError, "is no label"),
        (ListNamespacesOp((MatchCondition("infix", ("a",)),)), InputError, "'prefix' or 'suffix', not 'infix'"),
        (GetOp(("a",), 5), InputError, "a key is a text"),
        (SearchOp(("a",), limit=-1), InputError, "cannot be -1 and 0"),
        (ListNamespacesOp(offset=-1), InputError, "cannot be 100 and -1"),
        (SearchOp(("a",), filter={"n": {"$in": [1]}}), InputError, r"the operator '\$in'; there are \$eq"),
        (SearchOp(("a",), filter={"n": {"x": {"$gt": 1, "y": 2}}}), InputError, "the operator 'y'"),
        (PutOp(("a",), "k", {"n": 1}, ttl=0), InputError, "ttl is a number of minutes above 0"),
        (PutOp(("a",), "k", {"n": 1}, ttl=float("inf")), InputError, "ttl is a number"),
        (PutOp(("a",), "k", {"n": 1}, index="n"), InputError, "index is a list of paths"),
        ("get", InputError, "a batch is of GetOp"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(memory, op, error, told):
    with pytest.raises(error, match=told):
        memory.batch([op])
    with pytest.raises(error, match=told):
        asyncio.run(memory.abatch([op]))


def test_the_callers_embeddings_make_the_vectors(path):
    asked = []

    async def embed(texts):
        asked.append(list(texts))
        return [[1.0, 0.0] if "yeast" in text else [0.0, 1.0] for text in texts]

    async def scenario():
        with HybridStoreMemory(path, index={"embed": embed, "dims": 2, "fields": ["text"]}, mode="vector") as memory:
            await memory.aput(("n",), "bread", {"text": "yeast"})
            await memory.aput(("n",), "boat", {"text": "mast"})
            found = await memory.asearch(("n",), query="what has yeast")
            assert [(item.key, round(item.score, 5)) for item in found] == [("bread", 1.0), ("boat", 0.0)]
            await memory.aput(("n",), "bread", {"text": "yeast and flour"}, ttl=5)
            await memory.aget(("n",), "bread")  # puts its end off
            assert [item.key for item in await memory.asearch(("n",), query="mast")] == ["boat", "bread"]
            with pytest.raises(ValueError, match="async function"):
                memory.search(("n",), query="mast")

    asyncio.run(scenario())
    assert asked == [["yeast"], ["mast"], ["what has yeast"], ["yeast and flour"], ["mast"]]
    with pytest.raises(InputError, match=r"say by what in index\['embed'\]"):
        HybridStoreMemory(path)


def test_embeddings_that_do_not_fit_are_refused(opened, path):
    memory = opened()
    memory.put(("a",), "k", {"n": 1})
    with pytest.raises(InputError, match="made by remembering@32"):
        opened(index={"embed": lambda texts: [[1.0]] * len(texts)})
    for embed, told in (
        (lambda texts: [[1.0]] * len(texts), r"\['dims'\] is 2, but index\['embed'\] makes vectors of length 1"),
        (lambda _: [], "made 0 vectors of 1 texts"),
    ):
        other = HybridStoreMemory(path.with_name("other.db"), index={"embed": embed, "dims": 2})
        with other, pytest.raises(InputError, match=told):
            other.put(("a",), "k", {"n": 1})
    with (
        hs.open(path.with_name("own.db"), embedder=memory.store.embedder()) as own,
        pytest.raises(InputError, match="made by remembering@32"),  # it would pass for the embedder's
    ):
        HybridStoreMemory(own, index={"embed": lambda texts: [[1.0] * 32] * len(texts)}).put(("a",), "k", {"n": 1})


def test_other_documents_of_the_file_are_left_alone(memory):
    memory.store.add(hs.Document(id="a..k", text="yeast in a book"))
    memory.put(("a",), "k", {"text": "yeast"}, ttl=1)
    assert keys(memory.search((), query="yeast")) == ["k"]
    assert memory.list_namespaces() == [("a",)]
    memory.delete(("a",), "k")
    assert memory.sweep_ttl() == 0
    assert memory.store.backend.ids() == ["a..k"]


def test_the_event_loop_goes_on_while_the_store_works(memory, monkeypatch):
    entered, let_go = threading.Event(), threading.Event()
    search = memory.store.search

    def slow(*args, **options):
        entered.set()
        assert let_go.wait(10)
        return search(*args, **options)

    monkeypatch.setattr(memory.store, "search", slow)

    async def scenario():
        await memory.aput(("a",), "k", {"text": "yeast"})
        asked = asyncio.create_task(memory.asearch(("a",), query="yeast"))
        assert await asyncio.to_thread(entered.wait, 10)
        assert (await memory.aget(("a",), "k")).value == {"text": "yeast"}  # another is served meanwhile
        let_go.set()
        return await asked

    assert keys(asyncio.run(scenario())) == ["k"]


def test_many_tasks_at_once_lose_nothing(memory):
    async def scenario():
        await asyncio.gather(*(memory.aput(("a", str(n % 5)), f"k{n}", {"n": n}, ttl=5) for n in range(40)))
        items = await asyncio.gather(*(memory.aget(("a", str(n % 5)), f"k{n}") for n in range(40)))
        return [item.value["n"] for item in items], await memory.alist_namespaces()

    numbers, namespaces = asyncio.run(scenario())
    assert numbers == list(range(40))
    assert namespaces == [("a", str(n)) for n in range(5)]
    assert memory.store.check() == []


WRITER = """
import sys
import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.integrations.langgraph import HybridStoreMemory
path, name = sys.argv[1:]
with hs.open(path, embedder=HashingEmbedder()) as store:
    memory = HybridStoreMemory(store)
    for n in range(30):
        memory.put(("shared",), f"{name}{n}", {"n": n, "text": f"yeast of {name}"}, ttl=60)
        memory.put(("shared",), "both", {"last": name}, ttl=60)
        memory.get(("shared",), "both")
        memory.search(("shared",), query="yeast", limit=3)
"""


def test_two_processes_use_one_file(path):
    from hybridstore.embedders.hashing import HashingEmbedder

    running = [subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, str(path), name]) for name in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    with hs.open(path, embedder=HashingEmbedder()) as store:
        memory = HybridStoreMemory(store)
        found = memory.search(("shared",), limit=100)
        assert sorted(keys(found)) == sorted([*(f"{name}{n}" for name in "ab" for n in range(30)), "both"])
        assert memory.get(("shared",), "both").value["last"] in ("a", "b")
        assert store.check() == []


class State(TypedDict):
    said: str
    recalled: list[str]


def graph_over(memory):
    def remember(state: State, *, store: BaseStore):
        store.put(("facts", "ada"), state["said"], {"fact": state["said"]})

    def recall(state: State, *, store: BaseStore):
        found = store.search(("facts", "ada"), query=state["said"], limit=1)
        return {"recalled": list(map(attrgetter("key"), found))}

    builder = StateGraph(State)
    builder.add_node("remember", remember)
    builder.add_node("recall", recall)
    builder.add_edge(START, "remember")
    builder.add_edge("remember", "recall")
    builder.add_edge("recall", END)
    return builder.compile(store=memory)


def test_it_works_inside_of_a_compiled_graph(memory, opened):
    graph = graph_over(memory)
    assert graph.invoke({"said": "tea without milk", "recalled": []})["recalled"] == ["tea without milk"]
    assert graph.invoke({"said": "a sloop in summer", "recalled": []})["recalled"] == ["a sloop in summer"]
    again = asyncio.run(graph_over(opened()).ainvoke({"said": "milk in tea", "recalled": []}))
    assert again["recalled"] == ["milk in tea"]
    assert keys(opened().search(("facts",))) == ["tea without milk", "a sloop in summer", "milk in tea"]


def test_it_works_inside_of_a_graph_of_coroutines(memory):
    async def node(state: State, *, store: BaseStore):
        await store.aput(("facts",), "k", {"fact": state["said"]})
        return {"recalled": keys(await store.asearch(("facts",), query="anything"))}

    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    graph = builder.compile(store=memory)
    assert asyncio.run(graph.ainvoke({"said": "x", "recalled": []}))["recalled"] == ["k"]


def test_it_works_with_the_default_model(path):
    pytest.importorskip("onnxruntime", reason="the default model needs the extra `cpu`")
    with HybridStoreMemory(path, index={"fields": ["fact"]}) as memory:
        memory.put(("ada",), "food", {"fact": "She likes her tea without milk."})
        memory.put(("ada",), "sport", {"fact": "On Sundays she sails a small boat."})
    with HybridStoreMemory(path) as memory:
        assert memory.search(("ada",), query="what does she drink", limit=1)[0].key == "food"
        assert memory.search(("ada",), query="hobbies on the water", limit=1)[0].key == "sport"
