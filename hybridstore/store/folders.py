"""Files and folders read into a store: what such a sync reports, and the door to the readers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hybridstore.errors import InputError
from hybridstore.records import AddReport

if TYPE_CHECKING:
    from hybridstore.store.store import Store

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One file or folder, or several."""

_NAMED = 3  # files that a warning names


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """The progress of a sync: files and bytes done and in total, chunks committed, and chunks embedded.

    `files` are those that were looked at, `files_total` all. `bytes` are those whose text is committed, of the
    `bytes_total` of new and changed files, so they grow with the work: within a large file, too. `to_embed` is None
    until words find all of it, and then the number of chunks that are still to be embedded; `share` is which part of
    that work is done, by the lengths of the texts.
    """

    files: int
    files_total: int
    bytes: int
    bytes_total: int
    chunks: int
    embedded: int = 0
    to_embed: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """Counts of files by what a sync did with them: `read` (new or changed), `unchanged`, `pruned`, `moved`.

    `failed` are (path, reason) of the files it could not read. `left_out` are (path, reason) of the files and folders
    it skipped, and `skipped` counts them by reason. `notices` are (path, sentence) for what was left out of files that
    were read and for guesses, such as an encoding. `documents` is the resulting change to the store. `without_vectors`
    is how many chunks have no vector, in a store that has some. After a dry run, `would_read` are the files that are
    new or changed, and `documents.added` is the number of documents in them.
    """

    read: int = 0
    unchanged: int = 0
    pruned: int = 0
    failed: Sequence[tuple[str, str]] = ()
    skipped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    notices: Sequence[tuple[str, str]] = ()
    documents: AddReport = field(default_factory=AddReport)
    left_out: Sequence[tuple[str, str]] = ()
    would_read: Sequence[str] = ()
    moved: int = 0
    without_vectors: int = 0


def add_folder(store: Store, paths: Paths, **options: Any) -> SyncReport:
    """Read files and folders into the store; see `Store.add_folder`.

    The readers lie above the store, which needs none of them to work; this is the one way up, loaded when it is used.
    """
    report: SyncReport = import_module("hybridstore.ingest.sync").sync(store, paths, **options)
    return report


def add_paths(store: Store, paths: Sequence[os.PathLike[str]]) -> AddReport:
    """Read the paths that were passed to `Store.add`; raises InputError if a file among them cannot be read.

    Files below a folder that cannot be read are named in a warning.
    """
    report = add_folder(store, paths)
    if report.failed:
        named = "; ".join(f"{path}: {reason}" for path, reason in report.failed[:_NAMED])
        more = f"; and {len(report.failed) - _NAMED:,} more" if len(report.failed) > _NAMED else ""
        if not all(os.path.isdir(path) for path in paths):  # noqa: PTH112 - any path-like object
            raise InputError(f"not everything could be read: {named}{more}")
        warnings.warn(f"some files could not be read: {named}{more}; add_folder() reports all", stacklevel=4)
    return report.documents


def check_not_a_path(text: str, *, alone: bool) -> None:
    """Raise InputError for a text that is the path of something that exists.

    `alone`: it is all that is added. Among several texts, a word that happens to be a file's name is a word.
    """
    if len(text) > 1024 or "\n" in text or not (alone or any(sign in text for sign in "/\\.")):
        return
    path = os.path.expanduser(text)  # noqa: PTH111 - most texts are no paths, and this is done for each
    try:
        found = bool(text.strip(". ")) and os.path.exists(path)  # noqa: PTH110
    except ValueError:  # a null byte
        return
    if found:
        what = "folder" if os.path.isdir(path) else "file"  # noqa: PTH112
        raise InputError(
            f"{text!r} is the path of a {what}, not a text: add_folder({text!r}) reads it, and so does "
            f"add(Path({text!r})); hs.Document(text={text!r}) stores these words"
        )
