"""`add`: files, folders and standard input into the store."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.progress_display import Rate, progress
from hybridstore.cli.shared_options import embedder_option, examples
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import count, print_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hybridstore.ingest import SyncProgress, SyncReport
    from hybridstore.records import AddReport, Document
    from hybridstore.store import Store

_STDIN = "-"
_AGAIN = "run the same command again to go on from there."


@click.command(
    epilog=examples(
        "hybridstore add ~/notes",
        'hybridstore add src --include "*.py" --exclude tests --prune',
        'man tar | hybridstore add - --id man/tar --title "tar(1)"',
    )
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True))
@click.option("--include", multiple=True, metavar="GLOB", help="Only files that match, as in .gitignore; repeatable.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="No files or folders that match; repeatable.")
@click.option("--hidden", is_flag=True, help="Hidden files too.")
@click.option("--follow-links", is_flag=True, help="Follow symbolic links.")
@click.option("--prune", is_flag=True, help="Remove documents whose files below PATH are gone.")
@embedder_option('The model of a new store, by name or folder; "none" for keywords alone.')
@click.option("--language", metavar="LANG", help="The language a new store stems for, or none; english if not said.")
@click.option("--id", "identifier", metavar="ID", help="For standard input: the document's id.")
@click.option("--title", help="For standard input: the document's title.")
@click.option("--kind", metavar="KIND", help="For standard input: txt, md, html, jsonl, csv, ... instead of a guess.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no report, but what could not be read.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
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
    as_json: bool,
    **rules: Any,
) -> None:
    """Read files and folders into the store, making it if it is not there.

    Text, Markdown, reStructuredText, HTML, PDF, Word, source code, CSV and JSON lines are read; a row of a table
    is a document of its own. What .gitignore ignores is left out. Files that did not change since are skipped,
    changed ones replaced: run it as often as you like. PATH "-" reads one document from standard input.
    """
    from_stdin = _STDIN in paths
    if from_stdin and len(paths) > 1:
        raise click.UsageError('"-" (standard input) stands alone; add files in a command of their own')
    if not from_stdin and (identifier, title, kind) != (None, None, None):
        raise click.UsageError("--id, --title and --kind are for standard input: hybridstore add - --id NAME")
    with target.adding(embedder=embedder, language=language) as store:
        if from_stdin:
            done = store.add(_documents(target, identifier, title, kind))
            target.kept = "The document is in the store."
            _tell_stdin(done, quiet=quiet, as_json=as_json)
            return
        rate = Rate("chunks")
        report = _sync(target, store, paths, rate, rules, quiet=quiet or as_json)
        seconds = rate.seconds
    if as_json:
        print_json(asdict(replace(report, skipped={})) | {"skipped": dict(report.skipped), "seconds": seconds})
    elif not quiet:
        _tell(report, seconds)
    _tell_failures(report)
    if not (report.read or report.unchanged or report.pruned):
        raise click.exceptions.Exit(1)


def _sync(
    target: Target, store: Store, paths: tuple[str, ...], rate: Rate, rules: dict[str, Any], *, quiet: bool
) -> SyncReport:
    from hybridstore.ingest import sync

    with progress("Reading", quiet=quiet) as update:

        def told(state: SyncProgress) -> None:
            files = f"{state.files:,}/{count(state.files_total, 'file')}"
            target.kept = f"{count(state.chunks, 'chunk')} of this run are kept; {_AGAIN}"
            made = max(state.chunks, state.embedded)  # embedding runs ahead of what is committed
            update(state.bytes, state.bytes_total, f"{files}, {count(made, 'chunk')}", rate.of(made))

        target.kept = f"What was committed is kept; {_AGAIN}"
        return sync(store, paths, progress=told, **rules)


def _documents(target: Target, identifier: str | None, title: str | None, kind: str | None) -> Iterator[Document]:
    from hybridstore.ingest import read

    target.kept = "What was committed is kept."
    for number, document in enumerate(read(_STDIN, kind=kind)):
        if number and identifier is not None:
            raise click.UsageError("standard input holds several documents, which cannot all have this --id")
        yield replace(document, id=identifier or document.id, title=title or document.title)


def _tell_stdin(report: AddReport, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        say(f"{_documents_told(report)}.")


def _tell(report: SyncReport, seconds: float) -> None:
    files = [f"Read {count(report.read, 'file')}"]
    files += [f"{report.unchanged:,} unchanged"] if report.unchanged else []
    files += [f"{report.pruned:,} gone"] if report.pruned else []
    say(f"{', '.join(files)}: {_documents_told(report.documents)}, in {seconds:.1f} s.")
    if report.skipped:
        reasons = sorted(report.skipped.items(), key=lambda item: (-item[1], item[0]))
        say(f"Left out: {', '.join(f'{number:,} {reason}' for reason, number in reasons)}.")


def _documents_told(report: AddReport) -> str:
    changes = {"added": report.added, "replaced": report.replaced, "removed": report.removed}
    told = [f"{count(number, 'document')} {verb}" for verb, number in changes.items() if number]
    if report.chunks:
        anew = f", {report.embedded:,} of them embedded" if report.embedded else ""
        told.append(f"{count(report.chunks, 'chunk')} written{anew}")
    return ", ".join(told) or "nothing had changed"


def _tell_failures(report: SyncReport) -> None:
    if report.failed:
        say(f"{count(len(report.failed), 'file')} could not be read:")
        for path, why in report.failed:
            say(f"  {path}: {why.removeprefix(f'{path}: ')}")
