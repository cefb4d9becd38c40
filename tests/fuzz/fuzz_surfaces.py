"""What reads input from outside, each with valid inputs to change.

A surface is a function that reads one input, a list of seeds, and how a seed is changed. It raises HybridstoreError for
what it does not accept.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fuzz_mutations import changed_bytes, changed_call, changed_file, changed_lines, changed_text, changed_value
from fuzz_server import Errors, Loopback, StandardInput, changed_message, changed_request, messages, request

import hybridstore as hs
from hybridstore import filters
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import InputError
from hybridstore.evaluation import collections, judgments
from hybridstore.ingest import export_import, read
from hybridstore.ingest.readers.file_types import kind_of
from hybridstore.memory import importers
from hybridstore.serving.mcp_server import StoreServer, server

_SENTENCE = "The gate opens at 7:30; see RFC 9110, foo_bar() and Müller GmbH."


@dataclass(frozen=True, slots=True)
class Surface:
    """One surface: read, seeds, and a function (rng, seed) → input."""

    read: Callable[[Any], object]
    seeds: list[Any]
    change: Callable[[random.Random, Any], Any]


def _files() -> dict[str, list[tuple[str, bytes]]]:
    """Return a valid file of every kind, by the name of its reader."""
    path = Path(__file__).parents[1] / "ingest" / "test_every_kind.py"
    spec = importlib.util.spec_from_file_location("every_kind", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, list[tuple[str, bytes]]] = {}
    for name, make in module.FILES.items():
        if name == "picture.md":
            continue  # its size is its point
        for sentence in (_SENTENCE, "one\n\ntwo *three* |four|"):
            data = make(sentence) if callable(make) else make.format(sentence.replace("\n", " "))
            data = data.encode() if isinstance(data, str) else data
            found.setdefault(kind_of(name, data[:4096]).reader, []).append((name, data))
    return found


def _file_surface(folder: Path, store: hs.Store, seeds: list[tuple[str, bytes]]) -> Surface:
    count = 0

    def read_one(given: tuple[str, bytes]) -> None:
        nonlocal count
        name, data = given
        path = folder / name
        path.write_bytes(data)
        found = list(read(path))
        if not found:
            raise InputError("no documents")
        count += 1
        if count % 8:
            return
        try:
            store.add(found[:20])
        except InputError as error:
            raise AssertionError(f"read, but refused by the store: {error}") from error
        if count % 800 == 0:
            store.remove(store.ids())

    others = [data for _, data in seeds]
    return Surface(read_one, seeds, lambda rng, seed: (seed[0], changed_file(rng, seed[1], others)))


_QUERIES = [
    _SENTENCE,
    "valve pump",
    '"valve pump" leak',
    "-valve pump",
    "E4012",
    "foo_bar",
    "C++",
    "東京 valve",
    "über-alles",
]
_ADVANCED = [
    'title:valve AND (pump OR leak) NOT "hall seal"',
    "pres* +pump -leak",
    "valve NEAR/3 pump",
    '"pump leak"~3',
    "heading:a",
    "(a OR (b AND c))",
    "valve^2 pump",
    "text:pump*",
]
_FILTERS = [
    "tag=pump",
    "n>=3",
    'tag="a"',
    "year!=2020",
    '@title~"a b"',
    "@id^=d1",
    "a.b=1",
    "n<1e3",
    "tag?",
    "date>2026-03-02",
    '{"n": {"$in": [1, 2]}}',
]
_CONDITIONS: list[Any] = [
    {"n": 3},
    {"n": {"$gte": 1, "$lt": 3}},
    {"$or": [{"tag": "a"}, {"$not": {"n": {"$in": [1, 2]}}}]},
    {"tag": {"$regex": "^a.*b+$"}},
    {"@id": {"$prefix": "d"}},
    {"tags": {"$all": ["a", "b"]}},
    {"tags": {"$any": ["a"]}},
    {"a.b": {"$exists": True}},
    {"title": {"$ieq": "A"}},
    {"$and": [{"n": {"$ne": 2}}, {"d": {"$gt": "2026-03-02"}}]},
]
_OPERATORS = [
    "n",
    "tag",
    "@id",
    "a.b",
    "",
    "$and",
    "$or",
    "$not",
    "$all",
    "$any",
    *(f"${name}" for name in filters.OPERATORS),
]
_MESSAGES: list[Any] = [
    [
        {"role": "user", "content": "Where is Anna?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Paris"}]},
    ],
    [{"role": "user", "content": "x", "name": "Bo", "id": "m1", "timestamp": "2026-03-02T10:00:00Z"}],
]
_NOTES: list[Any] = [
    {"what": "Anna lives in Paris", "id": "a", "metadata": {"k": 1}, "occurred_at": "2026-03-02", "ttl": 300},
    {"what": "x", "session": "s", "valid_from": "2026-01-01", "valid_to": "2027-01-01", "on_similar": "link"},
    {"what": "y", "supersedes": ["a"], "similarity": 0.9},
]
_CALLS: list[Any] = [
    {"name": "search", "arguments": {"query": "pump", "limit": 3, "where": {"n": 1}}},
    {"name": "recall", "arguments": {"query": "where is Anna", "max_tokens": 500}},
    {"name": "fetch", "arguments": {"id": "d1"}},
    {"name": "list", "arguments": {"where": {"n": {"$gt": 1}}}},
    {"name": "stats", "arguments": {}},
    {"name": "remember", "arguments": {"text": "x", "metadata": {"a": 1}, "occurred_at": "2025-03-01"}},
    {"name": "supersede", "arguments": {"id": "kept", "text": "b"}},
    {"name": "forget", "arguments": {"ids": ["kept"], "dry_run": True}},
    {"name": "forget", "arguments": {"where": {"a": 1}, "dry_run": True}},
]


def _documents() -> list[dict[str, Any]]:
    return [
        {
            "id": f"d{n}",
            "text": f"# Valve {n}\n\npump leak hall {n}",
            "title": f"About {n}",
            "format": "markdown",
            "metadata": {"n": n, "tag": "ab"[n % 2], "tags": ["a", "b"], "a": {"b": n}, "d": "2026-03-02"},
        }
        for n in range(8)
    ]


def _exports(store: hs.Store, memory: hs.Memory) -> tuple[bytes, bytes, bytes]:
    plain, vectors, notes = io.BytesIO(), io.BytesIO(), io.BytesIO()
    export_import.export(store, plain)
    export_import.export(store, vectors, vectors=True)
    memory.export(notes)
    return plain.getvalue(), vectors.getvalue(), notes.getvalue()


def _bytes_surface(read_bytes: Callable[[bytes], object], seeds: list[bytes]) -> Surface:
    change = changed_lines if seeds[0].startswith(b"{") else changed_bytes
    return Surface(read_bytes, seeds, lambda rng, seed: change(rng, seed, seeds))


def _by_path(path: Path, read_path: Callable[[Path], object]) -> Callable[[bytes], object]:
    def read_bytes(data: bytes) -> object:
        path.write_bytes(data)
        return read_path(path)

    return read_bytes


def _refusing(import_file: Callable[[], Any]) -> None:
    report = import_file()
    if not report.added + report.updated + report.unchanged:
        raise InputError("nothing was added")


def _server_surfaces(servers: ExitStack, mcp: StoreServer) -> dict[str, Surface]:
    valid = messages(_CALLS)
    bodies, errors = [json.dumps(each).encode() for each in valid], Errors()
    by_body = dict(zip(bodies, valid, strict=True))
    loopback, stdio = (servers.enter_context(closing(kind(mcp, errors))) for kind in (Loopback, StandardInput))
    change = lambda rng, seed: changed_message(rng, by_body[seed])  # noqa: E731
    return {
        "mcp over stdio": Surface(stdio.message, bodies, change),
        "mcp over http": Surface(loopback.message, bodies, change),
        "http": Surface(
            loopback.raw, [request(body) for body in bodies], lambda rng, _: changed_request(rng, rng.choice(bodies))
        ),
    }


@contextmanager
def surfaces(folder: Path) -> Iterator[dict[str, Surface]]:
    """Open what is needed, and return all surfaces by name; files are written into `folder`."""
    embedder, loop = HashingEmbedder(16), asyncio.new_event_loop()
    with (
        hs.open(folder / "store.db", embedder=embedder) as store,
        hs.open(":memory:", embedder=embedder) as scratch,
        hs.open(":memory:", embedder=embedder) as other,
        ExitStack() as servers,
    ):
        store.add(_documents())
        memory, notes = hs.Memory(store, "a"), hs.Memory(other, "a")
        memory.remember("Anna lives in Paris", id="a", metadata={"k": 1})
        served = hs.Memory(store, "mcp")
        served.remember("Bo lives in Rome", id="kept")
        mcp = server(served, roots=[folder])
        plain, vectors, exported = _exports(store, memory)

        def query(syntax: str, text: str) -> None:
            if len(store.search(text, syntax=syntax, mode="keyword")) == 3:  # now and then: it takes ten times as long
                store.explain(text, syntax=syntax, expect="d1")

        def condition(where: Any) -> None:
            filter_ = filters.parse(where)
            list(store.ids(filter_))
            if filter_ is not None:
                filters.parse(filters.to_dict(filter_))

        def load(data: bytes) -> None:
            other.remove(other.ids())
            export_import.load(other, io.BytesIO(data))

        def message(call: Any) -> None:
            if not isinstance(call, dict) or not isinstance(call.get("arguments"), dict):
                raise InputError("no call")
            answer = loop.run_until_complete(mcp.call_tool(str(call.get("name")), call["arguments"]))
            if answer.is_error:
                raise InputError(answer.content[0].text)

        def note(given: Any) -> None:
            if not isinstance(given, dict) or not all(isinstance(key, str) for key in given) or "what" not in given:
                raise InputError("no note")
            try:
                notes.remember(**given)
            except TypeError as error:
                if "unexpected keyword" in str(error):
                    raise InputError(str(error)) from error
                raise

        keys = ["what", "id", "role", "content", "name", "arguments", "query", "limit", "where", "cursor", *_OPERATORS]
        text = lambda seeds: lambda rng, seed: changed_text(rng, seed, seeds)  # noqa: E731
        value = lambda rng, seed: changed_value(rng, seed, keys)  # noqa: E731
        graph = (
            b'{"type":"entity","name":"Anna","entityType":"person","observations":["lives in Paris"]}\n'
            b'{"type":"relation","from":"Anna","to":"Bo","relationType":"knows"}\n'
        )
        (folder / "notes").mkdir()
        yield {
            **{f"read {name}": _file_surface(folder, scratch, seeds) for name, seeds in sorted(_files().items())},
            "query": Surface(partial(query, "simple"), _QUERIES, text(_QUERIES)),
            "query, advanced": Surface(partial(query, "advanced"), _ADVANCED, text(_ADVANCED)),
            "filter as text": Surface(lambda given: condition(filters.from_text(given)), _FILTERS, text(_FILTERS)),
            "filter": Surface(condition, _CONDITIONS, value),
            "import": _bytes_surface(load, [plain, vectors]),
            "import notes": _bytes_surface(lambda data: notes.import_(io.BytesIO(data)), [exported]),
            "import mcp memory": _bytes_surface(
                _by_path(
                    folder / "memory.jsonl", lambda path: _refusing(partial(importers.from_mcp_memory, notes, path))
                ),
                [graph],
            ),
            "import markdown": _bytes_surface(
                _by_path(folder / "notes" / "a.md", lambda _: importers.from_markdown(notes, folder / "notes")),
                [b"---\ntitle: A\ndate: 2026-03-02\ntags: [a, b]\n---\n\n# A\n\nSee [[B]] and #tag.\n"],
            ),
            "qrels": _bytes_surface(
                _by_path(folder / "q.tsv", judgments.read_qrels),
                [b"query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t2\n", b"q1 0 d1 1\nq2 0 d2 0\n"],
            ),
            "run": _bytes_surface(
                _by_path(folder / "run.txt", judgments.read_run), [b"q1 Q0 d1 1 12.5 x\nq1 Q0 d2 2 11.5 x\n"]
            ),
            "queries": _bytes_surface(
                _by_path(folder / "queries.jsonl", collections.read_queries),
                [b'{"_id":"q1","text":"where","metadata":{}}\n'],
            ),
            "conversation": Surface(notes.remember, _MESSAGES, value),
            "remember": Surface(note, _NOTES, value),
            "mcp": Surface(message, _CALLS, lambda rng, seed: changed_call(rng, seed, keys)),
            **_server_surfaces(servers, mcp),
        }
    loop.close()
