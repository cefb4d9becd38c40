"""The seam at which errors of the server, of the connection and of damaged content become ours."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import getattr_static
from types import FunctionType, GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors

from hybridstore.backends.postgres.connection import CLOSED
from hybridstore.backends.values import Conflict, Outdated
from hybridstore.errors import HybridstoreError, InputError, StoreBusy, StoreDamaged, StoreRefused

if TYPE_CHECKING:
    from hybridstore.backends.postgres.transactions import Connections

# What reading damaged content raises: a key that is missing, bytes of a wrong length, JSON or UTF-8 that is none.
_CONTENT = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, struct.error)
_BUSY = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure, errors.TooManyConnections)
_ENDED = (errors.QueryCanceled, errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)

T = TypeVar("T")


def translate(error: Exception, connections: Connections, *, closed: bool) -> Exception:
    """Return the error of ours that says what this one means; it itself where it is ours. `closed` is the store."""
    if isinstance(error, (HybridstoreError, Conflict, Outdated)):
        return error
    if isinstance(error, psycopg.Error):
        return HybridstoreError(CLOSED) if closed else _translate_foreign(error, connections)
    if isinstance(error, UnicodeEncodeError):
        return InputError(f"a text holds a lone surrogate, which is not Unicode and cannot be stored ({error.reason})")
    if isinstance(error, _CONTENT):
        return StoreDamaged(connections.location, f"what is stored cannot be read ({type(error).__name__}: {error})")
    return error


def _translate_foreign(error: psycopg.Error, connections: Connections) -> HybridstoreError:  # noqa: PLR0911 - one line for each meaning
    where = connections.location
    reason = " ".join((error.diag.message_primary or str(error)).split()) or type(error).__name__
    unsure = "; a write that was under way may not be stored: read before you repeat it" if connections.writing else ""
    if connections.last_replica and isinstance(error, psycopg.OperationalError):
        remedy = "read again; where that helps for a while only, set hot_standby_feedback = on there"
        return StoreRefused(connections.last_replica, f"this replica ended what was being read ({reason}): {remedy}")
    if isinstance(error, _BUSY):
        return StoreBusy(where, connections.busy_timeout)
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreRefused(where, f"the server does not permit it ({reason}); grant it what docs/scale.md says")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return StoreRefused(where, f"the server can only be read ({reason}); write to the primary, not to a standby")
    if isinstance(error, _ENDED):
        return StoreRefused(where, f"the server ended the statement ({reason}){unsure}")
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory, errors.InsufficientResources)):
        return StoreRefused(where, f"the server has no room left ({reason}); nothing was changed")
    if isinstance(error, errors.ProgramLimitExceeded):
        return InputError(f"a text is longer than the server can hold ({reason}); split it")
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return StoreRefused(where, f"the server cannot be reached ({reason}){unsure}")
    # Our statements are constant: one that cannot be run, or breaks a rule, means that a table was changed.
    return StoreDamaged(where, reason)


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
        try:
            result = method(self, *arguments, **options)
        except Exception as error:
            raise_translated(error, self._connections)
            raise
        return _items(result, self._connections) if isinstance(result, GeneratorType) else result

    return call


def _items(iterator: Iterator[T], connections: Connections) -> Iterator[T]:
    try:
        yield from iterator
    except Exception as error:
        raise_translated(error, connections)
        raise


@contextmanager
def translating(connections: Connections) -> Iterator[None]:
    """Raise what goes wrong in the block as an error of ours."""
    try:
        yield
    except Exception as error:
        raise_translated(error, connections)
        raise


def raise_translated(error: Exception, connections: Connections, *, closed: bool | None = None) -> None:
    """Raise what an error means, if that is another one."""
    ours = translate(error, connections, closed=connections.closed if closed is None else closed)
    if ours is not error:
        raise ours from error
