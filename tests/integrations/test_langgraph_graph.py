"""Memories in compiled graphs, in an event loop, and shared by tasks and processes."""

import asyncio
import subprocess
import sys
import threading
from operator import attrgetter
from typing import TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.integrations.langgraph import HybridStoreMemory


def keys(found):
    return [item.key for item in found]


def test_the_event_loop_is_not_blocked(memory, monkeypatch):
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


def test_it_works_in_a_compiled_graph(memory, opened):
    graph = graph_over(memory)
    assert graph.invoke({"said": "tea without milk", "recalled": []})["recalled"] == ["tea without milk"]
    assert graph.invoke({"said": "a sloop in summer", "recalled": []})["recalled"] == ["a sloop in summer"]
    again = asyncio.run(graph_over(opened()).ainvoke({"said": "milk in tea", "recalled": []}))
    assert again["recalled"] == ["milk in tea"]
    assert keys(opened().search(("facts",))) == ["tea without milk", "a sloop in summer", "milk in tea"]


def test_it_works_in_a_graph_of_coroutines(memory):
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
