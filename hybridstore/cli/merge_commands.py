"""`merge` and `conflicts`: what another store holds, brought in, and what was changed in both."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hybridstore.cli.shared_options import (
    KEY,
    Target,
    examples,
    json_option,
    namespace_option,
    pass_target,
    quiet_option,
)
from hybridstore.cli.terminal import count, counting, print_json, printable, say
from hybridstore.errors import FileRefused
from hybridstore.locations import is_url

if TYPE_CHECKING:
    from hybridstore.cli.shared_options import Origin
    from hybridstore.store.merging import MergeReport

_AHEAD = 120  # seconds by which clocks may differ before it is worth a word
_SHOWN = 60  # characters of a version that are printed


@click.command(
    epilog=examples("hybridstore merge laptop.db --dry-run", "hybridstore --db notes.db merge /media/stick/notes.db")
)
@click.argument("other", metavar="OTHER.db", type=click.Path(dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Show what would come in, go, and stand in conflict; write nothing.")
@quiet_option
@json_option
@pass_target
def merge(target: Target, *, other: str, dry_run: bool, quiet: bool, as_json: bool) -> None:
    """Bring in what another store holds, removed, purged and was told; OTHER is only read, and may be read-only.

    Two stores that are merged into each other hold the same, in whatever order and however often. The later version of
    a document wins; what was changed in both is kept as a copy beside it. What was purged there is purged here. Vectors
    are taken over where the embedder is the same. Both stores have the same key, or none.
    """
    target.if_stopped = "What was merged so far is kept; run the same command again to continue."
    if not is_url(other) and not Path(other).exists():
        raise FileRefused(other, "there is no such store to merge; check the path")

    def origin() -> Origin:
        from hybridstore.store.opening import open_other

        with open_other(other, key=os.environ.get(KEY) or None) as opened:
            return opened.language, opened.embeddings.active

    made_by = f"merge {shlex.quote(other)}"
    opened = target.open_to_receive(create=not dry_run, made_by=made_by, origin=origin)
    with opened as store, counting("Merging", "documents", quiet=quiet or as_json) as counter:
        report = store.merge(other, dry_run=dry_run, progress=counter)
    if as_json:
        print_json(asdict(report))
    else:
        for line in merge_lines(report) if dry_run else ():
            click.echo(printable(line))
        for sentence in merge_sentences(report, other):
            say(sentence)
    if report.purge is not None and report.purge.remedy:
        raise click.exceptions.Exit(1)


def merge_lines(report: MergeReport) -> list[str]:
    """Return a line for each document that comes in, goes, or is in conflict."""
    signs = (("added", report.added), ("replaced", report.replaced), ("removed", report.removed))
    lines = [f"{word:9} {id_}" for word, ids in (*signs, ("purged", report.purged)) for id_ in ids]
    return [*lines, *(f"{'conflict':9} {id_} (its other version becomes {copy})" for id_, copy in report.conflicts)]


def merge_sentences(report: MergeReport, other: str) -> list[str]:
    """Return what a merge did, for people; `other` is what it read."""
    would = "would be " if report.dry_run else ""
    changes = {"added": report.added, "replaced": report.replaced, "removed": report.removed, "purged": report.purged}
    done = [f"{count(len(ids), 'document')} {would}{word}" for word, ids in changes.items() if ids]
    learned = {"query": report.queries, "verdict": report.feedback, "expectation": report.expectations}
    plurals = {"query": "queries"}
    names = [count(number, noun, plurals.get(noun)) for noun, number in learned.items() if number]
    done += [f"{', '.join(names)} {would}taken over"] if names else []
    news = done or report.conflicts or report.purge
    sentences = [f"{'; '.join(done)}."] if done else [] if news else [f"Nothing new in {other}."]
    if report.conflicts:
        sentences.append(
            f"{count(len(report.conflicts), 'document')} changed on both sides: the later version counts, and the "
            "other one becomes a document beside it; `hybridstore conflicts` shows both."
        )
    if report.purge is not None and report.purge.clean:
        sentences.append(f"The file was rewritten and searched for what was purged: {_searched(report)}.")
    if report.purge is not None and report.purge.remedy:
        sentences.append(f"Not all bytes of what was purged are gone: {report.purge.remedy}.")
    if report.ahead > _AHEAD:
        sentences.append(
            f"Something in {other} was written {_span(report.ahead)} in the future, by this machine's clock. Where one "
            "clock is wrong, its versions win over what was changed elsewhere meanwhile: write again what should "
            "count, for a change of a version is always later than it."
        )
    sentences += [f"{note[0].upper()}{note[1:]}." for note in report.notes]
    if report.pending:
        sentences.append(f"{count(report.pending, 'chunk')} without a vector; `hybridstore embed` makes them.")
    return sentences


def _searched(report: MergeReport) -> str:
    needles = report.purge.needles if report.purge else 0
    return f"none of {count(needles, 'piece')} is left" if needles else "it was not in here any more"


def _span(seconds: float) -> str:
    return count(round(seconds / 86_400), "day") if seconds > 86_400 else count(round(seconds / 60), "minute")


@click.command(
    epilog=examples(
        "hybridstore conflicts", "hybridstore conflicts --keep plan~f1a2b3c4d", "hybridstore conflicts --json"
    )
)
@namespace_option
@click.option("--keep", metavar="ID", help="Keep this version, of a document or its copy, or this note.")
@json_option
@pass_target
def conflicts(target: Target, *, namespace: tuple[str, ...], keep: str | None, as_json: bool) -> None:
    """Show documents that were changed in two stores before these were merged, in both versions.

    Both are found until one is kept; the next merge tells the other stores. So are notes of a namespace that replaced
    the same note on two devices: both are recalled, saying that they disagree, until one is kept, which supersedes the
    others.
    """
    with target.open_memory(namespace) as memory:
        store, forks = memory.store, memory.forks()
        if keep is not None:
            target.if_stopped = "The conflict may not be ended; run the command again."
            if any(note.id == keep for notes in forks for note in notes):
                memory.choose(keep)
            else:
                store.keep_version(keep)
            say(f"{keep} was kept.")
            return
        pairs = store.conflicts()
        there = store.digests([id_ for id_, _ in pairs])
        found = [
            {
                "id": id_,
                "copy": copy,
                "text": store.get(id_).text if id_ in there else None,
                "other": store.get(copy).text,
            }
            for id_, copy in pairs
        ]
    if as_json:
        disputed = [{"notes": [{"id": note.id, "text": note.text} for note in notes]} for notes in forks]
        print_json([*found, *disputed])
        return
    shown = [((each["id"], each["text"]), (each["copy"], each["other"])) for each in found]
    for versions in [*shown, *([(note.id, note.text) for note in notes] for notes in forks)]:
        for id_, text in versions:
            first = " ".join(str(text).split()) if text is not None else "(removed)"
            click.echo(printable(f"{id_}: {first[:_SHOWN]}{'…' if len(first) > _SHOWN else ''}"))
        click.echo("")
    if not found and not forks:
        say("No document was changed on two sides.")
    else:
        say(f"{count(len(found) + len(forks), 'conflict')}; `hybridstore conflicts --keep ID` ends one.")
