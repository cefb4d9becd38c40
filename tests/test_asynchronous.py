"""AsyncStore, AsyncMemory and AsyncWriter: what Store, Memory and Writer do, without blocking the event loop."""

import asyncio
import contextlib
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import hybridstore as hs
from hybridstore import AsyncMemory, AsyncStore
from hybridstore.asynchronous import AsyncWriter
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.errors import HybridstoreError, InputError, NotFound
from hybridstore.memory import Memory
from hybridstore.store import Store, Writer


class SlowEmbedder(HashingEmbedder):
    """An embedder that waits, as a model does, until it is released; `begun` says that it was called."""

    def __init__(self, *, held: bool = False) -> None:
        super().__init__(32)
        self.begun, self.free = threading.Event(), threading.Event()
        if not held:
            self.free.set()

    def embed_documents(self, texts):
        self.begun.set()
        assert self.free.wait(20)
        return super().embed_documents(texts)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


CLASSES = [(AsyncStore, Store), (AsyncMemory, Memory), (AsyncWriter, Writer)]


def public(of: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize(("threaded", "sync"), CLASSES)
def test_every_public_method_is_there_with_docstring_and_signature(threaded, sync):
    names = set(public(sync)) - {"snapshot"}
    assert names
    for name in names:
        theirs, ours = getattr(sync, name), getattr(threaded, name)
        assert ours is not theirs, name
        if name == "close":
            assert inspect.iscoroutinefunction(ours)
            continue
        assert ours.__doc__ == theirs.__doc__, name
        assert inspect.signature(ours) == inspect.signature(theirs), name
        awaited = inspect.iscoroutinefunction(ours) or inspect.isasyncgenfunction(ours)
        assert awaited or name in {"writer", "unlogged"}, name


def test_completion_offers_every_method(path):
    assert set(public(Store)) - {"snapshot"} <= set(dir(AsyncStore(path)))
    assert set(public(Memory)) <= set(dir(AsyncMemory(path)))


async def test_what_belongs_to_one_thread_is_reached_by_run(path):
    async with AsyncStore(path, embedder="none") as store:
        await store.add(["one", "two"])

        def read(plain: Store) -> tuple[int, int]:
            with plain.snapshot():
                return plain.count(), plain.chunks.count()

        assert await store.run(read) == (2, 2)
        for name in ("snapshot", "chunks", "embeddings", "learning"):
            assert name not in dir(store)
            with pytest.raises(AttributeError, match="run"):
                getattr(store, name)


# Types

ROOT = Path(__file__).parents[1]
CALLS = """
from collections.abc import AsyncIterator
import hybridstore as hs

async def use(store: hs.AsyncStore, memory: hs.AsyncMemory) -> None:
"""
RIGHT = [
    'results: hs.Results = await store.search("x", limit=3, mode="keyword")',
    "documents: AsyncIterator[hs.Document] = store.documents()",
    'async with store.writer() as writer, store.unlogged(): await writer.add(hs.Document(text="x"))',
    'number: int = await store.run(lambda plain: plain.chunks.count()) + len(await memory.recall("x", max_tokens=9))',
]
WRONG = [
    ('await store.serch("x")', 'has no attribute "serch"'),
    ('await store.search("x", limit="oops")', "incompatible type"),
    ("async for document in store.search('x'): ...", "__aiter__"),
    ("wrong: int = store.count()", "Incompatible types"),
    ("store.snapshot()", 'has no attribute "snapshot"'),
    ('await memory.recall("x", max_token=9)', 'Unexpected keyword argument "max_token"'),
    ('hs.AsyncStore("x.db", embeder="none")', 'Unexpected keyword argument "embeder"'),
]


def test_the_stub_is_what_the_generator_writes():
    generator = [sys.executable, str(ROOT / "docs" / "generate_async_stubs.py"), "--check"]
    ran = subprocess.run(generator, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.thorough
def test_a_type_checker_accepts_right_calls_and_rejects_each_wrong_one(tmp_path):
    lines = [*RIGHT, *(call for call, _ in WRONG)]
    snippet = tmp_path / "snippet.py"
    snippet.write_text(CALLS + "".join(f"    {line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", str(snippet)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first = CALLS.count("\n") + 1
    errors = {int(line.split(":")[1]) - first: line for line in ran.stdout.splitlines() if ": error:" in line}
    assert sorted(errors) == list(range(len(RIGHT), len(lines))), ran.stdout + ran.stderr
    for place, (_, message) in enumerate(WRONG, start=len(RIGHT)):
        assert message in errors[place]


# Calls


async def test_a_new_public_method_needs_no_registration(path):
    class Louder(Store):
        def shout(self, text: str) -> str:
            """Shout."""
            return f"{text.upper()} in {threading.current_thread().name}"

        def shouts(self, times: int) -> Iterator[str]:
            return (str(n) for n in range(times))

    with hs.open(path, embedder="none") as plain:
        louder = AsyncStore(Louder(plain._backend))
        assert (await louder.shout("hey")).startswith("HEY in hybridstore-AsyncStore")
        assert louder.shout.__doc__ == "Shout."
        assert [each async for each in louder.shouts(130)] == [str(n) for n in range(130)]
        await louder.close()
        assert plain.count() == 0  # a store that was given stays open


async def test_a_store_is_filled_searched_and_read_without_blocking_calls(path):
    async with AsyncStore(path, embedder=HashingEmbedder()) as store:
        report = await store.add(hs.Document(id=f"d{n}", text=f"The number {n} bus leaves early.") for n in range(150))
        assert report.added == await store.count() == 150
        hits = await store.search("number 7 bus", limit=3)
        assert hits[0].document_id == "d7"
        assert [each.id async for each in store.documents()] == [f"d{n}" for n in range(150)]
        assert (await store.get("d3")).text == "The number 3 bus leaves early."
        assert store.location == str(path)
        with pytest.raises(NotFound):
            await store.get("none such")


async def test_an_iterator_may_be_left_early(path):
    async with AsyncStore(path, embedder="none") as store:
        await store.add(f"text {n}" for n in range(200))
        async for document in store.documents():
            assert document.text == "text 0"
            break
        assert await store.count() == 200


async def test_concurrent_notes_are_all_remembered(path):
    async with AsyncMemory(path, "team", embedder=HashingEmbedder()) as memory:
        kept = await asyncio.gather(*(memory.remember(f"Fact number {n} is known.") for n in range(60)))
        assert all(each.status == "added" for each in kept)
        assert {note.text for note in await memory.notes()} == {f"Fact number {n} is known." for n in range(60)}
        assert memory.namespace == ("team",)
        assert "number 17" in str(await memory.recall("fact number 17"))
        assert memory.store.check() == []


async def test_the_event_loop_is_not_blocked_while_a_model_runs(path):
    embedder = SlowEmbedder(held=True)
    async with AsyncStore(path, embedder=embedder) as store:
        adding = asyncio.create_task(store.add(["one text", "and another"]))
        ticks = 0
        while not embedder.begun.is_set() or ticks < 50:
            await asyncio.sleep(0.002)
            ticks += 1
            assert not adding.done()
        assert await store.count() == 0  # other calls have threads of their own
        embedder.free.set()
        assert (await adding).added == 2


async def test_no_more_calls_run_at_once_than_there_are_workers(path):
    embedder = SlowEmbedder(held=True)
    async with AsyncStore(path, workers=2, embedder=embedder) as store:
        adding = [asyncio.create_task(store.add(f"text {n}")) for n in range(6)]
        await asyncio.to_thread(embedder.begun.wait, 10)
        counting = asyncio.create_task(store.count())
        await asyncio.sleep(0.05)
        assert not counting.done()  # it waits for its turn
        embedder.free.set()
        await asyncio.gather(*adding)
        await counting
        assert await store.count() == 6
    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("hybridstore-AsyncStore") for name in names)


async def test_a_call_that_is_cancelled_while_it_runs_completes(path):
    embedder = SlowEmbedder(held=True)
    async with AsyncStore(path, embedder=embedder) as store:
        adding = asyncio.create_task(store.add([f"text {n}" for n in range(20)]))
        await asyncio.to_thread(embedder.begun.wait, 10)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        embedder.free.set()
    with hs.open(path, embedder=HashingEmbedder(32)) as store:  # closing has waited for it
        assert store.count() == 20
        assert store.check() == []


async def test_a_call_that_is_cancelled_before_its_turn_does_nothing(path):
    embedder = SlowEmbedder(held=True)
    async with AsyncStore(path, workers=1, embedder=embedder) as store:
        first = asyncio.create_task(store.add("the first"))
        await asyncio.to_thread(embedder.begun.wait, 10)
        second = asyncio.create_task(store.add("the second"))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        embedder.free.set()
        await first
        assert [each.text async for each in store.documents()] == ["the first"]


async def test_a_writer_commits_at_its_end_and_an_error_drops_what_is_not_committed(path):
    async with AsyncStore(path, embedder=HashingEmbedder()) as store:
        async with store.writer() as writer:
            await asyncio.gather(*(writer.add(hs.Document(id=str(n), text=f"text {n}")) for n in range(10)))
            assert await store.count() == 0
        assert writer.report.added == await store.count() == 10

        async def fails():
            async with store.writer() as writer:
                await writer.add(hs.Document(id="more", text="more"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fails()
        assert await store.count() == 10


async def test_searches_in_an_unlogged_block_are_not_logged_and_those_of_other_tasks_are(path):
    async with AsyncStore(path, embedder="none", log_queries=True) as store:
        await store.add("text")
        inside = asyncio.Event()

        async def outside():
            await inside.wait()
            await store.search("asked by a person")

        other = asyncio.create_task(outside())
        async with store.unlogged():
            inside.set()
            await store.search("asked by a program")
            await other
        await store.search("asked afterwards")
        assert {each.query for each in await store.query_log()} == {"asked by a person", "asked afterwards"}


async def test_memories_share_an_asynchronous_store_and_leave_it_open(path):
    async with AsyncStore(path, embedder=HashingEmbedder()) as store:
        async with AsyncMemory(store, "ann") as ann, AsyncMemory(store, "ben") as ben:
            await asyncio.gather(ann.remember("Ann likes tea."), ben.remember("Ben likes coffee."))
            assert [note.text for note in await ann.notes()] == ["Ann likes tea."]
        assert await store.count() == 2


async def test_recalls_in_an_unlogged_block_of_the_store_are_not_logged(path):
    async with AsyncStore(path, embedder="none", log_queries=True) as store, AsyncMemory(store) as memory:
        await memory.remember("Ann likes tea.")
        async with store.unlogged():
            await memory.recall("what is liked")
        await memory.recall("who likes tea")
        assert [each.query for each in await store.query_log()] == ["who likes tea"]


async def test_closing_twice_is_harmless_and_calls_after_it_fail(path):
    store = AsyncStore(path, embedder="none")
    await store.close()  # never opened
    assert not path.exists()
    await store.close()
    with pytest.raises(HybridstoreError, match="AsyncStore is closed"):
        await store.count()
    memory = AsyncMemory(store)
    with pytest.raises(HybridstoreError, match="AsyncStore is closed"):
        await memory.notes()
    await memory.close()


async def test_errors_are_raised_where_calls_are_awaited(tmp_path):
    store = AsyncStore(tmp_path / "no" / "such.db")
    with pytest.raises(HybridstoreError, match="folder"):
        await store.count()
    with pytest.raises(InputError, match="async with"):
        _ = AsyncMemory(tmp_path / "x.db").namespace
    with pytest.raises(AttributeError):
        _ = store.nothing_such
    with pytest.raises(InputError, match="workers"):
        AsyncStore(tmp_path / "x.db", workers=0)
    with hs.open(tmp_path / "y.db", embedder="none") as plain, pytest.raises(InputError, match="leave out language"):
        AsyncStore(plain, language="german")
    with contextlib.suppress(HybridstoreError):
        await store.close()


async def test_a_store_in_memory_is_one_for_all_its_threads():
    async with AsyncStore(":memory:", embedder="none") as store:
        await asyncio.gather(*(store.add(f"text {n}") for n in range(8)))
        assert await asyncio.gather(*(store.count() for _ in range(8))) == [8] * 8


async def test_attributes_are_known_once_it_is_open(path):
    store = AsyncStore(path, embedder="none")
    with pytest.raises(InputError, match="async with"):
        _ = store.location
    async with store:
        assert (store.location, store.language) == (str(path), "english")
