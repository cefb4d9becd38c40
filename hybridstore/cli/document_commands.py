"""`get`, `list` and `remove`: documents by id or filter; `export` and `import`: all of them as JSON lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.document_names import named_document, shown_path
from hybridstore.cli.forget_commands import purge_documents
from hybridstore.cli.shared_options import (
    EMBEDDER,
    EMPTY,
    Target,
    combined,
    embedder_option,
    examples,
    json_option,
    number_option,
    pass_target,
    where_option,
    yes_option,
)
from hybridstore.cli.terminal import (
    console,
    count,
    counting,
    print_exactly,
    print_json,
    print_json_list,
    printable,
    say,
    say_missing,
)
from hybridstore.errors import EmbedderMismatch, NotFound

if TYPE_CHECKING:
    from hybridstore.backends.values import StoredDocument
    from hybridstore.filters import Filter
    from hybridstore.ingest.export_import import ExportHeader
    from hybridstore.store import Store

_NAMED = 5  # ids shown before asking for confirmation
_STREAM = "-"  # standard input or output


@click.command(epilog=examples("hybridstore get notes/keys.md", "hybridstore get man/tar --json"))
@click.argument("name", metavar="DOCUMENT")
@json_option
@pass_target
def get(target: Target, *, name: str, as_json: bool) -> None:
    """Print a document's text; with --json the whole document.

    DOCUMENT is an id, a path relative to the working directory, a file's name, or the end of one.
    """
    with target.open() as store:
        document = store.get(named_document(store, name))
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
        where = combined(conditions)
        _say_unknown_fields(store, where)
        if not as_json and not store.count():
            say(EMPTY)
        rows = map(_row, islice(store.scan(where), limit))
        if as_json:
            print_json_list(rows)
        elif sys.stdout.isatty():
            _print_rows(rows)
        else:
            for row in rows:
                click.echo("\t".join(" ".join(str(cell).split()) for cell in row.values()))


@click.command(
    epilog=examples(
        "hybridstore remove man/tar",
        'hybridstore remove --where "year<2010" --yes',
        "hybridstore remove --purge letter.txt",
    )
)
@click.argument("ids", metavar="[DOCUMENT...]", nargs=-1)
@where_option
@click.option("--purge", "erase", is_flag=True, help="Erase their bytes from the file, and search it for any left.")
@yes_option
@pass_target
def remove(target: Target, *, ids: tuple[str, ...], conditions: tuple[str, ...], erase: bool, yes: bool) -> None:
    """Remove documents, by id, path or name as in `get`, or all that match a filter.

    Their bytes stay in the file until they are overwritten. With --purge none is left, and stores that merge with this
    one erase them too; the ID of a document removed earlier erases what is left of it. Backups and exports are not
    touched. Exits with 1 if something may be left, and says what to do.
    """
    from hybridstore.filters import passes_all

    where = combined(conditions)
    if bool(ids) == (where is not None):
        raise click.UsageError("name the documents either one by one or by --where")
    if where is not None and (passes_all(where) or not _compares(where)):
        raise click.UsageError("this filter has no condition, so it would remove everything; add one")
    with target.open() as store:
        _say_unknown_fields(store, where)
        known, unknown = (_matching(store, where), []) if where is not None else _named(store, ids)
        for name in () if erase else unknown:
            say(f"No document has the id, path or name {name!r}.")
        go = bool(known) and (yes or _confirmed(known, store.count()))
        if erase and (go or (unknown and not known)):
            purge_documents(store, known, unknown)
            return
        if go:
            say(f"Removed {count(store.remove(known), 'document')}.")
        elif known or where is not None:
            say("Nothing was removed." if known else "No document matches the filter, so nothing was removed.")
    if unknown:
        raise click.exceptions.Exit(1)


def _say_unknown_fields(store: Store, where: Filter | None) -> None:
    from hybridstore.search.unknown_fields import about_unknown_fields

    for sentence in about_unknown_fields(store, where):
        say(sentence)


def _row(stored: StoredDocument) -> dict[str, Any]:
    document = stored.document
    return {"id": document.id, "title": document.title, "uri": document.uri, "chunks": len(stored.chunks)}


def _print_rows(rows: Iterator[dict[str, Any]]) -> None:
    from rich.text import Text

    terminal = console()
    for row in rows:
        line = Text(printable(shown_path(row["id"])), style="bold")
        names = [cell for cell in (row["title"], row["uri"]) if cell and cell != row["id"]]
        line.append(printable("".join(f"  {cell}" for cell in names)).replace("\n", " "), style="not bold")
        line.append(f"  {count(row['chunks'], 'chunk')}", style="not bold dim")
        terminal.print(line, soft_wrap=True)


def _named(store: Store, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the ids of the documents that are meant, and the names that mean none."""
    known, unknown = [], []
    for name in dict.fromkeys(names):
        try:
            known.append(named_document(store, name))
        except NotFound:
            unknown.append(name)
    return list(dict.fromkeys(known)), unknown


