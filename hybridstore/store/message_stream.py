"""Messages over a pair of streams, such as a program's standard input and output, to another store's exchange."""

from __future__ import annotations

import secrets
import struct
from contextlib import suppress
from typing import Protocol

from hybridstore.errors import FileRefused, InputError

GREETING = b"hybridstore exchange 1\n"

_LENGTH = struct.Struct(">I")
_LONGEST = 2**31  # bytes of a message: a document of a gigabyte with its vectors


class Readable(Protocol):
    """What messages are read from, such as a file that is open in binary mode."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to `size` bytes, once there are some; none at the end."""


class Writable(Protocol):
    """What messages are written to, such as a file that is open in binary mode."""

    def write(self, data: memoryview, /) -> int | None:
        """Take bytes, and return how many."""

    def flush(self) -> None:
        """Pass on what was taken."""


class Stream:
    """Messages over two streams, whose bytes are counted."""

    def __init__(self, reader: Readable, writer: Writable) -> None:
        self._reader, self._writer = reader, writer
        self.sent = self.received = 0
        self.leads = False

    def greet(self) -> None:
        """Say what is spoken here, hear the same, and settle who speaks first; raises InputError for anything else."""
        own = secrets.token_bytes(8)
        with suppress(FileRefused):  # what it said before it ended tells more
            self._write(GREETING + own)
        heard = self._read(len(GREETING))
        if heard != GREETING:
            raise InputError(
                "the other side is not `hybridstore exchange --stdio`, or a newer one, or prints something before it "
                f"(it said {heard[:60]!r})"
            )
        theirs = self._read(len(own))
        if theirs == own:
            raise InputError("the streams lead back to this store; they must lead to another one")
        self.leads = own > theirs

    def swap(self, message: bytes) -> bytes:
        """Send a message and return the other side's."""
        if self.leads:
            self.send(message)
            return self.receive()
        heard = self.receive()
        self.send(message)
        return heard

    def send(self, message: bytes) -> None:
        """Send a message."""
        self._write(_LENGTH.pack(len(message)) + message)

    def receive(self) -> bytes:
        """Return the next message; raises FileRefused where the stream ends before it is whole."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > _LONGEST:
            raise InputError("the other side sent something that is not a message of an exchange")
        return self._read(length)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:  # a stream without a buffer takes as much as it can at once
                if not (written := self._writer.write(left)):
                    raise BlockingIOError
                left = left[written:]
            self._writer.flush()
        except (OSError, ValueError) as error:  # a ValueError: it is closed
            raise _ended() from error
        self.sent += len(data)

    def _read(self, length: int) -> bytes:
        found = bytearray()
        while len(found) < length:
            try:
                part = self._reader.read(min(length - len(found), 2**20))
            except (OSError, ValueError) as error:
                raise _ended() from error
            if not part:
                raise _ended()
            found += part
        self.received += length
        return bytes(found)


def _ended() -> FileRefused:
    return FileRefused(
        "the other side", "ended before it had sent everything; nothing was changed here, exchange again"
    )
