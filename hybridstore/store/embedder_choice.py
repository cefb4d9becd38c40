"""Which embedders a store uses: the one its caller named, or those its file remembers, loaded when first needed.

Documents and questions have the same one, unless the file's active model is of the kind "drift": questions are then
embedded by a newer one, and turned into the space of the vectors that are there.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridstore import embedders
from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Embedding, SearchState
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import EmbedderMismatch, InputError, ModelUnavailable

GIVEN = "given"  # the reference of vectors that came from the caller, without an embedder
_CLOSED = (".", "!", "?", ":", ";", "。", "！", "？")
_QUERIES_KEPT = 1024  # 1.5 MiB of 384-dimensional vectors
_LONGEST_KEPT = 4096  # characters; nobody asks a longer one twice, and its text would weigh more than its vector
NONE = "none"  # what a caller says who wants no embedder at all


class StoreEmbedder:
    """The embedders of one open store.

    `wanted` None follows the file: its own embedder, or the default in a file without vectors. A name, a folder
    or an Embedder is insisted on: raises EmbedderMismatch when the file was filled by another. The one that the file's
    questions are embedded by is as good: the file is then followed, with that one at hand. "none" is none.
    """

    def __init__(self, backend: Backend, wanted: str | Path | Embedder | None, threads: int | None) -> None:
        self._backend, self._wanted, self._threads = backend, wanted, threads
        self._lock = threading.Lock()
        self._loaded: Embedder | None = None  # for documents, and for questions unless they have their own
        self._asking: Embedder | None = None  # for questions that come from a newer embedder
        self._queries: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        stored = backend.embeddings().active
        if stored and wanted is not None and wanted != NONE and str(wanted) != stored.reference:
            given, drift = self.load(wanted), self._drift(stored)
            if given.fingerprint == stored.fingerprint:
                self._loaded = given
            elif drift is not None and given.fingerprint == drift.source:
                self._asking, self._wanted = given, None
            else:
                raise EmbedderMismatch(stored.fingerprint, given.fingerprint)

    def none(self) -> StoreEmbedder:
        """Return the choice of no embedder for the same store."""
        return StoreEmbedder(self._backend, NONE, self._threads)

    @property
    def follows_file(self) -> bool:
        """Say whether the file decides, so that another process may change the embedder under us."""
        return self._wanted is None

    @property
    def without(self) -> bool:
        """Say whether the caller wants no embedder."""
        return self._wanted == NONE

    def for_writing(self) -> Embedder | None:
        """Give the embedder for new chunks; None when the store is to have no vectors.

        Raises InputError where the file's vectors came from its caller, so that none can be made here.
        """
        if self._wanted == NONE:
            return None
        stored = self._backend.embeddings().active
        if stored and stored.reference == GIVEN and self._wanted is None:
            raise InputError(
                "this store's vectors were given by its caller, so none can be made for new text: pass vectors=, or "
                "open it with embedder='none' to add without vectors"
            )
        return self._current(stored, self._wanted or (stored.reference if stored else embedders.DEFAULT))

    def for_searching(self) -> Embedder | None:
        """Give the embedder for queries; None when the store has no vectors, or wants no embedder.

        Raises InputError where the file's vectors came from its caller, so that a query's must too, unless the active
        model knows a way from some embedder to them; ModelUnavailable where that embedder is not to be had.
        """
        return self._for_questions(self._backend.state())

    def for_questions(self, model: ModelVersion | None) -> Embedder | None:
        """Give the embedder that queries would have if this version of the model were active; as `for_searching`."""
        return self._for_questions(replace(self._backend.state(), model=model))

    def _for_questions(self, state: SearchState) -> Embedder | None:
        stored, model = state.embedding, state.model
        if stored is None or self._wanted == NONE:
            return None
        if model is not None and model.kind == "drift" and model.target == stored.fingerprint:
            return self.newer(model)
        if stored.reference == GIVEN and self._wanted is None:
            raise InputError(
                "this store's vectors were given by its caller, so a query's must be too: pass vector=, search with "
                "mode='keyword', or let reembed() make other vectors"
            )
        return self._current(stored, self._wanted or stored.reference)

    def newer(self, drift: ModelVersion) -> Embedder:
        """Give the embedder that a drift model's questions come from; raises ModelUnavailable where there is none."""
        with self._lock:
            asking = self._asking
            if asking is None or asking.fingerprint != drift.source:
                asking = self.load(drift.reference)
                if asking.fingerprint != drift.source:
                    raise ModelUnavailable(
                        drift.reference,
                        f"this store's questions are embedded by {drift.source}, and what goes by that name here is "
                        f"{asking.fingerprint}; open the store with embedder= that one, or run `hybridstore model "
                        "rollback` to search with the embedder of its documents",
                    )
                self._asking = asking
            return asking

    def query(self, text: str) -> tuple[NDArray[np.float32], str] | None:
        """Give a query's vector, (dim,), and the fingerprint of its embedder; None where `for_searching` gives none.

        The last 1,024 queries are remembered, so that one asked again costs no model; the vectors are read-only.
        """
        embedder = self.for_searching()
        if embedder is None:
            return None
        key = embedder.fingerprint, text
        with self._lock:
            known = self._queries.get(key)
            if known is not None:
                self._queries.move_to_end(key)
                return known, key[0]
        vector = embedder.embed_query(text).copy()
        vector.setflags(write=False)
        if len(text) <= _LONGEST_KEPT:
            with self._lock:
                if embedder is self._loaded or embedder is self._asking:  # else another thread has changed it meanwhile
                    self._queries[key] = vector
                    while len(self._queries) > _QUERIES_KEPT:
                        self._queries.popitem(last=False)
        return vector, key[0]

    def identity(self, dim: int) -> Embedding:
        """Say whose vectors of this length a caller brings: those of the embedder at hand, or just the caller's."""
        stored = self._backend.embeddings().active
        if self._wanted is not None and self._wanted != NONE:
            return identify(self._current(stored, self._wanted))
        return stored or Embedding(f"{GIVEN}@{dim}", GIVEN, dim)

    def adopt(self, embedder: Embedder) -> None:
        """Use another embedder from now on, after a re-embedding."""
        drifting = self._drift(identify(embedder)) is not None
        with self._lock:
            self._use(embedder)
            if not drifting:
                self._asking = None
            if self._wanted is not None:
                self._wanted = embedder

    def adopt_query(self, embedder: Embedder) -> None:
        """Have this embedder at hand for questions, for as long as the active model is made for it."""
        with self._lock:
            self._asking = embedder

    def load(self, wanted: str | Path | Embedder) -> Embedder:
        """Give the embedder of a name, or the one given."""
        return wanted if isinstance(wanted, Embedder) else embedders.load(wanted, threads=self._threads)

    def _current(self, stored: Embedding | None, wanted: str | Path | Embedder) -> Embedder:
        with self._lock:  # threads that start together load a model once
            loaded = self._loaded
            if loaded is None or (stored is not None and loaded.fingerprint != stored.fingerprint):
                asking = self._asking
                known = stored is not None and asking is not None and asking.fingerprint == stored.fingerprint
                # Another process may have re-embedded for the one that is at hand already.
                loaded = asking if known and asking is not None and self.follows_file else self.load(wanted)
                self._use(loaded)
        if stored is not None and loaded.fingerprint != stored.fingerprint:
            raise EmbedderMismatch(stored.fingerprint, loaded.fingerprint)
        return loaded

    def _drift(self, stored: Embedding) -> ModelVersion | None:
        """Give the active model if it turns another embedder's questions towards the vectors stored."""
        model = self._backend.learning.model()
        return model if model is not None and model.kind == "drift" and model.target == stored.fingerprint else None

    def _use(self, embedder: Embedder) -> None:
        self._loaded = embedder
        self._queries.clear()


