"""Questions that people asked, from the query log, from feedback and from files of judgments, and their harvest."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.evaluation.collections import Collection
from hybridstore.evaluation.judgments import numbered_lines
from hybridstore.search.algebra_text import replayed
from hybridstore.tuning import harvesting, synthetic_questions
from hybridstore.tuning.harvesting import HarvestResult
from hybridstore.tuning.synthetic_questions import Question

if TYPE_CHECKING:
    from hybridstore.store import Store

CORPUS = 500  # questions of the store's own text, which measure how often the legs disagree to 4 %
_LOG = 1_000  # questions of the log, the most frequent
_REPEATABLE = (*synthetic_questions.KINDS, "log", "feedback")


@dataclass(frozen=True, slots=True, kw_only=True)
class HarvestSummary:
    """What was harvested: `questions` by kind, `triples` made of them, and how many the store holds (`kept`).

    `disagreement` is the share of questions about which the legs disagreed, of those where both were searched; None
    where there were none.
    """

    questions: Mapping[str, int]
    triples: int
    kept: int
    disagreement: float | None


@dataclass(slots=True)
class _Judgments:
    """What was judged for one question: documents that answer it, and documents that do not."""

    right: dict[str, None] = field(default_factory=dict)
    wrong: dict[str, None] = field(default_factory=dict)

    def add(self, judgments: Iterable[tuple[str, bool]]) -> None:
        """Add judgments; a document that was judged both ways answers."""
        for document, relevant in judgments:
            if relevant:
                self.right[document] = None
                self.wrong.pop(document, None)
            elif document not in self.right:
                self.wrong[document] = None


def harvest_sources(
    store: Store,
    *,
    labelled: Path | str | None = None,
    own: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> HarvestSummary:
    """Harvest questions with judgments, and the store's own log, feedback and text (`own`); keep the triples.

    With `own`, the new triples replace earlier ones, except those of judgments and endpoints, which cannot be made
    again. `labelled` is what `from_labelled` reads. `progress` is called with questions done, and of how many.

    Raises InputError for a store without vectors, and for judgments that cannot be read or name no answer.
    """
    questions: list[Question] = []
    if labelled is not None:
        questions += from_labelled(store, labelled)
        if not questions:
            raise InputError(f"{labelled}: no document of the store answers a question there, so nothing is learned")
    if own:
        questions += from_feedback(store)
        questions += from_log(store, most=_LOG)
        questions += synthetic_questions.from_corpus(store, most=CORPUS, seed=seed)
    done = 0

    def count(_: HarvestResult) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, len(questions)), len(questions))

    earlier = _unrepeatable(store, questions) if own else []
    results = chain(earlier, harvesting.harvest(store, questions))
    new = harvesting.keep_triples(store, results, replace=own, progress=count)[len(earlier) :]
    compared = [result.disagreed for result in new if result.disagreed is not None]
    return HarvestSummary(
        questions=dict(Counter(result.question.kind for result in new)),
        triples=sum(result.triple is not None for result in new),
        kept=store.learning.count_triples(),
        disagreement=round(sum(compared) / len(compared), 4) if compared else None,
    )


def _unrepeatable(store: Store, questions: Iterable[Question]) -> list[HarvestResult]:
    """Return the triples that cannot be made again, except those of questions that are harvested again."""
    again = {(question.text, question.kind) for question in questions}
    return [
        HarvestResult(question=Question(triple.query, triple.kind, triple.origin), triple=triple)
        for triple in store.learning.triples()
        if triple.kind not in _REPEATABLE and (triple.query, triple.kind) not in again
    ]


def from_log(store: Store, *, most: int | None = None) -> Iterator[Question]:
    """Return the questions of the store's query log, the most frequent first; their answers are not known.

    Structured queries are left out: no passage answers their text.
    """
    asked = (logged.query for logged in store.query_log() if isinstance(replayed(logged.query), str))
    return (Question(text, "log") for text in islice(asked, most))


def from_feedback(store: Store) -> Iterator[Question]:
    """Return a question for every useful chunk, and one for each question that had only useless ones.

    The useless chunks of a question are its `wrong` ones.
    """
    useful: defaultdict[str, dict[int, str]] = defaultdict(dict)
    useless: defaultdict[str, set[int]] = defaultdict(set)
    for feedback in store.learning.feedback():
        if feedback.used:
            useful[feedback.query][feedback.chunk] = feedback.document_id
        else:
            useless[feedback.query].add(feedback.chunk)
    for query in dict.fromkeys([*useful, *useless]):
        wrong, answers = frozenset(useless[query]), frozenset(useful[query].values())
        for chunk in useful[query]:
            yield Question(query, "feedback", positive=chunk, answers=answers, wrong=wrong)
        if not useful[query]:
            yield Question(query, "feedback", wrong=wrong)


def from_labelled(store: Store, path: Path | str, *, split: str | None = None) -> Iterator[Question]:
    """Read questions with judgments; return one for each question and document that answers it.

    `path` is a folder in BEIR layout (queries.jsonl and qrels/<split>.tsv; without `split` "train" where there is one,
    else the only one), or a file of JSON lines {"query": "…", "document": "id", "relevant": true}, plain or gzipped;
    "relevant" may be left out where it is true. Documents that are not in the store are skipped.

    Raises InputError with file and line for what cannot be read, and where none of the documents is in the store.
    """
    path = Path(path)
    judged = _beir(path, split) if path.is_dir() else _json_lines(path)
    named = {document for judgments in judged.values() for document in (*judgments.right, *judgments.wrong)}
    stored = store.digests(list(named))
    if named and not stored:
        raise InputError(
            f"{path}: the store holds none of the {len(named):,} documents named there, such as {min(named)!r}; "
            "`hybridstore list` shows the ids there are"
        )
    for query, judgments in judged.items():
        wrong = store.chunks.of([document for document in judgments.wrong if document in stored])
        for document in judgments.right:
            if document in stored:
                yield Question(
                    query,
                    "labelled",
                    document=document,
                    answers=frozenset(judgments.right),
                    wrong=frozenset(chain.from_iterable(wrong.values())),
                )


def _beir(folder: Path, split: str | None) -> dict[str, _Judgments]:
    collection = Collection(folder)
    if split is None:
        split = "train" if "train" in collection.splits else None
    if split is None:
        if len(collection.splits) != 1:
            names = ", ".join(collection.splits) or "none"
            raise InputError(f"{folder}: say which split to learn from; its splits are: {names}")
        split = collection.splits[0]
    qrels, queries = collection.qrels(split), collection.queries()
    judged: defaultdict[str, _Judgments] = defaultdict(_Judgments)
    for query, grades in qrels.grades.items():
        if query in queries and queries[query].text.strip():
            judged[queries[query].text].add((document, grade > 0) for document, grade in grades.items())
    return judged


def _json_lines(path: Path) -> dict[str, _Judgments]:
    judged: defaultdict[str, _Judgments] = defaultdict(_Judgments)
    for number, line in numbered_lines(path):
        where = f"{path}, line {number}"
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where}: this is not JSON ({error})") from error
        query = _string(row, "query", where)
        relevant = row.get("relevant", True)
        if not isinstance(relevant, bool):
            raise InputError(f'{where}: "relevant" must be true or false, not {relevant!r}')
        judged[query].add([(_string(row, "document", where), relevant)])
    return judged


def _string(row: Any, name: str, where: str) -> str:
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'{where}: a line is {{"query": "…", "document": "id", "relevant": true}}; it has no "{name}"')
    return value
