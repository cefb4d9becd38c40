"""Trial: a store searched as if another version of its model were active, without changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration
from hybridstore.records import Trace
from hybridstore.search.pipeline import search
from hybridstore.search.request import Request
from hybridstore.search.selection import SelectionRequest
from hybridstore.search.vector_legs import QueryVectors
from hybridstore.store import calibration
from hybridstore.store.embedder_choice import StoreEmbedder
from hybridstore.store.expectations import TestedExpectation, tested
from hybridstore.text.analysis import Analyser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_REMEMBERED = 2  # model versions, which are compared with each other


class Trial:
    """A store with `model` as its active version (None: the plain embedder) and the `calibration` measured with it.

    Searches rank as they would after a promotion; nothing is written.
    """

    def __init__(
        self,
        backend: Backend,
        analyser: Analyser,
        model: ModelVersion | None,
        measured: Calibration | None,
        embedders: StoreEmbedder,
    ) -> None:
        self._backend, self._analyser, self._embedders = backend, analyser, embedders
        self.model, self.calibration = model, measured

    def search(
        self,
        query: str,
        vector: NDArray[np.float32] | None,
        *,
        limit: int,
        depth: int | None = None,
        per_document: int | None = None,
    ) -> Trace:
        """Search with the query's vector as its embedder makes it, a unit vector; by keywords alone without one."""
        request = Request(
            query=query,
            limit=limit,
            mode="keyword" if vector is None else "hybrid",
            fusion="adaptive",
            where=None,
            embed=lambda _: None if vector is None else QueryVectors(vector),
            selection=SelectionRequest(unique=False, per_document=per_document, diversity=0.0),
            depth=depth,
            model=self.model,
            calibration=self.calibration,
        )
        return search(self._backend, self._analyser, request)

    def test(self) -> list[TestedExpectation]:
        """Return what would come of the store's expectations; see `Store.test`."""
        embedder = self._embedders.for_queries_of(self.model)

        def find(query: str, limit: int) -> Trace:
            vector = embedder.embed_query(query) if embedder and query.strip() else None
            return self.search(query, vector, limit=limit, per_document=1)

        return tested(self._backend, find, None)


class TrialCalibrations:
    """What one store would measure with other versions of its model; the last two measurements are remembered."""

    def __init__(self, backend: Backend, embedders: StoreEmbedder) -> None:
        self._backend, self._embedders = backend, embedders
        self._measured: dict[tuple[int, bytes], Calibration | None] = {}

    def of(self, model: ModelVersion | None) -> Calibration | None:
        """Return the calibration with this version; raises ModelUnavailable where its embedder is not available."""
        known, key = self._measured, (self._backend.state().revision, model.weights if model else b"")
        if key not in known:
            embedder = self._embedders.for_queries_of(model)
            known = dict([*known.items()][1 - _REMEMBERED :])  # never changed in place: other threads may read it
            known[key] = calibration.measure(self._backend, embedder, model) if embedder else None
            self._measured = known
        return known[key] or self._backend.state().calibration
