"""What a tuning learns from beside the store's own text: people's questions, and where words and meaning disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from hybridstore.errors import InputError
from hybridstore.tuning import harvesting, judged_questions, synthetic_questions
from hybridstore.tuning.harvesting import Harvested
from hybridstore.tuning.synthetic_questions import Question

if TYPE_CHECKING:
    from hybridstore.store import Store

CORPUS = 500  # questions of the store's own text, which tell how often the legs disagree to 4 %
_LOG = 1_000  # questions of the log, those asked most
_MADE_ANEW = (*synthetic_questions.KINDS, "log", "feedback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What was harvested: `questions` by kind, `triples` that came of them, and how many the store holds (`kept`).

    `disagreement` is the share of the questions about which the two legs disagreed, of those where both were searched;
    None where there were none.
    """

    questions: Mapping[str, int]
    triples: int
    kept: int
    disagreement: float | None


def gather(
    store: Store,
    *,
    labelled: Path | str | None = None,
    own: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Gathered:
    """Harvest what the store was asked and told (`own`), and questions with judgments; keep the triples.

    With `own`, the log, the feedback and 500 questions of the text are harvested, and their triples take the place of
    earlier ones; those of judgments and of endpoints, which cannot be made again, stay. `labelled` is what
    `known.from_labelled` reads. `progress` gets questions done, and of how many.

    Raises InputError for a store without vectors, and for judgments that cannot be read or name no answer.
    """
    asked: list[Question] = []
    if labelled is not None:
        asked += judged_questions.from_labelled(store, labelled)
        if not asked:
            raise InputError(f"{labelled}: no document of the store answers a question there, so nothing is learned")
    if own:
        asked += judged_questions.from_feedback(store)
        asked += judged_questions.from_log(store, most=_LOG)
        asked += synthetic_questions.from_corpus(store, most=CORPUS, seed=seed)
    done = 0

    def count(_: Harvested) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, len(asked)), len(asked))

    stays = _stays(store, asked) if own else []
    found = harvesting.keep(store, chain(stays, harvesting.harvest(store, asked)), replace=own, progress=count)[
        len(stays) :
    ]
    compared = [each.disagreed for each in found if each.disagreed is not None]
    return Gathered(
        questions=dict(Counter(each.question.kind for each in found)),
        triples=sum(each.triple is not None for each in found),
        kept=store.learning.count_triples(),
        disagreement=round(sum(compared) / len(compared), 4) if compared else None,
    )


def _stays(store: Store, asked: list[Question]) -> list[Harvested]:
    """Give the triples that cannot be made again, other than those of questions that are asked again."""
    again = {(question.text, question.kind) for question in asked}
    return [
        Harvested(question=Question(triple.query, triple.kind, triple.origin), triple=triple)
        for triple in store.learning.triples()
        if triple.kind not in _MADE_ANEW and (triple.query, triple.kind) not in again
    ]
