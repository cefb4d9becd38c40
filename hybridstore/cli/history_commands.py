"""`history` and `consolidate`: the versions of a fact, and the merging of notes that say the same."""

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
    """Show what a note superseded and what superseded it, oldest first, with the times at which each held.

    A star marks what holds now.
    """
    from datetime import UTC, datetime

    from hybridstore.cli.note_output import print_history

    with target.open_memory(namespace) as memory:
        notes, now = memory.history(identifier), datetime.now(UTC)
    if as_json:
        print_json_list({**note.to_dict(), "holds": note.holds(now)} for note in notes)
        return
    print_history(notes, now)
    if not any(note.holds(now) for note in notes):
        say("None of these holds now.")


@click.command(
    epilog=examples("hybridstore consolidate", "hybridstore consolidate --namespace user/42 --similarity 0.99 --apply")
)
@namespace_option
@click.option("--apply/--dry-run", default=False, help="Merge the notes, or only show what would be merged.")
@click.option(
    "--keep",
    default="newest",
    type=click.Choice(KEEPS),
    help="Which of the notes that say the same stays: the newest, or the most often recalled.",
)
@click.option(
    "--similarity",
    default=0.97,
    type=click.FloatRange(0, 1),
    metavar="X",
    help="The least cosine between notes that say the same; their words must agree as well.",
)
@json_option
@pass_target
def consolidate(target: Target, /, *, namespace: tuple[str, ...], as_json: bool, apply: bool, **how: Any) -> None:
    """Merge notes that say the same: one of each group stays, the others become its history.

    Nothing is lost: `history` and `recall --as-of` still find them. Without --apply, only shows what would change.
    """
    with target.open_memory(namespace) as memory:
        result = memory.consolidate(dry_run=not apply, **how)
        target.if_stopped = "The notes are merged." if apply else "Nothing was changed."
    if as_json:
        print_json(_facts(result))
        return
    from hybridstore.cli.note_output import print_clusters

    print_clusters([((cluster.kept, *cluster.others), cluster.similarity) for cluster in result.clusters])
    say(_summary(result))


def _facts(result: Consolidation) -> dict[str, Any]:
    return {
        "dry_run": result.dry_run,
        "clusters": [
            {
                "similarity": cluster.similarity,
                "kept": cluster.kept.to_dict(),
                "others": [note.to_dict() for note in cluster.others],
            }
            for cluster in result.clusters
        ],
    }


def _summary(result: Consolidation) -> str:
    if not result.clusters:
        return "No two notes say the same; there is nothing to merge."
    others = count(sum(len(cluster.others) for cluster in result.clusters), "note")
    if result.dry_run:
        return f"{others} would become the history of {len(result.clusters):,}; use --apply to merge them."
    return f"{others} became the history of {len(result.clusters):,}."
