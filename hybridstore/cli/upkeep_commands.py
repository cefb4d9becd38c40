"""`info`, `check`, `reembed`, `reindex`, `compact` and `backup`: maintenance of the store."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hybridstore.cli.shared_options import (
    EMPTY,
    KEY,
    Target,
    embedder_option,
    examples,
    html_option,
    json_option,
    number_option,
    pass_target,
    quiet_option,
)
from hybridstore.cli.terminal import count, counting, print_facts, print_json, printable, say, size, write_page
from hybridstore.locations import is_url, without_secrets

if TYPE_CHECKING:
    from hybridstore.backends.values import Problem, Stats, VectorLeg
    from hybridstore.store import Store

CODECS = ("float32", "float16", "int8", "int4")  # as in the codecs' own room; a test compares them


@click.command(epilog=examples("hybridstore info", "hybridstore info --html store.html", "hybridstore info --json"))
@html_option("Check the store, and write a web page in one file: contents, a map of passages, memory, learning.")
@json_option
@pass_target
def info(target: Target, *, page: Path | None, as_json: bool) -> None:
    """Show what the store contains and which embedder made its vectors."""
    with target.open() as store:
        if page is not None:
            write_page(_page(store), page)
        stats, missing = store.stats(), store.embeddings.missing_count()
        place = store.location if is_url(target.path) else str(Path(target.path).absolute())
    note = language_advice(stats)
    if as_json:
        print_json({"path": place, **asdict(stats), "without_vectors": missing, "note": note})
    elif page is None:
        print_facts([*_facts(place, stats, missing), *([("note", note)] if note else [])])
        if not stats.documents:
            say(EMPTY)


def _page(store: Store) -> str:
    from hybridstore.serving import overview
    from hybridstore.views.store_page import store_page

    return store_page(
        overview.contents(store, check=True),
        overview.passage_map(store),
        overview.memory(store),
        overview.learning(store),
    )


_REINDEX = "of an earlier version, which finds fewer spellings; `hybridstore reindex` makes them anew, without a model"


def _outdated(stats: Stats) -> bool:
    """Return whether `reindex` would improve the keywords."""
    from hybridstore.text.analysis import ANALYSIS_VERSION

    return stats.analysis < ANALYSIS_VERSION


def _facts(place: str, stats: Stats, missing: int) -> list[tuple[str, str]]:
    embedder = "none: only keywords are searched"
    if stats.embedding is not None:
        embedder = f"{stats.embedding.fingerprint}, {stats.embedding.dim} dimensions"
    facts = [
        ("store" if is_url(place) else "file", place),
        ("size", size(stats.bytes)),
        ("documents", f"{stats.documents:,}"),
        ("chunks", f"{stats.chunks:,}"),
        ("vectors", f"{stats.vectors:,}"),
        ("files read", f"{stats.sources:,}"),
        ("embedder", embedder),
        ("language", stats.language),
        ("vectors as", stats.codec),
        ("revision", f"{stats.revision:,}"),
        ("created", stats.created),
    ]
    if stats.background is not None:
        facts.insert(7, ("power", f"{stats.background.power:.1f}; how well its vectors separate chunks, usually 4"))
    for leg in stats.legs:
        facts.insert(facts.index(("language", stats.language)), ("added", _leg(leg, stats.chunks)))
    if missing:
        facts.insert(5, ("without", f"{count(missing, 'chunk')} without a vector; `hybridstore embed` makes them"))
    if stats.model is not None:
        facts.append(("model", f"version {stats.model} adapts queries; see `hybridstore model history`"))
    if _outdated(stats):
        facts.append(("keywords", _REINDEX))
    if stats.triples:
        facts.append(("triples", f"{stats.triples:,} to train on"))
    if stats.kept is not None:
        facts.append(("kept", f"the vectors of {stats.kept.fingerprint}, for a rollback"))
    if stats.building is not None:
        facts.append(("unfinished", f"a change to {stats.building.fingerprint}; `hybridstore reembed` continues it"))
    return facts


def language_advice(stats: Stats) -> str | None:
    """Return what to do where the vectors cannot read the languages of the passages; None for most stores."""
    from hybridstore.store.languages import advice

    return advice(stats.embedding, stats.background, stats.legs)


def _leg(leg: VectorLeg, chunks: int) -> str:
    """Describe a vector leg beside the store's own."""
    name = f"{leg.embedding.fingerprint}, {leg.embedding.dim} dimensions"
    if leg.calibration is None:
        return (
            f"{name}: not finished, {leg.vectors:,} of {chunks:,} vectors; "
            f"`hybridstore reembed --add {leg.embedding.reference}` continues it"
        )
    lacking = f", {count(chunks - leg.vectors, 'chunk')} without a vector" if leg.vectors < chunks else ""
    return f"{name}, power {leg.calibration.power:.1f}{lacking}"


