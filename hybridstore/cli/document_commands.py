"""`get`, `list` and `remove`: documents by id or filter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import combined, examples, json_option, number_option, where_option, yes_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import console, count, print_exactly, print_json, print_json_list, printable, say

if TYPE_CHECKING:
    from hybridstore.backends.values import StoredDocument
    from hybridstore.filters import Filter
    from hybridstore.store import Store

_NAMED = 5  # ids shown before asking for confirmation


@click.command(epilog=examples("hybridstore get /home/me/notes/keys.md", "hybridstore get man/tar --json"))
@click.argument("document_id", metavar="ID")
@json_option
@pass_target
def get(target: Target, *, document_id: str, as_json: bool) -> None:
    """Print a document's text; with --json the whole document."""
    with target.open() as store:
        document = store.get(document_id)
    if as_json:
        print_json(asdict(document))
    else:
        print_exactly(document.text)


@click.command(
    name="list", epilog=examples("hybridstore list --where lang=en --limit 20", "hybridstore list | cut -f1")
)
@where_option
@number_option("--limit", "Only the first N.")
@json_option
@pass_target
def list_(target: Target, *, conditions: tuple[str, ...], limit: int | None, as_json: bool) -> None:
    """List the documents in the order they were first added: id, title, uri, chunks.

    When the output goes to a program, columns are separated by tabs.
    """
    with target.open() as store:
        rows = map(_row, islice(store.scan(combined(conditions)), limit))
        if as_json:
            print_json_list(rows)
        elif sys.stdout.isatty():
            _print_rows(rows)
        else:
            for row in rows:
                click.echo("\t".join(" ".join(str(cell).split()) for cell in row.values()))


@click.command(epilog=examples("hybridstore remove man/tar", 'hybridstore remove --where "year<2010" --yes'))
@click.argument("ids", metavar="[ID...]", nargs=-1)
@where_option
@yes_option
@pass_target
def remove(target: Target, *, ids: tuple[str, ...], conditions: tuple[str, ...], yes: bool) -> None:
    """Remove documents, by id or all that match a filter."""
    from hybridstore.filters import passes_all

    where = combined(conditions)
    if bool(ids) == (where is not None):
        raise click.UsageError("name the documents either by ID or by --where")
    if where is not None and (passes_all(where) or not _compares(where)):
        raise click.UsageError("this filter has no condition, so it would remove everything; add one")
    with target.open() as store:
        known = _matching(store, where) if where is not None else _known(store, ids)
        unknown = [id_ for id_ in dict.fromkeys(ids) if id_ not in known]
        for id_ in unknown:
            say(f"No document has the id {id_!r}.")
        if known and (yes or _confirmed(known, store.count())):
            say(f"Removed {count(store.remove(known), 'document')}.")
        elif known or where is not None:
            say("Nothing was removed." if known else "No document matches the filter, so nothing was removed.")
    if unknown:
        raise click.exceptions.Exit(1)


def _row(stored: StoredDocument) -> dict[str, Any]:
    document = stored.document
    return {"id": document.id, "title": document.title, "uri": document.uri, "chunks": len(stored.chunks)}


def _print_rows(rows: Iterator[dict[str, Any]]) -> None:
    from rich.text import Text

    terminal = console()
    for row in rows:
        line = Text(printable(row["id"]), style="bold")
        names = [cell for cell in (row["title"], row["uri"]) if cell and cell != row["id"]]
        line.append(printable("".join(f"  {cell}" for cell in names)).replace("\n", " "), style="not bold")
        line.append(f"  {count(row['chunks'], 'chunk')}", style="not bold dim")
        terminal.print(line, soft_wrap=True)


def _known(store: Store, ids: tuple[str, ...]) -> list[str]:
    return list(store.digests(list(dict.fromkeys(ids))))


def _matching(store: Store, where: Filter) -> list[str]:
    return [str(document.id) for document in store.documents(where)]


def _confirmed(ids: list[str], total: int) -> bool:
    for id_ in ids[:_NAMED]:
        say(f"  {id_}")
    if len(ids) > _NAMED:
        say(f"  and {len(ids) - _NAMED:,} more")
    all_of = "all " if len(ids) == total else ""
    try:
        return click.confirm(f"Remove {all_of}{count(len(ids), 'document')} of {total:,}?", err=True)
    except click.Abort:
        if not sys.stdin.isatty():
            say("\nNobody can confirm here; --yes removes without asking.")
        raise


def _compares(where: Filter) -> bool:
    """Return whether every part of a filter compares something: an empty part would match everything."""
    from hybridstore.filters import And, Not, Or

    match where:
        case And(members) | Or(members):
            return bool(members) and all(map(_compares, members))
        case Not(member):
            return _compares(member)
        case _:
            return True
