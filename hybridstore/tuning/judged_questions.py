"""Questions that people asked: out of the store's log, out of feedback, and out of files with judgments."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.evaluation.collections import Collection
from hybridstore.evaluation.judgments import numbered_lines
from hybridstore.tuning.synthetic_questions import Question

if TYPE_CHECKING:
    from hybridstore.store import Store


@dataclass(slots=True)
class _Judged:
    """What was said about one question: documents that answer it, and documents that do not."""

    right: dict[str, None] = field(default_factory=dict)
    wrong: dict[str, None] = field(default_factory=dict)


def from_log(store: Store, *, most: int | None = None) -> Iterator[Question]:
    """Give the questions of the store's own log, those asked most first; nobody has said what answers them."""
    for asked in islice(store.query_log(), most):
        yield Question(asked.query, "log")


def from_feedback(store: Store) -> Iterator[Question]:
    """Give a question for every chunk that was of use, and one for each question that had only chunks of no use.

    The chunks of no use for a question are its `wrong` ones.
    """
    used: defaultdict[str, dict[int, str]] = defaultdict(dict)
    wrong: defaultdict[str, set[int]] = defaultdict(set)
    for said in store.learning.feedback():
        if said.used:
            used[said.query][said.chunk] = said.document_id
        else:
            wrong[said.query].add(said.chunk)
    for query in dict.fromkeys([*used, *wrong]):
        of_no_use, answers = frozenset(wrong[query]), frozenset(used[query].values())
        for chunk in used[query]:
            yield Question(query, "feedback", positive=chunk, answers=answers, wrong=of_no_use)
        if not used[query]:
            yield Question(query, "feedback", wrong=of_no_use)


def from_labelled(store: Store, path: Path | str, *, split: str | None = None) -> Iterator[Question]:
    """Read questions with judgments; give one for each question and document that answers it.

    `path` is a folder in BEIR layout (queries.jsonl and qrels/<split>.tsv; without `split` "train" where there is one,
    else the only one), or a file of JSON lines {"query": "…", "document": "id", "relevant": true}, plain or gzipped;
    "relevant" may be left out where it is true. Documents that the store does not hold are passed over.

    Raises InputError with file and line for what cannot be read, and where the store holds none of the documents.
    """
    path = Path(path)
    judged = _beir(path, split) if path.is_dir() else _lines(path)
    named = {document for each in judged.values() for document in (*each.right, *each.wrong)}
    stored = store.digests(list(named))
    if named and not stored:
        example = min(named)
        raise InputError(
            f"{path}: the store holds none of the {len(named):,} documents named there, such as {example!r}; "
            "`hybridstore list` shows the ids there are"
        )
    for query, each in judged.items():
        answers = [document for document in each.right if document in stored]
        wrong = frozenset(chain.from_iterable(store.chunks.of([id_ for id_ in each.wrong if id_ in stored]).values()))
        for document in answers:
            yield Question(query, "labelled", document=document, answers=frozenset(each.right), wrong=wrong)


def _beir(folder: Path, split: str | None) -> dict[str, _Judged]:
    collection = Collection(folder)
    if split is None:
        split = "train" if "train" in collection.splits else None
    if split is None:
        if len(collection.splits) != 1:
            there = ", ".join(collection.splits) or "none"
            raise InputError(f"{folder}: say which split to learn from; splits there are: {there}")
        split = collection.splits[0]
    qrels, queries = collection.qrels(split), collection.queries()
    judged: defaultdict[str, _Judged] = defaultdict(_Judged)
    for query, grades in qrels.grades.items():
        if query in queries and queries[query].text.strip():
            _sort(judged[queries[query].text], ((document, grade > 0) for document, grade in grades.items()))
    return judged


def _lines(path: Path) -> dict[str, _Judged]:
    judged: defaultdict[str, _Judged] = defaultdict(_Judged)
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
        _sort(judged[query], [(_string(row, "document", where), relevant)])
    return judged


def _sort(judged: _Judged, said: Iterable[tuple[str, bool]]) -> None:
    """Take judgments in; a document that was judged both ways answers."""
    for document, relevant in said:
        if relevant:
            judged.right[document] = None
            judged.wrong.pop(document, None)
        elif document not in judged.right:
            judged.wrong[document] = None


def _string(row: Any, name: str, where: str) -> str:
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'{where}: a line is {{"query": "…", "document": "id", "relevant": true}}; it has no "{name}"')
    return value