@click.command(epilog=examples("hybridstore check", "hybridstore check --repair"))
@click.option("--repair", is_flag=True, help="Repair what can be rebuilt from the rest.")
@json_option
@pass_target
def check(target: Target, *, repair: bool, as_json: bool) -> None:
    """Check that what is stored is what was written and fits together; exit with 1 while problems remain."""
    with target.open() as store:
        with counting("Checking", "chunks", quiet=as_json) as counter:
            problems = store.check(repair=repair, progress=counter)
        outdated = not as_json and _outdated(store.stats()) if not problems else False
        left = problems
        if repair:
            target.if_stopped = "What was repaired is kept."
            _fill(store)
            left = store.check() if problems else []
    if as_json:
        print_json(
            {"problems": [asdict(problem) for problem in problems], "left": [asdict(problem) for problem in left]}
        )
    else:
        _print_problems(problems, left, repair=repair)
    if outdated:
        say(f"The keywords are {_REINDEX}.")
    if left:
        raise click.exceptions.Exit(1)


def _fill(store: Store) -> None:
    """Create the missing vectors if the embedder is available; say why if it is not."""
    from hybridstore.errors import HybridstoreError

    there = store.embeddings
    lacking = there.pending_count() or any(there.pending_count(leg.fingerprint) for leg in there.added)
    if there.building is not None or not lacking:
        return
    try:
        with counting("Embedding", "chunks") as counter:
            store.reembed(progress=counter)
    except HybridstoreError as error:
        say(f"The missing vectors could not be created: {error}.")


def _print_problems(problems: list[Problem], left: list[Problem], *, repair: bool) -> None:
    if not problems:
        click.echo("No problems found.")
        return
    remaining = {problem.what for problem in left}
    for problem in problems:
        state = "" if not repair else " (left)" if problem.what in remaining else " (repaired)"
        click.echo(printable(f"{problem.count:,} {problem.what}{state}"))
        for example in problem.examples:
            click.echo(printable(f"    {example}"))
    if repair:
        say("All problems are repaired." if not left else f"{count(len(left), 'problem')} left.")
    else:
        say("Run `hybridstore check --repair` to repair what can be repaired.")


@click.command(epilog=examples("hybridstore embed", "hybridstore embed --limit 5000"))
@number_option("--limit", "Most vectors to make.", default=None)
@quiet_option
@pass_target
def embed(target: Target, *, limit: int | None, quiet: bool) -> None:
    """Make the vectors that are still missing: words find those passages, and their meaning is estimated.

    `add` makes them itself; this goes on where it was stopped. What was searched for comes first, then the newest.
    Several processes can do it at once, while others search and write.
    """
    target.if_stopped = "The vectors made so far are kept; run the same command again to continue."
    with target.open() as store, counting("Meaning", "vectors", quiet=quiet) as counter:
        made, missing = store.embed(limit=limit, progress=counter), store.embeddings.missing_count()
        there, building = store.state(), store.embeddings.building
    left = f"; {missing:,} {'is' if missing == 1 else 'are'} still missing" if missing else ""
    say(f"{count(made, 'vector')} made in {counter.seconds:.1f} s{left}.")
    if there.embedding is None and there.chunks:
        say("This store has no vectors at all; `hybridstore reembed --embedder NAME` gives it some.")
    elif building is not None:
        say(f"A change to {building.fingerprint} is unfinished, which makes all vectors: `hybridstore reembed`.")
    elif missing and not made:
        say("None can be made: its vectors were passed by a program, or there is no embedder here.")


@click.command(
    epilog=examples(
        "hybridstore reembed",
        "hybridstore reembed --embedder multilingual-e5-small",
        "hybridstore reembed --add multilingual-e5-small",
    )
)
@embedder_option("The model to change to, by name or folder; without it, missing vectors are created.")
@click.option(
    "--add", metavar="NAME-OR-FOLDER", help="A model whose vectors are to be searched too, beside those there are."
)
@click.option("--force", is_flag=True, help="Switch even if that breaks expectations.")
@quiet_option
@pass_target
def reembed(target: Target, *, embedder: str | None, add: str | None, force: bool, quiet: bool) -> None:
    """Create missing vectors, change the store to another embedder, or add another one's vectors.

    Searches use the old vectors meanwhile; the switch is one step at the end. A stopped change is continued by the
    same command. With --add, words and the vectors of all embedders are searched from then on, each for what it is
    worth here; `hybridstore model drop` takes an embedder's vectors away again.
    """
    if add is not None and embedder is not None:
        raise click.UsageError("--embedder changes the store's vectors and --add puts others beside them; give one")
    target.if_stopped = "The vectors made so far are kept; run the same command again to continue."
    with target.open() as store, counting("Embedding", "chunks", quiet=quiet) as counter:
        made = store.reembed(embedder, add=add, force=force, progress=counter)
        embeddings = store.embeddings
        names = [each.fingerprint for each in (embeddings.active, *embeddings.added) if each is not None]
        lacking = {leg.reference: embeddings.pending_count(leg.fingerprint) for leg in embeddings.added}
    embedders = "embedders are" if len(names) > 1 else "embedder is"
    say(
        f"{count(made, 'vector')} made in {counter.seconds:.1f} s; "
        f"the store's {embedders} {' and '.join(names) or 'none'}."
    )
    for name, number in lacking.items():
        if number:
            say(f"{count(number, 'chunk')} without a vector of {name}: `hybridstore reembed --add {name}` says why.")


