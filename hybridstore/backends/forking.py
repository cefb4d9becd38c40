"""Forks: the parent waits until nothing is half done, and the child begins with connections and locks of its own.

A lock that another thread holds at the moment of a fork stays locked in the child for ever, SQLite's own ones included,
and a connection must not be used, nor even be closed while it writes, on the other side of a fork
(https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Protocol

_LONGEST_WAIT = 5.0  # seconds; a transaction takes some milliseconds, a backup or a purge may take longer


class Forked(Protocol):
    """What must know of forks."""

    def quiet(self) -> bool:
        """Return whether no other thread is in the middle of what a child could not continue."""
        ...

    def after_fork(self) -> None:
        """Begin anew, in the child."""
        ...


_all: weakref.WeakSet[Forked] = weakref.WeakSet()
_forking = threading.Lock()
_done = threading.Event()
_done.set()


def register(user: Forked) -> None:
    """Call `after_fork` of this object in every child, while the object exists."""
    _all.add(user)


def wait_for_fork() -> None:
    """Return when no fork is under way: whoever begins something calls this first."""
    if not _done.is_set():
        _done.wait(2 * _LONGEST_WAIT)


def _before() -> None:
    _forking.acquire()
    _done.clear()
    deadline = time.monotonic() + _LONGEST_WAIT
    time.sleep(0)  # begin a time slice, so that no other thread is let in between here and the fork
    while not all(user.quiet() for user in list(_all)) and time.monotonic() < deadline:
        time.sleep(0.0005)


def _in_parent() -> None:
    _done.set()
    _forking.release()


def _in_child() -> None:
    global _forking, _done
    _forking, _done = threading.Lock(), threading.Event()
    _done.set()
    for user in list(_all):
        user.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