def _matching(store: Store, where: Filter) -> list[str]:
    return [str(document.id) for document in store.documents(where)]


def _confirmed(ids: list[str], total: int) -> bool:
    for id_ in ids[:_NAMED]:
        say(f"  {shown_path(id_)}")
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


@click.command(
    epilog=examples("hybridstore export notes.jsonl.gz --vectors", "hybridstore export | jq -r '.id // empty'")
)
@click.argument("file", default=_STREAM, type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--vectors", is_flag=True, help="Include the vectors, so that the import needs no model.")
@where_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no report.")
@pass_target
def export(target: Target, *, file: str, vectors: bool, conditions: tuple[str, ...], quiet: bool) -> None:
    """Write all documents, their metadata and their chunks to FILE, or to standard output.

    One line of JSON per document, after a line that describes the store. A name that ends in .gz is compressed.
    """
    from hybridstore.ingest import export_import

    target.if_stopped = "No file was written." if file != _STREAM else "The output is incomplete."
    with target.open() as store, counting("Writing", "documents", quiet=quiet) as counter:
        written = export_import.export(
            store,
            sys.stdout.buffer if file == _STREAM else file,
            vectors=vectors,
            where=combined(conditions),
            progress=counter,
        )
    if file == _STREAM:
        sys.stdout.buffer.flush()
    elif not quiet:
        say(f"Wrote {count(written, 'document')} to {file}.")


@click.command(
    name="import",
    epilog=examples(
        "hybridstore --db copy.db import notes.jsonl.gz",
        "hybridstore export --vectors | ssh backup hybridstore --db notes.db import -",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@embedder_option("For a new store: the model of documents without vectors; default: the exported store's.")
@click.option("--no-vectors", is_flag=True, help="Ignore the vectors in the file and create new ones.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no report.")
@pass_target
def import_(target: Target, *, file: str, embedder: str | None, no_vectors: bool, quiet: bool) -> None:
    """Read what `export` wrote into the store, creating it if it is missing.

    Documents keep their ids, chunks and, if the file contains them, vectors. Documents that are already in the store
    are left unchanged, so a stopped import can be run again. FILE "-" is standard input.
    """
    from hybridstore.ingest import export_import

    target.if_stopped = "Committed documents are kept; run the same command again to continue."
    with export_import.reading(sys.stdin.buffer if file == _STREAM else file) as incoming:
        header = incoming.header
        ready = header.vectors and not no_vectors
        with (
            _opened(target, header, embedder, ready=ready) as store,
            counting("Reading", "documents", quiet=quiet) as counter,
        ):
            try:
                report = export_import.load(store, incoming, vectors=ready, progress=counter)
                missing = store.embeddings.missing_count()
            except EmbedderMismatch:
                say("The file's vectors do not fit this store's; --no-vectors creates new ones.")
                raise
    if not quiet:
        say(
            f"{count(report.added, 'document')} added, {report.replaced:,} replaced, {report.unchanged:,} "
            f"unchanged; {count(report.chunks, 'chunk')} written, {report.embedded:,} of them embedded, "
            f"in {counter.seconds:.1f} s."
        )
        say_missing(missing)


def _opened(target: Target, header: ExportHeader, embedder: str | None, *, ready: bool) -> Store:
    """Open the store; a new one gets the language of the exported one and, unless it has vectors, its embedder."""
    from hybridstore import embedders
    from hybridstore.store.embedder_choice import GIVEN, NONE

    new, embedder = not target.exists(), embedder or os.environ.get(EMBEDDER)
    store = target.open(create=True, language=header.language if new else None, embedder=embedder)
    if embedder is not None or store.embeddings.active is not None or ready:
        return store
    if header.embedding is not None and header.embedding.reference == GIVEN:
        return store
    store.close()
    if header.embedding is None:
        return target.open(embedder=NONE)
    return target.open(embedder=embedders.load(header.embedding.reference, recorded=True))
