"""`forget` and `purge`: notes removed from every answer, or erased from the file's bytes too."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
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
from hybridstore.errors import InputError

if TYPE_CHECKING:
    from hybridstore.backends.values import PurgeReport
    from hybridstore.memory import Memory, Note
    from hybridstore.store import Store

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    """The options of `forget` and `purge`: which notes, named in one way, and who confirms that they may go."""

    ids: tuple[str, ...]
    namespace: tuple[str, ...]
    conditions: tuple[str, ...]
    everything: bool
    dry_run: bool
    yes: bool
    as_json: bool

    def __post_init__(self) -> None:
        if bool(self.ids) + bool(self.conditions) + self.everything != 1:
            raise click.UsageError("name the notes by ID, by --where, or with --all; exactly one of the three")
        if not (self.yes or self.dry_run or self.ids or interactive()):
            raise click.UsageError("nobody can confirm here; --yes forgets without asking, --dry-run shows the notes")

    def notes(self, memory: Memory) -> tuple[Note, ...]:
        """Return the notes that would be forgotten."""
        target = list(self.ids) or combined(self.conditions)
        return memory.forget(target, dry_run=True, everything=self.everything).notes

    def confirmed(self, notes: Sequence[Note]) -> bool:
        """Return whether the notes may go: shown to a person and confirmed, where one can answer; ids need no more."""
        asks = interactive() and not self.yes
        if not self.as_json and (self.dry_run or asks):
            _show(notes, most=None if self.dry_run else _SHOWN)
        if self.dry_run or not notes or not asks:
            return not self.dry_run
        return click.confirm(f"Forget {count(len(notes), 'note')}?", err=True)


@click.command(
    epilog=examples(
        "hybridstore forget anna-home",
        "hybridstore forget --where topic=meeting --dry-run",
        "hybridstore forget --namespace user/42 --all --yes",
    )
)
@_note_options
@pass_target
def forget(target: Target, /, **options: Any) -> None:
    """Forget notes by ID, all that match a filter, or all of them; their older versions are forgotten too.

    They are no longer found, but their bytes stay in the file until they are overwritten: see `purge`. On a terminal
    the notes are shown and you are asked to confirm; elsewhere --where and --all need --yes.
    """
    selection = _Selection(**options)
    with target.open_memory(selection.namespace) as memory:
        notes = selection.notes(memory)
        gone = bool(notes) and selection.confirmed(notes)
        if gone:
            memory.forget(_ids(notes))
            target.if_stopped = "The notes are forgotten."
    if selection.as_json:
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
def purge(target: Target, /, *, no_verify: bool, **options: Any) -> None:
    """Forget notes, erase their bytes from the file, and search the file for any that are left.

    Works like `forget`; the ID of a note forgotten earlier erases what is left of it. Backups and exports are not
    touched. Exits with 1 if something may be left, and says what to do.
    """
    selection, report = _Selection(**options), None
    with target.open_memory(selection.namespace) as memory:
        notes, unknown = _known(memory, selection.ids) if selection.ids else (selection.notes(memory), [])
        for id_ in memory.store.digests(unknown):
            raise InputError(
                f"{id_} is a document, not a note; `hybridstore remove --purge {shlex.quote(id_)}` erases it"
            )
        beyond = memory.store.capabilities.erasure  # why this kind of store cannot prove it, if it cannot
        if (notes or unknown) and selection.confirmed(notes):
            report = memory.purge([*_ids(notes), *unknown], verify=not no_verify)
            target.if_stopped = "The notes are purged."
    if selection.as_json:
        facts = None if report is None else asdict(report)
        print_json({"gone": report is not None, **_facts(notes), "unknown": unknown, "report": facts})
    elif report is None:
        say(_unchanged(notes))
    else:
        _print_report(report, unknown, beyond, "note", "purge")
    if report is not None:
        _check_purged(report, beyond)


def purge_documents(store: Store, ids: Sequence[str], unknown: Sequence[str]) -> None:
    """Erase documents, and what is left of others that are gone; say so, and exit with 1 if something may be left."""
    report, beyond = store.purge([*ids, *unknown]), store.capabilities.erasure
    _print_report(report, unknown, beyond, "document", "remove --purge")
    _check_purged(report, beyond)


def _check_purged(report: PurgeReport, beyond: str | None) -> None:
    if report.clean is False or report.remedy not in ("", beyond):
        raise click.exceptions.Exit(1)


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


def _ids(notes: Sequence[Note]) -> list[str]:
    return [note.id for note in notes]


def _facts(notes: Sequence[Note]) -> dict[str, Any]:
    return {"notes": [note.to_dict() for note in notes]}


def _unchanged(notes: Sequence[Note]) -> str:
    return f"{count(len(notes), 'note')} would be forgotten; nothing was changed." if notes else "No note matches."


def _print_report(report: PurgeReport, unknown: Sequence[str], beyond: str | None, noun: str, command: str) -> None:
    for line in _report(report, unknown, beyond, noun, command):
        click.echo(printable(line))


def _report(report: PurgeReport, unknown: Sequence[str], beyond: str | None, noun: str, command: str) -> list[str]:
    """Describe a purge: what was erased, where was searched, what is left, and what to do."""
    logged = f", and {count(report.questions, 'log entry', 'log entries')} with their words" if report.questions else ""
    lines = [f"Purged {count(report.documents, noun)}{logged}."]
    if unknown:
        lines.append(f"Not among the {noun}s any more, but searched for as well: {', '.join(unknown)}.")
    if beyond:
        return [*lines, f"That no byte is left cannot be proved here: {beyond}."]
    lines.append(_verdict(report, noun))
    for place in report.residues[:_PLACES]:
        at = "" if place.offset is None else f" at byte {place.offset:,}"
        lines.append(f"    {place.what} in {place.file}{at}")
    if len(report.residues) > _PLACES:
        lines.append(f"    and {count(len(report.residues) - _PLACES, 'place')} more")
    if report.unsearched:
        lines.append(f"Too short or too common to search for: {count(report.unsearched, 'piece')}.")
    if report.remedy:
        lines.append(f"What to do: {report.remedy}. Then repeat `hybridstore {command}` with the same ids.")
    return lines


def _verdict(report: PurgeReport, noun: str) -> str:
    if report.clean is None:
        return "The file was not searched for remaining bytes (--no-verify)."
    files = " and ".join(f"{name} ({size(length)})" for name, length in report.files)
    searched = f"{files} searched for {count(report.needles, 'piece')} of the {noun}s"
    excluded = f" except {report.excluded:,} that other documents contain too" if report.excluded else ""
    if report.clean:
        return f"Clean: {searched}, and none is left{excluded}."
    if report.residues:
        return f"Not clean: {searched}, and found:"
    return f"Not clean yet: {searched}, and none is left{excluded}, but the purge is not finished."
