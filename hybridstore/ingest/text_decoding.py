"""Where a document's bytes come from (a file, a gzipped file, standard input), and which characters they are."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import shutil
import sys
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, cast

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN = "-"

_BLOCK = 1 << 20
_SPOOL = 1 << 24  # standard input larger than this goes through a temporary file

# Longest first: the UTF-32 mark begins with the UTF-16 one.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_IN_CP1252 = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])


class Unreadable(InputError):  # noqa: N818 - reads as a sentence: raise Unreadable
    """A file was left out: `path` says which, `reason` why, in words for the one who owns the file."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True, slots=True)
class Origin:
    """One thing to read: its absolute POSIX path, or "-" for standard input, of which `spool` holds the bytes."""

    name: str
    spool: IO[bytes] | None = None

    @classmethod
    @contextmanager
    def of(cls, path: str | os.PathLike[str]) -> Iterator[Origin]:
        """Give the origin at this path while in use; "-" reads standard input to its end."""
        if os.fspath(path) == STDIN:
            with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
                shutil.copyfileobj(sys.stdin.buffer, spool)
                yield cls(STDIN, spool)
            return
        name = PurePath(os.path.abspath(path)).as_posix()  # noqa: PTH100 - Path.absolute keeps ".."
        try:
            name.encode()
        except UnicodeEncodeError as error:
            shown = name.encode(errors="replace").decode()
            raise Unreadable(shown, "has a name that is not valid UTF-8; rename it") from error
        yield cls(name)

    @property
    def stem(self) -> str:
        """The file's name without its suffixes of format and compression; "" for standard input."""
        if self.spool is not None:
            return ""
        path = PurePath(self.name)
        return PurePath(path.stem).stem if path.suffix.lower() == ".gz" else path.stem

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the bytes from their start, unpacked; what the system or gzip objects becomes Unreadable."""
        try:
            if self.spool is not None:
                self.spool.seek(0)
                yield self.spool
                return
            packed = self.name.lower().endswith(".gz")
            with cast("IO[bytes]", gzip.open(self.name) if packed else open(self.name, "rb")) as stream:  # noqa: PTH123 - gzip's twin
                yield stream
        except FileNotFoundError as error:
            raise Unreadable(self.name, "there is no such file") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Unreadable(self.name, f"is not a whole gzip file ({error})") from error
        except OSError as error:
            raise Unreadable(self.name, f"cannot be read ({error.strerror or error})") from error

    def data(self) -> bytes:
        """Give all bytes; an empty file is Unreadable."""
        with self.open() as stream:
            data = stream.read()
        if not data:
            raise Unreadable(self.name, "is empty")
        return data

    def text(self) -> str:
        """Give the whole text, line ends as they are in the file."""
        data = self.data()
        text = self._decoded(data, encoding_of([data], self.name))
        if not text or text.isspace():
            raise Unreadable(self.name, "holds nothing but white space")
        return text

    @contextmanager
    def lines(self) -> Iterator[io.TextIOWrapper]:
        """Open the text as a stream, of which one line at a time is held; line ends as they are in the file."""
        with self.open() as stream:
            encoding = encoding_of(iter(lambda: stream.read(_BLOCK), b""), self.name)
        with self.open() as stream:
            reader = io.TextIOWrapper(stream, encoding=encoding, newline="")
            try:
                yield reader
            except UnicodeError as error:
                raise Unreadable(self.name, f"is not {encoding.upper()} throughout ({error})") from error
            finally:
                reader.detach()

    def _decoded(self, data: bytes, encoding: str) -> str:
        try:
            text = data.decode(encoding)
        except UnicodeError as error:
            raise Unreadable(self.name, f"is not {encoding.upper()} throughout ({error})") from error
        if "\0" in text:
            raise Unreadable(self.name, "is a binary file (it holds NUL characters)")
        return text


def encoding_of(blocks: Iterable[bytes], name: str) -> str:
    """Give the encoding that reads these blocks without loss.

    A byte order mark decides; else UTF-8 if all of it is valid, else cp1252, else Latin-1. Bytes without a mark
    that hold NUL are no text, and no bytes at all is an empty file: both are Unreadable.
    """
    blocks = iter(blocks)
    first = next(blocks, b"")
    if not first:
        raise Unreadable(name, "is empty")
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    utf8 = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = is_cp1252 = True
    for block in chain([first], blocks):
        if b"\0" in block:
            raise Unreadable(name, "is a binary file (it holds NUL bytes)")
        is_utf8 = is_utf8 and _takes(utf8, block)
        is_cp1252 = is_cp1252 and len(block.translate(None, _NOT_IN_CP1252)) == len(block)
    if is_utf8 and _takes(utf8, b"", final=True):
        return "utf-8"
    return "cp1252" if is_cp1252 else "latin-1"


def _takes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True
