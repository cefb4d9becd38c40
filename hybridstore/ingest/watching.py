"""Watching: the store follows the remembered folders while their files change, and exchanges with other devices."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from hybridstore.errors import HybridstoreError, InputError, MissingExtra, StoreBusy, Unsupported
from hybridstore.ingest.sync import sync_remembered
from hybridstore.ingest.walk import NEVER
from hybridstore.locations import is_address
from hybridstore.records import Folder
from hybridstore.store import Store
from hybridstore.store.filling import in_background
from hybridstore.store.folders import SyncProgress, SyncReport

if TYPE_CHECKING:
    from hybridstore.store.shared_folder import ExchangeReport

_QUIET = 400  # milliseconds without a change before files are read: editors save in several steps
_LATEST = 3000  # milliseconds after the first change, however many follow
_LOOK = 1000  # milliseconds between two looks at which folders there are
_ASK = 30  # seconds between two exchanges with a server, which cannot be seen to change; and after one that failed
_SHARE = 10  # times as long as an exchange took passes before the next one, where much changes
_OWN_FILES = ("", "-wal", "-shm", "-journal", "-serve")


def watch(
    store: Store,
    report: Callable[[SyncReport], None],
    *,
    stop: Event | None = None,
    waiting: Callable[[Sequence[str]], None] | None = None,
    exchange: str | os.PathLike[str] | None = None,
    exchanged: Callable[[ExchangeReport | HybridstoreError], None] = lambda _: None,
) -> None:
    """Bring the store up to date with all that was read into it, then again whenever files in its folders change.

    `report` is called after each sync, and `waiting` with the folders whenever it begins to wait for changes; it ends
    when `stop` is set. What is done in one go, such as an editor's save or a move, is read once: after 0.4 seconds
    without a change, or 3 seconds. Folders that are remembered, forgotten, or appear meanwhile are taken up within a
    second. A file that cannot be read stops nothing, nor does another process that is writing for long. Vectors that
    take more than about two seconds are made in the background.

    `exchange` is a folder that other devices see, or a server's address: `Store.exchange` with it follows within a few
    seconds whatever is written here or arrives there (on a server within half a minute), and `exchanged` is called with
    its report, or with the error for which it is tried again when something has changed, or half a minute later.

    Raises InputError where no folder is remembered and there is none to exchange through, MissingExtra without
    watchfiles, Unsupported where the system cannot watch that many folders.
    """
    check_watchable(store, exchange)
    stopped = stop or Event()
    with in_background(store), _exchanging(store, exchange, exchanged):
        _watch(store, report, stopped, waiting)


def check_watchable(store: Store, exchange: str | os.PathLike[str] | None = None) -> None:
    """Raise MissingExtra without watchfiles, and InputError where there is nothing to watch."""
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise MissingExtra("watch", "watching folders", "watchfiles") from error
    if not store.folders() and exchange is None:
        raise InputError("no folder is remembered that could be watched; read one with `hybridstore add FOLDER` first")


@contextmanager
def _exchanging(
    store: Store,
    folder: str | os.PathLike[str] | None,
    exchanged: Callable[[ExchangeReport | HybridstoreError], None],
) -> Iterator[None]:
    """Exchange through a folder, or with a server, in a thread of its own while the block runs."""
    if folder is None:
        yield
        return
    stopped = Event()

    def run() -> None:
        seen: object = None
        pause = 0.0
        again = inf  # when to try again what failed: a disk that was full need not be seen to have room
        while not stopped.wait(pause):
            began = monotonic()
            try:
                now = (store.state().revision, _listing(folder))
                if now != seen or began >= again:
                    seen, again = now, inf
                    exchanged(store.exchange(folder))
            except HybridstoreError as error:
                exchanged(error)
                again = monotonic() + _ASK
            pause = max(_LOOK / 1000, _SHARE * (monotonic() - began))

    thread = Thread(target=run, name="hybridstore-exchange", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _listing(place: str | os.PathLike[str]) -> object:
    """Return what says whether files of devices have come, gone or changed; of a server, whether it is time to ask."""
    if is_address(place):
        return monotonic() // _ASK
    found = set()
    with suppress(OSError):  # a device's folder goes just now, or the disk is not to be read: the exchange says so
        for path in Path(place).glob("*/*"):
            with suppress(OSError):
                status = path.stat()
                found.add((str(path), status.st_size, status.st_mtime_ns))
    return frozenset(found)


class _StoppedError(Exception):
    """Ends a sync of everything that was read, which may take minutes, between two files."""


def _watch(
    store: Store,
    report: Callable[[SyncReport], None],
    stopped: Event,
    waiting: Callable[[Sequence[str]], None] | None,
) -> None:
    wanted = _Wanted(store.location)

    def stop_here(_: SyncProgress) -> None:
        if stopped.is_set():
            raise _StoppedError

    everything = partial(_sync, store, None, report, progress=stop_here)
    done = everything()
    while not stopped.is_set():
        here = _here(store)
        tops = [folder.path for folder in here]
        if waiting:
            waiting(tops)
        for n, changed in enumerate(_changes(tops, wanted, stopped)):
            touched = [each for each in here if any(_is_in(path, each.path) for path in changed)]
            if not n or not done:  # what changed before the watch began, or while another process was writing
                done = everything()
            elif touched:
                done = _sync(store, touched, report)
            if _here(store) != here:
                break


def _changes(folders: Sequence[str], wanted: _Wanted, stop: Event) -> Iterator[set[str]]:
    """Yield the paths that changed, and nothing every second; where there is no folder, nothing once."""
    import watchfiles

    if not folders:
        stop.wait(_LOOK / 1000)
        yield set()
        return
    try:
        for changes in watchfiles.watch(
            *folders,
            watch_filter=None,  # with one, changes that it leaves out alone would be no reason to look at the folders
            debounce=_LATEST,
            step=_QUIET,
            stop_event=stop,
            rust_timeout=_LOOK,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            yield {path for _, path in changes if wanted(path)}
    except (OSError, RuntimeError) as error:  # its own error is a RuntimeError without a public name
        raise Unsupported(
            ", ".join(folders),
            f"the system cannot watch this ({error}); on Linux, raise fs.inotify.max_user_watches, or run "
            "`hybridstore sync` from time to time",
        ) from error


def _sync(
    store: Store,
    folders: Sequence[Folder] | None,
    report: Callable[[SyncReport], None],
    progress: Callable[[SyncProgress], None] | None = None,
) -> bool:
    """Return False where another process was writing for too long, or the watch was stopped."""
    try:
        report(sync_remembered(store, folders, embed=False, progress=progress))
    except (StoreBusy, _StoppedError):
        return False
    return True


def _here(store: Store) -> list[Folder]:
    return [folder for folder in store.folders() if os.path.isdir(folder.path)]  # noqa: PTH112 - False for any path


def _is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


class _Wanted:
    """The filter of changes: not those of the store's own files, nor of folders that are never read."""

    def __init__(self, location: str) -> None:
        names = {os.path.abspath(location), os.path.realpath(location)}  # noqa: PTH100
        self._own = {f"{name}{suffix}" for name in names for suffix in _OWN_FILES}

    def __call__(self, path: str) -> bool:
        """Return whether a change is one of a file that may be read."""
        return path not in self._own and NEVER.isdisjoint(Path(path).parts)
