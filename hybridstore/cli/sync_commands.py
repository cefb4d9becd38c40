"""`sync` and `watch`: the store follows the files that were read into it."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from hybridstore.cli.add_command import (
    dry_run_option,
    print_failures,
    print_report,
    report_options,
    run_sync,
    show_outcome,
)
from hybridstore.cli.shared_options import Target, examples, pass_target
from hybridstore.cli.terminal import count, print_json, printable, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybridstore.errors import HybridstoreError
    from hybridstore.ingest import SyncReport
    from hybridstore.records import Folder
    from hybridstore.store import Store
    from hybridstore.store.shared_folder import ExchangeReport


@click.command(
    epilog=examples("hybridstore sync", "hybridstore sync ~/notes --dry-run", "hybridstore sync --forget old")
)
@click.argument("paths", metavar="[FOLDER]...", nargs=-1, type=click.Path())
@click.option("--forget", is_flag=True, help="Do not read FOLDER again; its documents stay in the store.")
@click.option("--list", "list_", is_flag=True, help="Print the folders that are read, and read nothing.")
@dry_run_option
@report_options
@pass_target
def sync(
    target: Target,
    *,
    paths: tuple[str, ...],
    forget: bool,
    list_: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Bring the store up to date with all files that were added to it, and new ones in their folders.

    Each folder is read with the options that `add` last had for it. Documents of files that are gone are removed; files
    that moved keep their vectors. A folder that is not there at all, such as on a disk that is not mounted, keeps its
    documents. With FOLDER, only those folders are read.
    """
    if forget and not paths:
        raise click.UsageError("name the FOLDER to forget; --list prints those that are read")
    with target.open_to_add(create=False) as store:
        folders = _chosen(store, paths)
        if forget:
            for folder in folders:
                store.forget_folder(folder.path)
                say(f"{folder.path} is not read again; its documents stay until `hybridstore remove`.")
            return
        if list_:
            _print_folders(folders, as_json=as_json)
            return
        report, seconds = run_sync(
            target,
            lambda store, **options: _sync(store, folders if paths else None, dry_run=dry_run, **options),
            store,
            quiet=quiet or as_json,
        )
    show_outcome(report, seconds, dry_run=dry_run, quiet=quiet, verbose=verbose, as_json=as_json)


def _sync(store: Store, folders: Sequence[Folder] | None, **options: object) -> SyncReport:
    from hybridstore.errors import InputError
    from hybridstore.ingest import sync_remembered

    if not folders and not store.folders() and not store.sources():
        raise InputError("no file was read into this store; add some with `hybridstore add FILE-OR-FOLDER`")
    return sync_remembered(store, folders, **options)  # type: ignore[arg-type]


def _chosen(store: Store, paths: Sequence[str]) -> list[Folder]:
    """Return the remembered folders that are named, or all; raises UsageError for another."""
    known = {folder.path: folder for folder in store.folders()}
    wanted = [PurePath(os.path.abspath(path)).as_posix() for path in paths] or list(known)  # noqa: PTH100
    for path in wanted:
        if path not in known:
            there = ", ".join(known) or "none"
            raise click.UsageError(f"{path} is not a folder that was added; these were: {there}")
    return [known[path] for path in wanted]


def _print_folders(folders: Sequence[Folder], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(folder) for folder in folders])
        return
    for folder in folders:
        options = {name: value for name, value in asdict(folder).items() if name != "path" and value}
        shown = ", ".join(
            f"{name.replace('_', ' ')} {' '.join(value) if isinstance(value, tuple) else value}".removesuffix(" True")
            for name, value in options.items()
        )
        click.echo(printable(f"{folder.path}  ({shown})" if shown else folder.path))


@click.command(epilog=examples("hybridstore watch", "hybridstore --db notes.db watch --quiet"))
@click.option("-q", "--quiet", is_flag=True, help="Report only the files that failed.")
@pass_target
def watch(target: Target, *, quiet: bool) -> None:
    """Run `sync`, and again whenever a file changes, until Ctrl-C.

    With `exchange = "DIR"` in hybridstore.toml it also does what `exchange` does, whenever something was written or has
    arrived. Changes are read once files have been quiet for 0.4 seconds. Needs watchfiles: pip install
    'hybridstore[watch]'.
    """
    from hybridstore.cli.exchange_command import exchange_news
    from hybridstore.ingest.watching import watch as watching

    told: set[tuple[str, str]] = set()
    shown: list[str] | None = None

    def report(done: SyncReport) -> None:
        if not quiet and (done.read or done.moved or done.pruned):
            print_report(replace(done, left_out=(), skipped={}), None, dry_run=False, verbose=False)
        new = [failure for failure in done.failed if failure not in told]
        told.intersection_update(done.failed)
        told.update(new)
        print_failures(replace(done, failed=new))

    def waiting(folders: Sequence[str]) -> None:
        nonlocal shown
        if not quiet and list(folders) != shown:
            shown = list(folders)
            followed = f"Watching {count(len(shown), 'folder')}: {', '.join(shown)}"
            say(f"{followed if shown else 'Waiting for changes to exchange'}. Ctrl-C ends it.")

    troubles: set[str] = set()

    def exchanged(done: ExchangeReport | HybridstoreError) -> None:
        for sentence in exchange_news(done, troubles):
            if not quiet or sentence in troubles:
                say(sentence)

    with target.open_to_add(create=False) as store:
        try:
            watching(store, report, waiting=waiting, exchange=target.config.exchange, exchanged=exchanged)
        except KeyboardInterrupt:
            say("\nStopped watching. What was read is in the store.")
