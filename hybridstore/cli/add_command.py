"""`add`: files, folders and standard input into the store."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.document_names import shown_path, shown_paths
from hybridstore.cli.shared_options import Target, examples, new_store_options, options, pass_target
from hybridstore.cli.terminal import Counter, count, print_json, printable, progress, say, say_missing
from hybridstore.cli.upkeep_commands import language_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from hybridstore.ingest import SyncProgress, SyncReport
    from hybridstore.records import AddReport, Document
    from hybridstore.store import Store

_STDIN = "-"
_MANY = 256  # vectors that are worth a word before they are made
_NOTICES = 20  # lines of the report
_NAMED = 3  # files, for each reason that says what to do
_DRY_RUN = "--dry-run"
_RESUME = "run the same command again to continue."
_EMBED = "`hybridstore embed` goes on with the vectors, and so does the next `add`."

dry_run_option = click.option(
    _DRY_RUN, "dry_run", is_flag=True, help="Print the files that would be read, and write nothing."
)
report_options = options(
    click.option("-q", "--quiet", is_flag=True, help="Show no progress and no report, only the files that failed."),
    click.option("-v", "--verbose", is_flag=True, help="Name every file and folder that was skipped, with the reason."),
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
)


@click.command(
    epilog=examples(
        "hybridstore add ~/notes",
        'hybridstore add src --include "*.py" --exclude tests --prune',
        'man tar | hybridstore add - --id man/tar --title "tar(1)"',
    )
)
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--include", multiple=True, metavar="GLOB", help="Only files that match, as in .gitignore; repeatable.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Skip files and folders that match; repeatable.")
@click.option("--hidden", is_flag=True, help="Include hidden files.")
@click.option("--follow-links", is_flag=True, help="Follow symbolic links.")
@click.option(
    "--max-file-size",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="Largest file in MiB, after unpacking; default: 2048 for text and tables, else 64.",
)
@click.option("--prune", is_flag=True, help="Remove documents whose files below PATH are gone.")
@dry_run_option
@click.option("--encoding", metavar="NAME", help="Of text that is not UTF-8: shift_jis, cp1251, ...; default: a guess.")
@new_store_options
@click.option("--id", "identifier", metavar="ID", help="For standard input: the document's id.")
@click.option("--title", help="For standard input: the document's title.")
@click.option("--kind", metavar="KIND", help="For standard input: txt, md, html, jsonl, csv, ...; default: a guess.")
@report_options
@pass_target
def add(
    target: Target,
    /,
    *,
    paths: tuple[str, ...],
    embedder: str | None,
    language: str | None,
    identifier: str | None,
    title: str | None,
    kind: str | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    dry_run: bool,
    **rules: Any,
) -> None:
    """Read files and folders into the store, creating it if it is missing.

    Reads text and markup, PDF, Office files, books, mail, notebooks, subtitles, exports of conversations, source code
    and tables; the guide lists all kinds. Each row of a table, message of a mailbox and conversation is a document.
    Lock files, minified code, source maps, hex dumps and what .gitignore excludes are skipped. Unchanged files are
    skipped and changed ones replaced, so the command can be repeated at any time. PATH "-" reads one document from
    standard input. Without PATH, the folders in the config file are read; its `exclude` always applies.
    """
    paths, rules["exclude"] = paths or target.config.folders, (*target.config.exclude, *rules["exclude"])
    from_stdin = _checked(paths, (identifier, title, kind), dry_run=dry_run)
    if not from_stdin and not (rules["prune"] and target.exists()):  # what is gone can be pruned
        _check_existing(paths)
    most = rules["max_file_size"] = None if rules["max_file_size"] is None else rules["max_file_size"] << 20
    with _opened(target, embedder, language, dry_run=dry_run) as store, _advising(store, quiet=quiet or as_json):
        if from_stdin:
            how = {"kind": kind, "max_file_size": most, "encoding": rules["encoding"]}
            documents = _documents(target, identifier, title, how | {"notice": None if quiet else say})
            added = store.add(documents, vectors="soon")
            target.if_stopped = f"The document is in the store, and words find it; {_EMBED}"
            added = replace(added, embedded=added.embedded + store.embed())
            missing = store.embeddings.missing_count()
            if as_json:
                print_json(asdict(added))
            elif not quiet:
                say(f"{_changes(added)}.")
                say_missing(missing)
            return
        report, seconds = run_sync(target, _sync, store, paths=paths, dry_run=dry_run, quiet=quiet or as_json, **rules)
    show_outcome(report, seconds, dry_run=dry_run, quiet=quiet, verbose=verbose, as_json=as_json)
    if not (report.read or report.unchanged or report.pruned or report.moved):
        raise click.exceptions.Exit(1)


@contextmanager
def _advising(store: Store, *, quiet: bool) -> Iterator[None]:
    """Say once, when what was added shows it, that the vectors cannot read the languages of the passages."""
    before = language_advice(store.stats())
    yield
    if not quiet and before is None and (note := language_advice(store.stats())) is not None:
        say(f"Note: {note}")


def _checked(paths: tuple[str, ...], about: tuple[str | None, ...], *, dry_run: bool) -> bool:
    """Return whether standard input is read; options that do not go together are wrong usage."""
    if not paths:
        raise click.UsageError("Missing argument PATH: name files or folders, or list folders in hybridstore.toml")
    from_stdin = _STDIN in paths
    if from_stdin and len(paths) > 1:
        raise click.UsageError('"-" (standard input) must be the only PATH; add files with a command of their own')
    if from_stdin and dry_run:
        raise click.UsageError(f"{_DRY_RUN} is for files and folders")
    if not from_stdin and any(option is not None for option in about):
        raise click.UsageError("--id, --title and --kind are for standard input: hybridstore add - --id NAME")
    return from_stdin


def _check_existing(paths: tuple[str, ...]) -> None:
    """Raise before a store is made."""
    for path in paths:
        if not Path(path).exists():
            raise click.BadParameter(f"Path {path!r} does not exist.", param_hint="'PATH...'")


def _sync(store: Store, paths: tuple[str, ...], **options: Any) -> SyncReport:
    from hybridstore.ingest import sync

    return sync(store, paths, **options)


def run_sync(
    target: Target, sync: Callable[..., SyncReport], store: Store, *, quiet: bool, **options: Any
) -> tuple[SyncReport, float]:
    """Return the report of a sync, whose progress is shown, and the seconds that it took."""
    # Where nobody looks, the report at the end is enough, and that words find everything already.
    shown = _TwoPhases(target, quiet=quiet)
    with shown:
        return sync(store, progress=shown, **options), shown.seconds


class _TwoPhases(ExitStack):
    """The progress of a sync: a bar while files are read, and another one while vectors are made."""

    def __init__(self, target: Target, *, quiet: bool) -> None:
        super().__init__()
        self._target, self._quiet = target, quiet
        self._hidden = quiet or not sys.stderr.isatty()
        self._update = self.enter_context(progress("Reading", quiet=self._hidden))
        self._counter = Counter("chunks", self._update)
        self._embedding = False
        target.if_stopped = f"Committed documents are kept; {_RESUME}"

    @property
    def seconds(self) -> float:
        """Seconds since the sync began."""
        return self._counter.seconds

    def __call__(self, state: SyncProgress) -> None:
        """Show the state; what Ctrl-C says follows it."""
        chunks = count(state.chunks, "chunk")
        if state.to_embed is None:
            files = f"{state.files:,}/{count(state.files_total, 'file')}"
            self._target.if_stopped = f"{chunks} of this run are kept; {_RESUME}"
            self._update(state.bytes, state.bytes_total, f"{files}, {chunks}", self._counter.rate(state.chunks))
            return
        total = state.embedded + state.to_embed
        if not self._embedding:
            self._begin_embedding(chunks if total >= _MANY else "")
        self._target.if_stopped = f"Words find everything; {state.to_embed:,} vectors are still to be made: {_EMBED}"
        done = state.embedded if state.share is None else round(state.share * total)
        self._update(done, total, f"{state.embedded:,}/{total:,} vectors", self._rate(state.embedded))

    def _begin_embedding(self, chunks: str) -> None:
        self._embedding = True
        self.close()  # the first bar
        if chunks and not self._quiet:
            say(f"Searchable by words: {chunks} in {self.seconds:.1f} s. Now their vectors, for search by meaning:")
        self._update = self.enter_context(progress("Meaning", quiet=self._hidden))
        self._rate = Counter("vectors", self._update).rate


def _documents(
    target: Target, identifier: str | None, title: str | None, options: dict[str, Any]
) -> Iterator[Document]:
    from hybridstore.ingest import read

    target.if_stopped = "Committed documents are kept."
    for number, document in enumerate(read(_STDIN, **options)):
        if number and identifier is not None:
            raise click.UsageError("standard input contains several documents, which cannot share one --id")
        yield replace(document, id=identifier or document.id, title=title or document.title)


def _opened(
    target: Target, embedder: str | None, language: str | None, *, dry_run: bool
) -> AbstractContextManager[Store]:
    """Open the store to add to; for a dry run it is not created, and one in memory stands for it."""
    if not dry_run:
        return target.open_to_add(embedder=embedder, language=language)
    from hybridstore.store import open as open_store

    return target.open() if target.exists() else open_store(":memory:", embedder="none")


def show_outcome(
    report: SyncReport, seconds: float, *, dry_run: bool, quiet: bool, verbose: bool, as_json: bool
) -> None:
    """Print the report as the `report_options` ask, and always which files could not be read."""
    if as_json:
        print_json(asdict(replace(report, skipped={})) | {"skipped": dict(report.skipped), "seconds": seconds})
    elif not quiet:
        print_report(report, seconds, dry_run=dry_run, verbose=verbose)
    print_failures(report)


def print_report(report: SyncReport, seconds: float | None, *, dry_run: bool, verbose: bool) -> None:
    """Print what a sync did, or would do; `seconds` None: not how long it took."""
    if dry_run:
        _print_plan(report)
    else:
        _say_changes(report, seconds)
    _print_skipped(report, verbose=verbose)
    _print_notices(report)
    say_missing(report.without_vectors)


def _print_plan(report: SyncReport) -> None:
    for path in report.would_read:
        click.echo(printable(path))
    would = [f"read {count(report.read, 'file')} with {count(report.documents.added, 'document')}"]
    would += [f"remove the documents of {count(report.pruned, 'file')} that are gone"] if report.pruned else []
    unchanged = f"; {report.unchanged:,} unchanged" if report.unchanged else ""
    say(f"Nothing was written. `add` without {_DRY_RUN} would {' and '.join(would)}{unchanged}.")


def _say_changes(report: SyncReport, seconds: float | None) -> None:
    files = [f"Read {count(report.read, 'file')}"]
    files += [f"{report.unchanged:,} unchanged"] if report.unchanged else []
    files += [f"{report.moved:,} moved"] if report.moved else []
    files += [f"{report.pruned:,} gone"] if report.pruned else []
    took = "" if seconds is None else f", in {seconds:.1f} s"
    say(f"{', '.join(files)}: {_changes(report.documents)}{took}.")


def _print_skipped(report: SyncReport, *, verbose: bool) -> None:
    if not report.left_out:
        return
    reasons = sorted(report.skipped.items(), key=lambda item: (-item[1], item[0]))
    names = ":" if verbose else " (--verbose names them)."
    kinds = [f"{number:,} {reason.partition(': ')[0]}" for reason, number in reasons]
    say(f"Skipped: {', '.join(kinds)}{names}")
    for reason, _ in reasons:
        if ": " in reason:  # with what to do about it
            paths = [shown_path(path) for path, why in report.left_out if why == reason]
            more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
            say(f"  {reason} ({', '.join(paths[:_NAMED])}{more})")
    for path, reason in report.left_out if verbose else ():
        say(f"  {path}: {reason}")


def _print_notices(report: SyncReport) -> None:
    if report.notices:
        say("About files that were read:")
        for path, what in report.notices[:_NOTICES]:
            say(f"  {path}: {what}")
        if len(report.notices) > _NOTICES:
            say(f"  and {len(report.notices) - _NOTICES:,} more, which --json lists")


def print_failures(report: SyncReport) -> None:
    """Print which files could not be read, and why."""
    if report.failed:
        say(f"{count(len(report.failed), 'file')} could not be read:")
        for path, why in report.failed:
            say(f"  {shown_path(path)}: {shown_paths(why.removeprefix(f'{path}: '))}")


def _changes(report: AddReport) -> str:
    numbers = {"added": report.added, "replaced": report.replaced, "removed": report.removed}
    parts = [f"{count(number, 'document')} {verb}" for verb, number in numbers.items() if number]
    if report.chunks:
        embedded = f", {report.embedded:,} of them embedded" if report.embedded else ""
        parts.append(f"{count(report.chunks, 'chunk')} written{embedded}")
    elif report.embedded:  # of an earlier run
        parts.append(f"{count(report.embedded, 'missing vector')} made")
    return ", ".join(parts) or "nothing changed"