@click.command(epilog=examples("hybridstore reindex"))
@click.option("--force", is_flag=True, help="Even if it breaks expectations.")
@pass_target
def reindex(target: Target, *, force: bool) -> None:
    """Make the keywords anew with this version's analysis of words; vectors stay, and no model runs.

    Needed only after an update: a store goes on working with the analysis that it was made with.
    """
    target.if_stopped = "Nothing has changed."
    with target.open() as store:
        made = store.reindex(force=force)
    say(f"The keywords of {count(made, 'chunk')} were made anew.")


@click.command(epilog=examples("hybridstore recode float16", "hybridstore recode int8 && hybridstore compact"))
@click.argument("codec", metavar="CODEC", type=click.Choice(CODECS))
@click.option("--force", is_flag=True, help="Even if it breaks expectations.")
@quiet_option
@pass_target
def recode(target: Target, *, codec: str, force: bool, quiet: bool) -> None:
    """Keep the vectors in the file by another codec: float32, float16, int8 or int4, ever less of each.

    What a shorter codec leaves out is gone: a longer one does not bring it back, `reembed` does. The file gets smaller
    with `compact`. docs/storage.md has what each saves, and what it costs in quality.
    """
    from hybridstore.codecs.kept_vectors import codec_for

    target.if_stopped = "Nothing has changed."
    with target.open() as store, counting("Recoding", "vectors", quiet=quiet) as counter:
        before = store.stats()
        made = store.recode(codec, force=force, progress=counter)
    dim = before.embedding.dim if before.embedding else 0
    saved = made * (codec_for(before.codec, dim).size(dim) - codec_for(codec, dim).size(dim))
    gives = f" `hybridstore compact` gives about {size(saved)} back to the disk." if saved > 0 else ""
    say(f"{count(made, 'vector')} kept as {codec}, which were {before.codec}.{gives}")


@click.command(epilog=examples("hybridstore compact", "hybridstore --db notes.db compact --json"))
@json_option
@pass_target
def compact(target: Target, *, as_json: bool) -> None:
    """Rewrite the file without the space that removed and replaced documents left in it.

    Others can read meanwhile, but not write; the disk needs room for a second copy. To erase what was removed, and
    prove it, see `purge`.
    """
    target.if_stopped = "The store's content is unchanged."
    with target.open() as store:
        report = store.compact()
    if as_json:
        print_json(asdict(report))
        return
    click.echo(f"Compacted from {size(report.before)} to {size(report.after)} in {report.seconds:.1f} s.")
    if report.remedy:
        say(f"Not all is done: {report.remedy}.")


@click.command(epilog=examples("hybridstore backup notes-2024-06-01.db"))
@click.argument("file", type=click.Path(dir_okay=False))
@pass_target
def backup(target: Target, *, file: str) -> None:
    """Write a compact copy to FILE, which must not exist yet, while others read and write."""
    target.if_stopped = "The store is unchanged, and no copy was written."
    with target.open() as store:
        store.backup(file)
    say(f"Wrote {file}, {size(Path(file).stat().st_size)}.")


@click.command(epilog=examples("hybridstore move notes.db 'postgresql://anna@db.example/team?store=notes'"))
@click.argument("source", metavar="FROM", type=click.Path(dir_okay=False))
@click.argument("place", metavar="TO", type=click.Path(dir_okay=False))
@quiet_option
def move(*, source: str, place: str, quiet: bool) -> None:
    """Copy the whole store FROM a file TO the URL of a new one on a server, or from a URL to a new file.

    Documents, vectors, notes, models, triples, the query log and settings go along. FROM is not changed; remove it when
    TO is what you want. HYBRIDSTORE_KEY is the key of an encrypted file to read.
    """
    from hybridstore.store import move as move_store

    with counting("Moving", "documents", quiet=quiet) as counter:
        moved = move_store(source, place, key=os.environ.get(KEY) or None, progress=counter)
    say(f"{count(moved, 'document')} moved to {without_secrets(place)}.")
