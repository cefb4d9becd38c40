"""`history` and `consolidate`: what became of a fact, and notes that say the same brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import KEEPS, examples, json_option, namespace_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import count, print_json, print_json_list, say

if TYPE_CHECKING:
    from hybridstore.memory import Consolidation


@click.command(epilog=examples("hybridstore history anna-home", "hybridstore history --namespace user/42 diet --json"))
@click.argument("identifier", metavar="ID")
@namespace_option
@json_option
@pass_target
def history(target: Target, *, identifier: str, namespace: tuple[str, ...], as_json: bool) -> None:
    """Show what a note superseded and what superseded it, oldest first, with the times in which each held.

    A star marks what holds now.
    """
    from hybridstore.cli.note_output import now, print_history

    with target.memory(namespace) as memory:
        notes, at = memory.history(identifier), now()
    if as_json:
        print_json_list({**note.to_dict(), "holds": note.holds(at)} for note in notes)
        return
    print_history(notes, at)
    if not any(note.holds(at) for note in notes):
        say("None of these holds now.")


@click.command(
    epilog=examples("hybridstore consolidate", "hybridstore consolidate --namespace user/42 --similarity 0.99 --apply")
)
@namespace_option
@click.option("--apply/--dry-run", default=False, show_default=True, help="Do it, or only show what would be done.")
@click.option(
    "--keep",
    default="newest",
    show_default=True,
    type=click.Choice(KEEPS),
    help="Which of those that say the same stays: the newest, or the one that was most of use.",
)
@click.option(
    "--similarity",
    default=0.97,
    show_default=True,
    type=click.FloatRange(0, 1),
    metavar="X",
    help="The least cosine of two notes that say the same; their words must agree besides.",
)
@json_option
@pass_target
def consolidate(target: Target, /, *, namespace: tuple[str, ...], as_json: bool, apply: bool, **how: Any) -> None:
    """Bring notes together that say the same: one of each such group stays, the others become its history.

    Nothing is lost: `history` and `recall --as-of` still find them. Without --apply it is only shown.
    """
    with target.memory(namespace) as memory:
        found = memory.consolidate(dry_run=not apply, **how)
        target.kept = "The notes are brought together." if apply else "Nothing was changed."
    if as_json:
        print_json(_facts(found))
        return
    from hybridstore.cli.note_output import print_clusters

    print_clusters([((cluster.kept, *cluster.others), cluster.similarity) for cluster in found.clusters])
    say(_told(found))


def _facts(found: Consolidation) -> dict[str, Any]:
    return {
        "dry_run": found.dry_run,
        "clusters": [
            {
                "similarity": cluster.similarity,
                "kept": cluster.kept.to_dict(),
                "others": [note.to_dict() for note in cluster.others],
            }
            for cluster in found.clusters
        ],
    }


def _told(found: Consolidation) -> str:
    if not found.clusters:
        return "No two notes say the same; nothing is to be done."
    others = count(sum(len(cluster.others) for cluster in found.clusters), "note")
    if found.dry_run:
        return f"{others} would become the history of {len(found.clusters):,}; --apply does it."
    return f"{others} became the history of {len(found.clusters):,}."
