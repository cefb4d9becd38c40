"""Options that several commands share, so that they are called and explained alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hybridstore.filters import Filter

# Written out, for importing the pipeline would load NumPy for every `--help`; a test holds them against it.
MODES = ("hybrid", "keyword", "vector")
FUSIONS = ("adaptive", "rrf", "idf-rrf", "convex")
SYNTAXES = ("simple", "advanced")
ORDERS = ("score", "time")
ON_SIMILAR = ("keep", "link", "supersede", "error")
KEEPS = ("newest", "used")

NAMESPACE = "HYBRIDSTORE_NAMESPACE"

Command = Callable[..., Any]


def json_option(command: Command) -> Command:
    """`--json`: print JSON instead of text for people."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def where_option(command: Command) -> Command:
    """`--where`, as often as wanted; see `combined`."""
    return click.option(
        "--where",
        "conditions",
        multiple=True,
        metavar="FILTER",
        help="Only documents whose metadata pass: year>=2020, lang=en, tags~word, path^=/home, draft? or a JSON "
        "filter. Given several times, all must hold.",
    )(command)


def namespace_option(command: Command) -> Command:
    """`--namespace`: whose notes; the command gets its parts, ("user", "42")."""
    return click.option(
        "--namespace",
        envvar=NAMESPACE,
        show_envvar=True,
        default="default",
        show_default=True,
        metavar="NAME",
        callback=_parts,
        help="Whose notes: a name, or several with slashes between, as user/42 (%2F is a slash within a name).",
    )(command)


def _parts(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    from hybridstore.memory.note_ids import Namespace

    return Namespace.named(text).parts


def combined(conditions: Sequence[str]) -> Filter | None:
    """Give the filter that all of the conditions make together; None for none. Raises InputError."""
    from hybridstore.filters import And, from_text

    parts = tuple(from_text(condition) for condition in conditions)
    return And(parts) if len(parts) > 1 else parts[0] if parts else None


def examples(*lines: str) -> str:
    """Give example lines as a command's epilog; docs/generate_cli.py reads them from there."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def embedder_option(help_: str) -> Callable[[Command], Command]:
    """`--embedder NAME`, with what it means here."""
    return click.option("--embedder", metavar="NAME", help=help_)


def searching_options(command: Command) -> Command:
    """Give a command what `search` and `explain` have in common."""
    for option in reversed(
        (
            click.option(
                "--limit", default=10, show_default=True, type=click.IntRange(1), metavar="N", help="Results wanted."
            ),
            where_option,
            click.option(
                "--mode",
                default="hybrid",
                show_default=True,
                type=click.Choice(MODES),
                help="Both legs, or one alone; keyword needs no model.",
            ),
            click.option(
                "--fusion",
                default="adaptive",
                show_default=True,
                type=click.Choice(FUSIONS),
                help="How hybrid makes one ranking of its legs' two.",
            ),
            click.option(
                "--depth",
                type=click.IntRange(1),
                metavar="N",
                help="Candidates of each leg; 200, or twice the limit if that is more.",
            ),
            click.option(
                "--syntax",
                default="simple",
                show_default=True,
                type=click.Choice(SYNTAXES),
                help="How QUERY is read; advanced knows AND, OR, NOT, parentheses and prefix*, and makes all binding.",
            ),
            click.option(
                "--min-relevance",
                type=click.FloatRange(0, 1),
                metavar="X",
                help="From 0 to 1: leave out what is less relevant; 0.5 tells best whether there is an answer at all.",
            ),
            click.option("--unique", is_flag=True, help="Of near-identical passages show the best; name the others."),
            click.option(
                "--per-document", type=click.IntRange(1), metavar="N", help="At most N passages of one document."
            ),
            click.option(
                "--diversity",
                default=0.0,
                show_default=True,
                type=click.FloatRange(0, 1),
                metavar="X",
                help="From 0 to 1: what a passage loses for being like those above it.",
            ),
            json_option,
        )
    ):
        command = option(command)
    return command
