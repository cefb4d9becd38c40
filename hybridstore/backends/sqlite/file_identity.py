"""Whether a path still leads to the file that was opened: it may be renamed, replaced, removed or written over.

SQLite itself does not notice. It goes on writing into a file that no one will find, or copies its log into another one
(https://sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use). Two things are compared. The
device and inode of each file tell one file from another. A stamp, a random number for each file and a count of its
commits, tells whether a file was written over in place, as `cp` does: what stands in the file is never older than
before, nor newer than the log. The log is checked against the stamp, too, before SQLite reads it.
"""

from __future__ import annotations

import glob
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import apsw

from hybridstore.backends.sqlite.encryption import page_decoder
from hybridstore.errors import FileRefused

_STAMP_PAGE = 2  # the root of `meta`, which is the first table of every file; VACUUM keeps the order of tables
_STAMP = re.compile(rb"stamp([0-9a-f]{16})([0-9]{16})")
_READS_APART = 0.05  # seconds between two checks of a reader; a check takes 40 µs, most of it for three stat calls
_LOG_HEADER, _FRAME_HEADER = 32, 24  # bytes; https://sqlite.org/fileformat2.html#walformat
_READ_AT_ONCE = 2**20

# It has no checksum: it changes with every commit, and nothing is answered from it.
COUNT_COMMIT = """INSERT INTO meta (key, value) VALUES ('stamp', ?1) ON CONFLICT (key)
DO UPDATE SET value = substr(value, 1, 16) || printf('%016d', substr(value, 17) + 1)"""

_MOVED = (
    "was moved or deleted while it was open, so nothing more is written. Close this store; then put the file back, "
    "together with its -wal file if there is one, or open it where it is now"
)
_REPLACED = (
    "was replaced or written over while it was open, so nothing more is written. Close this store and open the file "
    "again"
)
_LINKED = (
    "has a second name (a hard link), under which its log would not be found; remove the other name, or make this one "
    "a copy: `hybridstore backup` writes one"
)
_FOREIGN_LOG = (
    "belongs to another state of the database file beside it, which was perhaps restored from a backup or copied "
    "without it. Nothing was changed: remove {log} and {index} to use the file as it is, or put back the file that the "
    "log was written for"
)


def new_stamp() -> str:
    """Return the stamp of a new file."""
    return f"{secrets.token_hex(8)}{0:016}"


