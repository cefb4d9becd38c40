"""How far a long command is: a bar in a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_EVERY = 5.0  # seconds between two lines where there is no terminal

# Called with (done, of, what was done so far in words, how many a second in words).
Update = Callable[[int, int, str, str], None]


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Update]:
    """Show on standard error how far the block is; it calls the function it is given as often as it likes."""
    if quiet:
        yield lambda *_: None
    elif sys.stderr.isatty():
        with _bar(what) as update:
            yield update
    else:
        yield _lines(what)


class Rate:
    """Counts something from now on, and says how many a second: "210 chunks/s"."""

    def __init__(self, noun: str) -> None:
        self._noun, self._started = noun, time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the count began."""
        return time.monotonic() - self._started

    def of(self, number: int) -> str:
        """Say the rate of so many; "" while there are none."""
        return f"{number / max(self.seconds, 1e-3):,.0f} {self._noun}/s" if number else ""


@contextmanager
def _bar(what: str) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    # Twice a second is enough to look at; more would take time from the work.
    with Progress(*columns, console=console, expand=True, transient=True, refresh_per_second=2) as shown:
        task = shown.add_task(what, total=None, words="")

        def update(done: int, of: int, words: str, rate: str) -> None:
            told = ", ".join(filter(None, (words, rate)))
            shown.update(task, completed=done, total=of or None, words=told)

        yield update


def _lines(what: str) -> Update:
    started = last = time.monotonic()

    def update(done: int, of: int, words: str, rate: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _EVERY:
            return
        last = now
        share = f"{100 * done / of:.0f} %" if of else ""
        left = _left((now - started) * (of - done) / done) if of and done else ""
        click.echo(f"{what}: " + ", ".join(filter(None, (share, words, rate, left))), err=True)

    return update


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min left" if minutes else f"about {rest} s left"
