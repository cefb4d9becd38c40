"""Several stores searched as one: one ranking, as of a store that holds everything, and hits that name their store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Unpack, cast

from hybridstore.backends.protocols import Backend
from hybridstore.backends.union import StoreUnion
from hybridstore.backends.values import Calibration
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import HybridstoreError, InputError
from hybridstore.records import Hit, Results, Trace
from hybridstore.search.algebra import StructuredQuery
from hybridstore.store import calibration
from hybridstore.store.inputs import SearchOptions
from hybridstore.store.store import Store
from hybridstore.tables import Column

_REMEMBERED = 256  # calibrations of sets of stores, some hundred bytes each

_calibrations: OrderedDict[tuple[Any, ...], Calibration | None] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHit(Hit):
    """A hit of `search_many`: `store` is the name of the store that has it, `chunk_id` the chunk's id there."""

    store: str


class ManyResults(Results):
    """The hits of several stores, best first. In its `trace` chunks are numbered through all stores."""

    __slots__ = ()
    columns: ClassVar[tuple[Column, ...]] = (*Results.columns, Column("store"))

    def __init__(self, trace: Trace, hits: Sequence[Hit]) -> None:
        super().__init__(trace, hits)


def search_many(
    stores: Iterable[Store] | Mapping[str, Store], query: str | StructuredQuery, **options: Unpack[SearchOptions]
) -> ManyResults:
    """Search several open stores and rank what they find as one store with all their documents would.

    The options are those of `Store.search`. Words are weighed by how many passages of all stores have them, and by the
    average length there. The stores are measured together, when a set of them is first searched in a process and when
    one of them was measured anew, with the sample of vectors that one store would have, had it been filled with one
    after the other. Without an embedder, as for vectors of the caller's, the largest store's calibration counts. Vector
    legs that were added, and what a store has learned, are not used. Documents with the same id in several stores are
    different hits, but one document for `per_document` and `around`.

    Each `hit.store` is the name in the mapping, or the store's location. Each store is read in one state of its own.

    Raises InputError for no store, one that comes twice, stores of different languages, and those of which only some
    have vectors; EmbedderMismatch for vectors of different embedders; both not with `mode="keyword"`.
    """
    named = stores if isinstance(stores, Mapping) else dict(enumerate(stores))
    opened = list(named.values())
    if unfit := [store for store in opened if not isinstance(store, Store)]:
        raise InputError(f"search_many takes open stores, not {type(unfit[0]).__name__}")
    names = [name if isinstance(name, str) else store.location for name, store in named.items()]
    backends = [store._backend for store in opened]  # noqa: SLF001 - of the same package
    union = StoreUnion(backends, vectors=_needs_vectors(options))
    embedder = None
    if union.state().embedding is not None:
        # Also with a vector of the caller's: to measure the stores together.
        with suppress(*((HybridstoreError,) if options.get("vector") is not None else ())):
            embedder = next(filter(None, (store.embedder() for store in opened)), None)
    union.calibration = _calibration(opened, union, embedder)
    view = Store(cast("Backend", union), embedder=embedder or "none")
    trace = view.search(query, **options).trace
    if any(store.state().model for store in opened):
        trace = replace(trace, notes=(*trace.notes, "What the stores have learned was left out."))
    return ManyResults(trace, [_of_store(hit, union, names) for hit in trace.hits])


def _needs_vectors(options: SearchOptions) -> bool:
    legs = options.get("legs")
    chosen = {legs} if isinstance(legs, str) else set(legs or ())
    return options.get("mode", "hybrid") != "keyword" and chosen != {"keyword"}


def _of_store(hit: Hit, union: StoreUnion, names: Sequence[str]) -> StoreHit:
    place, chunk = union.place(hit.chunk_id)
    values = {field.name: getattr(hit, field.name) for field in fields(Hit)}
    return StoreHit(**(values | {"chunk_id": chunk}), store=names[place])


def _calibration(stores: Sequence[Store], union: StoreUnion, embedder: Embedder | None) -> Calibration | None:
    """Return the calibration of stores together, measured once for each of their own calibrations."""
    states = [store.state() for store in stores]
    own = [state.calibration for state in states if state.calibration is not None]
    if embedder is None or sum(state.chunks > 0 for state in states) < 2:
        return max(own, key=lambda each: each.chunks, default=None)
    facts = [each and (each.chunks, each.power, each.chance) for each in (state.calibration for state in states)]
    key = (embedder.fingerprint, *(store.location for store in stores), *facts)
    with _lock:
        if key in _calibrations:
            _calibrations.move_to_end(key)
            return _calibrations[key]
    measured = calibration.measure(cast("Backend", union), embedder, None)
    with _lock:
        _calibrations[key] = measured
        while len(_calibrations) > _REMEMBERED:
            _calibrations.popitem(last=False)
    return measured
