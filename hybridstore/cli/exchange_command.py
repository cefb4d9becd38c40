"""`exchange`: changes go to other devices and come from them, through a folder, a server, or any pipe."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from hybridstore.cli.merge_commands import merge_lines, merge_sentences
from hybridstore.cli.shared_options import KEY, Target, examples, json_option, number_option, pass_target, quiet_option
from hybridstore.cli.terminal import count, counting, print_json, printable, say
from hybridstore.errors import FileRefused, HybridstoreError
from hybridstore.locations import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hybridstore.cli.shared_options import Origin
    from hybridstore.store import Store
    from hybridstore.store.shared_folder import ExchangeReport


_UNCHANGED = "nothing was changed here, exchange again"


@click.command(
    epilog=examples(
        "hybridstore exchange ~/Sync/notes",
        "hybridstore exchange ~/Sync/notes --dry-run",
        "hybridstore exchange 'http://box.lan:8766/?token=TOKEN'",
        "hybridstore exchange --with 'ssh box hybridstore --db notes.db exchange --stdio'",
    )
)
@click.argument("folder", metavar="[DIR | URL]", required=False, type=click.Path(file_okay=False))
@click.option("--with", "command", metavar="COMMAND", help="Exchange with the store that COMMAND serves with --stdio.")
@click.option("--stdio", is_flag=True, help="Exchange over standard input and output, with what is at their other end.")
@click.option("--name", metavar="NAME", help="This device's name; by default the machine's, and six digits.")
@number_option("--silence", "How long the other side of a pipe may say nothing.", default=600, metavar="SECONDS")
@click.option("--dry-run", is_flag=True, help="Show what would come in and go out; write nothing.")
@quiet_option
@json_option
@pass_target
def exchange(
    target: Target,
    *,
    folder: str | None,
    command: str | None,
    stdio: bool,
    name: str | None,
    silence: int,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Exchange changes with other devices, through a folder that all of them see, or with one over HTTP or any pipe.

    DIR is synchronised by something else: Syncthing, Dropbox, a share, a stick, git. Each device writes in a folder of
    its own there, and merges what the others wrote. Without DIR it is the `exchange` of the config file, which `watch`
    uses by itself. Files are encrypted where the store is; all devices have the same key, or none.

    URL is the address of another store's server, `hybridstore serve --exchange`, with the token in it, or in
    HYBRIDSTORE_TOKEN. With --with, COMMAND is run (ssh, or anything that leads to another store) and ends in
    `hybridstore exchange --stdio`. Both send only what the other side lacks. See docs/sync.md.
    """
    if (folder is not None) + (command is not None) + stdio > 1 or (stdio and as_json):
        raise click.UsageError("name one of DIR, URL, --with and --stdio, and --json not with --stdio")
    folder = folder or target.config.exchange
    if folder is None and command is None and not stdio:
        raise click.UsageError('name the DIR that the devices share, or set exchange = "DIR" in hybridstore.toml')
    target.if_stopped = "What came in so far is kept; run the same command again to continue."
    origin = partial(_origin, None if stdio or command else folder)
    opened = target.open_to_receive(create=not dry_run, made_by="exchange DIR", origin=origin)
    with opened as store, counting("Merging", "documents", quiet=quiet or as_json or stdio) as counter:
        if stdio:
            # Without a buffer nothing is left to be written when the other side has gone.
            with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as writer:
                streams = (_Patient(stream, silence, _give_up) for stream in (sys.stdin.buffer, writer))
                report = store.exchange_over(*streams, dry_run=dry_run)
        elif command is not None:
            report = _exchange_with(command, store, silence, dry_run=dry_run, progress=counter)
        else:
            report = store.exchange(str(folder), name=name, dry_run=dry_run, progress=counter)
    if as_json:
        print_json(asdict(report))
    elif not (stdio and quiet):
        for line in merge_lines(report.merged) if dry_run and not stdio else ():
            click.echo(printable(line))
        for sentence in exchange_sentences(report):
            say(sentence)
    if report.failed or (report.merged.purge is not None and report.merged.purge.remedy):
        raise click.exceptions.Exit(1)


def _origin(folder: str | None) -> Origin | None:
    """Return the language and the embedding of what is in a folder to exchange through, if it is one and has any."""
    from hybridstore.store.shared_folder import first_index

    found = None if folder is None or is_address(folder) else first_index(Path(folder), os.environ.get(KEY) or None)
    return None if found is None else (found.language, found.embedding)


