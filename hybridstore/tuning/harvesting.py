"""Harvesting: training triples from disagreement, passages that one leg ranks high and the other does not.

Every question is searched once, as a person's would be. The evidence that the search collected for each candidate is
ranked twice more, mostly by words and mostly by meaning. A passage that only one of these rankings has near the top
looks like an answer from one side: it is a hard negative, unless the guards doubt it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridstore.backends.learning import Negative, Triple
from hybridstore.errors import InputError
from hybridstore.records import Evidence, Ranking, Trace
from hybridstore.search.query_plan import has_words
from hybridstore.search.rank_fusion import adaptive
from hybridstore.store.embedder_choice import embedded_text
from hybridstore.tuning.false_negatives import MARGIN, Candidate, Judge, LexicalJudge, too_near
from hybridstore.tuning.synthetic_questions import Question

if TYPE_CHECKING:
    from hybridstore.store import Store

DEPTH = 200  # candidates of each leg
KEYWORD_HEAVY, VECTOR_HEAVY = (0.95, 0.05), (0.05, 0.95)  # leg weights: the other leg only breaks ties
NEAR = 20  # ranks within which a ranking counts as having found a passage
_TOP = 10  # ranks compared for disagreement: as many as people look at
_AGREED = 5  # of them in both rankings: the legs agree
_SURE = 0.5  # relevance above which the store probably has an answer
_BATCH = 500  # triples between two commits

REASONS = {
    "unsearched": "only one leg could be searched",
    "lost": "neither leg found its answer",
    "unsure": "its answer is not known, and the store is not sure of one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestSettings:
    """How triples are made.

    `negatives` is the most that a triple has, `margin` the share in `false_negatives.too_near` (None for no margin),
    `near` the ranks within which a ranking counts as having found a passage.
    """

    negatives: int = 8
    margin: float | None = MARGIN
    near: int = NEAR

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        if self.negatives < 1 or self.near < 1:
            raise InputError(f"negatives and near must be at least 1, not {self.negatives} and {self.near}")
        if self.margin is not None and not 0.0 < self.margin <= 1.0:
            raise InputError(f"margin must be above 0 and at most 1, not {self.margin!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestResult:
    """The result for one question. `overlap` is how many chunks the two top tens share.

    `disagreed` says whether that is below five, or the positive is in one top ten only; None where nothing could be
    compared. Without a `triple`, `reason` is a key of REASONS.
    """

    question: Question
    overlap: int = 0
    disagreed: bool | None = None
    triple: Triple | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Rankings:
    """The keyword-heavy, vector-heavy and fused rankings of one search, as ranks from 1 and scores."""

    keyword: dict[int, int]
    vector: dict[int, int]
    fused: dict[int, float]

    @classmethod
    def of(cls, evidence: Evidence, fused: Ranking) -> _Rankings:
        scores = dict(zip(fused.chunks.tolist(), fused.scores.tolist(), strict=True))
        return cls(adaptive(evidence, KEYWORD_HEAVY).ranks(), adaptive(evidence, VECTOR_HEAVY).ranks(), scores)

    def both(self, chunk: int, within: int) -> bool:
        return self.keyword[chunk] <= within and self.vector[chunk] <= within

    def best(self, chunk: int) -> tuple[int, int]:
        """Return the better rank, and the chunk to break ties: a sort key."""
        return min(self.keyword[chunk], self.vector[chunk]), chunk

    def leg(self, chunk: int) -> str:
        return "keyword" if self.keyword[chunk] <= self.vector[chunk] else "vector"

    def overlap(self) -> int:
        return sum(self.both(chunk, _TOP) for chunk in self.keyword)

    def one_sided(self, within: int) -> list[int]:
        """Return the chunks that exactly one ranking has within so many ranks, the highest first."""
        return sorted((chunk for chunk in self.keyword if self.differ(chunk, within)), key=self.best)

    def differ(self, chunk: int, within: int) -> bool:
        return (self.keyword[chunk] <= within) != (self.vector[chunk] <= within)


def harvest(
    store: Store,
    questions: Iterable[Question],
    *,
    settings: HarvestSettings | None = None,
    judge: Judge | None = None,
    judged: bool = True,
) -> Iterator[HarvestResult]:
    """Search every question once, and make a triple of it where its answer is known or hardly in doubt.

    The positive is the chunk or document known to answer; for a question without one, the first fused hit, if its
    relevance is at least 0.5 and both rankings have it in their first twenty. Negatives are of other documents than
    those known to answer; chunks known not to answer are negatives without any guard. `judge` None is the lexical one,
    `judged=False` none at all. Only for a question without a known answer does a judge's "better" change the positive:
    the passage that was first is then neither.

    Raises InputError for a store without vectors.
    """
    settings = settings or HarvestSettings()
    if store.embeddings.active is None:
        raise InputError(
            "harvest compares words with meaning, and this store has no vectors; `hybridstore reembed --embedder NAME` "
            "makes them"
        )
    if judged and judge is None:
        judge = LexicalJudge(store.analyser, store.chunks.sample()[1])
    return _search_all(store, questions, settings, judge if judged else None)


def keep_triples(
    store: Store,
    results: Iterable[HarvestResult],
    *,
    replace: bool = False,
    progress: Callable[[HarvestResult], None] | None = None,
) -> list[HarvestResult]:
    """Store the triples as they come, and return all results.

    With `replace` the earlier triples are dropped when the first new ones are stored. What was stored stays when this
    is interrupted. `progress` is called with each result.
    """
    done: list[HarvestResult] = []
    waiting: list[Triple] = []

    def flush() -> None:
        nonlocal replace
        if waiting and replace:
            store.learning.drop_triples()
            replace = False
        if waiting:
            store.learning.add_triples(waiting)
            waiting.clear()

    try:
        for result in results:
            done.append(result)
            if result.triple is not None:
                waiting.append(result.triple)
            if progress:
                progress(result)
            if len(waiting) >= _BATCH:
                flush()
    finally:
        flush()
    return done


def _search_all(
    store: Store, questions: Iterable[Question], settings: HarvestSettings, judge: Judge | None
) -> Iterator[HarvestResult]:
    trace: Trace | None = None
    for question in filter(lambda question: has_words(question.text), questions):
        if trace is None or trace.query != question.text:  # one question may come once for each of its answers
            with store.unlogged():
                trace = store.search(question.text, limit=1, depth=DEPTH).trace
        yield _result(store, question, trace, settings, judge)


def _result(
    store: Store, question: Question, trace: Trace, settings: HarvestSettings, judge: Judge | None
) -> HarvestResult:
    if trace.evidence is None or not len(trace.fused):
        return HarvestResult(question=question, reason="unsearched")
    rankings = _Rankings.of(trace.evidence, trace.fused)
    overlap = rankings.overlap()
    positive = _positive(store, question, trace, rankings, settings.near)
    disagreed = overlap < _AGREED or (positive is not None and rankings.differ(positive, _TOP))
    if positive is None:
        reason = "lost" if question.certain else "unsure"
        return HarvestResult(question=question, overlap=overlap, disagreed=disagreed, reason=reason)
    candidates = _candidates(store, rankings, [positive, *rankings.one_sided(settings.near), *sorted(question.wrong)])
    if positive not in candidates:  # it was removed meanwhile
        return HarvestResult(question=question, overlap=overlap, disagreed=disagreed, reason="lost")
    first = candidates[positive]
    answer, negatives = _choose_negatives(question, trace, rankings, candidates, first, settings, judge)
    triple = Triple(
        query=question.text,
        kind=question.kind,
        positive=answer.chunk,
        score=answer.score,
        negatives=tuple(negatives),
        origin=question.origin,
        disagreed=disagreed,
        promoted=answer is not first,
    )
    return HarvestResult(question=question, overlap=overlap, disagreed=disagreed, triple=triple)


def _positive(store: Store, question: Question, trace: Trace, rankings: _Rankings, near: int) -> int | None:
    """Return the chunk that answers, None where it was not found or is in doubt."""
    if question.positive is not None:
        return question.positive if question.positive in rankings.fused else None
    if question.document is not None:
        chunks = set(store.chunks.of([question.document]).get(question.document, ()))
        return next((chunk for chunk in rankings.fused if chunk in chunks), None)
    evidence, best = trace.evidence, int(trace.fused.chunks[0])
    if evidence is None or evidence.relevance is None or best in question.wrong:
        return None
    place = evidence.at(best)
    sure = place is not None and float(evidence.relevance[place]) >= _SURE
    return best if sure and rankings.both(best, near) else None


def _candidates(store: Store, rankings: _Rankings, chunks: Sequence[int]) -> dict[int, Candidate]:
    passages = store.chunks.passages([chunk for chunk in dict.fromkeys(chunks) if chunk in rankings.fused])
    vectors = store.chunks.vectors([passage.chunk for passage in passages])
    return {
        passage.chunk: Candidate(
            chunk=passage.chunk,
            document_id=passage.document_id,
            text=embedded_text(passage.title, passage.heading, passage.text),
            score=rankings.fused[passage.chunk],
            vector=vector,
        )
        for passage, vector in zip(passages, vectors, strict=True)
    }


def _choose_negatives(  # noqa: PLR0917 - all that is known of one question
    question: Question,
    trace: Trace,
    rankings: _Rankings,
    candidates: dict[int, Candidate],
    positive: Candidate,
    settings: HarvestSettings,
    judge: Judge | None,
) -> tuple[Candidate, list[Negative]]:
    """Pass the candidates to the guards, the highest first, until there are enough negatives.

    Return the positive, which a judge may have changed, and the negatives, including those excluded by a guard.
    """
    answering = question.answers | {positive.document_id}
    negatives = [
        Negative(chunk=chunk, leg=rankings.leg(chunk), score=candidates[chunk].score)
        for chunk in sorted(question.wrong & candidates.keys(), key=rankings.best)
        if chunk != positive.chunk
    ]
    answer, missing = positive, settings.negatives - len(negatives)
    for chunk in rankings.one_sided(settings.near):
        if missing <= 0:
            break
        candidate = candidates.get(chunk)
        if candidate is None or candidate.document_id in answering or chunk in question.wrong:
            continue
        excluded = None
        if settings.margin is not None and too_near(candidate.score, positive.score, settings.margin):
            excluded = "margin"
        elif judge is not None and (judgment := judge(trace, answer, candidate)) != "no":
            excluded = "judge"
            if judgment == "better" and not question.certain:
                answer, answering = candidate, answering | {candidate.document_id}
                continue
        missing -= excluded is None
        negatives.append(Negative(chunk=chunk, leg=rankings.leg(chunk), score=candidate.score, excluded=excluded))
    return answer, [negative for negative in negatives if candidates[negative.chunk].document_id != answer.document_id]
