"""Adding documents of any kind, and writes that depend on what was read: replacing and updating, all by a Writer."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridstore.backends.protocols import Backend
from hybridstore.backends.values import Conflict
from hybridstore.errors import InputError, StoreBusy
from hybridstore.records import AddReport, Document
from hybridstore.store.embedder_choice import unit
from hybridstore.store.folders import check_not_a_path
from hybridstore.store.inputs import Addable, Table, checked, document_from
from hybridstore.store.writer import Progress, Writer
from hybridstore.tables import documents_from, is_table, pages_from

T = TypeVar("T")

_TRIES = 200  # of an update: whenever one fails, another process has succeeded


def when_to_embed(vectors: ArrayLike | Literal["soon", "later"] | None) -> Literal["soon", "later"] | None:
    """Return the word that stands for the vectors, None for vectors or none; raises InputError for another word."""
    if not isinstance(vectors, str):
        return None
    if vectors not in {"soon", "later"}:
        raise InputError(f'vectors is an array, one row for each document, or "soon" or "later", not {vectors!r}')
    return vectors  # type: ignore[return-value]  # mypy does not narrow by membership


def add(
    writer: Callable[..., Writer],
    documents: Addable | os.PathLike[str] | Iterable[Addable | os.PathLike[str]] | Table,
    *,
    vectors: ArrayLike | None,
    chunk: bool,
    progress: Progress | None,
    paths: list[os.PathLike[str]],
) -> AddReport:
    """Add documents by a Writer that `writer` makes; see `Store.add`. Paths among them are put into `paths` instead."""
    if is_table(documents):
        return _add_table(writer, documents, vectors=vectors, chunk=chunk, progress=progress)
    alone = isinstance(documents, str | Document | Mapping | os.PathLike)
    many = listed(documents, alone=alone)
    if vectors is None:
        with writer(chunk=chunk, progress=progress) as writing:
            for document in many:
                if isinstance(document, os.PathLike):
                    paths.append(document)
                    continue
                if isinstance(document, str):
                    check_not_a_path(document, alone=alone)
                writing.add(document_from(document))
        if paths and not chunk:
            raise InputError("files are read in chunks: leave chunk=False out")
        return writing.report
    all_ = [document_from(document) for document in many]
    array = unit(vectors, (None, None), "vectors") if all_ else np.empty((0, 1), np.float32)
    if len(array) != len(all_):
        raise InputError(f"there are {len(all_)} documents but {len(array)} vectors; pass one for each")
    with writer(chunk=False, progress=progress) as writing:
        for document, vector in zip(all_, array, strict=True):
            writing.add(document, vector=vector)
    return writing.report


def documents_of(documents: Addable | Iterable[Addable] | Table) -> Iterator[Document]:
    """Yield the documents that `Store.add` would add; raises InputError for paths."""
    if is_table(documents):
        yield from map(document_from, documents_from(documents))
        return
    alone = isinstance(documents, str | Document | Mapping | os.PathLike)
    for document in listed(documents, alone=alone):
        if isinstance(document, str):
            check_not_a_path(document, alone=alone)
        yield document_from(document)


def listed(documents: Any, *, alone: bool) -> Iterable[Any]:
    """Return documents as an iterable; raises InputError for what is none."""
    many = [documents] if alone else documents
    if isinstance(many, bytes) or not isinstance(many, Iterable):
        raise InputError(
            f"documents are texts, Documents, mappings, an iterable of these, or a table, not {type(many).__name__}"
        )
    return many


def _add_table(
    writer: Callable[..., Writer], table: object, *, vectors: ArrayLike | None, chunk: bool, progress: Progress | None
) -> AddReport:
    rows = _rows(table)
    if vectors is not None:
        documents = []
        for document, own in rows:
            if own is not None:
                raise InputError("the table has a column 'vector' and vectors= was passed too; leave one of them out")
            documents.append(document)
        return add(writer, documents, vectors=vectors, chunk=chunk, progress=progress, paths=[])
    with writer(chunk=chunk, progress=progress) as writing:
        for document, vector in rows:
            writing.add(document, vector=vector)
    return writing.report


def _rows(table: object) -> Iterator[tuple[Document, NDArray[np.float32] | None]]:
    for page in pages_from(table, lambda row: checked(document_from(row))):
        array = [None] * len(page.documents) if page.vectors is None else unit(page.vectors, (None, None), "vector")
        yield from zip(map(document_from, page.documents), array, strict=True)


def update(backend: Backend, writer: Callable[[], Writer], decide: Callable[[Writer], T]) -> T:
    """Let `decide` read and write, and call it again where another process wrote first; see `Store.update`."""
    for attempt in range(_TRIES):
        try:
            with writer() as writing, backend.snapshot():
                result = decide(writing)
        except Conflict:
            time.sleep(random.uniform(0, 0.002 * min(attempt + 1, 20)))  # noqa: S311 - jitter, no secret
        else:
            return result
    raise StoreBusy(backend.location, 0.0)


def replace(
    backend: Backend, writer: Callable[[], Writer], before: Iterable[Document], after: Iterable[Addable]
) -> AddReport | None:
    """Replace documents by others, or return None where one has changed; see `Store.replace`."""
    old, new = _by_id(before), _by_id(map(document_from, after))
    with backend.snapshot():
        digests = backend.digests([*old, *new])
        if any(id_ not in digests or backend.get(id_).document != document for id_, document in old.items()):
            return None
    if any(id_ in digests for id_ in new if id_ not in old):
        return None
    # The digests also stand for how the documents were added, which the documents do not say.
    try:
        with writer() as writing:
            for id_ in old:
                if id_ not in new:
                    writing.remove(id_, stored=digests[id_])
            for id_, document in new.items():
                writing.add(document, replaces=digests.get(id_))
    except Conflict:
        return None
    return writing.report


def _by_id(documents: Iterable[Document]) -> dict[str, Document]:
    by_id: dict[str, Document] = {}
    for document in map(checked, documents):
        if str(document.id) in by_id:
            raise InputError(f"the id {document.id!r} comes twice; each document is replaced once")
        by_id[str(document.id)] = document
    return by_id
