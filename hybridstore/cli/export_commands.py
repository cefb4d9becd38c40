"""`export` and `import`: all documents as lines of JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hybridstore.cli.progress_display import Rate, progress
from hybridstore.cli.shared_options import combined, embedder_option, examples, where_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import count, say
from hybridstore.errors import EmbedderMismatch

if TYPE_CHECKING:
    from hybridstore.ingest.export_format import Header
    from hybridstore.store import Store

_STREAM = "-"


@click.command(
    epilog=examples("hybridstore export notes.jsonl.gz --vectors", "hybridstore export | jq -r '.id // empty'")
)
@click.argument("file", default=_STREAM, type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--vectors", is_flag=True, help="The vectors too, so that the import needs no model.")
@where_option
@click.option("-q", "--quiet", is_flag=True, help="No progress and no report.")
@pass_target
def export(target: Target, *, file: str, vectors: bool, conditions: tuple[str, ...], quiet: bool) -> None:
    """Write all documents, their metadata and their chunks to FILE, or to standard output.

    A line of JSON for each, after one that says which store it was. A name that ends in .gz is compressed.
    """
    from hybridstore.ingest import export_import

    target.kept = "No file was written." if file != _STREAM else "The output ends where it was."
    where = combined(conditions)
    rate = Rate("documents")
    with target.open() as store, progress("Writing", quiet=quiet) as update:
        done = export_import.export(
            store,
            sys.stdout.buffer if file == _STREAM else file,
            vectors=vectors,
            where=where,
            progress=lambda done, of: update(done, of, f"{done:,}/{of:,} documents", rate.of(done)),
        )
    if file == _STREAM:
        sys.stdout.buffer.flush()
    elif not quiet:
        say(f"Wrote {count(done, 'document')} to {file}.")


@click.command(
    name="import",
    epilog=examples(
        "hybridstore --db copy.db import notes.jsonl.gz",
        "hybridstore export --vectors | ssh backup hybridstore --db notes.db import -",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@embedder_option("The model for documents without vectors, in a new store; otherwise the one they had.")
@click.option("--no-vectors", is_flag=True, help="Leave the file's vectors alone and make new ones.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no report.")
@pass_target
def import_(target: Target, *, file: str, embedder: str | None, no_vectors: bool, quiet: bool) -> None:
    """Read what `export` wrote into the store, making it if it is not there.

    Documents keep their ids, chunks and, if the file has them, vectors. Those that are there already stay as they
    are, so a stopped import can be run again. FILE "-" is standard input.
    """
    from hybridstore.ingest import export_import

    target.kept = "What was committed is kept; run the same command again to go on from there."
    rate = Rate("documents")
    with export_import.reading(sys.stdin.buffer if file == _STREAM else file) as incoming:
        header = incoming.header
        ready = header.vectors and not no_vectors
        with _opened(target, header, embedder, ready=ready) as store, progress("Reading", quiet=quiet) as update:
            try:
                report = export_import.load(
                    store,
                    incoming,
                    vectors=ready,
                    progress=lambda done, of: update(done, of, f"{done:,}/{of:,} documents", rate.of(done)),
                )
            except EmbedderMismatch:
                say("The file's vectors do not fit this store's; --no-vectors makes new ones instead.")
                raise
    if not quiet:
        say(
            f"{count(report.added, 'document')} added, {report.replaced:,} replaced, {report.unchanged:,} "
            f"unchanged; {count(report.chunks, 'chunk')} written, {report.embedded:,} of them embedded, "
            f"in {rate.seconds:.1f} s."
        )


def _opened(target: Target, header: Header, embedder: str | None, *, ready: bool) -> Store:
    """Open the store; a new one gets the exported one's language and, unless vectors are ready, its embedder."""
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
