"""The origin of documents (a file, a gzipped file, standard input) and the decoding of its bytes."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, cast

from hybridstore.errors import InputError, MissingExtra
from hybridstore.ingest.readers.encoding_guesses import shown_name
from hybridstore.ingest.readers.encodings import Encoding, Undecodable, encoding_of
from hybridstore.ingest.regular_files import open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

STDIN = "-"

_BLOCK = 1 << 20
# Bytes of a file after unpacking. What is read whole takes up to ten times its size in memory; plain text, tables and
# JSON lines are read in pieces, so that only the store grows.
LARGEST_WHOLE, LARGEST_STREAMED = 64 << 20, 2 << 30
_LONGEST_LINE = 16 << 20  # characters of a row of a table
_PART = 2 << 20  # characters of plain text that become one document
_DETAIL = 200  # characters of a library's error message
_SPOOL = 1 << 24  # standard input larger than this goes through a temporary file


class Unreadable(InputError):  # noqa: N818 - reads as a sentence: raise Unreadable
    """A file was skipped: its `path`, and the `reason` in words for its owner."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class Noise(Unreadable):
    """A file was left out on purpose: it is a lock file, minified code or the like. `reason` is a word or two."""


@dataclass(frozen=True, slots=True)
class Origin:
    """An input: an absolute POSIX path, or "-" for standard input, whose bytes are in `spool`.

    `notice` is called with a sentence for whatever a reader leaves out of its documents: a page, a picture. `largest`
    is how many bytes are read, after unpacking, instead of 64 MiB of a file that is read whole, 2 GiB of one that is
    read in pieces. `beneath` are folders below which no link is followed; see `open_file`. `encoding`
    is that of text which is neither UTF-8 nor marked; None guesses it.
    """

    name: str
    spool: IO[bytes] | None = None
    notice: Callable[[str], None] = field(default=lambda _: None, compare=False)
    largest: int | None = None
    beneath: Sequence[Path] | None = None
    encoding: str | None = None

    @classmethod
    @contextmanager
    def of(
        cls,
        path: str | os.PathLike[str],
        notice: Callable[[str], None] | None = None,
        largest: int | None = None,
        beneath: Sequence[Path] | None = None,
        encoding: str | None = None,
    ) -> Iterator[Origin]:
        """Return the origin at this path as a context manager; "-" reads standard input to its end."""
        notice = notice or (lambda _: None)
        if os.fspath(path) == STDIN:
            with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
                most = LARGEST_STREAMED if largest is None else largest
                shutil.copyfileobj(_Bounded(sys.stdin.buffer, most, STDIN), spool)
                yield cls(STDIN, spool, notice, largest, None, encoding)
            return
        name = PurePath(os.path.abspath(path)).as_posix()  # noqa: PTH100 - Path.absolute keeps ".."
        try:
            name.encode()
        except UnicodeEncodeError as error:
            shown = name.encode(errors="replace").decode()
            raise Unreadable(shown, "has a name that is not valid UTF-8; rename it") from error
        yield cls(name, None, notice, largest, beneath, encoding)

    @property
    def stem(self) -> str:
        """The file's name without the suffixes for format and compression; "" for standard input."""
        if self.spool is not None:
            return ""
        path = PurePath(self.name)
        return PurePath(path.stem).stem if path.suffix.lower() == ".gz" else path.stem

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the uncompressed bytes from the start; errors of the system and of gzip become Unreadable."""
        try:
            if self.spool is not None:
                self.spool.seek(0)
                yield self.spool
                return
            most = LARGEST_STREAMED if self.largest is None else self.largest
            with open_file(self.name, beneath=self.beneath) as stream:
                compressed = self.name.lower().endswith(".gz")
                plain = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if compressed else stream
                yield cast("IO[bytes]", io.BufferedReader(_Bounded(plain, most, self.name), _BLOCK))
        except FileNotFoundError as error:
            raise Unreadable(self.name, "there is no such file") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Unreadable(self.name, f"is an incomplete or invalid gzip file ({error})") from error
        except OSError as error:
            raise Unreadable(self.name, f"cannot be read ({error.strerror or error})") from error

    def data(self) -> bytes:
        """Return all bytes; an empty file is Unreadable."""
        with self.open() as stream:
            most = LARGEST_WHOLE if self.largest is None else self.largest
            data = stream.read(most + 1)
        if len(data) > most:
            raise too_large(self.name, most)
        if not data:
            raise Unreadable(self.name, "is empty")
        return data

    def text(self) -> str:
        """Return the whole text with its original line ends; blank and binary files are Unreadable."""
        text = self.decoded(self.data())
        if not text or text.isspace():
            raise Unreadable(self.name, "contains nothing but white space")
        return text

    def decoded(self, data: bytes) -> str:
        """Return a text's bytes decoded; binary ones, and those in an uncertain encoding, are Unreadable."""
        encoding = self._encoding_of([data] if data else [])
        try:
            text = data.decode(encoding.name, encoding.errors)
        except UnicodeError as error:
            raise self._undecodable(encoding, error) from error
        self._report_replaced(encoding, text.count("\ufffd"))
        return text.replace("\0", " ")

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """Open the text as lines with their original line ends; only one line is in memory at a time.

        A line of more than 16 million characters is Unreadable.
        """
        with self._decoded() as reader:
            yield self._lines_of(reader)

    def _lines_of(self, reader: _Text) -> Iterator[str]:
        number = 0
        while line := reader.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                raise Unreadable(self.name, f"has over {_LONGEST_LINE >> 20} million characters in line {number}")
            yield line

    def parts(self) -> Iterator[str]:
        """Yield the text in parts of about two million characters, cut after a line where there is one.

        Raises Unreadable as `text` does, for a part of white space only if it is the first.
        """
        rest = ""
        number = 0
        with self._decoded() as reader:
            while piece := reader.read(_PART):
                text = rest + piece
                cut = text.rfind("\n", len(text) // 2) + 1 if len(piece) == _PART else 0
                part, rest = (text[:cut], text[cut:]) if cut else (text, "")
                number += 1
                if not part.isspace():
                    yield part
        if rest and not rest.isspace():
            yield rest

    def is_long(self) -> bool:
        """Return whether the text is longer than one part."""
        with self.open() as stream:
            left = 2 * _PART
            while left > 0 and (block := stream.read(min(left, _BLOCK))):
                left -= len(block)
        return left <= 0

    @contextmanager
    def _decoded(self) -> Iterator[_Text]:
        with self.open() as stream:
            encoding = self._encoding_of(iter(lambda: stream.read(_BLOCK), b""))
        with self.open() as stream:
            reader = _Text(stream, encoding=encoding.name, errors=encoding.errors, newline="")
            try:
                yield reader
            except UnicodeError as error:
                raise self._undecodable(encoding, error) from error
            finally:
                reader.detach()
            self._report_replaced(encoding, reader.replaced)

    def _encoding_of(self, blocks: Iterable[bytes]) -> Encoding:
        try:
            encoding = encoding_of(blocks, self.encoding)
        except Undecodable as error:
            raise Unreadable(self.name, str(error)) from error
        if encoding.notice:
            self.notice(encoding.notice)
        return encoding

    def _report_replaced(self, encoding: Encoding, number: int) -> None:
        """Report what is not valid in an encoding that was guessed or declared; UTF-8's is reported beforehand."""
        if number and not encoding.strict and encoding.name != "utf-8":
            what = "a character" if number == 1 else f"{number:,} characters"
            self.notice(f"has {what} not valid in {shown_name(encoding.name)}, read as U+FFFD")

    def _undecodable(self, encoding: Encoding, error: UnicodeError) -> Unreadable:
        return Unreadable(self.name, f"is not valid {shown_name(encoding.name).upper()} ({error})")


class _Text(io.TextIOWrapper):
    """A stream of text that counts its replacement characters and has spaces for NULs."""

    replaced = 0

    def read(self, size: int | None = -1, /) -> str:
        return self._checked(super().read(size))

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        return self._checked(super().readline(size))

    def _checked(self, text: str) -> str:
        self.replaced += text.count("\ufffd")
        return text.replace("\0", " ")


class _Bounded(io.RawIOBase):
    """A stream of which only so many bytes can be read; after them it raises Unreadable."""

    def __init__(self, stream: IO[bytes], most: int, name: str) -> None:
        self._stream, self._left, self._most, self._name = stream, most, most, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer)) or b""
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._name, self._most)
        buffer[: len(data)] = data
        return len(data)


def too_large(name: str, most: int) -> Unreadable:
    """Return the error for a file over the limit of bytes."""
    size = f"{most >> 20:,} MiB" if most >= 1 << 20 else f"{most:,} bytes"
    return Unreadable(name, f"is larger than {size}, after unpacking; raise the limit by max_file_size")


@contextmanager
def errors_as_unreadable(origin: Origin, kind: str) -> Iterator[None]:
    """Turn whatever a library raises for an invalid file into Unreadable; `kind` is the format's name."""
    try:
        yield
    except (Unreadable, MissingExtra):
        raise
    except Exception as error:
        detail = " ".join(str(error).split())[:_DETAIL] or type(error).__name__
        raise Unreadable(origin.name, f"is not a valid {kind} file, or damaged ({detail})") from error
