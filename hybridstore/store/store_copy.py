"""A temporary copy of a store, in a folder beside it, to try changes on before the store is changed.

The copy holds all that the store holds, people's questions included, so only its user can read the folder. A killed
process leaves the folder behind; the next one finds it unlocked and removes it.
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
from hybridstore.store.embedder_choice import embedded_text
from hybridstore.store.expectations import check_none_broken
from hybridstore.store.opening import open as open_store
from hybridstore.store.store import Store

if sys.platform != "win32":  # there, an open file cannot be removed anyway
    import fcntl

_BATCH = 1_000  # vectors copied between two commits
_LOCK, _MADE, _COPY = "lock", "made", "copy.db"

Progress = Callable[[int, int], None]
"""Called with vectors copied, and of how many."""


@contextmanager
def workplace(store: Store, *, making: Path | None = None) -> Iterator[Path]:
    """Return an empty folder beside the store, for one process at a time, that is removed after the block.

    `making` is a folder that the block makes an embedder in: it is removed too, unless one of the store's versions
    names it by then. What a killed process left of both is removed first. Raises InputError while another process has
    a workplace.
    """
    parent = store.folder
    if parent is None:
        raise Unsupported(store.location, "it has no folder in which a copy of it could be searched")
    prefix = f".{Path(store.location).name}-shadow-"
    with _locked_folder(parent):
        for other in sorted(parent.glob(f"{escape(prefix)}*")):
            if _in_use(other):
                raise InputError(
                    f"another process is evaluating an embedder on a copy of this store, in {other}; wait for it"
                )
            _clear(store, other)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _lock(folder)
    try:
        if making is not None:
            (folder / _MADE).write_text(str(making), encoding="utf-8")
        yield folder
    finally:
        lock.close()
        _clear(store, folder)


@contextmanager
def opened(store: Store, folder: Path) -> Iterator[Store]:
    """Copy the store into a workplace, and open the copy with the same embedder."""
    path = folder / _COPY
    store.backup(path)
    with open_store(path, embedder=store.embedder(), key=store.key) as copy:
        yield copy


def rehearse(store: Store, change: Callable[[Store], object], what: str) -> None:
    """Make a change to a copy of the store; raise ExpectationsBroken if an expectation holds now and not after it.

    `what` names the change in the message. Nothing is copied where no expectation holds. Raises Unsupported for a store
    that cannot be copied into a file.
    """
    before = store.test()
    if not any(each.holds for each in before):
        return
    if store.folder is None:
        raise Unsupported(
            store.location,
            "whether this breaks an expectation cannot be tried here, as there is no folder for a copy of the store: "
            "force it, and run `hybridstore test` afterwards",
        )
    with workplace(store) as folder, opened(store, folder) as copy:
        change(copy)
        check_none_broken(before, copy.test(), what)


def copy_vectors(copy: Store, store: Store, embedding: Embedding, *, progress: Progress | None = None) -> int:
    """Copy vectors of `embedding` from a copy of a store to the store, beside those searched; return how many.

    A chunk keeps its id in a copy, and ids are never reused. Chunks newer than the copy get no vector. After an
    interruption the next call resumes.
    """
    store.embeddings.begin(embedding)
    done, total = 0, store.embeddings.pending_count()
    while pending := store.embeddings.pending(_BATCH):
        same = _shared(copy, pending)
        if same:
            store.embeddings.fill(embedding, same, copy.chunks.vectors(same))
            done += len(same)
        if progress:
            progress(done, total)
        if len(same) < len(pending):  # they come in the order of their ids: the rest is newer than the copy
            break
    return done


def _shared(copy: Store, passages: Sequence[Passage]) -> list[int]:
    """Return the chunks that have the same text in the copy."""
    copied = copy.chunks.passages([passage.chunk for passage in passages])
    texts = {passage.chunk: _text(passage) for passage in copied}
    return [passage.chunk for passage in passages if texts.get(passage.chunk) == _text(passage)]


def _text(passage: Passage) -> str:
    return embedded_text(passage.title, passage.heading, passage.text)


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Lock the folder of the workplaces, so that no other process sees a half-made one."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> IO[bytes]:
    """Lock a workplace until the file is closed or this process ends."""
    file = (folder / _LOCK).open("wb")
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _in_use(folder: Path) -> bool:
    """Return whether a process holds a workplace's lock."""
    try:
        if sys.platform == "win32":
            (folder / _LOCK).unlink()
        else:
            with (folder / _LOCK).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # its process was killed before it locked it
        return False
    except (BlockingIOError, PermissionError):
        return True
    return False


def _clear(store: Store, folder: Path) -> None:
    """Remove a workplace, and the embedder that was made for it unless the store uses it."""
    note = folder / _MADE
    if note.is_file():
        embedder = Path(note.read_text(encoding="utf-8"))
        if embedder.is_dir() and not _is_known(store, embedder):
            shutil.rmtree(embedder, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _is_known(store: Store, folder: Path) -> bool:
    known = [model.reference for model in store.learning.models() if model.state != "refused"]
    if (building := store.embeddings.building) is not None:
        known.append(building.reference)
    return any(Path(reference).resolve() == folder.resolve() for reference in known)
