"""Sync: keeps a store up to date with files, reading those that are new or changed and pruning those that are gone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from types import MappingProxyType

from hybridstore.errors import MissingExtra, ModelUnavailable
from hybridstore.ingest.readers.encodings import checked_encoding
from hybridstore.ingest.sync_run import SyncRun, is_gone
from hybridstore.ingest.walk import Skipped, walk
from hybridstore.records import AddReport, Folder, Source
from hybridstore.store import Store
from hybridstore.store.folders import Paths, SyncProgress, SyncReport


def sync(
    store: Store,
    paths: Paths,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    follow_links: bool = False,
    prune: bool = False,
    dry_run: bool = False,
    progress: Callable[[SyncProgress], None] | None = None,
    max_file_size: int | None = None,
    beneath: Sequence[Path] | None = None,
    encoding: str | None = None,
    embed: bool = True,
) -> SyncReport:
    """Read the files at and below these paths into the store; the other options are those of `walk`.

    A file with the same size and modification time as before is not opened again; with another time but the same
    SHA-256 it is unchanged too. A changed file's documents replace its former ones. A new file with the SHA-256 of a
    known one that is gone, wherever that was, has moved: its documents get their new ids, and keep their vectors.
    `prune` removes the documents of files below the paths that no longer exist, but not those of files that `walk` now
    skips; a path may then be gone itself. Only one file's document, or one row of a table, is in memory at a time.
    `max_file_size` and `beneath` are those of `read`. `encoding` is that of text files that are not UTF-8, instead of a
    guess; with it, unchanged files are read again. The folders among the paths are remembered with these options, for
    `sync_remembered`.

    Files are committed along the way, and count as read only with their last document: if a sync is stopped at any
    point, even by KeyboardInterrupt, the next one continues from there. Where embedding takes more than about two
    seconds, words find everything first, and then vectors are made, unless `embed` is False: `Store.embed` makes them.
    A file that cannot be read does not stop the sync and keeps the documents it had; of a table, the rows before the
    invalid one are written.

    With `dry_run` files are opened and read, but nothing is written: the report says what a sync would do.

    Raises InputError, before anything is done, for a path that does not exist and an unknown encoding.
    """
    encoding = None if encoding is None else checked_encoding(encoding)
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    roots = [os.path.abspath(path) for path in listed]  # noqa: PTH100 - as in walk
    there = [root for root in roots if not (prune and _was_read(store, root))]
    rules = (tuple(include), tuple(exclude), hidden, follow_links)
    plan = _Plan(there, *rules, max_file_size, encoding, beneath, reread=encoding is not None)
    plan.files()  # raises before anything is remembered
    if not dry_run:
        for root in filter(os.path.isdir, there):
            store.remember_folder(Folder(PurePath(root).as_posix(), *rules, max_file_size, encoding))
    return _sync(store, [plan], progress, roots if prune else (), dry_run=dry_run, embed=embed)


def sync_remembered(
    store: Store,
    folders: Iterable[Folder] | None = None,
    *,
    dry_run: bool = False,
    progress: Callable[[SyncProgress], None] | None = None,
    embed: bool = True,
) -> SyncReport:
    """Bring the store up to date with all files that were read into it, and all new ones in remembered folders.

    `folders` restricts it to some of `Store.folders()`. Each is read with the options that it was last read with. The
    documents of files that are gone are removed, except where a whole folder is: it may be on a disk that is not
    there, so it is reported in `failed`, and `Store.forget_folder` or a sync of its path with `prune` is to decide. A
    folder all of whose files have moved elsewhere is forgotten.
    """
    chosen = store.folders() if folders is None else list(folders)
    here = [folder for folder in chosen if os.path.isdir(folder.path)]  # noqa: PTH112 - False for any path
    plans = [_Plan([folder.path], *astuple(folder)[1:]) for folder in here]
    loose = [] if folders is not None else _loose(store, chosen)
    if existing := [key for key in loose if not is_gone(key)]:
        plans.append(_Plan(existing))
    # A file whose folder is gone too may be on a disk that is not there.
    missing = [key for key in loose if is_gone(key) and not is_gone(os.path.dirname(key))]  # noqa: PTH120
    gone = [*(each.path for each in here), *missing]
    report = _sync(store, plans, progress, gone, dry_run=dry_run, embed=embed)
    absent = [each.path for each in chosen if each not in here]
    emptied = [path for path in absent if not _at_or_below(path, store.sources())]
    if not dry_run:
        for path in emptied:
            store.forget_folder(path)
    lost = [(path, _ABSENT) for path in absent if path not in emptied]
    return replace(report, failed=(*report.failed, *lost))


_ABSENT = (
    "this folder is not there, and its documents were kept; `hybridstore add` its path with --prune to remove them, or "
    "`hybridstore sync --forget` it"
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Paths that exist, and the options to walk and read them with."""

    paths: Sequence[str]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False
    follow_links: bool = False
    max_file_size: int | None = None
    encoding: str | None = None
    beneath: Sequence[Path] | None = None
    reread: bool = False

    def files(self, skipped: Callable[[Skipped], None] | None = None) -> Iterator[Path]:
        options = partial(walk, include=self.include, exclude=self.exclude, hidden=self.hidden)
        return options(self.paths, follow_links=self.follow_links, skipped=skipped)


