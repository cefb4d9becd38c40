"""Line files: written completely or not at all, and read line by line; names that end in .gz are compressed."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from hybridstore.errors import FileRefused, InputError
from hybridstore.ingest.regular_files import open_file
from hybridstore.whole_files import whole_file

File = str | os.PathLike[str] | IO[bytes]


class Broken(InputError):  # noqa: N818 - reads as a sentence: raise Broken
    """A line cannot be read: the file's `name`, the line's `number`, and the `reason`."""

    def __init__(self, name: str, number: int, reason: str) -> None:
        self.name, self.number, self.reason = name, number, reason
        super().__init__(f"{name}, line {number}: {reason}")


@contextmanager
def reading(file: File) -> Iterator[tuple[str, Iterator[tuple[int, bytes]]]]:
    """Open a file; yield its name and an iterator of its non-blank lines as (number, bytes), counted from 1.

    Raises FileRefused for a file that cannot be opened or read; the iterator raises Broken if a compressed file is
    truncated or damaged.
    """
    with ExitStack() as stack:
        if isinstance(file, str | os.PathLike):
            name = os.fspath(file)
            try:
                stream: Any = stack.enter_context(open_file(name))
                if name.lower().endswith(".gz"):
                    stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
            except OSError as error:
                raise FileRefused(name, f"cannot be read ({error.strerror or error})") from error
        else:
            name, stream = str(getattr(file, "name", "the stream")), file
        yield name, _numbered_lines(stream, name)


@contextmanager
def writing(file: File, may_replace: Callable[[Path], bool], what: str) -> Iterator[IO[bytes]]:
    """Open a file for writing; a path is renamed to its final name only when everything is written.

    Raises FileRefused for a path that cannot be written, and for an existing file that it may not replace, so that a
    mistyped name never overwrites a database; `what` describes the files it may replace: "export of a store".
    """
    if not isinstance(file, str | os.PathLike):
        yield file
        return
    path = Path(file)
    if path.is_dir():
        raise FileRefused(str(path), "is a folder; use the name of a file in it")
    if path.is_file() and path.stat().st_size and not may_replace(path):
        raise FileRefused(str(path), f"exists and is not an {what}, so it was not replaced; choose another name")
    try:
        with whole_file(path) as part, ExitStack() as stack:
            stream: Any = stack.enter_context(part.open("wb"))
            if path.name.lower().endswith(".gz"):
                stream = stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0))
            yield stream
    except OSError as error:
        raise FileRefused(str(path), f"cannot be written ({error.strerror or error})") from error


def _numbered_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Broken(name, number + 1, f"the compressed file is truncated or damaged ({error})") from error
    except OSError as error:
        raise FileRefused(name, f"cannot be read ({error.strerror or error})") from error
