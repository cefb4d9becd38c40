"""What an `about` or a `words` of a structured query is for each leg, what the legs find of it, and its evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend, SearchState
from hybridstore.backends.values import Restriction
from hybridstore.errors import InputError
from hybridstore.records import Evidence, KeywordQuery, Ranking, Term
from hybridstore.search.advanced_syntax import CLOSING, MAX_WORDS, OPENING, word_condition
from hybridstore.search.algebra import About, Words
from hybridstore.search.evidence import EvidenceCollector, KeywordEvidence
from hybridstore.search.pipeline import added_legs
from hybridstore.search.query_plan import plan
from hybridstore.search.rank_fusion import EMPTY, Weights, by_power
from hybridstore.search.request import Request
from hybridstore.search.transforms import transform_query
from hybridstore.search.vector_legs import AddedLeg, QueryVectors
from hybridstore.text.analysis import Analyser
from hybridstore.text.expressions import Expression

QUOTES = str.maketrans(dict.fromkeys(OPENING + CLOSING, " "))


@dataclass(slots=True)
class Sought:
    """A leaf for the legs: its terms, and its vectors (None: the vector leg does not run for it).

    `find` runs the legs; what they found within the whole query's conditions, where they are first run, is kept for
    `evidence`.
    """

    terms: tuple[str, ...] = ()
    embedded: QueryVectors | None = None
    vector: NDArray[np.float32] | None = None  # as it is compared, once `prepare` has transformed it
    model: int | None = None
    known: tuple[Term, ...] = ()
    _keyword: Ranking = EMPTY
    _vectors: Ranking | None = None
    _added: tuple[AddedLeg, ...] = ()
    _found: dict[Restriction, NDArray[np.int64]] = field(default_factory=dict)

    def prepare(self, state: SearchState) -> None:
        """Transform the vector as the store's active model version does."""
        if self.embedded is not None and self.embedded.vector is not None:
            self.vector, self.model = transform_query(
                state.model, state.embedding, self.embedded.vector, self.embedded.fingerprint
            )

    def find(self, backend: Backend, state: SearchState, depth: int, within: Restriction) -> NDArray[np.int64]:
        """Return the candidates of all legs, ascending."""
        if within in self._found:
            return self._found[within]
        keyword, terms, vectors = EMPTY, self.known, None
        added: tuple[AddedLeg, ...] = ()
        if self.terms:
            keyword, terms = backend.match(KeywordQuery(self.terms), depth, within)
        if self.vector is not None:
            vectors = backend.nearest(self.vector, depth, within)
        if self.embedded is not None and self.embedded.added:
            added = added_legs(backend, state, self.embedded, depth, within)
        if not self._found:
            self.known, self._keyword, self._vectors, self._added = terms, keyword, vectors, added
        legs = [keyword, vectors or EMPTY, *(leg.ranking for leg in added)]
        found = self._found[within] = np.unique(np.concatenate([leg.chunks for leg in legs]))
        return found

    def evidence(
        self, backend: Backend, state: SearchState, missing: NDArray[np.int64], chunks: NDArray[np.int64]
    ) -> tuple[Evidence, Weights, float]:
        """Return the evidence of ascending chunks, all of what was found among them; the legs' weights; and chance.

        Chance is the z-score of the best cosine that an unrelated query gets.
        """
        collector = EvidenceCollector(
            backend, KeywordEvidence(self.known, state.chunks), self.vector, state.calibration, missing, self._added
        )
        evidence = collector.of_chunks(chunks, self._vectors, self._keyword)
        if self.vector is None and not self._added:
            return evidence, (1.0, 0.0), 0.0
        made = state.filled(len(missing))
        return evidence, by_power(collector.power, made) if self.terms else (0.0, 1.0), collector.chance


def sought_of(leaf: About | Words, analyser: Analyser, request: Request) -> Sought:
    """Return what a leaf is for the legs of a request; models run here."""
    if isinstance(leaf, Words):
        return Sought(analyser.phrase(leaf.text))
    text = leaf.text.translate(QUOTES)
    terms = plan(text, analyser).keyword.terms if request.mode != "vector" else ()
    return Sought(terms, _embedded(leaf, text, request) if request.mode != "keyword" else None)


def _embedded(leaf: About, text: str, request: Request) -> QueryVectors | None:
    """Return the vectors of a leaf, moved into its directions."""
    start = request.embed(text)
    if start is None or not leaf.directions:
        return start
    towards = [(request.embed(direction), alpha) for direction, alpha in leaf.directions]

    def moved(vector: NDArray[np.float32], name: str | None) -> NDArray[np.float32]:
        total = vector.astype(np.float64)
        for each, alpha in towards:
            direction = None if each is None else each.vector if name is None else each.added.get(name)
            if direction is not None:
                total += alpha * direction
        return _unit(total)

    return start._replace(
        vector=None if start.vector is None else moved(start.vector, None),
        added={name: moved(vector, name) for name, vector in start.added.items()},
    )


def joint(parts: Iterable[Sought]) -> Sought:
    """Return what leads to chunks that have something of all parts: their terms, and the mean of their vectors."""
    parts = list(parts)
    vectors = [part.vector for part in parts if part.vector is not None]
    terms = tuple(dict.fromkeys(term for part in parts for term in part.terms))
    return Sought(terms, vector=_unit(np.sum(vectors, axis=0)) if vectors else None)


def condition_of(leaf: Words, analyser: Analyser) -> Expression:
    """Return the condition that `words` are; raises InputError for a text without words, or with too many."""
    condition = word_condition(leaf.text, leaf.field, analyser)
    if condition is None or len(analyser.phrase(leaf.text)) > MAX_WORDS:
        raise InputError(f"words takes from 1 to {MAX_WORDS} words, not {leaf.text!r:.100}")
    return condition


def _unit(vector: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float32]:
    norm = float(np.linalg.norm(vector))
    return np.asarray(vector / norm if norm > 0.0 else vector, np.float32)
