"""`forget` and `purge`: notes taken away, out of every answer, or out of the file's bytes too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import combined, examples, json_option, namespace_option, where_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import count, print_json, say, somebody_to_ask

if TYPE_CHECKING:
    from hybridstore.memory import Memory, Note

_SHOWN = 20  # notes shown before asking if they are to go


def _taking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `forget` and `purge` what they have in common."""
    for option in reversed(
        (
            click.argument("ids", metavar="[ID...]", nargs=-1),
            namespace_option,
            where_option,
            click.option("--all", "everything", is_flag=True, help="All that the namespace remembers."),
            click.option("--dry-run", is_flag=True, help="Only show what would go."),
            click.option("-y", "--yes", is_flag=True, help="Do not ask."),
            json_option,
        )
    ):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "hybridstore forget anna-home",
        "hybridstore forget --where topic=meeting --dry-run",
        "hybridstore forget --namespace user/42 --all --yes",
    )
)
@_taking
@pass_target
def forget(
    target: Target,
    *,
    ids: tuple[str, ...],
    namespace: tuple[str, ...],
    conditions: Sequence[str],
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Forget notes, by ID, all that pass a filter, or all there are; their older versions go with them.

    They are found no more, but their bytes stay in the file until they are written over: see `purge`. On a terminal
    they are shown and it is asked before; elsewhere --where and --all want --yes.
    """
    _one_target(ids, conditions, everything=everything, asks=not (yes or dry_run))
    with target.memory(namespace) as memory:
        notes = memory.forget(list(ids) or combined(conditions), dry_run=True, everything=everything).notes
        if not as_json and (dry_run or (somebody_to_ask() and not yes)):
            _show(notes, most=None if dry_run else _SHOWN)
        goes = bool(notes) and not dry_run and (yes or _agreed(notes))
        if goes:
            memory.forget(_ids(notes))
            target.kept = "The notes are forgotten."
    if as_json:
        print_json({"gone": goes, **_facts(notes)})
    else:
        say(f"Forgot {count(len(notes), 'note')}." if goes else _left(notes))


@click.command(
    epilog=examples(
        "hybridstore purge anna-home",
        "hybridstore purge --where topic=health --yes",
        "hybridstore purge --namespace user/42 --all --dry-run",
    )
)
@_taking
@click.option("--no-verify", is_flag=True, help="Do not look through the file afterwards.")
@pass_target
def purge(
    target: Target,
    *,
    ids: tuple[str, ...],
    namespace: tuple[str, ...],
    conditions: Sequence[str],
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    no_verify: bool,
) -> None:
    """Forget notes so that no byte of them is left in the file, and look through it whether any is.

    As `forget`; the ID of a note that was forgotten before erases what is left of it. Backups and exports are not
    touched. Exits with 1 if something may be left, and says what to do.
    """
    _one_target(ids, conditions, everything=everything, asks=not (yes or dry_run))
    report = None
    with target.memory(namespace) as memory:
        if ids:
            notes, unknown = _known(memory, ids)
        else:
            notes, unknown = memory.forget(combined(conditions), dry_run=True, everything=everything).notes, []
        if not as_json and (dry_run or (somebody_to_ask() and not yes)):
            _show(notes, most=None if dry_run else _SHOWN)
        if (notes or unknown) and not dry_run and (yes or not notes or _agreed(notes)):
            report = memory.purge([*_ids(notes), *unknown], verify=not no_verify)
            target.kept = "The notes are purged."
    if as_json:
        told = None if report is None else asdict(report)
        print_json({"gone": report is not None, **_facts(notes), "unknown": unknown, "report": told})
    elif report is None:
        say(_left(notes))
    else:
        from hybridstore.cli.purge_output import print_purged

        print_purged(report, unknown)
    if report is not None and (report.clean is False or report.remedy):
        raise click.exceptions.Exit(1)


def _one_target(ids: Sequence[str], conditions: Sequence[str], *, everything: bool, asks: bool) -> None:
    """See that one thing is said to go, and that somebody can be asked about more than what is named."""
    if bool(ids) + bool(conditions) + everything != 1:
        raise click.UsageError("name the notes by ID, or by --where, or say --all; one of the three")
    if asks and not ids and not somebody_to_ask():
        raise click.UsageError("there is nobody to ask here; --yes does it without asking, --dry-run shows what goes")


def _known(memory: Memory, ids: Iterable[str]) -> tuple[tuple[Note, ...], list[str]]:
    """Give the notes that these ids name, with their older versions; and the ids that name none, or none any more."""
    from hybridstore.errors import NotFound

    found: dict[str, Note] = {}
    unknown = []
    for id_ in ids:
        try:
            found |= {note.id: note for note in memory.forget(id_, dry_run=True).notes}
        except NotFound:
            unknown.append(id_)
    return tuple(found.values()), unknown


def _show(notes: Sequence[Note], *, most: int | None) -> None:
    """Print what would go, `most` of it."""
    from hybridstore.cli.note_output import print_notes

    shown = notes[:most]
    if shown:
        print_notes(shown)
    if len(notes) > len(shown):
        say(f"and {len(notes) - len(shown):,} more; --dry-run shows all")


def _agreed(notes: Sequence[Note]) -> bool:
    """Ask, where somebody is there; ids need no question elsewhere."""
    return not somebody_to_ask() or click.confirm(f"Take away {count(len(notes), 'note')}?", err=True)


def _ids(notes: Sequence[Note]) -> list[str]:
    return [note.id for note in notes]


def _facts(notes: Sequence[Note]) -> dict[str, Any]:
    return {"notes": [note.to_dict() for note in notes]}


def _left(notes: Sequence[Note]) -> str:
    return (
        f"{count(len(notes), 'note')} would go; nothing was taken away." if notes else "Nothing there is meant by that."
    )
