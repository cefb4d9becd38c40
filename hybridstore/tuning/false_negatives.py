"""Guards against false negatives: passages that one leg ranks low although they answer the question.

Training pushes negatives away, so a false one does harm. The *margin* compares scores: a negative that scores nearly
as high as the positive is rejected. The *judge* reads: a passage that resembles the positive, or holds the question's
words close together, answers too. Measured in docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from hybridstore.records import Trace
from hybridstore.search.evidence import cosine_statistics
from hybridstore.text.analysis import Analyser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Judgment = Literal["answers", "better", "no"]

MARGIN = 0.6  # of the positive's fused score; higher ones let answers through, lower ones leave too few negatives
_DOUBT = 3.0  # standard deviations above which the lexical judge takes a passage for an answer
_PROXIMITY = 2.4  # standard deviations that all of a question's words, close together, are worth
_CLOSE = 15  # tokens; words within so many are taken to belong together


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chunk as the guards see it: its text, fused score and vector (dim,)."""

    chunk: int
    document_id: str
    text: str
    score: float
    vector: NDArray[np.float32]


class Judge(Protocol):
    """Decides whether a candidate answers a question as the positive does."""

    def __call__(self, trace: Trace, positive: Candidate, candidate: Candidate) -> Judgment:
        """Return "no", "answers" if the candidate does so at least in part, or "better" if better than the positive."""
        ...


def too_near(candidate: float, positive: float, share: float = MARGIN) -> bool:
    """Return whether a negative's score is above a share of its positive's, so that it may well be an answer.

    Relative, because scores differ from question to question. Source: LG-ANNA-Embedding technical report, 2025
    ("adaptive margin-based hard negative mining"), there with a teacher's scores and a share of 0.95; the fused score
    separates answers from other passages better than either leg's.
    """
    return candidate > share * positive


class LexicalJudge:
    """A judge without a model: similarity of candidate and positive, and proximity of the question's words.

    A candidate answers where d + 2.4 · proximity > 3. d is how many standard deviations its cosine to the positive lies
    above those of random chunks, since what is a high cosine differs between embedders; proximity is the share of the
    question's words, by IDF, that the candidate holds within fifteen tokens. It never returns "better": of the passages
    it judged better, fewer answered than of those they would have replaced. After ARHN (Answer-centric Relabeling of
    Hard Negatives), which uses a language model.

    `sample` (n, dim) are vectors of random chunks.
    """

    def __init__(self, analyser: Analyser, sample: NDArray[np.float32]) -> None:
        self._analyser, self._sample = analyser, sample
        self._last: tuple[Candidate, float, float] | None = None

    def __call__(self, trace: Trace, positive: Candidate, candidate: Candidate) -> Judgment:
        """Judge by the stored vectors and the candidate's words."""
        if self._last is None or self._last[0] is not positive:  # many candidates have the same positive
            self._last = (positive, *cosine_statistics(self._sample @ positive.vector))
        _, mean, deviation = self._last
        similarity = (float(positive.vector @ candidate.vector) - mean) / deviation
        if similarity > _DOUBT:
            return "answers"
        if similarity + _PROXIMITY <= _DOUBT:
            return "no"
        idf = {term.text: term.idf for term in trace.terms if term.used}
        closeness = proximity(self._analyser.index(candidate.text)[0].split(), idf)
        return "answers" if similarity + _PROXIMITY * closeness > _DOUBT else "no"


def proximity(tokens: Sequence[str], idf: Mapping[str, float], width: int = _CLOSE) -> float:
    """Return the greatest share of the words' IDF that any `width` consecutive tokens hold, from 0 to 1."""
    total = sum(idf.values())
    places = [(place, token) for place, token in enumerate(tokens) if token in idf]
    best, first = 0.0, 0
    window: dict[str, int] = {}  # each word's last place in the window
    for place, token in places:
        window[token] = place
        while places[first][0] <= place - width:
            start, word = places[first]
            if window.get(word) == start:
                del window[word]
            first += 1
        best = max(best, sum(idf[word] for word in window))
    return best / total if total else 0.0