def identify(embedder: Embedder) -> Embedding:
    """Say which embedder this is, for the file to remember."""
    name = embedder.fingerprint.partition("@")[0]
    return Embedding(embedder.fingerprint, str(getattr(embedder, "reference", name)), embedder.dim)


def embedded_text(title: str, heading: str, text: str) -> str:
    """Give what is embedded for a chunk: where it stands, each part a sentence of its own, then what it says."""
    above = [part if part.endswith(_CLOSED) else f"{part}." for part in (title.strip(), heading.strip()) if part]
    return "\n".join([*above, text])


def unit(vectors: object, shape: tuple[int | None, ...], what: str) -> NDArray[np.float32]:
    """Check a caller's vectors and give them as float32 of unit norm; zero vectors stay zero.

    `shape` holds the wanted lengths, None for any. Raises InputError naming what is wrong.
    """
    try:
        array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be an array of numbers: {error}") from error
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits or array.shape[-1] == 0:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(f"{what} must have the shape ({wanted}), not {array.shape}")
    if array.ndim == 1 and 0.0 < (square := float(array @ array)) < np.inf:  # what matters most for one query's vector
        return array / np.float32(math.sqrt(square))
    if not np.isfinite(array).all():
        raise InputError(f"{what} must be finite; there are NaN or infinite values")
    norms = np.linalg.norm(array, axis=-1, keepdims=True)
    return np.asarray(array / np.where(norms == 0.0, 1.0, norms), dtype=np.float32)
