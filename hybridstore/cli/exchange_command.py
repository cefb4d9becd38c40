"""`exchange`: changes go to other devices and come from them, through a folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hybridstore.cli.merge_commands import merge_lines, merge_sentences
from hybridstore.cli.shared_options import Target, examples, json_option, pass_target, quiet_option
from hybridstore.cli.terminal import count, counting, print_json, printable, say

if TYPE_CHECKING:
    from hybridstore.store.shared_folder import ExchangeReport


@click.command(
    epilog=examples(
        "hybridstore exchange ~/Sync/notes", "hybridstore exchange ~/Sync/notes --dry-run", "hybridstore exchange"
    )
)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False))
@click.option("--name", metavar="NAME", help="This device's name; by default the machine's, and six digits.")
@click.option("--dry-run", is_flag=True, help="Show what would come in and go out; write nothing.")
@quiet_option
@json_option
@pass_target
def exchange(
    target: Target, *, folder: str | None, name: str | None, dry_run: bool, quiet: bool, as_json: bool
) -> None:
    """Exchange changes with other devices through a folder that all of them see.

    DIR is synchronised by something else: Syncthing, Dropbox, a share, a stick, git. Each device writes in a folder of
    its own there, and merges what the others wrote. Without DIR it is the `exchange` of the config file, which `watch`
    uses by itself. Files are encrypted where the store is; all devices have the same key, or none. See docs/sync.md.
    """
    folder = folder or target.config.exchange
    if folder is None:
        raise click.UsageError('name the DIR that the devices share, or set exchange = "DIR" in hybridstore.toml')
    target.if_stopped = "What came in so far is kept; run the same command again to continue."
    opened = target.open(create=not dry_run, made_by=f"exchange {folder}")
    with opened as store, counting("Merging", "documents", quiet=quiet or as_json) as counter:
        report = store.exchange(folder, name=name, dry_run=dry_run, progress=counter)
    if as_json:
        print_json(asdict(report))
    else:
        for line in merge_lines(report.merged) if dry_run else ():
            click.echo(printable(line))
        for sentence in exchange_sentences(report):
            say(sentence)
    if report.failed or (report.merged.purge is not None and report.merged.purge.remedy):
        raise click.exceptions.Exit(1)


def exchange_sentences(report: ExchangeReport) -> list[str]:
    """Return what an exchange did, for people."""
    would = "would be " if report.dry_run else ""
    devices = f"{count(len(report.devices), 'other device')}: {', '.join(report.devices)}" if report.devices else ""
    sentences = [f"This is {report.name}; there is {devices or 'no other device yet'}."]
    sentences += merge_sentences(report.merged, "the other devices")
    out = ((report.documents, "document"), (report.removals, "removal"), (report.told, "question or verdict"))
    plurals = {"question or verdict": "questions and verdicts"}
    if parts := [count(number, noun, plurals.get(noun)) for number, noun in out if number]:
        size = "" if report.dry_run else f", in {report.bytes / 1000:,.0f} kB"
        sentences.append(f"{', '.join(parts)} {would}written for the others{size}.")
    if report.dropped:
        sentences.append(f"{count(report.dropped, 'old bundle')} of this device {would}removed.")
    if waiting := [*report.torn, *report.missing]:
        sentences.append(
            f"{count(len(waiting), 'bundle')} not here, or not whole, yet: {', '.join(waiting[:3])}"
            f"{' …' if len(waiting) > 3 else ''}. The next exchange reads what has arrived by then."
        )
    sentences += [f"{name} {reason}; it was left out." for name, reason in report.failed]
    sentences += [
        f"{device}'s bundles still hold {count(number, 'document')} that {'was' if number == 1 else 'were'} purged, "
        "until it exchanges; if it never will, remove its folder."
        for device, number in report.lingering.items()
    ]
    return sentences
