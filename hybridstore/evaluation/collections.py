"""A test collection in BEIR layout: documents, queries and who judged which relevant.

    DIR/corpus.jsonl        {"_id": "d1", "title": "…", "text": "…", "metadata": {…}}
    DIR/queries.jsonl       {"_id": "q1", "text": "…", "metadata": {…}}
    DIR/qrels/<split>.tsv   query-id, corpus-id, score

Each file may be gzipped (`.gz`). Title and metadata may be missing; other members are not read. The layout is
that of Thakur et al., "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval
Models", NeurIPS Datasets and Benchmarks 2021.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.evaluation.judgments import Qrels, numbered_lines, read_qrels
from hybridstore.records import Document

if TYPE_CHECKING:
    from collections.abc import Container, Iterator


@dataclass(frozen=True, slots=True)
class Query:
    """A question of a collection."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Judged ids that the collection lacks: a fault of the data, which lowers the reachable score."""

    unknown_queries: tuple[str, ...]
    unknown_documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection in the folder `path`; files are read on demand."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not self.path.is_dir():
            raise InputError(f"{self.path} is not a folder; a collection is a folder with corpus.jsonl in it")

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits there are judgments for, in alphabetical order."""
        folder = self.path / "qrels"
        names = {file.name.removesuffix(".gz") for file in folder.glob("*")} if folder.is_dir() else set()
        return tuple(sorted(name.removesuffix(".tsv") for name in names if name.endswith(".tsv")))

    def corpus(self) -> Iterator[Document]:
        """Return the documents one by one, in file order; only their ids are kept in memory.

        Raises InputError with the line number for a line that is not a JSON object with `_id` and `text`, and for a
        duplicate id.
        """
        for where, row in _rows(_plain_or_gzipped(self.path / "corpus.jsonl")):
            title, metadata = _text(row, "title", where), _metadata(row, where)
            yield Document(id=row["_id"], title=title, text=row["text"], metadata=metadata)

    def queries(self) -> dict[str, Query]:
        """Return all queries by id, in the file's order; the errors are those of `corpus`."""
        return read_queries(_plain_or_gzipped(self.path / "queries.jsonl"))

    def documents(self, ids: Container[str]) -> dict[str, Document]:
        """Return the documents with these ids, by id; reads the corpus once and leaves out ids it does not have."""
        return {document.id: document for document in self.corpus() if document.id in ids}  # type: ignore[misc]

    def qrels(self, split: str = "test") -> Qrels:
        """Return the judgments of a split; an unknown one is an InputError that lists those there are."""
        if split not in self.splits:
            known = ", ".join(self.splits) or "none: DIR/qrels/<split>.tsv is missing"
            raise InputError(f"{self.path} has no split {split!r}; its splits are: {known}")
        return read_qrels(_plain_or_gzipped(self.path / "qrels" / f"{split}.tsv"))

    def coverage(self, qrels: Qrels | None = None) -> Coverage:
        """Count the judged queries and documents that are not in the collection; reads the corpus once.

        The judgments are those of the split "test" by default.
        """
        qrels = self.qrels() if qrels is None else qrels
        judged = {document for grades in qrels.grades.values() for document in grades}
        judged.difference_update(document.id or "" for document in self.corpus())
        queries = self.queries()
        return Coverage(
            unknown_queries=tuple(query for query in qrels.grades if query not in queries),
            unknown_documents=tuple(sorted(judged)),
        )


def read_queries(path: Path | str) -> dict[str, Query]:
    """Read queries by id, in the file's order, from a collection's folder, a JSON Lines file or a table.

    A name that ends in `.tsv` or `.txt` (perhaps with `.gz`) is a table of id and text separated by a tab, as in MS
    MARCO and TREC; any other file is read as `queries.jsonl`. Raises InputError with the line number for a malformed
    line or a duplicate id.
    """
    path = Path(path)
    if path.is_dir():
        return Collection(path).queries()
    if path.name.removesuffix(".gz").endswith((".tsv", ".txt")):
        return _tabled(path)
    return {row["_id"]: Query(row["_id"], row["text"], _metadata(row, where)) for where, row in _rows(path)}


def _tabled(path: Path) -> dict[str, Query]:
    queries: dict[str, Query] = {}
    for number, line in numbered_lines(path):
        identifier, tab, text = line.partition("\t")
        if not tab or not identifier.strip():
            raise InputError(f"{path}, line {number}: a line of a table of queries is an id, a tab and the text")
        _check_new_id(identifier.strip(), queries, f"{path}, line {number}")
        queries[identifier.strip()] = Query(identifier.strip(), text.strip())
    return queries


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    seen: set[str] = set()
    for number, line in numbered_lines(path):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where}: this is not JSON ({error})") from error
        if not isinstance(row, dict) or isinstance(row.get("_id"), bool | float | dict | list | None):
            raise InputError(f'{where}: a line is a JSON object with "_id" and "text"; it has no "_id"')
        row["_id"] = str(row["_id"])  # some collections number their documents
        row["text"] = _text(row, "text", where) if "text" in row else _missing_text(where, row["_id"])
        _check_new_id(row["_id"], seen, where)
        seen.add(row["_id"])
        yield where, row


def _check_new_id(identifier: str, seen: Container[str], where: str) -> None:
    if identifier in seen:
        raise InputError(f"{where}: the id {identifier!r} occurs twice; ids must be unique")


def _plain_or_gzipped(path: Path) -> Path:
    gzipped = path.with_name(path.name + ".gz")
    if path.is_file():
        return path
    if gzipped.is_file():
        return gzipped
    raise InputError(f"neither {path} nor {gzipped.name} exists; the BEIR layout needs one of them")


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f'{where}: "{name}" must be a string')
    return value


def _missing_text(where: str, identifier: str) -> str:
    raise InputError(f'{where}: {identifier!r} has no "text"; write "" if it is empty')


def _metadata(row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    value = row.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f'{where}: "metadata" must be an object')
    return value
