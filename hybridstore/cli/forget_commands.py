"""`forget` and `purge`: notes removed from every answer, or erased from the file's bytes too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import (
    Target,
    combined,
    examples,
    json_option,
    namespace_option,
    options,
    pass_target,
    where_option,
    yes_option,
)
from hybridstore.cli.terminal import count, interactive, print_json, printable, say, size

if TYPE_CHECKING:
    from hybridstore.backends.values import PurgeReport
    from hybridstore.memory import Memory, Note

_SHOWN = 20  # notes shown before asking for confirmation
_PLACES = 10  # places listed where bytes are left

_note_options = options(
    click.argument("ids", metavar="[ID...]", nargs=-1),
    namespace_option,
    where_option,
    click.option("--all", "everything", is_flag=True, help="Every note in the namespace."),
    click.option("--dry-run", is_flag=True, help="Only show what would be forgotten."),
    yes_option,
    json_option,
)


@click.command(
    epilog=examples(
        "hybridstore forget anna-home",
        "hybridstore forget --where topic=meeting --dry-run",
        "hybridstore forget --namespace user/42 --all --yes",
    )
)
@_note_options
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
    """Forget notes by ID, all that match a filter, or all of them; their older versions are forgotten too.

    They are no longer found, but their bytes stay in the file until they are overwritten: see `purge`. On a terminal
    the notes are shown and you are asked to confirm; elsewhere --where and --all need --yes.
    """
    _check_selection(ids, conditions, everything=everything, confirmed=yes or dry_run)
    with target.open_memory(namespace) as memory:
        notes = memory.forget(list(ids) or combined(conditions), dry_run=True, everything=everything).notes
        if not as_json and (dry_run or (interactive() and not yes)):
            _show(notes, most=None if dry_run else _SHOWN)
        gone = bool(notes) and not dry_run and (yes or _confirmed(notes))
        if gone:
            memory.forget(_ids(notes))
            target.if_stopped = "The notes are forgotten."
    if as_json:
        print_json({"gone": gone, **_facts(notes)})
    else:
        say(f"Forgot {count(len(notes), 'note')}." if gone else _unchanged(notes))


@click.command(
    epilog=examples(
        "hybridstore purge anna-home",
        "hybridstore purge --where topic=health --yes",
        "hybridstore purge --namespace user/42 --all --dry-run",
    )
)
@_note_options
@click.option("--no-verify", is_flag=True, help="Do not search the file afterwards.")
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
    """Forget notes, erase their bytes from the file, and search the file for any that are left.

    Works like `forget`; the ID of a note forgotten earlier erases what is left of it. Backups and exports are not
    touched. Exits with 1 if something may be left, and says what to do.
    """
    _check_selection(ids, conditions, everything=everything, confirmed=yes or dry_run)
    report = None
    with target.open_memory(namespace) as memory:
        if ids:
            notes, unknown = _known(memory, ids)
        else:
            notes, unknown = memory.forget(combined(conditions), dry_run=True, everything=everything).notes, []
        if not as_json and (dry_run or (interactive() and not yes)):
            _show(notes, most=None if dry_run else _SHOWN)
        if (notes or unknown) and not dry_run and (yes or not notes or _confirmed(notes)):
            report = memory.purge([*_ids(notes), *unknown], verify=not no_verify)
            target.if_stopped = "The notes are purged."
    if as_json:
        facts = None if report is None else asdict(report)
        print_json({"gone": report is not None, **_facts(notes), "unknown": unknown, "report": facts})
    elif report is None:
        say(_unchanged(notes))
    else:
        for line in _report(report, unknown):
            click.echo(printable(line))
    if report is not None and (report.clean is False or report.remedy):
        raise click.exceptions.Exit(1)


def _check_selection(ids: Sequence[str], conditions: Sequence[str], *, everything: bool, confirmed: bool) -> None:
    """Check that the notes are named in one way, and that a person can confirm more than ids."""
    if bool(ids) + bool(conditions) + everything != 1:
        raise click.UsageError("name the notes by ID, by --where, or with --all; exactly one of the three")
    if not confirmed and not ids and not interactive():
        raise click.UsageError("nobody can confirm here; --yes forgets without asking, --dry-run shows the notes")


def _known(memory: Memory, ids: Iterable[str]) -> tuple[tuple[Note, ...], list[str]]:
    """Return the notes with these ids, with their older versions; and the ids of no (remaining) note."""
    from hybridstore.errors import NotFound

    notes: dict[str, Note] = {}
    unknown = []
    for id_ in ids:
        try:
            notes |= {note.id: note for note in memory.forget(id_, dry_run=True).notes}
        except NotFound:
            unknown.append(id_)
    return tuple(notes.values()), unknown


def _show(notes: Sequence[Note], *, most: int | None) -> None:
    """Print the notes, at most so many."""
    from hybridstore.cli.result_output import print_notes

    shown = notes[:most]
    if shown:
        print_notes(shown)
    if len(notes) > len(shown):
        say(f"and {len(notes) - len(shown):,} more; --dry-run shows all")


def _confirmed(notes: Sequence[Note]) -> bool:
    """Ask for confirmation, where a person can answer; elsewhere ids need none."""
    return not interactive() or click.confirm(f"Forget {count(len(notes), 'note')}?", err=True)


def _ids(notes: Sequence[Note]) -> list[str]:
    return [note.id for note in notes]


def _facts(notes: Sequence[Note]) -> dict[str, Any]:
    return {"notes": [note.to_dict() for note in notes]}


def _unchanged(notes: Sequence[Note]) -> str:
    return f"{count(len(notes), 'note')} would be forgotten; nothing was changed." if notes else "No note matches."


def _report(report: PurgeReport, unknown: Sequence[str]) -> list[str]:
    """Describe a purge: what was erased, where was searched, what is left, and what to do."""
    logged = f", and {count(report.questions, 'log entry', 'log entries')} with their words" if report.questions else ""
    lines = [f"Purged {count(report.documents, 'note')}{logged}."]
    if unknown:
        lines.append(f"Not among the notes any more, but searched for as well: {', '.join(unknown)}.")
    lines.append(_verdict(report))
    for place in report.residues[:_PLACES]:
        at = "" if place.offset is None else f" at byte {place.offset:,}"
        lines.append(f"    {place.what} in {place.file}{at}")
    if len(report.residues) > _PLACES:
        lines.append(f"    and {count(len(report.residues) - _PLACES, 'place')} more")
    if report.unsearched:
        lines.append(f"Too short or too common to search for: {count(report.unsearched, 'piece')}.")
    if report.remedy:
        lines.append(f"What to do: {report.remedy}. Then repeat `hybridstore purge` with the same ids.")
    return lines


def _verdict(report: PurgeReport) -> str:
    if report.clean is None:
        return "The file was not searched for remaining bytes (--no-verify)."
    files = " and ".join(f"{name} ({size(length)})" for name, length in report.files)
    searched = f"{files} searched for {count(report.needles, 'piece')} of the notes"
    excluded = f" except {report.excluded:,} that other documents contain too" if report.excluded else ""
    if report.clean:
        return f"Clean: {searched}, and none is left{excluded}."
    if report.residues:
        return f"Not clean: {searched}, and found:"
    return f"Not clean yet: {searched}, and none is left{excluded}, but the purge is not finished."
