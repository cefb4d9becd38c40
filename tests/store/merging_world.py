"""Stores that are changed apart by random operations under wrong clocks, and merged over random pairs."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hybridstore as hs
from hybridstore.backends.sqlite.parts_file import open_parts
from hybridstore.errors import NotFound
from hybridstore.memory import Memory
from hybridstore.store.shared_folder import ExchangeReport

IDS = ("a", "b", "c", "d", "a/b", "ü")
WORDS = ("tide", "moon", "harbour", "lantern", "anchor", "compass", "rope", "gull")
QUERIES = ("when is high tide", "where is the lantern", "who ties the rope")
START = 1_700_000_000


class World:
    """Some stores, each with a clock of its own; every operation takes place on one of them, or between two."""

    def __init__(self, seed: int, stores: int, make: Callable[[int], hs.Store], monkeypatch) -> None:
        self.random = random.Random(seed)
        self.skew = [self.random.choice((0, 0, 3600, -86_400 * 3, 86_400 * 5)) for _ in range(stores)]
        self.time, self.here = START, 0
        real = time.gmtime
        monkeypatch.setattr(time, "gmtime", lambda seconds=None: real(self.now() if seconds is None else seconds))
        self.stores = [make(number) for number in range(stores)]
        self.memories = [Memory(store, clock=self.now) for store in self.stores]
        self.purged: set[str] = set()
        self.number = 0

    def now(self) -> float:
        return self.time + self.skew[self.here]

    def step(self) -> None:
        self.here = self.random.randrange(len(self.stores))
        self.time += self.random.choice((0, 0, 1, 5, 4000))
        operation = self.random.choice((
            self.add, self.add, self.add, self.remove, self.purge, self.remember, self.remember, self.forget,
            self.feedback, self.feedback, self.log, self.forget_query, self.expect, self.drop, self.merge, self.merge,
        ))  # fmt: skip
        operation(self.stores[self.here])

    def text(self) -> str:
        self.number += 1
        return f"{' '.join(self.random.choices(WORDS, k=3))} number{self.number}"

    def add(self, store: hs.Store) -> None:
        store.add({"id": self.random.choice(IDS), "text": self.text(), "metadata": {"n": self.random.randrange(3)}})

    def remove(self, store: hs.Store) -> None:
        store.remove(self.random.choice(IDS))

    def purge(self, store: hs.Store) -> None:
        id_ = self.random.choice(IDS)
        if self.random.random() < 0.5:
            named = {id_, *(copy for original, copy in store.conflicts() if original == id_)}
            self.purged |= {document.text for document in store.documents() if document.id in named}
            store.purge(id_, verify=False)

    def remember(self, store: hs.Store) -> None:
        memory, choice = self.memories[self.here], self.random.random()
        valid = [note.id for note in memory.notes()]
        if choice < 0.4:
            memory.remember(self.text(), id=self.random.choice(("city", "job")))
        elif choice < 0.7 and valid:
            memory.remember(self.text(), supersedes=self.random.choice(valid))
        elif choice < 0.85:
            memory.remember([{"role": "user", "content": self.text()}], session="talk")
        else:
            memory.remember(self.text())

    def forget(self, store: hs.Store) -> None:
        memory = self.memories[self.here]
        if valid := [note.id for note in memory.notes()]:
            memory.forget(self.random.choice(valid))

    def feedback(self, store: hs.Store) -> None:
        if hits := store.search("tide moon harbour rope", limit=5, mode="keyword"):
            store.feedback(self.random.choice(QUERIES), self.random.choice(hits), used=self.random.random() < 0.5)

    def log(self, store: hs.Store) -> None:
        store._backend.learning.log_queries(self.random.choices(QUERIES, k=2))

    def forget_query(self, store: hs.Store) -> None:
        store.forget_queries(self.random.choice(QUERIES))

    def expect(self, store: hs.Store) -> None:
        with suppress(NotFound):
            store.expect(self.random.choice(QUERIES), self.random.choice(IDS), within=self.random.randint(1, 9))

    def drop(self, store: hs.Store) -> None:
        if expected := store.expectations():
            each = self.random.choice(expected)
            store.drop_expectation(each.query, each.document_id)

    def merge(self, store: hs.Store) -> None:
        other = self.random.choice([each for each in self.stores if each is not store])
        store.merge(other)

    def settle(self) -> None:
        """Merge until nothing changes, in random order."""
        for _ in range(2):
            pairs = [(a, b) for a in range(len(self.stores)) for b in range(len(self.stores)) if a != b]
            self.random.shuffle(pairs)
            for self.here, other in pairs:
                self.stores[self.here].merge(self.stores[other])


class FolderWorld(World):
    """Devices that exchange through a folder, of which each sees a copy that is late, torn, mixed up or of last week.

    A device writes into its own part of its own copy. Whatever was ever there may arrive anywhere, at any time.
    """

    def __init__(self, seed: int, stores: int, make: Callable[[int], hs.Store], monkeypatch, folder: Path) -> None:
        super().__init__(seed, stores, make, monkeypatch)
        self.copies = [folder / f"copy{number}" for number in range(stores)]
        self.published: dict[tuple[str, str], bytes] = {}
        for copy in self.copies:
            copy.mkdir()

    def merge(self, store: hs.Store) -> None:
        """Exchange, after some files have arrived, or over streams, or merge."""
        choice = self.random.random()
        if choice < 0.15:
            super().merge(store)
            return
        if choice < 0.3:
            over_streams(store, self.random.choice([each for each in self.stores if each is not store]))
            return
        for device, name in self.random.sample(
            sorted(self.published), k=self.random.randrange(len(self.published) + 1)
        ):
            self.arrive(self.copies[self.here] / device, name, self.published[device, name])
        self.exchange(self.here)

    def arrive(self, place: Path, name: str, content: bytes) -> None:
        """Let a file arrive: whole, torn, altered, under the name of a copy, or not; or let one go."""
        place.mkdir(exist_ok=True)
        fate = self.random.choice(("whole", "whole", "whole", "torn", "altered", "copy", "gone"))
        if fate == "torn":
            content = content[: self.random.randrange(len(content))]
        elif fate == "altered":
            at = self.random.randrange(len(content))
            content = content[:at] + bytes([content[at] ^ 1 << self.random.randrange(8)]) + content[at + 1 :]
        elif fate == "copy":
            name = f"{name.removesuffix('.bundle')} (copy).bundle"
        (place / name).write_bytes(content)
        if fate == "gone":
            (place / name).unlink()

    def exchange(self, number: int) -> ExchangeReport:
        """Exchange, and remember what is published."""
        self.here = number
        report = self.stores[number].exchange(self.copies[number], name=f"d{number}")
        for path in (self.copies[number] / f"d{number}").glob("*.*"):
            self.published[f"d{number}", path.name] = path.read_bytes()
        return report

    def settle(self) -> None:
        """Synchronise the copies and exchange, until nothing changes any more."""
        numbers = list(range(len(self.stores)))
        for _ in range(10):
            self.random.shuffle(numbers)
            before = self.files()
            for number in numbers:
                for other in numbers:
                    mirror = self.copies[number] / f"d{other}"
                    if other != number:
                        shutil.rmtree(mirror, ignore_errors=True)
                        if (self.copies[other] / f"d{other}").exists():
                            shutil.copytree(self.copies[other] / f"d{other}", mirror)
                self.exchange(number)
            if self.files() == before:
                return
        raise AssertionError("the devices never come to an end")

    def files(self) -> dict[Path, bytes]:
        """Return all files, whose names have the digest of their content."""
        return {path: b"" for copy in self.copies for path in copy.rglob("*.*")}


def over_streams(a: hs.Store, b: hs.Store) -> None:
    """Let two stores exchange over pipes."""
    (here, from_b), (there, from_a) = os.pipe(), os.pipe()

    def run(store: hs.Store, reader: int, writer: int) -> None:
        with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb", 0) as target:
            store.exchange_over(source, target)

    other = threading.Thread(target=run, args=(b, there, from_b))
    other.start()
    run(a, here, from_a)
    other.join()


def unpacked(path: Path) -> bytes:
    """Return what a file holds, that of a bundle unpacked."""
    if path.suffix != ".bundle":
        return path.read_bytes()
    with open_parts(path, None) as parts:
        index = zlib.decompress(parts.part(1))
        bodies = [parts.part(2 + n) for n in range(len(json.loads(index)["documents"]))]
    return path.read_bytes() + index + b"".join(zlib.decompressobj().decompress(body[4:]) for body in bodies)


def state(store: hs.Store) -> dict[str, object]:
    """Give all that merged stores have in common."""
    backend = store._backend
    learning = backend.learning
    documents = {document.id: document for document in store.documents()}
    told = learning.feedback()
    texts = {passage.chunk: passage.text for passage in backend.passages([each.chunk for each in told])}
    return {
        "documents": documents,
        "versions": backend.versions(),
        "removals": backend.removals(),
        "feedback": {(each.query, each.document_id, texts[each.chunk], each.used, each.when) for each in told},
        "queries": set(learning.query_log()),
        "expectations": set(learning.expectations()),
        "answers": [sorted(hit.document_id for hit in store.search(word, mode="keyword", limit=50)) for word in WORDS],
    }
