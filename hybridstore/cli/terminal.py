"""Output: data to standard output, messages and progress to standard error, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPED_WIDTH = 100  # columns where there is no terminal to ask
_EVERY = 5.0  # seconds between two progress lines where there is no terminal
# Text from files can contain escape sequences; shown as pictures (␛) they cannot control the terminal.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_PICTURES |= {0x7F: "␡", **dict.fromkeys(range(0x80, 0xA0), "�")}
# Marks that turn the direction of text around show it in another order than it has (CVE-2021-42574).
_TURNING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PICTURES |= dict.fromkeys((*_TURNING, 0x2028, 0x2029), "�")
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *_TURNING, 0x2028, 0x2029)}

# Called with (done, total, what was done in words, the rate in words).
Update = Callable[[int, int, str, str], None]


class Steps(Protocol):
    """A progress callback for work in several steps: the step's name, done, total, and words to show beside them."""

    def __call__(self, name: str, done: int, of: int, words: str = "", /) -> None: ...  # noqa: D102


def console() -> Console:
    """Return a console for standard output that prints text unchanged: no markup, no emoji codes."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(markup=False, emoji=False, highlight=False, width=width)


def say(sentence: str) -> None:
    """Print a message that is not data."""
    click.echo(printable(sentence), err=True)


def say_missing(chunks: int) -> None:
    """Say how many chunks have no vector, if any, and what makes them."""
    if chunks:
        say(
            f"{count(chunks, 'chunk has', 'chunks have')} no vector and can only be found by words; `hybridstore "
            "embed` makes what is missing, and so does the next `add` without --embedder none."
        )


def interactive() -> bool:
    """Return whether a person can answer a question here."""
    return sys.stdin.isatty()


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 document", "2,000 documents"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(number: float) -> str:
    """Return bytes as "12 bytes", "3.4 MB"."""
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def printable(text: str) -> str:
    """Return the text, of the same length, with a picture for each control character."""
    return text.translate(_PICTURES).encode("utf-8", "replace").decode()


def print_exactly(text: str) -> None:
    """Print a text that is data: unchanged for a program, without control characters on a terminal."""
    if sys.stdout.isatty():
        click.echo(printable(text))
    else:
        click.echo(text.encode("utf-8", "replace").decode(), color=True)  # otherwise click strips escape sequences


def print_json(value: Any) -> None:
    """Print one JSON value, indented."""
    click.echo(_dumped(value, indent=2))


def print_json_list(values: Iterable[Any]) -> None:
    """Print a JSON list, one element a line, as the elements arrive."""
    separator = "[\n"
    for value in values:
        click.echo(separator + _dumped(value), nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[\n" else "\n]")


def _dumped(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # None of these stands outside of a string; a lone surrogate becomes its JSON escape, too.
    return text.translate(_JSON_ESCAPES).encode("utf-8", "backslashreplace").decode()


def table(*columns: str, right: Iterable[str] = (), title: str | None = None, **options: Any) -> Table:
    """Return a table without borders; the columns named in `right` are right-aligned."""
    from rich.table import Table

    made = Table(*columns, box=None, pad_edge=False, title=None if title is None else printable(title), **options)
    for name in right:
        made.add_column(name, justify="right")
    return made


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    shown = table("", "", show_header=False)
    for name, value in facts:
        shown.add_row(name, printable(value))
    shown.columns[0].style = "dim"
    shown.columns[1].overflow = "fold"
    console().print(shown)


def write_page(page: str, path: Path) -> None:
    """Write a report and say where it is; raises InputError for a file that cannot be written."""
    from hybridstore.errors import InputError
    from hybridstore.whole_files import write_whole

    try:
        write_whole(path, page.encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    say(f"The report is in {path}")


class Counter:
    """A progress callback `(done, total)` that shows how many of something are done, and how many a second."""

    def __init__(self, noun: str, update: Update) -> None:
        self._noun, self._update, self._started = noun, update, time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        """Show that so many of the total are done."""
        self._update(done, of, f"{done:,}/{of:,} {self._noun}", self.rate(done))

    @property
    def seconds(self) -> float:
        """Seconds since the count began."""
        return time.monotonic() - self._started

    def rate(self, number: int) -> str:
        """Return "210 chunks/s"; "" while there are none."""
        return f"{number / max(self.seconds, 1e-3):,.0f} {self._noun}/s" if number else ""


@contextmanager
def counting(what: str, noun: str, *, quiet: bool = False) -> Iterator[Counter]:
    """Show the progress of a count: a bar in a terminal, a line now and then elsewhere, nothing when quiet."""
    with progress(what, quiet=quiet) as update:
        yield Counter(noun, update)


@contextmanager
def steps(*, quiet: bool = False, on_step: Callable[[str], None] | None = None) -> Iterator[Steps]:
    """Show one step after another, each with a progress of its own; `on_step` gets the name of each as it begins."""
    with ExitStack() as shown:
        step = ""
        update: Update = lambda *_: None  # noqa: E731

        def show(name: str, done: int, of: int, words: str = "", /) -> None:
            nonlocal step, update
            if name != step:
                shown.close()
                step, update = name, shown.enter_context(progress(name, quiet=quiet))
                if on_step is not None:
                    on_step(name)
            update(done, of, f"{done:,}/{of:,}" if of > 1 else "", words)

        yield show


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Update]:
    """Show the progress of a block on standard error; the block may call the update function at any rate."""
    if quiet:
        yield lambda *_: None
    elif sys.stderr.isatty():
        with _bar(what) as update:
            yield update
    else:
        yield _lines(what)


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
    with Progress(
        *columns, console=console, expand=True, transient=True, refresh_per_second=2, speed_estimate_period=60
    ) as shown:
        task = shown.add_task(what, total=None, words="")

        def update(done: int, of: int, words: str, rate: str) -> None:
            shown.update(task, completed=done, total=of or None, words=", ".join(filter(None, (words, rate))))

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
        left = _time_left((now - started) * (of - done) / done) if of and done else ""
        click.echo(f"{what}: " + ", ".join(filter(None, (share, words, rate, left))), err=True)

    return update


def _time_left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min left" if minutes else f"about {rest} s left"
