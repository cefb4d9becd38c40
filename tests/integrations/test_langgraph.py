"""A store as LangGraph's memory: values under namespaces and keys, and errors."""

import asyncio
import importlib
import sys

import pytest
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

import hybridstore as hs
from hybridstore.errors import InputError, MissingExtra

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


def keys(results):
    return [item.key for item in results]


def test_without_the_package_the_error_has_the_install_command(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("langgraph.store")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "hybridstore.integrations.langgraph", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'hybridstore\[langgraph\]'"):
        importlib.import_module("hybridstore.integrations.langgraph")


@pytest.mark.parametrize("index", [None, False, ["text"]], ids=str)
def test_a_value_of_any_shape_is_returned_unchanged(memory, opened, index):
    memory.put(("a", "b"), "odd", ODD, index=index)
    for entry in (memory, opened()):  # after opening the file again too
        item = entry.get(("a", "b"), "odd")
        assert item.value == ODD
        assert repr(item.value) == repr(ODD)  # True is not 1, -0.0 not 0
        assert (item.namespace, item.key) == (("a", "b"), "odd")
        assert [results.value for results in entry.search(("a",))] == [ODD]
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


def test_a_memory_has_times_of_creation_and_change(memory, clock):
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


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ({"x": float("nan")}, "is nan"),
        ({"x": {1: "a"}}, "has the key 1"),
        ({"x": [object()]}, r"\['x'\]\[0\] is a object"),
        ({"x": b"bytes"}, "is a bytes"),
        ({"x": "\ud800"}, "lone surrogate"),
        (["no mapping"], "a memory must be a mapping"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_other_than_json_are_rejected_and_nothing_is_written(memory, value, outcome):
    with pytest.raises(InputError, match=outcome):
        memory.batch([PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", value)])
    assert memory.store.count() == 0


def test_a_value_too_deep_is_rejected_and_one_nearly_so_is_not(memory):
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
    ("op", "error", "outcome"),
    [
        (PutOp(("a.b",), "k", {}), InvalidNamespaceError, "'a.b' of"),
        (PutOp(("",), "k", {}), InvalidNamespaceError, "is not a label"),
        (GetOp(("a", 5), "k"), InvalidNamespaceError, "5 of"),
        (GetOp("ab", "k"), InvalidNamespaceError, "a namespace must be a tuple"),
        (SearchOp(("a.b",)), InvalidNamespaceError, "is not a label"),
        (ListNamespacesOp((MatchCondition("prefix", ("a.b",)),)), InvalidNamespaceError, "is not a label"),
        (ListNamespacesOp((MatchCondition("infix", ("a",)),)), InputError, "'prefix' or 'suffix', not 'infix'"),
        (GetOp(("a",), 5), InputError, "a key must be a text"),
        (SearchOp(("a",), limit=-1), InputError, "must be at least 0, not -1 and 0"),
        (ListNamespacesOp(offset=-1), InputError, "must be at least 0, not 100 and -1"),
        (SearchOp(("a",), filter={"n": {"$in": [1]}}), InputError, r"the operator '\$in'; known are \$eq"),
        (SearchOp(("a",), filter={"n": {"x": {"$gt": 1, "y": 2}}}), InputError, "the operator 'y'"),
        (SearchOp(("a",), filter={"n": [{5: 1}]}), InputError, "the key 5"),
        (SearchOp(("a",), filter=["n"]), InputError, "a filter must be a mapping"),
        (PutOp(("a",), "k", {"n": 1}, ttl=0), InputError, "ttl must be a number of minutes above 0"),
        (PutOp(("a",), "k", {"n": 1}, ttl=float("inf")), InputError, "ttl must be a number"),
        (PutOp(("a",), "k", {"n": 1}, index="n"), InputError, "index must be a list of paths"),
        ("get", InputError, "a batch consists of GetOp"),
    ],
    ids=str,
)
def test_invalid_operations_are_rejected(memory, op, error, outcome):
    with pytest.raises(error, match=outcome):
        memory.batch([op])
    with pytest.raises(error, match=outcome):
        asyncio.run(memory.abatch([op]))


def test_other_documents_of_the_file_are_not_touched(memory):
    memory.store.add(hs.Document(id="a..k", text="yeast in a book"))
    memory.put(("a",), "k", {"text": "yeast"}, ttl=1)
    assert keys(memory.search((), query="yeast")) == ["k"]
    assert memory.list_namespaces() == [("a",)]
    memory.delete(("a",), "k")
    assert memory.sweep_ttl() == 0
    assert memory.store.ids() == ["a..k"]
