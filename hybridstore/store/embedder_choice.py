"""The choice of a store's embedders: the one its caller named, or those recorded in it, loaded when first needed.

Documents and queries have the same one, unless the active model version is of the kind "drift": queries are then
embedded by a newer one, and transformed into the space of the stored vectors.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridstore import embedders
from hybridstore.backends import forking
from hybridstore.backends.learning import ModelVersion
from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Embedding
from hybridstore.embedders.protocol import Embedder
from hybridstore.errors import EmbedderMismatch, HybridstoreError, InputError, MissingExtra, ModelUnavailable
from hybridstore.search.vector_legs import QueryVectors
from hybridstore.store import languages

GIVEN = "given"  # the reference of vectors that the caller passed, without an embedder
_SENTENCE_ENDS = (".", "!", "?", ":", ";", "。", "！", "？")
_CACHED_QUERIES = 1024  # 1.5 MiB of 384-dimensional vectors
_LONGEST_CACHED = 4096  # characters; a longer query hardly comes twice, and its text is larger than its vector
NONE = "none"  # the name that stands for no embedder


class StoreEmbedder:
    """The embedders of one open store.

    `wanted` None follows the store: its own embedder, or the default one without vectors. A name, a folder or an
    Embedder is required: raises EmbedderMismatch when the store was filled by another. The embedder of the store's
    queries is accepted too: the store is then followed, with this one already loaded. "none" is no embedder.
    """

    def __init__(self, backend: Backend, wanted: str | Path | Embedder | None, threads: int | None) -> None:
        self._backend, self._wanted, self._threads = backend, wanted, threads
        self._lock = threading.Lock()
        self._loader: Callable[..., Embedder] | None = None  # in place of `embedders.load`
        self._loaded: Embedder | None = None  # for documents, and for queries unless they have their own
        self._query_embedder: Embedder | None = None  # for queries that a newer embedder embeds
        self._added: dict[str, Embedder | HybridstoreError] = {}  # of added legs, by fingerprint, or why there is none
        self._queries: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        stored = backend.embeddings().active
        self._advised = False
        self._fitted = stored is not None  # if it did not fit, that is told here
        forking.register(self)
        if stored and wanted is not None and wanted != NONE and str(wanted) != stored.reference:
            embedder, drift = self.load(wanted), self._drift(stored)
            if embedder.fingerprint == stored.fingerprint:
                self._loaded = embedder
            elif drift is not None and embedder.fingerprint == drift.source:
                self._query_embedder, self._wanted = embedder, None
            else:
                raise EmbedderMismatch(stored.fingerprint, embedder.fingerprint)

    def quiet(self) -> bool:
        """Return True: a child needs no more than a lock that nobody holds."""
        return True

    def after_fork(self) -> None:
        """Begin with a lock that nobody holds."""
        self._lock = threading.Lock()
        self._queries = OrderedDict()

    def none(self) -> StoreEmbedder:
        """Return the choice of no embedder for the same store."""
        return StoreEmbedder(self._backend, NONE, self._threads)

    @property
    def follows_store(self) -> bool:
        """Whether the store decides, so that another process may change the embedder."""
        return self._wanted is None

    @property
    def without(self) -> bool:
        """Whether the caller wants no embedder."""
        return self._wanted == NONE

    def can_embed(self) -> bool:
        """Return whether there is an embedder for new chunks; it may still turn out to be missing here."""
        stored = self._backend.embeddings().active
        given = stored is not None and stored.reference == GIVEN and self._wanted is None
        return self._wanted != NONE and not given

    def for_writing(self) -> Embedder | None:
        """Return the embedder for new chunks; None when they are to have no vectors.

        Raises InputError where the store's vectors came from its caller, so that none can be made here.
        """
        if self._wanted == NONE:
            return None
        stored = self._backend.embeddings().active
        if stored and stored.reference == GIVEN and self._wanted is None:
            raise InputError(
                "this store's vectors were passed by its caller, so none can be made for new text: pass vectors=, or "
                "open it with embedder='none' to add without vectors"
            )
        return self._current(stored)

    def for_queries(self) -> Embedder | None:
        """Return the embedder for queries; None when the store has no vectors, or its caller wants no embedder.

        Raises InputError where the store's vectors came from its caller, so that a query's must too, unless the active
        model version transforms an embedder's queries for them; ModelUnavailable where that embedder is not available.
        """
        return self._for_queries(self._backend.state())

    def for_queries_of(self, model: ModelVersion | None) -> Embedder | None:
        """Return the embedder that queries would have if this model version were active; see `for_queries`."""
        return self._for_queries(replace(self._backend.state(), model=model))

    def _for_queries(self, state: SearchState) -> Embedder | None:
        stored, model = state.embedding, state.model
        if stored is None or self._wanted == NONE:
            return None
        if model is not None and model.kind == "drift" and model.target == stored.fingerprint:
            return self._newer(model)
        if stored.reference == GIVEN and self._wanted is None:
            raise InputError(
                "this store's vectors were passed by its caller, so a query's must be too: pass vector=, search with "
                "mode='keyword', name the embedder that made them with reembed(NAME, adopt=True), or let reembed(NAME) "
                "make other vectors"
            )
        return self._current(stored)

    def _newer(self, drift: ModelVersion) -> Embedder:
        """Return the embedder of a drift version's queries; raises ModelUnavailable where it is not available."""
        with self._lock:
            embedder = self._query_embedder
            if embedder is None or embedder.fingerprint != drift.source:
                embedder = self.load_recorded(drift.reference)
                if embedder.fingerprint != drift.source:
                    raise ModelUnavailable(
                        drift.reference,
                        f"this store's queries are embedded by {drift.source}, and the embedder of that name here is "
                        f"{embedder.fingerprint}; open the store with embedder= that one, or run `hybridstore model "
                        "rollback` to search with the embedder of its documents",
                    )
                self._query_embedder = embedder
            return embedder

    def query(self, text: str, wanted: Collection[str] | None = None) -> QueryVectors | None:
        """Return a query's vectors; None where `for_queries` returns None.

        `wanted` are the fingerprints of the vector legs that are searched, None for all. An added leg whose embedder is
        not available is left out, and said in the notes; where there are added legs, so is the store's own. The last
        1,024 queries are cached; the vectors are read-only.
        """
        state = self._backend.state()
        if not state.legs and wanted is None:
            embedder = self._for_queries(state)
            if embedder is None:
                return None
            vector = self._vector(embedder, text)
            return QueryVectors(vector, embedder.fingerprint, notes=self._advice(state))
        return self._of_legs(state, text, wanted)

    def _advice(self, state: SearchState) -> tuple[str, ...]:
        """Return what is to be said of vectors that cannot read the store's languages: once while it is open."""
        if self._advised or (said := languages.advice(state.embedding, state.calibration)) is None:
            return ()
        self._advised = True
        return (f"{said}.",)

    def _of_legs(self, state: SearchState, text: str, wanted: Collection[str] | None) -> QueryVectors | None:
        stored = state.embedding
        if stored is None or self.without:
            return None
        legs = [leg.embedding for leg in state.legs if wanted is None or leg.embedding.fingerprint in wanted]
        vector, fingerprint, failed, notes = None, None, list[HybridstoreError](), list[str]()
        if wanted is None or stored.fingerprint in wanted:
            try:
                if (embedder := self._for_queries(state)) is not None:
                    vector, fingerprint = self._vector(embedder, text), embedder.fingerprint
            except (InputError, MissingExtra, ModelUnavailable) as error:
                failed.append(error)
                notes.append(_left_out(stored, error))
        vectors = {}
        for leg in legs:
            try:
                vectors[leg.fingerprint] = self._vector(self.added(leg), text)
            except (MissingExtra, ModelUnavailable) as error:
                failed.append(error)
                notes.append(_left_out(leg, error))
        if vector is None and not vectors:
            if failed:
                raise failed[0]
            return None
        return QueryVectors(vector, fingerprint, vectors, tuple(notes))

    def _vector(self, embedder: Embedder, text: str) -> NDArray[np.float32]:
        key = embedder.fingerprint, text
        with self._lock:
            cached = self._queries.get(key)
            if cached is not None:
                self._queries.move_to_end(key)
                return cached
        vector = embedder.embed_query(text).copy()
        vector.setflags(write=False)
        if len(text) <= _LONGEST_CACHED:
            with self._lock:
                known = (self._loaded, self._query_embedder, *self._added.values())
                if any(embedder is each for each in known):  # else another thread has changed it
                    self._queries[key] = vector
                    while len(self._queries) > _CACHED_QUERIES:
                        self._queries.popitem(last=False)
        return vector

    def added(self, leg: Embedding) -> Embedder:
        """Return the embedder of an added leg; raises ModelUnavailable or MissingExtra where it is not available."""
        with self._lock:
            known = self._added.get(leg.fingerprint)
            if known is None:
                try:
                    known = self.load_recorded(leg.reference)
                    if known.fingerprint != leg.fingerprint:
                        known = ModelUnavailable(
                            leg.reference,
                            f"its leg in this store was made by {leg.fingerprint}, and the model of that name here is "
                            f"{known.fingerprint}; `hybridstore reembed --add {leg.reference}` adds that one",
                        )
                except (MissingExtra, ModelUnavailable) as error:
                    known = error
                self._added[leg.fingerprint] = known
        if isinstance(known, HybridstoreError):
            raise known
        return known

    def available(self) -> dict[str, Embedder]:
        """Return the embedders of the added legs by fingerprint, without those that are not available here."""
        if self.without:
            return {}
        found = {}
        for leg in self._backend.embeddings().added:
            with suppress(MissingExtra, ModelUnavailable):
                found[leg.fingerprint] = self.added(leg)
        return found

    def adopt_added(self, embedder: Embedder) -> None:
        """Use this embedder for the added leg of its fingerprint."""
        with self._lock:
            self._added[embedder.fingerprint] = embedder

    def identity(self, dim: int) -> Embedding:
        """Return the embedding of vectors of this length that a caller passes: the store's embedder's, or its own."""
        stored = self._backend.embeddings().active
        if self._wanted is not None and self._wanted != NONE:
            return identify(self._current(stored))
        return stored or Embedding(f"{GIVEN}@{dim}", GIVEN, dim)

    def adopt(self, embedder: Embedder) -> None:
        """Use this embedder from now on, after a re-embedding."""
        drifting = self._drift(identify(embedder)) is not None
        with self._lock:
            self._use(embedder)
            if not drifting:
                self._query_embedder = None
            if self._wanted is not None:
                self._wanted = embedder

    def use_for_queries(self, embedder: Embedder) -> None:
        """Embed queries with this embedder, for as long as the active model version or an added leg is made for it."""
        added = embedder.fingerprint in {leg.fingerprint for leg in self._backend.embeddings().added}
        with self._lock:
            if added:
                self._added[embedder.fingerprint] = embedder
            else:
                self._query_embedder = embedder

    def load_by(self, loader: Callable[..., Embedder], wanted: str | Path | None) -> None:
        """Load models by a function in place of `embedders.load`; `wanted` makes the vectors where there are none."""
        with self._lock:
            self._loader = loader
            if self._backend.embeddings().active is None:
                self._wanted = wanted

    def load(self, wanted: str | Path | Embedder) -> Embedder:
        """Return the embedder of a name or folder that the caller names, or the Embedder itself."""
        if isinstance(wanted, Embedder):
            return wanted
        return (self._loader or embedders.load)(wanted, threads=self._threads)

    def load_recorded(self, name: str) -> Embedder:
        """Return the embedder of a name that only the store's file gives; see `embedders.load`."""
        return (self._loader or embedders.load)(name, threads=self._threads, recorded=True)

    def _wanted_or(self, stored: Embedding | None) -> Embedder:
        if self._wanted is not None:
            return self.load(self._wanted)
        return self.load_recorded(stored.reference if stored else embedders.DEFAULT)

    def _current(self, stored: Embedding | None) -> Embedder:
        with self._lock:  # threads that start together load a model once
            loaded = self._loaded
            if loaded is None or (stored is not None and loaded.fingerprint != stored.fingerprint):
                other = self._query_embedder
                same = stored is not None and other is not None and other.fingerprint == stored.fingerprint
                # Another process may have re-embedded for the one that is already loaded for queries.
                loaded = other if same and other is not None and self.follows_store else self._wanted_or(stored)
                if (
                    stored is not None
                    and stored.fingerprint != loaded.fingerprint
                    and stored.reference != GIVEN
                    and self._fitted
                    and not isinstance(self._wanted, Embedder)
                ):  # another process has changed the embedder of the store, which was opened with the name before
                    loaded = self.load_recorded(stored.reference)
                self._use(loaded)
        if stored is not None and loaded.fingerprint != stored.fingerprint:
            raise EmbedderMismatch(stored.fingerprint, loaded.fingerprint)
        return loaded

    def _drift(self, stored: Embedding) -> ModelVersion | None:
        """Return the active model version if it transforms another embedder's queries for the stored vectors."""
        model = self._backend.learning.model()
        return model if model is not None and model.kind == "drift" and model.target == stored.fingerprint else None

    def _use(self, embedder: Embedder) -> None:
        self._loaded = embedder
        self._queries.clear()


