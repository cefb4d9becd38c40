"""`recall`: what a namespace remembers, for people or a model; `history` and `consolidate`: the versions of a fact."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import (
    AS_WORDS,
    DURATION,
    KEEPS,
    ORDERS,
    QueryCommand,
    Target,
    combined,
    examples,
    json_option,
    min_relevance_option,
    namespace_option,
    number_option,
    pass_target,
    query_argument,
    where_option,
)
from hybridstore.cli.terminal import console, count, print_exactly, print_json, print_json_list, printable, say

if TYPE_CHECKING:
    from hybridstore.memory import Consolidation, Recall, Recalled


@click.command(
    cls=QueryCommand,
    context_settings=AS_WORDS,
    epilog=examples(
        "hybridstore recall where does Anna live",
        "hybridstore recall where does Anna live --as-of 2026-02-01",
        "hybridstore recall --namespace user/42 what did we plan --session trip --neighbours 1 --order time",
        "hybridstore recall deadlines --recency 30d --where topic=work --max-tokens 500 | llm 'What is due?'",
    ),
)
@query_argument
@namespace_option
@number_option("--max-tokens", "The most tokens to return.", default=2000)
@click.option("--as-of", metavar="TIME", help="What held at that time: 2026-03-01, or 2026-03-01T14:30:00Z.")
@click.option("--session", metavar="NAME", help="Only this conversation.")
@where_option
@click.option(
    "--recency", type=DURATION, metavar="TIME", help="Prefer newer notes: after TIME, half of the possible penalty."
)
@click.option(
    "--neighbours", default=0, type=click.IntRange(0), metavar="N", help="Show N turns before and after each turn."
)
@min_relevance_option
@click.option("--order", default="score", type=click.Choice(ORDERS), help="Best first, or by time.")
@click.option("--block", "form", flag_value="block", help="Print the block for a model, even on a terminal.")
@click.option("--plain", "form", flag_value="plain", help="Print the list for people, even into files and pipes.")
@json_option
@pass_target
def recall(
    target: Target,
    /,
    *,
    query: Sequence[str],
    namespace: tuple[str, ...],
    conditions: Sequence[str],
    form: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Recall what answers QUERY: a list on a terminal, otherwise a block of text to pass to a model.

    The block contains as many of the best items as --max-tokens allows, each with its id, time and speaker and marked
    as data, and says what was left out.
    """
    with target.open_memory(namespace) as memory:
        recalled = memory.recall(" ".join(query), where=combined(conditions), **how)
    if as_json:
        print_json(_facts(recalled))
        return
    for note in recalled.trace.notes:
        say(note)
    if form == "plain" or (form is None and sys.stdout.isatty()):
        _print_list(recalled)
    elif str(recalled):
        print_exactly(str(recalled))
    else:
        say("Not even an empty block fits into so few tokens; raise --max-tokens.")


def _facts(recalled: Recall) -> dict[str, Any]:
    return {
        "query": recalled.query,
        "confidence": recalled.confidence,
        "confident": recalled.confident,
        "tokens": recalled.tokens,
        "left_out": asdict(recalled.left_out),
        "items": recalled.to_dicts(),
        "notes": list(recalled.trace.notes),
    }


def _print_list(recalled: Recall) -> None:
    """Print each item with its speaker, time and id; then how confident the result is, and what was left out."""
    if recalled.items and not recalled.confident:
        say(f"Probably nothing here answers this (confidence {recalled.confidence:.2f}); the closest:")
    for place, item in enumerate(recalled.items, start=1):
        if place > 1:
            console().print()
        _print_item(place, item)
    say(_summary(recalled))


def _print_item(place: int, item: Recalled) -> None:
    from rich.text import Text

    from hybridstore.cli.result_output import MARGIN, WIDEST, padded
    from hybridstore.memory.notes import short_iso

    terminal = console()
    head = Text(f"{place:>2}. ", style="bold")
    facts = [item.speaker, short_iso(item.time) if item.time else None]
    head.append(printable(" · ".join(fact for fact in facts if fact)), style="bold cyan")
    until = f"until {short_iso(item.note.valid_to)}" if item.note.valid_to else None
    relevance = f"relevance {item.relevance:.2f}" if item.relevance is not None else None
    beside = f"next to {item.beside}" if item.beside else None
    session = f"session {item.session}" if item.session and item.note.kind == "note" else None
    disputed = f"disputed by {', '.join(item.disputed_by)}" if item.disputed_by else None
    for fact in filter(None, (item.id, session, until, relevance, beside, disputed)):
        head.append(f" · {printable(fact)}", style="not bold dim")
    terminal.print(head, soft_wrap=True)
    for row in Text(printable(item.text)).wrap(terminal, min(terminal.width, WIDEST) - MARGIN, tab_size=4):
        terminal.print(padded(row), soft_wrap=True)


def _summary(recalled: Recall) -> str:
    over, copies = recalled.left_out.over_budget, recalled.left_out.copies
    if not recalled.items and not over:
        return "No note matches."
    confidence = f", confidence {recalled.confidence:.2f}" if recalled.confidence is not None else ""
    sentences = [f"{count(len(recalled), 'item')}, {count(recalled.tokens, 'token')}{confidence}."]
    if over:
        sentences.append(f"{over:,} more matched; a higher --max-tokens shows them.")
    if copies:
        sentences.append(f"{copies:,} left out because an item above says the same.")
    return " ".join(sentences)


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

    from hybridstore.cli.result_output import print_history

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
        clusters = []
        for cluster in result.clusters:
            others = [note.to_dict() for note in cluster.others]
            clusters.append({"similarity": cluster.similarity, "kept": cluster.kept.to_dict(), "others": others})
        print_json({"dry_run": result.dry_run, "clusters": clusters})
        return
    from hybridstore.cli.result_output import print_clusters

    print_clusters([((cluster.kept, *cluster.others), cluster.similarity) for cluster in result.clusters])
    say(_outcome(result))


def _outcome(result: Consolidation) -> str:
    if not result.clusters:
        return "No two notes say the same; there is nothing to merge."
    others = count(sum(len(cluster.others) for cluster in result.clusters), "note")
    if result.dry_run:
        return f"{others} would become the history of {len(result.clusters):,}; use --apply to merge them."
    return f"{others} became the history of {len(result.clusters):,}."
