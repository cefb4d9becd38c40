"""Triples out of the disagreement of the legs: what one of them ranks high and the other does not is worth learning.

Every question is searched once, as a person's would be. From the evidence that search collected for each candidate, two
more rankings are read, one by words and one by meaning. A passage that only one of them has near the top looks like an
answer from one side: it is a hard negative, unless the guards doubt it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hybridstore.backends.learning import Negative, Triple
from hybridstore.errors import InputError
from hybridstore.records import Evidence, Ranking, Trace
from hybridstore.search.rank_fusion import adaptive
from hybridstore.store.embedder_choice import embedded_text
from hybridstore.tuning.false_negatives import MARGIN, Candidate, Judge, LexicalJudge, too_near
from hybridstore.tuning.synthetic_questions import Question

if TYPE_CHECKING:
    from hybridstore.store import Store

DEPTH = 200  # candidates of each leg
KEYWORD_HEAVY, VECTOR_HEAVY = (0.95, 0.05), (0.05, 0.95)  # the other leg breaks ties, and no more
NEAR = 20  # ranks within which a passage counts as found by a ranking
_SHOWN = 10  # ranks that a person looks at, by which disagreement is told
_AGREED = 5  # of them in both rankings, from which on the legs agree
_SURE = 0.5  # relevance from which on the store rather has an answer
_KEPT_AT_ONCE = 500  # triples between two commits

REASONS = {
    "unsearched": "only one leg could be searched",
    "lost": "neither leg found its answer",
    "unsure": "nobody knows its answer, and the store is not sure of one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How triples are made.

    `negatives` are those of a triple at most, `margin` is the share in `guards.too_near` (None for no margin), `near`
    the ranks within which a ranking counts as having found a passage.
    """

    negatives: int = 8
    margin: float | None = MARGIN
    near: int = NEAR

    def __post_init__(self) -> None:
        """Raise InputError, saying what would do."""
        if self.negatives < 1 or self.near < 1:
            raise InputError(f"negatives and near must be at least 1, not {self.negatives} and {self.near}")
        if self.margin is not None and not 0.0 < self.margin <= 1.0:
            raise InputError(f"margin must be above 0 and at most 1, not {self.margin!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvested:
    """What one question came to. `overlap` is how many of the two top tens are the same chunks.

    `disagreed` says whether that is below five, or the positive stands in one top ten only; None where nothing could be
    compared. Without a `triple`, `reason` is a key of REASONS.
    """

    question: Question
    overlap: int = 0
    disagreed: bool | None = None
    triple: Triple | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Heavy:
    """The two heavy rankings and the fused one of one search, as ranks from 1 and scores."""

    keyword: dict[int, int]
    vector: dict[int, int]
    fused: dict[int, float]

    @classmethod
    def of(cls, evidence: Evidence, fused: Ranking) -> _Heavy:
        scores = dict(zip(fused.chunks.tolist(), fused.scores.tolist(), strict=True))
        return cls(adaptive(evidence, KEYWORD_HEAVY).ranks(), adaptive(evidence, VECTOR_HEAVY).ranks(), scores)

    def both(self, chunk: int, within: int) -> bool:
        return self.keyword[chunk] <= within and self.vector[chunk] <= within

    def best(self, chunk: int) -> tuple[int, int]:
        """Give the better rank, and the chunk's number to break ties: for sorting."""
        return min(self.keyword[chunk], self.vector[chunk]), chunk

    def leg(self, chunk: int) -> str:
        return "keyword" if self.keyword[chunk] <= self.vector[chunk] else "vector"

    def overlap(self) -> int:
        return sum(self.both(chunk, _SHOWN) for chunk in self.keyword)

    def one_sided(self, within: int) -> list[int]:
        """Give the chunks that one ranking has within so many ranks and the other has not, the highest first."""
        found = [chunk for chunk in self.keyword if (self.keyword[chunk] <= within) != (self.vector[chunk] <= within)]
        return sorted(found, key=self.best)


def harvest(
    store: Store,
    questions: Iterable[Question],
    *,
    settings: Settings | None = None,
    judge: Judge | None = None,
    judged: bool = True,
) -> Iterator[Harvested]:
    """Search every question once, and make a triple of it where its answer is known or hardly in doubt.

    The positive is the chunk or document known to answer; of a question that nobody answered, the first fused hit if
    its relevance is at least 0.5 and both heavy rankings have it among their first twenty. Negatives are of other
    documents than those known to answer; chunks known not to answer are negatives without any guard. `judge` None is
    the lexical one, `judged=False` none at all. Only of a question without a known answer does a judge's "better"
    change the positive: the passage that was first is then neither.

    Raises InputError for a store without vectors.
    """
    settings = settings or Settings()
    if store.embeddings.active is None:
        raise InputError(
            "harvest compares words with meaning, and this store has no vectors; `hybridstore reembed --embedder NAME` "
            "makes them"
        )
    if judged and judge is None:
        judge = LexicalJudge(store.language, store.chunks.sample()[1])
    return _searched(store, questions, settings, judge if judged else None)


def keep(
    store: Store,
    found: Iterable[Harvested],
    *,
    replace: bool = False,
    progress: Callable[[Harvested], None] | None = None,
) -> list[Harvested]:
    """Keep the triples in the store as they come, and give what each question came to.

    With `replace` those from before go when the first new ones are kept. What was kept stays when this is stopped
    half-way. `progress` gets each question when it is done.
    """
    learning = store.learning
    all_found: list[Harvested] = []
    waiting: list[Triple] = []
    before = replace

    def kept() -> None:
        nonlocal before
        if waiting and before:
            learning.drop_triples()
            before = False
        if waiting:
            learning.add_triples(waiting)
            waiting.clear()

    try:
        for each in found:
            all_found.append(each)
            if each.triple is not None:
                waiting.append(each.triple)
            if progress:
                progress(each)
            if len(waiting) >= _KEPT_AT_ONCE:
                kept()
    finally:
        kept()
    return all_found


def _searched(
    store: Store, questions: Iterable[Question], settings: Settings, judge: Judge | None
) -> Iterator[Harvested]:
    trace: Trace | None = None
    for question in questions:
        if trace is None or trace.query != question.text:  # several passages may be known to answer one question
            with store.unlogged():
                trace = store.search(question.text, limit=1, depth=DEPTH).trace
        yield _harvested(store, question, trace, settings, judge)


def _harvested(store: Store, question: Question, trace: Trace, settings: Settings, judge: Judge | None) -> Harvested:
    if trace.evidence is None or not len(trace.fused):
        return Harvested(question=question, reason="unsearched")
    heavy = _Heavy.of(trace.evidence, trace.fused)
    overlap = heavy.overlap()
    positive = _positive(store, question, trace, heavy, settings.near)
    disagreed = overlap < _AGREED
    if positive is not None:
        disagreed = disagreed or (heavy.keyword[positive] <= _SHOWN) != (heavy.vector[positive] <= _SHOWN)
    if positive is None:
        reason = "lost" if question.certain else "unsure"
        return Harvested(question=question, overlap=overlap, disagreed=disagreed, reason=reason)
    seen = _candidates(store, heavy, [positive, *heavy.one_sided(settings.near), *sorted(question.wrong)])
    if positive not in seen:  # it was removed meanwhile
        return Harvested(question=question, overlap=overlap, disagreed=disagreed, reason="lost")
    first = seen[positive]
    answer, negatives = _sorted_out(question, trace, heavy, seen, first, settings, judge)
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
    return Harvested(question=question, overlap=overlap, disagreed=disagreed, triple=triple)


def _positive(store: Store, question: Question, trace: Trace, heavy: _Heavy, near: int) -> int | None:
    """Give the chunk that answers, None where it was not found or nobody can tell."""
    if question.positive is not None:
        return question.positive if question.positive in heavy.fused else None
    if question.document is not None:
        chunks = set(store.chunks.of([question.document]).get(question.document, ()))
        return next((chunk for chunk in heavy.fused if chunk in chunks), None)
    evidence, best = trace.evidence, int(trace.fused.chunks[0])
    if evidence is None or evidence.relevance is None or best in question.wrong:
        return None
    place = evidence.at(best)
    sure = place is not None and float(evidence.relevance[place]) >= _SURE
    return best if sure and heavy.both(best, near) else None


def _candidates(store: Store, heavy: _Heavy, chunks: Sequence[int]) -> dict[int, Candidate]:
    wanted = [chunk for chunk in dict.fromkeys(chunks) if chunk in heavy.fused]
    passages = store.chunks.passages(wanted)
    vectors = store.chunks.vectors([passage.chunk for passage in passages])
    return {
        passage.chunk: Candidate(
            chunk=passage.chunk,
            document_id=passage.document_id,
            text=embedded_text(passage.title, passage.heading, passage.text),
            score=heavy.fused[passage.chunk],
            vector=vector,
        )
        for passage, vector in zip(passages, vectors, strict=True)
    }


def _sorted_out(  # noqa: PLR0917 - all that is known of one question
    question: Question,
    trace: Trace,
    heavy: _Heavy,
    seen: dict[int, Candidate],
    positive: Candidate,
    settings: Settings,
    judge: Judge | None,
) -> tuple[Candidate, list[Negative]]:
    """Let the guards look at the candidates, the highest first, until there are negatives enough.

    Gives the positive, which a judge may have changed, and the negatives; the doubted ones that were looked at are
    among them.
    """
    answering = question.answers | {positive.document_id}
    negatives = [
        Negative(chunk=chunk, leg=heavy.leg(chunk), score=seen[chunk].score)
        for chunk in sorted(question.wrong & seen.keys(), key=heavy.best)
        if chunk != positive.chunk
    ]
    answer, wanted = positive, settings.negatives - len(negatives)
    for chunk in heavy.one_sided(settings.near):
        if wanted <= 0:
            break
        candidate = seen.get(chunk)
        if candidate is None or candidate.document_id in answering or chunk in question.wrong:
            continue
        excluded = None
        if settings.margin is not None and too_near(candidate.score, positive.score, settings.margin):
            excluded = "margin"
        elif judge is not None and (verdict := judge(trace, answer, candidate)) != "no":
            excluded = "judge"
            if verdict == "better" and not question.certain:
                answer, answering = candidate, answering | {candidate.document_id}
                continue
        wanted -= excluded is None
        negatives.append(Negative(chunk=chunk, leg=heavy.leg(chunk), score=candidate.score, excluded=excluded))
    return answer, [each for each in negatives if seen[each.chunk].document_id != answer.document_id]
