"""Provisional vectors: what a passage's vector will be like, told from its words while it is still to be made.

A candidate without a vector is expected to lie as high above the average chunk as those with one that match the query's
words as well. What its own words say about its vector makes this much better: a student is fitted on the sample of
vectors that every search reads: ridge regression from words, weighted by IDF, to the model's vectors, a tenth of a
second for 256 of them. It is asked by the model's own query vector, and only about candidates that the words found, so
nothing is stored and no index is needed. How far its answer is to be trusted, a search learns from candidates that have
both. The idea of a static student in the model's own space is that of LEAF (Vujanic & Rueckstiess, "LEAF: Knowledge
Distillation of Text Embedding Models with Teacher-Aligned Representations", 2025). With a quarter of the vectors it is
worth .006 to .046 nDCG@10 on five collections (docs/experiments.md).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Passage
from hybridstore.records import Ranking

Vectors = NDArray[np.float32]

USED = True  # the switch
# A missing vector's deviation is estimated from keyword evidence k, 1 and, where there is one, a provisional score s:
# usual coefficients, and as how many candidates they count, by the second moments of a query's (docs/experiments.md).
_USUAL = np.array([5.0, 0.0])  # of k and 1
_PROVISIONAL = 0.5  # of s
_OBSERVATIONS = 8 * np.array([[0.05, 0.18, 0.1], [0.18, 1.0, 0.3], [0.1, 0.3, 1.0]])
FEWEST = 64  # vectors that a student is fitted on
_RIDGES = (0.03, 0.1, 0.3, 1.0)  # of these the one that predicts vectors best that it was not fitted on
_SAME = 0.9  # share of the sample that must still be what the student was fitted on
_WORD = re.compile(r"\w+")
_LONGEST = 1_500  # characters of a text that are read: as many as most models see
_JUDGED = 128  # candidates with the strongest keyword evidence that the student is asked about: 20 ms


class Estimator:
    """Estimates, for one query, the deviations above the average chunk of candidates that have no vector yet.

    It is what candidates with a vector, with as strong keyword evidence and as good a provisional score, have on
    average. `query` is its vector (dim,), None without.
    """

    def __init__(self, backend: Backend, query: Vectors | None) -> None:
        self._backend, self._query = backend, query
        self._line, self._plane = _USUAL, np.array([*_USUAL, 0.0])

    def __call__(
        self,
        chunks: NDArray[np.int64],
        keyword: NDArray[np.float64],
        deviations: NDArray[np.float64],
        lacking: NDArray[np.bool_],
        words: Ranking | None,
    ) -> NDArray[np.float64]:
        """Return the deviations of the chunks that are `lacking` a vector, of ascending `chunks` (n,).

        They are fitted on the candidates of the ranking by `words` that have one, not on those of the vector leg, which
        are candidates for their cosines. Without that ranking they are as fitted before.
        """
        plain = np.stack([keyword, np.ones(len(chunks))], axis=1)
        known = ~lacking & np.isin(chunks, () if words is None else words.chunks)
        if words is not None:
            self._line = _fitted(plain[known], deviations[known], _USUAL)
        expected: NDArray[np.float64] = plain @ self._line
        judged = np.flatnonzero(known | lacking)
        judged = np.sort(judged[(-keyword[judged]).argsort(kind="stable")[:_JUDGED]])
        scores = None if self._query is None else provisional_scores(self._backend, chunks[judged], self._query)
        if scores is not None:
            rows = np.column_stack([plain[judged], scores])
            if words is not None:
                # Few of those judged have a vector. The others, too, say how high a query's candidates lie: where all
                # of a topic are far above the average of a store of many, so must be what is expected of these.
                usual = np.array([self._line[0], self._line[1] - _PROVISIONAL * scores.mean(), _PROVISIONAL])
                self._plane = _fitted(rows[known[judged]], deviations[judged][known[judged]], usual)
            expected[judged] = rows @ self._plane
        estimated: NDArray[np.float64] = expected[lacking]
        return estimated


def _fitted(
    rows: NDArray[np.float64], deviations: NDArray[np.float64], usual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return coefficients of the deviations (n,) by `rows` (n, m): least squares, shrunk to the `usual` ones (m,)."""
    count = rows.shape[1]
    gram = rows.T @ rows + _OBSERVATIONS[:count, :count]
    return usual + np.linalg.solve(gram, rows.T @ (deviations - rows @ usual))


