"""`recall`: what a namespace remembers about something, for people, or as a block of text for a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.shared_options import (
    AS_WORDS,
    DURATION,
    ORDERS,
    QueryCommand,
    combined,
    examples,
    json_option,
    min_relevance_option,
    namespace_option,
    number_option,
    query_argument,
    where_option,
)
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import console, count, print_exactly, print_json, printable, say

if TYPE_CHECKING:
    from hybridstore.memory import Recall, Recalled


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

    from hybridstore.cli.hit_output import MARGIN, WIDEST, padded
    from hybridstore.memory.timestamps import short_iso

    terminal = console()
    head = Text(f"{place:>2}. ", style="bold")
    facts = [item.speaker, short_iso(item.time) if item.time else None]
    head.append(printable(" · ".join(fact for fact in facts if fact)), style="bold cyan")
    until = f"until {short_iso(item.note.valid_to)}" if item.note.valid_to else None
    relevance = f"relevance {item.relevance:.2f}" if item.relevance is not None else None
    beside = f"next to {item.beside}" if item.beside else None
    session = f"session {item.session}" if item.session and item.note.kind == "note" else None
    for fact in filter(None, (item.id, session, until, relevance, beside)):
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
