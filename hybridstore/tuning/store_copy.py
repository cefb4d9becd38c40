"""A copy of a store beside it, to try another embedder on: made, searched, and gone in the end, whatever happens.

The copy holds what the store holds, people's questions too, so it lies in a folder that only its user can read. A
process that is killed leaves that folder behind; the next one finds that nobody holds it any more and removes it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import IO

from hybridstore.backends.values import Embedding, Passage
from hybridstore.errors import InputError, Unsupported
from hybridstore.store import Store
from hybridstore.store import open as open_store
from hybridstore.store.embedder_choice import embedded_text

if sys.platform != "win32":  # where a file that somebody has open cannot be removed anyway
    import fcntl

_AT_ONCE = 1_000  # vectors carried between two commits
_LOCK, _MADE, _COPY = "lock", "made", "copy.db"

Progress = Callable[[int, int], None]
"""Gets what is done, and of how much."""


@contextmanager
def workplace(store: Store, *, making: Path | None = None) -> Iterator[Path]:
    """Give an empty folder beside the store, for one process at a time, that goes with the block.

    `making` is a folder that the block makes an embedder in: unless one of the store's versions names it in the end, it
    goes too. What a killed process left behind of both goes first. Raises InputError while another process has one.
    """
    parent = store.folder
    if parent is None:
        raise Unsupported(store.location, "it has no folder in which a copy of it could be searched")
    prefix = f".{Path(store.location).name}-shadow-"
    with _alone(parent):
        for other in sorted(parent.glob(f"{escape(prefix)}*")):
            if _held(other):
                raise InputError(
                    f"another process is trying an embedder on a copy of this store, in {other}; wait until it is done"
                )
            _clear(store, other)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _locked(folder)
    try:
        if making is not None:
            (folder / _MADE).write_text(str(making), encoding="utf-8")
        yield folder
    finally:
        lock.close()
        _clear(store, folder)


@contextmanager
def opened(store: Store, folder: Path) -> Iterator[Store]:
    """Copy the store as it is now into a workplace, and open the copy with the same embedder."""
    path = folder / _COPY
    store.backup(path)
    with open_store(path, embedder=store.embedder()) as copy:
        yield copy


def carry(copy: Store, store: Store, embedding: Embedding, *, progress: Progress | None = None) -> int:
    """Give a store the vectors of `embedding` that a copy of it has, beside those searched; give how many.

    A chunk keeps its number in a copy, and a number is never used twice. Chunks that came after the copy was made have
    no vector then. Stopped, the next call goes on.
    """
    store.embeddings.begin(embedding)
    done, total = 0, store.embeddings.pending_count()
    while some := store.embeddings.pending(_AT_ONCE):
        same = _shared(copy, some)
        if same:
            store.embeddings.fill(embedding, same, copy.chunks.vectors(same))
            done += len(same)
        if progress:
            progress(done, total)
        if len(same) < len(some):  # pending ones come in the order of their numbers: the rest is newer than the copy
            break
    return done


def _shared(copy: Store, passages: Sequence[Passage]) -> list[int]:
    there = {passage.chunk: _text(passage) for passage in copy.chunks.passages([each.chunk for each in passages])}
    return [passage.chunk for passage in passages if there.get(passage.chunk) == _text(passage)]


def _text(passage: Passage) -> str:
    return embedded_text(passage.title, passage.heading, passage.text)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder where workplaces lie for a moment, so that none that is seen is only half made."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> IO[bytes]:
    """Lock a workplace for as long as this process lives."""
    file = (folder / _LOCK).open("wb")
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _held(folder: Path) -> bool:
    try:
        if sys.platform == "win32":
            (folder / _LOCK).unlink()
        else:
            with (folder / _LOCK).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # its process has ended, or was killed before it was locked
        return False
    except (BlockingIOError, PermissionError):
        return True
    return False


def _clear(store: Store, folder: Path) -> None:
    """Remove a workplace, and the embedder that was made in it unless the store knows it."""
    made = folder / _MADE
    if made.is_file():
        made_in = Path(made.read_text(encoding="utf-8"))
        if made_in.is_dir() and not _named(store, made_in):
            shutil.rmtree(made_in, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _named(store: Store, folder: Path) -> bool:
    known = [model.reference for model in store.learning.models() if model.state != "refused"]
    if (building := store.embeddings.building) is not None:
        known.append(building.reference)
    return any(Path(each).resolve() == folder.resolve() for each in known)