def _sync(
    store: Store,
    plans: Sequence[_Plan],
    progress: Callable[[SyncProgress], None] | None,
    prune: Sequence[str],
    *,
    dry_run: bool,
    embed: bool,
) -> SyncReport:
    # The totals take a separate walk, since a list of all files would grow with the folder.
    known = store.sources()
    totals = [_totals(plan.files(), {} if plan.reread else known) for plan in plans] if progress else []
    files_total, bytes_total = (sum(column) for column in zip((0, 0), *totals, strict=True))
    run = SyncRun(store, known, progress, files_total, bytes_total)
    seen = set[Path]()  # only if folders lie in one another
    with nullcontext() if dry_run else store.writer(progress=run.committed, vectors="soon") as writer:
        run.writer = writer
        for plan in plans:
            run.limits = (plan.max_file_size, plan.beneath)
            run.encoding, run.reread = plan.encoding, plan.reread
            for path in plan.files(run.walked_past):
                if len(plans) > 1:
                    if path in seen:
                        continue
                    seen.add(path)
                run.read_file(path)
                run.report_progress()
    run.report_progress()
    left = store.sources().keys() & run.moved if run.moved and not dry_run else ()
    removed = store.remove_sources(left)  # what the files no longer yield
    if run.moved and not dry_run:
        _move_expectations(store, run.moved)
    pruned, gone = _prune(store, prune, run.moved, dry_run=dry_run)
    if embed and not dry_run:
        with suppress(MissingExtra, ModelUnavailable):  # `without_vectors` tells
            run.embedded += store.embed(progress=run.embedding, work=run.worked)
    documents = writer.report if writer else AddReport(added=run.documents)
    return SyncReport(
        read=run.read,
        unchanged=run.unchanged,
        moved=len(run.moved),
        pruned=pruned,
        failed=tuple(run.failed),
        skipped=MappingProxyType(Counter(reason for _, reason in run.left_out)),
        notices=tuple(run.notices),
        documents=replace(documents, removed=documents.removed + removed + gone, embedded=run.embedded),
        without_vectors=store.embeddings.missing_count(),
        left_out=tuple(run.left_out),
        would_read=tuple(run.would_read),
    )


def _move_expectations(store: Store, moved: Mapping[str, str]) -> None:
    """Let what is expected of documents of files that have moved be expected of those that they are now."""
    known = [each.document_id for each in store.expectations()]
    renamed = {
        id_: f"{after}{id_.removeprefix(before)}"
        for before, after in moved.items()
        for id_ in known
        if id_.startswith(before)
    }
    stored = store.digests([*renamed, *renamed.values()])
    store.learning.move_expectations({id_: to for id_, to in renamed.items() if id_ not in stored and to in stored})


def _totals(paths: Iterable[Path], known: Mapping[str, Source]) -> tuple[int, int]:
    """Return how many files there are, and the bytes of those that are new or changed."""
    files = size = 0
    for path in paths:
        files += 1
        with suppress(OSError):  # reported as a failure when it is read
            status = path.stat()
            before = known.get(path.as_posix())
            if before is None or (before.size, before.modified_ns) != (status.st_size, status.st_mtime_ns):
                size += status.st_size
    return files, size


def _prune(store: Store, roots: Sequence[str], moved: Iterable[str], *, dry_run: bool) -> tuple[int, int]:
    """Remove the sources at and below `roots` whose files are gone; return the numbers of files and of documents."""
    known = list(store.sources()) if roots else []
    below = {key for root in roots for key in _at_or_below(root, known)}
    gone = sorted(key for key in below.difference(moved) if is_gone(key))
    return len(gone), store.remove_sources(gone) if gone and not dry_run else 0


def _at_or_below(root: str, keys: Iterable[str]) -> list[str]:
    top = PurePath(root).as_posix()
    return [key for key in keys if key == top or key.startswith(f"{top.rstrip('/')}/")]


def _was_read(store: Store, root: str) -> bool:
    """Return whether a path is gone from which files were read."""
    return is_gone(root) and bool(_at_or_below(root, store.sources()))


def _loose(store: Store, folders: Iterable[Folder]) -> list[str]:
    """Return the files that were read by themselves, not in any of the folders."""
    tops = tuple(f"{folder.path.rstrip('/')}/" for folder in folders)
    return [key for key in store.sources() if not key.startswith(tops)] if tops else list(store.sources())
