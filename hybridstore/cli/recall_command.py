"""`recall`: what a namespace remembers about something, for people, or as a block of text for a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from hybridstore.cli.durations import DURATION
from hybridstore.cli.sentence_arguments import AS_WORDS, QueryCommand
from hybridstore.cli.shared_options import ORDERS, combined, examples, json_option, namespace_option, where_option
from hybridstore.cli.store_option import Target, pass_target
from hybridstore.cli.terminal import console, count, print_exactly, print_json, printable, say

if TYPE_CHECKING:
    from hybridstore.memory import Recall, Recalled

_WIDEST = 110  # columns of a text: longer lines are hard to read
_MARGIN = 4


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
@click.argument("query", metavar="QUERY...", nargs=-1, required=True)
@namespace_option
@click.option(
    "--max-tokens", default=2000, show_default=True, type=click.IntRange(1), metavar="N", help="How much may come."
)
@click.option("--as-of", metavar="TIME", help="What held then: 2026-03-01, or 2026-03-01T14:30:00Z.")
@click.option("--session", metavar="NAME", help="Only of this conversation.")
@where_option
@click.option(
    "--recency", type=DURATION, metavar="TIME", help="The newer the better: half of what age can take is gone in TIME."
)
@click.option(
    "--neighbours",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Show N turns to either side of each turn.",
)
@click.option(
    "--min-relevance", type=click.FloatRange(0, 1), metavar="X", help="From 0 to 1: leave out what is less relevant."
)
@click.option("--order", default="score", show_default=True, type=click.Choice(ORDERS), help="Best first, or by time.")
@click.option("--block", "form", flag_value="block", help="The block for a model, on a terminal too.")
@click.option("--plain", "form", flag_value="plain", help="The list for people, into files and pipes too.")
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
    """Recall what answers QUERY: on a terminal a list, else the block of text to hand to a model.

    The block holds as much of the best as --max-tokens allow, each item with its id, time and speaker, marked as data,
    and says what was left out.
    """
    with target.memory(namespace) as memory:
        found = memory.recall(" ".join(query), where=combined(conditions), **how)
    if as_json:
        print_json(_facts(found))
        return
    for note in found.trace.notes:
        say(note)
    if form == "plain" or (form is None and sys.stdout.isatty()):
        _print_list(found)
    elif str(found):
        print_exactly(str(found))
    else:
        say("Not even an empty block fits into so few tokens; a higher --max-tokens shows something.")


def _facts(found: Recall) -> dict[str, Any]:
    return {
        "query": found.query,
        "confidence": found.confidence,
        "confident": found.confident,
        "tokens": found.tokens,
        "left_out": asdict(found.left_out),
        "items": found.to_dicts(),
        "notes": list(found.trace.notes),
    }


def _print_list(found: Recall) -> None:
    """Print each item: who said it and when, its id, what it says; and tell how sure that is, and what is missing."""
    if found.items and not found.confident:
        say(f"Probably nothing here answers this (confidence {found.confidence:.2f}); what comes nearest:")
    terminal = console()
    for place, item in enumerate(found.items, start=1):
        if place > 1:
            terminal.print()
        _print_item(place, item)
    say(_summary(found))


def _print_item(place: int, item: Recalled) -> None:
    from rich.text import Text

    from hybridstore.memory.timestamps import short_iso

    terminal = console()
    head = Text(f"{place:>2}. ", style="bold")
    facts = [item.speaker, short_iso(item.time) if item.time else None]
    head.append(printable(" · ".join(fact for fact in facts if fact)), style="bold cyan")
    until = f"until {short_iso(item.note.valid_to)}" if item.note.valid_to else None
    relevance = f"relevance {item.relevance:.2f}" if item.relevance is not None else None
    beside = f"beside {item.beside}" if item.beside else None
    session = f"session {item.session}" if item.session and item.note.kind == "note" else None
    for fact in filter(None, (item.id, session, until, relevance, beside)):
        head.append(f" · {printable(fact)}", style="not bold dim")
    terminal.print(head, soft_wrap=True)
    for row in Text(printable(item.text)).wrap(terminal, min(terminal.width, _WIDEST) - _MARGIN, tab_size=4):
        terminal.print(Text(" " * _MARGIN) + row, soft_wrap=True)


def _summary(found: Recall) -> str:
    over, copies = found.left_out.over_budget, found.left_out.copies
    if not found.items and not over:
        return "Nothing that is remembered matches."
    sure = f", confidence {found.confidence:.2f}" if found.confidence is not None else ""
    said = [f"{count(len(found), 'item')}, {count(found.tokens, 'token')}{sure}."]
    if over:
        said.append(f"{over:,} more matched; a higher --max-tokens shows them.")
    if copies:
        said.append(f"{copies:,} that say the same as one above are left out.")
    return " ".join(said)
