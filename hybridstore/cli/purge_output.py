"""How a purge is told: what went, what was looked for and where, whether the file is clean, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from hybridstore.cli.terminal import count, printable, size

if TYPE_CHECKING:
    from hybridstore.backends.values import PurgeReport

_PLACES = 10  # told of what is left


def print_purged(report: PurgeReport, unknown: Sequence[str]) -> None:
    """Print it in plain words; `unknown` are the ids that named no note, or none any more."""
    questions = f", and {count(report.questions, 'question')} that held words of them" if report.questions else ""
    said = [f"Purged {count(report.documents, 'note')}{questions}."]
    if unknown:
        said.append(f"No note is called so any more, which was looked for all the same: {', '.join(unknown)}.")
    said.append(_found(report))
    for place in report.residues[:_PLACES]:
        at = "" if place.offset is None else f" at byte {place.offset:,}"
        said.append(f"    {place.what} in {place.file}{at}")
    if len(report.residues) > _PLACES:
        said.append(f"    and {count(len(report.residues) - _PLACES, 'place')} more")
    if report.unsearched:
        said.append(f"Not looked for, as too short or too plain to tell anything: {count(report.unsearched, 'piece')}.")
    if report.remedy:
        said.append(f"What to do: {report.remedy}. `hybridstore purge` with the same ids does that from here.")
    for line in said:
        click.echo(printable(line))


def _found(report: PurgeReport) -> str:
    if report.clean is None:
        return "Nobody looked whether anything is left (--no-verify)."
    files = " and ".join(f"{name} ({size(length)})" for name, length in report.files)
    looked = f"{files} looked through for {count(report.needles, 'piece')} of what went"
    held = f" but {report.excluded:,} that other documents hold too" if report.excluded else ""
    if report.clean:
        return f"Clean: {looked}, and none is left{held}."
    if report.residues:
        return f"Not clean: {looked}, and found:"
    return f"Not clean yet: {looked}, and none is left{held}, but the work is not finished."
