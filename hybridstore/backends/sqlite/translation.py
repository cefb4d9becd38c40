"""The seam at which errors of SQLite, of the file system and of damaged content become ours."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import getattr_static
from pathlib import Path
from types import FunctionType, GeneratorType
from typing import Any, Protocol, TypeVar

import apsw

from hybridstore.backends.values import Conflict, Outdated
from hybridstore.errors import FileBusy, FileDamaged, FileRefused, HybridstoreError, InputError

CLOSED = "this store is closed; open it again with hybridstore.open()"

# What reading damaged content raises: a key that is missing, a blob of a wrong length, JSON or UTF-8 that is none.
_CONTENT = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, struct.error)

_READ_ERRORS = {None, apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ}  # None: the file system's own

T = TypeVar("T")


class _Accessing(Protocol):
    """What the seam must know: the file, and what this thread was doing with it."""

    path: str
    busy_timeout: float

    @property
    def writing(self) -> bool: ...

    def settle(self) -> None: ...

    def in_transaction(self) -> bool: ...

    def resume(self) -> None: ...


def translate(error: Exception, path: str, busy_timeout: float, *, writing: bool) -> Exception:
    """Return the error of ours that says what this one means; it itself where it is ours."""
    if isinstance(error, (HybridstoreError, Conflict, Outdated)):
        return error
    if isinstance(error, (apsw.Error, OSError, MemoryError)):
        return _translate_foreign(error, path, busy_timeout, writing=writing)
    if isinstance(error, UnicodeEncodeError):
        return InputError(f"a text holds a lone surrogate, which is not Unicode and cannot be stored ({error.reason})")
    if isinstance(error, _CONTENT):
        return FileDamaged(path, f"what is stored cannot be read ({type(error).__name__}: {error})")
    return error


def _translate_foreign(  # noqa: PLR0911 - one line for each meaning
    error: Exception, path: str, busy_timeout: float, *, writing: bool
) -> Exception:
    if isinstance(error, (apsw.BusyError, apsw.LockedError, apsw.ProtocolError)):
        return FileBusy(path, busy_timeout)
    if isinstance(error, (apsw.ConnectionClosedError, apsw.CursorClosedError, apsw.InterruptError)):
        return HybridstoreError(CLOSED)
    if isinstance(error, apsw.TooBigError):
        return InputError(f"a text is longer than a gigabyte, which SQLite cannot hold ({error}); split it")
    if isinstance(error, apsw.CantOpenError):
        return FileRefused(path, why_not_opened(path))
    if isinstance(error, (MemoryError, apsw.NoMemError)):
        return HybridstoreError(f"{path}: the memory is full, or a damaged file asks for too much of it; run `check`")
    if isinstance(error, (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.PermissionsError, OSError)):
        reading = not writing and getattr(error, "extendedresult", None) in _READ_ERRORS
        kept = "; nothing was changed" if writing else ""
        return FileRefused(path, f"cannot be {'read' if reading else 'written'} ({error}){kept}")
    # Our statements are constant: one that cannot be run, or breaks a rule, means that a table was changed.
    return FileDamaged(path, str(error))


def why_not_opened(path: str) -> str:
    """Return why a file cannot be opened, and what to do."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist; create it first"
    return (
        "cannot be opened; is it a folder, or do you lack permission to read and write it? With read_only=True "
        "(`hybridstore --read-only`) permission to read is enough"
    )


def translated(backend: type[T]) -> type[T]:
    """Translate what the public methods of a class raise; it has its connections as `_connections`."""
    for name in dir(backend):
        method = getattr_static(backend, name)
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(backend, name, _translating(method))
    return backend


def _translating(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        access: _Accessing = self._connections
        inside, handled = access.in_transaction(), sys.exc_info()[1]
        try:
            result = method(self, *arguments, **options)
            access.settle()
        except Exception as error:
            if inside:
                access.resume()
            raise_translated(error, access, handled)
            raise
        return _items(result, access) if isinstance(result, GeneratorType) else result

    return call


def _items(iterator: Iterator[T], access: _Accessing) -> Iterator[T]:
    try:
        yield from iterator
    except Exception as error:
        raise_translated(error, access)
        raise


def raise_translated(error: Exception, access: _Accessing, handled: BaseException | None = None) -> None:
    """Raise what an error means, if that is another one; `handled` was being handled before."""
    first = error.__context__
    if isinstance(error, apsw.SQLError) and isinstance(first, apsw.Error) and first is not handled:
        error = first  # which has ended the transaction, so that the end of its block failed, too
    ours = translate(error, access.path, access.busy_timeout, writing=access.writing)
    if ours is not error:
        raise ours from error
