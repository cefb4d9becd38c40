"""Guards against false negatives: passages that look wrong to one leg and answer the question all the same.

Training pushes negatives away, so one that answers does harm. Two guards keep them out. The *margin* compares scores: a
negative that comes near the positive is too good to be one. The *judge* reads: a passage that says what the positive
says, or holds the question's words close together, answers too. Measured in docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from hybridstore.records import Trace
from hybridstore.search.evidence import at_large
from hybridstore.text.analysis import Analyser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Verdict = Literal["answers", "better", "no"]

MARGIN = 0.6  # of the positive's fused score; higher ones let answers through, lower ones leave too few negatives
_DOUBT = 3.0  # standard deviations from which on the lexical judge takes a passage for an answer
_PROXIMITY = 2.4  # as many are all of a question's words worth, close together
_CLOSE = 15  # words that lie so near together are about one another


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chunk as the guards see it: where it stands, what it says, its fused score, its vector (dim,)."""

    chunk: int
    document_id: str
    text: str
    score: float
    vector: NDArray[np.float32]


class Judge(Protocol):
    """Whoever says whether a candidate answers a question as the positive does."""

    def __call__(self, trace: Trace, positive: Candidate, candidate: Candidate) -> Verdict:
        """Say "no", "answers" where the candidate does too, at least in part, or "better" than the positive."""
        ...


def too_near(candidate: float, positive: float, share: float = MARGIN) -> bool:
    """Say whether a negative's score is above a share of its positive's, so that it may well be an answer.

    Relative, because scores differ from question to question. Source: LG-ANNA-Embedding technical report, 2025
    ("adaptive margin-based hard negative mining"), there with a teacher's scores and a share of 0.95; the fused score
    tells answers from others better than either leg's.
    """
    return candidate > share * positive


class LexicalJudge:
    """A judge without a model: how alike a candidate and the positive are, and how close the question's words lie.

    A candidate answers where d + 2.4 · proximity > 3: d is how many standard deviations its cosine to the positive
    stands above those of chunks at large, for what is a high cosine is each embedder's own; proximity is the share of
    the question's words, by IDF, that the candidate holds within fifteen words. A near-copy of an answer is one. It
    never says "better": of the passages that it found better, fewer answered than of those they were to replace. After
    ARHN (Answer-centric Relabeling of Hard Negatives), which asks a language model.

    `sample` (n, dim) are vectors of chunks at large, see `Backend.sample`.
    """

    def __init__(self, language: str, sample: NDArray[np.float32], doubt: float = _DOUBT) -> None:
        self._analyser, self._sample, self._doubt = Analyser(language), sample, doubt
        self._last: tuple[Candidate, float, float] | None = None

    def __call__(self, trace: Trace, positive: Candidate, candidate: Candidate) -> Verdict:
        """Judge by the stored vectors and the candidate's words; see `Judge`."""
        known = self._last
        if known is None or known[0] is not positive:  # many candidates have one positive
            known = self._last = (positive, *at_large(self._sample @ positive.vector))
        _, mean, deviation = known
        alike = (float(positive.vector @ candidate.vector) - mean) / deviation
        if alike > self._doubt:
            return "answers"
        if alike + _PROXIMITY <= self._doubt:
            return "no"
        idf = {term.text: term.idf for term in trace.terms if term.used}
        near = proximity(self._analyser.index(candidate.text)[0].split(), idf)
        return "answers" if alike + _PROXIMITY * near > self._doubt else "no"


def proximity(tokens: Sequence[str], idf: Mapping[str, float], width: int = _CLOSE) -> float:
    """Give the greatest share of the words' IDF that some `width` tokens in a row hold, from 0 to 1."""
    total = sum(idf.values())
    places = [(place, token) for place, token in enumerate(tokens) if token in idf]
    best, first = 0.0, 0
    held: dict[str, int] = {}  # where each word was met last
    for place, token in places:
        held[token] = place
        while places[first][0] <= place - width:
            left, gone = places[first]
            if held.get(gone) == left:
                del held[gone]
            first += 1
        best = max(best, sum(idf[each] for each in held))
    return best / total if total else 0.0