def _left_out(leg: Embedding, error: HybridstoreError) -> str:
    return f"The vector leg {leg.fingerprint.partition('@')[0]} was left out: {error}."


def identify(embedder: Embedder) -> Embedding:
    """Return what a store records about an embedder."""
    name = embedder.fingerprint.partition("@")[0]
    return Embedding(embedder.fingerprint, str(getattr(embedder, "reference", name)), embedder.dim)


def embedded_text(title: str, heading: str, text: str) -> str:
    """Return what is embedded for a chunk: title and heading, each a sentence of its own, then its text."""
    context = [
        part if part.endswith(_SENTENCE_ENDS) else f"{part}." for part in (title.strip(), heading.strip()) if part
    ]
    return "\n".join([*context, text])


def unit(vectors: object, shape: tuple[int | None, ...], what: str) -> NDArray[np.float32]:
    """Return a caller's vectors as float32 of unit norm; zero vectors stay zero.

    `shape` holds the expected lengths, None for any. Raises InputError for anything else, `what` being its name.
    """
    try:
        array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be an array of numbers: {error}") from error
    fits = array.ndim == len(shape) and all(
        expected in (None, length) for expected, length in zip(shape, array.shape, strict=True)
    )
    if not fits or array.shape[-1] == 0:
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise InputError(f"{what} must have the shape ({expected}), not {array.shape}")
    if array.ndim == 1 and 0.0 < (square := float(array @ array)) < np.inf:  # the fast way, for one query's vector
        return array / np.float32(math.sqrt(square))
    if not np.isfinite(array).all():
        raise InputError(f"{what} must be finite; there are NaN or infinite values")
    norms = np.linalg.norm(array, axis=-1, keepdims=True)
    return np.asarray(array / np.where(norms == 0.0, 1.0, norms), dtype=np.float32)
