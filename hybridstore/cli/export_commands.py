"""`export` and `import`: all documents as JSON lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hybridstore.cli.shared_options import combined, embedder_option, examples, where_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import count, counting, say
from hybridstore.errors import EmbedderMismatch

if TYPE_CHECKING:
    from hybridstore.ingest.export_import import ExportHeader
    from hybridstore.store import Store

_STREAM = "-"


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
            except EmbedderMismatch:
                say("The file's vectors do not fit this store's; --no-vectors creates new ones.")
                raise
    if not quiet:
        say(
            f"{count(report.added, 'document')} added, {report.replaced:,} replaced, {report.unchanged:,} "
            f"unchanged; {count(report.chunks, 'chunk')} written, {report.embedded:,} of them embedded, "
            f"in {counter.seconds:.1f} s."
        )


def _opened(target: Target, header: ExportHeader, embedder: str | None, *, ready: bool) -> Store:
    """Open the store; a new one gets the language of the exported one and, unless it has vectors, its embedder."""
    from hybridstore.store.embedder_choice import GIVEN, NONE

    new = not Path(target.path).exists()
    store = target.open(create=True, language=header.language if new else None, embedder=embedder)
    if embedder is not None or store.embeddings.active is not None or ready:
        return store
    reference = NONE if header.embedding is None else header.embedding.reference
    if reference == GIVEN:
        return store
    store.close()
    return target.open(embedder=reference)
