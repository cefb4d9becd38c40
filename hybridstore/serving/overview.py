"""A store at a glance, as the plain values that `hybridstore.views` draws: contents, map, memory, learning."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridstore import filters
from hybridstore.evaluation.kept_reports import kept_reports
from hybridstore.memory.notes import OURS, Note, note_of
from hybridstore.search.algebra_text import replayed
from hybridstore.search.stopwords import stopwords_in
from hybridstore.serving.passage_map import METHOD, layout, placed, regions
from hybridstore.store.inputs import Where
from hybridstore.store.languages import advice

if TYPE_CHECKING:
    from hybridstore.backends.values import Passage
    from hybridstore.records import Hit
    from hybridstore.store import Store

MOST = 2_000  # passages on a map, and documents that are counted: both are read in well below a second
_MOST_NOTES = 5_000
_NAME = 60  # characters of a passage's name
_READ = 400  # characters of a passage that name its region on a map
_VALUES = 12  # of a field, the most frequent ones
_FIELDS = 4  # beside kind, folder, language and time
_KINDS = 0.5  # share of different values up to which a field says what kind a document is
_LONGEST = 40  # characters of such a value
_MAPPED = 6  # fields that a map can be coloured by
_DAY = re.compile(r"(\d{4})-\d{2}(?:-\d{2}.*)?", re.DOTALL)
_QUERIES = 200  # of the log, the most frequent ones
_TRIED = 20  # of these that are searched again, to see which find nothing


def contents(store: Store, where: Where = None, *, check: bool = False) -> dict[str, Any]:
    """Return what a store holds: its stats, and how many documents there are of each kind, folder, language and year.

    Of more than 2,000 documents that pass `where` as many are counted, spread evenly: `looked_at` of `of`. With `check`
    the whole file is checked, which takes seconds; else `problems` is None.
    """
    stats = store.stats()
    ids = store.ids(where)
    passages = _first_passages(store, _evenly(ids, MOST))
    return {
        "name": PurePath(store.location).name,
        "stats": asdict(stats),
        "without_vectors": store.embeddings.missing_count(),
        "advice": advice(stats.embedding, stats.background, stats.legs),
        "problems": [asdict(problem) for problem in store.check()] if check else None,
        "fields": [
            {"name": name, "different": len(counts), "counts": _shown(name, counts)}
            for name, counts in _fields([_facts(passage) for passage in passages]).items()
            if len(counts) > 1
        ],
        "looked_at": len(passages),
        "of": len(ids),
    }


@dataclass(frozen=True, slots=True)
class MapLayout:
    """Passages in two dimensions, without a query: their vectors (n, dim), their places (n, 2), and what is drawn."""

    vectors: NDArray[np.float32]
    points: NDArray[np.float64]
    drawn: Mapping[str, Any]


def map_layout(store: Store, where: Where = None) -> MapLayout:
    """Lay out at most 2,000 passages, spread evenly over the documents that pass `where`, in about a second.

    Those without a vector are left out. `points` are from 0 to 1, `regions` have the words that set their passages
    apart.
    """
    ids = _evenly(store.ids(where), MOST)
    chunks = _evenly([chunk for chunks in store.chunks.of(ids).values() for chunk in chunks], MOST)
    passages = store.chunks.passages(chunks)
    vectors = store.chunks.vectors([passage.chunk for passage in passages])
    there = np.abs(vectors).sum(axis=1) > 0.0 if vectors.size else np.zeros(len(passages), np.bool_)
    passages = [passage for passage, has in zip(passages, there.tolist(), strict=True) if has]
    vectors = vectors[there]
    points = layout(vectors) if passages else np.empty((0, 2))
    facts = [_facts(passage) for passage in passages]
    texts = [f"{passage.title} {passage.heading} {passage.text[:_READ]}" for passage in passages]
    named = regions(points, texts, lambda words: stopwords_in(words, store.language, alone=False))
    colours = [name for name, counts in _fields(facts).items() if len(counts) > 1][:_MAPPED]
    drawn = {
        "points": points.round(4).tolist(),
        "names": [_name(passage) for passage in passages],
        "documents": [passage.document_id for passage in passages],
        "fields": {name: [", ".join(each.get(name, ())) for each in facts] for name in colours},
        "regions": [{"at": at, "words": words} for at, words in named],
        "method": METHOD,
        "of": store.chunks.count(),
    }
    return MapLayout(vectors, points, drawn)


def passage_map(
    store: Store, where: Where = None, *, query: str = "", hits: Sequence[Hit] = (), layout: MapLayout | None = None
) -> dict[str, Any]:
    """Return passages in two dimensions, with their names and fields; and where a query and its hits lie among them.

    `layout` is that of `map_layout`, if the caller has it.
    """
    there = layout or map_layout(store, where)
    embedded = _query_vector(store, query) if query and len(there.points) else None
    asked = [] if embedded is None else placed(embedded[None], there.vectors, there.points).round(4).tolist()
    return {
        **there.drawn,
        "hits": _located(store, hits, there.vectors, there.points),
        "query": {"text": query, "at": asked[0]} if asked else None,
    }


def memory(store: Store, where: Where = None, *, now: datetime | None = None) -> dict[str, Any]:
    """Return the notes of a store with all of their versions, at most 5,000, and the moment `now`; times in ISO 8601.

    `where` restricts the namespaces, such as a `Memory.scope`'s own. Turns of conversations are counted alone.
    """
    owned = filters.field(f"{OURS}.in").exists()
    parsed = filters.parse(where)
    visible = owned if parsed is None else owned & parsed
    turns = len(store.ids(visible & (filters.field(f"{OURS}.kind") == "turn")))
    ids = store.ids(visible & (filters.field(f"{OURS}.kind") != "turn"))[-_MOST_NOTES:]
    now = now or datetime.now(UTC)
    notes = [note for note in map(_note, (store.get(id_) for id_ in ids)) if not note.expired(now)]
    return {"notes": [note.to_dict() for note in notes], "turns": turns, "now": now.isoformat()}


def learning(store: Store) -> dict[str, Any]:
    """Return the versions that a store has learned, newest first, the queries of its log, and its evaluations.

    Of the most frequent queries, 20 are searched for again, for their `confidence`; it is None for the others.
    """
    names = ("number", "kind", "state", "made", "previous", "source", "target")
    models = [
        {name: getattr(model, name) for name in names} | {"report": dict(model.report)}
        for model in store.learning.models()
    ]
    logged = sorted(store.query_log(), key=lambda each: (-each.times, each.query))
    queries: list[dict[str, Any]] = [asdict(each) | {"confidence": None} for each in logged[:_QUERIES]]
    with store.unlogged():
        for each in queries[:_TRIED]:
            each["confidence"] = store.search(replayed(each["query"]), limit=1).confidence
    for each in queries:
        each["query"] = str(replayed(each["query"]))
    evaluations = [] if store.folder is None else kept_reports(store.location)
    return {"models": models[::-1], "queries": queries, "logged": len(logged), "evaluations": evaluations}


def _note(document: Any) -> Note:
    return note_of(str(document.id), document.text, document.metadata)


def _evenly(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many of the items, spread evenly over them."""
    if len(items) <= most:
        return list(items)
    return [items[n * len(items) // most] for n in range(most)]


def _first_passages(store: Store, ids: Sequence[str]) -> list[Passage]:
    return store.chunks.passages([chunks[0] for chunks in store.chunks.of(ids).values()])


def _name(passage: Passage) -> str:
    name = passage.title or " ".join(passage.text.split())
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _located(
    store: Store, hits: Sequence[Hit], vectors: NDArray[np.float32], points: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Return hits with their ranks and places on the map; those without a vector are left out."""
    if not hits or not len(vectors):
        return []
    theirs = store.chunks.vectors([hit.chunk_id for hit in hits])
    known = {n: at for n, at in enumerate(placed(theirs, vectors, points).round(4).tolist()) if theirs[n].any()}
    return [
        {"rank": hit.rank, "name": hit.title or hit.document_id, "document_id": hit.document_id, "at": known[n]}
        for n, hit in enumerate(hits)
        if n in known
    ]


def _query_vector(store: Store, query: str) -> Any:
    """Return the vector of a query as the store's vectors are compared with it; None where they are not."""
    embedder, active = store.embedder(), store.embeddings.active
    if embedder is None or active is None or embedder.fingerprint != active.fingerprint:
        return None
    return embedder.embed_query(query)


def _facts(passage: Passage) -> dict[str, tuple[str, ...]]:
    """Return what a passage's document is counted by: values by the name of the field."""
    metadata = passage.metadata
    facts: dict[str, tuple[str, ...]] = {}
    ours = metadata.get(OURS)
    kind = ours.get("kind", "note") if isinstance(ours, Mapping) else metadata.get("type")
    facts["kind"] = (str(kind),) if isinstance(kind, str) else ("text",)
    path = metadata.get("path")
    if isinstance(path, str) and len(parts := PurePosixPath(path.replace("\\", "/")).parts) > 1:
        facts["folder"] = ("/".join(parts[:-1][-2:]),)
    for name, value in metadata.items():
        if name in {OURS, "path", "type"}:
            continue
        values = tuple(_values(value))
        years = [match[1] for each in values if (match := _DAY.fullmatch(each))]
        if years or name == "year":
            facts.setdefault("year", tuple(years) or values)
        elif values:
            facts["language" if name in {"lang", "language"} else name] = values
    return facts


def _values(value: object) -> Iterator[str]:
    for each in value if isinstance(value, list | tuple) else [value]:
        if isinstance(each, bool | int) or (isinstance(each, str) and 0 < len(each) <= _LONGEST):
            yield str(each)


def _fields(facts: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, Counter[str]]:
    """Return how often each value occurs, by field: kind, folder, language, year, and those that say a kind."""
    found: dict[str, Counter[str]] = {}
    for each in facts:
        for name, values in each.items():
            found.setdefault(name, Counter()).update(values)
    first = [name for name in ("kind", "folder", "language", "year") if name in found]
    kinds = (
        name
        for name, counts in sorted(found.items(), key=lambda pair: (-pair[1].total(), pair[0]))
        if name not in first and 1 < len(counts) <= max(_KINDS * counts.total(), 2)
    )
    return {name: found[name] for name in [*first, *list(kinds)[:_FIELDS]]}


def _shown(name: str, counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the most frequent values, years in their order."""
    return sorted(counts.items())[-2 * _VALUES :] if name == "year" else counts.most_common(_VALUES)