@dataclass(frozen=True, slots=True)
class Student:
    """Word vectors in the space of the model: `table` (words, dim) and `mean` (dim,) of ridge regression.

    `chunks` (n,) are those it was fitted on, `vectors` (n, dim) theirs, `held_out` (n, dim) what it predicts for each
    when it is fitted on the others. A word weighs (1 + ln count) · `idf`.
    """

    words: dict[str, int]
    idf: NDArray[np.float32]
    table: Vectors
    mean: Vectors
    chunks: NDArray[np.int64]
    vectors: Vectors
    held_out: Vectors

    @classmethod
    def of(cls, chunks: NDArray[np.int64], texts: Sequence[str], vectors: Vectors) -> Student:
        """Fit a student on texts and their vectors (n, dim)."""
        counts = [Counter(_words(text)) for text in texts]
        frequency = Counter(word for count in counts for word in count)
        words = {word: n for n, word in enumerate(frequency)}
        idf = np.log1p(len(texts) / np.array([*frequency.values()], np.float32))
        bags = np.zeros((len(texts), len(words)), np.float32)
        rows, columns, weights = _weighed(texts, words, idf)
        bags[rows, columns] = weights
        mean = vectors.mean(axis=0)
        centred = (vectors - mean).astype(np.float64)
        values, axes = np.linalg.eigh((bags @ bags.T).astype(np.float64))
        turned = axes.T @ centred
        best = (math.inf, centred, centred)
        for ridge in _RIDGES:
            inverse = 1 / (values + ridge)
            dual = axes @ (inverse[:, None] * turned)
            error = dual / ((axes**2) @ inverse)[:, None]  # of each when it is left out
            best = min(best, (float((error**2).sum()), dual, centred - error), key=lambda each: each[0])
        table = bags.T @ best[1].astype(np.float32)
        return cls(words, idf, table, mean, chunks, vectors, _unit(best[2] + mean))

    def predict(self, texts: Sequence[str]) -> Vectors:
        """Return what the texts' vectors (n, dim) may be like, of unit norm."""
        found = np.tile(self.mean, (len(texts), 1))
        rows, columns, weights = _weighed(texts, self.words, self.idf)
        ends = rows.searchsorted(np.arange(len(texts) + 1))
        for n, (start, end) in enumerate(pairwise(ends.tolist())):  # a text's words fit into the processor's cache
            found[n] += weights[start:end] @ self.table[columns[start:end]]
        return _unit(found)

    def fits(self, chunks: NDArray[np.int64], vectors: Vectors) -> bool:
        """Return whether most of a sample is what this student was fitted on."""
        _, mine, theirs = np.intersect1d(self.chunks, chunks, assume_unique=True, return_indices=True)
        enough = len(mine) >= _SAME * max(len(chunks), len(self.chunks))
        return enough and np.array_equal(self.vectors[mine], vectors[theirs])


def _words(text: str) -> list[str]:
    return _WORD.findall(text[:_LONGEST].lower())


def _weighed(
    texts: Sequence[str], words: dict[str, int], idf: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the known words of texts, each once: texts, ascending, columns, and weights, of unit norm for a text."""
    known = [[words[word] for word in _words(text) if word in words] for text in texts]
    rows = np.repeat(np.arange(len(texts)), [len(each) for each in known])
    columns = np.array([column for each in known for column in each], np.int64)
    keys, times = np.unique(rows * len(words) + columns, return_counts=True)
    rows, columns = np.divmod(keys, max(len(words), 1))
    weights = (1 + np.log(times)) * idf[columns]
    norms = np.sqrt(np.bincount(rows, weights**2, len(texts)))
    return rows, columns, np.asarray(weights / norms[rows], np.float32)


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


_students: WeakKeyDictionary[Backend, Student] = WeakKeyDictionary()  # the last of each store


def student_of(backend: Backend) -> Student | None:
    """Return a student of the store's present vectors, fitted when it is first needed; None while there are too few."""
    chunks, vectors = backend.sample()
    if not USED or len(chunks) < FEWEST:
        return None
    student = _students.get(backend)
    if student is None or not student.fits(chunks, vectors):
        passages = {passage.chunk: passage for passage in backend.passages(chunks.tolist())}
        there = np.array([chunk in passages for chunk in chunks.tolist()])
        texts = [_text(passages[chunk]) for chunk in chunks[there].tolist()]
        student = _students[backend] = Student.of(chunks[there], texts, vectors[there])
    return student


def provisional_scores(
    backend: Backend, chunks: NDArray[np.int64], query: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """Return how near ascending chunks (n,) may be to a query: their predicted cosines as deviations of the sample's.

    None where there is no student yet, or a chunk cannot be read.
    """
    student = student_of(backend)
    passages = backend.passages(chunks.tolist()) if student is not None else []
    if student is None or len(passages) != len(chunks):
        return None
    own = student.held_out @ query
    cosines = student.predict([_text(passage) for passage in passages]) @ query
    _, fitted, places = np.intersect1d(student.chunks, chunks, assume_unique=True, return_indices=True)
    cosines[places] = own[fitted]
    return np.asarray((cosines - own.mean()) / max(float(own.std()), 1e-6), np.float64)


def _text(passage: Passage) -> str:
    return f"{passage.title} {passage.heading} {passage.text}"
