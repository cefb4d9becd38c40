"""Random operations on the store and on LangGraph's own InMemoryStore: both give the same answers.

Where LangGraph's store does what its own documentation rules out, what it keeps is put right (`PutRight`): a
namespace that was only asked for, or whose items are gone, is none; an item put again has no vectors from before; and
an item keeps the time it was made. Equal texts in one batch make it raise, so each text is told apart by a number.
"""

import asyncio
import hashlib
import random

import numpy as np
import pytest
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchItem, SearchOp
from langgraph.store.memory import InMemoryStore

import hybridstore as hs
from hybridstore.integrations.langgraph import HybridStoreMemory

LABELS = ["a", "b", "c"]
WORDS = ["flour", "yeast", "hops", "grapes", "mast", "sail"]
FILTERS = [
    {"kind": "bread"},
    {"kind": {"$eq": "beer"}},
    {"kind": {"$ne": "bread"}},
    {"kind": None},
    {"n": 3},
    {"n": {"$gt": 4}},
    {"n": {"$gte": 2, "$lt": 8}},
    {"n": {"$lte": 5}, "kind": "bread"},
    {"flag": True},
    {"flag": 1},
    {"deep": {"x": 1}},
    {"deep": {"x": {"$gte": 1}}},
    {"tags": ["t", {"$gt": 1}]},
    {"deep": {}},
]


