"""The store as a whole: its health, what it contains, the fields to filter by, and when something has changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePath
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from hybridstore import __version__
from hybridstore.backends.values import Problem, Stats
from hybridstore.serving.http.context import CACHED, Conditions, Context, Shared, all_of
from hybridstore.store.languages import advice

router = APIRouter(tags=["store"])

_LOOK = 0.5  # seconds between two looks at the revision
_LONGEST = 100  # characters of a value; longer ones are texts, not kinds


class Health(BaseModel):
    """The server answers, and can read its store."""

    status: Literal["ok"] = "ok"
    version: str = __version__
    revision: int
    read_only: bool


class StoreStats(BaseModel):
    """What is visible of the store, and what its file holds."""

    name: str = Field(description="The file's name.")
    documents: int = Field(description="Documents that are visible.")
    notes: int
    turns: int
    sessions: int
    history: int = Field(description="Notes that were superseded.")
    without_vectors: int = Field(description="Passages that only words find as yet.")
    advice: str | None = Field(description="What would make searches better, such as another embedder.")
    rewriting: dict[str, float] | None = Field(
        description="How often searches that allow it asked the language model since the server started, or saved it."
    )
    file: Stats


class Value(BaseModel):
    """A value of a field, and how many documents have it."""

    value: str | bool | int | float
    documents: int


class Facet(BaseModel):
    """A field of the documents' metadata. `min` and `max` are those of numbers, or of texts such as dates."""

    name: str = Field(description="As it is written in a filter; dots nest.")
    documents: int
    kind: Literal["number", "text", "boolean", "mixed"]
    different: int = Field(description="The number of different values.")
    values: list[Value] = Field(description="The most frequent ones.")
    min: str | int | float | None
    max: str | int | float | None


class Facets(BaseModel):
    """The fields to filter by, those of the most documents first."""

    documents: int
    facets: list[Facet]


@router.get("/health")
def health(context: Shared) -> Health:
    """Say that the server answers, and can read its store."""
    return Health(revision=context.revision(), read_only=context.read_only)


@router.get("/stats")
def stats(context: Shared) -> StoreStats:
    """Count the documents and notes, and describe the file: its size, its embedder, how good its vectors are."""
    store = context.store
    counts = {name: number for name, number in context.memory.stats().items() if name in StoreStats.model_fields}
    found = store.stats()
    return StoreStats(
        name=PurePath(store.location).name,
        documents=len(store.ids(context.scope.filter("documents"))),
        without_vectors=store.embeddings.missing_count(),
        advice=advice(found.embedding, found.background, found.legs),
        rewriting=None if context.rewrite is None else context.rewrite.counts.to_dict(),
        file=found,
        **counts,
    )


@router.get("/check")
async def check(context: Shared) -> list[Problem]:
    """Check that what is stored is what was written; [] where all is well. It reads all of the file."""
    return await context.in_thread(context.store.check)


@router.get("/facets", dependencies=[CACHED])
def facets(
    context: Shared,
    where: Conditions = (),
    values: Annotated[int, Query(ge=0, le=1000, description="Values of each field.")] = 10,
) -> Facets:
    """List the fields of the documents that pass a filter, with their most frequent values."""
    return context.cached(("facets", *where, values), lambda: _facets(context, where, values))


def _facets(context: Context, where: Sequence[str], values: int) -> Facets:
    documents = context.store.metadata(context.scope.filter("documents", where=all_of(where)))
    found: dict[str, Counter[tuple[type, Any]]] = defaultdict(Counter)
    holders: Counter[str] = Counter()
    for metadata in documents:
        for name, kinds in _values(metadata, "").items():
            holders[name] += 1
            found[name].update(kinds)
    listed = [_facet(name, number, found[name], values) for name, number in holders.most_common()]
    return Facets(documents=len(documents), facets=listed)


def _values(metadata: Mapping[str, object], prefix: str) -> dict[str, dict[tuple[type, Any], int]]:
    """Return the different values of each field, each counted once, with their types, since True equals 1."""
    found: dict[str, dict[tuple[type, Any], int]] = {}
    for key, value in metadata.items():
        name = _written(key, prefix)
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, Mapping):
                for inner, kinds in _values(each, f"{name}.").items():
                    found.setdefault(inner, {}).update(kinds)
            elif each is not None and not isinstance(each, list) and (type(each) is not str or len(each) <= _LONGEST):
                found.setdefault(name, {})[type(each), each] = 1
    return found


@lru_cache(4096)
def _written(key: str, prefix: str) -> str:
    name = prefix + key.replace("\\", "\\\\").replace(".", "\\.")
    return f"\\{name}" if not prefix and name.startswith(("@", "$")) else name


def _facet(name: str, holders: int, counts: Counter[tuple[type, Any]], most: int) -> Facet:
    kinds = {int: "number", float: "number", bool: "boolean", str: "text"}
    present = {kinds[kind] for kind, _ in counts}
    kind: Any = present.pop() if len(present) == 1 else "mixed"
    ordered = [value for _, value in counts] if kind in ("number", "text") else []
    return Facet(
        name=name,
        documents=holders,
        kind=kind,
        different=len(counts),
        values=[Value(value=value, documents=number) for (_, value), number in counts.most_common(most)],
        min=min(ordered, default=None),
        max=max(ordered, default=None),
    )


@router.get("/events", response_class=EventSourceResponse)
async def events(context: Shared) -> AsyncIterator[ServerSentEvent]:
    """Say, as server-sent events, when the store has changed: `revision`, once at the start and after every write."""
    last = None
    while not context.stopping.is_set():
        revision = await anyio.to_thread.run_sync(context.revision)
        if revision != last:
            last = revision
            yield ServerSentEvent(event="revision", data={"revision": revision}, id=str(revision))
        await anyio.sleep(_LOOK)