def _exchange_with(
    command: str, store: Store, silence: int, *, dry_run: bool, progress: Callable[[int, int], None] | None
) -> ExchangeReport:
    """Exchange with what a command serves; raises FileRefused where it cannot be run or fails."""
    try:
        words = shlex.split(command)
    except ValueError as error:  # a quotation mark is missing
        raise click.UsageError(f"--with {command!r} cannot be read as a command: {error}") from error
    if not words:
        raise click.UsageError("--with has no command")
    try:
        process = subprocess.Popen(words, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - the user's own
    except OSError as error:
        raise FileRefused(words[0], f"cannot be run ({error.strerror})") from error
    said_nothing = threading.Event()

    def give_up() -> None:
        said_nothing.set()
        process.kill()

    with process:
        streams = (_Patient(cast("BinaryIO", each), silence, give_up) for each in (process.stdout, process.stdin))
        try:
            report = store.exchange_over(*streams, dry_run=dry_run, progress=progress)
        except HybridstoreError as error:
            if not said_nothing.is_set():
                raise
            raise FileRefused(words[0], f"said nothing for {silence:,} seconds; {_UNCHANGED}") from error
    if process.returncode:
        raise FileRefused(words[0], f"ended with {process.returncode}: what was received is here, but look there")
    return report


class _Patient:
    """A stream that is given up where it neither takes nor brings anything for so long."""

    def __init__(self, stream: BinaryIO, seconds: float, give_up: Callable[[], None]) -> None:
        self._stream, self._seconds, self._give_up = stream, seconds, give_up

    def read(self, size: int) -> bytes:
        with self._limit():
            return self._stream.read(size)

    def write(self, data: memoryview) -> int:
        with self._limit():
            return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    @contextmanager
    def _limit(self) -> Iterator[None]:
        timer = threading.Timer(self._seconds, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _give_up() -> None:
    """End this process, which waits for its standard input; nothing is written to the store while it does."""
    print(f"Error: the other side said nothing for too long; {_UNCHANGED}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(1)


def exchange_sentences(report: ExchangeReport) -> list[str]:
    """Return what an exchange did, for people."""
    would = "would be " if report.dry_run else ""
    if report.received:
        return _stream_sentences(report)
    devices = f"{count(len(report.devices), 'other device')}: {', '.join(report.devices)}" if report.devices else ""
    are = "are" if len(report.devices) > 1 else "is"
    sentences = [f"This is {report.name}; there {are} {devices or 'no other device yet'}."]
    sentences += merge_sentences(report.merged, "the other devices")
    if out := _out(report):
        size = "" if report.dry_run else f", in {report.bytes / 1000:,.0f} kB"
        sentences.append(f"{out} {would}written for the others{size}.")
    if report.dropped:
        sentences.append(f"{count(report.dropped, 'old bundle')} of this device {would}removed.")
    if waiting := [*report.torn, *report.missing]:
        sentences.append(
            f"{count(len(waiting), 'bundle')} not here, or not whole, yet: {', '.join(waiting[:3])}"
            f"{' …' if len(waiting) > 3 else ''}. The next exchange reads what has arrived by then."
        )
    sentences += [f"{name} {reason}; it was left out." for name, reason in report.failed]
    sentences += [
        f"{device}'s bundles still hold {count(number, 'document')} that {'was' if number == 1 else 'were'} purged, "
        "until it exchanges; if it never will, remove its folder."
        for device, number in report.lingering.items()
    ]
    return sentences


def exchange_news(done: ExchangeReport | HybridstoreError, told: set[str]) -> list[str]:
    """Return what is new of one exchange of many; `told` are the troubles that were told and have not gone."""
    if isinstance(done, HybridstoreError):
        found, news = {f"Not exchanged: {done}"}, list[str]()
    else:
        found = {f"{name} {reason}; it was left out." for name, reason in done.failed}
        merged = done.merged
        came = any((merged.added, merged.replaced, merged.removed, merged.purged, merged.conflicts))
        news = merge_sentences(merged, "the other devices") if came else []
        news += [f"{out} written for the other devices."] if (out := _out(done)) else []
    news += sorted(found - told)
    told.intersection_update(found)
    told.update(found)
    return news


def _out(report: ExchangeReport) -> str:
    out = ((report.documents, "document"), (report.removals, "removal"), (report.told, "question or verdict"))
    plurals = {"question or verdict": "questions and verdicts"}
    return ", ".join(count(number, noun, plurals.get(noun)) for number, noun in out if number)


def _stream_sentences(report: ExchangeReport) -> list[str]:
    sent = f"{report.bytes / 1000:,.1f} kB sent, {report.received / 1000:,.1f} kB received"
    would = "would be " if report.dry_run else ""
    sentences = merge_sentences(report.merged, "the other store")
    return [*sentences, f"{_out(report) or 'Nothing'} {would}new to the other store; {sent}."]