def embed(texts):
    """Return for each text a random direction, so that no two scores are equal."""
    seeds = (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") for text in texts)
    return [np.random.default_rng(seed).standard_normal(16).tolist() for seed in seeds]


class Player:
    """Makes random operations; what is compared with > has a number in every value."""

    def __init__(self, seed):
        self.random, self.count = random.Random(seed), 0

    def namespace(self, least=1):
        return tuple(self.random.choice(LABELS) for _ in range(self.random.randint(least, 3)))

    def value(self):
        self.count += 1
        choose = self.random.choice
        value = {
            "text": f"{choose(WORDS)} and {choose(WORDS)} number {self.count}",
            "n": choose([0, 1, 2.5, 3, 3.0, 7, 10]),
            "deep": {"x": choose([1, 1.5, 0])},
            "tags": ["t", choose([1, 2])],
        }
        sometimes = {"kind": choose(["bread", "beer", None]), "flag": choose([True, False, 1])}
        value |= {key: given for key, given in sometimes.items() if self.random.random() < 0.8}
        if self.random.random() < 0.3:
            value["parts"] = [{"text": f"part {n} of {self.count}"} for n in range(self.random.randint(0, 3))]
        return value

    def put(self):
        value = None if self.random.random() < 0.2 else self.value()
        index = self.random.choice([None, None, False, ["text"], ["parts[*].text"], ["text", "deep.x"]])
        if index == ["text", "deep.x"]:  # equal texts
            index = ["text", "parts[0].text"]
        return PutOp(self.namespace(), self.random.choice("klmno"), value, index=index)

    def search(self):
        query = f"{self.random.choice(WORDS)} of {self.count}" if self.random.random() < 0.5 else None
        filter_ = self.random.choice(FILTERS) if self.random.random() < 0.6 else None
        limit = self.random.choice([1, 2, 5, 100])
        return SearchOp(self.namespace(0), filter_, limit, self.random.choice([0, 0, 1, 3]), query)

    def listing(self):
        def path():
            return tuple(self.random.choice([*LABELS, "*"]) for _ in range(self.random.randint(1, 3)))

        kinds = self.random.choice([[], [], ["prefix"], ["suffix"], ["prefix", "suffix"]])
        conditions = tuple(MatchCondition(kind, path()) for kind in kinds)
        depth, limit = self.random.choice([None, None, 1, 2, 3]), self.random.choice([1, 3, 100])
        return ListNamespacesOp(conditions, depth, limit, self.random.choice([0, 0, 2]))

    def batch(self):
        makers = [self.put] * 4 + [self.search] * 3 + [self.listing, lambda: GetOp(self.namespace(), "k")]
        ops = [self.random.choice(makers)() for _ in range(self.random.randint(1, 6))]
        return sorted(ops, key=lambda op: not isinstance(op, ListNamespacesOp))  # before a get makes a namespace there


class PutRight(InMemoryStore):
    """InMemoryStore, keeping what its documentation says: see above."""

    def _extract_texts(self, put_ops):  # after the reads, before the writes
        for namespace, key in put_ops:
            self._vectors[namespace].pop(key, None)
        return super()._extract_texts(put_ops)

    def batch(self, ops):
        for namespace in [namespace for namespace, items in self._data.items() if not items]:
            del self._data[namespace]
        return super().batch(ops)


def plain(answer):
    """Return the part of an answer that must be equal; scores are rounded to single precision."""
    if isinstance(answer, list):
        return [plain(entry) for entry in answer]
    if answer is None or isinstance(answer, tuple):
        return answer
    score = answer.score if isinstance(answer, SearchItem) else None
    return answer.namespace, answer.key, answer.value, None if score is None else round(score, 4)


def ranked(op, ours, theirs):
    """Return the part of a search's answer that must be equal.

    The order without scores is that of first puts, here over all namespaces, there namespace by namespace: where a page
    cuts them they differ, and only how many there are is compared; their later pages begin the unscored anew.
    """
    scored = [[entry for entry in answer if entry[3] is not None] for answer in (ours, theirs)]
    rest = [[entry for entry in answer if entry[3] is None] for answer in (ours, theirs)]
    whole = op.limit == 100 and op.offset == 0
    if whole:
        rest = [sorted(entry, key=lambda item: item[0]) for entry in rest]  # stable: the order within each is compared
    elif len(op.namespace_prefix) == 3 and op.query is None:
        pass  # one namespace: the same order
    else:
        rest = [len(entry) if op.offset == 0 or op.query is None else None for entry in rest]
    return (scored[0], rest[0]), (scored[1], rest[1])


def agree(ops, ours, theirs):
    for op, our, their in zip(ops, plain(ours), plain(theirs), strict=True):
        if isinstance(op, SearchOp):
            left, right = ranked(op, our, their)
            assert left == right, op
        else:
            assert our == their, op


def test_the_comparison_can_detect_a_difference():
    def item(key="k", value=1, score=0.5):
        return SearchItem(("a",), key, {"n": value}, None, None, score)

    agree([SearchOp(("a",))], [[item()]], [[item()]])
    for other in ([], [item("m")], [item(value=2)], [item(score=0.6)], [item(score=None)], [item(), item("m")]):
        with pytest.raises(AssertionError):
            agree([SearchOp(("a",))], [[item()]], [other])
    with pytest.raises(AssertionError):
        agree([GetOp(("a",), "k")], [item()], [None])


@pytest.mark.parametrize("seed", range(12))
def test_both_stores_give_the_same_answers(tmp_path, seed):
    index = {"embed": embed, "dims": 16, "fields": ["text", "parts[*].text"] if seed % 2 else ["$"]}
    reference, player, answered = PutRight(index=index), Player(seed), 0
    with HybridStoreMemory(tmp_path / "memory.db", index=index, mode="vector") as memory:
        for ops in [[PutOp(("a",), "k", player.value())], *(player.batch() for _ in range(60))]:
            theirs = reference.batch(ops)
            ours = asyncio.run(memory.abatch(ops)) if seed % 3 == 0 else memory.batch(ops)
            agree(ops, ours, theirs)
            answered += sum(bool(answer) for answer in theirs)
        assert answered > 50
    with HybridStoreMemory(tmp_path / "memory.db", index=index, mode="vector") as memory:  # opened again
        last = [SearchOp((), None, 100), ListNamespacesOp(), SearchOp((), None, 100, 0, "yeast")]
        agree(last, memory.batch(last), reference.batch(last))
        assert memory.store.check() == []


@pytest.mark.parametrize("seed", range(100, 104))
def test_without_external_vectors_the_same_memories_are_stored(tmp_path, seed, embedder):
    reference, player = PutRight(), Player(seed)
    with hs.open(tmp_path / "memory.db", embedder=embedder) as store:
        memory = HybridStoreMemory(store)
        for _ in range(60):
            ops = [op._replace(query=None) if isinstance(op, SearchOp) else op for op in player.batch()]
            agree(ops, memory.batch(ops), reference.batch(ops))
            everything = SearchOp((), None, 100, 0, "yeast and hops")
            (results,) = memory.batch([everything])
            (stored,) = reference.batch([everything])  # which has no vectors, and gives all there is
            assert sorted((item.namespace, item.key) for item in results) == sorted(
                (i.namespace, i.key) for i in stored
            )
        assert store.check() == []
