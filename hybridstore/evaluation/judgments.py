"""Judgments and runs, and their files: BEIR qrels, TREC qrels and TREC runs, plain or gzipped."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hybridstore.errors import InputError
from hybridstore.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Qrels:
    """Relevance judgments: query id → document id → grade; above 0 is relevant, 0 and below is not."""

    grades: Mapping[str, Mapping[str, int]]

    def of(self, query_id: str) -> Mapping[str, int]:
        """Return the grades of one query's judged documents; empty for an unknown query."""
        return self.grades.get(query_id, {})

    @property
    def answerable(self) -> tuple[str, ...]:
        """The queries with at least one relevant document, in input order: those that can be scored."""
        return tuple(query for query, grades in self.grades.items() if any(g > 0 for g in grades.values()))

    @property
    def unanswerable(self) -> tuple[str, ...]:
        """The judged queries without any relevant document, which cannot be scored."""
        return tuple(query for query, grades in self.grades.items() if all(g <= 0 for g in grades.values()))


@dataclass(frozen=True, slots=True)
class Run:
    """The rankings of a search: query id → (document id, score), best first.

    Make one with `from_scores` or `from_ranked`. Both keep the order that trec_eval would read from
    the scores, so that every tool that reads the run sees the same ranking.
    """

    ranked: Mapping[str, Sequence[tuple[str, float]]]

    @classmethod
    def from_scores(cls, scores: Mapping[str, Mapping[str, float]]) -> Run:
        """Rank by score as trec_eval does: by the score in single precision, ties by document id descending.

        trec_eval keeps scores as C floats and puts the greater id by `strcmp` first among equal ones
        (C. Buckley's trec_eval 9, form_res_rels.c). A score that is NaN is an InputError.
        """
        ranked = {}
        for query, documents in scores.items():
            for document, score in documents.items():
                if math.isnan(score):
                    raise InputError(f"query {query!r}: the score of document {document!r} is not a number")
            order = sorted(documents.items(), key=lambda item: (_single(item[1]), item[0]), reverse=True)
            ranked[query] = tuple(order)
        return cls(ranked)

    @classmethod
    def from_ranked(cls, rankings: Mapping[str, Sequence[tuple[str, float]]]) -> Run:
        """Keep this order and these scores, best first.

        Where trec_eval would read another order (a score that, in single precision, is not below the one before
        it, and ids that do not decide the tie as wanted), the score is lowered to the next C float that is below:
        by less than a millionth of itself where two tie. A document that occurs twice in one ranking and a score
        that is not a number within ±1e38 are InputErrors.
        """
        for query, ranked in rankings.items():
            _check_no_duplicates(query, [document for document, _ in ranked])
            for document, score in ranked:
                if not abs(score) <= 1e38:  # a C float ends at 3.4e38; NaN is not below either
                    raise InputError(
                        f"query {query!r}: the score of document {document!r} is not a number within ±1e38"
                    )
        return cls({query: tuple(_falling(ranked)) for query, ranked in rankings.items()})

    def documents(self, query_id: str) -> tuple[str, ...]:
        """Return one query's document ids, best first; none for a query that was not run."""
        return tuple(document for document, _ in self.ranked.get(query_id, ()))


def read_qrels(path: Path | str) -> Qrels:
    """Read BEIR qrels (query, document, grade; header or not) or TREC qrels (query, 0, document, grade).

    The number of columns decides the layout. Raises InputError with the line number for a malformed line, a grade that
    is not a whole number and a pair judged twice with different grades.
    """
    grades: dict[str, dict[str, int]] = {}
    for number, line in numbered_lines(path):
        query, document, text = _judgment(line, path, number)
        try:
            grade = int(text)
        except ValueError as error:
            if not grades and not any(sign.isdigit() for sign in text):  # a header, such as "score"
                continue
            raise InputError(f"{path}, line {number}: the grade {text!r} is not a whole number") from error
        known = grades.setdefault(query, {})
        if known.setdefault(document, grade) != grade:
            raise InputError(
                f"{path}, line {number}: query {query!r} and document {document!r} were judged "
                f"{known[document]} before and {grade} here; keep one of the two lines"
            )
    return Qrels(grades)


