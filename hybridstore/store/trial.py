"""A store as it would be: with another version of its model active, and measured with it, while nothing has changed."""

from __future__ import annotations

from typing import Any, cast

from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Calibration
from hybridstore.store import calibration
from hybridstore.store.embedder_choice import StoreEmbedder

_KEPT = 2  # versions that are compared with each other


class Supposing:
    """Gives one store's backend as it would be; what was measured with the last two versions is remembered."""

    def __init__(self, backend: Backend, embedders: StoreEmbedder) -> None:
        self._backend, self._embedders = backend, embedders
        self._measured: dict[tuple[int, bytes], Calibration | None] = {}

    def backend(self, model: ModelVersion | None) -> Backend:
        """Give it with this version, None: the plain embedder; raises ModelUnavailable where its embedder is missing.

        Searches in it answer as they would after a promotion; writes go to the real one.
        """
        known, key = self._measured, (self._backend.revision(), model.weights if model else b"")
        if key not in known:
            embedder = self._embedders.for_questions(model)
            asked = cast("Backend", _Supposed(self._backend, model, None))
            known = dict([*known.items()][1 - _KEPT :])  # never changed in place: other threads may be reading it
            known[key] = calibration.measure(asked, embedder) if embedder else None
            self._measured = known
        return cast("Backend", _Supposed(self._backend, model, known[key]))


class _Supposed:
    """A backend as it would be if another version of the model were active; `measured` None leaves what is known."""

    def __init__(self, backend: Backend, model: ModelVersion | None, measured: Calibration | None) -> None:
        self._backend, self._model, self._measured = backend, model, measured

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @property
    def learning(self) -> _Supposed:
        return self

    def model(self) -> ModelVersion | None:
        return self._model

    def background(self) -> Calibration | None:
        return self._measured or self._backend.background()