class FileIdentity:
    """The file that one store has opened at a path."""

    def __init__(self, path: str, *, local: bool = True, key: str | None = None) -> None:
        self.name, self._local = path, local  # what another VFS of SQLite reads is not in this file system
        self._encryption_key = key
        self.path = (
            str(Path(path).absolute()) if local else path
        )  # threads open it again, perhaps from another working directory
        self._place, real = Path(self.path), Path(self.path).resolve()
        self._real, self._side_files = real, [real.with_name(f"{real.name}{suffix}") for suffix in ("-wal", "-shm")]
        self.log_bytes = 0  # as it was last seen
        self.broken = ""  # why nothing more may be written, not even what the log holds
        self._keys: dict[Path, tuple[int, int]] = {}
        self._stamp: tuple[bytes, int] | None = None
        self._checked = 0.0

    @property
    def key(self) -> tuple[int, int]:
        """The device and inode of the file."""
        return self._keys.get(self._place, (0, 0))

    def forget_log(self) -> None:
        """Accept another log from now on: that of the connections that are opened next."""
        self._keys = {path: key for path, key in self._keys.items() if path == self._place}

    def check_sometimes(self, connection: apsw.Connection) -> None:
        """Check before a read, unless that was done just before."""
        if self._local and time.monotonic() - self._checked > _READS_APART:
            self.check(connection)

    def check(self, connection: apsw.Connection) -> None:
        """Raise FileRefused unless the path leads to the same file, in a state of the same file."""
        self.check_place()
        self._check_stamp(connection)
        self._checked = time.monotonic()

    def check_place(self) -> None:
        """Raise FileRefused unless the path leads to the same file, and its log is in place."""
        if self.broken:
            self._refuse(self.broken)
        if not self._local:
            return
        try:
            status = self._place.stat()
        except OSError as error:
            self._refuse(_MOVED, error)
        if self._keys.setdefault(self._place, (status.st_dev, status.st_ino)) != (status.st_dev, status.st_ino):
            self._refuse(_REPLACED)
        if status.st_nlink > 1:
            self._check_names()
        for path in self._side_files:
            self._check_side_file(path)

    def _check_names(self) -> None:
        for _ in range(50):  # a process that creates the file gives it its name by a link
            time.sleep(0.01)
            if self._place.stat().st_nlink < 2:
                return
        real = self._real
        for part in real.parent.glob(f".{glob.escape(real.name[:50])}-*.part"):
            with suppress(OSError):  # left where that process was killed before it took the first name away
                if part.samefile(real):
                    part.unlink()
        if real.stat().st_nlink > 1:
            raise FileRefused(self.name, _LINKED)

    def _check_side_file(self, path: Path) -> None:
        try:
            status = path.stat()
        except OSError:
            key = None
        else:
            key = (status.st_dev, status.st_ino)
            if path is self._side_files[0]:
                self.log_bytes = status.st_size
        known = self._keys.get(path)
        if known is None and key is not None:
            self._keys[path] = key
        elif known != key:
            reason = (
                f"was in use when its {path.name[-4:]} file was removed or replaced; nothing more is written, and what "
                "was written last may be lost. Close this store, open it again and run `hybridstore check`"
            )
            if key is not None:
                self._refuse(reason)
            # Not broken: where no one else has the file open, closing it still copies the lost log into it.
            raise FileRefused(self.name, reason)

    def _check_stamp(self, connection: apsw.Connection) -> None:
        error: apsw.Error | None = None
        for _ in _attempts():
            try:
                if self._stamp_follows(connection):
                    return
                error = None
            except (apsw.NotADBError, apsw.CorruptError) as unreadable:  # an encrypted page that is being written?
                error = unreadable
        if isinstance(error, apsw.CorruptError):  # page 1 could be read with the key, but not the stamp's
            raise error
        self._refuse(_REPLACED, error)

    def _stamp_follows(self, connection: apsw.Connection) -> bool:
        """Return whether the file's stamp is that of a commit between what was last seen and now."""
        before = self._stamp  # read first: another thread may note a newer one at any time
        stamp = _stamp_in(_page(connection))
        if before is None or stamp == before:
            self._stamp = stamp
            return True
        if stamp is None or stamp[0] != before[0] or stamp[1] < before[1]:
            return False
        newest = connection.execute("SELECT value FROM meta WHERE key = 'stamp'").fetchone()
        if newest is None or int(str(newest[0])[16:]) < stamp[1]:
            return False
        self._stamp = stamp
        return True

    def _refuse(self, reason: str, cause: BaseException | None = None) -> NoReturn:
        self.broken = reason
        raise FileRefused(self.name, reason) from cause

    def check_log(self) -> None:
        """Raise FileRefused where the path is not a regular file, or the log beside it is that of another file.

        To be called before the file is opened. A missing or an empty file is fine, without a log.
        """
        if not self._local:
            return
        (log, index), size = self._side_files, 0
        try:
            status = self._real.stat()
        except (FileNotFoundError, NotADirectoryError):
            status = None
        except (OSError, ValueError) as error:
            raise FileRefused(self.name, f"cannot be opened: {error}") from error
        if status is not None:
            if not stat.S_ISREG(status.st_mode):
                what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
                raise FileRefused(self.name, f"cannot be read: it is {what}; name a file")
            size = status.st_size
        if size and not any(not _has_frames(log) or self._fits(log) for _ in _attempts()):
            raise FileRefused(str(log), _FOREIGN_LOG.format(log=log.name, index=index.name))

    def _fits(self, log: Path) -> bool:
        connection = apsw.Connection(str(self._real), flags=apsw.SQLITE_OPEN_READONLY)
        try:  # not by ourselves: a process that closes a file loses the locks that SQLite holds on it
            first, page = _page(connection, 1), _page(connection)
        finally:
            connection.close()
        with page_decoder(first, self._encryption_key) as decoded:
            stamp = _stamp_in(decoded(page))
            if stamp is None:
                return True
            try:
                logged = _stamps_in_log(log, decoded)
            except FileNotFoundError:  # whoever had the file open last has just closed it, with its log copied into it
                return True
        if not logged:
            return self._encryption_key is None  # else it was encrypted for another file
        (number, earliest), (_, last) = logged[0], logged[-1]
        return stamp[0] == number and earliest - 1 <= stamp[1] <= last


def _attempts() -> Iterator[None]:
    """Wait between attempts at reading what other threads and processes write without a lock that could be taken.

    They may copy the log into the file, and begin it anew, between two of our reads.
    """
    yield
    for _ in range(10):
        time.sleep(0.02)
        yield


def _page(connection: apsw.Connection, number: int = _STAMP_PAGE) -> bytes:
    """Return a page as it stands in the file, without the log."""
    header = connection.read("main", 0, 0, 18)[1]
    size = int.from_bytes(header[16:18], "big")
    if size == 1:  # stands for 65,536
        size = 65536
    return connection.read("main", 0, (number - 1) * size, size)[1] if size else b""


def _stamp_in(page: bytes) -> tuple[bytes, int] | None:
    found = _STAMP.search(page)
    return None if found is None else (found[1], int(found[2]))


def _has_frames(log: Path) -> bool:
    try:
        return log.stat().st_size > _LOG_HEADER
    except (OSError, ValueError):
        return False


def _stamps_in_log(log: Path, decoded: Callable[[bytes], bytes]) -> list[tuple[bytes, int]]:
    """Return the stamps in the committed frames of a log, in order."""
    stamps, uncommitted = list[tuple[bytes, int]](), list[tuple[bytes, int]]()
    with log.open("rb") as stream:
        header = stream.read(_LOG_HEADER)
        frame = _FRAME_HEADER + int.from_bytes(header[8:12], "big")
        some = max(_READ_AT_ONCE // frame, 1) * frame
        while block := stream.read(some):
            for start in range(0, len(block) - frame + 1, frame):
                page = int.from_bytes(block[start : start + 4], "big")
                # Another salt: frames of an earlier log follow. No page: a hole, of a terabyte perhaps.
                if not page or block[start + 8 : start + 16] != header[16:24]:
                    return stamps
                if page == _STAMP_PAGE:
                    stamp = _stamp_in(decoded(block[start + _FRAME_HEADER : start + frame]))
                    uncommitted += [stamp] if stamp else []
                if block[start + 4 : start + 8] != bytes(4):  # the last frame of a commit
                    stamps, uncommitted = stamps + uncommitted, []
    return stamps
