"""`info`, `check`, `reembed` and `backup`: the store as a file that is looked after."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hybridstore.cli.progress_display import Rate, progress
from hybridstore.cli.shared_options import embedder_option, examples, json_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import console, count, print_json, printable, say, size

if TYPE_CHECKING:
    from hybridstore.backends.values import Problem, Stats
    from hybridstore.store import Store


@click.command(epilog=examples("hybridstore info", "hybridstore --db notes.db info --json"))
@json_option
@pass_target
def info(target: Target, *, as_json: bool) -> None:
    """Say what the store holds and which embedder made its vectors."""
    with target.open() as store:
        stats = store.stats()
    if as_json:
        print_json({"path": str(Path(target.path).absolute()), **asdict(stats)})
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(target, stats):
        table.add_row(name, printable(value))
    table.columns[0].style = "dim"
    table.columns[1].overflow = "fold"
    console().print(table)


def _facts(target: Target, stats: Stats) -> list[tuple[str, str]]:
    embedder = "none: keywords alone are searched"
    if stats.embedding is not None:
        embedder = f"{stats.embedding.fingerprint}, {stats.embedding.dim} dimensions"
    facts = [
        ("file", str(Path(target.path).absolute())),
        ("size", size(stats.bytes)),
        ("documents", f"{stats.documents:,}"),
        ("chunks", f"{stats.chunks:,}"),
        ("vectors", f"{stats.vectors:,}"),
        ("files read", f"{stats.sources:,}"),
        ("embedder", embedder),
        ("language", stats.language),
        ("revision", f"{stats.revision:,}"),
        ("made", stats.created),
    ]
    if stats.background is not None:
        facts.insert(7, ("power", f"{stats.background.power:.1f}; how far its vectors set a chunk apart, usually 4"))
    if stats.model is not None:
        facts.append(("model", f"number {stats.model} turns questions; `hybridstore model history` tells of it"))
    if stats.triples:
        facts.append(("triples", f"{stats.triples:,} to learn from"))
    if stats.kept is not None:
        facts.append(("kept", f"the vectors of {stats.kept.fingerprint}, to go back to"))
    if stats.building is not None:
        facts.append(("unfinished", f"a change to {stats.building.fingerprint}; `hybridstore reembed` goes on with it"))
    return facts


@click.command(epilog=examples("hybridstore check", "hybridstore check --repair"))
@click.option("--repair", is_flag=True, help="Mend what can be made again from what is there.")
@json_option
@pass_target
def check(target: Target, *, repair: bool, as_json: bool) -> None:
    """Hold documents, keywords and vectors against each other, both ways; exit with 1 while problems are left."""
    with target.open() as store:
        problems = store.check(repair=repair)
        left = problems
        if repair:
            target.kept = "What was mended is kept."
            _fill(store)
            left = store.check() if problems else []
    if as_json:
        print_json({"problems": [asdict(problem) for problem in problems], "left": [asdict(one) for one in left]})
    else:
        _tell(problems, left, repair=repair)
    if left:
        raise click.exceptions.Exit(1)


def _fill(store: Store) -> None:
    """Make the vectors that are missing, if the embedder is to be had; say why if it is not."""
    from hybridstore.errors import HybridstoreError

    if store.embeddings.building is not None or not store.embeddings.pending_count():
        return
    try:
        with progress("Embedding") as update:
            store.reembed(progress=lambda done, of: update(done, of, f"{done:,}/{of:,} chunks", ""))
    except HybridstoreError as error:
        say(f"The missing vectors could not be made: {error}.")


def _tell(problems: list[Problem], left: list[Problem], *, repair: bool) -> None:
    if not problems:
        click.echo("All is well.")
        return
    open_ = {problem.what for problem in left}
    for problem in problems:
        state = "" if not repair else " (left)" if problem.what in open_ else " (mended)"
        click.echo(printable(f"{problem.count:,} {problem.what}{state}"))
        for example in problem.examples:
            click.echo(printable(f"    {example}"))
    if repair:
        say("All is well now." if not left else f"{count(len(left), 'problem')} left.")
    else:
        say("Run `hybridstore check --repair` to mend what can be mended.")


@click.command(epilog=examples("hybridstore reembed", "hybridstore reembed --embedder multilingual-e5-small"))
@embedder_option("The model to change to, by name or folder; without it the vectors that are missing are made.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@pass_target
def reembed(target: Target, *, embedder: str | None, quiet: bool) -> None:
    """Make the vectors that are missing, or change the store to another embedder.

    Searches go on with the old vectors meanwhile; the change is one step at the end. Stopped half-way, the same
    command goes on from there.
    """
    target.kept = "The vectors made so far are kept; run the same command again to go on from there."
    rate = Rate("chunks")
    with target.open() as store, progress("Embedding", quiet=quiet) as update:
        done = store.reembed(
            embedder, progress=lambda done, of: update(done, of, f"{done:,}/{of:,} chunks", rate.of(done))
        )
        embedding = store.embeddings.active
    say(
        f"{count(done, 'vector')} made in {rate.seconds:.1f} s; "
        f"the store's embedder is {embedding.fingerprint if embedding else 'none'}."
    )


@click.command(epilog=examples("hybridstore backup notes-2024-06-01.db"))
@click.argument("file", type=click.Path(dir_okay=False))
@pass_target
def backup(target: Target, *, file: str) -> None:
    """Write a compact copy to FILE, which must not exist yet, while others go on reading and writing."""
    target.kept = f"The store is as it was; an unfinished {file} may be left to remove."
    with target.open() as store:
        store.backup(file)
    say(f"Wrote {file}, {size(Path(file).stat().st_size)}.")