def write_qrels(qrels: Qrels, path: Path | str, *, layout: Literal["beir", "trec"] = "beir") -> None:
    """Write qrels for BEIR (tabs, with a header) or trec_eval (four columns); a `.gz` name compresses."""
    pairs = ((q, d, grade) for q, documents in qrels.grades.items() for d, grade in documents.items())
    if layout == "beir":
        rows = (f"{_tabbed(q)}\t{_tabbed(d)}\t{grade}" for q, d, grade in pairs)
        _write(path, ("query-id\tcorpus-id\tscore", *rows))
    else:
        _write(path, (f"{_unspaced(q)} 0 {_unspaced(d)} {grade}" for q, d, grade in pairs))


def read_run(path: Path | str) -> Run:
    """Read a TREC run: query, Q0, document, rank, score, tag. The scores decide the order, as in trec_eval.

    A line without six columns, a score that is no number and a document listed twice for a query are
    InputErrors with the line's number.
    """
    scores: dict[str, dict[str, float]] = {}
    for number, line in numbered_lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise InputError(
                f"{path}, line {number}: a line of a TREC run has six columns "
                f"(query Q0 document rank score tag), this one has {len(columns)}"
            )
        query, _, document, _, text, _ = columns
        try:
            score = float(text)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: the score {text!r} is not a number") from error
        known = scores.setdefault(query, {})
        if document in known or math.isnan(score):
            fault = "the score is not a number" if math.isnan(score) else f"{document!r} is listed twice"
            raise InputError(f"{path}, line {number}: query {query!r}: {fault}")
        known[document] = score
    return Run.from_scores(scores)


def write_run(run: Run, path: Path | str, *, tag: str = "hybridstore") -> None:
    """Write a TREC run, ranks counted from 1; `.gz` in the name compresses. Ids may hold no white space."""
    _write(
        path,
        (
            f"{_unspaced(query)} Q0 {_unspaced(document)} {rank} {score!r} {_unspaced(tag)}"
            for query, documents in run.ranked.items()
            for rank, (document, score) in enumerate(documents, start=1)
        ),
    )


def numbered_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    """Return the non-blank lines of a UTF-8 file, plain or `.gz`, each with its number from 1."""
    path = Path(path)
    try:
        # utf-8-sig: a spreadsheet's export may begin with a byte order mark
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason}); convert it first") from error
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{path} cannot be read: {reason}") from error


def _judgment(line: str, path: Path | str, number: int) -> tuple[str, str, str]:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) < 3:  # not tabs between all of them: TREC takes any white space
        columns = line.split()
    if len(columns) == 4:
        del columns[1]
    if len(columns) != 3 or not all(columns):
        raise InputError(
            f"{path}, line {number}: a judgment has three columns (query, document, grade) or TREC's four "
            f"(query, 0, document, grade), this line has {len(columns)}"
        )
    return columns[0], columns[1], columns[2]


def _check_no_duplicates(query: str, documents: Sequence[str]) -> None:
    if len(set(documents)) < len(documents):
        twice = next(document for document in documents if documents.count(document) > 1)
        raise InputError(f"query {query!r}: document {twice!r} occurs more than once in its ranking")


def _falling(ranked: Sequence[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    above: tuple[float, str] | None = None
    for document, score in ranked:
        lowered = score
        if above is not None and (_single(score), document) >= above:
            lowered = float(np.nextafter(np.float32(above[0]), np.float32(-np.inf)))
        above = _single(lowered), document
        yield document, lowered


def _single(score: float) -> float:
    with np.errstate(over="ignore"):  # beyond a C float's range is infinity there too
        return float(np.float32(score))


def _tabbed(identifier: str) -> str:
    if any(sign in identifier for sign in "\t\r\n") or identifier != identifier.strip() or not identifier:
        raise InputError(f"the id {identifier!r} cannot be written to a tab-separated file; rename it")
    return identifier


def _unspaced(identifier: str) -> str:
    if len(identifier.split()) != 1 or identifier != identifier.strip():
        raise InputError(
            f"the id {identifier!r} cannot be written to a TREC file, which allows no white space; rename it"
        )
    return identifier


def _write(path: Path | str, lines: Iterable[str]) -> None:
    path = Path(path)
    raw = "".join(f"{line}\n" for line in lines).encode()
    try:
        # mtime 0: the same content gives the same bytes
        write_whole(path, gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
